"""Writing files so that a reader sees the old one or the new one, and what damaged ones raise."""

import errno
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

from genrekit.errors import DatasetError, GenreKitError
from genrekit.system.remote import Location, RemoteFile

__all__ = ["DAMAGED_NPZ", "atomic_write", "plain_os_errors", "without_nan", "write_whole"]

DAMAGED_NPZ: Final = (
    *(EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(MemoryError, OverflowError),  # what a damaged header may ask for
    *(SyntaxError, TokenError),  # the header is a Python literal
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
"""What NumPy raises for an NPZ file that is damaged or none."""


@contextmanager
def atomic_write(path: Location) -> Iterator[Path]:
    """A temporary name to write to; it becomes `path` when the block ends well.

    Whatever happens in the block, the file that was at `path` before stays whole, and no
    temporary file stays behind.
    """
    if isinstance(path, RemoteFile):
        with tempfile.TemporaryDirectory(prefix="genrekit-") as folder:
            local = Path(folder) / path.name
            yield local
            path.store(local)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text file that a reader sees as it was or as it will be, never half of it."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def plain_os_errors(
    what: str, path: Location, error: type[GenreKitError] = DatasetError
) -> Iterator[None]:
    """Turn the operating system's errors into one plain sentence about `path`.

    Parameters
    ----------
    what : str, the verb: "written", "read"
    error : the class to raise
    """
    try:
        yield
    except FileNotFoundError:
        raise error(f"{path} cannot be {what}: there is no such file or folder.") from None
    except PermissionError:
        raise error(
            f"{path} cannot be {what}: this user may not; change its permissions."
        ) from None
    except IsADirectoryError:
        raise error(f"{path} cannot be {what}: it is a folder; name a file.") from None
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise error(
                f"{path} cannot be {what}: the disk is full; free some space and run again. "
                "What stood there before is untouched."
            ) from None
        reason = problem.strerror or str(problem) or type(problem).__name__
        raise error(f"{path} cannot be {what}: {reason}.") from None


def without_nan(value: Any) -> Any:
    """`value` with None for each number that JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
