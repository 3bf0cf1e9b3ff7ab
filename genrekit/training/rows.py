"""A dataset's rows as training needs them: read on demand, normalised, with their neighbours."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genrekit.dataset.dataset import Dataset

__all__ = ["RowReader", "Rows", "adjacent_rows", "normalisation", "thinned"]

_ROWS_SUMMED: Final = 128


@dataclass(frozen=True, eq=False)
class RowReader:
    """Rows of features as tensors, read and normalised (by mean and std) on demand."""

    features: NDArray[np.float32]
    rows: NDArray[np.int64]
    normalise: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    device: torch.device

    def __getitem__(self, places: Tensor | slice, /) -> Tensor:
        rows = self.rows[places if isinstance(places, slice) else places.numpy()]
        features = self.features[rows]  # a copy
        if self.normalise is not None:
            mean, std = self.normalise
            features -= mean
            features /= std
        return torch.from_numpy(features).to(self.device)


Rows = Tensor | RowReader
"""Features of shape (n, frames, coefficients)."""


def normalisation(
    features: NDArray[np.float32], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each coefficient in these rows."""
    parts = [rows[start : start + _ROWS_SUMMED] for start in range(0, len(rows), _ROWS_SUMMED)]
    count = len(rows) * features.shape[1]
    mean = sum(features[part].sum(axis=(0, 1), dtype=np.float64) for part in parts) / count
    squares = (np.square(features[part] - mean).sum(axis=(0, 1)) for part in parts)
    std = np.sqrt(sum(squares) / count)
    # A coefficient that never changes (a band that is always empty) stays as it is.
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32)


def adjacent_rows(
    dataset: Dataset, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of these rows comes before and after each in its track.

    Indices into `rows`, shape (n,) each; a row's own index where there is none.
    """
    own = np.arange(len(rows))
    if dataset.tracks is None or dataset.segments is None:
        return own, own
    track, place = dataset.tracks[rows], dataset.segments[rows]
    order = np.lexsort((place, track))
    follows = (track[order][1:] == track[order][:-1]) & (place[order][1:] == place[order][:-1] + 1)
    before, after = own.copy(), own.copy()
    after[order[:-1][follows]] = order[1:][follows]
    before[order[1:][follows]] = order[:-1][follows]
    return before, after


def thinned(dataset: Dataset, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most this many of these rows: all, or every second, third, ... of each genre.

    Those of a track stand together in order, so that each track keeps its share.
    """
    keys: list[NDArray[Any]] = [dataset.labels[rows]]
    if dataset.tracks is not None:
        keys = [dataset.segment_numbers()[rows], dataset.tracks[rows], *keys]
    return np.sort(rows[np.lexsort(keys)[:: -(-len(rows) // most)]])
