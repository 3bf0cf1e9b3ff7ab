"""What else a song sounds like: tags, each compared with a population of reference songs.

A tag's probability says little: "beautiful" is rare among the tags that people give and never
probable, "rock" is common and often so. Its rank among the reference songs says what a person
would: more acoustic than 93% of them.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from genrekit.system.records import read_toml

__all__ = ["CLEAR", "QUANTILES", "TAGS", "TAG_KINDS", "SoundsLike", "TagReference"]

Array = NDArray[np.float32]

TAG_KINDS: Final[dict[str, str]] = read_toml(__file__)
TAGS: Final = tuple(TAG_KINDS)
# A tag that is stronger than in so many of the reference songs is clear. Of those in one half of a
# song, 9 in 10 are in the top tenth in the other half: docs/listen.md.
CLEAR: Final = 0.95

# The percentiles by which a population is kept, the least and the greatest included.
QUANTILES: Final = 101

_REPORTED: Final = [i for i, tag in enumerate(TAGS) if TAG_KINDS[tag]]


@dataclass(frozen=True)
class SoundsLike:
    """A tag of a song.

    Attributes
    ----------
    tag : str, one of `TAGS`
    kind : "style", "mood", "voice", "instrument" or "era"
    stronger_than : float, 0 to 1, share of the reference songs in which the tag is weaker
    clear : bool
        The tag is among the song's strong ones; otherwise it is "not sure".
    """

    tag: str
    kind: str
    stronger_than: float
    clear: bool


@dataclass(frozen=True, eq=False)
class TagReference:
    """The strength of each tag in the reference songs, and in their segments.

    Attributes
    ----------
    songs, segments : ndarray, float32, shape (tags, 101), rising along each row
        Quantiles of the tags' log-odds: of the mean over a song, of single segments.
    """

    songs: Array
    segments: Array

    @classmethod
    def of(cls, songs: list[Array]) -> Self:
        """Measure a population: for each song the log-odds of its segments, shape (n, tags)."""
        steps = np.linspace(0, 1, QUANTILES)
        means = np.stack([song.mean(axis=0) for song in songs])
        populations = (means, np.concatenate(songs))
        tables = (np.quantile(values, steps, axis=0).T for values in populations)
        return cls(*(np.ascontiguousarray(table, np.float32) for table in tables))

    def of_song(self, log_odds: Array, is_music: bool = True) -> tuple[SoundsLike, ...]:
        """Return a song's tags, the strongest first, from its segments' log-odds, (n, tags).

        Where it is no music, none is clear.
        """
        shares = _ranks(log_odds.mean(axis=0, keepdims=True), self.songs)[0]
        clear = (shares >= CLEAR) & is_music
        return tuple(
            SoundsLike(TAGS[i], TAG_KINDS[TAGS[i]], float(shares[i]), bool(clear[i]))
            for i in sorted(_REPORTED, key=lambda i: -shares[i])
        )

    def of_segments(self, log_odds: Array) -> list[dict[str, float]]:
        """Return for each segment, of log-odds (n, tags), the share of segments it exceeds."""
        shares = _ranks(log_odds, self.segments)
        return [{TAGS[i]: float(row[i]) for i in _REPORTED} for row in shares]


def _ranks(values: Array, quantiles: Array) -> NDArray[np.float64]:
    """Return the share of the population below each of the values, (n, tags), 0 to 1."""
    steps = np.linspace(0, 1, quantiles.shape[1])
    columns = zip(values.T, quantiles, strict=True)
    return np.stack([np.interp(value, known, steps) for value, known in columns], axis=1).round(3)
