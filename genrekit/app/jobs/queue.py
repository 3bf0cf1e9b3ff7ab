"""The queue of jobs: long work, each job the command line in a process of its own.

A job is a folder (see `job.py`) named by its unguessable id; whoever has the id may see the job.
Pages, browsers and a restarted server read the same files. A server that stops puts its jobs back
into the queue, for itself or another server to resume.
"""

import contextlib
import itertools
import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

from genrekit.app.jobs import process, storage
from genrekit.app.jobs.job import JOB_ID, SEEN, STOP_EARLY, STOPPED, Job, read_job
from genrekit.app.jobs.length import expected_seconds, is_short, progress, remaining_seconds
from genrekit.app.jobs.turns import Turn, in_turn, may_start, seconds_until
from genrekit.app.jobs.walls import Walls
from genrekit.app.logs import event, short
from genrekit.app.rates import Allowances
from genrekit.app.settings import Settings
from genrekit.errors import GenreKitError
from genrekit.model.bundle import MODELS
from genrekit.system.files import write_whole
from genrekit.system.portable import try_lock
from genrekit.wording import counted, duration

__all__ = ["JobRefused", "Jobs"]

# How a command names what another job has made.
_OTHER_JOB: Final = re.compile(rf"\.\./({JOB_ID.pattern})/")
_POLL_SECONDS: Final = 0.2
_CLEAN_SECONDS: Final = 300
# How long another server may lock the queue before it counts as stuck.
_QUEUE_SECONDS: Final = 20.0
_HASTY_SECONDS: Final = 2.0
_STARTS: Final = 3
# How slow the machine is, is judged by so many jobs that are done, and at most so far from usual.
_RECENT: Final = 5
_PACE: Final = 5.0
# How old the order of waiting jobs may be that pages show.
_SEEN_SECONDS: Final = 1.0
# Jobs that an address may start, each second and saved up: three for each of a class of 40. Short
# jobs, one after another, would otherwise have a place of their own for ever.
STARTS_OF_ADDRESS: Final = (1 / 20, 120.0)
# Of the places in the queue, and of the disk space for jobs.
SHARE_OF_ADDRESS: Final = 0.5


