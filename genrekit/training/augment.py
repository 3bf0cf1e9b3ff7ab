"""Augmentation of log-mel segments, as uploads vary.

Each function takes and returns a batch of shape (n, frames, bands), float32, in dB, in PyTorch,
whose global random state it uses. It varies where a segment begins, its tempo and pitch, the
equalisation, the bandwidth of the recording, and the noise; not the level, which networks ignore.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

__all__ = ["KEPT_BAND", "add_noise", "equalise", "mask", "shift"]

# The part of the mel axis, from 0 to 1, that is never filtered out.
KEPT_BAND: Final = (0.14, 0.47)

_TEMPO: Final = 0.13  # of the logarithm: factors of 0.88 to 1.14
_BANDS_MOVED: Final = 2.5  # mel bands up or down: above 1 kHz about a semitone
_EQUALISER_DB: Final = 3.0  # standard deviation at each of its points
_EQUALISER_POINTS: Final = 6
_SLOPE_DB: Final = 3.0  # per band outside the bandwidth
_DB_TO_NEPER: Final = 0.2302585  # of power


def shift(x: Tensor, frames: int) -> Tensor:
    """Cut `frames` frames around the middle, shifted in time, tempo and pitch.

    `x` has shape (n, surroundings, bands): the segments with what surrounds them.
    """
    n, surroundings, bands = x.shape
    tempo = torch.exp(_uniform(n, _TEMPO)) * frames / surroundings
    room = (1 - tempo).clamp(min=0).minimum(torch.tensor(frames / surroundings))
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = torch.exp(_uniform(n, 0.02))
    theta[:, 0, 2] = _uniform(n, 2 * _BANDS_MOVED / bands)
    theta[:, 1, 1] = tempo
    theta[:, 1, 2] = _uniform(n, 1.0) * room
    grid = affine_grid(theta, [n, 1, frames, bands], align_corners=False).to(x.device)
    return grid_sample(x[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def equalise(x: Tensor) -> Tensor:
    """Apply a random equaliser; one in four loses its treble, one in six its bass."""
    n, _, bands = x.shape
    points = _EQUALISER_DB * torch.randn(n, 1, _EQUALISER_POINTS)
    curve = interpolate(points, size=bands, mode="linear", align_corners=True)[:, 0]
    band = torch.arange(bands)
    treble = torch.where(
        torch.rand(n, 1) < 0.25,
        bands * (KEPT_BAND[1] + (1 - KEPT_BAND[1]) * torch.rand(n, 1)),
        bands,
    )
    bass = torch.where(torch.rand(n, 1) < 0.16, bands * KEPT_BAND[0] * torch.rand(n, 1), 0)
    curve -= _SLOPE_DB * ((band - treble).clamp(min=0) + (bass - band).clamp(min=0))
    return x + curve[:, None].to(x.device)


def add_noise(x: Tensor) -> Tensor:
    """Add noise 30 to 75 dB below the peak to three of ten; floor all at 80 dB below it."""
    n, _, bands = x.shape
    top = x.amax(dim=(1, 2), keepdim=True)
    level = torch.where(torch.rand(n, 1) < 0.3, -30 - 45 * torch.rand(n, 1), -100)
    colour = -30 * torch.rand(n, 1) * torch.linspace(0, 1, bands)
    floor = top + (level + colour)[:, None].to(x.device)
    mixed = torch.logaddexp(x * _DB_TO_NEPER, floor * _DB_TO_NEPER) / _DB_TO_NEPER
    return torch.maximum(mixed, mixed.amax(dim=(1, 2), keepdim=True) - 80)


def mask(x: Tensor) -> Tensor:
    """Replace two stripes of bands and two of frames by the mean (Park et al. 2019)."""
    mean = x.mean(dim=(1, 2), keepdim=True)
    for dim, widest in ((2, 0.125), (1, 0.15)):
        size = x.shape[dim]
        index = torch.arange(size, device=x.device)
        for _ in range(2):
            first = size * torch.rand(len(x), 1, device=x.device)
            last = first + widest * size * torch.rand(len(x), 1, device=x.device)
            stripe = (index >= first) & (index < last)
            x = torch.where(stripe[:, None, :] if dim == 2 else stripe[:, :, None], mean, x)
    return x


def _uniform(n: int, reach: float) -> Tensor:
    """Return n numbers from -reach to reach."""
    return reach * (2 * torch.rand(n) - 1)
