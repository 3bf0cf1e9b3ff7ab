"""Keep the server's memory small and its garbage collection fast.

Python's collector visits every object of every imported library: some 50 ms, during which no
visitor is served. Frozen objects are skipped. Streamlit would collect after every run of a script
or fragment; its option ``runner.postScriptGC`` is off, and Python collects when it needs to.
"""

import asyncio
import gc
from collections.abc import Mapping
from time import monotonic
from typing import Final

import streamlit as st
from anyio import to_thread
from streamlit import config
from streamlit.runtime import RuntimeState, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from genrekit.app import session
from genrekit.system import libc
from genrekit.system.memory import trim_memory

__all__ = [
    "belongs",
    "forget_visitors",
    "freeze",
    "present",
    "remember_visitor",
    "share_arena",
    "tidy",
    "tidy_seconds",
]

_TIDY_SECONDS: Final = 4.0
_LARGE_BYTES: Final = 256 << 10

# When each visitor's session was last known to be connected, by its id, in s, whose it is, and in
# which browser.
_connected: dict[str, float] = {}
_owners: dict[str, str] = {}
_browsers: dict[str, str | None] = {}


def share_arena() -> None:
    """Have all threads allocate memory from one arena; call this before there are many.

    Every run of a page is a thread, and glibc gives threads up to eight arenas per processor: what
    a visitor's run frees in one arena is not reused by the next, which has another. What is large,
    such as an upload, stays outside of it: else glibc would take it in after the first few.
    """
    libc.call("mallopt", libc.M_ARENA_MAX, 1)
    libc.call("mallopt", libc.M_MMAP_THRESHOLD, _LARGE_BYTES)


def freeze() -> None:
    """Exempt all present objects from garbage collection, when the server has warmed up."""
    gc.collect()
    gc.freeze()


def remember_visitor() -> None:
    """Note the session of the visitor whose page is being run, for `tidy`."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is not None:
        _owners[context.session_id] = session.owner()
        _browsers[context.session_id] = session.browser(st.context.cookies)
        _connected[context.session_id] = monotonic()


def belongs(session_id: str, cookies: Mapping[str, str]) -> bool:
    """Return whether a session is one of the browser that has these cookies."""
    browser = session.browser(cookies)
    return browser is not None and _browsers.get(session_id) == browser


def present() -> int:
    """Return how many sessions are connected."""
    return sum(get_instance().is_active_session(session_id) for session_id in list(_connected))


def tidy_seconds() -> float:
    """Return how often to call `forget_visitors`: a few times within Streamlit's own limit."""
    return min(_TIDY_SECONDS, float(config.get_option("server.disconnectedSessionTTL")) / 4)


async def tidy() -> None:
    """Free what visitors who have left brought along, every `tidy_seconds`, for ever.

    The queue of jobs is told who is here.
    """
    while True:
        await asyncio.sleep(tidy_seconds())
        if forget_visitors():
            await to_thread.run_sync(trim_memory)
        active = get_instance().is_active_session
        here = {owner for session_id, owner in _owners.items() if active(session_id)}
        await to_thread.run_sync(session.jobs().note_present, here)


def forget_visitors() -> int:
    """End the sessions whose visitors have been away too long; return how many.

    Streamlit does so only when another visitor leaves: uploads of the last ones would stay in
    memory. With the last session, cached results go as well. Call this from the event loop of the
    server, which has the sessions.
    """
    runtime, now = get_instance(), monotonic()
    # A session may have been left just after the last call. Streamlit no longer ends one that has
    # reached the limit, so this has to happen one call earlier.
    longest = config.get_option("server.disconnectedSessionTTL") - 2 * tidy_seconds()
    ended = 0
    for session_id, seen in list(_connected.items()):
        if runtime.is_active_session(session_id):
            _connected[session_id] = now
        elif now - seen >= longest:
            del _connected[session_id], _owners[session_id]
            _browsers.pop(session_id, None)
            runtime.close_session(session_id)
            ended += 1
    if not _connected and runtime.state == RuntimeState.NO_SESSIONS_CONNECTED:
        st.cache_data.clear()  # every time: a run may outlive its visitor, and cache its result
    return ended
