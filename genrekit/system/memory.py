"""The memory left to this process, and what to do when there is too little."""

import gc
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from genrekit.errors import DatasetError, GenreKitError
from genrekit.system import libc
from genrekit.system.portable import POSIX

__all__ = [
    "NOT_ENOUGH",
    "free_memory",
    "lacks_memory",
    "require_memory",
    "require_room",
    "rows_at_once",
    "scratch_folder",
    "trim_memory",
]

NOT_ENOUGH: Final = (
    "There is not enough memory for this: allow it more, close other programs, or give it less at "
    "a time."
)
# From errors of libraries in C; the last two are the dynamic linker's and libsndfile's.
_LACKING: Final = (
    *("allocate memory", "enough memory", "start new thread", "bad_alloc"),
    *("failed to map segment", "malloc"),
)

_VALUES_AT_ONCE: Final = 1 << 22
_ROWS_AT_ONCE: Final = 1024
_USUAL_BYTES: Final = 2 << 30


def free_memory() -> int:
    """Return the bytes that this process may still allocate.

    On Linux the least of: what the machine has available, what the process's control group may
    still take (cached files do not count), and its limits on data and address space. Elsewhere
    half of the machine's memory, or 2 GB on Windows.
    """
    if not POSIX:
        return _USUAL_BYTES
    if sys.platform != "linux":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return max(0, min([_numbers("/proc/meminfo")["MemAvailable:"] * 1024, *_limits()]))


def lacks_memory(error: BaseException) -> bool:
    """Tell whether an error, of Python or of a library in C, means that memory ran out."""
    text = str(error)
    return isinstance(error, MemoryError) or any(words in text for words in _LACKING)


def require_memory(megabytes: float) -> None:
    """Raise GenreKitError if less memory is left.

    Some libraries end the process, past any `except`, when they find none while they are loaded.
    """
    with suppress(OSError, KeyError, ValueError):  # unknown: then try
        if free_memory() < 1e6 * megabytes:
            raise GenreKitError(NOT_ENOUGH)


def require_room(name: str, size: float) -> None:
    """Raise DatasetError if a file, by its name, would take more bytes of memory than are left."""
    with suppress(OSError, KeyError, ValueError):  # unknown: then try
        if size > (free := free_memory()):
            raise DatasetError(
                f"{name} would take {size / 1e6:,.0f} MB of memory, and {free / 1e6:,.0f} MB are "
                "free: divide it into smaller ones, or allow more memory."
            )


def trim_memory() -> None:
    """Return unused memory to the operating system, in some 50 ms."""
    gc.collect()
    libc.call("malloc_trim", 0)


def rows_at_once(shape: Sequence[int]) -> int:
    """Return how many float32 rows of this shape to process at a time: 1024 or 16 MB at most."""
    return max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // max(1, math.prod(shape))))


def scratch_folder() -> Path:
    """Return the folder for large unnamed files: TMPDIR or /var/tmp, as /tmp may be in memory."""
    usual = Path("/var/tmp")
    if not os.environ.get("TMPDIR") and os.access(usual, os.W_OK):
        return usual
    return Path(tempfile.gettempdir())


def _limits() -> list[int]:
    """Return what each limit set for this process still allows, in bytes."""
    import resource

    left = []
    used = _numbers("/proc/self/status")
    for kind, size in ((resource.RLIMIT_DATA, "VmData:"), (resource.RLIMIT_AS, "VmSize:")):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            left.append(limit - used[size] * 1024)
    try:
        own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip()
        group = Path("/sys/fs/cgroup") / own.lstrip("/")
        for folder in (group, *group.parents):
            limited = folder / "memory.max"
            if limited.is_file() and (text := limited.read_text().strip()) != "max":
                taken = int((folder / "memory.current").read_text())
                cached = _numbers(folder / "memory.stat")["file"]
                left.append(int(text) - taken + cached)
    except (OSError, ValueError, KeyError):
        pass  # an older kernel, or hidden: the other limits remain
    return left


def _numbers(file: str | Path) -> dict[str, int]:
    """Return the number in each line of a file, by the word before it."""
    lines = (line.split() for line in Path(file).read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if words[1:] and words[1].isdigit()}
