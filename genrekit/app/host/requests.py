"""How many requests over HTTP an address may send."""

import asyncio
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from genrekit.app.host.address import client_address
from genrekit.app.rates import Allowances

__all__ = ["LimitRequests"]

# A page takes a browser 80 to 120 requests, most of them once. A class of 40 has one address, and
# each of its browsers sends six requests at a time.
OF_ADDRESS: Final = (200.0, 2000.0)
PATIENCE_SECONDS: Final = 10.0


class LimitRequests:
    """Middleware that has whoever asks too fast wait, and refuses what would wait too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._allowances = Allowances(*OF_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            address = client_address(scope)
            behind = self._allowances.take(address, 1.0)
            if behind > PATIENCE_SECONDS:
                self._allowances.take(address, -1.0)
                await PlainTextResponse("Too many requests", 429)(scope, receive, send)
                return
            if behind:
                await asyncio.sleep(behind)
        await self._app(scope, receive, send)
