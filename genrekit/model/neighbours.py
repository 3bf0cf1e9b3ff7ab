"""What a model was trained on, kept beside it: to name what a song resembles, and how closely.

Before its last layer a network has turned a segment into a short row of numbers, its embedding:
segments close to each other there sound alike to the network. `Neighbours` keeps the embeddings
of the segments it was trained on, reduced to at most 32 numbers each (principal components), and
finds those nearest to the segments of a song.

Distances are Euclidean, in units of the root mean square distance of the training segments from
their mean. The choices were measured with three networks (two MLPs, a CNN) on real music, by the
share of the five nearest training segments that are of the genre of a held-out segment:

- Components are not whitened: whitening lowers that share (CNN 0.57 to 0.50, MLP 0.32 to 0.28, a
  smaller MLP 0.66 to 0.54), for it makes the components that tell genres apart no larger than the
  rest. With 32 components it is that of all of them.
- Euclidean and cosine distances are equal within 0.013; the Euclidean one also tells segments
  apart that differ in strength only.

Beside them it keeps what the training music sounds like whatever the network makes of it: to tell
how far a song is from all of it (`genrekit.model.familiarity`), and whether it is one of its very
recordings (`genrekit.model.recordings`). Nearness in the embedding tells neither by itself.

The file ``neighbours.safetensors`` lies in the model's bundle. Nothing in it is executed.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from genrekit.dataset.dataset import Dataset
from genrekit.errors import DatasetError, ModelError
from genrekit.features.extraction import FeatureParams
from genrekit.model.familiarity import (
    UNLIKE,
    Space,
    colours,
    distances_between,
    moments,
    nearest_distances,
    whitened,
    without_own,
)
from genrekit.model.recordings import OVERLAP_SECONDS, ROW_SECONDS, Prints, Recording, sound_print
from genrekit.ranges import check_whole
from genrekit.system.files import atomic_write, plain_os_errors
from genrekit.system.memory import rows_at_once
from genrekit.system.remote import local_path
from genrekit.wording import counted

__all__ = [
    "NEIGHBOURS_FILE",
    "Embedder",
    "Nearest",
    "Neighbours",
    "SegmentMatch",
    "TrackMatch",
]

Array = NDArray[np.float32]

NEIGHBOURS_FILE: Final = "neighbours.safetensors"
COMPONENTS: Final = 32
# As many held-out tracks tell how far music of the same kind lies; fewer, and training tracks do.
HELD_OUT_LEAST: Final = 20
HELD_OUT_MOST: Final = 4096  # segments of them

# Of more than this, every second, third, ... of each track is kept; the prints are of all.
SEGMENTS_KEPT: Final = 10_000

_FORMAT: Final = 2
_METADATA_KEY: Final = "genrekit"
_QUANTILES: Final = 1001
_PAIRS: Final = 40_000
_ROWS_AT_ONCE: Final = 1024
_SMALLEST_COMPONENT: Final = 1e-5
_WHOLE_SHARE: Final = 0.6
_NONE: Final = np.empty(0, np.int64)


class Embedder(Protocol):
    """What is asked of a model."""

    @property
    def params(self) -> FeatureParams:
        """How its features are computed."""

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of its weights."""

    def embeddings(self, features: Array, rows: NDArray[np.int64] | None = None) -> Array:
        """What the network's last layer takes in, shape (n, e)."""


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
    """

    track: str
    genre: str
    place: int
    start: float
    distance: float
    percentile: float


@dataclass(frozen=True)
class TrackMatch:
    """A training track near to the whole song.

    `distance` is the mean, over the song's segments, of the distance to the track's nearest
    segment; `percentile` as in `SegmentMatch`.
    """

    track: str
    genre: str
    distance: float
    percentile: float


@dataclass(frozen=True)
class Nearest:
    """What training segments a song resembles.

    Attributes
    ----------
    segments : tuple, for each segment of the song a tuple of SegmentMatch, the nearest first
    tracks : tuple of TrackMatch, the nearest first
    trained_on : str or None, the training track whose recording the song is, or holds a part of
    note : str, in a sentence, what that means
    """

    segments: tuple[tuple[SegmentMatch, ...], ...]
    tracks: tuple[TrackMatch, ...]
    trained_on: str | None
    note: str


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The segments a model was trained on; sorted by track.

    Attributes
    ----------
    heard : Space, of embeddings: vectors of shape (n, d), d <= 32
    sound : Space, of `genrekit.model.familiarity.colours`
    prints : Prints, one for each of `tracks`
    tracks : tuple of str, the tracks' names
    files : tuple of str, SHA-256 of each track's file in hexadecimal, "" where unknown
    track_of : ndarray, int32, shape (n,), rising: which of `tracks`
    places : ndarray, int32, shape (n,), which segment of its track
    starts : ndarray, float32, shape (n,), s, where it begins in its track
    genres : tuple of str
    labels : ndarray, int32, shape (n,), indices into `genres`
    quantiles : ndarray, float32, shape (1001,), rising
        Of the distances between training segments of different tracks.
    band : (float, float), of the mel axis: the part whose sound counts
    weights_sha256 : str, of the model it belongs to
    """

    heard: Space
    sound: Space
    prints: Prints
    tracks: tuple[str, ...]
    files: tuple[str, ...]
    track_of: NDArray[np.int32]
    places: NDArray[np.int32]
    starts: Array
    genres: tuple[str, ...]
    labels: NDArray[np.int32]
    quantiles: Array
    band: tuple[float, float]
    weights_sha256: str

    # -- making -------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        model: Embedder,
        dataset: Dataset,
        rows: NDArray[np.int64],
        held_out: NDArray[np.int64] = _NONE,
        band: tuple[float, float] = (0.0, 1.0),
    ) -> Self:
        """Keep the segments a model was trained on.

        Parameters
        ----------
        model : Embedder, such as a GenreModel
        dataset : Dataset, with tracks
        rows : ndarray of int, the rows of `dataset` that were trained on
        held_out : ndarray of int, rows of other tracks, which tell how far is usual
            Of fewer than 20 tracks, they are not used: then the training tracks tell it, each
            compared with those of other artists.
        band : (float, float), of the mel axis from 0 to 1
            What every variation in training leaves of log-mel features; MFCCs have no bands.

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
        places = dataset.segment_numbers()
        rows = rows[np.lexsort((places[rows], dataset.tracks[rows]))]
        names, track_of = np.unique(dataset.tracks[rows], return_inverse=True)
        if len(names) < 2:
            raise DatasetError(
                f"{counted(len(names), 'training track')} cannot be compared: use two or more."
            )
        starts = dataset.params.segment_starts(places[rows])
        bounds = np.flatnonzero(np.diff(track_of, prepend=-1, append=len(names)))
        prints = Prints.of(
            sound_print(dataset.features[rows[a:b]], starts[a:b], dataset.params)
            for a, b in pairwise(bounds)
        )
        place_in_track = np.arange(len(rows)) - bounds[track_of]
        kept = place_in_track % -(-len(rows) // SEGMENTS_KEPT) == 0
        rows, track_of, starts = rows[kept], track_of[kept], starts[kept]
        held_out = held_out[:: -(-len(held_out) // HELD_OUT_MOST) or 1]
        held_out = held_out[~np.isin(dataset.tracks[held_out], names)]
        embedded = model.embeddings(dataset.features, rows)
        centre, axes = _components(embedded)
        same_kind = _SameKind(dataset, rows, track_of, held_out)
        heard = same_kind.space(
            embedded, centre, axes, model.embeddings(dataset.features, held_out)
        )
        sounds = _colours(dataset, rows, band)
        sound = same_kind.space(sounds, *whitened(sounds), _colours(dataset, held_out, band))
        known_files = {record.id: record.sha256 for record in dataset.records}
        return cls(
            heard=heard,
            sound=sound,
            prints=prints,
            tracks=tuple(names.tolist()),
            files=tuple(known_files.get(name, "") for name in names.tolist()),
            track_of=track_of.astype(np.int32),
            places=places[rows].astype(np.int32),
            starts=starts.astype(np.float32),
            genres=dataset.genres,
            labels=dataset.labels[rows].astype(np.int32),
            quantiles=_between_tracks(heard.vectors.astype(np.float32), track_of),
            band=band,
            weights_sha256=model.weights_sha256,
        )

    # -- asking -------------------------------------------------------------------------------

    def rank(self, embedded: Array, features: Array, params: FeatureParams) -> float | None:
        """How far a song is from the training music: see `genrekit.model.familiarity`.

        Parameters
        ----------
        embedded : ndarray, float32, shape (n, e), n >= 1
            The song's segments as the network has them.
        features : ndarray, float32, shape (n, *params.shape), the same segments
        params : FeatureParams

        Returns
        -------
        float, 0 to 1, or None
            The share of songs of the training music's own kind that the network has nearer; where
            the sound by itself is beyond `UNLIKE`, its rank if that is higher. None where too few
            such songs are known.
        """
        heard = self.heard.rank(embedded)
        sound = self.sound.rank(colours(features, params, self.band))
        if heard is None or sound is None:
            return None
        return max(heard, sound) if sound > UNLIKE else heard

    def recording(
        self, features: Array, starts: NDArray[np.floating], params: FeatureParams
    ) -> Recording | None:
        """The training track whose recording a song is, or holds a part of.

        Parameters
        ----------
        features : ndarray, float32, shape (n, *params.shape), the song's segments
        starts : ndarray, float, shape (n,), s, where each begins in the song
        params : FeatureParams
        """
        return self.prints.find(sound_print(features, starts, params))

    def nearest(
        self, embedded: Array, features: Array, params: FeatureParams, k: int = 5
    ) -> Nearest:
        """The training segments and tracks nearest to a song.

        Parameters
        ----------
        embedded, features, params : as for `rank`
        k : int, >= 1, how many of each; fewer where there are no more

        Raises
        ------
        ModelError
            The features are no numbers.
        SettingsError
            `k` is below 1.
        """
        check_whole("k", k, 1)
        if not len(features):
            return Nearest((), (), None, "There is no whole segment to compare.")
        song = self.heard.at(embedded)
        if not np.isfinite(song).all():
            raise ModelError("The song's features are not numbers: compute them again.")
        first_rows = np.flatnonzero(np.diff(self.track_of, prepend=-1))
        segments, by_track = [], []
        for apart in distances_between(song, self.heard.vectors.astype(np.float32)):
            by_track.append(np.minimum.reduceat(apart, first_rows, axis=1))
            segments += [self._segment_matches(row, k) for row in apart]
        tracks = self._track_matches(
            np.concatenate(by_track).mean(axis=0), self.labels[first_rows], k
        )
        starts = params.segment_starts(np.arange(len(features)))
        found = self.recording(features, starts, params)
        return Nearest(
            tuple(segments),
            tracks,
            None if found is None else self.tracks[found.track],
            self._note(found, float(starts[-1]) + params.segment_seconds),
        )

    def percentile(self, distance: float) -> float:
        """Nearer than what share of the distances between training segments of different tracks.

        Returns
        -------
        float, 0 to 100
        """
        share = np.interp(distance, self.quantiles, np.linspace(0, 1, len(self.quantiles)))
        return float(100 * (1 - share))

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
            )
            for row in few[np.argsort(apart[few], kind="stable")]
        )

    def _track_matches(
        self, distance: Array, labels: NDArray[np.int32], k: int
    ) -> tuple[TrackMatch, ...]:
        return tuple(
            TrackMatch(
                self.tracks[track],
                self.genres[labels[track]],
                float(distance[track]),
                self.percentile(float(distance[track])),
            )
            for track in np.argsort(distance, kind="stable")[:k]
        )

    def _note(self, found: Recording | None, seconds: float) -> str:
        """In a sentence, what it means that a song is a known recording, or none."""
        if not self.prints.lengths.any():
            return (
                "The model's features are too coarse to tell whether it was trained on this "
                "recording."
            )
        if seconds < OVERLAP_SECONDS + ROW_SECONDS:
            return (
                f"At least {OVERLAP_SECONDS + ROW_SECONDS:.0f} s are needed to tell whether the "
                "model was trained on this recording."
            )
        if found is None:
            return (
                f"It matches none of the {counted(len(self.tracks), 'recording')} the model was "
                "trained on."
            )
        track = self.tracks[found.track]
        if found.seconds >= _WHOLE_SHARE * seconds:
            return (
                f'The model was trained on this very recording, "{track}": the verdict shows '
                "memory, not hearing."
            )
        return (
            f"{counted(round(found.seconds), 'second')} of it, from {found.song_start:.0f} s on, "
            f'are in a recording the model was trained on, "{track}": that part it may remember '
            "rather than judge."
        )

    # -- files --------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``neighbours.safetensors`` into the model's folder, whole or not at all.

        About 0.3 kB a segment: 6,400 segments of 640 tracks come to 1.9 MB.

        Raises
        ------
        ModelError
            It cannot be written.
        """
        about = {
            "format": _FORMAT,
            "tracks": self.tracks,
            "files": self.files,
            "genres": self.genres,
            "band": self.band,
            "weights_sha256": self.weights_sha256,
        }
        text = json.dumps(about, ensure_ascii=False, allow_nan=False)
        content = save_arrays(dict(self._arrays()), {_METADATA_KEY: text})
        path = local_path(folder) / NEIGHBOURS_FILE
        with plain_os_errors("written", path, ModelError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)

    def _arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for name in _ARRAYS:
            value: Any = self
            for part in name.split("."):
                value = getattr(value, part)
            yield name, np.ascontiguousarray(value)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], weights_sha256: str | None = None) -> Self:
        """Read what `save` wrote, and check it.

        Parameters
        ----------
        folder : path of the model's folder
        weights_sha256 : str or None, of the model it must belong to

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
        if weights_sha256 not in (None, found.weights_sha256):
            raise ModelError(
                "The neighbours belong to other weights than the model's: copy the whole folder "
                "of the model again, or train it again."
            )
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
        parts: dict[str, dict[str, Any]] = {"": {}, "heard": {}, "sound": {}, "prints": {}}
        for name, value in arrays.items():
            owner, _, attribute = name.rpartition(".")
            parts[owner][attribute] = value
        first, last = about["band"]
        found = cls(
            heard=Space(**parts["heard"]),
            sound=Space(**parts["sound"]),
            prints=Prints(**parts["prints"]),
            **parts[""],
            tracks=tuple(str(name) for name in about["tracks"]),
            files=tuple(str(digest) for digest in about["files"]),
            genres=tuple(str(name) for name in about["genres"]),
            band=(float(first), float(last)),
            weights_sha256=str(about["weights_sha256"]),
        )
        if not found._is_sound():
            raise ValueError
        return found

    def _is_sound(self) -> bool:
        """Whether the parts fit each other, and can be computed with."""
        arrays = dict(self._arrays())
        if any(arrays[name].dtype != dtype for name, dtype in _ARRAYS.items()):
            return False
        rows, tracks = len(self.track_of), len(self.tracks)
        prints = self.prints
        shapes_fit = (
            all(space.vectors.shape[:1] == (rows,) and _fits(space) for space in self._spaces())
            and all(
                a.shape == (rows,) for a in (self.track_of, self.places, self.starts, self.labels)
            )
            and self.quantiles.shape == (_QUANTILES,)
            and prints.lengths.shape == (tracks,) == (len(self.files),)
            and prints.spread.shape == prints.rows.shape[1:] == (12,)
            and rows > 0
        )
        if not shapes_fit:
            return False
        steps = np.diff(self.track_of)
        return (
            all(np.isfinite(a).all() for a in arrays.values())
            and self.track_of[0] == 0
            and self.track_of[-1] == tracks - 1
            and bool(((steps == 0) | (steps == 1)).all())
            and 0 <= self.labels.min() <= self.labels.max() < len(self.genres)
            and all(
                bool((np.diff(rising) >= 0).all()) and bool((rising >= 0).all())
                for rising in (self.quantiles, self.heard.reference, self.sound.reference)
            )
            and prints.lengths.min() >= 0
            and int(prints.lengths.sum(dtype=np.int64)) == len(prints.rows)
            and bool((prints.spread > 0).all())
            and 0 <= self.band[0] < self.band[1] <= 1
        )

    def _spaces(self) -> tuple[Space, Space]:
        return self.heard, self.sound


def _fits(space: Space) -> bool:
    """Whether the shapes of its parts fit each other."""
    return (
        space.vectors.ndim == 2
        and space.vectors.shape[1] > 0
        and space.axes.shape == (space.centre.size, space.vectors.shape[1])
        and space.centre.ndim == space.reference.ndim == 1
    )


_ARRAYS: Final[dict[str, type[np.generic]]] = {
    "heard.vectors": np.float16,
    "heard.centre": np.float32,
    "heard.axes": np.float32,
    "heard.reference": np.float32,
    "sound.vectors": np.float16,
    "sound.centre": np.float32,
    "sound.axes": np.float32,
    "sound.reference": np.float32,
    "prints.rows": np.int8,
    "prints.lengths": np.int32,
    "prints.spread": np.float32,
    "track_of": np.int32,
    "places": np.int32,
    "starts": np.float32,
    "labels": np.int32,
    "quantiles": np.float32,
}


# -- pieces -----------------------------------------------------------------------------------


class _SameKind:
    """The songs that tell how far from the training music songs of its own kind lie."""

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
        """A space of the training segments' values, told what is usual in it."""
        vectors = ((values - centre) @ axes).astype(np.float16)
        known = vectors.astype(np.float32)
        songs = np.unique(self._held_out)
        if len(songs) < HELD_OUT_LEAST:
            return Space(vectors, centre, axes, without_own(known, self._track_of, self._artists))
        others = np.asarray((held_out - centre) @ axes, np.float32)
        nearest = nearest_distances(others, known)
        usual = [nearest[self._held_out == song].mean() for song in songs]
        return Space(vectors, centre, axes, np.sort(np.array(usual, np.float32)))


