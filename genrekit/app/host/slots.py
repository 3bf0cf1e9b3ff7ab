"""How many runs of pages begin at the same time, and in whose turn.

Python runs one thread at a time. With a hundred runs at once, each takes a hundred times as long,
a visitor's as well as those of whoever sends them.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Slot", "Slots"]

SLOTS: Final = 8
# Pages take 20 to 200 ms. A run that takes longer waits for something else, such as a verdict, and
# no longer counts.
LONGEST_SECONDS: Final = 0.5


@dataclass(eq=False)
class Slot:
    """The place of one websocket, and whether it holds one now."""

    address: str
    expiry: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def held(self) -> bool:
        return self.expiry is not None


class Slots:
    """Slots, and a queue for each address; addresses take turns."""

    def __init__(self, count: int = SLOTS, longest: float = LONGEST_SECONDS) -> None:
        self._free = count
        self._longest = longest
        self._queues: dict[str, deque[tuple[Slot, asyncio.Future[None]]]] = {}

    async def take(self, slot: Slot) -> None:
        """Wait for a slot; one that is held already serves for another run."""
        if slot.held:
            return
        if self._free and not self._queues:
            self._give(slot)
            return
        waiting = asyncio.get_running_loop().create_future()
        self._queues.setdefault(slot.address, deque()).append((slot, waiting))
        try:
            await waiting
        except asyncio.CancelledError:
            self.release(slot)
            raise

    def release(self, slot: Slot) -> None:
        """Give a slot back, if it is held, to whoever's turn it is."""
        if slot.expiry is None:
            return
        slot.expiry.cancel()
        slot.expiry = None
        self._free += 1
        while self._free and self._queues:
            address, queue = next(iter(self._queues.items()))
            del self._queues[address]
            following, waiting = queue.popleft()
            if queue:
                self._queues[address] = queue  # behind all others
            if not waiting.done():
                self._give(following)
                waiting.set_result(None)

    def _give(self, slot: Slot) -> None:
        self._free -= 1
        slot.expiry = asyncio.get_running_loop().call_later(self._longest, self.release, slot)
