"""The training loop: epochs one by one, to be stopped after any of them.

As in the course, training loss and accuracy are running means over the epoch's batches, computed
while the weights still move; validation follows each epoch.
"""

import copy
import hashlib
import math
import os
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from genrekit import __version__
from genrekit.audio.non_music import render_non_music
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import PARTS, Split
from genrekit.errors import ModelError, SettingsError
from genrekit.features.extraction import extract
from genrekit.model.backbone import EVERYDAY_PARAMS, OTHER_FEATURES, Everyday
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.classical import Classical
from genrekit.model.evaluation import Measurement, calibrate, measure
from genrekit.model.neighbours import Neighbours
from genrekit.model.neighbours_fit import fit_neighbours
from genrekit.model.networks import build_network, count_parameters
from genrekit.model.tags import TagReference
from genrekit.system.files import atomic_write, plain_os_errors
from genrekit.system.memory import rows_at_once
from genrekit.training.augment import KEPT_BAND
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.training.recipes import (
    CourseRecipe,
    FitRecipe,
    HeadRecipe,
    Heard,
    Recipe,
    RobustRecipe,
)
from genrekit.training.rows import RowReader, Rows, adjacent_rows, normalisation, thinned
from genrekit.wording import numeral

__all__ = ["EpochStats", "Training", "kept_band", "train"]

_OUTLIERS: Final = 1200
_HEAD_OUTLIERS: Final = 100
# Fitting a support vector machine to as many took 9 s on one core, and to twice as many 34 s.
_MOST_FITTED: Final = 10_000


