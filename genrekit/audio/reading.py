"""A sound file while it is read, and what turned out to be missing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.source import AudioInfo

__all__ = ["Gap", "MiscountedError", "Reading"]


class MiscountedError(Exception):
    """A file does not hold what its header counts: a decoder that relies on it will not do."""


@dataclass(frozen=True)
class Gap:
    """What could not be heard of a sound.

    Attributes
    ----------
    seconds : float, s, how much could be heard
    cut : bool
        It ends before it should.
    total : float or None, s
        How long a cut sound should be; None if nobody knows.
    damaged_at : float or None, s
        The first place where something was left out in the middle.
    lost : float, s
        How much was left out there and at other places, as far as that is known.
    unusable : str
        A sentence on samples that became silence, "" for none.
    """

    seconds: float
    cut: bool
    total: float | None = None
    damaged_at: float | None = None
    lost: float = 0.0
    unusable: str = ""

    @property
    def sentence(self) -> str:
        """What is missing, in a sentence or two."""
        said = []
        if self.cut and self.total is not None:
            said.append(
                f"Only the first {_short(self.seconds)} of {_short(self.total)} s are there; "
                "the rest is missing."
            )
        elif self.cut:
            said.append(f"It breaks off after {_short(self.seconds)} s.")
        if self.damaged_at is not None:
            size = f"about {_short(self.lost)} s" if self.lost >= 0.05 else "what cannot be read"
            said.append(f"It is damaged at {_short(self.damaged_at)} s: {size} had to be left out.")
        return " ".join([*said, self.unusable]).strip()


def _short(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")


@dataclass
class Reading:
    """A file that is being read.

    Attributes
    ----------
    info : AudioInfo
    blocks : iterator of ndarray, float32, shape (channels, samples)
        At the rate of `info`. When it has ended, the other values are complete.
    frames : int
        Samples of each channel so far.
    total : float or None, s
        How long the sound should be, if that can be trusted.
    broken : bool
        The file ends before the sound does.
    damaged_at, lost, unusable : as of `Gap`
    """

    info: AudioInfo
    blocks: Iterator[NDArray[np.float32]] = field(default_factory=lambda: iter(()))
    frames: int = 0
    total: float | None = None
    broken: bool = False
    damaged_at: float | None = None
    lost: float = 0.0
    unusable: str = ""

    @property
    def gap(self) -> Gap | None:
        """What was missing, once all blocks have been read."""
        if not self.broken and self.damaged_at is None and not self.unusable:
            return None
        seconds = self.frames / self.info.sample_rate
        return Gap(seconds, self.broken, self.total, self.damaged_at, self.lost, self.unusable)
