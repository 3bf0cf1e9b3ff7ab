"""The server around the pages: its start, its errors and its end.

`Host` has what Streamlit's server object takes. A server that starts

1. refuses settings that it cannot use, in one sentence, with exit status 2;
2. imports what pages need, and answers; a little later it warms up;
3. resumes waiting jobs, and removes what a crash has left.

A server that is told to stop takes no more work, puts its jobs back into the queue, and is gone
within ten seconds, even if something hangs.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit import cli_util, config

from genrekit.app import logs, session
from genrekit.app.host import live, metrics, preflight, probes
from genrekit.app.host.compression import CompressScripts
from genrekit.app.host.cookies import GiveNames
from genrekit.app.host.endpoints import CloseEndpoints
from genrekit.app.host.gate import Gate
from genrekit.app.host.headers import SendHeaders
from genrekit.app.host.media_files import AwaitMedia
from genrekit.app.host.memory import share_arena, tidy
from genrekit.app.host.requests import LimitRequests
from genrekit.app.host.uploads import GuardUploads
from genrekit.app.host.warm_up import WarmUp, import_pages
from genrekit.app.logs import event
from genrekit.app.settings import Settings, settings
from genrekit.errors import GenreKitError, SettingsError
from genrekit.isolation.confine import shortcoming

__all__ = ["Host", "start"]

_STOP_SECONDS: Final = 8.0
# Runs of pages are threads, and each may keep the event loop waiting for so long.
_SWITCH_SECONDS: Final = 0.001
# By then the server answers.
_LISTENING_SECONDS: Final = 1.0
_REFUSED: Final = 2
_FORCED: Final = 128 + signal.SIGTERM


def start(warm: Callable[[], object], closers: Sequence[Callable[[], object]] = ()) -> "Host":
    """Prepare a server, or end the process with one plain sentence that says why not.

    A thread runs `warm`, which speeds up the first verdict, and raises if there can be none. Each
    of `closers` ends something that was started, within a few seconds.
    """
    share_arena()
    logs.install()
    try:
        host = Host(settings(), warm, closers)
        preflight.check(settings())
        metrics.serve(settings())
    except SettingsError as error:
        sys.stderr.write(f"GenreKit cannot start: {error}\n")
        sys.stderr.flush()
        # Streamlit's command line and the event loop would add tracebacks.
        os._exit(_REFUSED)
    return host


class Host:
    """One server process; `warm` and `closers` as for `start`."""

    def __init__(
        self,
        chosen: Settings,
        warm: Callable[[], object],
        closers: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.warm_up = WarmUp(warm)
        self._settings = chosen
        self._closers = closers
        self._stopping = threading.Lock()
        self._stopped = threading.Event()

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Run the server from its first moment to its last."""
        self._catch_signals()
        sys.setswitchinterval(_SWITCH_SECONDS)
        import_pages()
        about = asdict(self._settings) | {"folders": len(self._settings.folders)}
        del about["jobs_folder"]  # the names of folders are private
        event("server started", **about)
        session.jobs()
        self.warm_up.start()
        if lack := shortcoming():
            sys.stderr.write(f"  {lack}\n")
        if self._settings.mode == "local":
            _show_address()
        tidying = asyncio.create_task(tidy())
        try:
            yield None
        finally:
            tidying.cancel()
            await to_thread.run_sync(self.stop)

    def routes(self) -> list[Route]:
        """Return the routes of the probes and of live listening."""
        return [*probes.routes(self.readiness), *live.routes()]

    def readiness(self) -> dict[str, bool]:
        """Return each condition for taking visitors, and whether it holds."""
        return {
            "warm": self.warm_up.tried,
            "models": self.warm_up.succeeded,
            **probes.disk_checks(self._settings),
            "jobs": session.jobs().alive,
            "open": not self._stopping.locked(),
        }

    @staticmethod
    def middleware() -> list[Middleware]:
        """Return what handles every request."""
        kinds = (
            *(SendHeaders, LimitRequests, CloseEndpoints, GiveNames),
            *(CompressScripts, AwaitMedia, GuardUploads, Gate),
        )
        return [Middleware(kind) for kind in kinds]

    @staticmethod
    def on_script_error(error: Exception) -> bool:
        """Log an error that no page has caught, and show one plain sentence."""
        from genrekit.app.kit.widgets import show_error, show_failure

        if isinstance(error, GenreKitError):
            event("refused", error=error)
            show_error(str(error))
        else:
            show_failure(error)
        return True

    def _catch_signals(self) -> None:
        """Begin to stop at once: the server itself first waits for its visitors to go."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, partial(self._stop_before, signal.getsignal(number)))

    def _stop_before(self, next_handler: Any, number: int, frame: Any) -> None:
        # Take no lock here: the signal may have interrupted its holder.
        threading.Thread(target=_exit_late, name="stop-watch", daemon=True).start()
        threading.Thread(target=self.stop, name="stop", daemon=True).start()
        if callable(next_handler):
            next_handler(number, frame)

    def stop(self) -> None:
        """End what was started; a second caller waits for the first."""
        if not self._stopping.acquire(blocking=False):
            self._stopped.wait(_STOP_SECONDS)
            return
        self.warm_up.stop()
        event("server stops")
        for close in (*self._closers, session.jobs().shut_down):
            try:
                close()
            except Exception as error:
                event("could not be ended", level=logging.ERROR, error=error)
        event("server stopped", forced=False)
        self._stopped.set()


def _exit_late() -> None:
    """End the process after a while: a slow upload could keep it alive for ever."""
    time.sleep(_STOP_SECONDS)
    event("server stopped", forced=True)
    os._exit(_FORCED)


def _show_address() -> None:
    """Print the app's address on this machine, and open it in a browser unless headless.

    Streamlit opens no browser for an app that is a server object, and would print other addresses,
    for which it asks a server on the internet.
    """
    scheme = "https" if config.get_option("server.sslCertFile") else "http"
    address = f"{scheme}://localhost:{config.get_option('server.port')}{probes.base_path()}/"
    sys.stdout.write(f"\n  GenreKit is at {address}\n\n")
    sys.stdout.flush()
    if not config.get_option("server.headless"):
        asyncio.get_running_loop().call_later(_LISTENING_SECONDS, cli_util.open_browser, address)
