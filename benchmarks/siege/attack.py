"""What an attack is, and what it may use: clients that send anything, from any address."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

PATIENCE_SECONDS = 30.0


class Broke(Exception):
    """An attack that got what it wanted; the message says what."""


@dataclass(frozen=True)
class Attack:
    """An attack of the siege.

    Attributes
    ----------
    name : str
    about : str
        What it sends.
    run : function of a `Target`
        It ends by itself after `Target.seconds`, or soon after, and may raise `Broke`.
    seconds : float
    """

    name: str
    about: str
    run: Callable[["Target"], Awaitable[None]]
    seconds: float = 8.0


def _addresses() -> Iterator[str]:
    for number in itertools.count(1):
        yield f"198.18.{number // 250}.{number % 250 + 1}"


@dataclass
class Target:
    """The server under attack, on this machine."""

    url: str
    seconds: float
    _addresses: Iterator[str] = field(default_factory=_addresses)

    def __post_init__(self) -> None:
        if urlsplit(self.url).hostname != "127.0.0.1":
            raise ValueError(
                f"{self.url} is another machine: only servers of this one are attacked"
            )
        self._until = monotonic() + self.seconds

    def lasts(self) -> bool:
        """Return whether the attack goes on."""
        return monotonic() < self._until

    def address(self) -> str:
        """Return an address from which nobody has come yet."""
        return next(self._addresses)

    async def token(self, address: str) -> str:
        """Return the cookie of a new browser."""
        answer = await self.ask("GET", "/_stcore/health", address)
        return str(answer.cookies["_streamlit_xsrf"])

    async def ask(
        self, method: str, path: str, address: str, *, token: str = "", **more: Any
    ) -> requests.Response:
        """Ask over HTTP, with the cookie if there is one."""
        headers = {"X-Forwarded-For": address, **more.pop("headers", {})}
        if token:
            headers |= {"Cookie": f"_streamlit_xsrf={token}", "X-Xsrftoken": token}
        timeout = more.pop("timeout", PATIENCE_SECONDS)
        return await asyncio.to_thread(
            requests.request, method, self.url + path, headers=headers, timeout=timeout, **more
        )

    @asynccontextmanager
    async def socket(
        self, address: str, *, token: str = "", session: str = ""
    ) -> AsyncIterator[ClientConnection]:
        """Open a websocket, of a browser with a cookie, perhaps to a session that exists."""
        token = token or await self.token(address)
        asked = [Subprotocol(one) for one in ("streamlit", token, session) if one]
        async with connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=asked,
            origin=Origin(self.url),
            additional_headers={
                "Cookie": f"_streamlit_xsrf={token}",
                "X-Forwarded-For": address,
            },
            max_size=None,
            open_timeout=PATIENCE_SECONDS,
            close_timeout=1,
        ) as socket:
            yield socket


def rerun(page: str = "", query: str = "") -> bytes:
    """Return the message that has a page run."""
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = query
    return message.SerializeToString()


async def page(socket: ClientConnection, name: str = "") -> list[ForwardMsg]:
    """Have a page run, and return what comes until its end."""
    await socket.send(rerun(name))
    told = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for data in socket:
            assert isinstance(data, bytes)
            told.append(ForwardMsg.FromString(data))
            if told[-1].WhichOneof("type") == "script_finished":
                break
    return told


def session_of(told: list[ForwardMsg]) -> str:
    """Return the id of the session that a page was told."""
    return next(
        str(one.new_session.initialize.session_id)
        for one in told
        if one.WhichOneof("type") == "new_session"
    )