def _colours(dataset: Dataset, rows: NDArray[np.int64], band: tuple[float, float]) -> Array:
    """The rows' colours, taken a few rows at a time."""
    step = rows_at_once(dataset.params.shape)
    parts = [rows[at : at + step] for at in range(0, len(rows), step)] or [rows]
    return np.concatenate([colours(dataset.features[part], dataset.params, band) for part in parts])


def _components(embedded: Array) -> tuple[Array, Array]:
    """The mean, shape (e,), and the scaled principal components, shape (e, d)."""
    centre, covariance = moments(embedded)
    scale = np.sqrt(np.trace(covariance))
    if not np.isfinite(scale) or scale <= 1e-6 * (1 + np.abs(centre).max()):
        raise ModelError(
            "The network hears no difference between the training segments: train it again, "
            "with a lower learning rate."
        )
    power, directions = np.linalg.eigh(covariance)
    strength = np.sqrt(np.maximum(power[::-1], 0))
    count = min(COMPONENTS, int((strength > _SMALLEST_COMPONENT * strength[0]).sum()))
    axes = directions[:, ::-1][:, :count] / scale
    return centre.astype(np.float32), axes.astype(np.float32)


def _between_tracks(vectors: Array, track_of: NDArray[np.integer[Any]]) -> Array:
    """Quantiles of the distances between tracks, of at most 40,000 pairs drawn at random."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(vectors), size=(2, _PAIRS))
    apart = track_of[one] != track_of[other]
    one, other = one[apart], other[apart]
    steps = [slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(one), _ROWS_AT_ONCE)]
    between = [np.linalg.norm(vectors[one[s]] - vectors[other[s]], axis=1) for s in steps]
    return np.quantile(np.concatenate(between), np.linspace(0, 1, _QUANTILES)).astype(np.float32)
