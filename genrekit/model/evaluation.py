"""Measuring a model on a part of a dataset, with the part and the split named."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import make_split
from genrekit.errors import ModelError
from genrekit.model.bundle import GenreModel
from genrekit.model.metrics import (
    accuracy,
    choose_candidate_limit,
    choose_threshold,
    confusion_matrix,
    expected_calibration_error,
    fit_temperature,
    mean_by_group,
    precision_recall,
    share_interval,
    wilson_interval,
)
from genrekit.model.reliability import Reliability, reliability
from genrekit.wording import counted

__all__ = [
    "Measurement",
    "accuracy_interval",
    "calibrate",
    "compare",
    "evaluate",
    "measure",
    "trained_on",
]

_ELSEWHERE: Final = "Measured on music of another dataset than the model's own."


@dataclass(frozen=True)
class Measurement:
    """Figures, with the rows that they were measured on.

    A track's verdict is the mean of its segments' probabilities, geometric for some networks.
    Calibration error, precision, recall, confusion matrix (row: truth, column: verdict) and
    reliability count tracks where they are known, else segments. Intervals are 95% confidence
    intervals of the accuracy, see `genrekit.model.metrics.share_interval`.
    """

    part: str
    segments: int
    segment_accuracy: float
    segment_interval: tuple[float, float]
    tracks: int | None
    track_accuracy: float | None
    track_interval: tuple[float, float] | None
    calibration_error: float
    genres: tuple[str, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: Reliability
    left_out: int = 0
    """Tracks not measured, since the model was trained on their recordings."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; some may be NaN."""
        return asdict(self)


def measure(model: GenreModel, dataset: Dataset, rows: NDArray[np.int64], part: str) -> Measurement:
    """Measure a model on some rows of a dataset, at least one.

    `part` names the rows: train, valid, test or all.

    Raise ModelError if the model does not know these genres, or takes other features.
    """
    if dataset.params != model.params:
        theirs, ours = dataset.params.to_dict(), model.params.to_dict()
        pairs = [(name, theirs[name], own) for name, own in ours.items() if theirs[name] != own]
        different = ", ".join(f"{name} {value} instead of {own}" for name, value, own in pairs)
        raise ModelError(
            f"The dataset's features were not computed like the model's ({different}): build it "
            "again with the model's parameters."
        )
    return compare(
        model,
        model.probabilities(dataset.features, rows),
        _labels_for(model, dataset)[rows],
        None if dataset.tracks is None else dataset.tracks[rows],
        part,
    )


def compare(
    model: GenreModel,
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    groups: NDArray[np.str_] | None,
    part: str,
) -> Measurement:
    """Compare what a model says of segments with their labels, as `measure` does.

    Parameters
    ----------
    probabilities : ndarray, shape (n, genres)
    labels : ndarray, int64, shape (n,), indices into the model's genres
    groups : ndarray of str, shape (n,), the track of each segment, or None
    """
    judged, truth = probabilities, labels
    tracks = track_accuracy = track_interval = None
    if groups is not None:
        judged, truth, names = mean_by_group(probabilities, labels, groups, model.geometric)
        tracks, track_accuracy = len(names), accuracy(judged, truth)
        track_interval = share_interval(judged.argmax(axis=1) == truth)
    confusion = confusion_matrix(truth, judged.argmax(axis=1), len(model.genres))
    precision, recall = precision_recall(confusion)
    accepted = truth[:, np.newaxis] == np.arange(len(model.genres))
    return Measurement(
        part,
        len(labels),
        accuracy(probabilities, labels),
        share_interval(probabilities.argmax(axis=1) == labels, groups),
        tracks,
        track_accuracy,
        track_interval,
        expected_calibration_error(judged, truth),
        model.genres,
        tuple(precision.tolist()),
        tuple(recall.tolist()),
        tuple(map(tuple, confusion.tolist())),
        reliability(judged, accepted, model.threshold, model.candidate_limit),
    )


def calibrate(
    model: GenreModel,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    tracks: NDArray[np.str_] | None,
) -> GenreModel:
    """Return a model whose temperature, threshold and candidates fit songs it did not learn from.

    Parameters
    ----------
    logits : ndarray, shape (n, genres), or with one column more, of the songs' segments
    labels : ndarray, int64, shape (n,)
    tracks : ndarray, shape (n,), or None, where each segment counts as a song
    """
    temperature = fit_temperature(logits, labels, tracks, model.geometric)
    model = replace(model, temperature=temperature)
    probabilities = model.calibrated(logits)
    if tracks is not None:
        probabilities, labels, _ = mean_by_group(probabilities, labels, tracks, model.geometric)
    return replace(
        model,
        threshold=choose_threshold(probabilities, labels),
        candidate_limit=choose_candidate_limit(probabilities, labels),
    )


