"""How much memory is left to this process, what to do without, and where on disk to put it."""

import ctypes
import gc
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from genrekit.errors import GenreKitError

__all__ = [
    "NOT_ENOUGH",
    "free_memory",
    "lacks_memory",
    "require_memory",
    "rows_at_once",
    "scratch_folder",
    "trim_memory",
]

NOT_ENOUGH: Final = (
    "There is not enough memory for this: allow it more, close other programs, or give it less at "
    "a time."
)
# Libraries in C tell of it in their own ways; the last are the dynamic linker's and libsndfile's.
_LACKING: Final = (
    *("allocate memory", "enough memory", "start new thread", "bad_alloc"),
    *("failed to map segment", "malloc"),
)

_VALUES_AT_ONCE: Final = 1 << 22
_ROWS_AT_ONCE: Final = 1024


def free_memory() -> int:
    """Bytes that this process may still take, by the machine and by the limits set for it.

    On Linux the least of: what the machine has available, what its control group may still take
    besides files that are only cached, and its limits on data and address space. Elsewhere
    half of the machine's memory.
    """
    if sys.platform != "linux":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return max(0, min([_numbers("/proc/meminfo")["MemAvailable:"] * 1024, *_left()]))


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says, in the way of whatever library, that memory was refused."""
    text = str(error)
    return isinstance(error, MemoryError) or any(words in text for words in _LACKING)


def require_memory(megabytes: float) -> None:
    """Refuse to begin with less than so much memory left.

    What some libraries do when they find none while they are loaded nobody can catch: they end
    the process.

    Raises
    ------
    GenreKitError
    """
    with suppress(OSError, KeyError, ValueError):  # nobody tells: then it is tried
        if free_memory() < 1e6 * megabytes:
            raise GenreKitError(NOT_ENOUGH)


def trim_memory() -> None:
    """Return to the operating system what nobody uses any more; some 50 ms."""
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc knows how
        ctypes.CDLL(None).malloc_trim(0)


def rows_at_once(shape: Sequence[int]) -> int:
    """How many rows of float32 features to take at a time: at most 1024, and 16 MB.

    Parameters
    ----------
    shape : sequence of int, of one row
    """
    return max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // max(1, math.prod(shape))))


def scratch_folder() -> Path:
    """A folder for large nameless files: TMPDIR, or /var/tmp, since /tmp may be in memory."""
    usual = Path("/var/tmp")
    if not os.environ.get("TMPDIR") and os.access(usual, os.W_OK):
        return usual
    return Path(tempfile.gettempdir())


def _left() -> list[int]:
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
        pass  # an older kernel, or hidden: then the other limits have to do
    return left


def _numbers(file: str | Path) -> dict[str, int]:
    """The first number of each line that has one, by the word before it."""
    lines = (line.split() for line in Path(file).read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines if words[1:] and words[1].isdigit()}
