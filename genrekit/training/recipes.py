"""How weights are updated: the course's plain way, and one that withstands real uploads.

A third trains the last layer alone, on a backbone that stays as it is, and a fourth has
scikit-learn fit a classifier that is no network. A recipe holds the network, its optimiser and the
training rows. Its `judge` is the network whose outputs count: the one that
learns, or an average of it over time.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from genrekit.features.extraction import FeatureParams
from genrekit.model.backbone import Backbone, Everyday
from genrekit.model.classical import Classical
from genrekit.training.augment import add_noise, equalise, mask, shift
from genrekit.training.dense import DenseChain
from genrekit.training.rows import Rows

__all__ = ["CourseRecipe", "FitRecipe", "HeadRecipe", "Heard", "Recipe", "RobustRecipe"]


class Recipe(ABC):
    """A way to train a network, one batch at a time."""

    judge: nn.Module
    _optimizer: torch.optim.Optimizer
    _parts: dict[str, Any]
    """Everything that changes, by its name in the state."""

    def epoch(self, order: Tensor, batch_size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Learn from all training rows, in this order; return the results of the steps."""
        return [self.step(rows) for rows in torch.split(order, batch_size)]

    @abstractmethod
    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Learn from these training rows; return their mean loss, logits and target genres."""

    def prepared(self, x: Rows, count: int) -> Rows:
        """Return all `count` rows in the form that `judge` takes."""
        return x

    def whole(self, judge: nn.Module) -> nn.Module:
        """Return the network that maps rows to logits, with the weights of this `judge`."""
        return judge

    def state(self) -> dict[str, Any]:
        """Return everything needed to continue later: tensors and plain values."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    def _descend(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad()  # frees the gradients' memory


class CourseRecipe(Recipe):
    """Cross-entropy, Adam, rows as they are."""

    def __init__(self, network: nn.Module, x: Rows, y: Tensor, learning_rate: float) -> None:
        self.judge = network
        self._x, self._y = x, y
        self._chain = DenseChain(network) if DenseChain.fits(network) else None
        self._optimizer = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
        self._parts = {"judge": network, "optimizer": self._optimizer}

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, target = self._x[rows], self._y[rows]
        if self._chain is not None:
            loss, logits = self._chain.differentiate(x, target)
            self._optimizer.step()
            return loss, logits, target
        logits = self.judge(x)
        loss = cross_entropy(logits, target)
        self._descend(loss)
        return loss.detach(), logits.detach(), target


class _HeadOnly(Recipe):
    """Learning of a head alone, from embeddings that a backbone makes once."""

    ROWS_AT_ONCE: Final = 64

    def __init__(self, network: Everyday | Classical, x: Rows, y: Tensor) -> None:
        self._network = network
        self._rows, self._y = x, y
        self.judge = network.head

    @cached_property
    def _x(self) -> Tensor:
        """The embeddings of the training rows, made when they are first asked for."""
        return self.prepared(self._rows, len(self._y))

    @torch.no_grad()
    def prepared(self, x: Rows, count: int) -> Tensor:
        backbone = self._network.backbone.eval()
        steps = range(0, count, self.ROWS_AT_ONCE)
        return torch.cat([backbone(x[i : i + self.ROWS_AT_ONCE]) for i in steps])

    def whole(self, judge: nn.Module) -> nn.Module:
        network = copy.deepcopy(self._network)
        network.head.load_state_dict(judge.state_dict())
        return network


