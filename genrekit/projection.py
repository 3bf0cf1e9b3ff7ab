"""A dataset's segments on a flat map: alike segments lie near each other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset import Dataset

__all__ = ["SegmentMap", "segment_map", "segment_summary"]


class SegmentMap(NamedTuple):
    """Points, shape (n, 2), and the share of all variance that each of the two axes carries."""

    points: NDArray[np.float32]
    explained: tuple[float, float]


def segment_summary(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean and standard deviation over time of each coefficient.

    Parameters
    ----------
    features : ndarray, shape (n, frames, coefficients)

    Returns
    -------
    ndarray, float32, shape (n, 2 * coefficients)
    """
    return np.concatenate([features.mean(axis=1), features.std(axis=1)], axis=1)


def segment_map(dataset: Dataset) -> SegmentMap:
    """Project the segments' summaries onto their two principal components.

    Each number of the summary is first brought to mean 0 and standard deviation 1, so that
    loudness does not outweigh all the rest.
    """
    summary = segment_summary(dataset.features).astype(np.float64)
    spread = summary.std(axis=0)
    table = (summary - summary.mean(axis=0)) / np.where(spread > 0, spread, 1)
    # The table is tall and narrow: its principal axes are those of the small matrix.
    variances, axes = np.linalg.eigh(table.T @ table)
    share = np.maximum(variances[::-1], 0) / max(variances.sum(), 1e-12)
    points = table @ axes[:, :-3:-1]
    return SegmentMap(points.astype(np.float32), (float(share[0]), float(share[1])))
