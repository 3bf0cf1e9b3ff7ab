"""Classifiers that are no neural networks: a support vector machine, and nearest neighbours.

Both describe a segment by means and standard deviations of its MFCCs, as genres were told apart
before networks learned to (Tzanetakis and Cook 2002). scikit-learn fits them; what it has fitted is
kept as arrays and evaluated here, so that their bundles are read like any other.

In shapes, `n` is segments, `d` the numbers that describe one, and `v` the segments kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from genrekit.features.extraction import FeatureParams, dct_matrix

__all__ = ["Classical", "Head", "MfccStatistics", "NearestNeighbours", "SupportVectors"]

_CEPSTRA: Final = 20  # of log-mel spectra
_CONSTANT: Final = 1e-6
_DISTANCES_AT_ONCE: Final = 1 << 22


class MfccStatistics(nn.Module):
    """Features of segments to the means and standard deviations of their MFCCs, (n, d)."""

    cepstra: Tensor  # (coefficients, d / 2), from a frame to its MFCCs
    mean: Tensor
    std: Tensor

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.register_buffer("cepstra", torch.empty(coefficients, 0))
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("std", torch.empty(0))

    def resize(self, cepstra: int) -> None:
        """Make room for this many MFCCs; the statistics are not standardised yet."""
        self.cepstra = self.cepstra.new_zeros(len(self.cepstra), cepstra)
        self.mean = self.mean.new_zeros(2 * cepstra)
        self.std = self.std.new_ones(2 * cepstra)

    def standardise(self, statistics: Tensor) -> Tensor:
        """Return statistics with mean 0 and spread 1, and bring all others to the same scale."""
        std, self.mean = torch.std_mean(statistics, dim=0, correction=0)
        self.std = torch.where(std > _CONSTANT, std, 1)
        return (statistics - self.mean) / self.std

    def forward(self, x: Tensor) -> Tensor:
        std, mean = torch.std_mean(x @ self.cepstra, dim=1, correction=0)
        return (torch.cat([mean, std], dim=1) - self.mean) / self.std


class Head(nn.Module, ABC):
    """Statistics of segments, (n, d), to logits, (n, genres), by their distances from known ones.

    Before `fit`, none are known.
    """

    vectors: Tensor  # (v, d)
    weights: Tensor  # (v, genres)

    def __init__(self, genres: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.empty(0, 0))
        self.register_buffer("weights", torch.empty(0, genres))

    @property
    def in_features(self) -> int:
        """The numbers that describe a segment, by the name that linear layers have for it."""
        return self.vectors.shape[1]

    def resize(self, rows: int, width: int) -> None:
        """Make room for this many known segments."""
        self.vectors = self.vectors.new_zeros(rows, width)
        self.weights = self.weights.new_zeros(rows, self.weights.shape[1])

    @abstractmethod
    def fit(self, x: Tensor, y: Tensor) -> None:
        """Learn from statistics, shape (n, d), and their genres, int64, shape (n,)."""

    def forward(self, x: Tensor) -> Tensor:
        at_once = max(1, _DISTANCES_AT_ONCE // max(1, len(self.vectors)))
        parts = torch.split(x, at_once)
        return torch.cat([self._judge(torch.cdist(part, self.vectors)) for part in parts])

    @abstractmethod
    def _judge(self, distances: Tensor) -> Tensor:
        """Return logits from Euclidean distances, shape (n, v)."""

    def _keep(self, vectors: Tensor, weights: Tensor) -> None:
        self.vectors, self.weights = vectors, weights.to(vectors)


class SupportVectors(Head):
    """A support vector machine for each genre against all others (Cortes and Vapnik 1995).

    The kernel is Gaussian. A logit is four times the signed distance from the genre's border, in
    margins: the distances alone would need lower temperatures than calibration tries. One machine
    for each pair of genres, scikit-learn's usual way, was right less often.
    """

    PENALTY: Final = 3.0
    SCALE: Final = 4.0

    bias: Tensor  # (genres,)

    def __init__(self, genres: int) -> None:
        super().__init__(genres)
        self.register_buffer("bias", torch.zeros(genres))

    def fit(self, x: Tensor, y: Tensor) -> None:
        from sklearn.svm import SVC

        rows, labels, genres = x.cpu().numpy(), y.cpu().numpy(), len(self.bias)
        weights, bias = np.zeros((len(rows), genres)), np.zeros(genres)
        for genre in range(genres):
            own = labels == genre
            if own.any() and not own.all():
                machine = SVC(C=self.PENALTY, gamma="auto").fit(rows, own)
                weights[machine.support_, genre] = machine.dual_coef_[0]
                bias[genre] = machine.intercept_[0]
            else:  # nothing to tell it from
                bias[genre] = 1 if own.any() else -1
        kept = torch.from_numpy(weights.any(axis=1)).to(x.device)
        self._keep(x[kept], torch.from_numpy(weights).to(x.device)[kept])
        self.bias = torch.from_numpy(bias).to(x)

    def _judge(self, distances: Tensor) -> Tensor:
        gamma = 1 / self.in_features  # scikit-learn's "auto"
        margins = (-gamma * distances.square()).exp() @ self.weights + self.bias
        return self.SCALE * margins


class NearestNeighbours(Head):
    """The genres of the 10 nearest segments, each with one vote (Fix and Hodges 1951).

    A logit is the logarithm of a genre's share of the votes, when all genres share one vote more.
    """

    COUNT: Final = 10

    def fit(self, x: Tensor, y: Tensor) -> None:
        self._keep(x, nn.functional.one_hot(y, self.weights.shape[1]))

    def _judge(self, distances: Tensor) -> Tensor:
        count = min(self.COUNT, len(self.vectors))
        nearest = distances.topk(count, largest=False).indices
        votes = self.weights[nearest].sum(dim=1) + 1 / self.weights.shape[1]
        return (votes / (count + 1)).log()


class Classical(nn.Module):
    """Statistics of a segment's MFCCs, and a head that was fitted to those of other segments.

    The sizes of its arrays depend on what it was fitted to, and come with them when it is loaded.
    """

    def __init__(self, head: type[Head], shape: tuple[int, int], genres: int) -> None:
        super().__init__()
        self.backbone = MfccStatistics(shape[1])
        self.head = head(genres)
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def resize(self, cepstra: int, rows: int) -> None:
        """Make room for this many MFCCs and known segments."""
        self.backbone.resize(cepstra)
        self.head.resize(rows, 2 * cepstra)

    def adapt(self, params: FeatureParams) -> None:
        """Take the MFCCs of such features: as they are, or the first 20 of log-mel spectra."""
        matrix = np.eye(params.coefficients, dtype=np.float32)
        if params.kind == "log_mel":
            matrix = dct_matrix(min(_CEPSTRA, params.n_mels), params.n_mels)
        self.resize(matrix.shape[1], 0)
        self.backbone.cepstra.copy_(torch.from_numpy(matrix))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(x))
        return logits


def _make_room(network: Classical, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Bring arrays to the sizes that are about to be loaded; PyTorch then refuses other shapes."""
    coefficients, cepstra = state[prefix + "backbone.cepstra"].shape
    rows, _width = state[prefix + "head.vectors"].shape
    if cepstra > coefficients or not (state[prefix + "backbone.std"] > 0).all():
        raise ValueError("more MFCCs than bands, or a spread that is none")
    network.resize(cepstra, rows)
