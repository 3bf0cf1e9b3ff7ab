"""How far a song lies from the music that a model was trained on.

A song's distance is the mean, over its segments, of the Euclidean distance to the nearest training
segment in a `Space`. There are two spaces: that of the network's embeddings, in which it has
learned what to ignore, and that of `timbre`, which does not depend on the network: a song that the
network mistakes for its training music is still far away there.

Songs known to be of the same kind give a distance its meaning: held-out tracks, or training
tracks, each compared with the music of other artists. A song's rank is the share of them that are
nearer. Of new songs of the same kind, a share of 1 - r ranks above r, whatever the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.features.extraction import FeatureParams
from genrekit.model.recordings import cepstra

__all__ = [
    "EDGE",
    "SURE_AT_THE_EDGE",
    "UNLIKE",
    "Space",
    "distances_between",
    "leave_group_out",
    "moments",
    "nearest_distances",
    "timbre",
    "whiten",
]

Array = NDArray[np.float32]

# Ranks above which a verdict is "not sure", and above which a song is "unlike" the training music.
# Measured: docs/listen.md.
EDGE: Final = 0.8
UNLIKE: Final = 0.975
# Networks that are right at the edge as often as elsewhere.
SURE_AT_THE_EDGE: Final = frozenset({"everyday"})

SONGS_COMPARED: Final = 300
_FEWEST_SONGS: Final = 10
_SHRINKAGE: Final = 0.05
_VALUES_AT_ONCE: Final = 1 << 17


@dataclass(frozen=True, eq=False)
class Space:
    """The positions of the training segments, and the usual distances from them.

    Attributes
    ----------
    vectors : ndarray, float16, shape (n, d)
    centre : ndarray, float32, shape (e,)
    axes : ndarray, float32, shape (e, d)
        A segment of values x, shape (e,), is at ``(x - centre) @ axes``.
    reference : ndarray, float32, shape (songs,), rising, distances of songs of the same kind
    """

    vectors: NDArray[np.float16]
    centre: Array
    axes: Array
    reference: Array

    @cached_property
    def positions(self) -> Array:
        """The vectors in the precision of arithmetic, shape (n, d)."""
        return self.vectors.astype(np.float32)

    def at(self, values: Array) -> Array:
        """Return the positions of segments of these values, shape (n, e); shape (n, d)."""
        return np.asarray((values - self.centre) @ self.axes, np.float32)

    def rank(self, values: Array) -> float | None:
        """Return the share of songs of the same kind that are nearer to the training music.

        `values` are those of the song's segments, shape (n, e), n >= 1. The share is 0 to 1; None
        where fewer than ten such songs are known.
        """
        if len(self.reference) < _FEWEST_SONGS:
            return None
        distance = nearest_distances(self.at(values), self.positions).mean()
        return float(np.searchsorted(self.reference, distance) / len(self.reference))


def timbre(features: Array, params: FeatureParams, band: tuple[float, float] = (0, 1)) -> Array:
    """Summarise the timbre of segments, without a network.

    Parameters
    ----------
    features : ndarray, float32, shape (n, *params.shape)
    params : FeatureParams
    band : (float, float), of the mel axis from 0 to 1, as for `cepstra`

    Returns
    -------
    ndarray, float32, shape (n, 38)
        The means over the frames of cepstral coefficients 1 to 12, then the standard deviations
        of 0 to 12, and of their changes from frame to frame, as logarithms.
    """
    values = features @ cepstra(params, band)
    spread = 10 * np.log1p(values.std(axis=1))
    steps = np.diff(values, axis=1)
    change = 10 * np.log1p(steps.std(axis=1)) if steps.shape[1] else np.zeros_like(spread)
    return np.concatenate([values.mean(axis=1)[:, 1:], spread, change], axis=1).astype(np.float32)


def whiten(values: Array) -> tuple[Array, Array]:
    """Return centre and axes that decorrelate values, shape (n, e), and equalise their spread.

    Faint directions are shrunk. Shapes (e,) and (e, e).
    """
    centre, covariance = moments(values)
    power, directions = np.linalg.eigh(covariance)
    power = np.maximum(power, 0)
    axes = directions / np.sqrt(power + _SHRINKAGE * max(power.mean(), 1e-6))
    return centre.astype(np.float32), axes.astype(np.float32)


def moments(values: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean, shape (e,), and the covariance, shape (e, e), of values, shape (n, e)."""
    covariance = np.atleast_2d(np.cov(values, rowvar=False, bias=True))
    return values.mean(axis=0, dtype=np.float64), covariance


def leave_group_out(
    vectors: Array, song_of: NDArray[np.integer[Any]], group_of: NDArray[Any]
) -> Array:
    """Return the distances of training songs from the training music of other groups (artists).

    Parameters
    ----------
    vectors : ndarray, float32, shape (n, d), the training segments
    song_of : ndarray of int, shape (n,), rising, from 0
    group_of : ndarray, shape (n,)

    Returns
    -------
    ndarray, float32, shape (songs,), rising, of at most 300 songs
    """
    songs = np.unique(song_of)
    distances = []
    for song in songs[:: max(1, -(-len(songs) // SONGS_COMPARED))]:
        own = song_of == song
        others = vectors[group_of != group_of[own.argmax()]]
        if len(others):
            distances.append(nearest_distances(vectors[own], others).mean())
    return np.sort(np.array(distances, np.float32))


def nearest_distances(a: Array, b: Array) -> Array:
    """Return the distance from each of `a` to the nearest of `b`, shape (len(a),)."""
    return np.concatenate([part.min(axis=1) for part in distances_between(a, b)])


def distances_between(a: Array, b: Array) -> Iterator[Array]:
    """Yield Euclidean distances of a part of `a` from all of `b`, shape (part, len(b))."""
    squares = np.square(b).sum(axis=1)
    at_once = max(1, _VALUES_AT_ONCE // max(1, len(b)))
    for start in range(0, len(a), at_once):
        part = a[start : start + at_once]
        distance = np.square(part).sum(axis=1)[:, np.newaxis] + squares - 2 * (part @ b.T)
        yield np.sqrt(np.maximum(distance, 0))
