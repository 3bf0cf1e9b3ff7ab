"""Disk space: how much jobs take, which may be removed, and what crashes leave behind.

When space is short, finished jobs are removed, the oldest first. A job that waits or runs stays,
and so does a job whose music or dataset such a job reads.
"""

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from genrekit.app.jobs.job import JOB_ID, Job

__all__ = [
    "bytes_below",
    "check_writable",
    "expendable",
    "free_bytes",
    "needed",
    "remove_leftovers",
    "size_of",
]

# Names of temporary files: of atomic writing, the composer, an upload being unpacked, a download
# being made. Visitors' files, and parts that a job resumes from, never begin with a dot.
_TEMPORARY: Final = re.compile(r"\..+\.\d+\.(tmp|part)|\.(upload|download)-.+")
_FRESH_SECONDS: Final = 3600.0
_WRITING_SECONDS: Final = 60.0
_REFERENCE: Final = re.compile(r"\.\./([A-Za-z0-9_-]{22})(/|$)")


def bytes_below(path: Path) -> int:
    """Return the size of all files in a folder, in bytes; links are not followed."""
    total, folders = 0, [os.fspath(path)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                with contextlib.suppress(OSError):  # removed in the meantime
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def free_bytes(path: Path) -> int:
    """Return the free space on the disk that holds `path`, in bytes."""
    return shutil.disk_usage(path).free


def check_writable(folder: Path) -> None:
    """Raise OSError unless a file can be written to a folder."""
    trial = folder / f".trial.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        trial.write_bytes(b"0" * 4096)
    finally:
        trial.unlink(missing_ok=True)


def size_of(job: Job) -> int:
    """Return the bytes that a job's folder takes; a finished job is measured once."""
    if job.active:
        return bytes_below(job.folder)
    # The files of its state: a resumed job writes new events.
    paths = [job.folder / name for name in ("job.json", "events.jsonl", "stopped")]
    changed = max((path.stat().st_mtime_ns for path in paths if path.exists()), default=0)
    return _size_at(job.folder, changed)


@lru_cache(maxsize=10_000)
def _size_at(folder: Path, _changed: int) -> int:
    return bytes_below(folder)


def needed(jobs: Sequence[Job]) -> frozenset[str]:
    """Return the ids of active jobs, and of jobs whose files they read."""
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
    """Return the oldest jobs that together free `excess` bytes, or all but those to `keep`.

    `sizes` are jobs with their bytes, oldest first; `keep` are ids.
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
    """Remove temporary files of jobs that do not run, and abandoned folders; return how many.

    `running` are the ids of jobs whose process is alive, whose folders are skipped; `begun` those
    of all jobs. Any other folder takes an upload, or is abandoned when nothing has changed in it
    for an hour.
    """
    removed = 0
    for path in root.iterdir():
        if path.is_symlink() or path.name in running:
            continue
        if path.name in begun:
            # The server itself may be writing there, such as a download.
            removed += _remove_old(_temporary_below(path), _WRITING_SECONDS)
        elif JOB_ID.fullmatch(path.name):
            removed += _remove_old([path], _FRESH_SECONDS)
        elif _TEMPORARY.fullmatch(path.name):
            removed += _remove_old([path], _WRITING_SECONDS)
    return removed


def _remove_old(paths: Iterable[Path], seconds: float) -> int:
    return sum(_remove(path) for path in paths if _age(path) > seconds)


def _temporary_below(folder: Path) -> list[Path]:
    return [
        Path(inside, name)
        for inside, folders, names in os.walk(folder)
        for name in (*names, *folders)
        if _TEMPORARY.fullmatch(name)
    ]


def _age(folder: Path) -> float:
    """Return the seconds since a file, or anything directly in a folder, changed."""
    try:
        inside = folder.iterdir() if folder.is_dir() else ()
        return time.time() - max(path.lstat().st_mtime for path in (folder, *inside))
    except OSError:
        return 0.0


def _remove(path: Path) -> int:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return 1
    return 0
