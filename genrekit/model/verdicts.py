"""The verdict that a model gives on a song."""

from dataclasses import dataclass, field, replace
from typing import Self

from genrekit.model.tags import SoundsLike

__all__ = ["SegmentVerdict", "Verdict"]


@dataclass(frozen=True)
class SegmentVerdict:
    """One segment of a song: from `start` to `end` in seconds, and its probabilities.

    `sounds_like` has, for each tag, the share of reference segments in which it is weaker; it is
    empty for models without tags.
    """

    start: float
    end: float
    probabilities: dict[str, float]
    sounds_like: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A model's verdict on a song.

    Attributes
    ----------
    genre : str or None, where the model is not sure
    confidence : float, 0 to 1, probability of the likeliest genre
    probabilities : dict, the means over the segments, arithmetic or geometric
        Empty where nothing could be judged. What they lack of 1 is the probability that it is no
        music at all.
    note : str, the reason why the model is not sure, and anything else worth knowing
    novelty : float, 0 to 1, or None
        Share of songs like the training music that are nearer to it than this one (see
        `genrekit.model.familiarity`); None where unknown.
    candidates : tuple of str, the likeliest first
        The genres that hold the right one in nine of ten songs like those the model was
        calibrated on; empty where unknown.
    sounds_like : tuple of SoundsLike, the strongest first; empty for models without tags
    """

    genre: str | None
    confidence: float
    probabilities: dict[str, float]
    segments: tuple[SegmentVerdict, ...]
    note: str
    novelty: float | None = None
    candidates: tuple[str, ...] = ()
    sounds_like: tuple[SoundsLike, ...] = ()

    def with_note(self, sentence: str) -> Self:
        """Return the verdict with one more sentence in its note."""
        return replace(self, note=f"{self.note} {sentence}".strip())
