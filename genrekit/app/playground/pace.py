"""The speed of training: from a chosen speed to the number of examples due."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["SPEEDS", "Pacer"]

# Examples a second, given the number of examples in an epoch.
SPEEDS: Final[dict[str, Callable[[int], float]]] = {
    "1 example a second": lambda epoch: 1.0,
    "10 examples a second": lambda epoch: 10.0,
    "1 epoch a second": lambda epoch: float(epoch),
    "5 epochs a second": lambda epoch: 5.0 * epoch,
    "flat out": lambda epoch: math.inf,
}


@dataclass
class Pacer:
    """Counts the examples that have become due since its last call."""

    last: float | None = None
    carry: float = 0.0

    def due(self, now: float, per_second: float) -> int:
        """Return the examples due at `now`, in seconds; a long absence counts as half a second."""
        elapsed = 0.0 if self.last is None else min(max(now - self.last, 0.0), 0.5)
        self.last = now
        if math.isinf(per_second):
            return 1_000_000
        self.carry += elapsed * per_second
        whole = int(self.carry)
        self.carry -= whole
        return whole
