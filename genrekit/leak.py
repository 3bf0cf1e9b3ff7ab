"""The leak meter: one network, one dataset, three splits, and what the difference says.

Nothing differs between the runs but which segments are held out. What a network loses from one
split to the next is what it owed to having met the song, or the artist, before.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genrekit.dataset import Dataset
from genrekit.errors import DatasetError
from genrekit.ranges import check_whole
from genrekit.splits import Split, by_artist, by_segment, by_track
from genrekit.train_params import TrainParams
from genrekit.training import train
from genrekit.wording import agree

__all__ = ["LeakBar", "LeakProgress", "leak_meter", "leak_sentence"]


@dataclass(frozen=True)
class LeakBar:
    """The score under one split: `accuracy` is the mean over the runs of the share of held-out
    segments that are right, `accuracies` has each run's."""

    split: str
    worth: str
    segments: int
    accuracies: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """Mean over the runs."""
        return float(np.mean(self.accuracies))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"accuracy": self.accuracy}


@dataclass(frozen=True)
class LeakProgress:
    """One more epoch is done; `bars` holds the splits that are finished."""

    done: int
    total: int
    split: str
    bars: tuple[LeakBar, ...]


def leak_meter(
    dataset: Dataset, params: TrainParams | None = None, *, runs: int = 1
) -> Iterator[LeakProgress]:
    """Train the same network under the segment, track and (where known) artist split.

    Parameters
    ----------
    dataset : Dataset with tracks
    params : TrainParams
    runs : int, 1 to 1000
        Each split is drawn this often, with seeds from ``params.seed`` on.

    Yields
    ------
    LeakProgress
        One for each epoch; the last one has all the bars.

    Raises
    ------
    DatasetError
        The dataset does not know its tracks, or is too small to be split.
    SettingsError
        `runs` is out of range.
    """
    params = params or TrainParams()
    check_whole("runs", runs, 1, 1000)
    seeds = range(params.seed, params.seed + runs)
    splits = [[by_segment(dataset, seed) for seed in seeds]]
    splits.append([by_track(dataset, seed) for seed in seeds])
    # Where no artists are known, or too few, two bars still tell something.
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
        scores: list[float] = []
        for split in draws:
            seeded = TrainParams(**asdict(params) | {"seed": split.seed})
            training = train(dataset, split, seeded)
            for epoch in training:
                done += 1
                if epoch.epoch == params.epochs:
                    scores.append(training.history[training.kept_epoch - 1].valid_accuracy)
                    if len(scores) == len(draws):
                        bars.append(_bar(dataset, draws, tuple(scores)))
                yield LeakProgress(done, total, split.kind, tuple(bars))


def _bar(dataset: Dataset, draws: list[Split], scores: tuple[float, ...]) -> LeakBar:
    kind, worth = draws[0].kind, draws[0].worth
    held_out = [set(dataset.labels[draw.valid].tolist()) for draw in draws]
    missing = [g for i, g in enumerate(dataset.genres) if any(i not in held for held in held_out)]
    if missing:
        worth += f" Not always held out, for want of {kind}s: {', '.join(missing)}."
    return LeakBar(kind, worth, int(np.mean([len(draw.valid) for draw in draws])), scores)


def leak_sentence(bars: tuple[LeakBar, ...] | list[LeakBar]) -> str:
    """What the bars say, in one sentence."""
    first, last = bars[0], bars[-1]
    # As they stand above the bars, so that whoever subtracts finds the same.
    before, after = round(100 * first.accuracy), round(100 * last.accuracy)
    lost = before - after
    met = {"track": "songs", "artist": "songs and artists"}[last.split]
    strange = {"track": "tracks", "artist": "music by artists"}[last.split]
    if lost < 3:
        return (
            f"The score hardly changes ({lost:+d} {agree(abs(lost), 'point', 'points')}) when "
            f"whole {last.split}s are held out: this network owes little to having met the music "
            "before."
        )
    return (
        f"{lost} of the {before} points under the segment split are owed to "
        f"{met} that the network had met in training; on {strange} it has never met, "
        f"expect {after}%."
    )
