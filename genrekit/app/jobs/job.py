"""A job and its state, which are files in a folder.

    job.json      kind, title, commands, owner, time of the request, the owner's address as a code
    where         the machine or container that runs it, where the process ids are valid
    server        the process id of the server that starts it
    lock          locked by the process for as long as it lives, however it dies
    started       the process id, once it has started
    events.jsonl  the commands' standard output; the last event of a finished job is "exit"
    log.txt       the commands' standard error
    finished      the number of commands that are done
    stopped       why it was ended: "cancelled", "time limit" or "disk space"; the process then
                  ends at once
    seen          touched while its visitor is here
    stop early    present if training is to end after this epoch

Its input and output are in the same folder. A job that was started, holds no lock and has no exit
event was interrupted, and can be resumed.
"""

import contextlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from genrekit.system.portable import try_lock

__all__ = [
    "JOB_ID",
    "SEEN",
    "STARTED",
    "STOPPED",
    "STOP_EARLY",
    "Job",
    "Status",
    "is_locked",
    "read_job",
]

Status = Literal["waiting", "running", "done", "failed", "cancelled", "timed out", "interrupted"]
JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")

STARTED: Final = "started"
STOPPED: Final = "stopped"
STOP_EARLY: Final = "stop early"
SEEN: Final = "seen"
_STOPPED_AS: Final[dict[str, Status]] = {"time limit": "timed out", "disk space": "failed"}
# A page that is loaded again, or a phone in a pocket, comes back within that time.
_GONE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Job:
    """A job; its state is read from its folder."""

    folder: Path
    kind: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    owner: str
    created: float
    address: str = ""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def status(self) -> Status:
        """The present state."""
        with contextlib.suppress(FileNotFoundError):
            reason = (self.folder / STOPPED).read_text()
            return _STOPPED_AS.get(reason, "cancelled")
        if not (self.folder / STARTED).exists():
            # A server killed while it started a job may have left a process and nothing else.
            return "running" if is_locked(self.folder / "lock") else "waiting"
        # The lock comes before the exit event: a job may end in between.
        if is_locked(self.folder / "lock"):
            return "running"
        last = self.events()[-1:]
        if not last or last[0]["type"] != "exit":
            return "interrupted"
        return "done" if last[0].get("status") in (0, 1) else "failed"

    @property
    def active(self) -> bool:
        return self.status in ("waiting", "running")

    @property
    def alone(self) -> bool:
        """True if its visitor has left."""
        seen = self.created
        with contextlib.suppress(FileNotFoundError):
            seen = (self.folder / SEEN).stat().st_mtime
        return time.time() - seen > _GONE_SECONDS

    def events(self) -> list[dict[str, Any]]:
        """Return all events so far; a line that is still being written comes later."""
        try:
            text = (self.folder / "events.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        events = []
        for line in text[: text.rfind(b"\n") + 1].splitlines():
            # A library may print other lines to standard output.
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "type" in event:
                    events.append(event)
        return events

    def log(self) -> str:
        """Return the last 20,000 characters of standard error."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log.txt").read_text("utf-8", errors="replace")[-20_000:]
        return ""

    def started_at(self) -> float | None:
        """Return when the job was started last, in s since 1970; None before that."""
        try:
            return (self.folder / STARTED).stat().st_mtime
        except FileNotFoundError:
            return None

    def seconds(self) -> float:
        """Return how long the job has run."""
        start = self.started_at()
        if start is None:
            return 0.0
        if self.status == "running":
            return time.time() - start
        ends = [self.folder / name for name in ("events.jsonl", "log.txt", STOPPED)]
        return max([p.stat().st_mtime for p in ends if p.exists()] + [start]) - start


def read_job(folder: Path) -> Job | None:
    """Return the job in a folder, or None."""
    try:
        about = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        about["commands"] = tuple(map(tuple, about["commands"]))
        return Job(**about | {"folder": folder})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock."""
    try:
        with path.open("r") as file:
            return not try_lock(file.fileno(), shared=True)
    except FileNotFoundError:
        return False
