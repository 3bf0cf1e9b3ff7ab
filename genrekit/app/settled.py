"""Work that can wait until the server's first visitor has the first page."""

import threading
from collections.abc import Callable

__all__ = ["begin", "when_settled"]

# None in a process that serves nobody.
_settled: threading.Event | None = None


def begin() -> threading.Event:
    """A server starts: return the event that it sets once the first page has had its time."""
    global _settled
    _settled = threading.Event()
    return _settled


def when_settled(work: Callable[[], object]) -> bool:
    """Have a thread do `work`, but not in the server's first moments; False where none runs."""
    event = _settled
    if event is None:
        return False

    def wait_and_work() -> None:
        event.wait()
        work()

    threading.Thread(target=wait_and_work, name="when-settled", daemon=True).start()
    return True
