"""Who has used how much of something lately, for turns that are fair."""

import time
from typing import Final

__all__ = ["Usage"]

_HALF_LIFE_SECONDS: Final = 30.0
# Of more names, those are left out of whose use no more is left.
_NAMES: Final = 1000
_FORGOTTEN: Final = 0.01


class Usage:
    """Seconds, or calls, of each name lately: half of them are forgotten in each half minute."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[float, float]] = {}  # seconds, and when they were right

    def add(self, name: str, seconds: float) -> None:
        """Note that a name has used so many seconds, >= 0."""
        self._noted[name] = self.of(name) + seconds, time.monotonic()
        if len(self._noted) > _NAMES:
            used = {other: (self.of(other), time.monotonic()) for other in self._noted}
            self._noted = {other: one for other, one in used.items() if one[0] > _FORGOTTEN}

    def of(self, name: str, unknown: float = 0.0) -> float:
        """Return the seconds that a name has used and that are not forgotten, >= 0.

        `unknown` is returned for a name that was never noted, or long ago.
        """
        if name not in self._noted:
            return unknown
        seconds, noted = self._noted[name]
        return seconds * 0.5 ** ((time.monotonic() - noted) / _HALF_LIFE_SECONDS)
