"""The verdict that a model gives on a song."""

from dataclasses import dataclass, replace
from typing import Self

__all__ = ["SegmentVerdict", "Verdict"]


@dataclass(frozen=True)
class SegmentVerdict:
    """One segment of a song: from `start` to `end` in seconds, and its probabilities."""

    start: float
    end: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """A model's verdict on a song.

    Attributes
    ----------
    genre : str or None, where the model is not sure
    confidence : float, 0 to 1, probability of the likeliest genre
    probabilities : dict, the means over the segments; empty where nothing could be judged
    note : str, the reason why the model is not sure, and anything else worth knowing
    novelty : float, 0 to 1, or None
        Share of songs like the training music that are nearer to it than this one (see
        `genrekit.model.familiarity`); None where unknown.
    """

    genre: str | None
    confidence: float
    probabilities: dict[str, float]
    segments: tuple[SegmentVerdict, ...]
    note: str
    novelty: float | None = None

    def with_note(self, sentence: str) -> Self:
        """Return the verdict with one more sentence in its note."""
        return replace(self, note=f"{self.note} {sentence}".strip())