class HeadRecipe(_HeadOnly):
    """Cross-entropy of everyday's head, AdamW, and outliers as examples of "no music".

    Chosen with 3 to 20 songs a genre of two collections, whose other artists were tested: of weight
    decays from 0 to 3, learning rates from 1e-3 to 1e-2 and 20 to 100 epochs, none was better by
    more than chance.

    Parameters
    ----------
    network : Everyday, with the weights of its backbone, which will remember
    x, y, learning_rate : as for `CourseRecipe`
    outliers : Tensor, shape (m, frames, coefficients), rows that are not music
    """

    WEIGHT_DECAY: Final = 1.0
    OUTLIER_SHARE: Final = 1 / 8

    def __init__(
        self, network: Everyday, x: Rows, y: Tensor, learning_rate: float, outliers: Tensor
    ) -> None:
        network.backbone = Heard(network.backbone)
        super().__init__(network, x, y)
        self._strange = outliers
        self._optimizer = torch.optim.AdamW(
            self.judge.parameters(), learning_rate, weight_decay=self.WEIGHT_DECAY
        )
        self._parts = {"judge": self.judge, "optimizer": self._optimizer}

    @cached_property
    def _outliers(self) -> Tensor:
        return self.prepared(self._strange, len(self._strange))

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        target, logits, outliers = self._y[rows], self.judge(self._x[rows]), self._outliers
        count = max(1, round(len(rows) * self.OUTLIER_SHARE))
        outside = self.judge(outliers[torch.randint(len(outliers), (count,))])
        no_music = torch.full((count,), outside.shape[1] - 1, device=target.device)
        loss = cross_entropy(logits, target)
        self._descend(loss + self.OUTLIER_SHARE * cross_entropy(outside, no_music))
        return loss.detach(), logits.detach(), target


