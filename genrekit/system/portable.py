"""What POSIX has and other systems have not, each with a plain substitute.

Windows has neither process groups, nor niceness, nor locks that a child process inherits.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:
    import msvcrt

__all__ = ["POSIX", "kill_group", "nice", "try_lock"]

POSIX: Final = hasattr(os, "killpg")


def kill_group(leader: int) -> None:
    """Kill a process and all of its group; without POSIX the process alone."""
    if POSIX:
        os.killpg(leader, signal.SIGKILL)
    else:
        os.kill(leader, signal.SIGTERM)  # which Windows does not let it handle


def nice(by: int) -> None:
    """Have this process give way to others, 1 to 19; without POSIX it does not."""
    if POSIX:
        os.nice(by)
        if os.getsid(0) == os.getpid():
            # Where Linux divides time among sessions first, niceness counts only within a session.
            with contextlib.suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(by))


def try_lock(file: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; False if another process has it locked.

    A process that inherits the file has the lock too, but only with POSIX, where several may have
    it if all want it shared.
    """
    try:
        if POSIX:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        else:
            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except (BlockingIOError, PermissionError):  # of fcntl, and of msvcrt
        return False
    return True
