"""The training segments that sound most like a song, to the ears of the network.

Before its last layer a network has turned a segment into a short row of numbers, its embedding:
segments close to each other there sound alike to the network. `Neighbours` keeps the embeddings
of the segments it was trained on, reduced to at most 32 numbers each (principal components), and
finds those nearest to the segments of a song. A distance of nearly 0 means that the network has
met the very sound before: then its verdict is memory, not hearing.

Distances are Euclidean, in units of the root mean square distance of the training segments from
their mean. The choices were measured with three networks (two MLPs, a CNN) on real music, by the
share of the five nearest training segments that are of the genre of a held-out segment:

- Components are not whitened: whitening lowers that share (CNN 0.57 to 0.50, MLP 0.32 to 0.28, a
  smaller MLP 0.66 to 0.54), for it makes the components that tell genres apart no larger than the
  rest. With 32 components it is that of all of them.
- Euclidean and cosine distances are equal within 0.013; the Euclidean one also tells segments
  apart that differ in strength only, which a near copy must not.
- A near copy lies within a quarter of the middle distance from a training segment to the nearest
  one of another track. Of 2073 held-out segments none did, of 177 taken from the training tracks
  themselves all.

The file ``neighbours.safetensors`` lies beside the model's bundle. Nothing in it is executed.
"""

import copy
import hashlib
import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from genrekit.dataset import Dataset
from genrekit.errors import DatasetError, ModelError
from genrekit.files import plain_os_errors, replacing
from genrekit.model import GenreModel
from genrekit.ranges import check_whole
from genrekit.remote import local_path

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "NEIGHBOURS_FILE",
    "Nearest",
    "Neighbours",
    "SegmentMatch",
    "TrackMatch",
    "embeddings",
    "weights_hash",
]

Array = NDArray[np.float32]

NEIGHBOURS_FILE: Final = "neighbours.safetensors"
COMPONENTS: Final = 32
COPY_SHARE: Final = 0.25

_FORMAT: Final = 1
_METADATA_KEY: Final = "genrekit"
_QUANTILES: Final = 1001
_PAIRS: Final = 200_000
_QUERIES_MAX: Final = 2000
_VALUES_AT_ONCE: Final = 1 << 21
_SMALLEST_COMPONENT: Final = 1e-5


@dataclass(frozen=True)
class SegmentMatch:
    """A training segment near to a segment of the song.

    Attributes
    ----------
    track, genre : str
    place : int, which segment of the track, from 0
    start : float, s, where it begins in the track
    distance : float, >= 0
    percentile : float, 0 to 100
        Nearer than this share of the distances between training segments of different tracks.
    near_copy : bool, so near that it must be the same recording, or all but the same
    """

    track: str
    genre: str
    place: int
    start: float
    distance: float
    percentile: float
    near_copy: bool


@dataclass(frozen=True)
class TrackMatch:
    """A training track near to the whole song.

    `distance` is the mean, over the song's segments, of the distance to the track's nearest
    segment; `percentile` as in `SegmentMatch`; `near_copies` counts the song's segments that are
    near copies of one of this track's.
    """

    track: str
    genre: str
    distance: float
    percentile: float
    near_copies: int


