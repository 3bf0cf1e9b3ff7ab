"""Fitting `Neighbours` to the segments that a model was trained on."""

from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.errors import DatasetError, ModelError
from genrekit.features.extraction import FeatureParams
from genrekit.model.familiarity import (
    Space,
    leave_group_out,
    moments,
    nearest_distances,
    timbre,
    whiten,
)
from genrekit.model.neighbours import Neighbours
from genrekit.model.recordings import Fingerprints, fingerprint
from genrekit.system.memory import rows_at_once
from genrekit.wording import counted

__all__ = ["Embedder", "fit_neighbours"]

Array = NDArray[np.float32]

COMPONENTS: Final = 32
# With fewer held-out tracks, the training tracks give the usual distances.
HELD_OUT_LEAST: Final = 20
HELD_OUT_MOST: Final = 4096  # of their segments
# Of more segments, every second, third, ... of each track is kept; fingerprints are of all.
SEGMENTS_KEPT: Final = 10_000

_PAIRS: Final = 40_000
_ROWS_AT_ONCE: Final = 1024
_SMALLEST_COMPONENT: Final = 1e-5
_NONE: Final = np.empty(0, np.int64)


class Embedder(Protocol):
    """The part of a `GenreModel` that fitting uses."""

    @property
    def params(self) -> FeatureParams:
        """The parameters of its features."""

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of its weights."""

    def embeddings(self, features: Array, rows: NDArray[np.int64] | None = None) -> Array:
        """Return the input of the network's last layer, shape (n, e)."""


