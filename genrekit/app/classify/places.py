"""The places of a thing that only so many may use at a time, and the queue for them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

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
class _Turn:
    begun: float
    seen: float


class Places:
    """So many places, given in the order of coming; for several threads.

    Parameters
    ----------
    count : int, >= 1
    clock : function that returns the time in s
    """

    def __init__(self, count: int, clock: Callable[[], float] = monotonic) -> None:
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}
        self._queue: dict[str, float] = {}  # when each was last heard of, in the order of coming

    def ask(self, who: str) -> Place | None:
        """Return the place of `who`, who is new or still there; None if a turn has just ended."""
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
            self._queue[who] = now
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
        self._queue = {one: seen for one, seen in self._queue.items() if seen > least}
        while self._queue and len(self._turns) < self._count:
            first = next(iter(self._queue))
            self._turns[first] = _Turn(now, self._queue.pop(first))

    def _waiting(self, who: str, now: float) -> Place:
        ends = sorted(max(0.0, turn.begun + TURN_SECONDS - now) for turn in self._turns.values())
        index = list(self._queue).index(who)
        rounds, within = divmod(index, self._count)
        return Place(index + 1, ends[within] + rounds * TURN_SECONDS)
