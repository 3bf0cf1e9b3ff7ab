"""Fitting `Neighbours` to the segments that a model was trained on."""

from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.errors import DatasetError, ModelError
from genrekit.model.bundle import GenreModel
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

__all__ = ["fit_neighbours"]

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


def fit_neighbours(
    model: GenreModel,
    dataset: Dataset,
    rows: NDArray[np.int64],
    held_out: NDArray[np.int64] = _NONE,
    band: tuple[float, float] = (0.0, 1.0),
) -> Neighbours:
    """Keep the segments that a model was trained on.

    Parameters
    ----------
    rows : ndarray of int, the training rows of `dataset`
    held_out : ndarray of int, rows of other tracks, which give the usual distances
        With fewer than 20 tracks, the training tracks give them, each compared with those of other
        artists.
    band : (float, float), the part of the mel axis that every training variation leaves

    Raises
    ------
    DatasetError
        The dataset has no track names, or the rows are of fewer than two tracks.
    ModelError
        The features are not the model's, or its embeddings are all alike.
    """
    tracks = _checked_tracks(model, dataset)
    numbers = dataset.segment_numbers()
    rows = rows[np.lexsort((numbers[rows], tracks[rows]))]
    names, track_of = np.unique(tracks[rows], return_inverse=True)
    if len(names) < 2:
        raise DatasetError(
            f"{counted(len(names), 'training track')} cannot be compared: use two or more."
        )
    starts = dataset.params.segment_starts(numbers[rows])
    bounds = np.flatnonzero(np.diff(track_of, prepend=-1, append=len(names)))
    fingerprints = Fingerprints.of(
        fingerprint(dataset.features[rows[a:b]], starts[a:b], dataset.params)
        for a, b in pairwise(bounds)
    )
    kept = (np.arange(len(rows)) - bounds[track_of]) % -(-len(rows) // SEGMENTS_KEPT) == 0
    rows, track_of, starts = rows[kept], track_of[kept], starts[kept]
    held_out = held_out[:: -(-len(held_out) // HELD_OUT_MOST) or 1]
    held_out = held_out[~np.isin(tracks[held_out], names)]
    songs = (tracks[held_out], track_of, _artists(dataset, tracks)[rows])
    known, new = (model.embeddings(dataset.features, part) for part in (rows, held_out))
    embedding_space = _space(known, new, _components(known), *songs)
    known, new = (_timbres(dataset, part, band) for part in (rows, held_out))
    known_files = {record.id: record.sha256 for record in dataset.records}
    return Neighbours(
        embedding_space=embedding_space,
        timbre_space=_space(known, new, whiten(known), *songs),
        fingerprints=fingerprints,
        tracks=tuple(names.tolist()),
        files=tuple(known_files.get(name, "") for name in names.tolist()),
        track_of=track_of.astype(np.int32),
        places=numbers[rows].astype(np.int32),
        starts=starts.astype(np.float32),
        genres=dataset.genres,
        labels=dataset.labels[rows].astype(np.int32),
        quantiles=_distance_quantiles(embedding_space.positions, track_of),
        band=band,
        weights_sha256=model.weights_sha256,
    )


def _checked_tracks(model: GenreModel, dataset: Dataset) -> NDArray[np.str_]:
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
    return dataset.tracks


def _artists(dataset: Dataset, tracks: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return each row's artist, or its track where that is unknown."""
    if dataset.artists is None:
        return tracks
    marked = np.char.add("\0", dataset.artists)  # an artist may be called like a track
    return np.where(dataset.artists == "", tracks, marked)


def _space(
    values: Array,
    held_out: Array,
    origin_and_axes: tuple[Array, Array],
    songs: NDArray[np.str_],
    track_of: NDArray[np.integer[Any]],
    artist_of: NDArray[np.str_],
) -> Space:
    """Return the space of the training segments' values, with the usual distances in it.

    `songs` are the tracks of the values held out.
    """
    centre, axes = origin_and_axes
    space = Space(((values - centre) @ axes).astype(np.float16), centre, axes, np.empty(0, "f4"))
    names = np.unique(songs)
    if len(names) < HELD_OUT_LEAST:
        usual = leave_group_out(space.positions, track_of, artist_of)
    else:
        nearest = nearest_distances(space.at(held_out), space.positions)
        usual = np.sort(np.array([nearest[songs == name].mean() for name in names], np.float32))
    return replace(space, reference=usual)


def _timbres(dataset: Dataset, rows: NDArray[np.int64], band: tuple[float, float]) -> Array:
    """Return the rows' timbre, computed a few rows at a time."""
    step = rows_at_once(dataset.params.shape)
    parts = [rows[at : at + step] for at in range(0, len(rows), step)] or [rows]
    return np.concatenate([timbre(dataset.features[part], dataset.params, band) for part in parts])


def _components(embeddings: Array) -> tuple[Array, Array]:
    """Return the mean, shape (e,), and the scaled principal components, shape (e, d)."""
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
    """Return 1001 quantiles of the distances between tracks, of at most 40,000 random pairs."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(vectors), size=(2, _PAIRS))
    apart = track_of[one] != track_of[other]
    one, other = one[apart], other[apart]
    steps = [slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(one), _ROWS_AT_ONCE)]
    distances = [np.linalg.norm(vectors[one[s]] - vectors[other[s]], axis=1) for s in steps]
    return np.quantile(np.concatenate(distances), np.linspace(0, 1, 1001)).astype(np.float32)
