"""Limits on a process that reads files of strangers: memory, files, programs, the network.

An audio decoder is a large program in C, which a file may take over. No limit needs privileges;
where a system lacks one, the others remain.
"""

import contextlib
import ctypes
import os
import platform
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from genrekit.system import libc
from genrekit.system.portable import POSIX
from genrekit.system.records import read_toml

with contextlib.suppress(ImportError):  # on Windows the server itself reads files of strangers
    import resource

__all__ = [
    *("die_with", "forbid_syscalls", "keep_to", "limit_files", "limit_memory"),
    "shortcoming",
]

_OPEN_FILES: Final = 128
_LOOK_SECONDS: Final = 1.0

# From Linux's landlock.h, seccomp.h, bpf_common.h, audit.h and errno.h.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_CREATE_RULESET_VERSION: Final = 1
_LANDLOCK_RULE_PATH_BENEATH: Final = 1
# The rights to read files and to list folders; to write, remove and create; to move between
# folders; to truncate: the first version of Landlock that has them, and their bits.
_READ_FILE, _READ_FOLDER = 0x4, 0x8
_WRITING: Final = ((1, 0x1FF2), (2, 0x2000), (3, 0x4000))
# What programs read of a Linux system: libraries, the time zone, devices, and what the kernel says
# of the machine and of the process itself. Not /etc, where services have their secrets.
_SYSTEM: Final = (
    *("/usr", "/lib", "/lib64", "/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/localtime"),
    *("/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/sys", "/proc/self", "/proc/sys"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
)
_INSTALLED: Final = ("site-packages", "dist-packages")
_SECCOMP_SET_MODE_FILTER: Final = 1
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_REFUSE: Final = 0x00050000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD: Final = 0x10000
_OTHER_NUMBERS: Final = 0x40000000  # x32: the same system calls under other numbers

_FORBIDDEN: Final = read_toml(__file__)
_SECCOMP: Final = (317, 277)
_CLONE: Final = (56, 220)
_CLONE3: Final = (435, 435)
_PRLIMIT: Final = (302, 261)
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def shortcoming() -> str:
    """Return a sentence on what this system cannot forbid to whoever reads files, or ""."""
    if sys.platform == "linux" and POSIX:
        if _landlock() > 0:
            return ""
        lack = "without Landlock, the processes that read visitors' files can read all others"
    elif POSIX:
        lack = "the processes that read visitors' files can reach the network and change files"
    else:
        lack = "the server itself reads visitors' files, with all of its rights"
    return f"On this system {lack}: open the app to people you trust, and to nobody else."


def die_with(parent: int) -> None:
    """End this process as soon as its parent, the process `parent`, ends.

    On Linux the kernel does so, whatever this process is doing: the thread that started it must
    live as long as `parent`. In addition, and elsewhere, a thread polls.
    """
    libc.die_with_parent()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=look, name="orphan", daemon=True).start()


def limit_files(most_bytes: int) -> None:
    """Forbid core dumps, larger files and many open ones; be the first to go when memory ends."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, most_bytes)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def limit_memory(megabytes: float) -> None:
    """Let allocations beyond this limit fail.

    Only private writable memory counts: PyTorch could not start under a limit on its address
    space, which is several times what it uses.
    """
    _lower(resource.RLIMIT_DATA, int(megabytes * 1e6))


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))


def keep_to(folder: Path, readable: Iterable[str | os.PathLike[str]] = ()) -> bool:
    """Give up, for good, other files than those in `folder`; return success.

    What this program itself needs can be read, and what is below the files and folders `readable`,
    as far as they exist. Linux's Landlock holds for this thread and those that it starts. Open
    files stay open, and of any file it can be asked whether it exists, and its size.
    """
    version = _landlock()
    if version < 1 or not libc.forbid_new_privileges():
        return False
    reading = _READ_FILE | _READ_FOLDER
    writing = sum(bit for since, bit in _WRITING if since <= version)
    rights = ctypes.c_uint64(reading | writing)
    rules = libc.call("syscall", _LANDLOCK_CREATE, ctypes.byref(rights), 8, 0)
    if rules < 0:
        return False
    try:
        places = {*map(Path, readable), *_code(), *map(Path, _SYSTEM)} - {folder}
        for place in places:
            _allow(rules, place, reading)  # what cannot be opened need not be allowed
        allowed = _allow(rules, folder, reading | writing)
        return allowed and libc.call("syscall", _LANDLOCK_RESTRICT, rules, 0) == 0
    finally:
        os.close(rules)


def _landlock() -> int:
    """Return the version of the kernel's Landlock; below 1 where there is none."""
    return libc.call("syscall", _LANDLOCK_CREATE, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)


