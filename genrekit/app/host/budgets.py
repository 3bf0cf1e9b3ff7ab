"""Budgets of uploads, in bytes and files, for a session, for an address and for the server.

Streamlit keeps an upload in memory until its session ends, whether or not a page asks for it.
"""

from collections import Counter
from collections.abc import Mapping
from time import monotonic
from typing import Final, cast

from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from genrekit.app.settings import Settings
from genrekit.system.memory import free_memory

__all__ = ["Budgets", "Full", "Sizes"]

# Bytes of each file, by session.
Sizes = Mapping[str, list[int]]

# As many files as a folder of music may have.
FILES: Final = {"session": 5000, "address": 10_000, "server": 20_000}
# Bytes, by the largest upload. In public a class of 40 with 10 MB each comes from one address.
_UPLOADS: Final = {
    "local": {"session": 20, "address": 20, "server": 20},
    "public": {"session": 3, "address": 10, "server": 20},
}
AT_ONCE: Final = {"session": 20, "address": 60, "server": 200}
_SPARE: Final = 2
_COUNT_SECONDS: Final = 1.0


class Full(Exception):
    """A budget is used up; the text says whose, as "session: bytes"."""


class Budgets:
    """What sessions have uploaded, and what is on its way to them."""

    def __init__(self, settings: Settings) -> None:
        self._largest = round(settings.upload_megabytes * 1e6)
        uploads = _UPLOADS[settings.mode]
        self._bytes = {whose: count * self._largest for whose, count in uploads.items()}
        self._addresses: dict[str, str] = {}
        self._held: Counter[tuple[str, str]] = Counter()
        self._files: Counter[tuple[str, str]] = Counter()
        self._on_way: Counter[tuple[str, str]] = Counter()
        self._at_once: Counter[tuple[str, str]] = Counter()
        self._counted = -_COUNT_SECONDS

    def begin(self, session: str, address: str, announced: int) -> None:
        """Begin an upload; `end` has to be called, unless it is refused.

        Raises
        ------
        Full
        """
        if monotonic() - self._counted > _COUNT_SECONDS:
            self._count(uploaded())
        self._addresses[session] = address
        if free_memory() < _SPARE * self._largest + announced:
            raise Full("memory")
        for whose in self._all(session):
            if self._at_once[whose] >= AT_ONCE[whose[0]]:
                raise Full(f"{whose[0]}: uploads at once")
            if self._files[whose] >= FILES[whose[0]]:
                raise Full(f"{whose[0]}: files")
        self._check(session, announced)
        self._at_once.update(self._all(session))

    def come(self, session: str, size: int) -> None:
        """Note bytes that have come.

        Raises
        ------
        Full
        """
        for whose in self._all(session):
            self._on_way[whose] += size
        self._check(session, 0)

    def end(self, session: str, came: int, *, kept: bool) -> None:
        """End an upload of `came` bytes, which Streamlit has kept or not."""
        for whose in self._all(session):
            self._on_way[whose] -= came
            self._at_once[whose] -= 1
            if kept:
                self._held[whose] += came
                self._files[whose] += 1

    def _check(self, session: str, more: int) -> None:
        for whose in self._all(session):
            if self._held[whose] + self._on_way[whose] + more > self._bytes[whose[0]]:
                raise Full(f"{whose[0]}: bytes")

    def _count(self, sizes: Sizes) -> None:
        """Count what there is: sessions end, and pages let go of uploads."""
        self._counted = monotonic()
        self._held, self._files = Counter(), Counter()
        for session, files in sizes.items():
            for whose in self._all(session):
                self._held[whose] += sum(files)
                self._files[whose] += len(files)
        self._on_way, self._at_once = +self._on_way, +self._at_once
        busy = {name for kind, name in self._at_once if kind == "session"}
        for session in self._addresses.keys() - sizes.keys() - busy:
            del self._addresses[session]

    def _all(self, session: str) -> list[tuple[str, str]]:
        address = self._addresses.get(session, "")
        return [("session", session), ("address", address), ("server", "")]


def uploaded() -> Sizes:
    """Return the bytes of all uploads that Streamlit keeps."""
    files = cast(MemoryUploadedFileManager, get_instance().uploaded_file_mgr).file_storage
    return {
        session: [len(file.data) for file in list(of_session.values())]
        for session, of_session in list(files.items())
    }
