"""Disk space: how much jobs take, who has to make room, and what crashes leave behind.

A finished job may be removed when space is short, the oldest first. A job that waits or runs
stays, and so does a job whose music or dataset another one is working on.
"""

import os
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from genrekit.app.jobs.job import Job

__all__ = ["Sizes", "bytes_below", "expendable", "free_bytes", "needed", "remove_leftovers"]

# Names that only temporary files have: of whole-file writing, of the composer, of an upload that
# is being unpacked, of a download that is being made. Visitors' files never begin with a dot, and
# parts that a job goes on from do not either.
_TEMPORARY: Final = re.compile(r"\..+\.\d+\.(tmp|part)|\.(upload|download)-.+")
# What earlier versions called the temporary files of a job's state.
_ONCE_TEMPORARY: Final = re.compile(r"(job\.json|where|server|started|stopped)\.new")
_JOB: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_FRESH_SECONDS: Final = 3600.0
_WRITING_SECONDS: Final = 60.0
_REFERENCE: Final = re.compile(r"\.\./([A-Za-z0-9_-]{22})(/|$)")


def bytes_below(path: Path) -> int:
    """What the files in a folder take, in bytes; links are not followed."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:  # it went while we looked
                continue
    return total


def free_bytes(path: Path) -> int:
    """Free space on the disk that holds `path`, in bytes."""
    return shutil.disk_usage(path).free


class Sizes:
    """Sizes of jobs; that of a finished job is measured once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], int] = {}

    def of(self, job: Job, active: bool) -> int:
        """Bytes that a job's folder takes."""
        if active:
            return bytes_below(job.folder)
        key = (job.id, _changed(job.folder))
        if key not in self._known:
            self._known[key] = bytes_below(job.folder)
        return self._known[key]

    def forget(self, others_than: Sequence[Job]) -> None:
        """Let go of jobs that are no more."""
        there = {job.id for job in others_than}
        self._known = {key: size for key, size in self._known.items() if key[0] in there}


def _changed(folder: Path) -> int:
    """When a job's state changed last; a job that is resumed writes new events."""
    times = [0]
    for name in ("job.json", "events.jsonl", "stopped"):
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError:
            continue
    return max(times)


def needed(jobs: Sequence[Job]) -> frozenset[str]:
    """The ids of jobs that are under way, and of those whose files they read."""
    active = [job for job in jobs if job.active]
    read = {
        found[1]
        for job in active
        for command in job.commands
        for word in command
        if (found := _REFERENCE.match(word))
    }
    return frozenset(read | {job.id for job in active})


def expendable(sizes: Sequence[tuple[Job, int]], keep: frozenset[str], excess: float) -> list[Job]:
    """The oldest jobs that free `excess` bytes together; fewer where there are no more.

    Parameters
    ----------
    sizes : jobs with their bytes, oldest first
    keep : ids of jobs that must stay
    excess : float, bytes; nothing is expendable at 0 or below
    """
    chosen: list[Job] = []
    for job, size in sizes:
        if excess <= 0:
            break
        if job.id not in keep:
            chosen.append(job)
            excess -= size
    return chosen


def remove_leftovers(root: Path, running: frozenset[str], begun: frozenset[str]) -> int:
    """Remove what crashes left: temporary files of jobs that do not run, abandoned folders.

    Parameters
    ----------
    root : Path, the folder of all jobs
    running : ids of jobs whose process lives; their folders are not looked into
    begun : ids of all jobs; a folder of another name is being filled by a visitor's upload, or
        was abandoned when nothing changed in it for an hour

    Returns
    -------
    int
        How many files and folders were removed.
    """
    removed = 0
    for path in root.iterdir():
        if path.is_symlink() or path.name in running:
            continue  # at work
        if path.name in begun:
            # The server itself may be writing there, for a download perhaps.
            removed += _remove_old(_temporary_below(path), _WRITING_SECONDS)
        elif _JOB.fullmatch(path.name):
            removed += _remove_old([path], _FRESH_SECONDS)
        elif _TEMPORARY.fullmatch(path.name):
            removed += _remove_old([path], _WRITING_SECONDS)
    return removed


def _remove_old(paths: Iterable[Path], seconds: float) -> int:
    return sum(_remove(path) for path in paths if _age(path) > seconds)


def _temporary_below(folder: Path) -> list[Path]:
    found = []
    for inside, folders, names in os.walk(folder):
        found += [Path(inside, name) for name in (*names, *folders) if _TEMPORARY.fullmatch(name)]
        if Path(inside) == folder:
            found += [folder / name for name in names if _ONCE_TEMPORARY.fullmatch(name)]
    return found


def _age(folder: Path) -> float:
    """Seconds since a file, or anything directly in a folder, changed."""
    try:
        inside = folder.iterdir() if folder.is_dir() else ()
        return time.time() - max(path.lstat().st_mtime for path in (folder, *inside))
    except OSError:
        return 0.0


def _remove(path: Path) -> int:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return 0
    return 1
