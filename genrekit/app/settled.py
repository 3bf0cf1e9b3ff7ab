"""Work that waits until the server's first visitor has the first page."""

import threading
from collections.abc import Callable

__all__ = ["begin", "when_settled"]

# None in a process that is no server.
_settled: threading.Event | None = None


def begin() -> threading.Event:
    """Return the event that a starting server sets once the first page has had its time."""
    global _settled
    _settled = threading.Event()
    return _settled


def when_settled(work: Callable[[], object]) -> bool:
    """Have a thread do `work` after the server's first moments; False if there is no server."""
    if _settled is None:
        return False
    event = _settled

    def wait_and_work() -> None:
        event.wait()
        work()

    threading.Thread(target=wait_and_work, name="when-settled", daemon=True).start()
    return True
