"""The head of `everyday`: eleven genres and "no music" from tags and embeddings.

Logistic regression on the means of songs. Where a label is loose, several genres are accepted, and
the loss is minus the logarithm of their summed probability. What the head makes of the changes that
sound suffers on its way is penalised, which needs no labels. As the inputs are affine functions of
the embedding, the head becomes a single linear layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genrekit.model.metrics import softmax
from models.pretraining.songs import GENRES, Floats, Inputs, Songs

__all__ = [
    "Head",
    "HeadParams",
    "Material",
    "fit",
    "heads_without_folds",
    "held_out",
    "judged",
    "right_answers",
    "temperature_of",
]

ITERATIONS: Final = 300
TEMPERATURES: Final = np.geomspace(0.25, 4, 97)


@dataclass(frozen=True)
class HeadParams:
    """The recipe of the head.

    Attributes
    ----------
    shrinkage : float, weight of the squared weights
    residual : float, unit of the residual: the larger, the more its weights cost
    steadiness : float, weight of the squared changes of the logits when the sound gets worse
    songs, outside : float
        Weights of songs heard by the student and of music from outside, relative to songs of which
        only the tags are stored.
    no_music : float, weight of the sounds that are no music, relative to all songs
    """

    shrinkage: float = 0.01
    residual: float = 1.0
    steadiness: float = 0.15
    songs: float = 0.5
    outside: float = 1.0
    no_music: float = 0.5


@dataclass(frozen=True, eq=False)
class Material:
    """What a head is trained on: songs of GTZAN, songs from outside, no music, worsened music."""

    known: Songs
    outside: Songs
    no_music: Songs
    moves: Floats


@dataclass(frozen=True, eq=False)
class Head:
    """``inputs @ weights + bias`` are logits, shape (n, genres + 1)."""

    weights: Floats
    bias: Floats

    def logits(self, inputs: Floats) -> Floats:
        """Return the logits of segments or songs."""
        return inputs @ self.weights + self.bias

    def folded(self, inputs: Inputs) -> nn.Linear:
        """Return the layer that takes embeddings."""
        layer = nn.Linear(*np.shape(inputs.matrix @ self.weights))
        weight, bias = inputs.matrix @ self.weights, self.logits(inputs.offset)
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(weight.T)).float()
        layer.bias.data = torch.from_numpy(bias).float()
        return layer


def fit(material: Material, params: HeadParams, tags: int, without: str | None = None) -> Head:
    """Fit a head to all songs but those of one fold; the first `tags` inputs are tags."""
    known, outside = (
        songs.of(songs.folds != without) for songs in (material.known, material.outside)
    )
    nothing = material.no_music
    weights = np.r_[known.balanced, params.outside * outside.balanced]
    no_music = np.full(len(nothing), params.no_music * weights.sum() / len(nothing))
    everything = known + outside + nothing
    inputs, weights = everything.means, np.r_[weights, no_music]
    centre, scale = np.zeros(inputs.shape[1]), np.full(inputs.shape[1], params.residual)
    centre[:tags] = inputs[:, :tags].mean(axis=0)
    scale[:tags] = inputs[:, :tags].std(axis=0) + 1e-3
    moves = material.moves / scale
    head = _regression(
        (inputs - centre) / scale,
        everything.accepted,
        weights / weights.sum(),
        moves.T @ moves / len(moves),
        params,
    )
    weights = head.weights / scale[:, np.newaxis]
    return Head(weights, head.bias - centre @ weights)


def _regression(
    inputs: Floats,
    accepted: NDArray[np.bool_],
    weights: Floats,
    moves: Floats,
    params: HeadParams,
) -> Head:
    """Minimise the loss; `moves` are mean products of the inputs' changes, (inputs, inputs)."""
    x, w, covariance = (torch.from_numpy(array) for array in (inputs, weights, moves))
    barred = torch.where(torch.from_numpy(accepted), 0.0, -torch.inf).double()
    matrix = torch.zeros(x.shape[1], barred.shape[1], dtype=torch.double, requires_grad=True)
    bias = torch.zeros(barred.shape[1], dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [matrix, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        log_probabilities = torch.log_softmax(x @ matrix + bias, dim=1)
        value = -(w * torch.logsumexp(log_probabilities + barred, dim=1)).sum()
        value = value + params.shrinkage * matrix.square().sum() / 2
        value = value + params.steadiness * (matrix * (covariance @ matrix)).sum() / 2
        value.backward()
        return value

    optimiser.step(loss)
    return Head(matrix.detach().numpy(), bias.detach().numpy())


def heads_without_folds(
    material: Material, songs: Songs, params: HeadParams, tags: int
) -> dict[str, Head]:
    """Return for each fold of some songs the head that is fitted without that fold."""
    folds = np.unique(songs.folds[songs.folds != ""]).tolist()
    return {fold: fit(material, params, tags, fold) for fold in folds}


def held_out(songs: Songs, heads: Mapping[str, Head]) -> tuple[Songs, Floats]:
    """Return the songs that are in a fold, and their mean logits by the head without that fold."""
    songs = songs.of(songs.folds != "")
    pairs = zip(songs.folds.tolist(), songs.means, strict=True)
    return songs, np.stack([heads[fold].logits(inputs) for fold, inputs in pairs])


def judged(logits: Floats, temperature: float) -> Floats:
    """Return the genres' probabilities of songs, (songs, genres), from their mean logits.

    They are the geometric means of the segments' probabilities, normalised.
    """
    return softmax(logits, temperature)[:, : len(GENRES)]


def right_answers(probabilities: Floats, songs: Songs) -> NDArray[np.int64]:
    """Return for each song the accepted genre that is likeliest: a verdict for it is right."""
    accepted = songs.accepted[:, : len(GENRES)]
    return np.where(accepted, probabilities, -1).argmax(axis=1)


def temperature_of(*groups: tuple[Songs, Floats]) -> float:
    """Return the temperature that makes the accepted genres of songs likeliest.

    Each group is songs with their logits from `held_out`; all groups count alike.
    """

    def loss(temperature: float) -> float:
        total = 0.0
        for songs, logits in groups:
            accepted = songs.accepted[:, : len(GENRES)]
            likelihood = (judged(logits, temperature) * accepted).sum(axis=1)
            total -= float(np.log(np.maximum(likelihood, 1e-12)).mean())
        return total

    return float(min(TEMPERATURES, key=loss))
