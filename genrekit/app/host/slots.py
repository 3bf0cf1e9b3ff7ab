"""How many runs of pages go on at the same time, and who is next.

Python runs one thread at a time: of a hundred runs at once, each takes a hundred times as long, a
visitor's as well as those of whoever sends them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, process_time
from typing import Final

__all__ = ["Slot", "Slots"]

_SLOTS: Final = 2
# Many runs wait for something else, such as a verdict. Then the processor is idle, and the server
# looks so often whether it is.
_LOOK_SECONDS: Final = 0.01
_BUSY: Final = 0.8
# A run that lasts is replaced by the next one of its visitor, but not at once: to stop a run and to
# begin another costs more than most runs.
_REPLACE_SECONDS: Final = 0.3
# Merit gained in each second of waiting: whoever has asked for a little more waits a little longer.
_PATIENCE: Final = 0.1


@dataclass(eq=False)
class Slot:
    """The slot of one websocket; `merit` tells how little it has asked for, from 1 downwards."""

    merit: Callable[[], float]
    since: float = field(default=0.0, init=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.ended.set()

    @property
    def held(self) -> bool:
        return not self.ended.is_set()

    def claim(self) -> float:
        """Return the merit with what it has gained by waiting."""
        return self.merit() + _PATIENCE * (monotonic() - self.since)


class Slots:
    """Slots for runs, and those who wait for one: whoever has asked for least is next, and nobody
    waits for ever."""

    def __init__(self, count: int = _SLOTS) -> None:
        self._free = count
        self._waiting: dict[Slot, asyncio.Future[None]] = {}
        self._looked = self._used = 0.0

    async def take(self, slot: Slot) -> None:
        """Wait for a slot; `release` it at the end of the run."""
        if slot.held:
            with suppress(TimeoutError):
                await asyncio.wait_for(slot.ended.wait(), _REPLACE_SECONDS)
            self.release(slot)
        if self._free > 0 and not self._waiting:
            self._give(slot)
            return
        if not self._waiting:
            self._look_later()
        slot.since = monotonic()
        waiting = self._waiting[slot] = asyncio.get_running_loop().create_future()
        try:
            await waiting
        finally:
            if waiting.cancelled() and self._waiting.pop(slot, None) is None:
                self.release(slot)

    def release(self, slot: Slot) -> None:
        """Give a slot back, if it is held, to whoever is next."""
        if not slot.held:
            return
        slot.ended.set()
        self._free += 1
        while self._free > 0 and self._waiting:
            self._give_next()

    def _give_next(self) -> None:
        following = max(self._waiting, key=Slot.claim)
        waiting = self._waiting.pop(following)
        if not waiting.done():
            self._give(following)
            waiting.set_result(None)

    def _give(self, slot: Slot) -> None:
        self._free -= 1
        slot.ended.clear()

    def _look_later(self) -> None:
        self._looked, self._used = monotonic(), process_time()
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Let one more run begin if the processor has time."""
        if not self._waiting:
            return
        if process_time() - self._used < _BUSY * (monotonic() - self._looked):
            self._give_next()
        self._look_later()
