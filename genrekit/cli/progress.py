"""How a command shows its progress and its end: a bar, JSON lines, an exit status."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from genrekit.system.files import without_nan

__all__ = ["OK", "SOME_FAILED", "USAGE", "emit", "finish", "progress_bar", "say", "total_of"]

OK: Final = 0
SOME_FAILED: Final = 1
USAGE: Final = 2
_T = TypeVar("_T")


def progress_bar(
    steps: Iterable[_T],
    total: int | None,
    what: str,
    unit: str,
    progress: str,
    total_from: Callable[[Any], int] | None = None,
) -> Iterator[_T]:
    """The same steps, with a progress bar where a person looks on."""
    if progress != "bar" or not sys.stderr.isatty():
        yield from steps
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would keep the workers from being forked
    with tqdm(total=total, desc=what, unit=unit, file=sys.stderr) as bar:
        for step in steps:
            if total_from is not None:
                bar.total = total_from(step)
            bar.update()
            yield step


def total_of(step: Any) -> int:
    """Return how many steps there are, by one of them."""
    total: int = step.total
    return total


def say(message: str, progress: str) -> None:
    """A line above the progress bar."""
    if progress == "bar" and sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)
    elif progress == "bar":
        print(message, file=sys.stderr)


def finish(options: argparse.Namespace, message: str, **values: Any) -> int:
    """Print the last message, or the JSON event "done" with `values`."""
    if options.progress == "json":
        emit("done", message=message, **values)
    else:
        print(message)
    return OK


def emit(kind: str, **values: Any) -> None:
    """Print one JSON event."""
    print(json.dumps(without_nan({"type": kind, **values}), ensure_ascii=False), flush=True)
