"""Send scripts and style sheets compressed: 3 MB for a page with charts instead of 10.

Streamlit sends them as they are, since compressing for every visitor would keep the server busy.
Here each is compressed once, on its first request, and kept: they do not change while a server
runs, and there are 23 MB of them in all.
"""

import gzip
import re
from collections.abc import Sequence
from typing import Final

from anyio import Event, to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CompressScripts"]

_SCRIPT: Final = re.compile(
    r"(/static/(js|css)|/_stcore/bidi-components/genrekit\.\w+)/[\w.-]+\.(js|css)\Z"
)
_MEDIA_TYPES: Final = ("application/javascript", "text/javascript", "text/css")
_LEAST_BYTES: Final = 1000
# The fastest: what the slowest would save is not worth the first visitor's time.
_LEVEL: Final = 1
# Headers that describe the file on disk.
_OF_THE_FILE: Final = ("content-length", "accept-ranges", "etag", "last-modified")


class CompressScripts:
    """Middleware that answers requests for scripts and style sheets from its cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cache: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _script(scope)
        if name is None:
            await self._app(scope, receive, send)
            return
        if name not in self._cache:
            messages: list[Message] = []

            async def collect(message: Message) -> None:
                messages.append(message)

            await self._app(scope, _without_disconnect(receive), collect)
            compressed = await to_thread.run_sync(_compressed, messages)
            if compressed is None:
                for message in messages:
                    await send(message)
                return
            self._cache[name] = compressed
        await self._cache[name](scope, receive, send)


def _script(scope: Scope) -> str | None:
    """Return the requested script without its base path, if it may be sent compressed."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    headers = Headers(scope=scope)
    if "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return None
    found = _SCRIPT.search(scope["path"])
    return found.group() if found else None


def _without_disconnect(receive: Receive) -> Receive:
    """Hide that a visitor leaves, which would truncate the file for all later ones."""

    async def receive_all_else() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            await Event().wait()
        return message

    return receive_all_else


def _compressed(messages: Sequence[Message]) -> Response | None:
    """Return a script's response compressed; None if it is anything else, small or incomplete.

    Streamlit answers unknown addresses with a page; a copy of it for each address that somebody
    invents would fill the memory.
    """
    start, *rest = messages
    body = b"".join(message.get("body", b"") for message in rest)
    headers = MutableHeaders(raw=list(start["headers"]))
    ended = bool(rest) and not rest[-1].get("more_body", False)
    complete = ended and headers.get("content-length", str(len(body))) == str(len(body))
    script = headers.get("content-type", "").startswith(_MEDIA_TYPES)
    plain = start["status"] == 200 and script and "content-encoding" not in headers
    if not (plain and complete and len(body) >= _LEAST_BYTES):
        return None
    for name in _OF_THE_FILE:
        del headers[name]
    headers["content-encoding"] = "gzip"
    headers.add_vary_header("Accept-Encoding")
    return Response(gzip.compress(body, _LEVEL, mtime=0), headers=dict(headers))