def fit_neighbours(
    model: Embedder,
    dataset: Dataset,
    rows: NDArray[np.int64],
    held_out: NDArray[np.int64] = _NONE,
    band: tuple[float, float] = (0.0, 1.0),
) -> Neighbours:
    """Keep the segments that a model was trained on.

    Parameters
    ----------
    model : Embedder, such as a GenreModel
    dataset : Dataset, with tracks
    rows : ndarray of int, the training rows of `dataset`
    held_out : ndarray of int, rows of other tracks, which give the usual distances
        With fewer than 20 tracks, the training tracks give them, each compared with those of other
        artists.
    band : (float, float), of the mel axis from 0 to 1
        The part that every training variation leaves of log-mel features.

    Raises
    ------
    DatasetError
        The dataset has no track names, or the rows are of fewer than two tracks.
    ModelError
        The features are not the model's, or its embeddings are all alike.
    """
    if dataset.tracks is None:
        raise DatasetError(
            "The dataset does not know its tracks, so there is nothing to name as a "
            "neighbour: build it from a folder with music."
        )
    if dataset.params != model.params:
        raise ModelError(
            "The dataset's features were computed with other parameters than the model's: "
            "use the dataset it was trained on."
        )
    places = _segment_numbers(dataset)
    rows = rows[np.lexsort((places[rows], dataset.tracks[rows]))]
    names, track_of = np.unique(dataset.tracks[rows], return_inverse=True)
    if len(names) < 2:
        raise DatasetError(
            f"{counted(len(names), 'training track')} cannot be compared: use two or more."
        )
    starts = dataset.params.segment_starts(places[rows])
    bounds = np.flatnonzero(np.diff(track_of, prepend=-1, append=len(names)))
    fingerprints = Fingerprints.of(
        fingerprint(dataset.features[rows[a:b]], starts[a:b], dataset.params)
        for a, b in pairwise(bounds)
    )
    place_in_track = np.arange(len(rows)) - bounds[track_of]
    kept = place_in_track % -(-len(rows) // SEGMENTS_KEPT) == 0
    rows, track_of, starts = rows[kept], track_of[kept], starts[kept]
    held_out = held_out[:: -(-len(held_out) // HELD_OUT_MOST) or 1]
    held_out = held_out[~np.isin(dataset.tracks[held_out], names)]
    distances = _UsualDistances(dataset, rows, track_of, held_out)
    embeddings = model.embeddings(dataset.features, rows)
    embedding_space = distances.space(
        embeddings, *_components(embeddings), model.embeddings(dataset.features, held_out)
    )
    timbres = _timbres(dataset, rows, band)
    timbre_space = distances.space(timbres, *whiten(timbres), _timbres(dataset, held_out, band))
    known_files = {record.id: record.sha256 for record in dataset.records}
    return Neighbours(
        embedding_space=embedding_space,
        timbre_space=timbre_space,
        fingerprints=fingerprints,
        tracks=tuple(names.tolist()),
        files=tuple(known_files.get(name, "") for name in names.tolist()),
        track_of=track_of.astype(np.int32),
        places=places[rows].astype(np.int32),
        starts=starts.astype(np.float32),
        genres=dataset.genres,
        labels=dataset.labels[rows].astype(np.int32),
        quantiles=_distance_quantiles(embedding_space.positions, track_of),
        band=band,
        weights_sha256=model.weights_sha256,
    )


class _UsualDistances:
    """The songs whose distances from the training music are those usual for their kind."""

    def __init__(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        track_of: NDArray[np.integer[Any]],
        held_out: NDArray[np.int64],
    ) -> None:
        assert dataset.tracks is not None
        self._track_of = track_of
        self._artists = dataset.tracks[rows]
        if dataset.artists is not None:
            artists = dataset.artists[rows]
            self._artists = np.where(artists == "", self._artists, np.char.add("\0", artists))
        self._held_out = dataset.tracks[held_out]

    def space(self, values: Array, centre: Array, axes: Array, held_out: Array) -> Space:
        """Return the space of the training segments' values, with the usual distances."""
        empty = np.empty(0, np.float32)
        space = Space(((values - centre) @ axes).astype(np.float16), centre, axes, empty)
        songs = np.unique(self._held_out)
        if len(songs) < HELD_OUT_LEAST:
            usual = leave_group_out(space.positions, self._track_of, self._artists)
        else:
            nearest = nearest_distances(space.at(held_out), space.positions)
            means = [nearest[self._held_out == song].mean() for song in songs]
            usual = np.sort(np.array(means, np.float32))
        return Space(space.vectors, centre, axes, usual)


def _timbres(dataset: Dataset, rows: NDArray[np.int64], band: tuple[float, float]) -> Array:
    """The rows' timbre, computed a few rows at a time."""
    step = rows_at_once(dataset.params.shape)
    parts = [rows[at : at + step] for at in range(0, len(rows), step)] or [rows]
    return np.concatenate([timbre(dataset.features[part], dataset.params, band) for part in parts])


def _segment_numbers(dataset: Dataset) -> NDArray[np.int64]:
    """Each row's number in its track; counted where the dataset does not have it."""
    if dataset.segments is not None:
        return dataset.segments.astype(np.int64)
    assert dataset.tracks is not None
    order = np.argsort(dataset.tracks, kind="stable")
    names = dataset.tracks[order]
    firsts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    places = np.empty(len(names), np.int64)
    places[order] = np.arange(len(names)) - np.repeat(firsts, np.diff([*firsts, len(names)]))
    return places


def _components(embeddings: Array) -> tuple[Array, Array]:
    """The mean, shape (e,), and the scaled principal components, shape (e, d)."""
    centre, covariance = moments(embeddings)
    scale = np.sqrt(np.trace(covariance))
    if not np.isfinite(scale) or scale <= 1e-6 * (1 + np.abs(centre).max()):
        raise ModelError(
            "The network's embeddings of all training segments are the same: train it again, "
            "with a lower learning rate."
        )
    power, directions = np.linalg.eigh(covariance)
    strength = np.sqrt(np.maximum(power[::-1], 0))
    count = min(COMPONENTS, int((strength > _SMALLEST_COMPONENT * strength[0]).sum()))
    axes = directions[:, ::-1][:, :count] / scale
    return centre.astype(np.float32), axes.astype(np.float32)


def _distance_quantiles(vectors: Array, track_of: NDArray[np.integer[Any]]) -> Array:
    """1001 quantiles of the distances between tracks, of at most 40,000 random pairs."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(vectors), size=(2, _PAIRS))
    apart = track_of[one] != track_of[other]
    one, other = one[apart], other[apart]
    steps = [slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(one), _ROWS_AT_ONCE)]
    distances = [np.linalg.norm(vectors[one[s]] - vectors[other[s]], axis=1) for s in steps]
    return np.quantile(np.concatenate(distances), np.linspace(0, 1, 1001)).astype(np.float32)
