"""A cache bounded by bytes and by time, for what several questions about one song share."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

__all__ = ["MAX_IDLE_SECONDS", "SizedCache"]

Item = TypeVar("Item")

MAX_IDLE_SECONDS: Final = 600.0


class SizedCache(Generic[Item]):
    """A cache of at most `limit` bytes that evicts the least recently used item first.

    An item that nobody has used for `MAX_IDLE_SECONDS` goes at the next call. Any thread may call.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Hashable, tuple[float, int, Item]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Item | None:
        """Return the item of this key, if it is still there."""
        with self._lock:
            self._make_room(0)
            if key not in self._items:
                return None
            _, size, item = self._items.pop(key)
            self._items[key] = (time.monotonic(), size, item)
            return item

    def put(self, key: Hashable, size: int, item: Item) -> None:
        """Keep an item of `size` bytes, unless it is larger than the whole cache."""
        with self._lock:
            if size <= self._limit:
                self._items.pop(key, None)
                self._make_room(size)
                self._items[key] = (time.monotonic(), size, item)

    def clear(self) -> None:
        """Drop all items."""
        with self._lock:
            self._items.clear()

    def _make_room(self, wanted: int) -> None:
        """Evict what has been idle for too long, and more until `wanted` bytes fit."""
        now = time.monotonic()
        while self._items:
            used, _, _ = next(iter(self._items.values()))
            held = sum(size for _, size, _ in self._items.values())
            if held + wanted <= self._limit and now - used < MAX_IDLE_SECONDS:
                return
            self._items.popitem(last=False)
