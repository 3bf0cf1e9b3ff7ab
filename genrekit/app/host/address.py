"""The address that a request comes from, for limits: the peer's, or what trusted proxies say."""

import ipaddress
import logging
import re
from functools import cache
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from genrekit.app.logs import event
from genrekit.app.settings import settings

__all__ = ["client_address"]

_THIS_MACHINE: Final = "127.0.0.1"
_PORT: Final = re.compile(r"(\[(?P<six>.+)\]|(?P<four>[\d.]+))(:\d+)?")
# Of IPv6, providers give each customer at least so many bits less than an address.
_CUSTOMER_BITS: Final = 64


def client_address(scope: Scope) -> str:
    """Return the address that a request or a websocket comes from.

    Anybody can write anything into ``X-Forwarded-For``, and each proxy appends the address that it
    has seen. So the entry counts that the outermost of the trusted proxies
    (``GENREKIT_TRUSTED_PROXIES``) has appended; without such proxies, the peer counts.

    Parameters
    ----------
    scope : dict
        An ASGI scope of type "http" or "websocket".

    Returns
    -------
    str
        An IPv4 address, or the beginning of an IPv6 address that one customer shares; empty where
        there is no peer, as in a test.
    """
    peer = _plain(scope["client"][0]) if scope.get("client") else ""
    chain = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    entries = [_plain(entry) for entry in chain if entry.strip()]
    trusted = settings().trusted_proxies
    if trusted and entries:
        return entries[-min(trusted, len(entries))] or peer
    if entries:
        _warn()
    # Uvicorn believes the header from this machine, and has put an entry in the peer's place.
    return _THIS_MACHINE if peer in entries else peer


@cache
def _warn() -> None:
    """Say once that all who come through a proxy share their limits."""
    event("a proxy is not trusted: set GENREKIT_TRUSTED_PROXIES", level=logging.WARNING)


def _plain(entry: str) -> str:
    """Return an address without a port, one for each customer; empty if it is none."""
    entry = entry.strip()
    found = _PORT.fullmatch(entry)
    try:
        address = ipaddress.ip_address(found["six"] or found["four"] if found else entry)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    network = ipaddress.ip_network((int(address), _CUSTOMER_BITS), strict=False)
    return str(network.network_address)
