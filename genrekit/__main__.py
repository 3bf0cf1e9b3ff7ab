"""The entry point of `python -m genrekit`."""

import sys

from genrekit.errors import GenreKitError
from genrekit.system.memory import NOT_ENOUGH, lacks_memory, require_memory

# With less, NumPy ends the process while it is loaded.
_NUMPY_MEGABYTES = 100


def run() -> int:
    """Run the command line, if there is enough memory to load it."""
    try:
        require_memory(_NUMPY_MEGABYTES)
        from genrekit.cli.main import main
    except (GenreKitError, MemoryError, ImportError, RuntimeError) as error:
        if not (isinstance(error, GenreKitError) or lacks_memory(error)):
            raise
        print(f"genrekit: {NOT_ENOUGH}", file=sys.stderr)
        return 2
    return main()


if __name__ == "__main__":
    sys.exit(run())
