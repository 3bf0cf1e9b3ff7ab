"""The server around the pages: its start, its warm-up, its health, its errors and its end.

`Host` has what Streamlit's server object takes. A server that starts

1. refuses settings that it cannot use, in one sentence, and ends with status 2;
2. imports what pages are made of, and answers; a little later it warms up, so that the first
   visitor has the processor for the first page;
3. takes up the jobs that wait, and removes what a crash has left.

A server that is told to stop takes no more work, puts the jobs it runs back into the queue, and
is gone within ten seconds, whatever still hangs.
"""

import asyncio
import importlib
import logging
import math
import os
import pkgutil
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, net_util

import genrekit.app
from genrekit.app import logs, session, settled
from genrekit.app.host.compression import CompressScripts
from genrekit.app.host.memory import forget_visitors, settle, share_arena, tidy_seconds
from genrekit.app.jobs import storage
from genrekit.app.logs import event
from genrekit.app.settings import Settings, settings
from genrekit.errors import GenreKitError, SettingsError
from genrekit.system.memory import trim_memory

__all__ = ["Host", "start"]

STOP_SECONDS: Final = 8.0
_REFUSED: Final = 2
_FORCED: Final = 128 + signal.SIGTERM
_FIRST_PAGE_SECONDS: Final = 2.0
_WARM_AGAIN_SECONDS: Final = 30.0
_UPLOAD: Final = re.compile(r"/_stcore/upload_file/")
_PRIVATE: Final = ("jobs_folder", "folders")


def start(warm: Callable[[], object], closers: Sequence[Callable[[], object]] = ()) -> "Host":
    """Prepare a server, or end the process with one plain sentence that says why not.

    Parameters
    ----------
    warm : function
        Makes the first verdict quick, and raises where there can be none; run by a thread
    closers : functions that end what was started, each within a few seconds
    """
    share_arena()
    logs.install()
    try:
        host = Host(settings(), warm, closers)
        host.check()
    except SettingsError as error:
        sys.stderr.write(f"GenreKit cannot start: {error}\n")
        sys.stderr.flush()
        # Streamlit's command line and the event loop would add tracebacks of their own.
        os._exit(_REFUSED)
    return host