def accuracy_interval(
    measured: Mapping[str, Any], of: Literal["track", "segment"]
) -> tuple[float, float]:
    """Return the 95% confidence interval of the accuracy on tracks or on segments.

    `measured` is a `Measurement` as plain values, such as a card's. Where it has no intervals, as
    in the models that ship, each track counts as one case.
    """
    stored = measured.get(f"{of}_interval")
    if stored is not None:
        return float(stored[0]), float(stored[1])
    cases = measured.get("tracks") or measured["segments"]
    return wilson_interval(measured[f"{of}_accuracy"], cases)


def evaluate(
    model: GenreModel, dataset: Dataset, how: str | None = None
) -> tuple[Measurement, str]:
    """Measure a model on a dataset, and say in a sentence what the score is worth.

    Parameters
    ----------
    how : str or None
        A split as for `genrekit.dataset.splits.make_split`, whose held-out part is measured. None
        means the model's own split of the dataset it was trained on, and all rows of any other.
        Of other datasets, recordings that the model was trained on are left out.

    Raise ModelError, DatasetError or SettingsError where the two or the split do not fit.

    Examples
    --------
    >>> model, dataset = genrekit.load_model("my-model"), genrekit.Dataset.read("data.parquet")
    >>> measured, worth = genrekit.evaluate(model, dataset)
    >>> measured.part
    'valid'
    """
    own = _section(model, "split")
    same_data = _section(model, "data").get("fingerprint") == dataset.sha256
    seed = (own.get("seed") if same_data else None) or 0
    if how is None and same_data and own.get("kind") == "file":
        raise ModelError(
            "The model was trained on this dataset, split by a file: name the file with --split."
        )
    if how is None and not same_data:
        return _measure_the_new(model, dataset, np.arange(len(dataset)), "all", _ELSEWHERE)
    split = make_split(dataset, how or own["kind"], seed)
    if not same_data:
        part = split.measured_part
        return _measure_the_new(model, dataset, split.measured, part, split.worth)
    worth = split.worth
    if split.held_out_sha256 != own.get("held_out"):
        worth = (
            "Flattering: the model was trained on another split of this dataset "
            f"({own.get('kind')}), so it has met some of these segments."
        )
    return measure(model, dataset, split.measured, split.measured_part), worth


def trained_on(model: GenreModel, dataset: Dataset) -> NDArray[np.bool_] | None:
    """Return which rows are of recordings that a model was trained on.

    A track is one of them if its file has the same SHA-256 or if it sounds the same (see
    `genrekit.model.recordings`). Only where the model's features are too coarse to compare sounds,
    tracks are compared by name.

    Returns
    -------
    ndarray, bool, shape (len(dataset),), or None
        None where the model or the dataset does not know its tracks.
    """
    known = model.neighbours
    if known is None or dataset.tracks is None:
        return None
    files = set(known.files) - {""}
    of_file = {record.id: record.sha256 for record in dataset.records}
    numbers = dataset.segment_numbers()
    coarse = not known.fingerprints.lengths.any()
    found = np.zeros(len(dataset), bool)
    order = np.lexsort((numbers, dataset.tracks))
    names, firsts = np.unique(dataset.tracks[order], return_index=True)
    for name, rows in zip(names.tolist(), np.split(order, firsts[1:]), strict=True):
        starts = dataset.params.segment_starts(numbers[rows])
        found[rows] = (
            of_file.get(name) in files
            or (coarse and name in known.tracks)
            or known.recording(dataset.features[rows], starts, dataset.params) is not None
        )
    return found


def _measure_the_new(
    model: GenreModel, dataset: Dataset, rows: NDArray[np.int64], part: str, worth: str
) -> tuple[Measurement, str]:
    """Measure on the rows that the model was not trained on, and say how many were left out."""
    known = trained_on(model, dataset)
    if known is None or dataset.tracks is None:
        return measure(model, dataset, rows, part), (
            f"{worth} Whether the model was trained on some of this music cannot be told."
        )
    old = known[rows]
    left_out = len(np.unique(dataset.tracks[rows[old]]))
    total = len(np.unique(dataset.tracks[rows]))
    if old.all():
        left_out = 0
        worth = "Worth nothing as a test: the model was trained on every one of these recordings."
    elif left_out:
        rows = rows[~old]
        worth = (
            f"The model was trained on {left_out} of {counted(total, 'track')}: left out here. "
            f"{worth}"
        )
    return replace(measure(model, dataset, rows, part), left_out=left_out), worth


def _section(model: GenreModel, name: str) -> dict[str, Any]:
    """Return a section of the card, or an empty one."""
    section = model.card.get(name)
    return section if isinstance(section, dict) else {}


def _labels_for(model: GenreModel, dataset: Dataset) -> NDArray[np.int64]:
    """Return the dataset's labels as indices into the model's genres."""
    unknown = [genre for genre in dataset.genres if genre not in model.genres]
    if unknown:
        raise ModelError(
            f'The model does not know the genre "{unknown[0]}": its genres are '
            f"{', '.join(model.genres)}."
        )
    number = np.array([model.genres.index(genre) for genre in dataset.genres])
    return number[dataset.labels]
