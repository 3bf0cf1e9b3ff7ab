"""Classifiers that are no networks, beside scikit-learn's own answers."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.fft import dct
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from genrekit.errors import ModelError
from genrekit.features.extraction import FeatureParams
from genrekit.model import classical as module
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.classical import NearestNeighbours, SupportVectors
from genrekit.model.networks import build_network

GENRES = ("blues", "jazz", "rock")


@pytest.fixture(scope="module")
def points():
    """Three overlapping clouds: vectors, labels, and strangers."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    x = rng.normal(size=(120, 6)) + 0.8 * rng.normal(size=(3, 6))[y]
    return x.astype(np.float32), y, (1.5 * rng.normal(size=(50, 6))).astype(np.float32)


def fitted(head, x, y):
    head.fit(torch.from_numpy(x), torch.from_numpy(y))
    return head


def outputs(head, x):
    return head(torch.from_numpy(x)).numpy()


# -- scikit-learn's answers -------------------------------------------------------------------


def test_support_vectors_answer_as_scikit_learn_does(points):
    x, y, strangers = points
    expected = np.stack(
        [SVC(C=3, gamma="auto").fit(x, y == g).decision_function(strangers) for g in range(3)], 1
    )
    head = fitted(SupportVectors(3), x, y)
    np.testing.assert_allclose(outputs(head, strangers), 4 * expected, atol=4e-4)
    assert 0 < len(head.vectors) < len(x)


def test_two_genres_are_each_others_opposite(points):
    x, y, strangers = points
    logits = outputs(fitted(SupportVectors(2), x[:80], y[:80]), strangers)
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1], atol=4e-2)


