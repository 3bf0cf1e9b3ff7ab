"""Classifiers that are fitted at once: how a training run treats them."""

import dataclasses

import numpy as np
import pytest
from sklearn.svm import SVC

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import by_segment, by_track
from genrekit.errors import ModelError, SettingsError
from genrekit.model.bundle import load_model
from genrekit.training import loop as module
from genrekit.training.leak import leak_meter
from genrekit.training.loop import Training, train
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.training.rows import thinned

NAMES = ("svm", "knn")


@pytest.fixture(scope="module")
def data(make_dataset):
    """Genres that differ in their means over time."""
    plain = make_dataset(tracks=6, apart=0)
    colour = np.random.default_rng(1).normal(size=(3, 1, plain.params.coefficients))
    features = plain.features + colour[plain.labels].astype(np.float32)
    return dataclasses.replace(plain, features=features)


@pytest.fixture(scope="module")
def split(data):
    return by_track(data, 2)


@pytest.mark.parametrize("name", NAMES)
def test_one_round_a_card_and_neighbours(data, split, name, tmp_path):
    training = train(data, split, NETWORK_DEFAULTS[name])
    (stats,) = training
    assert stats.epoch == 1
    assert stats.train_accuracy > 0.9
    assert stats.valid_accuracy > 0.9
    model = training.model()
    assert model.card["training"] == {
        "network": name,
        "recipe": "fit",
        "seed": 0,
        "segments_fitted": len(split.train),
    }
    assert model.card["measured"]["segment_accuracy"] == pytest.approx(stats.valid_accuracy)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    nearest = loaded.nearest(data.features[split.train[:4]])
    assert nearest.tracks[0].track == data.tracks[split.train[0]]
    assert len(list(training)) == 0


def test_a_run_answers_as_scikit_learn_does(data, split):
    training = train(data, split, NETWORK_DEFAULTS["svm"])
    list(training)
    x = np.concatenate([data.features.mean(axis=1), data.features.std(axis=1)], axis=1)
    x = (x - x[split.train].mean(axis=0)) / x[split.train].std(axis=0)
    model = training.model()
    expected = [
        SVC(C=3, gamma="auto").fit(x[split.train], data.labels[split.train] == g) for g in range(3)
    ]
    logits = np.stack([machine.decision_function(x[split.valid]) for machine in expected], 1)
    np.testing.assert_allclose(model.logits(data.features, split.valid), 4 * logits, atol=8e-3)


@pytest.mark.parametrize("name", NAMES)
def test_log_mel_spectra_and_datasets_without_tracks(data, name):
    params = dataclasses.replace(data.params, kind="log_mel", n_mels=data.params.n_mfcc)
    bare = Dataset(data.features, data.labels, data.genres, params)
    training = train(bare, by_segment(bare), NETWORK_DEFAULTS[name])
    list(training)
    assert training.model().card["measured"]["segment_accuracy"] > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_a_run_can_be_continued(data, split, name, tmp_path):
    params = NETWORK_DEFAULTS[name]
    whole = Training(data, split, params)
    whole.save_state(tmp_path / "before")
    list(whole)
    whole.save_state(tmp_path / "after")
    for state, rounds in (("before", 1), ("after", 0)):
        again = Training(data, split, params)
        again.load_state(tmp_path / state)
        assert len(list(again)) == rounds
        assert again.model().weights_sha256 == whole.model().weights_sha256
    with pytest.raises(ModelError, match="other data or settings"):
        other = NAMES[1 - NAMES.index(name)]
        Training(data, split, NETWORK_DEFAULTS[other]).load_state(tmp_path / "after")


def test_the_leak_meter(data):
    *_, last = leak_meter(data, NETWORK_DEFAULTS["knn"])
    assert (last.done, last.total) == (3, 3)
    assert [bar.split for bar in last.bars] == ["segment", "track", "artist"]


@pytest.mark.parametrize(
    ("name", "settings", "match"),
    [
        ("svm", {"epochs": 30}, "svm is fitted at once and has no epochs: leave it out"),
        ("svm", {"batch_size": 64}, "no batch_size"),
        ("knn", {"learning_rate": 0.1}, "knn is fitted at once and has no learning_rate"),
        ("knn", {"keep": "best"}, "no keep"),
        ("knn", {"normalise": True}, "no normalise"),
        ("knn", {"recipe": "course"}, "recipe course is not one of the network knn: leave the"),
        ("knn", {"recipe": "head"}, "recipe head is not one of the network knn"),
        ("mlp", {"recipe": "fit"}, "recipe fit is not one of the network mlp"),
    ],
)
def test_settings_that_mean_nothing(name, settings, match):
    with pytest.raises(SettingsError, match=match):
        dataclasses.replace(NETWORK_DEFAULTS[name], **settings)


def test_the_settings_used():
    assert "device" not in TrainParams().used()
    assert TrainParams().used()["epochs"] == 50
    assert NETWORK_DEFAULTS["knn"].used() == {"network": "knn", "recipe": "fit", "seed": 0}


# -- more segments than can be fitted ---------------------------------------------------------


def test_large_datasets_are_thinned_evenly(data, split, monkeypatch):
    monkeypatch.setattr(module, "_MOST_FITTED", len(split.train) // 2)
    training = train(data, split, NETWORK_DEFAULTS["knn"])
    (stats,) = training
    model = training.model()
    assert model.card["training"]["segments_fitted"] == len(split.train) // 2
    assert len(model.network.head.vectors) == len(split.train) // 2
    assert 0.9 < stats.train_accuracy <= 1


@pytest.mark.parametrize("most", [1, 7, 24, 47, 48, 1000])
def test_thinned_rows(data, split, most):
    rows = thinned(data, split.train, most)
    assert len(rows) <= most
    assert set(rows.tolist()) <= set(split.train.tolist())
    assert (np.diff(rows) > 0).all()
    if most >= len(split.train):
        np.testing.assert_array_equal(rows, split.train)
    if most == 24:  # two segments of each track
        assert set(np.unique(data.tracks[rows], return_counts=True)[1].tolist()) == {2}


def test_thinned_rows_without_tracks(data):
    bare = Dataset(data.features, data.labels, data.genres, data.params)
    rows = thinned(bare, np.arange(len(bare)), 12)
    assert np.bincount(bare.labels[rows]).tolist() == [4, 4, 4]
