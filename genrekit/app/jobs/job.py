"""One job, as its folder tells: a job is a folder, and all its state is in files.

    job.json      what it is: kind, title, the commands, the owner, when it was asked for
    where         the machine or container that starts it, to which the process ids belong
    server        the process id of the server that starts it
    lock          locked by the process for as long as it lives, however it dies
    started       the process id, once it has been started
    events.jsonl  what the commands report; the last event of a finished job is "exit"
    log.txt       what they write to standard error
    finished      how many of the commands are done
    stopped       why somebody ended it: "cancelled" or "time limit"; its process obeys at once
    stop early    present when training shall end after this epoch; its process removes it

and beside them whatever it reads and makes. A job that was started, holds no lock and has no
exit event was interrupted, and can be resumed.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

__all__ = [
    "ACTIVE",
    "STARTED",
    "STOPPED",
    "STOP_EARLY",
    "Job",
    "Status",
    "as_tuples",
    "is_locked",
    "read_job",
]

Status = Literal["waiting", "running", "done", "failed", "cancelled", "timed out", "interrupted"]
ACTIVE: Final = ("waiting", "running")

STARTED: Final = "started"
STOPPED: Final = "stopped"
STOP_EARLY: Final = "stop early"


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
        if not (self.folder / STARTED).exists():
            # A server that was killed while it started a job may have left no more than a process.
            return "running" if is_locked(self.folder / "lock") else "waiting"
        # The exit event is looked for after the lock: a job may end between the two looks.
        if is_locked(self.folder / "lock"):
            return "running"
        last = self.events()[-1:]
        if not last or last[0]["type"] != "exit":
            return "interrupted"
        return "done" if last[0].get("status") in (0, 1) else "failed"

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
            start = (self.folder / STARTED).stat().st_mtime
        except FileNotFoundError:
            return 0.0
        if self.status == "running":
            return time.time() - start
        ends = [self.folder / name for name in ("events.jsonl", "log.txt", STOPPED)]
        return max([p.stat().st_mtime for p in ends if p.exists()] + [start]) - start

    def _stopped(self) -> str:
        try:
            reason = (self.folder / STOPPED).read_text()
        except FileNotFoundError:
            return ""
        return {"time limit": "timed out"}.get(reason, "cancelled")


def read_job(folder: Path) -> Job | None:
    try:
        about = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        about["commands"] = as_tuples(about["commands"])
        return Job(**about | {"folder": folder})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def as_tuples(commands: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(command) for command in commands)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
