"""Keeps the server's memory small and its garbage collection cheap.

Python's collector looks at every object of every imported library: some 50 ms, during which no
visitor is served. What is frozen is not looked at. Streamlit would collect after every
run of a script and of a fragment; its option ``runner.postScriptGC`` is off, and Python collects
when there is something to collect.
"""

import ctypes
import gc
from contextlib import suppress
from time import monotonic
from typing import Final

import streamlit as st
from streamlit import config
from streamlit.runtime import RuntimeState, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

__all__ = ["forget_visitors", "remember_visitor", "settle", "share_arena", "tidy_seconds"]

_TIDY_SECONDS: Final = 4.0
_M_ARENA_MAX: Final = -8  # from glibc's malloc.h

# When each visitor's session was last known to be connected, by its id, in s.
_connected: dict[str, float] = {}


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


def remember_visitor() -> None:
    """Note the session of the visitor whose page is being run, for `forget_visitors`."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        _connected[context.session_id] = monotonic()


def tidy_seconds() -> float:
    """How often to call `forget_visitors`: a few times before Streamlit's own limit."""
    return min(_TIDY_SECONDS, float(config.get_option("server.disconnectedSessionTTL")) / 4)


def forget_visitors() -> int:
    """End the sessions whose visitors have stayed away too long; return how many.

    Streamlit lets go of them only when another visitor leaves: what the last ones have uploaded
    would stay in memory. With the last of all goes what was kept for whoever asks the same again.
    Call every `tidy_seconds` from the server's event loop, whose sessions they are.
    """
    runtime, now = get_instance(), monotonic()
    # A session may have been left just after the last look. Streamlit no longer ends one that has
    # reached the limit, so this has to be the look before.
    longest = config.get_option("server.disconnectedSessionTTL") - 2 * tidy_seconds()
    ended = 0
    for session, seen in list(_connected.items()):
        if runtime.is_active_session(session):
            _connected[session] = now
        elif now - seen >= longest:
            del _connected[session]
            runtime.close_session(session)
            ended += 1
    if ended and runtime.state == RuntimeState.NO_SESSIONS_CONNECTED:
        st.cache_data.clear()
    return ended
