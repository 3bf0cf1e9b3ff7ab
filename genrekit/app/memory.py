"""Keeps the server's memory small and its garbage collection cheap.

Python's collector looks at every object of every imported library: some 50 ms, during which no
visitor is served. What is frozen is not looked at. Streamlit would collect after every
run of a script and of a fragment; its option ``runner.postScriptGC`` is off, and Python collects
when there is something to collect.
"""

import gc
from typing import Any

from streamlit.runtime import get_instance

__all__ = ["forget_sessions", "settle"]


def settle() -> None:
    """Exempt from garbage collection what is there when the server has warmed up."""
    gc.collect()
    gc.freeze()


def forget_sessions() -> int:
    """End the sessions whose visitors have stayed away too long; their number.

    Streamlit lets go of them only when another visitor leaves: what the last ones have uploaded
    would stay in memory. Call from the server's event loop, whose sessions they are.
    """
    manager: Any = get_instance()
    expired = manager._session_mgr._session_storage._cache.expire()
    for _, kept in expired:
        kept.session.shutdown()
    return len(expired)
