"""The process of a job, as its server sees it: started, killed, waited for."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from genrekit.app.jobs.job import STARTED, STOP_EARLY, STOPPED, Job, is_locked
from genrekit.app.logs import event, short
from genrekit.system import threads
from genrekit.system.files import write_whole

__all__ = [
    "end_unstarted",
    "forget_run",
    "is_ours",
    "kill",
    "start",
    "wait_until_dead",
    "wait_until_reaped",
    "wait_until_unlocked",
]

_POLL_SECONDS: Final = 0.2
_DIE_SECONDS: Final = 5.0
_STATE: Final = (STARTED, "events.jsonl", "log.txt", STOPPED, STOP_EARLY)
_UNSTARTED: Final = 3


def start(job: Job) -> bool:
    """Start a job's process, unless an earlier one of it lives; whether that was done.

    It inherits the lock, and with it the proof that it lives.

    Raises
    ------
    OSError
        It cannot be started.
    """
    with (
        (job.folder / "lock").open("w") as lock,
        (job.folder / "events.jsonl").open("ab") as events,
        (job.folder / "log.txt").open("ab") as log,
    ):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        write_whole(job.folder / "where", _here())
        write_whole(job.folder / "server", str(os.getpid()))
        process = subprocess.Popen(
            [sys.executable, "-m", "genrekit.app.jobs.run", str(job.folder)],
            cwd=Path(__file__).resolve().parents[3],
            env={**threads.variables(), **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=events,
            stderr=log,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        reaper = threading.Thread(target=_reap, args=(job, process), name=_reaper(job), daemon=True)
        reaper.start()
        write_whole(job.folder / STARTED, str(process.pid))
    event("job started", job=short(job.id), kind=job.kind)
    return True


def end_unstarted(job: Job) -> None:
    """Make a job that cannot be started a failed one, which says so and can be resumed."""
    message = "The server could not start this: try again in a few minutes."
    last = ({"type": "error", "message": message}, {"type": "exit", "status": _UNSTARTED})
    with (job.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in last)
    write_whole(job.folder / STARTED, "")


def _reaper(job: Job) -> str:
    return f"reaper of {job.id}"


def wait_until_reaped(job: Job) -> None:
    """So that what became of its process is logged before what becomes of the job."""
    for thread in threading.enumerate():
        if thread.name == _reaper(job):
            thread.join(_DIE_SECONDS)


def _reap(job: Job, process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process, which would stay a zombie otherwise, and log what became of its job."""
    process.wait()
    with contextlib.suppress(OSError):
        seconds, status = job.seconds(), job.status
        event("job ended", job=short(job.id), kind=job.kind, status=status, seconds=seconds)


def forget_run(job: Job) -> None:
    """Make a job that has been started a waiting one."""
    # "started" goes last: without it the job may be started again at any moment.
    for name in reversed(_STATE):
        (job.folder / name).unlink(missing_ok=True)


def is_ours(job: Job) -> bool:
    """Whether this server has to see to a running job: it started it, or who did is gone."""
    try:
        if (job.folder / "where").read_text() != _here():
            return False
        server = int((job.folder / "server").read_text())
        os.kill(server, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return server == os.getpid()


def kill(job: Job) -> None:
    """Kill the job's whole process group, but only while the lock proves that it is ours.

    Servers that share the folder may be containers or machines: there the process id means
    another process. The job's own process looks for "stopped", and ends itself.
    """
    if (job.folder / STARTED).exists() and is_locked(job.folder / "lock"):
        with contextlib.suppress(OSError, ValueError):
            if (job.folder / "where").read_text() == _here():
                os.killpg(int((job.folder / STARTED).read_text()), signal.SIGKILL)


def _here() -> str:
    """What a process id counts in: this machine, or on Linux this container of it."""
    space = ""
    with contextlib.suppress(OSError):
        space = Path("/proc/self/ns/pid").readlink().name
    return f"{socket.gethostname()} {space}"


def wait_until_unlocked(job: Job) -> None:
    """A killed process takes a moment to die."""
    deadline = time.monotonic() + _DIE_SECONDS
    while is_locked(job.folder / "lock") and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 10)


def wait_until_dead(job: Job) -> None:
    """A process that was told to end takes a moment when it runs elsewhere."""
    deadline = time.monotonic() + _DIE_SECONDS
    while is_locked(job.folder / "lock") and not job.active and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS / 4)