class JobRefused(GenreKitError):
    """The job is not accepted now; the message says why, and when to try again.

    `reason` is the same in a word or two, for the log.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Jobs:
    """The jobs in a folder, and the thread that starts, limits and removes them.

    Several servers may share the folder: a lock lets one schedule at a time. Methods that change
    jobs raise JobRefused.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.jobs_folder
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._wake = threading.Event()
        self._cleaned = 0.0
        self._closed = False
        self._stopping = False
        self._failed_starts: dict[str, int] = {}
        self._alone: set[str] = set()
        self._starts = Allowances(*STARTS_OF_ADDRESS)
        # For `place_in_queue`: when, who waits in order, and who runs.
        self._seen: tuple[float, list[Turn], list[Turn]] = (0.0, [], [])
        # When each running job began, by the clock that is never set.
        self._since: dict[str, float | None] = {}
        with contextlib.suppress(JobRefused), self._queue(hasty=True):
            self._remove_leftovers()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop scheduling; running jobs continue, for another `Jobs` on the folder."""
        self._closed = True
        self._wake.set()
        self._thread.join()

    def shut_down(self) -> None:
        """Refuse new jobs, and put those of this server back into the queue."""
        self._stopping = True
        self.close()
        # If another server holds the queue, running jobs continue without this server.
        with contextlib.suppress(JobRefused), self._queue(hasty=True):
            mine = [job for job in self.all() if job.status == "running" and process.is_ours(job)]
            for job in mine:
                process.kill(job)
            for job in mine:
                process.wait_until_unlocked(job)
                process.wait_until_reaped(job)
                process.forget_run(job)
                event("job put back", job=short(job.id), kind=job.kind)

    @property
    def alive(self) -> bool:
        """True while jobs are being scheduled."""
        return self._thread.is_alive()

    # -- asked for by pages -----------------------------------------------------------------

    def new_folder(self) -> Path:
        """Create a folder for a job's input, unless refused; `add` makes it a job."""
        self._check_open()
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
        address: str = "",
    ) -> Job:
        """Queue a job of an owner, a visitor; `folder`, from `new_folder`, goes if it is refused.

        Its `kind` is what it makes: "music", "dataset", "model" or "leak". Its `commands` are
        arguments of ``python -m genrekit``, run one after another in the folder. `address` is the
        code of the owner's address, behind which there are limits; an empty one has none.
        """
        job = Job(folder, kind, title, tuple(map(tuple, commands)), owner, time.time(), address)
        try:
            with self._queue():
                jobs = self.all()
                self._check_open()
                self._check_quota(jobs, job)
                self._make_room(jobs, job, storage.bytes_below(folder))
                write_whole(folder / "job.json", json.dumps(asdict(job) | {"folder": ""}))
        except JobRefused as refusal:
            shutil.rmtree(folder, ignore_errors=True)
            event("job refused", kind=kind, reason=refusal.reason)
            raise
        event("job added", job=short(folder.name), kind=kind)
        self._wake.set()
        return job

    def room(self, owner: str, address: str = "") -> int:
        """Return how many bytes a visitor may still upload."""
        sizes = [(job, storage.size_of(job)) for job in self.all()]
        return max(1, self._left(sizes, owner, address))

    def get(self, job_id: str) -> Job | None:
        """Return the job of this id; None if it is unknown, expired or no id."""
        return read_job(self.root / job_id) if JOB_ID.fullmatch(job_id) else None

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        found = (read_job(path) for path in self.root.iterdir() if JOB_ID.fullmatch(path.name))
        return sorted((job for job in found if job), key=lambda job: job.created)

    def place_in_queue(self, job: Job) -> tuple[int, float]:
        """Return how many jobs are ahead of this one, and about how long it waits, in s.

        Pages ask for it again and again: the answer is up to a second old.
        """
        seen, order, running = self._seen
        ids = [turn.id for turn in order]
        if job.id not in ids or time.monotonic() > seen + _SEEN_SECONDS:
            waiting, running = self._turns(self.all())
            order = in_turn(waiting, running)
            ids = [turn.id for turn in order]
            self._seen = time.monotonic(), order, running
        if job.id not in ids:
            return 0, 0.0
        seconds = seconds_until(job.id, order, running, self.settings.jobs_at_once)
        return ids.index(job.id), seconds

    def note_present(self, owners: Collection[str]) -> None:
        """Note which visitors are here, every few seconds: the jobs of others give way."""
        for job in self.all():
            if job.owner in owners and job.active:
                with contextlib.suppress(OSError):  # removed in the meantime
                    (job.folder / SEEN).touch()

    def cancel(self, job: Job) -> None:
        """End a job; what it has finished stays in its folder."""
        with self._queue():
            if job.active:
                write_whole(job.folder / STOPPED, "cancelled")
                process.kill(job)
                event("job cancelled", job=short(job.id), kind=job.kind)

    def stop_early(self, job: Job) -> None:
        """Have a training job end after this epoch and keep the model."""
        if job.status == "running":
            (job.folder / STOP_EARLY).touch()

    def resume(self, job: Job) -> None:
        """Queue an interrupted, cancelled or failed job again."""
        if not job.active:
            process.wait_until_unlocked(job)
        with self._queue():
            if job.active:
                return
            self._check_open()
            self._check_quota(self.all(), job)
            process.forget_run(job)
            (job.folder / SEEN).touch()
            event("job resumed", job=short(job.id), kind=job.kind)
        self._wake.set()

    @contextlib.contextmanager
    def _queue(self, hasty: bool = False) -> Iterator[None]:
        """Lock the queue; refuse if another server, which may be stuck, keeps it locked."""
        end = time.monotonic() + (_HASTY_SECONDS if hasty else _QUEUE_SECONDS)
        with (self.root / "queue.lock").open("w") as file:
            while not try_lock(file.fileno()):
                if time.monotonic() > end:
                    raise JobRefused(
                        "The server is too busy to take this: try again in a minute.", "busy"
                    )
                time.sleep(_POLL_SECONDS / 10)
            yield

    def _check_open(self) -> None:
        if self._stopping:
            raise JobRefused("The server is being restarted: try again in a minute.", "restart")
        if storage.free_bytes(self.root) < 1e6 * self.settings.free_megabytes:
            event("disk nearly full", level=logging.ERROR)
            raise JobRefused(
                "The server's disk is nearly full, and it takes no new work: try again later.",
                "disk",
            )

    def _most_for_one(self) -> float:
        return min(self.settings.job_megabytes, self.settings.jobs_megabytes)

    def _left(self, sizes: Sequence[tuple[Job, int]], owner: str, address: str) -> int:
        """Return how many bytes of the disk a visitor may still have."""
        left = 1e6 * self._most_for_one() - sum(size for job, size in sizes if job.owner == owner)
        if address:
            most = max(self._most_for_one(), SHARE_OF_ADDRESS * self.settings.jobs_megabytes)
            of_address = sum(size for job, size in sizes if job.address == address)
            left = min(left, 1e6 * most - of_address)
        return round(left)

    def _make_room(self, jobs: Sequence[Job], job: Job, size: int) -> None:
        """Refuse what exceeds a visitor's space; remove old results if the disk space is short."""
        sizes = [(other, storage.size_of(other)) for other in jobs]
        left = self._left(sizes, job.owner, job.address)
        if size > left:
            raise JobRefused(
                f"This takes {size / 1e6:,.1f} MB, and there is room for "
                f"{max(0, left) / 1e6:,.1f} MB beside what you, or others on your network, have "
                "here already: send less, or wait until older results are removed, "
                f"{duration(3600 * self.settings.job_keep_hours)} after they are made.",
                "space of one",
            )
        if not self._shrink(sizes, size):
            raise JobRefused(
                "The server has no room for more work now: try again later.", "space of all"
            )

    def _shrink(self, sizes: Sequence[tuple[Job, int]], coming: int = 0) -> bool:
        """Remove the oldest results until the rest and `coming` fit; return whether they do."""
        excess = coming + sum(size for _, size in sizes) - 1e6 * self.settings.jobs_megabytes
        keep = storage.needed([job for job, _ in sizes])
        chosen = storage.expendable(sizes, keep, excess)
        freed = sum(size for job, size in sizes if job in chosen)
        if excess > freed and coming:
            return False  # and nothing is lost
        for job in chosen:
            shutil.rmtree(job.folder, ignore_errors=True)
            event("job removed", job=short(job.id), kind=job.kind, why="space")
        return excess <= freed

    def _check_quota(self, jobs: Sequence[Job], new: Job) -> None:
        active = [job for job in jobs if job.active]
        mine = sum(job.owner == new.owner for job in active)
        if mine >= self.settings.jobs_per_visitor:
            raise JobRefused(
                f"You have {counted(mine, 'job')} under way already: wait for one to end, or "
                "cancel one.",
                "jobs of visitor",
            )
        if len(active) >= self.settings.jobs_at_once + self.settings.jobs_waiting:
            raise JobRefused(
                f"The server has {counted(len(active), 'job')} to do already, and takes no more: "
                "try again in a few minutes.",
                "queue",
            )
        if not new.address:
            return
        near = sum(job.address == new.address for job in active)
        waiting = int(SHARE_OF_ADDRESS * self.settings.jobs_waiting)
        if near >= self.settings.jobs_at_once + waiting:
            raise JobRefused(
                f"Your network has {counted(near, 'job')} under way already: try again when one "
                "has ended.",
                "jobs of address",
            )
        if self._starts.share(new.address) * STARTS_OF_ADDRESS[1] < 1.0:
            raise JobRefused(
                "Many jobs were started from your network lately: try again in a minute.",
                "rate of address",
            )
        self._starts.take(new.address, 1.0)

    # -- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        """Schedule jobs until the server closes, whatever is wrong with one of them."""
        while not self._closed:
            busy = False
            try:
                busy = self._tend()
            except Exception as error:
                event("jobs could not be tended", level=logging.ERROR, error=error)
            self._wake.wait(_POLL_SECONDS if busy else 5)
            self._wake.clear()

    def _tend(self) -> bool:
        """Start and end jobs as the limits say; return whether any runs or waits."""
        with self._queue():
            jobs = {job.id: job for job in self.all()}
            waiting, running = self._turns(list(jobs.values()))
            self._since = {turn.id: self._since.get(turn.id) for turn in running}
            for turn in running:
                self._tend_running(jobs[turn.id], list(jobs.values()))
            for turn in in_turn(waiting, running):
                at_once = self.settings.jobs_at_once
                if may_start(turn, running, at_once) and self._begin(jobs[turn.id]):
                    running.append(turn)
            if time.monotonic() - self._cleaned > _CLEAN_SECONDS:
                self._cleaned = time.monotonic()
                self._clean()
        return bool(running or waiting)

    @staticmethod
    def _turns(jobs: Sequence[Job]) -> tuple[list[Turn], list[Turn]]:
        """Return the turns of waiting and of running jobs."""
        status = {job.id: job.status for job in jobs}
        done = [job for job in jobs if status[job.id] == "done"][-_RECENT:]
        paces = [job.seconds() / expected_seconds(job) for job in done]
        pace = min(max(median(paces or [1.0]), 1 / _PACE), _PACE)
        begun = {job: at for job in jobs if (at := job.started_at()) is not None}
        waiting = []
        for job in (job for job in jobs if status[job.id] == "waiting"):
            later = [at for other, at in begun.items() if job.created < other.created]
            had = [
                at for other, at in begun.items() if job.address and job.address == other.address
            ]
            last = max(had, default=0.0)
            turn = Turn(
                *(job.id, job.created, pace * expected_seconds(job), is_short(job), job.alone),
                *(len(later), sum(at > last for at in later), job.owner, job.address),
            )
            waiting.append(turn)
        running = [
            Turn(
                *(
                    job.id,
                    job.created,
                    remaining_seconds(job, progress(job.events()), pace),
                    is_short(job),
                ),
                owner=job.owner,
                address=job.address,
            )
            for job in jobs
            if status[job.id] == "running"
        ]
        return waiting, running

    def _tend_running(self, job: Job, jobs: Sequence[Job]) -> None:
        """End a job that takes too much; have it give way while its visitor is gone."""
        now = time.monotonic()
        if (since := self._since[job.id]) is None:
            # Only once by the clock, which may be set back later.
            self._since[job.id] = since = now - max(0.0, job.seconds())
        if now - since > 60 * self.settings.job_minutes:
            write_whole(job.folder / STOPPED, "time limit")
            process.kill(job)
            event("job over its time", job=short(job.id), kind=job.kind)
        elif storage.bytes_below(job.folder) > self._room(job, jobs):
            most = f"{self._most_for_one():,.0f} MB of disk space that a visitor has"
            process.say_error(job, f"This took more than the {most}: give it less at a time.")
            write_whole(job.folder / STOPPED, "disk space")
            process.kill(job)
            event("job over its space", job=short(job.id), kind=job.kind)
        elif job.alone != (job.id in self._alone):
            process.give_way(job)
            self._alone ^= {job.id}

    def _begin(self, job: Job) -> bool:
        """Start a job; after repeated failures make it a failed one, as others wait behind it."""
        try:
            begun = process.start(job, self._walls(job))
        except OSError as error:
            failed = self._failed_starts.get(job.id, 0) + 1
            self._failed_starts[job.id] = failed
            if failed <= _STARTS:
                event("job not started", level=logging.ERROR, job=short(job.id), error=error)
            if failed >= _STARTS:
                with contextlib.suppress(OSError):
                    process.end_unstarted(job)
                    del self._failed_starts[job.id]
            return False
        self._failed_starts.pop(job.id, None)
        return begun

    def _room(self, job: Job, jobs: Sequence[Job]) -> int:
        """Return the bytes that a job's folder may take, beside its visitor's other jobs."""
        others = (one for one in jobs if one.owner == job.owner and one.id != job.id)
        return self._left([(one, storage.size_of(one)) for one in others], job.owner, "")

    def _walls(self, job: Job) -> Walls:
        room = self._room(job, self.all())
        words = itertools.chain(*job.commands)
        inputs = {found[1] for found in map(_OTHER_JOB.match, words) if found}
        return Walls(
            memory_megabytes=self.settings.job_memory_megabytes,
            disk_megabytes=max(1.0, room / 1e6),
            confined=self.settings.mode == "public",
            readable=(str(MODELS), *(str(self.root / name) for name in inputs)),
        )

    def _clean(self) -> None:
        """Remove finished jobs, and folders that never became jobs, when they expire."""
        oldest = time.time() - 3600 * self.settings.job_keep_hours
        keep = storage.needed(self.all())
        for path in self.root.iterdir():
            if not JOB_ID.fullmatch(path.name):
                continue
            job = read_job(path)
            newest = max(p.lstat().st_mtime for p in (path, *path.iterdir()))
            if newest < oldest and path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)
                event("job removed", job=short(path.name), kind=job.kind if job else "", why="age")
        self._shrink([(job, storage.size_of(job)) for job in self.all()])
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        jobs = self.all()
        running = frozenset(job.id for job in jobs if job.status == "running")
        removed = storage.remove_leftovers(self.root, running, frozenset(job.id for job in jobs))
        if removed:
            event("leftovers removed", files=removed)
