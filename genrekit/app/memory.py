"""Keeps Streamlit's garbage collection cheap.

Streamlit collects garbage after every run of a script and of a fragment, and Python then looks at
every object of every imported library: 70 ms with Plotly and pandas, 220 ms with PyTorch, during
which no other visitor is served. What is frozen is not looked at.

The server freezes once, when it has warmed up; a run freezes again only where it has imported
more, which the first visits to a page do when nothing has warmed up before them.
"""

import gc
import sys
import threading
from typing import Final

__all__ = ["settle"]

_lock: Final = threading.Lock()
_seen = 0


def settle(*, always: bool = False) -> None:
    """Exempt from garbage collection what has been imported so far; cheap to call again.

    Parameters
    ----------
    always : bool
        Freeze even where nothing was imported since: objects that stay were made, as by a
        warm-up. Otherwise only imports bring many of those.
    """
    global _seen
    # Another run is at it: one of them is enough.
    if not _lock.acquire(blocking=always):
        return
    try:
        modules = len(sys.modules)
        if always or modules != _seen:
            gc.collect()
            gc.freeze()
            _seen = modules
    finally:
        _lock.release()
