"""Whose request it is, behind none, one or two trusted proxies, and with lies in the header."""

from types import SimpleNamespace

import pytest

from genrekit.app.host import address


def scope(peer, *forwarded):
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return {"type": "http", "client": peer and (peer, 1234), "headers": headers}


@pytest.fixture
def trusting(monkeypatch):
    def trust(count):
        monkeypatch.setattr(address, "settings", lambda: SimpleNamespace(trusted_proxies=count))

    return trust


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        (0, "192.0.2.1", [], "192.0.2.1"),
        (0, "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        # Uvicorn has taken the peer from the header, with or without a port.
        (0, "198.51.100.7", ["198.51.100.7"], "127.0.0.1"),
        (0, "198.51.100.7", ["198.51.100.7:99"], "127.0.0.1"),
        (0, "198.51.100.7", ["203.0.113.5, 198.51.100.7"], "127.0.0.1"),
        (0, "2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::"),
        (0, "::ffff:192.0.2.1", [], "192.0.2.1"),
        (0, None, [], ""),
        (1, "192.0.2.1", [], "192.0.2.1"),
        (1, "192.0.2.1", ["198.51.100.7"], "198.51.100.7"),
        (1, "192.0.2.1", ["198.51.100.7:99"], "198.51.100.7"),
        (1, "192.0.2.1", ["[2001:db8:1:2:3::]:99"], "2001:db8:1:2::"),
        # What a client has written stands before what the proxy has appended.
        (1, "192.0.2.1", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
        (1, "192.0.2.1", ["203.0.113.5", "198.51.100.7"], "198.51.100.7"),
        (2, "192.0.2.1", ["203.0.113.5, 198.51.100.7, 192.0.2.9"], "198.51.100.7"),
        (2, "192.0.2.1", ["198.51.100.7"], "198.51.100.7"),
        (1, "192.0.2.1", ["unknown"], "192.0.2.1"),
        (1, "192.0.2.1", ["\N{NO-BREAK SPACE},;'"], "192.0.2.1"),
    ],
)
def test_the_address_is_that_of_the_client(trusting, trusted, peer, forwarded, expected):
    trusting(trusted)
    assert address.client_address(scope(peer, *forwarded)) == expected
