"""One job for each of many files, by a pool of processes, with the results in order."""

import contextlib
import ctypes
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

from genrekit.ranges import check_whole
from genrekit.system import threads

__all__ = ["CRASHED", "check_workers", "compute_in_order"]

CRASHED: Final = "Reading it made the decoder crash: convert it to wav or remove it."

# From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
# From Linux's prctl.h.
_PR_SET_PDEATHSIG: Final = 1

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_workers(workers: int | None) -> None:
    """Raise SettingsError for fewer processes than 1; None is one per processor."""
    if workers is not None:
        check_whole("workers", workers, 1)


def compute_in_order(
    job: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None,
    crashed: Callable[[], Result],
) -> Generator[Result, None, None]:
    """The result of each item's job in order, a few ahead of what is asked for.

    A process that dies takes the pool down with it: the items then in work are tried one by
    one, each in a process of its own, and the one that kills is reported like any bad file.

    Parameters
    ----------
    job : function of an item, one that can be pickled; it raises for no bad file
    items : sequence of what can be pickled, such as Path
    workers : int, >= 1, or None
        Processes, never more than items; 1 works in this process, None has one per processor.
    crashed : function without arguments
        Gives the result for an item whose job kills its process.
    """
    workers = min(workers or os.cpu_count() or 1, len(items))
    if workers <= 1:
        for item in items:
            yield job(item)
        return
    # A few items to a message, where there are many: handing over costs time, too.
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
                yield _apart(job, item, crashed)


def _batches(
    job: Callable[[Item], Result], items: Sequence[Item], workers: int, together: int
) -> Generator[list[Result], None, None]:
    """The results of `together` items after the other, two batches a worker ahead."""
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


def _apart(job: Callable[[Item], Result], item: Item, crashed: Callable[[], Result]) -> Result:
    with _processes(1) as pool:
        try:
            return pool.submit(job, item).result()
        except BrokenProcessPool:
            return crashed()


def _processes(workers: int) -> Executor:
    """A pool whose processes start from nothing, or in no time where that is safe.

    On Linux a process of one thread can be copied with all that it has imported, which saves
    each worker a third of a second. A copy made beside other threads could wait for ever for what
    they hold; and only Linux ends a copy together with the process that made it.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        import multiprocessing

        context = multiprocessing.get_context("fork")
        copies = ProcessPoolExecutor(workers, context, initializer=_begin_as_copy)
        with warnings.catch_warnings():
            # Python 3.12 counts the threads of libraries, too, which mend themselves.
            warnings.simplefilter("ignore", DeprecationWarning)
            copies.submit(int)
        return copies
    from loky import ProcessPoolExecutor as FreshProcesses

    fresh: Executor = FreshProcesses(workers, initializer=_begin)
    return fresh


def _begin_as_copy() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever made us decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _begin()


def _begin() -> None:
    _compute_in_one_thread()
    _hold_memory()


def _compute_in_one_thread() -> None:
    """There is a process for each processor: threads beside it would only get in the way."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    os.environ.update(threads.variables(1))  # for what is imported later
    threadpool_limits(1)


def _hold_memory() -> None:
    """Have glibc keep what one file's arrays leave free for those of the next.

    Given back and asked for anew, each page is cleared again: a third of the time of a file.
    Elsewhere than on glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
