"""Run one job for each of many files on the workers of a Dask cluster.

Dask gives what a worker was doing when it died to another one. A job that kills every worker is
found by running it alone.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from genrekit.errors import DatasetError, SettingsError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["compute_on_cluster"]

# Seconds to find the scheduler, and for it to have a worker.
_PATIENCE: Final = 20
# Items under way for each processor of the cluster: results that are not fetched yet take memory.
_AHEAD: Final = 16

_SUSPECT: Final = object()
_LOGGERS: Final = ("distributed", "distributed.client", "tornado.application")

Item = TypeVar("Item")
Result = TypeVar("Result")


def compute_on_cluster(
    job: Callable[[Item], Result],
    items: Sequence[Item],
    scheduler: str,
    crashed: Callable[[], Result],
) -> Generator[tuple[int, Result], None, None]:
    """Yield the number of each item with its result, as they arrive.

    Parameters
    ----------
    job : picklable function of an item; workers import it, so they need GenreKit installed
    items : sequence of picklable items
    scheduler : str, the address of Dask's scheduler, such as tcp://10.0.0.5:8786
    crashed : function that returns the result for an item whose job kills every worker

    Raises
    ------
    SettingsError, DatasetError
        Dask is not installed; or the cluster cannot be reached, or is lost.
    """
    with _client(scheduler) as client:
        start = 0
        while start < len(items):
            # The cluster may grow between two windows.
            ahead = _AHEAD * max(1, sum(client.ncores().values()))
            window = range(start, min(start + ahead, len(items)))
            start = window.stop
            suspects = []
            with closing(_results(client, job, items, window)) as results:
                for number, result in results:
                    if result is _SUSPECT:
                        suspects.append(number)
                    else:
                        yield number, result
            # Dask blames everything that the worker had in its queue.
            for suspect in suspects:
                [(_, result)] = _results(client, job, items, [suspect])
                yield suspect, crashed() if result is _SUSPECT else result


def _results(
    client: "Client", job: Callable[[Item], Result], items: Sequence[Item], chosen: Sequence[int]
) -> Generator[tuple[int, Any], None, None]:
    """Yield results as they arrive: `_SUSPECT` for items whose workers died."""
    from distributed import CancelledError, KilledWorker, as_completed

    waiting = {client.submit(job, items[number], pure=False): number for number in chosen}
    try:
        for future in as_completed(list(waiting), client.loop):
            try:
                result = future.result()
            except KilledWorker:
                result = _SUSPECT
            number = waiting.pop(future)
            future.release()  # the worker may forget the result
            yield number, result
    except (CancelledError, OSError) as error:
        raise DatasetError(
            f"The cluster's scheduler is lost ({type(error).__name__}): start it and run again; "
            "what was finished is kept."
        ) from None
    except (ImportError, RuntimeError) as error:
        lacking = str(error)
        if isinstance(error, RuntimeError):
            if "deserialization" not in lacking:
                raise
            lacking = "its scheduler lacks a package"
        raise DatasetError(
            f"The cluster cannot do the work ({lacking}): install the same GenreKit for its "
            "scheduler and its workers, with all that it needs."
        ) from None
    finally:
        for future in waiting:
            future.release()


@contextmanager
def _client(scheduler: str) -> Iterator["Client"]:
    try:
        from distributed import Client
    except ImportError:
        raise SettingsError(
            "Dask is not installed: pip install -r requirements-cluster.txt, or leave "
            "--backend dask out."
        ) from None
    with _hushed():
        try:
            if not scheduler:
                raise ValueError  # Dask would start a cluster of its own
            client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise DatasetError(
                f"No Dask scheduler answers at {scheduler} ({type(error).__name__}): start one "
                "with `dask scheduler`, and give the address that it prints."
            ) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=_PATIENCE)
            except TimeoutError:
                raise DatasetError(
                    f"The cluster at {scheduler} has no workers: start some with "
                    f"`dask worker {scheduler}`."
                ) from None
            yield client


@contextmanager
def _hushed() -> Iterator[None]:
    """Silence Dask: each of its parts would log the fault that is reported here."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
