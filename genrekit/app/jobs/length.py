"""How long jobs take: by their commands and files before they start, by their progress afterwards.

The figures were taken on two quiet cores. They need to be right within a factor of two or so: they
tell short jobs from long ones, and say about how long a visitor waits.
"""

import itertools
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from genrekit.app.jobs.job import Job
from genrekit.app.jobs.storage import bytes_below

__all__ = ["SHORT_SECONDS", "expected_seconds", "is_short", "progress", "remaining_seconds"]

SHORT_SECONDS: Final = 20.0
_START_SECONDS: Final = 2.0
_PYTORCH_SECONDS: Final = 3.0
# For each MB of what a command reads, s: of music, of datasets, and of datasets in each epoch.
_PER_MEGABYTE: Final = {"inspect": 0.15, "preprocess": 0.15, "import": 0.2, "import-model": 0.05}
_PER_EPOCH: Final = {"mlp": 0.025, "cnn": 0.4, "everyday": 0.004, "svm": 0.5, "knn": 0.1}
_COMPOSED_SECONDS: Final = 0.002  # for each second of music
_STYLES: Final = 12


@lru_cache(maxsize=1000)
def expected_seconds(job: Job) -> float:
    """Return about how long a job takes on an idle machine, in s."""
    return _START_SECONDS + sum(_of_command(job.folder, command) for command in job.commands)


def is_short(job: Job) -> bool:
    """Return True if a job is expected to take no longer than `SHORT_SECONDS`."""
    return expected_seconds(job) <= SHORT_SECONDS


def remaining_seconds(job: Job) -> float:
    """Return about how long a running job will still take, in s, from 1."""
    elapsed, (done, total, _) = job.seconds(), progress(job.events())
    if done:
        return max(1.0, elapsed * (total - done) / done)
    return max(1.0, expected_seconds(job) - elapsed)


def progress(events: list[dict[str, Any]]) -> tuple[int, int, str]:
    """Return what the present command has done, of how much, and the unit; 0, 0, "" at first."""
    for event in reversed(events):
        if event["type"] == "track":
            return event["done"], event["total"], "tracks"
        if event["type"] == "epoch":
            start = next((e for e in events if e["type"] == "start"), {"epochs": 0})
            if start.get("recipe") == "fit":  # it has no epochs
                break
            return event["epoch"], start["epochs"], "epochs"
        if event["type"] == "step":
            break
    return 0, 0, ""


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
