"""Streamlit's endpoints: only those that pages need are open."""

import re
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from genrekit.app.host.probes import base_path
from genrekit.app.settings import settings

__all__ = ["CloseEndpoints"]

_STREAMLITS: Final = re.compile(
    r"/(_stcore/(?P<name>.*)|auth/.*|oauth2callback|component/.*|app/static/.*)", re.DOTALL
)
_NEEDED: Final = re.compile(r"health|host-config|stream|upload_file/.*|bidi-components/.*")
_FOR_ACQUAINTANCES: Final = "metrics"


class CloseEndpoints:
    """Middleware that answers for endpoints that no page needs: there is nothing.

    Among them are metrics, which tell what others have asked for, an interface for agents, and what
    logs visitors in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._local = settings().mode == "local"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._open(scope["path"].removeprefix(base_path())):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _open(self, path: str) -> bool:
        found = _STREAMLITS.fullmatch(path)
        if found is None:
            return True
        name = found["name"] or ""
        return bool(_NEEDED.fullmatch(name)) or (self._local and name == _FOR_ACQUAINTANCES)
