"""Keeps the server's memory small and its garbage collection cheap.

Python's collector looks at every object of every imported library: some 50 ms, during which no
visitor is served. What is frozen is not looked at. Streamlit would collect after every
run of a script and of a fragment; its option ``runner.postScriptGC`` is off, and Python collects
when there is something to collect.
"""

import ctypes
import gc
from contextlib import suppress
from typing import Any, Final

import streamlit as st
from streamlit.runtime import RuntimeState, get_instance

__all__ = ["forget_visitors", "settle", "share_arena"]

_M_ARENA_MAX: Final = -8  # from glibc's malloc.h


def share_arena() -> None:
    """Have all threads take memory from one place; to be called before there are many.

    Every run of a page is a thread, and glibc gives threads places of their own, up to eight for
    each processor: what one visitor leaves free in one of them is not used for the next, whose
    run has another. Elsewhere than on glibc nothing happens.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Exempt from garbage collection what is there when the server has warmed up."""
    gc.collect()
    gc.freeze()


def forget_visitors() -> int:
    """End the sessions whose visitors have stayed away too long; their number.

    Streamlit lets go of them only when another visitor leaves: what the last ones have uploaded
    would stay in memory. With the last of all goes what was kept for whoever asks the same again.
    Call from the server's event loop, whose sessions they are.
    """
    manager: Any = get_instance()
    expired = manager._session_mgr._session_storage._cache.expire()
    for _, kept in expired:
        kept.session.shutdown()
    if expired and manager.state == RuntimeState.NO_SESSIONS_CONNECTED:
        st.cache_data.clear()
    return len(expired)
