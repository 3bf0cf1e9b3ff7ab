"""The leak meter: one network and one dataset under three splits, compared.

The runs differ only in which segments are held out. The score that a network loses from one split
to the next is due to having met the song, or the artist, before.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import Split, by_artist, by_segment, by_track
from genrekit.errors import DatasetError
from genrekit.model.evaluation import Measurement
from genrekit.model.metrics import interval_in_words
from genrekit.ranges import check_whole
from genrekit.training.loop import train
from genrekit.training.params import TrainParams
from genrekit.wording import counted

__all__ = ["LeakBar", "LeakProgress", "leak_meter", "leak_sentence"]

_LITTLE: Final = 0.04


@dataclass(frozen=True)
class LeakBar:
    """The score under one split.

    `accuracy` is the mean over the runs of the share of held-out segments that are right;
    `accuracies` are those of each run. `interval` is its 95% confidence interval: for several runs
    the mean of theirs, which is rather too wide.
    """

    split: str
    worth: str
    segments: int
    accuracies: tuple[float, ...]
    interval: tuple[float, float]

    @property
    def accuracy(self) -> float:
        """Mean over the runs."""
        return float(np.mean(self.accuracies))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"accuracy": self.accuracy}


@dataclass(frozen=True)
class LeakProgress:
    """Progress after an epoch; `bars` are the finished splits."""

    done: int
    total: int
    split: str
    bars: tuple[LeakBar, ...]


def leak_meter(
    dataset: Dataset, params: TrainParams | None = None, *, runs: int = 1
) -> Iterator[LeakProgress]:
    """Train the same network under the segment, track and (where known) artist split.

    Yields one LeakProgress for each epoch; the last has all the bars.

    Parameters
    ----------
    dataset : Dataset with tracks
    runs : int, 1 to 1000
        Each split is drawn this often, with seeds from ``params.seed`` on.

    Raise DatasetError if the dataset has no track names or is too small to be split, SettingsError
    if `runs` is out of range.

    Examples
    --------
    >>> dataset = genrekit.Dataset.read("data.parquet")
    >>> for progress in genrekit.leak_meter(dataset, genrekit.TrainParams(epochs=1)):
    ...     pass
    >>> [bar.split for bar in progress.bars]
    ['segment', 'track', 'artist']
    """
    params = params or TrainParams()
    check_whole("runs", runs, 1, 1000)
    seeds = range(params.seed, params.seed + runs)
    splits = [[draw(dataset, seed) for seed in seeds] for draw in (by_segment, by_track)]
    # Two bars are useful even where there are too few artists.
    with contextlib.suppress(DatasetError):
        splits.append([by_artist(dataset, seed) for seed in seeds])
    return _run(dataset, params, splits)


def _run(
    dataset: Dataset, params: TrainParams, splits: list[list[Split]]
) -> Iterator[LeakProgress]:
    total = params.epochs * sum(map(len, splits))
    bars: list[LeakBar] = []
    done = 0
    for draws in splits:
        measured: list[Measurement] = []
        for run, split in enumerate(draws):
            training = train(dataset, split, replace(params, seed=params.seed + run))
            for epoch in training:
                done += 1
                if epoch.epoch == params.epochs:
                    measured.append(training.measured())
                    if len(measured) == len(draws):
                        bars.append(_bar(dataset, draws, measured))
                yield LeakProgress(done, total, split.kind, tuple(bars))


def _bar(dataset: Dataset, draws: list[Split], measured: list[Measurement]) -> LeakBar:
    kind, worth = draws[0].kind, draws[0].worth
    held_out = [set(dataset.labels[draw.valid].tolist()) for draw in draws]
    missing = [g for i, g in enumerate(dataset.genres) if any(i not in held for held in held_out)]
    if missing:
        worth += f" Not always held out, for want of {kind}s: {', '.join(missing)}."
    low, high = np.mean([each.segment_interval for each in measured], axis=0).tolist()
    accuracies = tuple(each.segment_accuracy for each in measured)
    segments = int(np.mean([len(draw.valid) for draw in draws]))
    return LeakBar(kind, worth, segments, accuracies, (low, high))


def leak_sentence(bars: tuple[LeakBar, ...] | list[LeakBar]) -> str:
    """Say how much of the score is a leak, and how much may be chance.

    The interval of the difference (Newcombe 1998) treats the two scores as independent. They are
    not: the same network met much of the same music, so the interval is rather too wide. Of 60
    invented datasets of 60 tracks whose songs cannot be recognised, none was said to leak or to
    gain (95%: at most 6% would be); of 60 whose songs can be, all were said to leak.
    """
    first, last = bars[0], bars[-1]
    # Rounded as they are shown above the bars, so that they subtract to the same.
    before, after = round(100 * first.accuracy), round(100 * last.accuracy)
    lost = before - after
    low, high = _difference(last, first)
    held_out = f"when whole {last.split}s are held out"
    signed = f"95% interval {100 * low:+.0f} to {100 * high:+.0f} points"
    if max(-low, high) < _LITTLE:
        return (
            f"The score hardly changes ({-lost:+d}, {signed}) {held_out}: this network owes little "
            "to having met the music before."
        )
    change = f"{'falls' if lost > 0 else 'rises'} by {counted(abs(lost), 'point')}"
    if low <= 0 <= high:
        return (
            f"The score {change if lost else 'stays the same'} {held_out}. Chance alone may move "
            f"it as far on so little music ({signed}): more music would tell."
        )
    if lost < 0:
        return f"The score {change} {held_out} ({signed}): no leak shows here."
    met = {"track": "songs", "artist": "songs and artists"}[last.split]
    most = counted(round(100 * -low), "point")
    strange = {"track": "tracks", "artist": "music by artists"}[last.split]
    return (
        f"{lost} of the {before} points under the segment split are owed to {met} that the network "
        f"had met in training (95% interval {100 * -high:.0f} to {most}); on {strange} it has "
        f"never met, expect {after}%, or {interval_in_words(last.interval)} with 95%."
    )


def _difference(bar: LeakBar, before: LeakBar) -> tuple[float, float]:
    """Return the 95% confidence interval of a bar's excess over the one before it."""
    p, q = bar.accuracy, before.accuracy
    (p_low, p_high), (q_low, q_high) = bar.interval, before.interval
    return p - q - np.hypot(p - p_low, q_high - q), p - q + np.hypot(p_high - p, q - q_low)
