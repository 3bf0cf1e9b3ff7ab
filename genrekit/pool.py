"""One job for each of many files, by a pool of processes, with the results in order."""

import contextlib
import ctypes
import warnings
from collections.abc import Callable, Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

__all__ = ["CRASHED", "compute_in_order"]

CRASHED: Final = "Reading it made the decoder crash: convert it to wav or remove it."

# From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

Result = TypeVar("Result")


def compute_in_order(
    job: Callable[[Path], Result],
    paths: Sequence[Path],
    workers: int,
    crashed: Callable[[], Result],
) -> Generator[Result, None, None]:
    """The result of each file's job in order, a few ahead of what is asked for.

    A process that dies takes the pool down with it: the files then in work are tried one by
    one, each in a process of its own, and the one that kills is reported like any bad file.

    Parameters
    ----------
    job : function of a path, one that can be pickled; it raises for no bad file
    paths : sequence of Path
    workers : int, >= 1; 1 works in this process
    crashed : function without arguments
        Gives the result for a file whose job kills its process.
    """
    if workers == 1 or len(paths) < 2:
        for path in paths:
            yield job(path)
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # A few files to a message, where there are many: handing over costs a millisecond.
    together = max(1, min(4, len(paths) // (16 * workers)))
    ahead = 2 * workers * together
    next_up = 0
    while next_up < len(paths):
        pool = Parallel(workers, return_as="generator", pre_dispatch=ahead, batch_size=together)
        results = pool(delayed(_in_worker)(job, path) for path in paths[next_up:])
        try:
            for result in results:
                next_up += 1
                yield result
        except TerminatedWorkerError:
            for path in paths[next_up : next_up + ahead]:
                next_up += 1
                yield _apart(job, path, crashed)
        finally:
            with warnings.catch_warnings():  # that work in hand is thrown away is meant
                warnings.simplefilter("ignore", UserWarning)
                results.close()


def _in_worker(job: Callable[[Path], Result], path: Path) -> Result:
    _hold_memory()
    return job(path)


@cache
def _hold_memory() -> None:
    """Have glibc keep what one file's arrays leave free for those of the next.

    Given back and asked for anew, each page is cleared again: a third of the time of a file.
    Elsewhere than on glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, 256 << 20)
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)


def _apart(job: Callable[[Path], Result], path: Path, crashed: Callable[[], Result]) -> Result:
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    with ProcessPoolExecutor(1) as pool:
        try:
            return pool.submit(job, path).result()
        except BrokenProcessPool:
            return crashed()
