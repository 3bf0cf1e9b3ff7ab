"""Attacks over the websocket."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from time import perf_counter

from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from benchmarks.siege.attack import Attack, Broke, Target, page, rerun, session_of


def _clear_cache() -> bytes:
    return BackMsg(clear_cache=True).SerializeToString()


def _file_names(count: int) -> bytes:
    message = BackMsg()
    message.file_urls_request.request_id = "x"
    message.file_urls_request.file_names.extend(["a"] * count)
    return message.SerializeToString()


def _widgets(count: int) -> bytes:
    message = BackMsg()
    for number in range(count):
        message.rerun_script.widget_states.widgets.add(id=f"$$ID-{number}", trigger_value=True)
    return message.SerializeToString()


async def _flood(target: Target, data: bytes, senders: int, per_address: int, pause: float) -> None:
    """Send a message again and again from several websockets, each reopened when it is closed."""
    addresses = [target.address() for _ in range(-(-senders // per_address))]

    async def send(address: str) -> None:
        while target.lasts():
            with suppress(WebSocketException, OSError, TimeoutError):
                async with target.socket(address) as socket:
                    reading = asyncio.create_task(_read(socket))
                    try:
                        async with asyncio.timeout(target.seconds):
                            while target.lasts():
                                await socket.send(data)
                                await asyncio.sleep(pause)
                    finally:
                        reading.cancel()

    await asyncio.gather(*(send(addresses[n // per_address]) for n in range(senders)))


async def _read(socket: ClientConnection) -> None:
    with suppress(WebSocketException):
        async for _ in socket:
            pass


async def _clear_caches(target: Target) -> None:
    await _flood(target, _clear_cache(), 4, 1, 0.05)


async def _many_names(target: Target) -> None:
    await _flood(target, _file_names(300_000), 2, 1, 0.2)


async def _allowed_names(target: Target) -> None:
    await _flood(target, _file_names(5000), 4, 1, 0.0)


async def _many_widgets(target: Target) -> None:
    await _flood(target, _widgets(50_000), 2, 1, 0.2)


async def _large(target: Target) -> None:
    message = BackMsg()
    message.rerun_script.query_string = "x" * 40_000_000
    await _flood(target, message.SerializeToString(), 2, 1, 0.2)


async def _reruns(target: Target) -> None:
    await _flood(target, rerun("mel-scale"), 1, 1, 0.0)


async def _reruns_of_many(target: Target) -> None:
    await _flood(target, rerun("backprop"), 20, 20, 0.0)


async def _reruns_from_many(target: Target) -> None:
    await _flood(target, rerun("glossary"), 20, 1, 0.0)


async def _tabs(target: Target, senders: int, per_address: int) -> None:
    """Open tabs, look at a page, and close them again."""
    addresses = [target.address() for _ in range(-(-senders // per_address))]

    async def open_and_close(address: str) -> None:
        while target.lasts():
            with suppress(WebSocketException, OSError, TimeoutError):
                async with target.socket(address) as socket:
                    await page(socket, "backprop")

    await asyncio.gather(*(open_and_close(addresses[n // per_address]) for n in range(senders)))


async def _tabs_of_many(target: Target) -> None:
    await _tabs(target, 20, 20)


async def _tabs_from_many(target: Target) -> None:
    await _tabs(target, 10, 1)


async def _junk(target: Target) -> None:
    rng = random.Random(0)
    address = target.address()
    while target.lasts():
        with suppress(WebSocketException, OSError, TimeoutError):
            async with target.socket(address) as socket:
                for _ in range(20):
                    await socket.send(rng.randbytes(rng.randrange(1, 2000)))
                await socket.send("text")
        await asyncio.sleep(0.02)


async def _unfinished(target: Target) -> None:
    """Send the beginnings of messages that never end."""

    async def endless(address: str) -> None:
        async def parts() -> AsyncIterator[bytes]:
            while target.lasts():
                yield os.urandom(100_000)
                await asyncio.sleep(0.005)

        while target.lasts():
            with suppress(WebSocketException, OSError, TimeoutError):
                async with target.socket(address) as socket:
                    await socket.send(parts())

    addresses = [target.address() for _ in range(5)]
    await asyncio.gather(*(endless(address) for address in addresses))


async def _another_session(target: Target) -> None:
    """Take over the session of somebody else by its id, from another browser."""
    async with target.socket(target.address()) as victim:
        session = session_of(await page(victim))
        async with target.socket(target.address(), session=session) as thief:
            if session_of(await page(thief)) == session:
                raise Broke("another browser got a session by its id")
        await asyncio.sleep(0.5)
        await page(victim)


async def _onlookers(target: Target) -> None:
    """Have 500 people come and look, each from an address of their own."""
    waited: list[float] = []
    lost: list[str] = []

    async def look(number: int) -> None:
        await asyncio.sleep(number * target.seconds / 500)
        begun = perf_counter()
        try:
            async with target.socket(target.address()) as socket:
                await page(socket)
                waited.append(perf_counter() - begun)
                while target.lasts():
                    await asyncio.sleep(0.5)
        except (WebSocketException, OSError, TimeoutError) as error:
            lost.append(type(error).__name__)

    await asyncio.gather(*(look(number) for number in range(500)))
    if lost:
        raise Broke(f"{len(lost)} of 500 got no page: {sorted(set(lost))}")


ATTACKS = (
    Attack(
        "clear everybody's caches", "20 clear_cache messages a second, 4 clients", _clear_caches
    ),
    Attack("address requests of 300,000 files", "900 kB each, 2 clients", _many_names),
    Attack("address requests of 5,000 files", "as a page may, without pause", _allowed_names),
    Attack("reruns with 50,000 widgets", "2 clients", _many_widgets),
    Attack("messages of 40 MB", "2 clients", _large),
    Attack("messages that never end", "5 clients, 20 MB a second each", _unfinished),
    Attack("flood of reruns", "one client, without waiting", _reruns),
    Attack("flood of reruns, 20 tabs", "one address", _reruns_of_many),
    Attack("flood of reruns, 20 addresses", "a tab each", _reruns_from_many),
    Attack("tabs opened and closed, 20 at once", "one address", _tabs_of_many),
    Attack("tabs opened and closed, 10 addresses", "a tab each, without pause", _tabs_from_many),
    Attack("junk instead of messages", "random bytes and text", _junk),
    Attack("session of somebody else", "by its id", _another_session),
    Attack("500 onlookers", "from 500 addresses, within half a minute", _onlookers, 30.0),
)
