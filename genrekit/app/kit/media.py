"""Addresses at which the server gives sounds to a browser."""

import hashlib
import secrets
from typing import Final

from streamlit import config, runtime

from genrekit.verdict.playback import PLAYED

__all__ = ["media_url"]

# A browser is told nothing else of a file; the rest is announced as WAV.
_TYPES: Final = {mime for mime, _ in PLAYED.values()}
# New at each start of the server, so that an address cannot be computed from a file.
_SALT: Final = secrets.token_bytes(32)


def media_url(content: bytes, mime: str, key: str) -> str | None:
    """Return the address at which this server gives `content` to a browser, ranges included.

    Streamlit serves the file from memory for as long as a visitor's page shows it: call this in
    every run that does. The address is a keyed hash of the whole content: the same file has the
    same address until the server restarts, and nobody can tell an address from a file. Streamlit
    alone names a file beyond 1 MiB after its length and three samples of it.

    Parameters
    ----------
    content : bytes
    mime : str
        One of the types in `genrekit.verdict.playback`; any other is announced as audio/wav.
    key : str
        The position on the page; a new file there releases the one before.

    Returns
    -------
    str or None
        A path from the root of the host. None where no server runs, as in a bare script.
    """
    if not runtime.exists():
        return None
    # A file's name enters Streamlit's name for it, and is shown for downloads only.
    name = hashlib.blake2b(content, key=_SALT, digest_size=20).hexdigest()
    kind = mime if mime in _TYPES else "audio/wav"
    media = runtime.get_instance().media_file_mgr.add(content, kind, f"media-{key}", name)
    base = config.get_option("server.baseUrlPath").strip("/")
    return f"/{base}{media}" if base and media.startswith("/") else media
