"""How good a classifier is, in plain arrays.

Probabilities have shape (n, genres) and rows that sum to 1; labels have shape (n,).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "accuracy",
    "choose_threshold",
    "confusion_matrix",
    "expected_calibration_error",
    "fit_temperature",
    "mean_by_group",
    "precision_recall",
    "softmax",
]

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
_TEMPERATURES: Final = np.geomspace(0.25, 16, 193)


def accuracy(probabilities: Floats, labels: Labels) -> float:
    """Share of rows whose largest probability is at the label; NaN without rows."""
    if not len(labels):
        return float("nan")
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def confusion_matrix(labels: Labels, predicted: Labels, genres: int) -> NDArray[np.int64]:
    """Counts, shape (genres, genres): row is the truth, column the verdict."""
    counts = np.zeros((genres, genres), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


def precision_recall(confusion: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Precision and recall of each genre, shapes (genres,); NaN where nothing was counted."""
    hits = np.diag(confusion).astype(float)
    with np.errstate(invalid="ignore"):
        return hits / confusion.sum(axis=0), hits / confusion.sum(axis=1)


def mean_by_group(
    probabilities: Floats, labels: Labels, groups: Sequence[str] | NDArray[np.str_]
) -> tuple[Floats, Labels, NDArray[np.str_]]:
    """One row for each group (a track): the mean of its rows' probabilities.

    Returns
    -------
    probabilities : ndarray, shape (groups, genres)
    labels : ndarray, shape (groups,), of each group's first row
    names : ndarray of str, shape (groups,), sorted
    """
    names, first, where = np.unique(groups, return_index=True, return_inverse=True)
    sums = np.zeros((len(names), probabilities.shape[1]))
    np.add.at(sums, where, probabilities)
    return sums / np.bincount(where)[:, np.newaxis], labels[first], names


def expected_calibration_error(probabilities: Floats, labels: Labels, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of confidence.

    Guo et al. 2017, "On calibration of modern neural networks". NaN without rows.
    """
    if not len(labels):
        return float("nan")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    where = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(where, confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Probabilities along the last axis; a temperature above 1 makes them more modest."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def fit_temperature(
    logits: Floats, labels: Labels, groups: Sequence[str] | NDArray[np.str_] | None = None
) -> float:
    """The temperature in [0.25, 16] with the smallest mean negative log likelihood.

    Parameters
    ----------
    logits : ndarray, shape (n, genres)
    labels : ndarray, shape (n,)
    groups : shape (n,), or None
        With groups (tracks), the likelihood is that of each group's mean probabilities: the
        verdicts are to be calibrated, not the segments.

    Returns
    -------
    float; 1.0 without rows
    """
    if not len(labels):
        return 1.0
    each = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(each, kind="stable")
    first = np.flatnonzero(np.diff(each[order], prepend=-1))
    size = np.diff(first, append=len(order))[:, np.newaxis]
    truth = labels[order][first]

    def loss(temperature: float) -> float:
        rows = softmax(logits[order].astype(np.float64), temperature)
        mean = np.add.reduceat(rows, first) / size
        likelihood = mean[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, 1e-300)).mean())

    return float(min(_TEMPERATURES, key=loss))


def choose_threshold(probabilities: Floats, labels: Labels) -> float:
    """The confidence below which a verdict is wrong more often than right.

    Verdicts are taken in order of confidence; the threshold lies above those of the least
    confident among which the wrong outnumber the right by most. 0 where they never do, 1 at
    most.
    """
    if not len(labels):
        return 0.0
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    surplus = np.cumsum(np.where(right, 1, -1))  # right less wrong
    last = int(surplus.argmin())
    if surplus[last] >= 0:
        return 0.0
    return min(1.0, float(confidence[order[last]]) + 1e-6)