class FitRecipe(_HeadOnly):
    """A classifier that scikit-learn fits to all rows at once; batches do not matter.

    Parameters
    ----------
    network : Classical
    x, y : as for `CourseRecipe`
    params : FeatureParams of the rows
    """

    def __init__(self, network: Classical, x: Rows, y: Tensor, params: FeatureParams) -> None:
        network.adapt(params)
        super().__init__(network, x, y)
        self._x = network.backbone.standardise(self._x)
        self._head = network.head
        self._parts = {"network": network}

    def epoch(self, order: Tensor, batch_size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        return [self.step(order)]

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self._head.fit(self._x, self._y)
        logits = self._head(self._x)
        return cross_entropy(logits, self._y), logits, self._y


class Heard(Backbone):
    """A backbone that remembers the embeddings of segments, which it knows by their content.

    Training, calibration, the figures and the neighbours ask for the same ones, and its forward
    pass is nearly all of their time.

    `known` maps the SHA-256 of a segment to its embedding, ndarray, shape (200,); with None,
    nothing is remembered.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.load_state_dict(backbone.state_dict())
        self.requires_grad_(False)
        self.known: dict[bytes, NDArray[np.float32]] | None = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Heard":
        """Copy the weights; what is remembered is shared."""
        copied = Heard(self)
        copied.known = self.known
        return copied

    def forward(self, x: Tensor) -> Tensor:
        if self.known is None:
            return super().forward(x)
        keys = [hashlib.sha256(row).digest() for row in x.cpu().numpy()]
        places = {key: i for i, key in enumerate(keys) if key not in self.known}
        if places:
            new = super().forward(x[list(places.values())]).cpu().numpy()
            self.known.update(zip(places, new, strict=True))
        return torch.from_numpy(np.stack([self.known[key] for key in keys])).to(x.device)


class RobustRecipe(Recipe):
    """Augmentation, mixup, label smoothing, and averaged weights.

    Adam with decoupled weight decay (Loshchilov and Hutter 2019) under a one-cycle learning
    rate (Smith and Topin 2018), mixup (Zhang et al. 2018), label smoothing (Szegedy et al. 2016),
    the variations of `genrekit.training.augment` for log-mel features, and outlier exposure
    (Hendrycks, Mazeika and Dietterich 2019).

    Parameters
    ----------
    network : nn.Module
    x : Rows, the training rows
    y : Tensor, int64, shape (n,), their labels
    learning_rate : float, the highest of the cycle
    adjacent : two ndarrays, int64, shape (n,), as `adjacent_rows` returns them
    log_mel : bool, whether coefficients are mel bands in dB
    outliers : Tensor, shape (m, frames, coefficients), rows that are not music; m may be 0
    genres : int
    steps : int, of the whole run
    """

    WEIGHT_DECAY: Final = 0.05
    WARM_UP: Final = 0.15
    SMOOTHING: Final = 0.1
    MIXUP: Final = 0.2
    AVERAGED_STEPS: Final = 500
    OUTLIER_SHARE: Final = 1 / 16

    def __init__(
        self,
        network: nn.Module,
        x: Rows,
        y: Tensor,
        learning_rate: float,
        *,
        adjacent: tuple[NDArray[np.int64], NDArray[np.int64]],
        log_mel: bool,
        outliers: Tensor,
        genres: int,
        steps: int,
    ) -> None:
        self._network = network
        self.judge = copy.deepcopy(network)
        self._x, self._y = x, one_hot(y, genres).float()
        self._before, self._after = map(torch.from_numpy, adjacent)
        self._log_mel = log_mel
        self._outliers = outliers
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": weights}]
        groups.append({"params": others, "weight_decay": 0.0})
        self._optimizer = torch.optim.AdamW(
            groups, learning_rate, weight_decay=self.WEIGHT_DECAY, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, learning_rate, total_steps=steps, pct_start=self.WARM_UP
        )
        self._parts = {
            "judge": self.judge,
            "network": network,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
        }

    def step(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, target = self._with_outliers(*self._mixed(self._varied(rows), self._y[rows]))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=_has_bfloat16(x.device)):
            logits = self._network(mask(x)).float()
        loss = cross_entropy(logits, target)
        self._descend(loss)
        self._schedule.step()
        self._average(self._schedule.last_epoch)  # PyTorch's word for the steps taken
        return loss.detach(), logits.detach(), target.argmax(dim=1)

    def _varied(self, rows: Tensor) -> Tensor:
        x, own = self._x, self._x[rows]
        frames, device = own.shape[1], own.device
        before, after = self._before[rows], self._after[rows]
        # At the ends of a track, the segment is mirrored.
        first = torch.where((before == rows)[:, None, None].to(device), own.flip(1), x[before])
        last = torch.where((after == rows)[:, None, None].to(device), own.flip(1), x[after])
        surroundings = torch.cat([first, own, last], dim=1)
        if self._log_mel:
            return add_noise(equalise(shift(surroundings, frames)))
        start = int(torch.randint(frames // 2, frames + frames // 2 + 1, ()))
        return surroundings[:, start : start + frames]

    def _mixed(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        concentration = torch.full((len(x),), self.MIXUP)
        share = torch.distributions.Beta(concentration, concentration).sample()
        share = torch.maximum(share, 1 - share).to(x.device)
        other = torch.randperm(len(x))
        mixed = x.lerp(x[other], (1 - share)[:, None, None])
        target = target.lerp(target[other], (1 - share)[:, None])
        return mixed, target.lerp(torch.full_like(target, 1 / target.shape[1]), self.SMOOTHING)

    def _with_outliers(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        count = round(len(x) * self.OUTLIER_SHARE) if len(self._outliers) else 0
        if count:
            replaced = torch.randperm(len(x))[:count]
            chosen = self._outliers[torch.randint(len(self._outliers), (count,))]
            x[replaced] = add_noise(equalise(chosen)) if self._log_mel else chosen
            target[replaced] = 1 / target.shape[1]
        return x, target

    @torch.no_grad()
    def _average(self, steps: int) -> None:
        """Move `judge` towards the weights: at first the average of the last tenth of the steps."""
        share = max(1 / self.AVERAGED_STEPS, 10 / (10 + steps))
        new_weights = self._network.state_dict()
        for name, kept in self.judge.state_dict().items():
            new = new_weights[name]
            if kept.is_floating_point():
                kept.lerp_(new, share)
            else:
                kept.copy_(new)


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether the device computes bfloat16 natively, so faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
