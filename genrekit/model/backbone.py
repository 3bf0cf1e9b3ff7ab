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

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from genrekit.errors import SettingsError
from genrekit.features.presets import PRESETS
from genrekit.model.tags import TAGS

__all__ = [
    *("COMPRESSION", "EVERYDAY_PARAMS", "FAINTEST", "LEVEL", "OTHER_FEATURES"),
    *("Backbone", "Everyday", "Widths", "compressed"),
]

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
LEVEL: Final = 0.4
FAINTEST: Final = 1e-7
_SEGMENTS_AT_ONCE: Final = 8
COMPRESSION: Final = 1e4
# Neighbouring pitches or moments at which a filter is computed in one product.
_PLACES: Final = 8


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
        # What the filters put out takes 1 MB a segment: a few at once stay in the cache.
        parts = torch.split(x, _SEGMENTS_AT_ONCE)
        return torch.cat([self.embed(compressed(part)) for part in parts])

    def embed(self, spectra: Tensor) -> Tensor:
        """Map `compressed` spectra, (n, t, b), to embeddings, (n, 200), at the level they have."""
        return self.layers(spectra)[-1]

    def layers(self, spectra: Tensor) -> tuple[Tensor, ...]:
        """Return what each layer makes of `compressed` spectra, (n, t, b).

        The front end, (n, filters, t), the three convolutions over time, (n, 64, t) each, and the
        embeddings, (n, 200).
        """
        x = self.norm(spectra.flatten(1)[:, None]).view(spectra.shape).transpose(1, 2)
        fired = torch.cat([part(x) for part in self.front], dim=1)
        first = self.time[0](fired)
        second = self.time[1](first) + first
        third = self.time[2](second) + second
        channels = torch.cat([fired, first, second, third], dim=1)
        # The published order: the maximum and the mean of each channel side by side.
        pooled = torch.stack([channels.amax(dim=2), channels.mean(dim=2)], dim=2).flatten(1)
        embedding = self.dense_norm(self.dense(self.pooled_norm(pooled)).relu())
        return fired, first, second, third, embedding


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


def compressed(decibels: Tensor, mean_power: float | None = LEVEL) -> Tensor:
    """Return log10(1 + 10000 p) of mel powers p given in dB, (n, t, b).

    Each segment's mean power is brought to `mean_power`; None keeps the level of the recording.
    """
    power = (decibels * (math.log(10) / 10)).exp_()
    if mean_power is not None:
        power *= mean_power / power.mean(dim=(1, 2), keepdim=True).clamp_min_(FAINTEST)
    return power.mul_(COMPRESSION).add_(1).log10_()


class _Timbre(nn.Module):
    """Filters of 7 frames by `bands`, each at its loudest pitch: (n, b, t) to (n, filters, t)."""

    def __init__(self, filters: int, bands: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(bands, filters, 7)
        self.norm = nn.BatchNorm1d(filters, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        n, b, t = x.shape
        # To a convolution over time, each range of bands is an example, with several pitches in it.
        # The last range is moved down to end with the bands: what is found twice is found.
        wide = self.filter.in_channels + _PLACES - 1
        starts = [*range(0, b - wide, _PLACES), b - wide]
        x = pad(x, (3, 3))
        ranges = torch.stack([x[:, start : start + wide] for start in starts], dim=1)
        weights = _at_places(self.filter.weight)
        y = conv1d(ranges.flatten(0, 1), weights).view(n, len(starts) * _PLACES, -1, t)
        return _fired(_highest(y, self.norm), self.filter, self.norm)


class _Rhythm(nn.Module):
    """Filters of `frames` in one band, each in its loudest band: (n, b, t) to (n, filters, t)."""

    def __init__(self, filters: int, frames: int) -> None:
        super().__init__()
        self.filter = nn.Conv1d(1, filters, frames)
        self.norm = nn.BatchNorm1d(filters, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        n, b, t = x.shape
        (frames,) = self.filter.kernel_size
        steps = -(-t // _PLACES)
        bands = pad(x, ((frames - 1) // 2, frames // 2 + steps * _PLACES - t)).reshape(n * b, 1, -1)
        weights = _at_places(self.filter.weight.transpose(1, 2)).transpose(1, 2)
        y = conv1d(bands, weights, stride=_PLACES).view(n, b, _PLACES, -1, steps)
        highest = _highest(y, self.norm).permute(0, 2, 3, 1).flatten(2)[:, :, :t]
        return _fired(highest, self.filter, self.norm)


class _Time(nn.Sequential):
    """Filters of 7 frames over all channels: (n, channels, t) to (n, 64, t)."""

    def __init__(self, channels: int) -> None:
        convolution = nn.Conv1d(channels, _CHANNELS, 7, padding=3)
        super().__init__(convolution, nn.ReLU(), nn.BatchNorm1d(_CHANNELS, _EPSILON))


def _at_places(filters: Tensor) -> Tensor:
    """Return filters (f, length, k) at `_PLACES` neighbouring places: (places * f, wider, k).

    Few filters leave much of a processor idle; the zeros between them cost less than that.
    """
    shifts = range(_PLACES)
    return torch.cat([pad(filters, (0, 0, shift, _PLACES - 1 - shift)) for shift in shifts])


def _highest(x: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Of (n, places, ..., filters, t), return the place at which each filter's norm is highest.

    The published network normalises before it takes the maximum, which costs more. Where a norm
    has a negative gain, its highest output is that of the lowest input.
    """
    if bool((norm.weight >= 0).all()):
        return x.max(dim=1).values  # whose gradient is cheaper than that of amax
    return torch.where(norm.weight[:, None] >= 0, x.amax(dim=1), x.amin(dim=1))


def _fired(x: Tensor, layer: nn.Conv1d, norm: nn.BatchNorm1d) -> Tensor:
    """Return what filters (n, filters, t) put out: with their bias, rectified, normalised."""
    assert layer.bias is not None
    result: Tensor = norm((x + layer.bias[:, None]).relu_())
    return result
