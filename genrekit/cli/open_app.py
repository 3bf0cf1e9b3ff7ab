"""The command that opens the app: Streamlit's own, with our script."""

import argparse
import runpy
import sys

from genrekit.cli.progress import OK
from genrekit.system.shipped import shipped_folder

__all__ = ["open_app"]


def open_app(options: argparse.Namespace) -> int:
    """Open the app in the browser."""
    given = {"port": options.port, "address": options.host, "headless": options.headless or None}
    ours = [f"--server.{name}={value}" for name, value in given.items() if value is not None]
    script = shipped_folder() / "streamlit_app.py"
    sys.argv = ["streamlit", "run", str(script), *ours, *options.streamlit]
    runpy.run_module("streamlit", run_name="__main__")  # exits with a status of its own
    return OK