@dataclass(frozen=True)
class Nearest:
    """What training segments a song resembles.

    Attributes
    ----------
    segments : tuple, for each segment of the song a tuple of SegmentMatch, the nearest first
    tracks : tuple of TrackMatch, the nearest first
    near_copies : int, segments of the song that are near copies of a training segment
    note : str, in a sentence, what that means
    """

    segments: tuple[tuple[SegmentMatch, ...], ...]
    tracks: tuple[TrackMatch, ...]
    near_copies: int
    note: str


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The segments a model was trained on, as its network hears them; sorted by track.

    Attributes
    ----------
    vectors : ndarray, float16, shape (n, d), d <= 32
    tracks : tuple of str, the tracks' names
    track_of : ndarray, int32, shape (n,), rising: which of `tracks`
    places : ndarray, int32, shape (n,), which segment of its track
    starts : ndarray, float32, shape (n,), s, where it begins in its track
    genres : tuple of str
    labels : ndarray, int32, shape (n,), indices into `genres`
    centre : ndarray, float32, shape (e,), the mean embedding
    axes : ndarray, float32, shape (e, d), the principal components, scaled to the unit of distance
    quantiles : ndarray, float32, shape (1001,), rising
        Of the distances between training segments of different tracks.
    copy_distance : float, > 0, nearer than this is a near copy
    weights_sha256 : str, `weights_hash` of the model
    """

    vectors: NDArray[np.float16]
    tracks: tuple[str, ...]
    track_of: NDArray[np.int32]
    places: NDArray[np.int32]
    starts: Array
    genres: tuple[str, ...]
    labels: NDArray[np.int32]
    centre: Array
    axes: Array
    quantiles: Array
    copy_distance: float
    weights_sha256: str

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        model: GenreModel,
        dataset: Dataset,
        rows: NDArray[np.int64],
        step_seconds: float | None = None,
    ) -> Self:
        """Embed the segments a model was trained on.

        Parameters
        ----------
        model : GenreModel
        dataset : Dataset, with tracks
        rows : ndarray of int, the rows of `dataset` that were trained on
        step_seconds : float or None, s, > 0
            From the start of a segment to the start of the next; None where each begins at the
            end of the one before.

        Raises
        ------
        DatasetError
            The dataset does not know its tracks, or there are fewer than two among the rows.
        ModelError
            The features are not the model's, or its network hears no differences.
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
        places = _places(dataset)
        rows = rows[np.lexsort((places[rows], dataset.tracks[rows]))]
        names, track_of = np.unique(dataset.tracks[rows], return_inverse=True)
        if len(names) < 2:
            raise DatasetError(
                f"{len(names)} training tracks are too few to compare with: use two or more."
            )
        embedded = embeddings(model, dataset.features, rows)
        centre, axes = _components(embedded)
        vectors = ((embedded - centre) @ axes).astype(np.float16)
        between, copy_distance = _typical_distances(vectors.astype(np.float32), track_of)
        starts = (
            dataset.params.segment_starts(places[rows])
            if step_seconds is None
            else places[rows] * step_seconds
        )
        return cls(
            vectors=vectors,
            tracks=tuple(names.tolist()),
            track_of=track_of.astype(np.int32),
            places=places[rows].astype(np.int32),
            starts=starts.astype(np.float32),
            genres=dataset.genres,
            labels=dataset.labels[rows].astype(np.int32),
            centre=centre,
            axes=axes,
            quantiles=between,
            copy_distance=copy_distance,
            weights_sha256=weights_hash(model),
        )

    # -- asking -------------------------------------------------------------------------------

    def nearest(self, model: GenreModel, features: Array, k: int = 5) -> Nearest:
        """The training segments and tracks nearest to a song.

        Parameters
        ----------
        model : GenreModel, the one this was fitted with
        features : ndarray, float32, shape (n, *model.params.shape), the song's segments
        k : int, >= 1, how many of each; fewer where there are no more

        Raises
        ------
        ModelError
            It is another model, or the features are not its own.
        SettingsError
            `k` is below 1.
        """
        check_whole("k", k, 1)
        self.check(model)
        if not len(features):
            return Nearest((), (), 0, "There is no whole segment to compare.")
        song = np.asarray((embeddings(model, features) - self.centre) @ self.axes, np.float32)
        if not np.isfinite(song).all():
            raise ModelError("The song's features are not numbers: compute them again.")
        first_rows = np.flatnonzero(np.diff(self.track_of, prepend=-1))
        known = self.vectors.astype(np.float32)
        segments, by_track = [], np.empty((len(song), len(self.tracks)), np.float32)
        at_once = max(1, _VALUES_AT_ONCE // len(known))
        for start in range(0, len(song), at_once):
            apart = _distances(song[start : start + at_once], known)
            by_track[start : start + at_once] = np.minimum.reduceat(apart, first_rows, axis=1)
            segments += [self._segment_matches(row, k) for row in apart]
        tracks = self._track_matches(by_track, self.labels[first_rows], k)
        copies = by_track < self.copy_distance
        return Nearest(tuple(segments), tracks, int(copies.any(axis=1).sum()), self._note(copies))

    def percentile(self, distance: float) -> float:
        """Nearer than what share of the distances between training segments of different tracks.

        Returns
        -------
        float, 0 to 100
        """
        share = np.interp(distance, self.quantiles, np.linspace(0, 1, len(self.quantiles)))
        return float(100 * (1 - share))

    def check(self, model: GenreModel) -> None:
        """Refuse a model that this was not fitted with.

        Raises
        ------
        ModelError
        """
        if weights_hash(model) != self.weights_sha256:
            raise ModelError(
                "The neighbours belong to other weights than the model's: copy the whole folder "
                "of the model again, or train it again."
            )

    def _segment_matches(self, apart: Array, k: int) -> tuple[SegmentMatch, ...]:
        k = min(k, len(apart))
        few = np.argpartition(apart, k - 1)[:k]
        return tuple(
            SegmentMatch(
                track=self.tracks[self.track_of[row]],
                genre=self.genres[self.labels[row]],
                place=int(self.places[row]),
                start=float(self.starts[row]),
                distance=float(apart[row]),
                percentile=self.percentile(float(apart[row])),
                near_copy=bool(apart[row] < self.copy_distance),
            )
            for row in few[np.argsort(apart[few], kind="stable")]
        )

    def _track_matches(
        self, by_track: Array, labels: NDArray[np.int32], k: int
    ) -> tuple[TrackMatch, ...]:
        distance = by_track.mean(axis=0)
        copies = (by_track < self.copy_distance).sum(axis=0)
        return tuple(
            TrackMatch(
                self.tracks[track],
                self.genres[labels[track]],
                float(distance[track]),
                self.percentile(float(distance[track])),
                int(copies[track]),
            )
            for track in np.argsort(distance, kind="stable")[:k]
        )

    def _note(self, copies: NDArray[np.bool_]) -> str:
        """In a sentence, what the near copies, shape (segments, tracks), mean."""
        copied, of = int(copies.any(axis=1).sum()), len(copies)
        if not copied:
            return "No segment is a near copy of anything that the model was trained on."
        track = self.tracks[int(copies.sum(axis=0).argmax())]
        start = (
            f"{copied} of {of} segments sound to the network all but exactly like segments it was "
            f'trained on, most of them of the track "{track}"'
        )
        if 2 * copied >= of:
            return (
                f"{start}: very likely it has met this recording before, so the verdict shows "
                "memory, not hearing."
            )
        return f"{start}: that part it may remember rather than judge."

    # -- files --------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``neighbours.safetensors`` into the model's folder, whole or not at all.

        About 80 bytes a segment, 12 kB, and 4 bytes for each number of `axes` (a CNN with 128
        numbers before its last layer: 16 kB); 4,500 segments come to 0.4 MB.

        Raises
        ------
        ModelError
            It cannot be written.
        """
        about = {
            "format": _FORMAT,
            "tracks": self.tracks,
            "genres": self.genres,
            "copy_distance": self.copy_distance,
            "weights_sha256": self.weights_sha256,
        }
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        content = save_arrays(arrays, {_METADATA_KEY: text})
        path = local_path(folder) / NEIGHBOURS_FILE
        with plain_os_errors("written", path, ModelError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(content)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], model: GenreModel | None = None) -> Self:
        """Read what `save` wrote, and check it.

        Parameters
        ----------
        folder : path of the model's folder
        model : GenreModel or None, which it must belong to; without one, `nearest` finds out

        Raises
        ------
        ModelError
            There is none, it is damaged or something else, or belongs to another model.
        """
        path = local_path(folder) / NEIGHBOURS_FILE
        with plain_os_errors("read", path, ModelError):
            content = path.read_bytes()
        try:
            found = cls._from_bytes(content)
        except ModelError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, SafetensorError):
            raise ModelError(
                f"{path} is damaged or was not made by GenreKit: train the model again."
            ) from None
        if model is not None:
            found.check(model)
        return found

    @classmethod
    def _from_bytes(cls, content: bytes) -> Self:
        arrays = load_arrays(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about: dict[str, Any] = json.loads(header["__metadata__"][_METADATA_KEY])
        if about["format"] != _FORMAT:
            raise ModelError(
                f"The neighbours are of format {about['format']}, this GenreKit reads {_FORMAT}: "
                "update GenreKit or train the model again."
            )
        if set(arrays) != set(_ARRAYS):
            raise ValueError
        found = cls(
            **arrays,
            tracks=tuple(str(name) for name in about["tracks"]),
            genres=tuple(str(name) for name in about["genres"]),
            copy_distance=float(about["copy_distance"]),
            weights_sha256=str(about["weights_sha256"]),
        )
        if not found._is_sound():
            raise ValueError
        return found

    def _is_sound(self) -> bool:
        """Whether the parts fit each other, and can be computed with."""
        if any(getattr(self, name).dtype != dtype for name, dtype in _ARRAYS.items()):
            return False
        rows, width = self.vectors.shape
        shapes = [(rows,)] * 4 + [(self.centre.size,), (self.centre.size, width), (_QUANTILES,)]
        columns = (self.track_of, self.places, self.starts, self.labels)
        if [a.shape for a in (*columns, self.centre, self.axes, self.quantiles)] != shapes:
            return False
        floats = (self.vectors, self.starts, self.centre, self.axes, self.quantiles)
        steps = np.diff(self.track_of)
        return (
            all(np.isfinite(array).all() for array in floats)
            and rows > 0
            and width > 0
            and self.track_of[0] == 0
            and self.track_of[-1] == len(self.tracks) - 1
            and bool(((steps == 0) | (steps == 1)).all())
            and 0 <= self.labels.min() <= self.labels.max() < len(self.genres)
            and bool((np.diff(self.quantiles) >= 0).all())
            and self.quantiles[0] >= 0
            and 0 < self.copy_distance < np.inf
        )


_ARRAYS: Final[dict[str, type[np.generic]]] = {
    "vectors": np.float16,
    "track_of": np.int32,
    "places": np.int32,
    "starts": np.float32,
    "labels": np.int32,
    "centre": np.float32,
    "axes": np.float32,
    "quantiles": np.float32,
}


def embeddings(model: GenreModel, features: Array, rows: NDArray[np.int64] | None = None) -> Array:
    """What the network's last linear layer takes in.

    Parameters
    ----------
    features : ndarray, float32, shape (n, *model.params.shape)
    rows : ndarray, int64, or None
        Only these rows of the features, taken a batch at a time; None means all.

    Returns
    -------
    ndarray, float32, shape (n, e)

    Raises
    ------
    ModelError
        The network has no linear layer, or the features are not the model's.
    """
    from torch import nn

    # A copy, since another visitor may be using the network while the hook hangs on it.
    private = replace(model, network=copy.deepcopy(model.network))
    layers = [layer for layer in private.network.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        raise ModelError(
            "The network has no linear layer to take the neighbours from: use another network."
        )
    taken: list[Array] = [np.empty((0, layers[-1].in_features), np.float32)]

    def keep(_: nn.Module, given: "tuple[Tensor, ...]") -> None:
        taken.append(given[0].detach().flatten(1).float().cpu().numpy())

    layers[-1].register_forward_pre_hook(keep)
    private.logits(features, rows)
    return np.concatenate(taken)


def weights_hash(model: GenreModel) -> str:
    """SHA-256 of a model's weights and normalisation: equal for equal models."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    digest.update(np.ascontiguousarray(model.mean).data)
    digest.update(np.ascontiguousarray(model.std).data)
    return digest.hexdigest()


# -- pieces -----------------------------------------------------------------------------------


def _places(dataset: Dataset) -> NDArray[np.int64]:
    """Each row's place in its track; counted where the dataset does not say."""
    if dataset.segments is not None:
        return dataset.segments.astype(np.int64)
    assert dataset.tracks is not None
    order = np.argsort(dataset.tracks, kind="stable")
    names = dataset.tracks[order]
    firsts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    places = np.empty(len(names), np.int64)
    places[order] = np.arange(len(names)) - np.repeat(firsts, np.diff([*firsts, len(names)]))
    return places


def _components(embedded: Array) -> tuple[Array, Array]:
    """The mean, shape (e,), and the scaled principal components, shape (e, d)."""
    centre = embedded.mean(axis=0, dtype=np.float64)
    centred = embedded - centre
    scale = np.sqrt(np.mean(np.sum(centred**2, axis=1)))
    if not np.isfinite(scale) or scale <= 1e-6 * (1 + np.abs(centre).max()):
        raise ModelError(
            "The network hears no difference between the training segments: train it again, "
            "with a lower learning rate."
        )
    _, strength, directions = np.linalg.svd(centred, full_matrices=False)
    count = min(COMPONENTS, int((strength > _SMALLEST_COMPONENT * strength[0]).sum()))
    axes = directions[:count].T / scale
    return centre.astype(np.float32), axes.astype(np.float32)


def _distances(a: Array, b: Array) -> Array:
    """Euclidean, shape (len(a), len(b))."""
    squares = np.square(a).sum(axis=1)[:, np.newaxis] + np.square(b).sum(axis=1) - 2 * (a @ b.T)
    result: Array = np.sqrt(np.maximum(squares, 0))
    return result


def _typical_distances(vectors: Array, track_of: NDArray[np.integer[Any]]) -> tuple[Array, float]:
    """Quantiles of the distances between tracks, and below what distance a copy is suspected.

    From at most 200,000 pairs and 2000 nearest neighbours drawn at random, always the same.
    """
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(vectors), size=(2, _PAIRS))
    apart = track_of[one] != track_of[other]
    between = np.linalg.norm(vectors[one[apart]] - vectors[other[apart]], axis=1)
    quantiles = np.quantile(between, np.linspace(0, 1, _QUANTILES)).astype(np.float32)
    some = rng.permutation(len(vectors))[:_QUERIES_MAX]
    at_once = max(1, _VALUES_AT_ONCE // len(vectors))
    nearest = np.concatenate(
        [
            np.where(
                track_of[rows, np.newaxis] == track_of, np.inf, _distances(vectors[rows], vectors)
            ).min(axis=1)
            for rows in np.split(some, range(at_once, len(some), at_once))
        ]
    )
    # Float16 places equal segments up to about 0.001 apart.
    return quantiles, max(COPY_SHARE * float(np.median(nearest)), 0.002)
