"""The verdict that a model gives on a song."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from genrekit.model.tags import SoundsLike
from genrekit.system.notebook import Bar, picture
from genrekit.wording import counted, in_one_line

__all__ = [
    "CONFIDENCE_WORDS",
    "NOTICEABLE",
    "NO_MUSIC",
    "SegmentVerdict",
    "Verdict",
    "clear_tags",
    "confidence_in_words",
    "noticeable",
    "ranked",
]

# The outcome beside the genres, of models that know what is no music.
NO_MUSIC: Final = "no music"
# What a probability from this on is called.
CONFIDENCE_WORDS: Final = {"very sure": 0.9, "fairly sure": 0.7, "leaning": 0.5, "guessing": 0.0}
# Less is shown as 0%, or a matter of rounding.
NOTICEABLE: Final = 0.005
_TAGS_SHOWN: Final = 3
_LIKELIEST_SHOWN: Final = 3


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

    @property
    def outcomes(self) -> dict[str, float]:
        """As `Verdict.outcomes`."""
        return _outcomes(self.probabilities)


@dataclass(frozen=True, repr=False)
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
        The genres that hold the right one for nine of ten songs like those the model was
        calibrated on; empty where unknown, and where the song is unlike those.
    sounds_like : tuple of SoundsLike, the strongest first; empty for models without tags

    Examples
    --------
    >>> model = genrekit.load_model("my-model")
    >>> verdict = model.classify("song.mp3")
    >>> verdict.genre
    'jazz'
    >>> sorted(verdict.probabilities)
    ['classical', 'jazz']
    """

    genre: str | None
    confidence: float
    probabilities: dict[str, float]
    segments: tuple[SegmentVerdict, ...]
    note: str
    novelty: float | None = None
    candidates: tuple[str, ...] = ()
    sounds_like: tuple[SoundsLike, ...] = ()

    @property
    def outcomes(self) -> dict[str, float]:
        """The probabilities of the genres, and of `NO_MUSIC` where it is noticeable.

        They sum to 1, less what is not noticeable. Empty where nothing could be judged.
        """
        return _outcomes(self.probabilities)

    def __repr__(self) -> str:
        likeliest = noticeable(self.outcomes)[:_LIKELIEST_SHOWN]
        shares = ", ".join(f"{outcome} {share:.0%}" for outcome, share in likeliest)
        lines = (self._title(), shares, self._about())
        return "\n".join(in_one_line(line) for line in lines if line)

    def _repr_html_(self) -> str:
        order = ranked(self.outcomes)
        bars = [Bar(outcome, min(share, 1.0), f"{share:.0%}") for outcome, share in order]
        over_time = [segment.outcomes.get(order[0][0], 0.0) for segment in self.segments]
        return picture(self._title(), bars, self._about(), over_time)

    def _title(self) -> str:
        if self.genre is None:
            return "Verdict: not sure" if self.probabilities else "No verdict"
        words = confidence_in_words(self.confidence)
        return f"Verdict: {self.genre}, {words} ({self.confidence:.0%})"

    def _about(self) -> str:
        tags = clear_tags(self, _TAGS_SHOWN)
        heard = f"Also hears: {', '.join(tags)}." if tags else ""
        length = f"Judged by {counted(len(self.segments), 'segment')}." if self.segments else ""
        return " ".join(filter(None, (self.note, heard, length)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    def with_note(self, sentence: str) -> Self:
        """Return the verdict with one more sentence in its note."""
        return replace(self, note=f"{self.note} {sentence}".strip())


def confidence_in_words(confidence: float) -> str:
    """Return "very sure" for 0.9 and more, "fairly sure", "leaning" or "guessing" for less."""
    return next(words for words, least in CONFIDENCE_WORDS.items() if confidence >= least)


def ranked(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return genres, or all outcomes, with their probabilities, the likeliest first."""
    return sorted(probabilities.items(), key=lambda item: -item[1])


def noticeable(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return those of `ranked` that are not 0% when shown."""
    return [one for one in ranked(probabilities) if one[1] >= NOTICEABLE]


def clear_tags(verdict: Verdict, most: int | None = None) -> list[str]:
    """Return the song's clear tags, the strongest first, `most` of them at most."""
    return [one.tag for one in verdict.sounds_like if one.clear][:most]


def _outcomes(probabilities: Mapping[str, float]) -> dict[str, float]:
    rest = 1 - sum(probabilities.values())
    if not probabilities or rest < NOTICEABLE:
        return dict(probabilities)
    return {**probabilities, NO_MUSIC: rest + probabilities.get(NO_MUSIC, 0.0)}
