"""The published network that the student starts from and is taught by: musicnn.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019,
https://arxiv.org/abs/1909.06654. Its weights come with the package `musicnn` 0.1.0 (ISC licence) as
a TensorFlow checkpoint: `pip download --no-deps musicnn==0.1.0`.

Training has switched off most of the 561 filters of its front end: whatever one plays, they never
fire. `without_silent` leaves them out, which changes no answer.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genrekit.errors import ModelError
from genrekit.model.backbone import Backbone, Widths, compressed

__all__ = [
    "PUBLISHED",
    "answers",
    "as_recorded",
    "from_checkpoint",
    "read_published",
    "varying_filters",
    "without_silent",
]

Array = NDArray[np.float32]

PUBLISHED: Final = Widths((204, 204), (51, 51, 51))

_INDEX: Final = (
    "musicnn/MSD_musicnn/.index",
    "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
)
_DATA: Final = (
    "musicnn/MSD_musicnn/.data-00000-of-00001",
    "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
)
# Their names for what a batch norm has, by ours.
_NORM: Final = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_BATCH: Final = 20


def read_published(package: Path) -> tuple[bytes, bytes]:
    """Return the index and the data of the published checkpoint.

    `package` is the wheel of musicnn 0.1.0 or the folder into which it was unpacked. Raise
    ModelError if it is neither.
    """
    contents = []
    for name, sha256 in (_INDEX, _DATA):
        try:
            if package.is_dir():
                content = (package / name).read_bytes()
            else:
                with zipfile.ZipFile(package) as wheel:
                    content = wheel.read(name)
        except (OSError, KeyError, zipfile.BadZipFile):
            content = b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ModelError(
                f"{package} is not musicnn 0.1.0: name the wheel that "
                "`pip download --no-deps musicnn==0.1.0` brings, or its unpacked folder."
            )
        contents.append(content)
    index, data = contents
    return index, data


def from_checkpoint(tensors: Mapping[str, Array]) -> Backbone:
    """Return the published network with its weights.

    `tensors` has the shapes and the names of the checkpoint ("conv2d_3/kernel"), as
    `models.pretraining.checkpoint.read_checkpoint` returns them.
    """
    model = Backbone(PUBLISHED)
    convolutions = [*(part.filter for part in model.front), *(part[0] for part in model.time)]
    norms = [
        *(model.norm, *(part.norm for part in model.front), *(part[2] for part in model.time)),
        *(model.pooled_norm, model.dense_norm),
    ]
    state = {}
    for theirs, layer in _numbered("conv2d", convolutions):
        # (frames, bands, 1, filters) to (filters, bands, frames)
        kernel = tensors[f"{theirs}/kernel"].squeeze(2).transpose(2, 1, 0)
        state[layer] = {"weight": kernel, "bias": tensors[f"{theirs}/bias"]}
    for theirs, layer in _numbered("dense", [model.dense, model.tags]):
        state[layer] = {"weight": tensors[f"{theirs}/kernel"].T, "bias": tensors[f"{theirs}/bias"]}
    for theirs, layer in _numbered("batch_normalization", norms):
        state[layer] = {ours: tensors[f"{theirs}/{name}"] for ours, name in _NORM.items()}
    for layer, values in state.items():
        for name, value in values.items():
            getattr(layer, name).data = torch.from_numpy(np.ascontiguousarray(value))
    return model.eval()


def _numbered(kind: str, layers: Sequence[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """Layers by TensorFlow's names: the first has no number."""
    for number, layer in enumerate(layers):
        yield f"{kind}_{number}" if number else kind, layer


def as_recorded(decibels: Array) -> Tensor:
    """Compress log-mel spectra in dB as the published network takes them, at their own level."""
    return compressed(torch.from_numpy(decibels.astype(np.float32)), None)


@torch.inference_mode()
def answers(model: Backbone, spectra: Tensor) -> tuple[Array, Array]:
    """Return embeddings, (n, 200), and the tags' log-odds, (n, 50), of compressed spectra."""
    embeddings = torch.cat([model.embed(batch) for batch in spectra.split(_BATCH)])
    return embeddings.numpy(), model.tags(embeddings).numpy()


@torch.inference_mode()
def varying_filters(model: Backbone, spectra: Tensor, widths: Widths) -> list[list[int]]:
    """Return for each part of the front end the numbers of the filters that respond most.

    `spectra` are compressed segments of as many kinds of sound as possible, (n, t, b). A filter
    responds as much as its output varies; as many of them are named as `widths` has.
    """
    ranges = []
    for batch in spectra.split(_BATCH):
        x = model.norm(batch.flatten(1)[:, None]).view(batch.shape).transpose(1, 2)
        outputs = [part(x) for part in model.front]
        ranges.append([(y.amin(dim=(0, 2)), y.amax(dim=(0, 2))) for y in outputs])
    varying = []
    for part, count in zip(
        zip(*ranges, strict=True), (*widths.timbre, *widths.rhythm), strict=True
    ):
        low, high = (torch.stack(ends) for ends in zip(*part, strict=True))
        varies = high.amax(dim=0) - low.amin(dim=0)
        varying.append(sorted(varies.topk(count).indices.tolist()))
    return varying


@torch.no_grad()
def without_silent(model: Backbone, kept: Sequence[Sequence[int]]) -> Backbone:
    """Return a network of some of the front end's filters that gives the same answers.

    Parameters
    ----------
    model : Backbone
    kept : for each part of the front end, the numbers of the filters that stay
        The others must be silent. What their norm makes of silence becomes a part of the biases
        that follow; only the three frames at either end, where convolutions meet zeros, come out
        a little different.
    """
    sizes = [len(part) for part in kept]
    small = Backbone(Widths(sizes[:2], sizes[2:]))
    state = model.state_dict()
    *starts, channels = np.cumsum([0, *(part.norm.num_features for part in model.front)]).tolist()
    keep = [start + f for start, part in zip(starts, kept, strict=True) for f in part]
    silent = np.setdiff1d(np.arange(channels), keep)
    silence = torch.cat([_of_silence(part.norm) for part in model.front])[silent]

    for number, part in enumerate(kept):
        for name, value in model.front[number].state_dict().items():
            state[f"front.{number}.{name}"] = value[part] if value.ndim else value
    first = model.time[0][0]
    state["time.0.0.weight"] = first.weight[:, keep]
    state["time.0.0.bias"] = first.bias + first.weight[:, silent].sum(dim=2) @ silence

    norm = model.pooled_norm
    pooled = np.arange(norm.num_features).reshape(-1, 2)  # each channel's maximum and mean
    stay = np.concatenate([pooled[keep], pooled[channels:]]).ravel()
    gone = pooled[silent].ravel()
    for name in ("weight", "bias", "running_mean", "running_var"):
        state[f"pooled_norm.{name}"] = state[f"pooled_norm.{name}"][stay]
    offset = _of_silence(norm)[gone] + _gain(norm)[gone] * silence.repeat_interleave(2)
    state["dense.weight"] = model.dense.weight[:, stay]
    state["dense.bias"] = model.dense.bias + model.dense.weight[:, gone] @ offset
    small.load_state_dict(state)
    return small.eval()


def _gain(norm: nn.BatchNorm1d) -> Tensor:
    return norm.weight * (norm.running_var + norm.eps).rsqrt()


def _of_silence(norm: nn.BatchNorm1d) -> Tensor:
    """A norm's output for zeros."""
    return norm.bias - norm.running_mean * _gain(norm)
