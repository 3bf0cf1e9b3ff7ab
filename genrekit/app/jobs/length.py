"""How long jobs take: by their commands and files before they start, by their progress afterwards.

The figures were taken on two quiet cores. They need to be right within a factor of two or so: they
tell short jobs from long ones, and say about how long a visitor waits.
"""

import itertools
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from genrekit.app.jobs.job import Job
from genrekit.app.jobs.storage import bytes_below

__all__ = [
    "SHORT_SECONDS",
    "Progress",
    "expected_seconds",
    "is_short",
    "progress",
    "remaining_seconds",
]

SHORT_SECONDS: Final = 20.0
_START_SECONDS: Final = 2.0
_PYTORCH_SECONDS: Final = 3.0
# For each MB of what a command reads, s: of music, of datasets, and of datasets in each epoch.
_PER_MEGABYTE: Final = {"inspect": 0.15, "preprocess": 0.15, "import": 0.2, "import-model": 0.05}
_PER_EPOCH: Final = {"mlp": 0.025, "cnn": 0.4, "everyday": 0.004, "svm": 0.5, "knn": 0.1}
# After the last epoch: the model is examined, and written.
_EXAM_SECONDS: Final = 2.0
_COMPOSED_SECONDS: Final = 0.002  # for each second of music
_STYLES: Final = 12
# How many tracks or epochs tell the speed: a resumed command counts what it had done at once.
_LATELY: Final = 50


@lru_cache(maxsize=1000)
def expected_seconds(job: Job) -> float:
    """Return about how long a job takes on an idle machine, in s."""
    return _START_SECONDS + sum(_of_command(job.folder, command) for command in job.commands)


def is_short(job: Job) -> bool:
    """Return True if a job is expected to take no longer than `SHORT_SECONDS`."""
    return expected_seconds(job) <= SHORT_SECONDS


def remaining_seconds(job: Job, at: "Progress", pace: float = 1.0) -> float:
    """Return about how long a running job that has come so far will still take, in s, from 1.

    What has no speed yet is expected to take `pace` times as long as on an idle machine; what has
    outlasted that, a quarter more of what it has taken.
    """
    if at.speed:
        later = sum(_of_command(job.folder, command) for command in job.commands[at.step + 1 :])
        later += _EXAM_SECONDS if at.unit == "epochs" else 0.0
        return max(1.0, (at.total - at.done) / at.speed + pace * later)
    elapsed = job.seconds()
    return max(1.0, pace * expected_seconds(job) - elapsed, elapsed / 4)


class Progress(NamedTuple):
    """What the present command of a job has done.

    Attributes
    ----------
    done, total : int, 0 at first, and where a command does not count
    unit : str, "tracks" or "epochs", or empty
    speed : float, units a second lately, 0.0 until two have been done
    step : int, which of the job's commands it is, from 0
    """

    done: int = 0
    total: int = 0
    unit: str = ""
    speed: float = 0.0
    step: int = 0


def progress(events: Sequence[dict[str, Any]]) -> Progress:
    """Return what the present command has done."""
    begun = max((i for i, event in enumerate(events) if event["type"] == "step"), default=-1)
    step = events[begun].get("step", 0) if begun >= 0 else 0
    present = events[begun + 1 :]
    tracks = [event for event in present if event["type"] == "track"]
    if tracks:
        done, total = tracks[-1]["done"], tracks[-1]["total"]
        return Progress(done, total, "tracks", _speed(tracks, "done"), step)
    epochs = [event for event in present if event["type"] == "epoch"]
    start = next((event for event in present if event["type"] == "start"), {"epochs": 0})
    if epochs and start.get("recipe") != "fit":  # it has no epochs
        done, total = epochs[-1]["epoch"], start["epochs"]
        return Progress(done, total, "epochs", _speed(epochs, "epoch"), step)
    return Progress(step=step)


def _speed(events: Sequence[dict[str, Any]], counted: str) -> float:
    """How fast the last of these events came, until now: a job that hangs is slow."""
    first, last = events[-_LATELY:][0], events[-1]
    if "time" not in first:  # a server before this one
        return 0.0
    seconds = max(last["time"], time.time()) - first["time"]
    return (last[counted] - first[counted]) / seconds if seconds > 0 else 0.0


def _of_command(folder: Path, command: tuple[str, ...]) -> float:
    given = dict(itertools.pairwise(command))
    if command[0] == "demo-data":
        tracks, seconds = float(given.get("--tracks", 12)), float(given.get("--seconds", 12))
        return _COMPOSED_SECONDS * _STYLES * tracks * seconds
    read = _megabytes(folder / command[1]) if len(command) > 1 else 0.0
    if command[0] in ("train", "leak-meter"):
        epochs = float(given.get("--epochs", 1))
        once = _PYTORCH_SECONDS + _PER_EPOCH.get(given.get("--network", ""), 0.0) * epochs * read
        return once * (3 if command[0] == "leak-meter" else 1)
    torch = _PYTORCH_SECONDS if command[0] == "import-model" else 0.0
    return torch + _PER_MEGABYTE.get(command[0], 0.0) * read


def _megabytes(path: Path) -> float:
    """Return the size of a file, or of all files in a folder; 0 where there is nothing yet."""
    return (path.stat().st_size if path.is_file() else bytes_below(path)) / 1e6
