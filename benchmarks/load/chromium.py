"""The path of the browser that benchmarks, tests and screenshots share, and its flags."""

import shutil
from typing import Final

__all__ = ["CHROMIUM", "FLAGS"]

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS: Final = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
