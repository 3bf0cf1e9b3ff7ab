"""A server that starts shows where it is: in words, and in a browser unless it is headless."""

import asyncio

import pytest

from genrekit.app.host import server


@pytest.mark.parametrize("headless", [True, False])
def test_the_browser_opens_unless_headless(monkeypatch, capsys, headless):
    values = {"server.headless": headless, "server.port": 8765, "server.baseUrlPath": "music"}
    opened = []
    monkeypatch.setattr(server.config, "get_option", values.get)
    monkeypatch.setattr(server.cli_util, "open_browser", opened.append)
    monkeypatch.setattr(server, "_LISTENING_SECONDS", 0.0)

    async def start():
        server._show_address()
        await asyncio.sleep(0.05)

    asyncio.run(start())
    address = "http://localhost:8765/music/"
    assert opened == ([] if headless else [address])
    assert address in capsys.readouterr().out
