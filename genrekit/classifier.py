"""The networks that tell genres apart, in PyTorch.

A network maps features of shape (n, frames, coefficients), float32, already normalised, to
logits of shape (n, genres). `NETWORKS` names them; a new one is added there and nowhere else.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import torch
from torch import nn

from genrekit.errors import SettingsError

__all__ = ["NETWORKS", "CourseMLP", "build_network", "count_parameters"]


class CourseMLP(nn.Sequential):
    """The course's network: the flattened segment through 512, 256 and 64 ReLU neurons.

    1,014,218 parameters for segments of 130 frames of 13 coefficients and ten genres.

    Parameters
    ----------
    shape : (frames, coefficients)
    genres : int, >= 2
    """

    def __init__(self, shape: tuple[int, int], genres: int) -> None:
        sizes = (shape[0] * shape[1], 512, 256, 64)
        layers: list[nn.Module] = [nn.Flatten()]
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], genres))


NETWORKS: Final[dict[str, Callable[[tuple[int, int], int], nn.Module]]] = {"mlp": CourseMLP}


def build_network(
    name: str, shape: tuple[int, int], genres: int, seed: int | None = None
) -> nn.Module:
    """A network with fresh weights.

    Parameters
    ----------
    name : a key of `NETWORKS`
    shape : (frames, coefficients) of a segment
    genres : int
    seed : int or None
        Decides the weights, whatever else in the program draws random numbers; None where
        the weights are about to be replaced.

    Raises
    ------
    SettingsError
        There is no such network.
    """
    if name not in NETWORKS:
        raise SettingsError(f'Unknown network "{name}": use one of {", ".join(NETWORKS)}.')
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return NETWORKS[name](shape, genres)


def count_parameters(network: nn.Module) -> int:
    """Numbers that training adjusts."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
