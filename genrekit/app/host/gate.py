"""The gate in front of Streamlit's websocket: who may connect, and what reaches Streamlit.

Anybody can write a client that sends what no page sends. Streamlit would obey, in the one event
loop that serves all visitors.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Final, TypeVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from genrekit.app.host import messages
from genrekit.app.host.address import client_address
from genrekit.app.host.inbox import Inbox
from genrekit.app.host.memory import belongs
from genrekit.app.host.slots import Slot, Slots
from genrekit.app.logs import event
from genrekit.app.rates import Allowance, Allowances

__all__ = ["Gate"]

# A school may have one address: 40 people with some tabs each.
MOST_OF_ADDRESS: Final = 200
MOST: Final = 2000
# A visitor who holds down an arrow key at a slider sends 5 messages a second. Whoever sends more
# than the rate, or than the server can answer, waits. Whoever sends on meanwhile is disconnected.
OF_CONNECTION: Final = (10.0, 60.0)
OF_ADDRESS: Final = (60.0, 400.0)
PATIENCE_SECONDS: Final = 10.0
# Whoever asks again before there is an answer loses a little merit for a while.
HASTE: Final = (0.2, 10.0)
# Whoever sees no page yet gains as much as by waiting for two seconds.
FIRST_PAGE: Final = 0.2
CONNECTING: Final = 5.0
# Streamlit's message that a run has ended has 60 to 200 bytes.
_SHORT: Final = 1000
_INTERRUPTED: Final = ForwardMsg.FINISHED_EARLY_FOR_RERUN

_T = TypeVar("_T")


class Gate:
    """Middleware that lets through what pages need, at a rate that a visitor can have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._connected: Counter[str] = Counter()
        self._allowances = Allowances(*OF_ADDRESS)
        self._slots = Slots()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        address = client_address(scope)
        if self._connected[address] >= MOST_OF_ADDRESS or self._connected.total() >= MOST:
            event("connection refused", connections=self._connected.total())
            await send({"type": "websocket.close", "code": 1013})
            return
        self._connected[address] += 1
        one = _Connection(address, receive, send, self._allowances, self._slots)
        try:
            if await one.unless_gone(self._let_in(one.slot, address)) is None:
                await self._app(_with_own_session(scope, address), one.receive, one.send)
        finally:
            one.inbox.end.cancel()
            self._slots.release(one.slot)
            self._connected -= Counter((address,))

    async def _let_in(self, slot: Slot, address: str) -> None:
        await asyncio.sleep(self._allowances.take(address, CONNECTING))
        await self._slots.take(slot)


class _Connection:
    """One websocket, as Streamlit sees it."""

    def __init__(
        self, address: str, receive: Receive, send: Send, allowances: Allowances, slots: Slots
    ) -> None:
        self.inbox = Inbox(receive)
        self.slot = Slot(self._merit)
        self._address = address
        self._send = send
        self._allowance = Allowance(*OF_CONNECTION)
        self._haste = Allowance(*HASTE)
        self._allowances = allowances
        self._slots = slots
        self._in_time = monotonic()
        self._asked = self._closed = False

    async def receive(self) -> Message:
        """Return the next message that Streamlit may have, or that the client has gone."""
        return await self.unless_gone(self._next())

    async def unless_gone(self, doing: Coroutine[Any, Any, _T]) -> _T | Message:
        """Return what is awaited; as soon as the client has gone, the message that says so."""
        task = asyncio.create_task(doing)
        try:
            await asyncio.wait((task, self.inbox.end), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else self.inbox.end.result()
        finally:
            task.cancel()

    async def send(self, message: Message) -> None:
        """Send what Streamlit sends, and note the end of a run."""
        if self._closed:
            return
        # That the client has gone is told by `receive`; Streamlit fails if it hears it twice.
        with suppress(OSError):
            await self._send(message)
        data = message.get("bytes")
        if message["type"] == "websocket.accept":
            self._slots.release(self.slot)
        if self.slot.held and data is not None and len(data) < _SHORT:
            told = ForwardMsg.FromString(data)
            if told.HasField("script_finished") and told.script_finished != _INTERRUPTED:
                self._slots.release(self.slot)

    async def _next(self) -> Message:
        while True:
            was_there, was_full = len(self.inbox) > 0, self.inbox.full
            message = await self.inbox.next()
            if message["type"] != "websocket.receive":
                return message
            try:
                request = messages.read(message.get("bytes"))
            except messages.NotAllowed as refused:
                event("message refused", reason=refused.reason)
                if refused.close is not None:
                    return await self._close(refused.close)
                request = None
            if await self._late(request.cost if request else 1.0, was_there, was_full):
                event("message refused", reason="rate")
                return await self._close(1008)
            if request is None:
                continue
            if request.reruns:
                self._haste.take(float(was_there and self._asked))
                await self._slots.take(self.slot)
                self._asked = True
            return message

    async def _late(self, cost: float, was_there: bool, was_full: bool) -> bool:
        """Wait until a message is within the rates; True of one who sends on meanwhile.

        One message may cost what takes long to save up, such as the names of a folder's files.
        """
        behind = self._allowance.take(cost)
        in_time = not was_there or not (behind or was_full)
        await asyncio.sleep(max(behind, self._allowances.take(self._address, cost)))
        if in_time:
            self._in_time = monotonic()
        return monotonic() - self._in_time > PATIENCE_SECONDS

    def _merit(self) -> float:
        """Return how little was asked for lately, here and from this address; more at first."""
        lately = min(self._haste.share(), self._allowances.share(self._address))
        return lately if self._asked else lately + FIRST_PAGE

    async def _close(self, code: int) -> Message:
        """Close the websocket; return what tells Streamlit."""
        with suppress(OSError):  # the client has gone
            await self._send({"type": "websocket.close", "code": code})
        self._closed = True
        return {"type": "websocket.disconnect", "code": code}


def _with_own_session(scope: Scope, address: str) -> Scope:
    """Return a websocket's scope with its client's address, and without another's session.

    A browser that has lost its connection asks for its session by an id, which is no secret.
    """
    headers = Headers(scope=scope)
    peer = scope["client"][1] if scope.get("client") else 0
    scope = {**scope, "client": (address, peer)}
    asked = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    cookies = cookie_parser(headers.get("cookie", ""))
    if len(asked) > 2 and not belongs(asked[2], cookies):
        changed = MutableHeaders(raw=list(scope["headers"]))
        changed["sec-websocket-protocol"] = ", ".join(asked[:2])
        scope["headers"] = changed.raw
    return scope
