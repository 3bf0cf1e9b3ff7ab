"""Functions of the C library and of Linux's kernel that Python does not offer."""

import ctypes
from typing import Any, Final

__all__ = [
    "M_ARENA_MAX",
    "M_MMAP_THRESHOLD",
    "M_TRIM_THRESHOLD",
    "call",
    "die_with_parent",
    "forbid_new_privileges",
]

# From glibc's malloc.h, for mallopt.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
# From Linux's prctl.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
# Python on Windows has no name for it.
_SIGKILL: Final = 9


def call(name: str, *arguments: Any) -> int:
    """Return what a function of the C library returns; -1 where there is no such function."""
    try:
        result: int = getattr(ctypes.CDLL(None), name)(*arguments)
    except (OSError, AttributeError, TypeError):
        return -1
    return result


def die_with_parent() -> None:
    """Have Linux kill this process as soon as the thread that started it ends."""
    call("prctl", _PR_SET_PDEATHSIG, _SIGKILL)


def forbid_new_privileges() -> bool:
    """Give up, for good, all rights that a program to be run could bring; return success."""
    return call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
