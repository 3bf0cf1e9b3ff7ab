"""Headers that tell browsers what a page of the app may do, and who may show it in a frame."""

import base64
import hashlib
import re
from functools import partial
from pathlib import Path
from typing import Final

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from genrekit.app.settings import settings

__all__ = ["SendHeaders", "policy"]

_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def policy(framed_by: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy of all pages: nothing from anywhere else.

    Streamlit's pages have one small script of their own, which is named by its hash. Plotly
    compiles functions for what it draws with WebGL: without 'unsafe-eval' the map of segments stays
    grey. Styles are written into pages by Streamlit and Plotly; sounds, images and workers are also
    made there.
    """
    index = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    hashes = [hashlib.sha256(script.encode()).digest() for script in _INLINE.findall(index)]
    inline = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes)
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' blob: 'unsafe-eval' {inline}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            " ".join(("frame-ancestors 'self'", *framed_by)),
        )
    )


class SendHeaders:
    """Middleware that adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        framed_by = settings().framed_by
        self._headers = {
            "content-security-policy": policy(framed_by),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "permissions-policy": "microphone=(self), camera=(), geolocation=()",
        }
        if not framed_by:
            self._headers["x-frame-options"] = "SAMEORIGIN"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            send = partial(self._send, send)
        await self._app(scope, receive, send)

    async def _send(self, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            headers.update(self._headers)
            message = {**message, "headers": headers.raw}
        await send(message)
