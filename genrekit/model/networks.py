"""The networks that classify genres, in PyTorch, and two classifiers that are no networks.

A network maps features of shape (n, frames, coefficients), float32, already normalised, to
logits of shape (n, genres), or (n, genres + 1) where the last is "no music". docs/extend.md shows
how to add one.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from genrekit.errors import SettingsError
from genrekit.model.backbone import Everyday
from genrekit.model.classical import Classical, NearestNeighbours, SupportVectors

__all__ = ["NETWORKS", "CourseMLP", "GenreCNN", "build_network", "count_parameters"]


class CourseMLP(nn.Sequential):
    """The course's network: the flattened segment through 512, 256 and 64 ReLU neurons.

    1,014,218 parameters for segments of 130 frames of 13 coefficients and ten genres.
    """

    def __init__(self, shape: tuple[int, int], genres: int) -> None:
        sizes = (shape[0] * shape[1], 512, 256, 64)
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], genres))


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016), `stride` = (bands, frames)."""

    def __init__(self, n_in: int, n_out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = _convolution(n_in, n_out, 3, stride)
        self.second = _convolution(n_out, n_out, 3)
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False),
            _convolution(n_in, n_out, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.first(x).relu_())
        result: Tensor = (y + self.shortcut(x)).relu_()
        return result


class _Member(nn.Module):
    """One convolutional network of the ensemble: (n, 1, bands, frames) to (n, genres)."""

    WIDTHS: Final = (32, 64, 96, 96)
    STRIDES: Final = ((2, 1), (2, 2), (2, 2), (2, 1))

    def __init__(self, genres: int, dropout: float) -> None:
        super().__init__()
        widths = self.WIDTHS
        self.stem = _convolution(1, widths[0], 5, (2, 2))
        self.blocks = nn.Sequential(
            *map(_Residual, (widths[0], *widths[:-1]), widths, self.STRIDES),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * widths[-1], genres)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(self.stem(x).relu_()).mean(dim=2)
        result: Tensor = self.head(self.dropout(torch.cat([y.mean(dim=-1), y.amax(dim=-1)], 1)))
        return result


class GenreCNN(nn.Module):
    """A small ensemble of residual convolutional networks on log-mel spectra.

    Their input is a segment's spectrum less its mean, so that the level does not matter. Members
    start from different weights and are trained on different rows of the batch; the output is the
    mean of their log-probabilities.

    Segments may have any shape. `dropout`, 0 to 1, comes before the last layer of each member.
    """

    UNIT_DB: Final = 20.0

    def __init__(
        self, shape: tuple[int, int], genres: int, members: int = 2, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Member(genres, dropout) for _ in range(members))

    def forward(self, x: Tensor) -> Tensor:
        spectra = self._centred(x)
        if self.training:
            parts = spectra.chunk(len(self.members))
            return torch.cat([m(part) for m, part in zip(self.members, parts, strict=False)])
        outputs = [log_softmax(member(spectra).float(), dim=1) for member in self.members]
        return torch.stack(outputs).mean(dim=0)

    def _centred(self, x: Tensor) -> Tensor:
        """Return the centred spectra, shape (n, 1, bands, frames)."""
        x = (x - x.mean(dim=(1, 2), keepdim=True)) / self.UNIT_DB
        return x.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)


def _convolution(n_in: int, n_out: int, size: int, stride: tuple[int, int] = (1, 1)) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(n_out)
    )


NETWORKS: Final[dict[str, Callable[[tuple[int, int], int], nn.Module]]] = {
    "mlp": CourseMLP,
    "cnn": GenreCNN,
    "everyday": Everyday,
    "svm": partial(Classical, SupportVectors),
    "knn": partial(Classical, NearestNeighbours),
}


def build_network(
    name: str, shape: tuple[int, int], genres: int, seed: int | None = None
) -> nn.Module:
    """Return a network with fresh weights, by its key in `NETWORKS`.

    `shape` is (frames, coefficients) of a segment. `seed` determines the weights; it is None where
    they are about to be replaced. Raise SettingsError if there is no such network.
    """
    if name not in NETWORKS:
        raise SettingsError(f'Unknown network "{name}": use one of {", ".join(NETWORKS)}.')
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return NETWORKS[name](shape, genres)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
