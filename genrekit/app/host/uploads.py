"""Uploads while they arrive: to sessions of the same browser, within budgets, and not slowly."""

import asyncio
import re
from time import monotonic
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrekit.app.host.address import client_address
from genrekit.app.host.budgets import Budgets, Full
from genrekit.app.host.memory import belongs
from genrekit.app.logs import event
from genrekit.app.settings import settings

__all__ = ["GuardUploads"]

_UPLOAD: Final = re.compile(r"/_stcore/upload_file/([^/]*)/[^/]*\Z")
# An upload that has had this long must have come at this speed, in bytes per second.
PATIENCE_SECONDS: Final = 20.0
LEAST_SPEED: Final = 5_000
_KEPT: Final = 204
_REFUSALS: Final = {
    403: "The server no longer knows this page. Load it again.",
    408: "The connection is too slow for this upload.",
    413: "There are too many uploads. Take some away, or try again in a minute.",
}


class GuardUploads:
    """Middleware that refuses uploads, and logs those that Streamlit refuses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._budgets = Budgets(settings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _UPLOAD.search(scope["path"]) if scope["type"] == "http" else None
        if found is None or scope["method"] not in ("PUT", "DELETE"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        size = headers.get("content-length", "")
        announced = int(size) if size.isdecimal() and len(size) < 16 else 0
        answer = _logged(send, announced)
        if not belongs(found[1], cookie_parser(headers.get("cookie", ""))):
            await _refusal(403)(scope, receive, answer)
        elif scope["method"] == "DELETE":
            await self._app(scope, receive, answer)
        else:
            await self._put(found[1], announced, scope, receive, answer)

    async def _put(
        self, session: str, announced: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            self._budgets.begin(session, client_address(scope), announced)
        except Full:
            await _refusal(413)(scope, receive, send)
            return
        upload = _Upload(session, self._budgets, receive, send)
        try:
            await self._app(scope, upload.receive, upload.send)
        finally:
            self._budgets.end(session, upload.came, kept=upload.status == _KEPT)


def _refusal(status: int) -> PlainTextResponse:
    return PlainTextResponse(_REFUSALS[status], status)


def _logged(send: Send, announced: int) -> Send:
    """Return `send`, with refusals logged."""

    async def log_and_send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            event("upload refused", status=message["status"], megabytes=announced / 1e6)
        await send(message)

    return log_and_send


class _Upload:
    """One upload, as Streamlit sees it."""

    def __init__(self, session: str, budgets: Budgets, receive: Receive, send: Send) -> None:
        self.came = self.status = 0
        self._session = session
        self._budgets = budgets
        self._receive = receive
        self._send = send
        self._begun = monotonic()

    async def receive(self) -> Message:
        """Return the next piece; HTTPException of one that comes too late or is too much."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, _REFUSALS[408]) from None
        size = len(message.get("body", b""))
        self.came += size
        try:
            self._budgets.come(self._session, size)
        except Full:
            raise HTTPException(413, _REFUSALS[413]) from None
        seconds = monotonic() - self._begun
        if seconds > PATIENCE_SECONDS and self.came < LEAST_SPEED * seconds:
            raise HTTPException(408, _REFUSALS[408])
        return message

    async def send(self, message: Message) -> None:
        """Send the answer, and note its status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)
