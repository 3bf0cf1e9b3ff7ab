"""Segments in two numbers for each coefficient: its mean and its spread over time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genrekit.system.memory import rows_at_once

__all__ = ["parts_of", "segment_summary"]


def segment_summary(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean and standard deviation over time of each coefficient.

    `features` has shape (n, frames, coefficients), the result (n, 2 * coefficients).
    """
    count, _, coefficients = features.shape
    summary = np.empty((count, 2 * coefficients), np.float32)
    for part in parts_of(features):
        summary[part, :coefficients] = features[part].mean(axis=1)
        summary[part, coefficients:] = features[part].std(axis=1)
    return summary


def parts_of(rows: NDArray[np.float32]) -> Iterator[slice]:
    """Yield rows a few at a time, for a dataset may be larger than memory."""
    step = rows_at_once(rows.shape[1:])
    for start in range(0, len(rows), step):
        yield slice(start, start + step)
