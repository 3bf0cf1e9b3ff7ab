"""What tests have worker processes do, some of it malicious; workers find it here by name."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import select
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genrekit.errors import AudioError, GenreKitError, SettingsError
from genrekit.isolation.wire import Wire

remembered: list[str] = []


@dataclass(frozen=True)
class Fact:
    name: str
    share: float
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Choosy:
    """A class that refuses some values."""

    share: float

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise SettingsError("no share")


class OfOurOwn(AudioError):
    pass


def warm():
    remembered.append("warm")


def rest():
    remembered[:] = ["rested"]


def broken_warm():
    raise RuntimeError("secret.wav")


_asked, _answered = threading.Event(), threading.Event()


def warm_thread():
    """Start a thread before the filter, as a library does."""

    def reach():
        _asked.wait()
        remembered.append(_outcome(lambda: socket.socket().close()))
        _answered.set()

    threading.Thread(target=reach, daemon=True).start()


def ask_thread():
    _asked.set()
    _answered.wait(10)
    return remembered[-1]


def die_when_called():
    """Die while a call arrives."""

    def look():
        select.select([_pipe(os.O_RDONLY)], [], [])
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _pipe(way):
    """Return the pipe of calls or of answers."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
            if stat.S_ISFIFO(os.fstat(number).st_mode) and mode == way:
                return number
    raise AssertionError("there is no such pipe")


def slow_warm():
    time.sleep(60)


def echo(*values, **named):
    return {"values": values, "named": named}


def niceness():
    return os.getpriority(os.PRIO_PROCESS, 0)


def process():
    return os.getpid()


def remember(word):
    remembered.append(word)
    return list(remembered)


def sleep(seconds):
    """Sleep in a way that is visible from outside."""
    seen = Path(tempfile.gettempdir()) / "asleep"
    seen.write_text(str(os.getpid()))
    time.sleep(seconds)
    seen.unlink()
    return os.getpid()


def nap(word):
    time.sleep(0.05)
    remembered.append(word)


def spin():
    while True:
        pass


def hold_the_interpreter():
    """Hang as C code does, which never lets Python run again in this process."""
    ctypes.PyDLL(None).pause()


def crash():
    ctypes.string_at(0)


def end():
    os._exit(0)


def speak_soon(seconds):
    """Answer, and send more later."""
    threading.Timer(seconds, os.write, (_pipe(os.O_WRONLY), b"more")).start()
    return os.getpid()


def odd_error():
    """Send the name of a class that is no error."""
    os.write(_pipe(os.O_WRONLY), b"".join(Wire([]).pack(("error", "__loader__", "x"))))
    time.sleep(30)


def chatter():
    """Print, as libraries do."""
    for number in (1, 2):
        os.write(number, b"noise")
    return os.getpid()


def balloon(megabytes):
    held = [np.ones(1 << 20, np.uint8) for _ in range(megabytes)]
    time.sleep(0.5)
    return len(held)


def balloon_unseen(megabytes):
    """Take shared memory, which no limit of the kernel counts."""
    held = mmap.mmap(-1, megabytes << 20)
    for at in range(0, len(held), 4096):
        held[at] = 1
    time.sleep(30)


def grow(megabytes):
    """Keep memory after the answer."""
    remembered.append("x" * (megabytes << 20))
    return os.getpid()


def raise_audio(text):
    raise AudioError(text)


def raise_own():
    raise OfOurOwn("of a kind the server does not know")


def raise_root():
    raise GenreKitError("the root")


def raise_secret():
    raise ValueError("/home/someone/secret.wav")


def unsendable():
    return Path("/etc")


def shout():
    """Send unasked, as a hijacked process might."""
    for number in range(3, 64):
        try:
            if os.get_inheritable(number) in (True, False) and number != 0:
                os.write(number, b"\xff" * 64)
        except OSError:
            continue
    time.sleep(30)


def half_an_answer():
    """Die in the middle of an answer."""
    os.write(_pipe(os.O_WRONLY), Wire([]).pack(("value", None))[0])
    os._exit(1)


