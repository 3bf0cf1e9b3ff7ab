"""The warm-up: what the first visitors would otherwise wait for."""

import importlib
import logging
import pkgutil
import threading
import time
from collections.abc import Callable
from typing import Final

import genrekit.app
from genrekit.app import settled
from genrekit.app.host.memory import freeze
from genrekit.app.logs import event

__all__ = ["WarmUp", "import_pages"]

_FIRST_PAGE_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 30.0


def import_pages() -> None:
    """Import all that pages need, or the first visitor of each page would wait for it."""
    for module in pkgutil.walk_packages(genrekit.app.__path__, "genrekit.app."):
        importlib.import_module(module.name)


class WarmUp:
    """The work of a thread that calls `warm` until it succeeds.

    `tried` is true after the first call, `succeeded` until a call fails.
    """

    def __init__(self, warm: Callable[[], object]) -> None:
        self.tried = False
        self.succeeded = True
        self._warm = warm
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread; the first visitor has the processor for the first page."""
        first_page = settled.begin()
        threading.Thread(target=self.run, args=(first_page,), name="warm-up", daemon=True).start()

    def run(self, first_page: threading.Event) -> None:
        """Try until it works: the obstacle, such as a crowd of visitors, may pass."""
        first_page.wait(_FIRST_PAGE_SECONDS)
        first_page.set()
        while not self._try():
            if self._stopped.wait(_RETRY_SECONDS):
                return

    def stop(self) -> None:
        """Do not try again."""
        self._stopped.set()

    def _try(self) -> bool:
        begun = time.monotonic()
        try:
            self._warm()
            self.succeeded = True
            event("warmed up", seconds=time.monotonic() - begun)
        except Exception as error:
            self.succeeded = False
            event("warm-up failed", level=logging.ERROR, error=error)
        if not self.tried:
            freeze()
        self.tried = True
        return self.succeeded
