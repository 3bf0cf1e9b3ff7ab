"""What a head's verdicts are worth on songs that it was not trained on."""

from typing import Any

import numpy as np

from genrekit.model.metrics import (
    accuracy,
    choose_candidate_limit,
    expected_calibration_error,
    is_candidate,
    share_interval,
)
from models.pretraining.head import right_answers
from models.pretraining.songs import Floats, Songs

__all__ = ["coverage", "figures"]


def figures(probabilities: Floats, songs: Songs, threshold: float) -> dict[str, Any]:
    """Return the figures of verdicts on songs, as plain values.

    `probabilities` has shape (songs, genres). Where several genres are accepted, each is right.
    """
    labels = right_answers(probabilities, songs)
    right = probabilities.argmax(axis=1) == labels
    sure = probabilities.max(axis=1) >= threshold
    return {
        "songs": len(songs),
        "accuracy": accuracy(probabilities, labels),
        "interval": share_interval(right),
        "recall": {
            genre: float(right[songs.genres == genre].mean())
            for genre in np.unique(songs.genres).tolist()
        },
        "calibration_error": expected_calibration_error(probabilities, labels),
        "sure": float(sure.mean()),
        "right_when_sure": float(right[sure].mean()) if sure.any() else None,
    }


def coverage(probabilities: Floats, songs: Songs) -> dict[str, float]:
    """Return how often the candidates hold a right genre, and how many they are.

    For the songs of each fold, the limit is chosen on the others.
    """
    labels = right_answers(probabilities, songs)
    held, sizes = [], []
    for fold in np.unique(songs.folds):
        here = songs.folds == fold
        limit = choose_candidate_limit(probabilities[~here], labels[~here])
        rows = probabilities[here]
        candidates = is_candidate(rows, limit)
        held += candidates[np.arange(len(rows)), labels[here]].tolist()
        sizes += candidates.sum(axis=1).tolist()
    return {"coverage": float(np.mean(held)), "mean_size": float(np.mean(sizes))}
