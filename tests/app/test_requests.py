"""Requests over HTTP: as many as browsers send, and not more."""

import asyncio
from time import monotonic

from genrekit.app.host import requests
from genrekit.app.host.requests import OF_ADDRESS, PATIENCE_SECONDS, LimitRequests


def scope(address: str) -> dict:
    return {"type": "http", "path": "/", "method": "GET", "headers": [], "client": (address, 1)}


def ask(times: int, monkeypatch, *, more_from: str = "") -> tuple[list[int], list[float]]:
    """Ask `times` at once from one address, then once from another; return statuses and waits."""
    statuses, waits = [], []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def wait(seconds):
        waits.append(seconds)

    async def main():
        limit = LimitRequests(app)
        for _ in range(times):
            await limit(scope("192.0.2.1"), None, send)
        if more_from:
            await limit(scope(more_from), None, send)

    monkeypatch.setattr(requests.asyncio, "sleep", wait)
    asyncio.run(main())
    return statuses, waits


def test_a_class_that_opens_the_app_at_once_does_not_wait_long(monkeypatch):
    statuses, waits = ask(40 * 6 + int(OF_ADDRESS[1]), monkeypatch)
    assert set(statuses) == {200}
    assert max(waits) < 1.5


def test_a_flood_is_refused_and_others_are_served(monkeypatch):
    rate, most = OF_ADDRESS
    taken = int(most + rate * PATIENCE_SECONDS)
    statuses, waits = ask(taken + 2000, monkeypatch, more_from="192.0.2.2")
    assert statuses.count(429) > 1000
    assert statuses[-1] == 200
    assert max(waits) <= PATIENCE_SECONDS


def test_who_was_refused_is_served_again_soon(monkeypatch):
    now = [monotonic()]
    monkeypatch.setattr("genrekit.app.rates.monotonic", lambda: now[0])
    allowances = requests.Allowances(*OF_ADDRESS)
    monkeypatch.setattr(requests, "Allowances", lambda *_: allowances)
    ask(20_000, monkeypatch)
    now[0] += PATIENCE_SECONDS
    assert allowances.take("192.0.2.1", 1.0) < 0.1