def huge_answer():
    """Announce a larger answer than the server accepts."""
    for number in range(3, 64):
        try:
            os.write(number, (1).to_bytes(8, "little") + (1 << 40).to_bytes(8, "little"))
        except OSError:
            continue
    time.sleep(30)


def limits():
    return {
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "file": resource.getrlimit(resource.RLIMIT_FSIZE),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "data": resource.getrlimit(resource.RLIMIT_DATA),
        "oom": Path("/proc/self/oom_score_adj").read_text(),
        "environment": dict(os.environ),
        "folder": tempfile.gettempdir(),
        "here": str(Path.cwd()),
        "streamlit": "streamlit" in sys.modules,
    }


def write_file(size):
    path = Path(tempfile.mkdtemp()) / "x"
    path.write_bytes(bytes(size))
    return str(path)


def outcome_of_large(size):
    return _outcome(lambda: Path("large").write_bytes(bytes(size)))


def allocate(size):
    return _outcome(lambda: bytearray(size))


def _outcome(action):
    try:
        action()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"


def change(path):
    """Try to change files of others, as a hijacked process would."""
    path = Path(path)
    return {
        "write": _outcome(lambda: (path / "there").write_text("changed")),
        "make": _outcome(lambda: (path / "new").touch()),
        "remove": _outcome((path / "there").unlink),
        "rename": _outcome(lambda: (path / "there").rename(path / "gone")),
        "cut": _outcome(lambda: os.truncate(path / "there", 0)),
        "folder": _outcome((path / "folder").mkdir),
        "rights": _outcome(lambda: (path / "there").chmod(0o777)),
        "time": _outcome(lambda: os.utime(path / "there")),
    }


def read(*places):
    """Try to read files and to list folders, as a hijacked process would."""
    paths = list(map(Path, places))
    return [
        _outcome(lambda p=p: list(p.iterdir()) if p.is_dir() else p.read_bytes()) for p in paths
    ]


def spy(server):
    """Try to look into the server, as a hijacked process would."""
    of_server = Path(f"/proc/{server}")
    return {
        "memory": _outcome(lambda: (of_server / "mem").open("rb").close()),
        "files": _outcome(lambda: (of_server / "fd" / "0").open("ab").close()),
        "folder": _outcome(lambda: list((of_server / "cwd").iterdir())),
        "environment": _outcome((of_server / "environ").read_bytes),
        "command": _outcome((of_server / "cmdline").read_bytes),
    }


# What `spy` finds in a confined process.
NOTHING_SEEN = dict.fromkeys(
    ("memory", "files", "folder", "environment", "command"), "PermissionError"
)


# What `reach_out` finds in a confined process.
NOTHING_REACHED = {
    **dict.fromkeys(("socket", "program", "fork", "signal", "limits"), "PermissionError"),
    "thread": "done",
}


def reach_out(server):
    """Try to reach the network, programs and processes, as a hijacked process would."""
    return {
        "socket": _outcome(lambda: socket.socket().close()),
        "program": _outcome(lambda: subprocess.run(["/bin/true"], check=True)),
        "fork": _outcome(os.fork),
        "signal": _outcome(lambda: os.kill(server, 0)),
        "limits": _outcome(lambda: resource.prlimit(server, resource.RLIMIT_CORE)),
        "thread": _outcome(_start_thread),
    }


def kernel_says(numbers):
    """Return the kernel's answers to system calls by number, with meaningless arguments."""
    library = ctypes.CDLL(None, use_errno=True)
    nonsense = [ctypes.c_long(-1)] * 6
    return {
        name: errno.errorcode[ctypes.get_errno()]
        if library.syscall(ctypes.c_long(number), *nonsense) == -1
        else "done"
        for name, number in numbers.items()
    }


def _start_thread():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def total(content, array):
    return len(content) + float(array.sum())


def give(size):
    return bytes(size)


def crash_on(*_):
    crash()
