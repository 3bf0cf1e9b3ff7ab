"""How much somebody may ask for in a while: an allowance that fills up again."""

from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

__all__ = ["Allowance", "Allowances"]

_FORGET_SECONDS: Final = 10.0


@dataclass
class Allowance:
    """A token bucket that may run into debt, which is paid by waiting.

    Parameters
    ----------
    rate : float, what is added each second
    most : float, what can be saved up
    """

    rate: float
    most: float
    left: float = field(init=False)
    at: float = field(default_factory=monotonic, init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    def take(self, cost: float) -> float:
        """Take `cost` out, and return the seconds to wait until the debt is paid."""
        now = monotonic()
        self.left = min(self.most, self.left + self.rate * (now - self.at)) - cost
        self.at = now
        return max(0.0, -self.left / self.rate)

    def share(self) -> float:
        """Return which share is left: 1 of one from which nothing was taken lately."""
        left = self.left + self.rate * (monotonic() - self.at)
        return min(1.0, left / self.most)


class Allowances:
    """An allowance for each address; those who are not there any more are forgotten."""

    def __init__(self, rate: float, most: float) -> None:
        self._of: defaultdict[str, Allowance] = defaultdict(lambda: Allowance(rate, most))
        self._tidied = monotonic()

    def take(self, address: str, cost: float) -> float:
        """Take from the allowance of an address; return as `Allowance.take`."""
        if monotonic() - self._tidied > _FORGET_SECONDS:
            self._tidied = monotonic()
            for other in [other for other, one in self._of.items() if one.share() == 1.0]:
                del self._of[other]
        return self._of[address].take(cost)

    def share(self, address: str) -> float:
        """Return which share of its allowance an address has left, as `Allowance.share`."""
        return self._of[address].share()
