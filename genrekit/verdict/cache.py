"""The decoded songs that a process keeps, bounded by bytes and by time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from genrekit.audio.decoder import Decoded

__all__ = ["MAX_IDLE_SECONDS", "SongCache"]

MAX_IDLE_SECONDS: Final = 600.0


class SongCache:
    """A cache of at most `limit` bytes of samples that evicts the least recently used song first.

    A song that nobody has used for `MAX_IDLE_SECONDS` goes at the next call. Any thread may call.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._songs: OrderedDict[Hashable, tuple[float, Decoded]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Decoded | None:
        """Return the song of this key, if it is still there."""
        with self._lock:
            self._make_room(0)
            if key not in self._songs:
                return None
            _, song = self._songs.pop(key)
            self._songs[key] = (time.monotonic(), song)
            return song

    def put(self, key: Hashable, song: Decoded) -> None:
        """Keep a song, unless it is larger than the whole cache."""
        with self._lock:
            if song.samples.nbytes <= self._limit:
                self._songs.pop(key, None)
                self._make_room(song.samples.nbytes)
                self._songs[key] = (time.monotonic(), song)

    def clear(self) -> None:
        """Drop all songs."""
        with self._lock:
            self._songs.clear()

    def _make_room(self, wanted: int) -> None:
        """Evict what has been idle for too long, and more until `wanted` bytes fit."""
        now = time.monotonic()
        while self._songs:
            used, _ = next(iter(self._songs.values()))
            held = sum(song.samples.nbytes for _, song in self._songs.values())
            if held + wanted <= self._limit and now - used < MAX_IDLE_SECONDS:
                return
            self._songs.popitem(last=False)
