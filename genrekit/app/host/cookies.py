"""The cookie by which a browser is known as one visitor, given with its first page."""

from functools import partial
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from genrekit.app import visitors
from genrekit.app.host.probes import base_path

__all__ = ["GiveNames"]

_PAGE: Final = "text/html"
_UNCHANGED: Final = 304


class GiveNames:
    """Middleware that gives a browser without a name one, beside a page.

    Scripts cannot read it, and it goes when the browser is closed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            asked = Headers(scope=scope)
            if visitors.signed_name(cookie_parser(asked.get("cookie", ""))) is None:
                send = partial(_send, send, scope["scheme"], asked)
        await self._app(scope, receive, send)


async def _send(send: Send, scheme: str, asked: Headers, message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(raw=list(message["headers"]))
        # A browser that was closed may have kept the page, though not the cookie.
        kept = message["status"] == _UNCHANGED and _PAGE in asked.get("accept", "")
        if kept or headers.get("content-type", "").startswith(_PAGE):
            secure = "https" in (scheme, asked.get("x-forwarded-proto"))
            headers.append("set-cookie", _cookie(secure))
            message = {**message, "headers": headers.raw}
    await send(message)


def _cookie(secure: bool) -> str:
    """Return a new name for a browser, which gives it back when Streamlit's cookie is."""
    same_site = str(config.get_option("server.xsrfCookieSameSite") or "lax").capitalize()
    parts = [
        f"{visitors.COOKIE}={visitors.issue()}",
        f"Path={base_path() or '/'}",
        f"SameSite={same_site}",
        "HttpOnly",
    ]
    if secure or same_site == "None":  # which browsers take over HTTPS alone
        parts.append("Secure")
    return "; ".join(parts)
