"""The address to which browsers send what a microphone hears, and which answers with the verdict.

A request names its listener in a header, which no other site can send here and no log has.
"""

import asyncio
import logging
from time import monotonic
from typing import Any, Final

import numpy as np
from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from genrekit.app import session
from genrekit.app.classify import listener as listening
from genrekit.app.classify.listener import HEARD_SECONDS, Listener, Samples
from genrekit.app.classify.places import GONE_SECONDS
from genrekit.app.host.probes import base_path
from genrekit.app.logs import event
from genrekit.errors import GenreKitError, ModelError

__all__ = ["routes"]

_RATES_HZ: Final = range(8_000, 192_001)
_LEAST_SECONDS: Final = 0.2
# Not those in which the server does its other work: these may have to wait for a model.
_threads: Final = CapacityLimiter(64)


class _Refused(Exception):
    """A request that is not answered: its status, and a sentence for the visitor."""


def routes() -> list[Route]:
    """Return the route, below the base path."""
    return [Route(f"{base_path()}/live", _answer, methods=["POST", "DELETE"])]


async def _answer(request: Request) -> JSONResponse:
    try:
        status, content = 200, await _said(request)
    except _Refused as refused:
        status, content = refused.args[0], {"problem": refused.args[1]}
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


async def _said(request: Request) -> dict[str, Any]:
    listener = listening.find(
        request.headers.get("x-listener", ""), session.browser(request.cookies)
    )
    if listener is None:
        raise _Refused(403, "The server no longer knows this page. Load it again.")
    if request.method == "DELETE":
        listening.places().leave(listener.token)
        listener.forget()
        return {}
    rate = request.headers.get("x-rate", "")
    if not (rate.isascii() and rate.isdigit() and len(rate) < 7 and int(rate) in _RATES_HZ):
        raise _Refused(400, "The microphone has a sample rate that cannot be used.")
    if not listener.busy.acquire(blocking=False):
        raise _Refused(429, "The server is busy with what it has heard before.")
    try:
        await asyncio.sleep(listener.asked + _LEAST_SECONDS - monotonic())
        listener.asked = monotonic()
        samples = await _samples(request, HEARD_SECONDS * int(rate))
        return await to_thread.run_sync(_judged, listener, samples, int(rate), limiter=_threads)
    finally:
        listener.busy.release()
        after = GONE_SECONDS + _LEAST_SECONDS
        asyncio.get_running_loop().call_later(after, listener.forget, GONE_SECONDS)


async def _samples(request: Request, most: int) -> Samples:
    """Return the int16 samples that a request brings, little endian."""
    body = bytearray()
    try:
        async with asyncio.timeout(GONE_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > 2 * most:
                    raise _Refused(413, f"That is more than {HEARD_SECONDS} s of sound.")
    except TimeoutError:
        raise _Refused(408, "The connection is too slow for live listening.") from None
    except ClientDisconnect:
        raise _Refused(400, "The connection was lost.") from None
    if len(body) % 2:
        raise _Refused(400, "That is no sound of 16 bits.")
    return np.frombuffer(body, "<i2")


def _judged(listener: Listener, samples: Samples, rate: int) -> dict[str, Any]:
    # Modules of pages want a running server.
    from genrekit.app.classify import live

    try:
        return live.listen(listener, samples, rate)
    except ModelError:
        sentence = "This model cannot be used any more. Choose another one."
    except GenreKitError as error:
        sentence = str(error)
    except Exception as error:
        event("live listening failed", level=logging.ERROR, error=error)
        sentence = "Something went wrong on our side. Start again."
    raise _Refused(503, sentence)
