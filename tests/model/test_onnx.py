"""Exported models, run by ONNX Runtime, against the models themselves."""

import json
import sys

import librosa
import numpy as np
import onnx
import onnxruntime
import pytest
from torch import nn

from genrekit.audio.synth.rendering import render
from genrekit.cli.main import main
from genrekit.dataset.splits import by_track
from genrekit.errors import ModelError, SettingsError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.model.bundle import load_model
from genrekit.model.onnx_export import export_model
from genrekit.training.loop import train
from genrekit.training.params import NETWORK_DEFAULTS

SOUND = np.concatenate(
    [
        *(render(style, seed=3, seconds=4) for style in ("jazz", "metal", "ambient", "disco")),
        np.zeros(3 * 22050, np.float32),
        np.random.default_rng(0).normal(0, 0.2, 3 * 22050).astype(np.float32),
    ]
)


def run(path, features):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"features": features})[0]


@pytest.mark.parametrize("name", ["everyday", "gtzan-cnn", "course-mlp"])
def test_onnx_runtime_gives_the_same_probabilities(name, tmp_path):
    model = load_model(name)
    export_model(model, tmp_path / "model.onnx")
    features = extract(split_segments(SOUND, model.params, sample_rate=22050), model.params)
    ours, theirs = model.probabilities(features), run(tmp_path / "model.onnx", features)
    assert theirs.shape == (len(features), len(model.genres))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1)).all()


def test_one_segment_and_normalised_features_are_judged_alike(demo, demo_model, tmp_path):
    export_model(demo_model, tmp_path / "model.onnx")
    assert not np.array_equal(demo_model.std, np.ones_like(demo_model.std))
    for rows in (slice(1), slice(None)):
        np.testing.assert_allclose(
            run(tmp_path / "model.onnx", demo.features[rows]),
            demo_model.probabilities(demo.features[rows]),
            atol=1e-5,
        )


def test_filters_with_a_negative_gain_are_exported_as_they_are(tmp_path):
    model = load_model("everyday")
    for part in model.network.backbone.front:
        nn.init.uniform_(part.norm.weight, -1, 1)
    export_model(model, tmp_path / "model.onnx")
    features = extract(split_segments(SOUND, model.params, sample_rate=22050), model.params)
    np.testing.assert_allclose(
        run(tmp_path / "model.onnx", features), model.probabilities(features), atol=1e-5
    )


def test_the_metadata_is_enough_to_compute_the_features_with_librosa(tmp_path):
    model = load_model("course-mlp")
    export_model(model, tmp_path / "model.onnx")
    about = {p.key: p.value for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    given = json.loads(about["features"])
    assert FeatureParams.from_dict(given) == model.params
    assert json.loads(about["genres"]) == list(model.genres)
    size = int(given["sample_rate"] * given["segment_seconds"])
    segment = SOUND[:size]
    spectrum = librosa.feature.melspectrogram(
        y=segment,
        sr=given["sample_rate"],
        n_fft=given["n_fft"],
        hop_length=given["hop_length"],
        n_mels=given["n_mels"],
        center=given["center"],
    )
    decibels = librosa.power_to_db(spectrum, ref=np.max if given["ref"] == "max" else 1.0)
    features = librosa.feature.mfcc(S=decibels, n_mfcc=given["n_mfcc"]).T[np.newaxis]
    song = run(tmp_path / "model.onnx", features.astype(np.float32)).mean(axis=0)
    expected = model.classify(segment, sample_rate=22050).probabilities
    assert about["song"] == "mean over the segments"
    np.testing.assert_allclose(song, list(expected.values()), atol=1e-3)


def test_a_geometric_mean_is_described(tmp_path):
    export_model(load_model("everyday"), tmp_path / "model.onnx")
    about = {p.key: p.value for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert about["song"].startswith("geometric mean")


def test_the_command_writes_it(demo_bundle, tmp_path, capsys):
    assert main(["export", str(demo_bundle), "-o", str(tmp_path / "model.onnx")]) == 0
    assert capsys.readouterr().out == f"The model is in {tmp_path / 'model.onnx'}.\n"
    onnx.checker.check_model(str(tmp_path / "model.onnx"))


def test_what_cannot_be_exported_is_said(demo, demo_model, tmp_path, monkeypatch):
    baseline = train(demo, by_track(demo), NETWORK_DEFAULTS["knn"])
    list(baseline)
    with pytest.raises(ModelError, match="Only the neural networks can be exported"):
        export_model(baseline.model(), tmp_path / "a.onnx")
    with pytest.raises(SettingsError, match=r"must end in \.onnx"):
        export_model(demo_model, tmp_path / "a.tflite")
    with pytest.raises(ModelError, match="cannot be written"):
        export_model(demo_model, tmp_path / "none" / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SettingsError, match=r'pip install "genrekit\[onnx\]"'):
        export_model(demo_model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
