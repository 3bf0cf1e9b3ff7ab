"""Sends what runs in the browser compressed: 3 MB for a page with charts instead of 10.

Streamlit sends its scripts, and ours, as they are, since compressing them for every visitor would
keep the server busy. Here each is compressed once, when it is first asked for, and kept: they do
not change while a server runs, and there are 23 MB of them in all.
"""

import gzip
import re
from typing import Final

from anyio import Event, to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CompressScripts"]

_SCRIPT: Final = re.compile(
    r"(/static/(js|css)|/_stcore/bidi-components/genrekit\.\w+)/[\w.-]+\.(js|css)\Z"
)
_KINDS: Final = ("application/javascript", "text/javascript", "text/css")
_LEAST_BYTES: Final = 1000
# The fastest: what the slowest would still save is not worth the first visitor's time.
_LEVEL: Final = 1
# These describe the file as it is on disk.
_OF_THE_FILE: Final = ("content-length", "accept-ranges", "etag", "last-modified")


class CompressScripts:
    """Middleware that looks at requests for scripts and style sheets only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _script(scope)
        if name is None:
            await self._app(scope, receive, send)
            return
        if name not in self._kept:
            whole = _Whole()
            await self._app(scope, _patient(receive), whole.add)
            if not whole.worth_it:
                await whole.send_on(send)
                return
            self._kept[name] = await to_thread.run_sync(whole.compressed)
        await self._kept[name](scope, receive, send)


def _script(scope: Scope) -> str | None:
    """The script that is asked for, if it may go compressed; less what stands before its path."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    headers = Headers(scope=scope)
    if "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return None
    found = _SCRIPT.search(scope["path"])
    return found.group() if found else None


def _patient(receive: Receive) -> Receive:
    """Does not say when the visitor goes: the file would end there, for all who come after."""

    async def hear() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            await Event().wait()
        return message

    return hear


class _Whole:
    """An answer, collected."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body = bytearray()
        self._ended = False

    async def add(self, message: Message) -> None:
        """What the app sends."""
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")
            self._ended = not message.get("more_body", False)

    @property
    def worth_it(self) -> bool:
        """Whether it is all of a script of some size, as it is on disk.

        Streamlit answers addresses that lead nowhere with a page; keeping one for each such
        address that somebody invents would fill the memory.
        """
        headers = Headers(raw=self._start["headers"])
        plain = "content-encoding" not in headers
        kind = headers.get("content-type", "").startswith(_KINDS)
        large = len(self._body) >= _LEAST_BYTES
        length = headers.get("content-length", str(len(self._body)))
        complete = self._ended and length == str(len(self._body))
        return bool(self._start["status"] == 200 and plain and kind and large and complete)

    async def send_on(self, send: Send) -> None:
        """Send it as it is."""
        await send(self._start)
        await send({"type": "http.response.body", "body": bytes(self._body)})

    def compressed(self) -> Response:
        """The same with its body compressed."""
        headers = MutableHeaders(raw=list(self._start["headers"]))
        for name in _OF_THE_FILE:
            del headers[name]
        headers["content-encoding"] = "gzip"
        headers.add_vary_header("Accept-Encoding")
        return Response(gzip.compress(self._body, _LEVEL, mtime=0), headers=dict(headers))
