"""The places of a thing that only so many may use at a time, and the queue for them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from genrekit.app.fair import take_turns

__all__ = ["GONE_SECONDS", "TURN_SECONDS", "Place", "Places"]

# Who has not been heard of for so long is gone.
GONE_SECONDS: Final = 6.0
# A turn lasts at least this long; it ends only when somebody waits.
TURN_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Place:
    """The place of somebody in the queue: 0 for those whose turn it is.

    `seconds` is the longest that it takes until then, in s.
    """

    number: int
    seconds: float = 0.0


@dataclass
class _Guest:
    address: str
    seen: float
    begun: float = 0.0


class Places:
    """So many places, given in the order of coming, and to addresses in turns; for several threads.

    Parameters
    ----------
    count : int, >= 1
    clock : function that returns the time in s
    """

    def __init__(self, count: int, clock: Callable[[], float] = monotonic) -> None:
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: dict[str, _Guest] = {}
        self._queue: dict[str, _Guest] = {}  # in the order of coming

    def ask(self, who: str, address: str = "") -> Place | None:
        """Return the place of `who`, who is new or still there; None if a turn has just ended.

        Whoever is at an empty address has it alone.
        """
        with self._lock:
            now = self._clock()
            self._fill(now, who)
            if who in self._turns:
                turn = self._turns[who]
                turn.seen = now
                if not self._queue or now - turn.begun < TURN_SECONDS:
                    return Place(0)
                del self._turns[who]
                self._fill(now)
                return None
            self._queue.setdefault(who, _Guest(address or who, now)).seen = now
            self._fill(now)
            if who in self._turns:
                return Place(0)
            return self._waiting(who, now)

    def leave(self, who: str) -> None:
        """Free the place of `who`."""
        with self._lock:
            self._turns.pop(who, None)
            self._queue.pop(who, None)

    def _fill(self, now: float, here: str = "") -> None:
        """Drop who is gone, `here` excepted, and give free places to those who wait longest."""
        least = now - GONE_SECONDS
        self._turns = {
            one: turn for one, turn in self._turns.items() if turn.seen > least or one == here
        }
        self._queue = {one: guest for one, guest in self._queue.items() if guest.seen > least}
        for first in self._order()[: max(0, self._count - len(self._turns))]:
            self._turns[first] = self._queue.pop(first)
            self._turns[first].begun = now

    def _order(self) -> list[str]:
        """Return who is in the queue, whoever is next in front."""
        had = [turn.address for turn in self._turns.values()]
        return take_turns(self._queue, lambda who: self._queue[who].address, had)

    def _waiting(self, who: str, now: float) -> Place:
        ends = sorted(max(0.0, turn.begun + TURN_SECONDS - now) for turn in self._turns.values())
        index = self._order().index(who)
        rounds, within = divmod(index, self._count)
        return Place(index + 1, ends[within] + rounds * TURN_SECONDS)
