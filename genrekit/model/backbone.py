"""The network of `everyday`: a backbone that knows tags of music, and a head that knows genres.

The backbone is that of musicnn (Pons and Serra, "musicnn: Pre-trained convolutional neural networks
for music audio tagging", 2019, https://arxiv.org/abs/1909.06654), written anew in PyTorch. Filters
that span many bands respond to timbre, filters that span many frames to rhythm; each is followed
by its maximum over the bands, so that a shift in pitch changes little. Three convolutions over
time and two dense layers turn that into tags.

Of the 561 filters of the published front end, 498 never fire. The ones that do are kept, which
changes no answer.

In shapes, `n` is segments, `t` frames and `b` mel bands.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from genrekit.errors import SettingsError
from genrekit.features.presets import PRESETS
from genrekit.model.tags import TAGS

__all__ = ["EVERYDAY_PARAMS", "OTHER_FEATURES", "Backbone", "Everyday", "Widths"]

EVERYDAY_PARAMS: Final = PRESETS["everyday"]
OTHER_FEATURES: Final = (
    "The everyday network needs features of its own: prepare the dataset with --preset everyday, "
    "or choose Everyday where features are set."
)

_EMBEDDING: Final = 200
_CHANNELS: Final = 64
_EPSILON: Final = 1e-3
_TIMBRE_BANDS: Final = (38, 67)
_RHYTHM_FRAMES: Final = (128, 64, 32)
# The mean mel power that segments are brought to: between the medians of two collections.
_LEVEL: Final = 0.4
_FAINTEST: Final = 1e-7
_SEGMENTS_AT_ONCE: Final = 8
_COMPRESSION: Final = 1e4


class Widths(NamedTuple):
    """The number of filters of the front end: of 38 and 67 bands; of 128, 64 and 32 frames."""

    timbre: Sequence[int] = (22, 14)
    rhythm: Sequence[int] = (3, 7, 17)

    @property
    def total(self) -> int:
        """The number of all filters."""
        return sum(self.timbre) + sum(self.rhythm)


class Backbone(nn.Module):
    """Log-mel spectra of segments in dB, (n, t, b), to embeddings, (n, 200).

    `tags` maps embeddings to the log-odds of `TAGS`, (n, 50). The level does not matter: it is set
    for each segment.
    """

    def __init__(self, widths: Widths | None = None) -> None:
        super().__init__()
        widths = widths or Widths()
        self.norm = nn.BatchNorm1d(1, _EPSILON)
        timbre = (_Timbre(n, b) for n, b in zip(widths.timbre, _TIMBRE_BANDS, strict=True))
        rhythm = (_Rhythm(n, t) for n, t in zip(widths.rhythm, _RHYTHM_FRAMES, strict=True))
        self.front = nn.ModuleList((*timbre, *rhythm))
        self.time = nn.ModuleList(_Time(n) for n in (widths.total, _CHANNELS, _CHANNELS))
        pooled = 2 * (widths.total + 3 * _CHANNELS)
        self.pooled_norm = nn.BatchNorm1d(pooled, _EPSILON)
        self.dense = nn.Linear(pooled, _EMBEDDING)
        self.dense_norm = nn.BatchNorm1d(_EMBEDDING, _EPSILON)
        self.tags = nn.Linear(_EMBEDDING, len(TAGS))

    def forward(self, x: Tensor) -> Tensor:
        # The filters of many bands take 2 MB a segment: a few at once stay in the cache.
        return torch.cat([self._embed(part) for part in torch.split(x, _SEGMENTS_AT_ONCE)])

    def _embed(self, x: Tensor) -> Tensor:
        x = _compressed(x)
        x = self.norm(x.flatten(1)[:, None]).view(x.shape).transpose(1, 2)
        fired = torch.cat([part(x) for part in self.front], dim=1)
        first = self.time[0](fired)
        second = self.time[1](first) + first
        third = self.time[2](second) + second
        channels = torch.cat([fired, first, second, third], dim=1)
        # The published order: the maximum and the mean of each channel side by side.
        pooled = torch.stack([channels.amax(dim=2), channels.mean(dim=2)], dim=2).flatten(1)
        embedding: Tensor = self.dense_norm(self.dense(self.pooled_norm(pooled)).relu())
        return embedding


class Everyday(nn.Module):
    """The backbone, and a linear head that maps its embeddings to logits, (n, genres + 1).

    The last logit is that of "no music".

    Raises
    ------
    SettingsError
        The segments are not of `EVERYDAY_PARAMS`.
    """

    def __init__(self, shape: tuple[int, int], genres: int) -> None:
        super().__init__()
        if shape != EVERYDAY_PARAMS.shape:
            raise SettingsError(OTHER_FEATURES)
        self.backbone = Backbone()
        self.head = nn.Linear(_EMBEDDING, genres + 1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(x))
        return logits


class _Timbre(nn.Module):
    """Filters of 7 frames by `bands`, each at its loudest pitch: (n, b, t) to (n, filters, t)."""

    def __init__(self, filters: int, bands: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(bands, filters, 7)
        self.norm = nn.BatchNorm1d(filters, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        n, _, t = x.shape
        # To a convolution over time, each range of bands is an example: (n * pitches, bands, t).
        ranges = pad(x, (3, 3)).unfold(1, self.filter.in_channels, 1).transpose(2, 3)
        y = self.filter(ranges.flatten(0, 1)).relu_().view(n, ranges.shape[1], -1, t)
        result: Tensor = self.norm(_highest(y, self.norm))
        return result


class _Rhythm(nn.Module):
    """Filters of `frames` in one band, each in its loudest band: (n, b, t) to (n, filters, t)."""

    def __init__(self, filters: int, frames: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(1, filters, frames)
        self.norm = nn.BatchNorm1d(filters, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        n, b, t = x.shape
        (frames,) = self.filter.kernel_size
        bands = pad(x, ((frames - 1) // 2, frames // 2)).reshape(n * b, 1, -1)
        y = self.filter(bands).relu_().view(n, b, -1, t)
        result: Tensor = self.norm(_highest(y, self.norm))
        return result


class _Time(nn.Sequential):
    """Filters of 7 frames over all channels: (n, channels, t) to (n, 64, t)."""

    def __init__(self, channels: int) -> None:
        convolution = nn.Conv1d(channels, _CHANNELS, 7, padding=3)
        super().__init__(convolution, nn.ReLU(), nn.BatchNorm1d(_CHANNELS, _EPSILON))


def _compressed(decibels: Tensor) -> Tensor:
    """Return log10(1 + 10000 p) of mel powers in dB, with each segment's mean power at 0.4."""
    power = (decibels * (torch.log(torch.tensor(10.0)) / 10)).exp_()
    mean = power.mean(dim=(1, 2), keepdim=True).clamp_min_(_FAINTEST)
    return power.mul_(_COMPRESSION * _LEVEL / mean).add_(1).log10_()


def _highest(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Of (n, pitches, filters, t), return the pitch at which each filter's norm is highest.

    The published network normalises before it takes the maximum, which costs more. Where a norm
    has a negative gain, its highest output is that of the lowest input.
    """
    if bool((norm.weight >= 0).all()):
        return x.max(dim=1).values  # whose gradient is cheaper than that of amax
    return torch.where(norm.weight[:, None] >= 0, x.amax(dim=1), x.amin(dim=1))
