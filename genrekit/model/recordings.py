"""Recognise a recording by its sound, whatever file it comes in.

A fingerprint follows the timbre of a recording over time: cepstral coefficients 1 to 12 of its
features, averaged over 0.3 s, divided by their usual spread and stored as 8-bit integers; 40 bytes
per second. The level (coefficient 0) is left out. Two fingerprints are compared at every lag, by
their normalised correlation over the overlap::

    s = max over l of  sum (x[t + l] - mx) (y[t] - my) / sqrt(sum (x - mx)^2 sum (y - my)^2)

where mx and my are the means of each coefficient over the overlap, so that a filter, which adds a
constant to a cepstrum, changes nothing. From `SIMILAR` on they are the same recording.

The threshold was measured with 639 fingerprints of 30 s music clips; docs/listen.md has the
figures. It is meant for music: pieces made from the same loops or rules may exceed it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.features.extraction import FeatureParams, dct_matrix

__all__ = ["OVERLAP_SECONDS", "SIMILAR", "Fingerprints", "Recording", "cepstra", "fingerprint"]

Array = NDArray[np.float32]

SIMILAR: Final = 0.7
COEFFICIENTS: Final = 12
ROW_SECONDS: Final = 0.3
# Shorter overlaps can be similar by chance.
OVERLAP_SECONDS: Final = 8.0

_PHASES: Final = 3  # lags are thirds of a row
_STEPS_PER_UNIT: Final = 31  # 8 bits reach 4 spreads to each side
_STEADY: Final = 0.02  # of the usual energy; what changes less is not music
_FEWEST_COEFFICIENTS: Final = 6
_RECORDINGS_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Recording:
    """A known recording that matches a song or a part of it.

    Attributes
    ----------
    track : int, its number
    similarity : float, `SIMILAR` to 1
    song_start, seconds : float, s, start of the matching part in the song, and its length
    """

    track: int
    similarity: float
    song_start: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """The fingerprints of known recordings.

    Attributes
    ----------
    rows : ndarray, int8, shape (n, 12), the fingerprints one after the other
    lengths : ndarray, int32, shape (tracks,), rows of each, with sum n
    spread : ndarray, float32, shape (12,), the unit of each coefficient
    """

    rows: NDArray[np.int8]
    lengths: NDArray[np.int32]
    spread: Array

    @classmethod
    def of(cls, recordings: Iterable[Array]) -> "Fingerprints":
        """Store the result of `fingerprint` for each recording."""
        rows = [one[::_PHASES] - (one.mean(axis=0) if len(one) else 0) for one in recordings]
        lengths = np.array([len(one) for one in rows], np.int32)
        values = np.concatenate(rows)
        power = np.square(values).sum(axis=0) / max(1, len(values))
        spread = np.sqrt(np.maximum(power, 1e-6)).astype(np.float32)
        scaled = values / spread * _STEPS_PER_UNIT
        return cls(np.rint(np.clip(scaled, -127, 127)).astype(np.int8), lengths, spread)

    def find(self, song: Array) -> Recording | None:
        """Return the known recording that matches a song, if there is one.

        `song` comes from `fingerprint`; nothing matches one shorter than `OVERLAP_SECONDS`.
        """
        best = max(self._candidates(song), key=lambda one: one.similarity, default=None)
        return best if best is not None and best.similarity >= SIMILAR else None

    def _candidates(self, song: Array) -> list[Recording]:
        """The best match at each phase in each batch of known recordings."""
        song = song / self.spread
        candidates = []
        for first, known in self._batches:
            for phase in range(_PHASES):
                part = song[phase::_PHASES]
                if len(part) * ROW_SECONDS < OVERLAP_SECONDS:
                    continue
                similarity, lags, overlap = _correlation(part, known)
                track, at = np.unravel_index(similarity.argmax(), similarity.shape)
                lag = int(lags[at])
                candidates.append(
                    Recording(
                        track=first + int(track),
                        similarity=min(1.0, float(similarity[track, at])),
                        song_start=max(lag, 0) * ROW_SECONDS + phase * ROW_SECONDS / _PHASES,
                        seconds=float(overlap[track, at]) * ROW_SECONDS,
                    )
                )
        return candidates

    @cached_property
    def _batches(self) -> list[tuple[int, "_Batch"]]:
        """The number of the first recording in each batch, and the batch."""
        batches = []
        parts = np.split(self.rows / np.float32(_STEPS_PER_UNIT), np.cumsum(self.lengths)[:-1])
        for first in range(0, len(parts), _RECORDINGS_AT_ONCE):
            lengths = self.lengths[first : first + _RECORDINGS_AT_ONCE]
            rows = np.zeros((len(lengths), lengths.max(), COEFFICIENTS), np.float32)
            for row, part in zip(rows, parts[first:], strict=False):
                row[: len(part)] = part
            if rows.size:
                batches.append((first, _Batch(rows, lengths, *_running(rows))))
        return batches


class _Batch(NamedTuple):
    """Recordings side by side, zero-padded at the end, with their running sums."""

    rows: Array
    lengths: NDArray[np.int32]
    sums: NDArray[np.float64]
    energy: NDArray[np.float64]


def fingerprint(features: Array, starts: NDArray[np.floating], params: FeatureParams) -> Array:
    """Return a recording's timbre over time, at three times the row rate of `Fingerprints`.

    Parameters
    ----------
    features : ndarray, float32, shape (n, *params.shape), its segments in order
    starts : ndarray, float, shape (n,), s, start of each segment
    params : FeatureParams

    Returns
    -------
    ndarray, float32, shape (rows, 12)
        Empty without segments, and for MFCCs with too few coefficients to compare.
    """
    matrix = cepstra(params)[:, 1:]
    if not len(features) or not np.any(matrix[:, _FEWEST_COEFFICIENTS - 1]):
        return np.empty((0, COEFFICIENTS), np.float32)
    hop = params.hop_length / params.sample_rate
    times = (np.asarray(starts)[:, np.newaxis] + np.arange(params.frames) * hop).ravel()
    values = (features @ matrix).reshape(-1, COEFFICIENTS).astype(np.float64)
    step = ROW_SECONDS / _PHASES
    rows = int((times[-1] - times[0]) / step) - _PHASES + 1
    # The mean between two times is a difference of the integral.
    areas = (values[1:] + values[:-1]) / 2 * np.diff(times)[:, np.newaxis]
    integral = np.concatenate([np.zeros((1, COEFFICIENTS)), np.cumsum(areas, axis=0)])
    edges = times[0] + np.arange(max(0, rows) + _PHASES) * step
    at = np.stack([np.interp(edges, times, column) for column in integral.T], axis=1)
    return ((at[_PHASES:] - at[:-_PHASES]) / ROW_SECONDS).astype(np.float32)


def cepstra(params: FeatureParams, band: tuple[float, float] = (0, 1)) -> Array:
    """Return the matrix from a frame of features to cepstral coefficients 0 to 12.

    Of log-mel features, only the bands in `band` count, a part of the mel axis from 0 to 1. The
    shape is (coefficients, 13), with zero columns for coefficients that MFCCs lack.
    """
    matrix = np.zeros((params.coefficients, COEFFICIENTS + 1), np.float32)
    if params.kind == "log_mel":
        first, last = (round(share * params.n_mels) for share in band)
        count = min(COEFFICIENTS + 1, last - first)
        matrix[first:last, :count] = dct_matrix(count, last - first)
    else:
        np.fill_diagonal(matrix, 1)
    return matrix


def _correlation(
    song: Array, known: _Batch
) -> tuple[Array, NDArray[np.integer], NDArray[np.integer]]:
    """Correlate a song, shape (m, 12), with k known recordings at all lags.

    Returns the correlations, shape (k, lags), -1 where too little overlaps; the lags (row t + lag
    of the song is beside row t of the other); and the overlaps in rows, shape (k, lags).
    """
    from scipy.fft import irfft, next_fast_len, rfft

    m, longest = len(song), known.rows.shape[1]
    song = song - song.mean(axis=0)
    size = next_fast_len(m + longest - 1, real=True)
    theirs = rfft(known.rows, size, axis=1).conj().transpose(1, 0, 2)
    product = theirs @ rfft(song, size, axis=0)[:, :, np.newaxis]
    lags = np.arange(1 - longest, m)
    cross = irfft(product[:, :, 0], size, axis=0).T[:, lags]

    first = np.maximum(lags, 0)  # in the song
    last = np.clip(lags + known.lengths[:, np.newaxis], first, m)
    overlap = last - first
    count = np.maximum(overlap, 1)
    sums, energy = _running(song)
    its_sum, its_energy = sums[last] - sums[first], energy[last] - energy[first]
    track, begin = np.arange(len(known.rows))[:, np.newaxis], np.maximum(-lags, 0)
    end = np.maximum(last - lags, begin)
    their_sum = known.sums[track, end] - known.sums[track, begin]
    their_energy = known.energy[track, end] - known.energy[track, begin]

    its_energy = its_energy - np.square(its_sum).sum(axis=2) / count
    their_energy = their_energy - np.square(their_sum).sum(axis=2) / count
    cross = cross - (its_sum * their_sum).sum(axis=2) / count
    least = _STEADY * COEFFICIENTS * count
    similarity = cross / np.sqrt(np.maximum(its_energy, least) * np.maximum(their_energy, least))
    enough = overlap >= OVERLAP_SECONDS / ROW_SECONDS
    return np.where(enough, similarity, -1).astype(np.float32), lags, overlap


def _running(values: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of the first 0, 1, 2, ... rows, and of their squares over the coefficients."""
    pad = [(0, 0)] * (values.ndim - 2) + [(1, 0)]
    sums = np.cumsum(np.pad(values, (*pad, (0, 0))), axis=-2, dtype=np.float64)
    squares = np.einsum("...c,...c->...", values, values, dtype=np.float64)
    return sums, np.cumsum(np.pad(squares, pad), axis=-1)