def _allow(rules: int, place: Path, rights: int) -> bool:
    """Add what may be done below a place to Landlock's rules; return success.

    The place stays open: when memory is short, Linux forgets what nobody has open, and the rules do
    not know the new files that it then makes of those in /proc.
    """
    try:
        below = os.open(place, os.O_PATH)
    except OSError:
        return False
    if not place.is_dir():
        rights &= _READ_FILE
    rule = rights.to_bytes(8, sys.byteorder) + below.to_bytes(4, sys.byteorder)
    added = libc.call("syscall", _LANDLOCK_ADD, rules, _LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    return added == 0


def _code() -> set[Path]:
    """Return where this program's modules and libraries are, without the host's files beside it."""
    package = Path(__file__).parents[1]
    folders = {Path(entry).absolute() for entry in sys.path if entry}
    if package.parent.name not in _INSTALLED:  # a checkout, beside the host's settings
        folders = folders - {package.parent} | {package}
    folders |= {Path(sys.prefix), Path(sys.base_prefix)}
    return folders | set(map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))))


def forbid_syscalls() -> bool:
    """Give up, for good, the network, other programs and other processes; return success.

    Linux's seccomp refuses the system calls to every thread, present and future. Threads can still
    be started, and files and pipes used.
    """
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None or sys.maxsize < 2**32:
        return False
    column, architecture = machine
    program = _filter(column, architecture)
    code = (ctypes.c_uint64 * len(program))(*program)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    loaded = ctypes.byref(Program(len(program), ctypes.addressof(code)))
    arguments = (_SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, loaded)
    return libc.forbid_new_privileges() and libc.call("syscall", _SECCOMP[column], *arguments) == 0


def _filter(column: int, architecture: int) -> list[int]:
    """Return the filter's program for the Berkeley Packet Filter, one number an instruction."""

    def instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> int:
        return code | then << 16 | otherwise << 24 | value << 32

    numbers = [call[column] for call in _FORBIDDEN.values() if column < len(call)]
    program = [
        instruction(_LOAD, 4),
        instruction(_IF_EQUAL, architecture, then=1),
        instruction(_RETURN, _KILL),
        instruction(_LOAD, 0),
    ]
    checks = [(_IF_AT_LEAST, _OTHER_NUMBERS), *((_IF_EQUAL, number) for number in numbers)]
    for code, value in checks:
        program += [instruction(code, value, otherwise=1), instruction(_RETURN, _REFUSE | _EPERM)]
    return [
        *program,
        # No filter can read clone3's flags; where clone3 is missing, glibc uses clone.
        instruction(_IF_EQUAL, _CLONE3[column], otherwise=1),
        instruction(_RETURN, _REFUSE | _ENOSYS),
        # Of this process alone, with 0 for its id.
        instruction(_IF_EQUAL, _PRLIMIT[column], otherwise=4),
        instruction(_LOAD, 16),
        instruction(_IF_EQUAL, 0, then=1),
        instruction(_RETURN, _REFUSE | _EPERM),
        instruction(_RETURN, _ALLOW),
        instruction(_IF_EQUAL, _CLONE[column], otherwise=3),
        instruction(_LOAD, 16),
        instruction(_IF_ANY_BIT, _CLONE_THREAD, then=1),
        instruction(_RETURN, _REFUSE | _EPERM),
        instruction(_RETURN, _ALLOW),
    ]
