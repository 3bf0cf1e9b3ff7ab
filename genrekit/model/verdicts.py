"""The verdict that a model gives on a song."""

from dataclasses import dataclass, replace
from typing import Self

from genrekit.wording import the_first

__all__ = ["SegmentVerdict", "Verdict", "undecided"]


@dataclass(frozen=True)
class SegmentVerdict:
    """One segment of a song: from `start` to `end` in seconds, and its probabilities."""

    start: float
    end: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """What a model says of a song.

    `genre` is None when the model is not sure; `note` then says why. `confidence` is the
    probability of the likeliest genre. `probabilities` are the mean over the segments, and
    empty, like `segments`, when there was nothing to judge. `novelty`, 0 to 1, is the share of
    songs of the training music's kind that lie nearer to it than this one (see
    `genrekit.model.familiarity`); None where the model cannot tell.
    """

    genre: str | None
    confidence: float
    probabilities: dict[str, float]
    segments: tuple[SegmentVerdict, ...]
    note: str
    novelty: float | None = None

    def of_the_start(self, seconds: float) -> Self:
        """The same, with a note that only the first `seconds` of the song were heard."""
        part = the_first(seconds)
        return self.noting(f"Only {part} {'were' if part.endswith('s') else 'was'} heard.")

    def noting(self, sentence: str) -> Self:
        """The same, with one more sentence in the note."""
        return replace(self, note=f"{self.note} {sentence}".strip())


def undecided(note: str) -> Verdict:
    """A verdict on sound that cannot be judged, for the reason in the note."""
    return Verdict(None, 0.0, {}, (), note)
