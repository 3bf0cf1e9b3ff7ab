"""Run one job for each of many files in a pool of processes; results come in order."""

import contextlib
import itertools
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from genrekit.errors import GenreKitError
from genrekit.ranges import check_whole
from genrekit.system import libc, threads

__all__ = ["CRASHED", "check_workers", "compute_in_order"]

CRASHED: Final = "Reading it made the decoder crash: convert it to wav or remove it."

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_workers(workers: int | None) -> None:
    """Raise SettingsError for fewer than one process; None is one per processor."""
    if workers is not None:
        check_whole("workers", workers, 1)


def compute_in_order(
    job: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None,
    crashed: Callable[[], Result],
) -> Generator[Result, None, None]:
    """Yield the result of each item's job, in order, a few computed ahead.

    A process that dies breaks its pool: each item that was under way then gets a process of
    its own, and the one that kills it is reported like any bad file.

    Parameters
    ----------
    job : picklable function of an item; it raises for no bad file
    items : sequence of picklable items, such as Path
    workers : int, >= 1, or None
        Processes, at most one per item; 1 computes in this process, None takes one per processor.
    crashed : function that returns the result for an item whose job kills its process

    Raises
    ------
    GenreKitError
        A process ends while it starts.
    """
    workers = min(workers or os.cpu_count() or 1, len(items))
    if workers <= 1:
        for item in items:
            yield job(item)
        return
    # Of many items a few go into each message, since sending costs time.
    together = max(1, min(4, len(items) // (16 * workers)))
    done = 0
    while done < len(items):
        try:
            with contextlib.closing(_batches(job, items[done:], workers, together)) as batches:
                for result in itertools.chain.from_iterable(batches):
                    done += 1
                    yield result
        except BrokenProcessPool:
            for item in items[done : done + 2 * workers * together]:
                done += 1
                yield _compute_alone(job, item, crashed)


def _batches(
    job: Callable[[Item], Result], items: Sequence[Item], workers: int, together: int
) -> Generator[list[Result], None, None]:
    """Yield the results of `together` items at a time, two batches per worker ahead."""
    waiting: deque[Future[list[Result]]] = deque()
    pool = _processes(workers)
    try:
        for start in range(0, len(items), together):
            waiting.append(pool.submit(_each, job, items[start : start + together]))
            if len(waiting) == 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()


def _each(job: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [job(item) for item in items]


def _compute_alone(
    job: Callable[[Item], Result], item: Item, crashed: Callable[[], Result]
) -> Result:
    with _processes(1) as pool:
        try:
            pool.submit(int).result()
        except BrokenProcessPool:
            raise GenreKitError(
                "A worker process ended while it started, perhaps for lack of memory: close other "
                "programs, or use fewer workers, and run again."
            ) from None
        try:
            return pool.submit(job, item).result()
        except BrokenProcessPool:
            return crashed()


def _processes(workers: int) -> Executor:
    """Return a pool of forked processes where that is safe, else of new ones.

    A fork has all that this process has imported, which saves a third of a second. Forked beside
    other threads it could wait forever for a lock that one of them holds; and only on Linux does
    it end together with this process.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        forked = ProcessPoolExecutor(workers, context, initializer=_begin_forked)
        with warnings.catch_warnings():
            # Python 3.12 also counts threads of libraries, which survive a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            forked.submit(int)
        return forked
    import loky

    fresh: Executor = loky.ProcessPoolExecutor(workers, initializer=_begin)
    return fresh


def _begin_forked() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    libc.die_with_parent()
    _begin()


def _begin() -> None:
    """Compute in one thread, since each processor has a process, and hold on to memory.

    glibc keeps what one file's arrays leave free for those of the next. Returned and requested
    again, each page would be cleared anew: a third of the time of a file.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    os.environ.update(threads.variables(1))  # for libraries that are imported later
    threadpool_limits(1)
    libc.call("mallopt", libc.M_TRIM_THRESHOLD, 256 << 20)
    libc.call("mallopt", libc.M_MMAP_THRESHOLD, 32 << 20)
