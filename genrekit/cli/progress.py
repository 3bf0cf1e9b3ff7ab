"""How a command reports: a progress bar for people, JSON lines for programs, an exit status."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from genrekit.system.files import without_nan

__all__ = ["OK", "SOME_FAILED", "USAGE", "emit", "finish", "progress_bar", "say"]

OK: Final = 0
SOME_FAILED: Final = 1
USAGE: Final = 2

Step = TypeVar("Step")


def progress_bar(
    steps: Iterable[Step], label: str, unit: str, progress: str, total: int | None = None
) -> Iterator[Step]:
    """Yield the steps, with a bar on a terminal if `progress` is "bar".

    Without `total`, each step's own attribute `total` counts.
    """
    if progress != "bar" or not sys.stderr.isatty():
        yield from steps
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would keep the workers from being forked
    with tqdm(total=total, desc=label, unit=unit, file=sys.stderr) as bar:
        for step in steps:
            bar.total = total or getattr(step, "total", None)
            bar.update()
            yield step


def say(message: str, progress: str) -> None:
    """Print a line above the progress bar."""
    if progress == "bar" and sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)
    elif progress == "bar":
        print(message, file=sys.stderr)


def emit(event: str, progress: str, **values: Any) -> None:
    """Print a JSON line, with the time in seconds since 1970, if `progress` is "json"."""
    if progress == "json":
        line = without_nan({"type": event, "time": round(time.time(), 3), **values})
        print(json.dumps(line, ensure_ascii=False), flush=True)


def finish(message: str, progress: str, **values: Any) -> None:
    """Print the last message, or the event "done" with it and `values`."""
    if progress == "json":
        emit("done", progress, message=message, **values)
    else:
        print(message)
