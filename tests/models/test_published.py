"""The published network in PyTorch: its layers' places, and the filters that never fire."""

import zipfile

import numpy as np
import pytest
import torch

from genrekit.errors import ModelError
from genrekit.model.backbone import Backbone, Widths, compressed
from models.pretraining.published import (
    PUBLISHED,
    answers,
    as_recorded,
    from_checkpoint,
    read_published,
    varying_filters,
    without_silent,
)

SHAPES = {
    **{f"conv2d{n}": (7, bands, 1, 204) for n, bands in (("", 38), ("_1", 67))},
    **{f"conv2d_{n}": (frames, 1, 1, 51) for n, frames in ((2, 128), (3, 64), (4, 32))},
    **{f"conv2d_{n}": (7, channels, 1, 64) for n, channels in ((5, 561), (6, 64), (7, 64))},
    "dense": (1506, 200),
    "dense_1": (200, 50),
}
NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)


@pytest.fixture(scope="module")
def tensors():
    rng = np.random.default_rng(0)
    found = {}
    for name, shape in SHAPES.items():
        scale = 1 / np.sqrt(np.prod(shape[:-1]))
        found[f"{name}/kernel"] = rng.normal(0, scale, shape).astype(np.float32)
        found[f"{name}/bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)
    for number, size in enumerate(NORMS):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        for part, (low, high) in {
            "gamma": (0.5, 1.5),
            "beta": (-0.2, 0.2),
            "moving_mean": (-0.2, 0.2),
            "moving_variance": (0.5, 1.5),
        }.items():
            found[f"{name}/{part}"] = rng.uniform(low, high, size).astype(np.float32)
    return found


@pytest.fixture(scope="module")
def spectra():
    return torch.rand(2, 188, 96, generator=torch.Generator().manual_seed(0)) * 3


def convolved(x, kernel, bias):
    """A convolution as TensorFlow defines it, x (time, bands), valid: (time, bands, filters)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2])
    return np.einsum("tbij,ijf->tbf", windows, kernel[:, :, 0]) + bias


def normed(x, tensors, name):
    mean, variance, gamma, beta = (
        tensors[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def test_the_first_filters_of_the_port_by_numpy(tensors, spectra):
    """TensorFlow's order: convolution, ReLU, batch norm, and the maximum over the bands last."""
    model = from_checkpoint(tensors)
    x = normed(spectra[0].numpy(), tensors, "batch_normalization")
    heard = model.norm(spectra.flatten(1)[:, None]).view(spectra.shape).transpose(1, 2)
    with torch.inference_mode():
        timbre, rhythm = model.front[0](heard)[0].T, model.front[3](heard)[0].T
    padded = np.pad(x, ((3, 3), (0, 0)))
    y = convolved(padded, tensors["conv2d/kernel"][..., :5], tensors["conv2d/bias"][:5])
    y = np.maximum(y, 0)
    few = {name: values[..., :5] for name, values in tensors.items()}
    np.testing.assert_allclose(
        timbre[:, :5], normed(y, few, "batch_normalization_1").max(axis=1), atol=1e-4
    )
    padded = np.pad(x, ((31, 32), (0, 0)))  # 63 zeros, the odd one at the end
    y = convolved(padded, tensors["conv2d_3/kernel"][..., :5], tensors["conv2d_3/bias"][:5])
    y = np.maximum(y, 0)
    np.testing.assert_allclose(
        rhythm[:, :5], normed(y, few, "batch_normalization_4").max(axis=1), atol=1e-4
    )


def test_shapes_and_sizes_of_the_port(tensors, spectra):
    model = from_checkpoint(tensors)
    assert sum(w.numel() for w in model.parameters()) == 787_159
    embeddings, log_odds = answers(model, spectra)
    assert embeddings.shape == (2, 200)
    assert log_odds.shape == (2, 50)
    by_hand = embeddings @ tensors["dense_1/kernel"] + tensors["dense_1/bias"]
    np.testing.assert_allclose(log_odds, by_hand, atol=1e-4)


def with_silent_filters(kept):
    """A published network of random weights in which only some filters ever fire."""
    torch.manual_seed(1)
    model = Backbone(PUBLISHED)
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)):
        for values in (norm.weight, norm.running_var):
            torch.nn.init.uniform_(values, 0.5, 1.5)
        for values in (norm.bias, norm.running_mean):
            torch.nn.init.uniform_(values, -0.2, 0.2)
    for part, live in zip(model.front, kept, strict=True):
        dead = np.setdiff1d(np.arange(part.norm.num_features), live)
        part.filter.bias.data[dead] = -1e3
    return model.eval()


KEPT = [[0, 3, 203], [7, 8], [50], [0, 25], [1, 2, 3, 4]]
WIDTHS = Widths((3, 2), (1, 2, 4))


def test_silent_filters_are_found_and_left_out(spectra):
    model = with_silent_filters(KEPT)
    assert varying_filters(model, spectra, WIDTHS) == KEPT
    small = without_silent(model, KEPT)
    assert [part.norm.num_features for part in small.front] == [3, 2, 1, 2, 4]
    # Of no zeros at the ends: what is silent there is the convolutions' only difference.
    middle = pooled_without_ends(model, spectra)
    np.testing.assert_allclose(pooled_without_ends(small, spectra), middle, atol=2e-3)


def pooled_without_ends(model, spectra):
    """Embeddings as if the convolutions over time met no end of the music."""
    for layer in model.time:
        layer[0].padding_mode = "replicate"
    return answers(model, spectra)[0]


def test_the_published_level_is_the_recording_s(spectra):
    decibels = spectra.numpy() * 20 - 40
    power = 10 ** (decibels / 10)
    np.testing.assert_allclose(as_recorded(decibels), np.log10(1 + 1e4 * power), rtol=1e-4)
    levelled = (10 ** compressed(torch.from_numpy(decibels)).numpy() - 1) / 1e4
    np.testing.assert_allclose(levelled.mean(axis=(1, 2)), 0.4, rtol=1e-4)


def test_level_does_not_matter_to_a_student(spectra):
    torch.manual_seed(0)
    model, decibels = Backbone().eval(), spectra * 20 - 40
    with torch.inference_mode():
        np.testing.assert_allclose(model(decibels), model(decibels + 12), atol=1e-4)
        assert not np.allclose(
            *(answers(model, as_recorded(d.numpy()))[0] for d in (decibels, decibels + 12))
        )


def test_another_package_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("musicnn/MSD_musicnn/.index", "something else")
    for path in (tmp_path / "other.whl", tmp_path, tmp_path / "missing.whl"):
        with pytest.raises(ModelError, match=r"is not musicnn 0.1.0: name the wheel"):
            read_published(path)
