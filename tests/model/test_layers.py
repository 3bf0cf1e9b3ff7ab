"""The activations that are drawn are those of the network that gives the verdict."""

import numpy as np
import pytest

from genrekit.audio.encode import wav_bytes
from genrekit.errors import AudioError, ModelError
from genrekit.model.activations import MOMENTS, activations_of
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, load_model
from genrekit.verdict.analysis import ModelFile, Song, activations


@pytest.fixture(scope="module")
def model():
    return load_model(DEFAULT_MODEL)


def features(model, segments):
    rng = np.random.default_rng(0)
    return (12 * rng.normal(size=(segments, *model.params.shape)) - 30).astype(np.float32)


def test_each_layer_is_what_the_network_computes_for_its_verdict(model):
    """Forward hooks during a plain verdict see the same, averaged by hand."""
    seen, backbone = [], model.network.backbone
    hooks = [
        part.register_forward_hook(lambda module, inputs, output: seen.append(output.numpy()))
        for part in (*backbone.front, *backbone.time, backbone.dense_norm)
    ]
    given = features(model, 3)
    model.logits(given)
    for hook in hooks:
        hook.remove()
    front, (first, second, third, embedding) = np.concatenate(seen[:-4], axis=1), seen[-4:]
    second = second + first
    drawn = activations_of(model, given).layers
    for bytes_, values in zip(drawn, (front, first, second, third + second), strict=False):
        assert bytes_.shape == (3, values.shape[1], MOMENTS)
        pieces = [piece.mean(axis=2) for piece in np.split(values, edges(values.shape[2]), axis=2)]
        assert_drawn(bytes_, np.stack(pieces, axis=2))
    assert len(drawn) == 5
    assert_drawn(drawn[4], embedding[:, :, None])


def edges(frames):
    return [frames * moment // MOMENTS for moment in range(1, MOMENTS)]


def assert_drawn(bytes_, values):
    assert bytes_.dtype == np.uint8
    above = values - values.min(axis=(0, 2), keepdims=True)
    top = np.quantile(above, 0.99)
    np.testing.assert_allclose(bytes_, np.minimum(above / top, 1) * 255, atol=1)


def test_what_it_sees_is_a_tone_in_its_band_at_any_level(model):
    quiet = np.full((1, *model.params.shape), -60, np.float32)
    quiet[:, :, 40] = -20
    for level in (0, 30):
        seen = activations_of(model, quiet + level).seen
        assert seen.shape == (1, 96, MOMENTS)
        assert (seen.argmax(axis=1) == 40).all()
        assert (seen[:, 40] == 255).all()
    loud, soft = (activations_of(model, quiet + level).seen.astype(int) for level in (0, 30))
    assert np.abs(loud - soft).max() <= 1


def test_many_segments_are_drawn_as_few(model):
    given = features(model, 9)
    drawn = activations_of(model, given)
    again = activations_of(model, given[::-1])
    for one, other in zip((drawn.seen, *drawn.layers), (again.seen, *again.layers), strict=True):
        assert np.abs(one.astype(int) - other[::-1]).max() <= 1


def test_a_song_shorter_than_a_segment_is_refused():
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * 16000) / 16000).astype(np.float32)
    with pytest.raises(AudioError, match="shorter than a segment of 3 s"):
        activations(Song(wav_bytes(tone, 16000), 60.0), ModelFile.at(MODELS / DEFAULT_MODEL))


def test_other_networks_are_refused(model):
    other = load_model("course-mlp")
    with pytest.raises(ModelError, match="network mlp is not drawn"):
        activations_of(other, np.zeros((1, *other.params.shape), np.float32))
