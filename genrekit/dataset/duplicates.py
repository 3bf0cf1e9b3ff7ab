"""Audio fingerprints, to find files with the same recording.

A fingerprint is the timbre of the first 30 s over time: MFCCs 1 to 12 at 8 kHz (without the 0th,
the level), averaged over 0.2 s, one row per 0.1 s. Each coefficient has its mean removed, for a
filter adds a constant to it, and is divided by its standard deviation. Arrays are
(row, coefficient), float32.

The similarity of fingerprints x and y is their normalised correlation over the part that
overlaps, at the lag where it is highest::

    s(x, y) = max over |l| <= 2.1 s of  sum x[t + l] y[t] / sqrt(sum x[t + l]^2 sum y[t]^2)

with sums over every second row t and all coefficients. The threshold was measured on generated
tracks of 12 s and real ones of up to 30 s. Copies as MP3 or Vorbis at the lowest quality, filtered,
clipped, at another level or sample rate, or cut up to 2 s later reached at least 0.90 (as Opus at
10 kbit/s at least 0.79). Different real pieces reached at most 0.31; generated pieces of one artist
0.85, if both had the same patterns by chance.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.samples import resampled, usable_samples
from genrekit.features.extraction import FeatureParams, dct_matrix, log_mel

__all__ = ["PARAMS", "SIMILAR", "fingerprint", "linked", "similar_pairs"]

Array = NDArray[np.float32]

SIMILAR: Final = 0.87
# Up to 4 kHz only: a copy made at a sample rate of 8 kHz has no more.
PARAMS: Final = FeatureParams(
    sample_rate=8000, segment_seconds=30.0, n_fft=1024, hop_length=400, n_mels=40, n_mfcc=13
)
# Below it there is often only the noise of an encoder.
_FLOOR_DB: Final = 60.0
_FRAMES_AVERAGED: Final = 4
_FRAMES_PER_ROW: Final = 2
_LAGS: Final = 22
_OVERLAP_MIN: Final = 38  # of every second row: 8 s
_STEADY_DB: Final = 1.0
_TRACKS_AT_ONCE: Final = 256


def fingerprint(samples: Array, sample_rate: int) -> Array | None:
    """Compute the fingerprint of a sound's first 30 s.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,)
    sample_rate : int, Hz

    Returns
    -------
    ndarray, float32, shape (rows, 12), or None
        None for a sound without features: shorter than 0.4 s, silent, or constant, such as a tone.
    """
    low = resampled(usable_samples(samples), sample_rate, PARAMS.sample_rate)
    low = low[: PARAMS.segment_samples]
    padded = np.pad(low, (0, PARAMS.segment_samples - len(low)))
    half, hop = PARAMS.n_fft // 2, PARAMS.hop_length
    # Only frames within the sound: at its ends there would be clicks.
    whole = slice(-(-half // hop), max(0, len(low) - half) // hop + 1)
    spectrum = log_mel(padded[np.newaxis], PARAMS)[0, whole]
    if len(spectrum) < _FRAMES_AVERAGED:
        return None
    spectrum = np.maximum(spectrum, spectrum.max() - np.float32(_FLOOR_DB))
    cepstrum = spectrum @ dct_matrix(PARAMS.n_mfcc, PARAMS.n_mels)[:, 1:]
    runs = np.lib.stride_tricks.sliding_window_view(cepstrum, _FRAMES_AVERAGED, axis=0)
    rows = runs[::_FRAMES_PER_ROW].mean(axis=-1)
    rows -= rows.mean(axis=0)
    spread = rows.std(axis=0)
    if spread.max() < _STEADY_DB:
        return None
    return rows / np.maximum(spread, np.float32(_STEADY_DB))


def similar_pairs(
    prints: Sequence[Array | None], threshold: float = SIMILAR
) -> list[tuple[int, int, float]]:
    """Return the pairs of fingerprints whose similarity reaches a threshold.

    Lags with an overlap of less than 8 s are skipped: so little may be similar by chance. The time
    grows with the square of the number of fingerprints (1000: a few seconds).

    Returns
    -------
    list of (int, int, float)
        Index, higher index, similarity; sorted.
    """
    known = [i for i, rows in enumerate(prints) if rows is not None]
    starts = range(0, len(known), _TRACKS_AT_ONCE)
    pairs = []
    for start in starts:
        first = known[start : start + _TRACKS_AT_ONCE]
        one = _stack([prints[i] for i in first])
        for after in starts[start // _TRACKS_AT_ONCE :]:
            second = known[after : after + _TRACKS_AT_ONCE]
            other = one if after == start else _stack([prints[i] for i in second])
            best = _similarity(one, other)
            for i, j in np.argwhere(best >= threshold):
                if first[i] < second[j]:
                    pairs.append((first[i], second[j], min(1.0, float(best[i, j]))))
    return sorted(pairs)


def linked(pairs: Sequence[tuple[int, int, float]]) -> list[tuple[list[int], float]]:
    """Return the connected components of `similar_pairs`.

    Each is (members in order, lowest similarity of its pairs).
    """
    group_of: dict[int, list[int]] = {}
    for i, j, _ in pairs:
        one, other = group_of.get(i, [i]), group_of.get(j, [j])
        if one is not other:
            group_of |= dict.fromkeys(one + other, one + other)
    lowest: dict[int, float] = {}
    for i, _, similarity in pairs:
        key = min(group_of[i])
        lowest[key] = min(similarity, lowest.get(key, 1.0))
    return [(sorted(group_of[key]), lowest[key]) for key in sorted(lowest)]


class _Stack(NamedTuple):
    """Fingerprints in one array (track, row, coefficient), padded with zeros."""

    values: Array
    lengths: NDArray[np.int64]


def _stack(prints: Sequence[Array | None]) -> _Stack:
    rows = [part for part in prints if part is not None]
    lengths = np.array([len(part) for part in rows])
    values = np.zeros((len(rows), lengths.max(), PARAMS.n_mfcc - 1), np.float32)
    for i, part in enumerate(rows):
        values[i, : len(part)] = part
    return _Stack(values, lengths)


def _similarity(a: _Stack, b: _Stack) -> NDArray[np.float64]:
    """Similarities, shape (tracks of a, tracks of b); -1 where too little overlaps."""
    best = np.full((len(a.values), len(b.values)), -1.0)
    for lag in range(_LAGS):
        one = _correlation(a, b, lag)
        other = one if a is b else _correlation(b, a, lag)
        np.maximum(best, one, out=best)
        np.maximum(best, other.T, out=best)
    return best


def _correlation(a: _Stack, b: _Stack, lag: int) -> NDArray[np.float64]:
    """Every second row of `a` from row `lag` on, against every second row of `b`."""
    x, y = a.values[:, lag::2], b.values[:, ::2]
    steps = min(x.shape[1], y.shape[1])
    x, y = x[:, :steps], y[:, :steps]
    overlap = np.minimum.outer(np.maximum(0, (a.lengths - lag + 1) // 2), (b.lengths + 1) // 2)
    # Beyond the overlap one of them is zero, which adds nothing.
    product = x.reshape(len(x), -1) @ y.reshape(len(y), -1).T
    energy_x = np.take_along_axis(_energy(x), overlap, axis=1)
    energy_y = np.take_along_axis(_energy(y), overlap.T, axis=1).T
    scale = np.sqrt(np.maximum(energy_x * energy_y, 1e-12))
    return np.where(overlap >= _OVERLAP_MIN, product / scale, -1.0)


def _energy(values: Array) -> NDArray[np.float64]:
    """Sums of squares of the first 0, 1, 2, ... rows; shape (tracks, rows + 1)."""
    each = np.einsum("trc,trc->tr", values, values, dtype=np.float64)
    return np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0)))