@pytest.mark.parametrize("count", [4, 80])
def test_neighbours_vote_as_scikit_learn_does(points, count):
    x, y, strangers = points
    x, y = x[-count:], y[-count:]
    near = min(10, count)
    shares = KNeighborsClassifier(near).fit(x, y).predict_proba(strangers)
    votes = np.zeros((len(strangers), 3))
    votes[:, np.unique(y)] = near * shares
    probabilities = np.exp(outputs(fitted(NearestNeighbours(3), x, y), strangers))
    np.testing.assert_allclose(probabilities, (votes + 1 / 3) / (near + 1), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("head", [SupportVectors, NearestNeighbours])
def test_many_at_once_or_few(points, head, monkeypatch):
    x, y, strangers = points
    known = fitted(head(3), x, y)
    whole = outputs(known, strangers)
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", 300)
    np.testing.assert_allclose(outputs(known, strangers), whole, atol=1e-4)


@pytest.mark.parametrize("head", [SupportVectors, NearestNeighbours])
@pytest.mark.parametrize("present", [[0, 2], [2]])
def test_genres_without_training_music_are_never_likeliest(points, head, present):
    x, y, _ = points
    rows = np.isin(y, present)
    logits = outputs(fitted(head(3), x[rows], y[rows]), x)
    assert np.isfinite(logits).all()
    assert set(logits.argmax(axis=1)) <= set(present)


# -- statistics -------------------------------------------------------------------------------


def statistics(params):
    network = build_network("knn", params.shape, 3)
    network.adapt(params)
    return network.backbone


def test_statistics_are_means_and_spreads_of_mfccs(demo):
    backbone = statistics(demo.params)
    x = torch.from_numpy(demo.features[:])
    plain = np.concatenate([demo.features.mean(axis=1), demo.features.std(axis=1)], axis=1)
    np.testing.assert_allclose(backbone(x).numpy(), plain, rtol=1e-4, atol=1e-3)
    standardised = backbone.standardise(backbone(x))
    expected = StandardScaler().fit_transform(plain)
    np.testing.assert_allclose(standardised.numpy(), expected, atol=1e-3)
    np.testing.assert_allclose(backbone(x).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("bands", [24, 8])
def test_of_log_mel_spectra_the_first_mfccs_count(bands):
    x = 10 * np.random.default_rng(1).normal(size=(5, 32, bands)).astype(np.float32)
    backbone = statistics(FeatureParams("log_mel", n_mels=bands, n_mfcc=1))
    mfccs = dct(x, norm="ortho")[..., :20]
    plain = np.concatenate([mfccs.mean(axis=1), mfccs.std(axis=1)], axis=1)
    np.testing.assert_allclose(backbone(torch.from_numpy(x)).numpy(), plain, atol=1e-3)


def test_a_constant_number_says_nothing():
    backbone = statistics(FeatureParams(n_mfcc=2))
    x = torch.randn(4, 9, 2)
    x[:, :, 1] = 3
    assert (backbone.standardise(backbone(x))[:, [1, 3]].abs() < 1e-5).all()


# -- bundles ----------------------------------------------------------------------------------


@pytest.fixture(params=["svm", "knn"])
def model(request, demo):
    network = build_network(request.param, demo.params.shape, 3)
    network.adapt(demo.params)
    x = torch.from_numpy(demo.features[:])
    embedding = network.backbone.standardise(network.backbone(x))
    network.head.fit(embedding, torch.from_numpy(demo.labels))
    zeros = np.zeros(7, np.float32)
    return GenreModel(network, request.param, demo.params, GENRES, zeros, zeros + 1)


def test_a_loaded_model_equals_the_saved_one(model, demo, tmp_path):
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    np.testing.assert_array_equal(loaded.logits(demo.features), model.logits(demo.features))
    assert loaded.weights_sha256 == model.weights_sha256
    assert not loaded.network.training


def test_embeddings_are_the_standardised_statistics(model, demo):
    embeddings = model.embeddings(demo.features)
    np.testing.assert_allclose(embeddings.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(embeddings.std(axis=0), 1, atol=1e-3)
    assert model.embeddings(demo.features, np.arange(0)).shape == (0, 14)


def change(folder, tensors):
    content = save({k: v.contiguous() for k, v in tensors.items()})
    (folder / "weights.safetensors").write_bytes(content)
    card = json.loads((folder / "model.json").read_text())
    card["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "model.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("key", "harm"),
    [
        ("backbone.cepstra", None),
        ("backbone.cepstra", lambda a: a[:, :-1]),
        ("backbone.cepstra", lambda a: a[:-1]),
        ("backbone.cepstra", lambda a: a[0]),
        ("backbone.cepstra", lambda a: a.double()),
        ("backbone.cepstra", lambda a: a.repeat(1, 9)),
        ("backbone.mean", lambda a: a[:-1]),
        ("backbone.mean", lambda a: a * math.nan),
        ("backbone.std", lambda a: a[:, None]),
        ("backbone.std", lambda a: a * 0),
        ("head.vectors", None),
        ("head.vectors", lambda a: a[:-1]),
        ("head.vectors", lambda a: a[:, :-1]),
        ("head.vectors", lambda a: a[None]),
        ("head.vectors", lambda a: a + math.inf),
        ("head.weights", lambda a: a[:-1]),
        ("head.weights", lambda a: a[:, :-1]),
        ("head.weights", lambda a: a.half()),
    ],
)
def test_arrays_that_do_not_fit_each_other(model, key, harm, tmp_path):
    model.save(tmp_path)
    tensors = load((tmp_path / "weights.safetensors").read_bytes())
    array = tensors.pop(f"network.{key}")
    if harm is not None:
        tensors[f"network.{key}"] = harm(array)
    change(tmp_path, tensors)
    with pytest.raises(ModelError, match="damaged or was not made by GenreKit: train it again"):
        load_model(tmp_path)


def test_more_mfccs_than_bands_are_refused_before_they_fill_the_memory(model, tmp_path):
    model.save(tmp_path)
    tensors = load((tmp_path / "weights.safetensors").read_bytes())
    wide = {"backbone.cepstra": (7, 5000), "backbone.mean": (10_000,), "backbone.std": (10_000,)}
    wide["head.vectors"] = (len(tensors["network.head.weights"]), 10_000)
    change(tmp_path, tensors | {f"network.{k}": torch.ones(size) for k, size in wide.items()})
    with pytest.raises(ModelError, match="damaged"):
        load_model(tmp_path)


def test_outputs_beyond_numbers_are_refused(model, demo, tmp_path):
    model.save(tmp_path)
    tensors = load((tmp_path / "weights.safetensors").read_bytes())
    change(tmp_path, tensors | {"network.head.weights": tensors["network.head.weights"] - 3e38})
    with pytest.raises(ModelError, match="not finite, so its weights are damaged"):
        load_model(tmp_path).logits(demo.features)
