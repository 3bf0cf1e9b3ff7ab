"""Attacks on what else the server answers, and on what it tells browsers."""

import asyncio
import secrets
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from benchmarks.siege.attack import Attack, Broke, Target

CLOSED = (
    "/_stcore/metrics",
    "/_stcore/script-health-check",
    "/_stcore/agent/openapi.json",
    "/_stcore/agent/mcp",
    "/_stcore/agent/interact",
    "/auth/login",
    "/component/x/index.html",
    "/app/static/x",
)
HEADERS = {
    "content-security-policy": "frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


async def _closed(target: Target) -> None:
    address = target.address()
    while target.lasts():
        for path in CLOSED:
            answer = await target.ask("GET", path, address)
            if answer.status_code != 404:
                raise Broke(f"{path}: status {answer.status_code}")
        await asyncio.sleep(0.1)


async def _headers(target: Target) -> None:
    for path in ("/", "/classify", "/_stcore/health", "/nothing.js"):
        answer = await target.ask("GET", path, target.address())
        for name, part in HEADERS.items():
            if part not in answer.headers.get(name, ""):
                raise Broke(f"{path} is sent without {name}")


async def _origins(target: Target) -> None:
    """Open websockets from pages of other sites."""
    for origin in ("https://x.streamlit.app", "https://evil.example", "null"):
        try:
            async with connect(
                target.url.replace("http", "ws", 1) + "/_stcore/stream",
                subprotocols=[Subprotocol("streamlit")],
                origin=Origin(origin),
            ):
                raise Broke(f"a page of {origin} got a websocket")
        except InvalidStatus:
            continue
    answer = await target.ask("GET", "/_stcore/host-config", target.address())
    if answer.json()["allowedOrigins"]:
        raise Broke(f"pages of {answer.json()['allowedOrigins']} may send the app commands")


async def _requests(target: Target) -> None:
    """Ask for pages and other small things over HTTP, 8 at a time."""
    address = target.address()

    async def ask() -> None:
        while target.lasts():
            for path in ("/", "/classify", "/_stcore/health", "/healthz", "/readyz", "/nothing"):
                await target.ask("GET", path, address)

    await asyncio.gather(*(ask() for _ in range(8)))


async def _lost_sounds(target: Target) -> None:
    """Ask for sounds that do not exist, 100 at a time from each of 5 addresses.

    The server waits for seconds before it says so: a page's sounds may come back.
    """
    at = urlsplit(target.url)

    async def ask(address: str) -> None:
        while target.lasts():
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            lines = (
                f"GET /media/{secrets.token_hex(20)}.wav HTTP/1.1",
                *(f"Host: {at.netloc}", f"X-Forwarded-For: {address}", "Connection: close"),
                *("", ""),
            )
            writer.write("\r\n".join(lines).encode())
            answer = await reader.read()
            writer.close()
            if not answer.startswith(b"HTTP/1.1 404 "):
                raise Broke(f"a sound that does not exist: {answer[:20]!r}")

    addresses = [target.address() for _ in range(5)]
    await asyncio.gather(*(ask(address) for address in addresses for _ in range(100)))


ATTACKS = (
    Attack("requests for lost sounds", "500 at a time, 5 addresses", _lost_sounds),
    Attack("flood of requests", "8 at a time, without pause", _requests),
    Attack("endpoints that no page needs", "metrics, agents, logins", _closed),
    Attack("missing headers", "what browsers are told", _headers),
    Attack("other sites' pages", "websockets and commands", _origins),
)
