"""What a process gives up that reads files of strangers: memory, files, programs, the network.

A decoder of sound is a large program in C, and a file may be made to take it over. None of this
needs rights; where a system lacks one of the means, the others remain.
"""

import contextlib
import ctypes
import os
import platform
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

__all__ = ["allow_writes_below", "die_with", "forbid_syscalls", "limit_files", "limit_memory"]

_OPEN_FILES: Final = 128
_FILE_BYTES: Final = 1 << 20
_LOOK_SECONDS: Final = 1.0

# From Linux's prctl.h, landlock.h, seccomp.h, bpf_common.h, audit.h and errno.h.
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_LANDLOCK_RULE_PATH_BENEATH: Final = 1
# To write a file, to remove and to make anything; to move between folders; to shorten a file:
# the version that brought it, and its bits.
_WRITING: Final = ((1, 0x1FF2), (2, 0x2000), (3, 0x4000))
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD: Final = 0x10000
_OTHER_NUMBERS: Final = 0x40000000  # x32: the same calls under other numbers

# Calls that reach other processes, other machines or other programs: numbers of x86_64, aarch64.
_REFUSED: Final = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "socketpair": (53, 199),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
}
_SECCOMP: Final = (317, 277)
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def die_with(parent: int) -> None:
    """End this process at once when the process `parent`, which started it, ends.

    On Linux the kernel sees to it, whatever this process does at that moment: there the thread
    that started it must live as long as `parent`. Elsewhere, and besides, a thread looks.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=look, name="orphan", daemon=True).start()


def limit_files() -> None:
    """No core dumps, no large files, few open ones; and the first to go when memory ends."""
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, _FILE_BYTES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _lower(kind, most)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def limit_memory(megabytes: float) -> None:
    """Let allocations fail beyond so much.

    What counts is memory that is private and can be written to: the address space as a whole is
    several times what PyTorch uses, and limiting that would forbid it to start.
    """
    _lower(resource.RLIMIT_DATA, int(megabytes * 1e6))


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))


def allow_writes_below(folder: Path) -> bool:
    """Give up for good to change any file that does not lie in `folder`; whether that worked.

    Linux's kernel (Landlock) refuses it to this thread and those that it starts. What is open
    stays open.
    """
    library = ctypes.CDLL(None)
    try:
        version = library.syscall(_LANDLOCK_CREATE, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
        bits = sum(bit for since, bit in _WRITING if since <= version)
        if version < 1 or library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        rules = library.syscall(_LANDLOCK_CREATE, ctypes.byref(ctypes.c_uint64(bits)), 8, 0)
        if rules < 0:
            return False
        below = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        allowed = bits.to_bytes(8, sys.byteorder) + below.to_bytes(4, sys.byteorder)
        try:
            added = library.syscall(_LANDLOCK_ADD, rules, _LANDLOCK_RULE_PATH_BENEATH, allowed, 0)
            return added == 0 and library.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0
        finally:
            os.close(below)
            os.close(rules)
    except (OSError, AttributeError):
        return False


def forbid_syscalls() -> bool:
    """Give up the network, other programs and other processes for good; whether that worked.

    A filter in Linux's kernel (seccomp) refuses the calls to every thread there is and will be.
    Threads can still be made, and files and pipes be used.
    """
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or sys.maxsize < 2**32:
        return False
    column, architecture = machine
    program = _filter(column, architecture)
    code = (ctypes.c_uint64 * len(program))(*program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    about = Program(len(program), ctypes.addressof(code))
    try:
        library = ctypes.CDLL(None)
        if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        call, all_threads = _SECCOMP[column], _SECCOMP_FILTER_FLAG_TSYNC
        filter_ = ctypes.byref(about)
        return library.syscall(call, _SECCOMP_SET_MODE_FILTER, all_threads, filter_) == 0
    except (OSError, AttributeError):
        return False


def _filter(column: int, architecture: int) -> list[int]:
    """The filter's program for Berkeley's packet machine, one number for each instruction."""

    def instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> int:
        return code | then << 16 | otherwise << 24 | value << 32

    refused = [pair[column] for pair in _REFUSED.values() if pair[column] is not None]
    program = [
        instruction(_LOAD, 4),
        instruction(_IF_EQUAL, architecture, then=1),
        instruction(_RETURN, _KILL),
        instruction(_LOAD, 0),
    ]
    checks = [(_IF_AT_LEAST, _OTHER_NUMBERS), *((_IF_EQUAL, number or 0) for number in refused)]
    for code, value in checks:
        program += [
            instruction(code, value, otherwise=1),
            instruction(_RETURN, _REFUSE | _EPERM),
        ]
    return [
        *program,
        # Its flags lie where no filter can look; told that it is not there, glibc uses clone.
        instruction(_IF_EQUAL, _CLONE3[column], otherwise=1),
        instruction(_RETURN, _REFUSE | _ENOSYS),
        instruction(_IF_EQUAL, _CLONE[column], otherwise=3),
        instruction(_LOAD, 16),
        instruction(_IF_ANY_BIT, _CLONE_THREAD, then=1),
        instruction(_RETURN, _REFUSE | _EPERM),
        instruction(_RETURN, _ALLOW),
    ]