class Host:
    """One server process.

    Parameters
    ----------
    chosen : Settings
    warm, closers : as for `start`
    """

    def __init__(
        self,
        chosen: Settings,
        warm: Callable[[], object],
        closers: Sequence[Callable[[], object]] = (),
    ) -> None:
        self._settings = chosen
        self._warm = warm
        self._closers = closers
        self._warmed = False
        self._models = True
        self._stopping = threading.Lock()
        self._ending = threading.Event()
        self._stopped = threading.Event()

    # -- the start ----------------------------------------------------------------------------

    def check(self) -> None:
        """Bring Streamlit's limits into step with the settings, and try the jobs folder.

        Raises
        ------
        SettingsError
            The settings contradict each other, or nothing can be written to the folder.
        """
        self._limit_uploads()
        _stay_at_home()
        folder = self._settings.jobs_folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _try_to_write(folder)
        except OSError as error:
            raise SettingsError(
                f'GENREKIT_JOBS_FOLDER is "{folder}", where nothing can be written '
                f"({error.strerror}): name a folder that this user may write to."
            ) from None

    def _limit_uploads(self) -> None:
        """Streamlit refuses a large upload while it arrives; this code only when it is there."""
        option = "server.maxUploadSize"
        wanted = max(1, math.ceil(self._settings.upload_megabytes))
        told = "environment" in config.get_where_defined(option)  # or on the command line
        given = config.get_option(option)
        if told and given < wanted:
            raise SettingsError(
                f"GENREKIT_UPLOAD_MEGABYTES is {self._settings.upload_megabytes:g} MB, and "
                f"Streamlit was told to take {given} MB only (STREAMLIT_SERVER_MAX_UPLOAD_SIZE or "
                "--server.maxUploadSize): give both the same number."
            )
        config.set_option(option, wanted)

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """From the server's first moment to its last."""
        from anyio import to_thread

        self._catch_signals()
        _import_pages()
        event("server started", **_loggable(self._settings))
        session.jobs()
        threading.Thread(
            target=self._warm_up, args=(settled.begin(),), name="warm-up", daemon=True
        ).start()
        self._welcome()
        tidying = asyncio.create_task(_tidy())
        try:
            yield None
        finally:
            tidying.cancel()
            await to_thread.run_sync(self.stop)

    def _welcome(self) -> None:
        """Tell whoever started it where it is. Streamlit would ask a server of others for that."""
        if self._settings.mode == "local":
            port = config.get_option("server.port")
            scheme = "https" if config.get_option("server.sslCertFile") else "http"
            sys.stdout.write(f"\n  GenreKit is at {scheme}://localhost:{port}{_base_path()}/\n\n")
            sys.stdout.flush()

    def _warm_up(self, settled: threading.Event) -> None:
        """Try until it works: what stands in the way, such as a crowd of visitors, may pass."""
        settled.wait(_FIRST_PAGE_SECONDS)
        settled.set()
        while not self._try_to_warm_up():
            if self._ending.wait(_WARM_AGAIN_SECONDS):
                return

    def _try_to_warm_up(self) -> bool:
        begun = time.monotonic()
        try:
            self._warm()
        except Exception as error:
            self._models = False
            event("warm-up failed", level=logging.ERROR, error=error)
        else:
            self._models = True
            event("warmed up", seconds=time.monotonic() - begun)
        if not self._warmed:
            settle()
        self._warmed = True
        return self._models

    # -- health -------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        """Whether the process lives, and whether it can be sent visitors.

        Both answer below the base path, where Streamlit would send its page, with status 200; and
        at the root, so that who asks the process itself need not know of it.
        """
        answers = {"healthz": _alive, "readyz": self._ready}
        return [
            Route(f"{folder}/{name}{end}", answer)
            for folder in dict.fromkeys(("", _base_path()))
            for name, answer in answers.items()
            for end in ("", "/")
        ]

    async def _ready(self, _: Request) -> JSONResponse:
        from anyio import to_thread

        checks = await to_thread.run_sync(self.readiness)
        return _answer({"ready": all(checks.values()), "checks": checks}, all(checks.values()))

    def readiness(self) -> dict[str, bool]:
        """Each thing that has to be well before visitors are sent here."""
        folder = self._settings.jobs_folder
        writable = enough = False
        with suppress(OSError):
            enough = storage.free_bytes(folder) >= 1e6 * self._settings.free_megabytes
            _try_to_write(folder)
            writable = True
        return {
            "warm": self._warmed,
            "models": self._models,
            "jobs_folder": writable,
            "disk_space": enough,
            "jobs": session.jobs().alive,
            "open": not self._stopping.locked(),
        }

    # -- errors -------------------------------------------------------------------------------

    @staticmethod
    def on_script_error(error: Exception) -> bool:
        """What no page has caught: logged, and one plain sentence for the visitor."""
        from genrekit.app.kit.widgets import show_error, show_failure

        if isinstance(error, GenreKitError):
            event("refused", error=error)
            show_error(str(error))
        else:
            show_failure(error)
        return True

    @staticmethod
    def middleware() -> list[Middleware]:
        """What looks at every request."""
        return [Middleware(CompressScripts), Middleware(_WatchUploads)]

    # -- the end ------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        """Begin to stop at once: the server itself first waits for its visitors to go."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._then(signal.getsignal(number)))

    def _then(self, before: Any) -> Callable[[int, Any], None]:
        def handle(number: int, frame: Any) -> None:
            # Nothing here may wait for a lock: the signal may have come while it was held.
            threading.Thread(target=self._give_up, name="stop-watch", daemon=True).start()
            threading.Thread(target=self.stop, name="stop", daemon=True).start()
            if callable(before):
                before(number, frame)

        return handle

    def _give_up(self) -> None:
        """Some visitor's slow upload may keep the server from ending for ever."""
        time.sleep(STOP_SECONDS)
        event("server stopped", forced=True)
        os._exit(_FORCED)

    def stop(self) -> None:
        """End what was started; whoever calls second waits for the first."""
        if not self._stopping.acquire(blocking=False):
            self._stopped.wait(STOP_SECONDS)
            return
        self._ending.set()
        event("server stops")
        for close in (*self._closers, session.jobs().shut_down):
            try:
                close()
            except Exception as error:
                event("could not be ended", level=logging.ERROR, error=error)
        event("server stopped", forced=False)
        self._stopped.set()


def _base_path() -> str:
    """Where all addresses of the app begin, such as "/music"; empty at the root."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def _import_pages() -> None:
    """All that pages are made of, or the first visitor of each would wait for it."""
    for module in pkgutil.walk_packages(genrekit.app.__path__, "genrekit.app."):
        importlib.import_module(module.name)


async def _tidy() -> None:
    """From time to time let go of what visitors who have left brought along."""
    from anyio import to_thread

    while True:
        await asyncio.sleep(tidy_seconds())
        if forget_visitors():
            await to_thread.run_sync(trim_memory)


def _stay_at_home() -> None:
    """Streamlit would ask a server in the internet for this machine's address, to let pages of
    that address connect; those that come by the right name may connect anyway."""
    net_util.get_external_ip = lambda: None


async def _alive(_: Request) -> JSONResponse:
    return _answer({"alive": True}, True)


def _answer(content: dict[str, Any], well: bool) -> JSONResponse:
    return JSONResponse(content, 200 if well else 503, {"Cache-Control": "no-store"})


def _try_to_write(folder: Path) -> None:
    """A file that is written and goes again.

    Raises
    ------
    OSError
    """
    trial = folder / f".trial.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        trial.write_bytes(b"0" * 4096)
    finally:
        trial.unlink(missing_ok=True)


def _loggable(chosen: Settings) -> dict[str, Any]:
    """The settings, without where things are on this machine."""
    values = {one.name: getattr(chosen, one.name) for one in fields(chosen)}
    return {name: value for name, value in values.items() if name not in _PRIVATE} | {
        "folders": len(chosen.folders)
    }


class _WatchUploads:
    """Logs uploads that the server refuses while they arrive."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watched = scope["type"] == "http" and scope["method"] == "PUT"
        if not watched or not _UPLOAD.search(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                event("upload refused", status=message["status"], megabytes=_announced(scope))
            await send(message)

        await self._app(scope, receive, look)


def _announced(scope: Scope) -> float | None:
    """The size that a request says it has, MB."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return float(value) / 1e6
    return None
