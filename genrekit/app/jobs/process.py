"""Start, kill and await the process of a job, from the server."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from genrekit.app.jobs.job import STARTED, STOP_EARLY, STOPPED, Job, is_locked
from genrekit.app.jobs.length import is_short
from genrekit.app.jobs.walls import SCRATCH, Walls
from genrekit.app.logs import event, short
from genrekit.isolation.handle import clean_environment
from genrekit.system import threads
from genrekit.system.files import write_whole
from genrekit.system.portable import POSIX, kill_group, try_lock

__all__ = [
    "end_unstarted",
    "forget_run",
    "give_way",
    "is_ours",
    "kill",
    "say_error",
    "start",
    "wait_until_reaped",
    "wait_until_unlocked",
]

_POLL_SECONDS: Final = 0.02
_DIE_SECONDS: Final = 5.0
_STATE: Final = (STARTED, "events.jsonl", "log.txt", STOPPED, STOP_EARLY)
_UNSTARTED: Final = 3
# Beside a long job, a short one gets three quarters of a processor that both want, and the two get
# an eighth beside the server: whoever turns a page waits for no job.
_NICE_SHORT: Final = 10
_NICE_LONG: Final = 15
_NICEST: Final = 19
_SIGKILL: Final = 9  # Python on Windows has no name for it
_KILLED: Final = "The system ended this, most likely for lack of memory: give it less at a time."
_CRASHED: Final = (
    "This crashed, over a damaged file or for lack of memory: leave out files that other programs "
    "cannot open, or give it less at a time."
)


def _niceness(job: Job) -> int:
    """Return how far a job gives way to the server, to short jobs and to visitors who are here."""
    if job.alone:
        return _NICEST
    return _NICE_SHORT if is_short(job) else _NICE_LONG


def start(job: Job, walls: Walls) -> bool:
    """Start a job's process, which inherits the lock; False if an earlier one is alive."""
    with (
        contextlib.ExitStack() as until_started,
        (job.folder / "events.jsonl").open("ab") as events,
        (job.folder / "log.txt").open("ab") as log,
    ):
        lock = until_started.enter_context((job.folder / "lock").open("w"))
        if not try_lock(lock.fileno()):
            return False
        write_whole(job.folder / "where", _here())
        write_whole(job.folder / "server", str(os.getpid()))
        process = subprocess.Popen(
            [sys.executable, "-m", "genrekit.app.jobs.run", str(job.folder), walls.to_text()],
            cwd=Path(__file__).resolve().parents[3],
            env=_environment(job, walls),
            stdin=subprocess.DEVNULL,
            stdout=events,
            stderr=log,
            pass_fds=[lock.fileno()] if POSIX else (),
            start_new_session=True,
        )
        # Where no process inherits a lock, the server keeps it in the job's place.
        kept = contextlib.ExitStack() if POSIX else until_started.pop_all()
        reaper = threading.Thread(
            target=_reap, args=(job, process, kept), name=f"reaper of {job.id}", daemon=True
        )
        reaper.start()
        write_whole(job.folder / STARTED, str(process.pid))
    give_way(job)  # before its imports
    event("job started", job=short(job.id), kind=job.kind)
    return True


def end_unstarted(job: Job) -> None:
    """Make a job that cannot be started a failed one, with a message; it can be resumed."""
    say_error(job, "The server could not start this: try again in a few minutes.")
    _add_event(job, {"type": "exit", "status": _UNSTARTED})
    write_whole(job.folder / STARTED, "")


def say_error(job: Job, message: str) -> None:
    """Add a sentence to what a job says to its visitor."""
    _add_event(job, {"type": "error", "message": message})


def _add_event(job: Job, event: dict[str, object]) -> None:
    # The process may have died in the middle of a line.
    with (job.folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n" + json.dumps(event) + "\n")


def _environment(job: Job, walls: Walls) -> dict[str, str]:
    if walls.confined:
        return clean_environment(str(job.folder / SCRATCH), None)
    return {**threads.variables(), **os.environ}


def wait_until_reaped(job: Job) -> None:
    """Wait until the end of a job's process is logged."""
    for thread in threading.enumerate():
        if thread.name == f"reaper of {job.id}":
            thread.join(_DIE_SECONDS)


def _reap(job: Job, process: "subprocess.Popen[bytes]", kept: contextlib.ExitStack) -> None:
    """Wait for a process, lest it stay a zombie, and log the end of its job."""
    with kept:
        ended = process.wait()
    with contextlib.suppress(OSError):
        if ended and ended < 0 and job.status == "interrupted":
            say_error(job, _KILLED if ended == -_SIGKILL else _CRASHED)
        seconds, status = job.seconds(), job.status
        event("job ended", job=short(job.id), kind=job.kind, status=status, seconds=seconds)


def forget_run(job: Job) -> None:
    """Make a job that was started a waiting one."""
    # "started" goes last: without it, the job may be started again at any moment.
    for name in reversed(_STATE):
        (job.folder / name).unlink(missing_ok=True)


def is_ours(job: Job) -> bool:
    """Return whether this server is in charge of a running job: its own, or a dead server's."""
    try:
        if (job.folder / "where").read_text() != _here():
            return False
        server = int((job.folder / "server").read_text())
        if server == os.getpid() or not POSIX:
            return server == os.getpid()
        os.kill(server, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False


def kill(job: Job) -> None:
    """Kill the job's process group, if the lock proves that it lives on this machine.

    Elsewhere, in another container or machine that shares the folder, the process id is another
    process's; there the job's own process sees "stopped" and ends itself.
    """
    if (job.folder / STARTED).exists() and is_locked(job.folder / "lock"):
        with contextlib.suppress(OSError, ValueError):
            if (job.folder / "where").read_text() == _here():
                kill_group(int((job.folder / STARTED).read_text()))


def give_way(job: Job) -> None:
    """Have a running job, if it is of this machine, give way as far as it should by now.

    Without the right to it, a job whose visitor has come back stays as nice as it was.
    """
    with contextlib.suppress(OSError, ValueError):
        here = (job.folder / "where").read_text() == _here()
        if POSIX and here and is_locked(job.folder / "lock"):
            group, nice = int((job.folder / STARTED).read_text()), _niceness(job)
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PGRP, group, min(_NICEST, ours + nice))
            Path(f"/proc/{group}/autogroup").write_text(str(nice))


def _here() -> str:
    """Return where a process id is valid: this machine, or on Linux this container of it."""
    space = ""
    with contextlib.suppress(OSError):
        space = Path("/proc/self/ns/pid").readlink().name
    return f"{socket.gethostname()} {space}"


def wait_until_unlocked(job: Job) -> None:
    """Wait for the end of a process that was killed, or elsewhere told to end."""
    deadline = time.monotonic() + _DIE_SECONDS
    while is_locked(job.folder / "lock") and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
