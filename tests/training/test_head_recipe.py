"""A head of one's own on the backbone of the model that ships."""

import dataclasses

import numpy as np
import pytest
import torch
from alike import SAME_RUN, apart

from genrekit.audio.non_music import render_non_music
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import by_segment, by_track
from genrekit.errors import SettingsError
from genrekit.features.extraction import extract
from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone
from genrekit.model.bundle import load_model
from genrekit.training import loop as module
from genrekit.training.loop import train
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.training.recipes import Heard

QUICK = dataclasses.replace(NETWORK_DEFAULTS["everyday"], epochs=6, device="cpu")
GENRES = ("bright", "dark", "pulsed")


@pytest.fixture(autouse=True)
def few_outliers(monkeypatch):
    monkeypatch.setattr(module, "_HEAD_OUTLIERS", 12)


@pytest.fixture(scope="module")
def data():
    """Chords in three kinds of sound: ten tracks each, of one segment."""
    rate, samples = EVERYDAY_PARAMS.sample_rate, EVERYDAY_PARAMS.segment_samples
    rng = np.random.default_rng(0)
    seconds = np.arange(samples) / rate
    sounds = []
    for genre in GENRES:
        for _ in range(10):
            hz = rng.uniform(100, 200) * np.arange(1, 25)[:, None]
            weight = hz**-1.5 if genre == "dark" else hz**-0.5
            sound = (weight * np.sin(2 * np.pi * hz * seconds)).sum(axis=0)
            if genre == "pulsed":
                sound *= np.exp(-8 * (seconds * rng.uniform(2, 3) % 1))
            sounds.append(0.5 * sound / np.abs(sound).max())
    names = [f"{genre}/{genre}.{track}" for genre in GENRES for track in range(10)]
    return Dataset(
        features=extract(np.array(sounds, np.float32), EVERYDAY_PARAMS),
        labels=np.repeat(np.arange(3), 10),
        genres=GENRES,
        params=EVERYDAY_PARAMS,
        tracks=np.array(names),
        segments=np.zeros(30, np.int64),
        track_seconds=30.0,
    )


@pytest.fixture(scope="module")
def shipped():
    return load_model("everyday")


@pytest.fixture(scope="module")
def trained(data):
    training = train(data, by_track(data, 1), dataclasses.replace(QUICK, epochs=15))
    list(training)
    return training.model()


def head(training):
    return torch.cat([p.detach().ravel() for p in training._recipe.judge.parameters()])


def test_only_the_head_changes(trained, shipped):
    theirs, ours = shipped.network.backbone.state_dict(), trained.network.backbone.state_dict()
    assert list(theirs) == list(ours)
    for name, values in theirs.items():
        assert torch.equal(values, ours[name]), name
    assert trained.network.head.weight.shape == (4, 200)
    assert trained.card["parameters"] == 4 * 201


def test_it_learns_and_is_calibrated(trained):
    measured = trained.card["measured"]
    assert measured["tracks"] == 9
    assert measured["track_accuracy"] > 0.8  # a third is chance
    assert trained.card["training"]["recipe"] == "head"
    assert 0 < trained.candidate_limit < 1


def test_the_verdict_has_everything_that_the_shipped_model_says(trained):
    rate = 44100
    seconds = np.arange(6 * rate) / rate
    song = 0.3 * np.sin(2 * np.pi * 150 * np.arange(1, 9)[:, None] * seconds).sum(axis=0) / 8
    verdict = trained.classify(song, sample_rate=rate)
    assert list(verdict.probabilities) == list(GENRES)
    assert len(verdict.segments) == 2
    assert verdict.sounds_like
    assert verdict.segments[0].sounds_like
    assert verdict.novelty is not None
    known = dataclasses.replace(trained, neighbours=None)  # no song is unlike anything
    candidates = known.classify(song, sample_rate=rate).candidates
    assert candidates
    assert set(candidates) <= set(GENRES)


