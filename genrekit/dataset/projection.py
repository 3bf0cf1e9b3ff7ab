"""Views of a whole dataset: a two-dimensional map of its segments, and each genre's average.

Features are read a few rows at a time, for a dataset may be larger than memory.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.summary import parts_of, segment_summary

__all__ = ["SegmentMap", "genre_averages", "segment_map"]

_LEAST_SPREAD: Final = 1e-6


class SegmentMap(NamedTuple):
    """Points, shape (n, 2), and the share of the variance explained by each axis."""

    points: NDArray[np.float32]
    explained: tuple[float, float]


def segment_map(dataset: Dataset) -> SegmentMap:
    """Project the standardised summaries of the segments onto their two principal components."""
    summary = segment_summary(dataset.features)
    mean = summary.mean(axis=0, dtype=np.float64)
    # The table is tall and narrow: its principal axes are those of the small matrix.
    products = sum((summary[part] - mean).T @ (summary[part] - mean) for part in parts_of(summary))
    spread = _spread(np.diag(products) / len(summary))
    variances, axes = np.linalg.eigh(products / np.outer(spread, spread))
    share = np.maximum(variances[::-1], 0) / max(variances.sum(), 1e-12)
    axes = axes[:, :-3:-1] / spread[:, np.newaxis]
    points = np.concatenate([(summary[part] - mean) @ axes for part in parts_of(summary)])
    return SegmentMap(points.astype(np.float32), (float(share[0]), float(share[1])))


def genre_averages(dataset: Dataset) -> NDArray[np.float64]:
    """Return each genre's mean of each coefficient, shape (genres, coefficients).

    They are in standard deviations (of the segments' means) from the mean of all; NaN for a genre
    without segments.
    """
    features = dataset.features
    means = np.concatenate(
        [features[part].mean(axis=1, dtype=np.float64) for part in parts_of(features)]
    )
    counts = np.bincount(dataset.labels, minlength=len(dataset.genres))[:, np.newaxis]
    sums = np.zeros((len(dataset.genres), means.shape[1]))
    np.add.at(sums, dataset.labels, means)
    averages = np.full_like(sums, np.nan)
    np.divide(sums, counts, out=averages, where=counts > 0)
    result: NDArray[np.float64] = (averages - means.mean(axis=0)) / _spread(means.var(axis=0))
    return result


def _spread(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviation, or 1 if it is 0."""
    spread: NDArray[np.float64] = np.sqrt(variance)
    return np.where(spread > _LEAST_SPREAD, spread, 1.0)