@dataclass(frozen=True)
class EpochStats:
    """One epoch, counted from 1. Losses are mean cross-entropy in nats, accuracies 0 to 1.

    The validation fields are NaN where the split has no validation part.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


class Training:
    """A training run: iterate over it for its epochs, then ask for its `model`.

    `history` has the epochs so far; `kept_epoch` is the one whose weights are kept, 0 before the
    first.
    """

    def __init__(self, dataset: Dataset, split: Split, params: TrainParams) -> None:
        self.dataset = dataset
        self.split = split
        self.params = params
        self.history: list[EpochStats] = []
        self._device = _device(params.device)
        if params.network == "everyday" and dataset.params != EVERYDAY_PARAMS:
            raise SettingsError(OTHER_FEATURES)
        if params.normalise:
            self._mean, self._std = normalisation(dataset.features, split.train)
        else:
            width = dataset.params.coefficients
            self._mean, self._std = np.zeros(width, np.float32), np.ones(width, np.float32)
        self._network = build_network(
            params.network, dataset.params.shape, len(dataset.genres), params.seed
        ).to(self._device)
        self._tags: TagReference | None = None
        if isinstance(self._network, Everyday):
            self._tags = self._start_from_backbone(self._network)
        self._order = torch.Generator().manual_seed(params.seed)
        self._recipe = self._make_recipe()
        self._best: tuple[float, dict[str, Tensor]] | None = None
        self.kept_epoch = 0

    def __iter__(self) -> Iterator[EpochStats]:
        params, recipe = self.params, self._recipe
        x, y = self._rows(self.split.valid)
        valid = (recipe.prepared(x, len(y)) if len(y) else x, y)
        count = len(self.split.train)
        while len(self.history) < params.epochs:
            start = perf_counter()
            self._network.train()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((params.seed + (len(self.history) << 40)) % 2**63)
                order = torch.randperm(count, generator=self._order)
                batches = recipe.epoch(order, params.batch_size)
            # Read only now: reading a batch's figures waits for the device.
            losses, logits, genres = zip(*batches, strict=True)
            sizes = torch.tensor([len(batch) for batch in genres], device=self._device)
            learned = int(sizes.sum())
            hits = (torch.cat(logits).argmax(dim=1) == torch.cat(genres)).sum()
            stats = EpochStats(
                len(self.history) + 1,
                float((torch.stack(losses) * sizes).sum()) / learned,
                float(hits) / learned,
                *self._validate(*valid),
                perf_counter() - start,
            )
            self._keep(stats)
            self.history.append(stats)
            yield stats

    def save_state(self, path: str | os.PathLike[str]) -> None:
        """Write everything needed to continue from the current epoch, or raise ModelError."""
        path = Path(path)
        state = {
            "run": self._identity(),
            "history": [asdict(stats) for stats in self.history],
            "order": self._order.get_state(),
            "recipe": self._recipe.state(),
            "best": self._best,
            "kept_epoch": self.kept_epoch,
        }
        with plain_os_errors("written", path, ModelError), atomic_write(path) as temporary:
            torch.save(state, temporary)

    def load_state(self, path: str | os.PathLike[str]) -> None:
        """Continue from where `save_state` wrote `path`; nothing in the file is executed.

        Raise ModelError if it cannot be read, or belongs to another run.
        """
        path = Path(path)
        with plain_os_errors("read", path, ModelError):
            try:
                state = torch.load(path, self._device, weights_only=True)
                if state["run"] != self._identity():
                    raise ModelError(
                        f"{path.name} belongs to a run with other data or settings: remove it, "
                        "or start with the settings it was written with."
                    )
                self._recipe.restore(state["recipe"])
                self._order.set_state(state["order"].cpu())
                self.history = [EpochStats(**stats) for stats in state["history"]]
                self._best, self.kept_epoch = state["best"], state["kept_epoch"]
            except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError):
                raise ModelError(
                    f"{path.name} is damaged: remove it, and the run starts from the beginning."
                ) from None

    def model(self, about: str = "") -> GenreModel:
        """Return the current model, calibrated on the validation part, with its card.

        `about` comes first in the card: the source of the data, and its limits. Raise ModelError
        before the first epoch.
        """
        model = self._uncalibrated()
        model = self._calibrated(model)
        card = {"about": about, "genrekit": __version__} | self._card(model)
        model = replace(model, card=card, neighbours=self.neighbours(model))
        for part in model.network.modules():
            if isinstance(part, Heard):
                part.known = None  # songs to come are not these
        return model

    def measured(self) -> Measurement:
        """Measure the current network, uncalibrated, on the held-out part.

        Raise ModelError before the first epoch.
        """
        return self._measure(self._uncalibrated())

    def _measure(self, model: GenreModel) -> Measurement:
        return measure(model, self.dataset, self.split.measured, self.split.measured_part)

    def _uncalibrated(self) -> GenreModel:
        if not self.kept_epoch:
            raise ModelError("No epoch has been run yet: run at least one.")
        judge = copy.deepcopy(self._recipe.judge)
        if self._best is not None:
            judge.load_state_dict(self._best[1])
        network = self._recipe.whole(judge).cpu().eval()
        data, name = self.dataset, self.params.network
        return GenreModel(
            network, name, data.params, data.genres, self._mean, self._std, tags=self._tags
        )

    def neighbours(self, model: GenreModel) -> Neighbours | None:
        """Return the training music of `model`; None where there are not two tracks or more."""
        tracks = self.dataset.tracks
        if tracks is None or len(np.unique(tracks[self.split.train])) < 2:
            return None
        held_out = self.split.valid[:0] if self.split.shares_tracks else self.split.valid
        band = kept_band(self.params)
        try:
            return fit_neighbours(model, self.dataset, self.split.train, held_out, band)
        except ModelError:  # a network that has learned nothing has but one embedding
            return None

    def _identity(self) -> str:
        """Return a hash of everything that a run depends on."""
        run = [self.dataset.sha256, self.split.sha256, repr(self.params)]
        return hashlib.sha256("\n".join(run).encode()).hexdigest()

    @staticmethod
    def _start_from_backbone(network: Everyday) -> TagReference | None:
        """Give a network the backbone of the model that ships; return the tags' reference."""
        everyday = load_model("everyday")
        assert isinstance(everyday.network, Everyday)
        network.backbone = everyday.network.backbone.to(network.head.weight.device)
        return everyday.tags

    def _make_recipe(self) -> Recipe:
        params, dataset, rows = self.params, self.dataset, self.split.train
        if isinstance(self._network, Classical):
            rows = thinned(dataset, rows, _MOST_FITTED)
            return FitRecipe(self._network, *self._rows(rows), dataset.params)
        if isinstance(self._network, Everyday):
            return HeadRecipe(
                self._network, *self._rows(rows), params.learning_rate, self._outliers()
            )
        common = (self._network, *self._rows(rows), params.learning_rate)
        if params.recipe == "course":
            return CourseRecipe(*common)
        return RobustRecipe(
            *common,
            adjacent=adjacent_rows(dataset, rows),
            log_mel=dataset.params.kind == "log_mel" and not params.normalise,
            outliers=self._outliers(),
            genres=len(dataset.genres),
            steps=params.epochs * math.ceil(len(rows) / params.batch_size),
        )

    def _outliers(self) -> Tensor:
        params = self.dataset.params
        count = _HEAD_OUTLIERS if self.params.recipe == "head" else _OUTLIERS
        sounds = render_non_music(
            count, params.segment_samples, params.sample_rate, self.params.seed
        )
        features = (extract(sounds, params) - self._mean) / self._std
        return torch.from_numpy(features).to(self._device)

    def _rows(self, rows: NDArray[np.int64]) -> tuple[Rows, Tensor]:
        labels = torch.from_numpy(self.dataset.labels[rows]).to(self._device)
        normalise = (self._mean, self._std) if self.params.normalise else None
        reader = RowReader(self.dataset.features, rows, normalise, self._device)
        return (reader if self.dataset.mapped else reader[:]), labels

    def _validate(self, x: Rows, y: Tensor) -> tuple[float, float]:
        if not len(y):
            return float("nan"), float("nan")
        judge = self._recipe.judge.eval()
        with torch.inference_mode():
            step = rows_at_once(self.dataset.params.shape)
            starts = range(0, len(y), step)
            logits = torch.cat([judge(x[start : start + step]) for start in starts])
        hits = (logits.argmax(dim=1) == y).sum()
        return float(cross_entropy(logits, y)), float(hits) / len(y)

    def _keep(self, stats: EpochStats) -> None:
        judge = self._recipe.judge
        finite = all(weights.sum().isfinite() for weights in judge.parameters())
        if not finite or not np.isfinite(stats.train_loss):
            self.kept_epoch = 0 if self._best is None else self.kept_epoch
            rate = self.params.learning_rate
            lower = min(NETWORK_DEFAULTS[self.params.network].learning_rate, rate / 100)
            raise ModelError(
                f"The loss overflowed in epoch {stats.epoch}, at a learning rate of "
                f"{numeral(rate)}: use a far lower one, such as {numeral(lower)}, or bring the "
                "features to one scale (normalise)."
            )
        if self.params.keep == "last" or not len(self.split.valid):
            self.kept_epoch = stats.epoch
        elif self._best is None or stats.valid_loss < self._best[0]:
            self._best = stats.valid_loss, copy.deepcopy(judge.state_dict())
            self.kept_epoch = stats.epoch

    def _calibrated(self, model: GenreModel) -> GenreModel:
        """Calibrate a model on the validation tracks, or on segments without tracks."""
        rows = self.split.valid
        if not len(rows):
            return model
        tracks = None if self.dataset.tracks is None else self.dataset.tracks[rows]
        logits = model.logits(self.dataset.features, rows)
        return calibrate(model, logits, self.dataset.labels[rows], tracks)

    def _extent(self) -> dict[str, int]:
        """Return how far the run went, for the card."""
        if isinstance(self._network, Classical):
            return {"segments_fitted": len(thinned(self.dataset, self.split.train, _MOST_FITTED))}
        return {"epochs_run": len(self.history), "kept_epoch": self.kept_epoch}

    def _card(self, model: GenreModel) -> dict[str, Any]:
        dataset, split = self.dataset, self.split
        tracks = None if dataset.tracks is None else len(np.unique(dataset.tracks))
        return {
            "data": {"fingerprint": dataset.sha256, "segments": dataset.counts(), "tracks": tracks},
            "split": {
                "kind": split.kind,
                "seed": split.seed,
                "held_out": split.held_out_sha256,
                "shares_tracks": split.shares_tracks,
                "worth": split.worth,
                "segments": {part: len(getattr(split, part)) for part in PARTS},
            },
            "training": self.params.used() | self._extent(),
            "parameters": count_parameters(model.network),
            "calibrated_on": "valid" if len(split.valid) else None,
            "measured": self._measure(model).to_dict(),
            "history": [asdict(stats) for stats in self.history],
        }


def train(dataset: Dataset, split: Split, params: TrainParams | None = None) -> Training:
    """Set up a training run, which starts when it is iterated over.

    Examples
    --------
    >>> dataset = genrekit.Dataset.read("data.parquet")
    >>> training = genrekit.train(
    ...     dataset, genrekit.by_track(dataset), genrekit.TrainParams(epochs=2)
    ... )
    >>> for epoch in training:
    ...     print(epoch.epoch, "of 2")
    1 of 2
    2 of 2
    >>> training.model().save("trained")
    """
    return Training(dataset, split, params or TrainParams())


def kept_band(params: TrainParams) -> tuple[float, float]:
    """Return the part of the mel axis, from 0 to 1, that every training variation leaves."""
    return KEPT_BAND if params.recipe == "robust" else (0.0, 1.0)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # PyTorch without CUDA raises the second
        raise SettingsError(
            f'There is no device "{name}" here: use auto, cpu, or cuda where there is one.'
        ) from None
    return device