def test_what_probabilities_lack_of_one_is_no_music(trained, data):
    sounds = render_non_music(8, EVERYDAY_PARAMS.segment_samples, EVERYDAY_PARAMS.sample_rate, 5)
    strange = trained.probabilities(extract(sounds, EVERYDAY_PARAMS)).sum(axis=1)
    music = trained.probabilities(data.features).sum(axis=1)
    assert strange.mean() < 0.5 < 0.8 < music.mean()


def test_a_model_comes_back_from_its_bundle(trained, data, tmp_path):
    trained.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.weights_sha256 == trained.weights_sha256 == trained.neighbours.weights_sha256
    rows = np.arange(4)
    expected = trained.probabilities(data.features, rows)
    np.testing.assert_allclose(loaded.probabilities(data.features, rows), expected, rtol=1e-5)
    assert loaded.candidate_limit == trained.candidate_limit
    assert loaded.tags is not None


def test_the_seed_decides(data):
    def run(seed):
        training = train(data, by_track(data, 1), dataclasses.replace(QUICK, seed=seed))
        torch.rand(seed + 5)  # what others draw does not matter
        list(training)
        return head(training)

    one, same, other = run(1), run(1), run(2)
    assert apart(one, same) < SAME_RUN < apart(one, other) / 10


@pytest.mark.parametrize("keep", ["last", "best"])
def test_an_interrupted_run_ends_like_one_that_was_not(data, tmp_path, keep):
    params = dataclasses.replace(QUICK, keep=keep)
    split = by_track(data, 2)
    whole = train(data, split, params)
    list(whole)
    first = train(data, split, params)
    for epoch in first:
        if epoch.epoch == 2:
            first.save_state(tmp_path / "run.state")
            break
    second = train(data, split, params)
    second.load_state(tmp_path / "run.state")
    assert [epoch.epoch for epoch in second] == [3, 4, 5, 6]
    assert apart(head(second), head(whole)) < SAME_RUN
    assert second.kept_epoch == whole.kept_epoch
    losses = [epoch.valid_loss for epoch in whole.history]
    assert second.kept_epoch == (6 if keep == "last" else 1 + int(np.argmin(losses)))


def test_a_dataset_on_disk_trains_the_same(data, tmp_path):
    data.write(tmp_path / "data.parquet")
    mapped = Dataset.read(tmp_path / "data.parquet", mapped=True)
    assert mapped.mapped
    runs = [train(d, by_segment(d, 0), QUICK) for d in (data, mapped)]
    for run in runs:
        list(run)
    assert apart(*map(head, runs)) < SAME_RUN


def test_each_segment_passes_the_backbone_once(data, monkeypatch):
    heard = []
    forward = Backbone.forward
    monkeypatch.setattr(Backbone, "forward", lambda own, x: heard.append(len(x)) or forward(own, x))
    training = train(data, by_track(data, 1), QUICK)
    assert not heard, "a run starts when it is iterated over"
    list(training)
    model = training.model()
    assert sum(heard) == len(data) + 12
    model.logits(data.features[:2])
    assert sum(heard) == len(data) + 14, "a finished model remembers nothing"


def test_remembered_embeddings_are_those_of_the_backbone(shipped, data):
    x = torch.from_numpy(data.features[:6])
    remembering = Heard(shipped.network.backbone).eval()
    with torch.inference_mode():
        expected = shipped.network.backbone(x)
        remembering(x[2:4])
        torch.testing.assert_close(remembering(x), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(remembering(x[[5, 0, 5]]), expected[[5, 0, 5]])


def test_other_features_of_the_same_shape_are_refused_too(data, make_dataset):
    same_shape = dataclasses.replace(EVERYDAY_PARAMS, mel_formula="htk")
    for other in (make_dataset(), dataclasses.replace(data, params=same_shape)):
        with pytest.raises(SettingsError, match="prepare the dataset with --preset everyday"):
            train(other, by_track(other), QUICK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "everyday"}, "recipe course is not one of the network everyday"),
        ({"recipe": "head"}, "recipe head is not one of the network mlp"),
        ({"network": "everyday", "recipe": "head", "normalise": True}, "no normalise"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        TrainParams(**change)
