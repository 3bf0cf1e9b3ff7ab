"""Atomic writing, and errors of the operating system as plain sentences."""

import errno
import math
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

from genrekit.errors import DatasetError, GenreKitError
from genrekit.system.portable import POSIX
from genrekit.system.remote import Location, RemoteFile

with suppress(ImportError):  # Windows has no limit on the size of files
    import resource

__all__ = [
    *("DAMAGED_NPZ", "atomic_write", "plain_os_errors", "require_disk"),
    *("without_nan", "write_whole"),
]

DAMAGED_NPZ: Final = (
    *(EOFError, KeyError, RuntimeError, TypeError, ValueError),
    *(MemoryError, OverflowError),  # what a damaged header may ask for
    *(SyntaxError, TokenError),  # the header is a Python literal
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
"""What NumPy raises for a file that is no NPZ, or a damaged one."""


@contextmanager
def atomic_write(path: Location) -> Iterator[Path]:
    """Yield a temporary path to write to, which becomes `path` if the block succeeds.

    If it fails, the file that was at `path` stays whole. No temporary file remains.
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
    """Write a text file atomically: a reader sees the old one or the new one."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_disk(folder: Path, size: int) -> None:
    """Raise OSError if a file of so many bytes cannot be written to a folder."""
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0] if POSIX else -1
    if 0 <= most < size:  # RLIM_INFINITY is -1
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    if size > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def plain_os_errors(
    what: str, path: Location, error: type[GenreKitError] = DatasetError
) -> Iterator[None]:
    """Raise the operating system's errors as `error`, in one plain sentence.

    It says that `path` cannot be `what`, which is "written" or "read", and why.
    """
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem) or type(problem).__name__
        match problem:
            case FileNotFoundError():
                reason = "there is no such file or folder"
            case PermissionError():
                reason = "permission denied; change its permissions"
            case IsADirectoryError():
                reason = "it is a folder; name a file"
            case OSError(errno=errno.ENOSPC | errno.EDQUOT):
                reason = "the disk is full; free some space and run again. "
                reason += "The file that was there is untouched"
            case OSError(errno=errno.EFBIG):
                reason = "it would be larger than is allowed here; give it less at a time"
        raise error(f"{path} cannot be {what}: {reason}.") from None


def without_nan(value: Any) -> Any:
    """Return `value` with None for each NaN or infinity, which JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
