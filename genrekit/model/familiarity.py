"""How far a song lies from the music that a model was trained on.

A song's distance is the mean, over its segments, of the distance to the nearest training segment:
Euclidean, in a `Space`. There are two. *Heard* is the network's own, its embeddings, in which it
has learned what to ignore. *Sound* is `colours`, in which the network has no say: what a network
takes for its training music by mistake is still far there.

What a distance means is told by songs that are known to be of the same kind: held-out tracks, or
training tracks, each measured without those of its own artist. A song's rank is the share of them
that are nearer. Of new songs of the same kind, a share of 1 - r ranks above r, whatever the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.features.extraction import FeatureParams
from genrekit.model.recordings import cepstra

__all__ = [
    "EDGE",
    "UNLIKE",
    "Space",
    "colours",
    "distances_between",
    "moments",
    "nearest_distances",
    "whitened",
    "without_own",
]

Array = NDArray[np.float32]

# Ranks beyond which a verdict is "not sure", and beyond which a song is "unlike" the training
# music. Measured: docs/listen.md.
EDGE: Final = 0.8
UNLIKE: Final = 0.975

SONGS_COMPARED: Final = 300
_FEWEST_SONGS: Final = 10
_SHRINKAGE: Final = 0.05
_VALUES_AT_ONCE: Final = 1 << 17
_ROWS_AT_ONCE: Final = 1024


@dataclass(frozen=True, eq=False)
class Space:
    """Where the training segments lie, and how far from them songs of their kind do.

    Attributes
    ----------
    vectors : ndarray, float16, shape (n, d)
    centre : ndarray, float32, shape (e,)
    axes : ndarray, float32, shape (e, d)
        A segment of values x, shape (e,), lies at ``(x - centre) @ axes``.
    reference : ndarray, float32, shape (songs,), rising, distances of songs of the same kind
    """

    vectors: NDArray[np.float16]
    centre: Array
    axes: Array
    reference: Array

    def at(self, values: Array) -> Array:
        """Where segments of these values, shape (n, e), lie; shape (n, d)."""
        return np.asarray((values - self.centre) @ self.axes, np.float32)

    def rank(self, values: Array) -> float | None:
        """The share of songs of the training music's kind that lie nearer to it than this one.

        Parameters
        ----------
        values : ndarray, float32, shape (n, e), n >= 1, the song's segments

        Returns
        -------
        float, 0 to 1, or None
            None where fewer than ten such songs were known, so that nothing can be said.
        """
        if len(self.reference) < _FEWEST_SONGS:
            return None
        known = self.vectors.astype(np.float32)
        distance = nearest_distances(self.at(values), known).mean()
        return float(np.searchsorted(self.reference, distance) / len(self.reference))


def colours(features: Array, params: FeatureParams, band: tuple[float, float] = (0, 1)) -> Array:
    """The sound of segments, a network aside.

    Parameters
    ----------
    features : ndarray, float32, shape (n, *params.shape)
    band : (float, float), of the mel axis from 0 to 1
        The part that counts; for log-mel features only, MFCCs are of all of it.

    Returns
    -------
    ndarray, float32, shape (n, 38)
        Of the cepstral coefficients 1 to 12 the mean over the frames; of 0 to 12 the standard
        deviation and that of their changes from frame to frame, as logarithms.
    """
    values = features @ cepstra(params, band)
    spread = 10 * np.log1p(values.std(axis=1))
    steps = np.diff(values, axis=1)
    change = 10 * np.log1p(steps.std(axis=1)) if steps.shape[1] else np.zeros_like(spread)
    return np.concatenate([values.mean(axis=1)[:, 1:], spread, change], axis=1).astype(np.float32)


def whitened(values: Array) -> tuple[Array, Array]:
    """Centre and axes that make these values uncorrelated and, but for the faint, of one spread.

    Parameters
    ----------
    values : ndarray, shape (n, e)

    Returns
    -------
    ndarray, shape (e,), and ndarray, shape (e, e)
    """
    centre, covariance = moments(values)
    power, directions = np.linalg.eigh(covariance)
    power = np.maximum(power, 0)
    axes = directions / np.sqrt(power + _SHRINKAGE * max(power.mean(), 1e-6))
    return centre.astype(np.float32), axes.astype(np.float32)


def moments(values: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean, shape (e,), and covariance, shape (e, e), of values, shape (n, e), a few at a time."""
    centre = values.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((values.shape[1],) * 2)
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = values[start : start + _ROWS_AT_ONCE] - centre
        covariance += part.T @ part
    return centre, covariance / len(values)


def without_own(vectors: Array, song_of: NDArray[np.integer[Any]], group_of: NDArray[Any]) -> Array:
    """Distances of training songs from the training music of other groups (artists).

    Parameters
    ----------
    vectors : ndarray, float32, shape (n, d), the training segments
    song_of : ndarray of int, shape (n,), rising, from 0: which song each is of
    group_of : ndarray, shape (n,), whose vectors are left out together with one's own

    Returns
    -------
    ndarray, float32, shape (songs,), rising, of at most 300 songs
    """
    songs = np.unique(song_of)
    found = []
    for song in songs[:: max(1, -(-len(songs) // SONGS_COMPARED))]:
        own = song_of == song
        others = vectors[group_of != group_of[own.argmax()]]
        if len(others):
            found.append(nearest_distances(vectors[own], others).mean())
    return np.sort(np.array(found, np.float32))


def nearest_distances(a: Array, b: Array) -> Array:
    """How far the nearest of `b` is from each of `a`, shape (len(a),)."""
    return np.concatenate([apart.min(axis=1) for apart in distances_between(a, b)])


def distances_between(a: Array, b: Array) -> Iterator[Array]:
    """Euclidean distances of some of `a` at a time from all of `b`, shape (some, len(b))."""
    squares = np.square(b).sum(axis=1)
    at_once = max(1, _VALUES_AT_ONCE // max(1, len(b)))
    for start in range(0, len(a), at_once):
        part = a[start : start + at_once]
        apart = np.square(part).sum(axis=1)[:, np.newaxis] + squares - 2 * (part @ b.T)
        yield np.sqrt(np.maximum(apart, 0))
