"""Long work outside the server: each job is the command line in a process of its own.

A job is a folder. Its name is its unguessable id; whoever has the id may look at the job. All
its state is in files, so that a page, a second browser or a restarted server sees the same:

    job.json      what it is: kind, title, the commands, the owner, when it was asked for
    started       the process id, once it has been started
    lock          locked by the process for as long as it lives, however it dies
    events.jsonl  what the commands report; the last event of a finished job is "exit"
    log.txt       what they write to standard error
    finished      how many of the commands are done
    stopped       why somebody ended it: "cancelled" or "time limit"

and beside them whatever it reads and makes. A job that was started, holds no lock and has no
exit event was interrupted, and can be resumed: preprocessing goes on where it stopped.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from genrekit.app.settings import Settings
from genrekit.errors import GenreKitError

__all__ = ["PATIENT_THREADS", "Job", "JobRefused", "Jobs", "Status"]

Status = Literal["waiting", "running", "done", "failed", "cancelled", "timed out", "interrupted"]
ACTIVE: Final = ("waiting", "running")

# OpenMP's threads burn a processor while they wait for each other, unless told to sleep: on a
# machine shared with other work, training took three times as long, six times the processor.
PATIENT_THREADS: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_POLL_SECONDS: Final = 0.2
_CLEAN_SECONDS: Final = 300


class JobRefused(GenreKitError):
    """The job may not be added now; the message says why and when to try again."""


@dataclass(frozen=True)
class Job:
    """One job, as its folder tells."""

    folder: Path
    kind: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    owner: str
    created: float

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def status(self) -> Status:
        """Where the job stands now."""
        if self._stopped():
            return self._stopped()  # type: ignore[return-value]
        if not (self.folder / "started").exists():
            return "waiting"
        # The exit event is looked for after the lock: a job may end between the two looks.
        if _is_locked(self.folder / "lock"):
            return "running"
        last = self.events()[-1:]
        if not last or last[0]["type"] != "exit":
            return "interrupted"
        return "done" if last[0]["status"] in (0, 1) else "failed"

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    def events(self) -> list[dict[str, Any]]:
        """All events so far; a line that is still being written is left for later."""
        try:
            text = (self.folder / "events.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        events = []
        for line in lines:
            # A library may print to standard output: what is no event belongs to nobody.
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "type" in event:
                    events.append(event)
        return events

    def log(self, characters: int = 20_000) -> str:
        """The end of what was written to standard error."""
        try:
            text = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return text[-characters:]

    def seconds(self) -> float:
        """How long it has run, or ran."""
        try:
            start = (self.folder / "started").stat().st_mtime
        except FileNotFoundError:
            return 0.0
        if self.status == "running":
            return time.time() - start
        ends = [self.folder / name for name in ("events.jsonl", "log.txt", "stopped")]
        return max([p.stat().st_mtime for p in ends if p.exists()] + [start]) - start

    def _stopped(self) -> str:
        try:
            reason = (self.folder / "stopped").read_text()
        except FileNotFoundError:
            return ""
        return {"time limit": "timed out"}.get(reason, "cancelled")


class Jobs:
    """The jobs below one folder, and the thread that starts, bounds and cleans them.

    Several servers may share the folder: a lock lets one of them schedule at a time.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.jobs_folder
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._wake = threading.Event()
        self._cleaned = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop scheduling; running jobs go on, and another `Jobs` on the folder takes over."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    # -- asked for by pages -----------------------------------------------------------------

    def new_folder(self) -> Path:
        """A folder for a job to come, for its input to be put into; `add` makes it a job."""
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        return folder

    def add(
        self,
        folder: Path,
        kind: str,
        title: str,
        commands: Sequence[Sequence[str]],
        owner: str,
    ) -> Job:
        """Queue a job.

        Parameters
        ----------
        folder : from `new_folder`; it is removed when the job is refused
        kind : what it makes: "music", "dataset", "model" or "leak"
        commands : arguments of ``python -m genrekit``, run one after another in `folder`
        owner : who asks, for the quota

        Raises
        ------
        JobRefused
        """
        with _locked(self.root / "queue.lock"):
            active = [job for job in self.all() if job.active]
            try:
                self._check_quota(active, owner)
            except JobRefused:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            about = Job(folder, kind, title, _tuples(commands), owner, time.time())
            _write_whole(folder / "job.json", json.dumps(asdict(about) | {"folder": ""}))
        self._wake.set()
        return about

    def get(self, job_id: str) -> Job | None:
        """The job of this id, or None: unknown, expired or no id at all."""
        if not _ID.fullmatch(job_id):
            return None
        return _read(self.root / job_id)

    def all(self) -> list[Job]:
        """All jobs, oldest first."""
        found = (_read(path) for path in self.root.iterdir() if _ID.fullmatch(path.name))
        return sorted((job for job in found if job), key=lambda job: job.created)

    def place(self, job: Job) -> int:
        """How many jobs are before this one in the queue."""
        waiting = [other.id for other in self.all() if other.status == "waiting"]
        return waiting.index(job.id) if job.id in waiting else 0

    def cancel(self, job: Job, reason: str = "cancelled") -> None:
        """End a job; what it has finished stays in its folder."""
        with _locked(self.root / "queue.lock"):
            if job.active:
                _write_whole(job.folder / "stopped", reason)
                _kill(job)

    def stop_early(self, job: Job) -> None:
        """Ask a training job to end after this epoch and to keep what it has learned."""
        if job.status == "running":
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int((job.folder / "started").read_text()), signal.SIGINT)

    def resume(self, job: Job) -> None:
        """Queue an interrupted, cancelled or failed job again."""
        with _locked(self.root / "queue.lock"):
            if job.active:
                return
            active = [other for other in self.all() if other.active]
            self._check_quota(active, job.owner)
            for name in ("started", "events.jsonl", "log.txt", "stopped"):
                (job.folder / name).unlink(missing_ok=True)
        self._wake.set()

    def _check_quota(self, active: Sequence[Job], owner: str) -> None:
        mine = sum(job.owner == owner for job in active)
        if mine >= self.settings.jobs_per_visitor:
            raise JobRefused(
                f"You have {mine} jobs under way already: wait for one to end, or cancel one."
            )
        waiting = sum(job.status == "waiting" for job in active)
        if waiting >= max(1, self.settings.jobs_waiting):
            raise JobRefused(
                f"{waiting} jobs are waiting already, and no more fit: try again in a few minutes."
            )

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            busy = False
            with contextlib.suppress(OSError):
                busy = self._tend()
            self._wake.wait(_POLL_SECONDS if busy else 5)
            self._wake.clear()

    def _tend(self) -> bool:
        """Start what may start and end what must end; whether anything is under way."""
        with _locked(self.root / "queue.lock"):
            jobs = self.all()
            status = {job.id: job.status for job in jobs}
            running = [job for job in jobs if status[job.id] == "running"]
            waiting = [job for job in jobs if status[job.id] == "waiting"]
            for job in running:
                if job.seconds() > 60 * self.settings.job_minutes:
                    _write_whole(job.folder / "stopped", "time limit")
                    _kill(job)
            free = self.settings.jobs_at_once - len(running)
            for job in waiting[: max(0, free)]:
                _start(job)
            if time.monotonic() - self._cleaned > _CLEAN_SECONDS:
                self._cleaned = time.monotonic()
                self._clean()
        return bool(running or waiting)

    def _clean(self) -> None:
        """Remove what has expired: finished jobs, and folders that never became a job."""
        oldest = time.time() - 3600 * self.settings.job_keep_hours
        for path in self.root.iterdir():
            if not _ID.fullmatch(path.name):
                continue
            job = _read(path)
            newest = max(p.lstat().st_mtime for p in (path, *path.iterdir()))
            if newest < oldest and not (job and job.active):
                shutil.rmtree(path, ignore_errors=True)


def _start(job: Job) -> None:
    """Start a job's process. It inherits the lock, and with it the proof that it lives."""
    with (
        (job.folder / "lock").open("w") as lock,
        (job.folder / "events.jsonl").open("ab") as events,
        (job.folder / "log.txt").open("ab") as log,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "genrekit.app.run_job", str(job.folder)],
            cwd=Path(__file__).resolve().parents[2],
            env={**PATIENT_THREADS, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=events,
            stderr=log,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
        _write_whole(job.folder / "started", str(process.pid))
    # A process that has ended stays a zombie until somebody waits for it.
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()


def _kill(job: Job) -> None:
    """Kill the job's whole process group, but only while the lock proves that it is ours."""
    if (job.folder / "started").exists() and _is_locked(job.folder / "lock"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.killpg(int((job.folder / "started").read_text()), signal.SIGKILL)


def _read(folder: Path) -> Job | None:
    try:
        about = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        about["commands"] = _tuples(about["commands"])
        return Job(**about | {"folder": folder})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _tuples(commands: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(command) for command in commands)


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _is_locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
