"""What the layers of `everyday` put out for a song, as bytes: small enough to draw as it plays."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import ModelError
from genrekit.model.bundle import GenreModel

__all__ = ["MOMENTS", "Activations", "activations_of"]

# Of a segment: with segments of 3 s, a moment lasts 94 ms.
MOMENTS: Final = 32
# Brightest is what one value in a hundred exceeds: the rarest would leave the others dark.
_BRIGHTEST: Final = 0.99
_SEGMENTS_AT_ONCE: Final = 8


@dataclass(frozen=True, eq=False)
class Activations:
    """A song on its way through a network, segment by segment.

    Attributes
    ----------
    seen : ndarray, uint8, shape (segments, bands, MOMENTS)
        The spectra as the first layer receives them, the lowest band first; 0 is nothing.
    layers : tuple of ndarray, uint8, shape (segments, units, MOMENTS)
        The mean output in each moment. 0 is a unit's lowest in this song; 255 is far above that
        for its layer. The last layer has one output for the whole segment, shape (segments,
        units, 1).
    """

    seen: NDArray[np.uint8]
    layers: tuple[NDArray[np.uint8], ...]


def activations_of(model: GenreModel, features: NDArray[np.float32]) -> Activations:
    """Return the activations for features of segments, shape (n, *model.params.shape), n >= 1.

    Raises
    ------
    ModelError
        The network is not `everyday`.
    """
    import torch

    from genrekit.model.backbone import Everyday, compressed

    if not isinstance(model.network, Everyday):
        raise ModelError(f"The network {model.network_name} is not drawn: use everyday.")
    model.network.eval()
    batches: list[list[NDArray[np.float32]]] = []
    with torch.inference_mode():
        normalised = torch.from_numpy((features - model.mean) / model.std)
        for part in torch.split(normalised, _SEGMENTS_AT_ONCE):
            spectra = compressed(part)
            *in_time, embedding = model.network.backbone.layers(spectra)
            values = [spectra.transpose(1, 2), *in_time, embedding[:, :, None]]
            batches.append([_moments(one.numpy()) for one in values])
    seen, *layers = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    above = (layer - layer.min(axis=(0, 2), keepdims=True) for layer in layers)
    return Activations(_as_bytes(seen), tuple(_as_bytes(layer) for layer in above))


def _moments(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the frames of (n, units, frames) to `MOMENTS`; one frame stays one."""
    frames = values.shape[2]
    edges = np.linspace(0, frames, min(MOMENTS, frames) + 1).astype(int)
    means: NDArray[np.float32] = np.add.reduceat(values, edges[:-1], axis=2)
    means /= np.diff(edges)
    return means


def _as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    top = max(float(np.quantile(values, _BRIGHTEST)), 1e-6)
    return np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)
