"""A visitor for quotas: a name in a cookie that the server signs, and the address behind it.

Anybody can send any cookie, and throw one away. So a name counts only with our signature, whoever
has none goes by the address, and limits by address stand behind those by name.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from streamlit import config

__all__ = ["COOKIE", "Visitor", "issue", "recognise", "signed_name"]

COOKIE: Final = "genrekit_visitor"
_VERSION: Final = "1"
_LETTERS: Final = 22


@dataclass(frozen=True)
class Visitor:
    """Two codes that say nothing about the person: the visitor's own, and that of the address."""

    name: str
    address: str


def issue() -> str:
    """Return the value of a new visitor's cookie."""
    name = secrets.token_urlsafe(16)
    return f"{_VERSION}.{name}.{_code('name', name)}"


def signed_name(cookies: Mapping[str, str]) -> str | None:
    """Return the name in a cookie of ours; None without one, or if it is not signed by us."""
    version, _, rest = str(cookies.get(COOKIE, "")).partition(".")
    name, _, signature = rest.partition(".")
    ours = hmac.compare_digest(signature.encode(), _code("name", name).encode())
    return name if ours and version == _VERSION else None


def recognise(cookies: Mapping[str, str], address: str) -> Visitor:
    """Return the visitor with these cookies at an address."""
    place = _code("address", address)
    return Visitor(signed_name(cookies) or place, place)


def _code(kind: str, text: str) -> str:
    """Return what only servers with the same secret can compute from a text."""
    key = f"genrekit {kind}\0{config.get_option('server.cookieSecret')}"
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256).hex()[:_LETTERS]
