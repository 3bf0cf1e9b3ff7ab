"""The training music of a model, kept beside it: to name what a song resembles, and how closely.

A network turns a segment into a short vector before its last layer, its embedding; segments close
to each other there sound alike to the network. `Neighbours` keeps the embeddings of the training
segments, reduced to at most 32 principal components, and finds those nearest to a song's segments.

Distances are Euclidean, in units of the root mean square distance of the training segments from
their mean. The choices were measured with three networks (two MLPs, a CNN) on real music, by the
share of the five nearest training segments that have the genre of a held-out segment:

- Components are not whitened: whitening lowers that share (CNN 0.57 to 0.50, MLP 0.32 to 0.28, a
  smaller MLP 0.66 to 0.54), since it makes the components that separate genres no larger than the
  rest. 32 components give the same share as all of them.
- Euclidean and cosine distances are equal within 0.013; the Euclidean one also separates segments
  that differ in strength only.

It also keeps the timbre of the training music, which does not depend on the network: to measure
how far a song is from all of it (`genrekit.model.familiarity`), and to recognise its recordings
(`genrekit.model.recordings`). Nearness of embeddings alone shows neither.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.features.extraction import FeatureParams
from genrekit.model.familiarity import UNLIKE, Space, distances_between, timbre
from genrekit.model.recordings import (
    OVERLAP_SECONDS,
    ROW_SECONDS,
    Fingerprints,
    Recording,
    fingerprint,
)
from genrekit.ranges import check_whole
from genrekit.wording import counted

__all__ = ["Nearest", "Neighbours", "SegmentMatch", "TrackMatch"]

Array = NDArray[np.float32]

_WHOLE_SHARE: Final = 0.6


@dataclass(frozen=True)
class SegmentMatch:
    """A training segment near to a segment of the song.

    Attributes
    ----------
    place : int, its number in the track, from 0
    start : float, s, where it begins in the track
    distance : float, >= 0
    percentile : float, 0 to 100, share of the distances between tracks that are larger
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
    """The training music that a song resembles.

    Attributes
    ----------
    segments : tuple, for each segment of the song a tuple of SegmentMatch, the nearest first
    tracks : tuple of TrackMatch, the nearest first
    trained_on : str or None, the training track that contains the song or a part of it
    note : str, a sentence about that
    """

    segments: tuple[tuple[SegmentMatch, ...], ...]
    tracks: tuple[TrackMatch, ...]
    trained_on: str | None
    note: str


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training segments of a model, sorted by track.

    Attributes
    ----------
    embedding_space : Space, of embeddings: vectors of shape (n, d), d <= 32
    timbre_space : Space, of `genrekit.model.familiarity.timbre`
    fingerprints : Fingerprints, one for each of `tracks`
    tracks : tuple of str, the tracks' names
    files : tuple of str, SHA-256 of each track's file in hexadecimal, "" where unknown
    track_of : ndarray, int32, shape (n,), rising, indices into `tracks`
    places : ndarray, int32, shape (n,), number of the segment in its track
    starts : ndarray, float32, shape (n,), s, where it begins in its track
    genres : tuple of str
    labels : ndarray, int32, shape (n,), indices into `genres`
    quantiles : ndarray, float32, shape (1001,), rising
        Of the distances between training segments of different tracks.
    band : (float, float), the part of the mel axis whose timbre counts
    weights_sha256 : str, of the model they belong to
    """

    embedding_space: Space
    timbre_space: Space
    fingerprints: Fingerprints
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

    def novelty(self, embeddings: Array, features: Array, params: FeatureParams) -> float | None:
        """Return a song's rank by its distance from the training music.

        It is the rank in the embedding space; where the rank in the timbre space exceeds `UNLIKE`,
        the larger of the two. It is 0 to 1, or None where too few songs of the same kind are known.

        The song's segments have `embeddings` of shape (n, e), n >= 1, and `features` of shape
        (n, *params.shape).
        """
        rank = self.embedding_space.rank(embeddings)
        timbre_rank = self.timbre_space.rank(timbre(features, params, self.band))
        if rank is None or timbre_rank is None:
            return None
        return max(rank, timbre_rank) if timbre_rank > UNLIKE else rank

    def recording(
        self, features: Array, starts: NDArray[np.floating], params: FeatureParams
    ) -> Recording | None:
        """Return the training track that contains a song or a part of it.

        Parameters as for `genrekit.model.recordings.fingerprint`.
        """
        return self.fingerprints.find(fingerprint(features, starts, params))

    def nearest(
        self, embeddings: Array, features: Array, params: FeatureParams, k: int = 5
    ) -> Nearest:
        """Return the training segments and tracks nearest to a song.

        At most `k` of each, >= 1; the other parameters as for `novelty`. Raise ModelError if the
        features are not finite, SettingsError if `k` is below 1.
        """
        check_whole("k", k, 1)
        if not len(features):
            return Nearest((), (), None, "There is no whole segment to compare.")
        song = self.embedding_space.at(embeddings)
        if not np.isfinite(song).all():
            raise ModelError("The song's features are not finite: compute them again.")
        first_rows = np.flatnonzero(np.diff(self.track_of, prepend=-1))
        segments, by_track = [], []
        for part in distances_between(song, self.embedding_space.positions):
            by_track.append(np.minimum.reduceat(part, first_rows, axis=1))
            segments += [self._segment_matches(row, k) for row in part]
        distances = np.concatenate(by_track).mean(axis=0)
        tracks = tuple(
            TrackMatch(
                self.tracks[track],
                self.genres[self.labels[first_rows[track]]],
                float(distances[track]),
                self.percentile(float(distances[track])),
            )
            for track in np.argsort(distances, kind="stable")[:k]
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
        """Return the share of the distances between tracks that are larger, 0 to 100."""
        share = np.interp(distance, self.quantiles, np.linspace(0, 1, len(self.quantiles)))
        return float(100 * (1 - share))

    def _segment_matches(self, distances: Array, k: int) -> tuple[SegmentMatch, ...]:
        k = min(k, len(distances))
        nearest = np.argpartition(distances, k - 1)[:k]
        return tuple(
            SegmentMatch(
                track=self.tracks[self.track_of[row]],
                genre=self.genres[self.labels[row]],
                place=int(self.places[row]),
                start=float(self.starts[row]),
                distance=float(distances[row]),
                percentile=self.percentile(float(distances[row])),
            )
            for row in nearest[np.argsort(distances[nearest], kind="stable")]
        )

    def _note(self, found: Recording | None, seconds: float) -> str:
        """Say whether the model was trained on the song."""
        if not self.fingerprints.lengths.any():
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
