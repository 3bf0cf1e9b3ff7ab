"""The command line: `python -m genrekit COMMAND`.

Results go to standard output, messages to standard error. With ``--progress json`` standard
output carries one JSON object a line, each with a "type", so that a program can follow.
Exit status: 0 all went well; 1 some input failed; 2 the command cannot be carried out as given.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Final

from genrekit.cli.options import parser
from genrekit.cli.progress import SOME_FAILED, USAGE, emit
from genrekit.errors import GenreKitError
from genrekit.system.memory import NOT_ENOUGH, lacks_memory, require_memory
from genrekit.system.threads import computing_in

__all__ = ["main"]

# With less, libraries end the process while they are loaded, or wait for ever for their threads.
_LEAST_MEGABYTES: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; argparse raises SystemExit for --help."""
    # A file name may not be valid text: escape its odd bytes rather than fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given or ["--help"])
    try:
        require_memory(getattr(options, "megabytes", _LEAST_MEGABYTES))
        threads = getattr(options, "threads", None), getattr(options, "usual_threads", None)
        with computing_in(*threads):
            status: int = options.run(options)
        sys.stdout.flush()
    except GenreKitError as error:
        return _refuse(options, str(error))
    except KeyboardInterrupt:
        print("genrekit: stopped; what was finished is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone: discard what Python still has in its buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except Exception as error:
        if lacks_memory(error):
            return _refuse(options, NOT_ENOUGH)
        raise
    return status


def _refuse(options: argparse.Namespace, message: str) -> int:
    emit("error", getattr(options, "progress", "none"), message=message)
    print(f"genrekit: {message}", file=sys.stderr)
    return USAGE
