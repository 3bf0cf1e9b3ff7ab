"""The handle of a worker's process, for the thread that started it."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, Final

from genrekit.isolation.process import BEGIN, BEGUN
from genrekit.isolation.wire import Incoming
from genrekit.system import threads
from genrekit.system.portable import kill_group, try_lock

with contextlib.suppress(ImportError):  # on Windows there are no workers
    import fcntl

__all__ = ["DIE_SECONDS", "Handle", "Lost", "clean_environment", "sweep"]

_LOOK_SECONDS: Final = 0.05
_ANSWER_BYTES: Final = 256 << 20
_PIPE_BYTES: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031  # from Linux's fcntl.h
# A killed process takes a moment to die; one that hangs in the kernel may never die.
DIE_SECONDS: Final = 3.0
_FOLDERS: Final = "genrekit-worker-"
# What a process needs of the server's environment to start: no secrets.
_KEPT: Final = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT", "TZ"),
    "OMP_NUM_THREADS",
)


class Lost(Exception):
    """A process is lost: "crash", "time", "memory", or "early", before it received the call."""


class Handle:
    """Start a worker's process; talk to it, watch it, and end it."""

    def __init__(self, about: dict[str, Any]) -> None:
        self._bytes = 1e6 * about["megabytes"]
        # Empty, but for libraries that want a temporary file.
        self._folder = tempfile.mkdtemp(prefix=_FOLDERS)
        self._locked = _lock(self._folder)
        text = json.dumps(about | {"parent": os.getpid()})
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "genrekit.isolation.process", text],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd=self._folder,
                env=clean_environment(self._folder, 1),
                start_new_session=True,
            )
        except BaseException:
            self._remove_folder()
            raise
        self.id = self._process.pid
        self._begun = False
        self._pipes = [pipe for pipe in (self._process.stdin, self._process.stdout) if pipe]
        self._calls, self._answers = (pipe.fileno() for pipe in self._pipes)
        for pipe in (self._calls, self._answers):
            os.set_blocking(pipe, False)
            with contextlib.suppress(OSError):  # a larger pipe, where the system allows it
                fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)

    def begin(self) -> None:
        """Have the process get ready; `exchange` returns its answer."""
        os.write(self._calls, BEGIN)
        self._begun = True

    def exchange(self, message: list[memoryview], seconds: float) -> list[bytearray]:
        """Send a call, unless it is empty, and wait for the answer.

        Raise Lost or WireError if the process cannot be used any more.
        """
        to_send = deque(message)
        answer = Incoming(_ANSWER_BYTES)
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        if to_send:
            self._begun = False
            poll.register(self._calls, select.POLLOUT)
        end = time.monotonic() + seconds
        look = 0.0
        while True:
            now = time.monotonic()
            if now > end:
                raise Lost("time")
            if now > look:
                look = now + _LOOK_SECONDS
                if self.resident() > self._bytes:
                    raise Lost("memory")
            for pipe, _ in poll.poll(1000 * min(_LOOK_SECONDS, end - now)):
                if pipe == self._answers:
                    if self._read(answer):
                        return answer.parts
                elif self._write(to_send):
                    poll.unregister(self._calls)

    def _read(self, answer: Incoming) -> bool:
        """Read some of the answer; return whether it is complete."""
        if not self._begun:
            sign = os.read(self._answers, len(BEGUN))
            if sign != BEGUN:
                raise Lost("crash" if sign else "early")
            self._begun = True
            return False
        count = os.readv(self._answers, [answer.room])
        if not count:
            raise Lost("crash")
        return answer.add(count)

    def _write(self, pieces: deque[memoryview]) -> bool:
        """Send some of a call; return whether it is complete."""
        try:
            pieces[0] = pieces[0][os.write(self._calls, pieces[0][:_PIPE_BYTES]) :]
        except BrokenPipeError:  # the answer, or its end, says more
            return True
        while pieces and not pieces[0]:
            pieces.popleft()
        return not pieces

    def is_silent(self) -> bool:
        """Return whether it lives and sends nothing; unasked, an answer cannot be trusted."""
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        return not poll.poll(0)

    def resident(self) -> int:
        """Return its memory in use, in bytes; 0 where that is unknown."""
        try:
            pages = Path(f"/proc/{self.id}/statm").read_bytes().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """Kill it, from any thread."""
        self._process.kill()

    def bury(self) -> None:
        """Kill it with all that it started, and remove its folder; for its own thread only."""
        if self._process.returncode is None:  # else another process may have its id
            with contextlib.suppress(OSError):
                kill_group(self.id)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(DIE_SECONDS)
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()
        self._remove_folder()

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._locked is not None:
            os.close(self._locked)


def clean_environment(folder: str, computing: int | None) -> dict[str, str]:
    """Return the environment of a process that may have no secrets of the server.

    Parameters
    ----------
    folder : str, for its temporary files
    computing : int, the threads that libraries compute in, or None to leave it to them
    """
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "HOME": folder, "TMPDIR": folder}
    # PyArrow's own allocator begins with a gigabyte, which limits on memory count.
    own["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    return kept | own | threads.variables(computing)


def _lock(folder: str | Path) -> int | None:
    """Lock a folder while this process lives; None if another process has the lock."""
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    if not try_lock(number):
        os.close(number)
        return None
    return number


def sweep() -> None:
    """Remove the folders of servers that were killed, which hold no lock any more."""
    with contextlib.suppress(OSError):  # there may be no folder for temporary files
        for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
            locked = _lock(folder)
            if locked is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(locked)
