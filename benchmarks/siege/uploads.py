"""Attacks with uploads that no page has asked for."""

import asyncio
import http.client
import uuid
from contextlib import suppress
from urllib.parse import urlsplit

import requests
from websockets.exceptions import WebSocketException

from benchmarks.siege.attack import Attack, Broke, Target, page, session_of

MEGABYTE = 1_000_000
# The server's budget is 20 uploads of 50 MB, with what multipart adds.
MOST_BYTES = 1100 * MEGABYTE


async def _fill(target: Target, sessions: int, addresses: int) -> int:
    """Upload files of 20 MB to sessions of one's own; return how many bytes were taken."""
    content = bytes(20 * MEGABYTE)
    ours = [target.address() for _ in range(addresses)]
    taken = 0

    async def fill(address: str) -> None:
        nonlocal taken
        with suppress(WebSocketException, OSError, TimeoutError):
            token = await target.token(address)
            async with target.socket(address, token=token) as socket:
                session = session_of(await page(socket, "glossary"))
                while target.lasts():
                    answer = await target.ask(
                        "PUT",
                        f"/_stcore/upload_file/{session}/{uuid.uuid4()}",
                        address,
                        token=token,
                        files={"file": ("a.wav", content)},
                    )
                    taken += len(content) if answer.status_code == 204 else 0
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(fill(ours[n % addresses]) for n in range(sessions)))
    return taken


async def _one_session(target: Target) -> None:
    if (taken := await _fill(target, 1, 1)) > 200 * MEGABYTE:
        raise Broke(f"one session brought {taken / MEGABYTE:.0f} MB")


async def _many_sessions(target: Target) -> None:
    if (taken := await _fill(target, 8, 1)) > 600 * MEGABYTE:
        raise Broke(f"one address brought {taken / MEGABYTE:.0f} MB")


async def _many_addresses(target: Target) -> None:
    if (taken := await _fill(target, 10, 10)) > MOST_BYTES:
        raise Broke(f"ten addresses brought {taken / MEGABYTE:.0f} MB")


async def _tiny(target: Target) -> None:
    """Upload as many empty files as one can."""
    address = target.address()
    token = await target.token(address)
    async with target.socket(address, token=token) as socket:
        session = session_of(await page(socket, "glossary"))

        async def send() -> None:
            while target.lasts():
                with suppress(requests.RequestException):
                    await target.ask(
                        "PUT",
                        f"/_stcore/upload_file/{session}/{uuid.uuid4()}",
                        address,
                        token=token,
                        files={"file": ("a", b"")},
                    )

        await asyncio.gather(*(send() for _ in range(8)))


async def _another_session(target: Target) -> None:
    """Put a file into the session of somebody else."""
    address = target.address()
    async with target.socket(target.address()) as victim:
        session = session_of(await page(victim, "train"))
        token = await target.token(address)
        for method in ("PUT", "DELETE"):
            path = f"/_stcore/upload_file/{session}/{uuid.uuid4()}"
            files = {"file": ("a.npz", b"x")}
            answer = await target.ask(method, path, address, token=token, files=files)
            if answer.status_code < 400:
                raise Broke(f"{method}: status {answer.status_code}")


async def _slow(target: Target) -> None:
    """Announce 50 MB a hundred times, and send a byte now and then."""
    address = target.address()
    token = await target.token(address)
    async with target.socket(address, token=token) as socket:
        session = session_of(await page(socket, "glossary"))
        await asyncio.gather(
            *(asyncio.to_thread(_trickle, target, address, token, session) for _ in range(30))
        )


def _trickle(target: Target, address: str, token: str, session: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(target.url).netloc, timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.putrequest("PUT", f"/_stcore/upload_file/{session}/{uuid.uuid4()}")
        for name, value in {
            "Content-Length": "49000000",
            "Content-Type": "multipart/form-data; boundary=x",
            "Cookie": f"_streamlit_xsrf={token}",
            "X-Xsrftoken": token,
            "X-Forwarded-For": address,
        }.items():
            connection.putheader(name, value)
        connection.endheaders()
        while target.lasts():
            connection.send(b"-")
            with suppress(TimeoutError):
                connection.sock.settimeout(0.5)
                if connection.sock.recv(1):
                    return
    connection.close()


ATTACKS = (
    Attack("uploads of one session", "20 MB each, to no page", _one_session),
    Attack("uploads of 8 sessions", "one address", _many_sessions),
    Attack("uploads of 10 addresses", "a session each", _many_addresses),
    Attack("empty uploads", "as many as possible", _tiny),
    Attack("uploads to another's session", "and removals", _another_session),
    Attack("slow uploads", "30 that announce 49 MB and send 2 bytes a second", _slow),
)
