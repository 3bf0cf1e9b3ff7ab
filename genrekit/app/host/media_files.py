"""Sounds and pictures that Streamlit has removed while their page is being drawn again.

A run begins by letting go of all files of its page, and asks for each again when it comes to it.
Whatever run ends in between, such as another visitor's, removes them, and a browser that asks then
would be told that there is no such sound.
"""

import asyncio
import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance

from genrekit.app.host.probes import base_path

__all__ = ["AwaitMedia"]

_MEDIA: Final = re.compile(r"/media/(?P<name>[0-9a-f]+\.\w+)")
# Most runs take less than half a second: 3.1 seconds in all, for files that are gone for good.
WAITS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)


class AwaitMedia:
    """Middleware that lets requests for a file that is not there wait until it is there again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(base_path()) if scope["type"] == "http" else ""
        if found := _MEDIA.fullmatch(path):
            files = get_instance().media_file_mgr
            for wait in WAITS:
                if files.read_file(found["name"]) is not None:
                    break
                await asyncio.sleep(wait)
        await self._app(scope, receive, send)
