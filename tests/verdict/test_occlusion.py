"""Occlusion against networks whose answer can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.fft
import torch

from genrekit.errors import SettingsError
from genrekit.features.extraction import extract, log_mel
from genrekit.model.bundle import GenreModel
from genrekit.verdict import occlusion as module
from genrekit.verdict.occlusion import SOFTER_DB, SongMap, band_edges, describe, occlusion, song_map

BANDS, MOMENTS = 4, 3


class Linear(torch.nn.Module):
    """Logits that are weighted sums of the features: weights of shape (genres, frames, k)."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.from_numpy(weights.astype(np.float32)))

    def forward(self, features):
        return torch.einsum("nfk,gfk->ng", features, self.weights)


def linear_model(params, weights, temperature=2.0):
    width = params.coefficients
    return GenreModel(
        Linear(weights),
        "linear",
        params,
        tuple("abcdef"[: len(weights)]),
        np.full(width, 0.25, np.float32),
        np.full(width, 8, np.float32),
        temperature=temperature,
    )


@pytest.fixture(scope="module")
def mel_params(small):
    return replace(small, kind="log_mel")


@pytest.fixture(scope="module")
def sounds(small):
    """Three segments of noise that swells and fades, each louder than the one before."""
    rng = np.random.default_rng(4)
    t = np.arange(small.segment_samples) / small.sample_rate
    swell = 0.02 + np.sin(2 * np.pi * 1.5 * t + np.arange(3)[:, np.newaxis]) ** 2
    level = np.array([[0.01], [0.05], [0.2]])
    return (level * swell * rng.normal(size=(3, len(t)))).astype(np.float32)


def areas(params):
    """Row and column edges, as anyone would draw them."""
    rows = [round(params.n_mels * i / BANDS) for i in range(BANDS + 1)]
    columns = [round(params.frames * i / MOMENTS) for i in range(MOMENTS + 1)]
    for b in range(BANDS):
        for m in range(MOMENTS):
            yield b, m, slice(rows[b], rows[b + 1]), slice(columns[m], columns[m + 1])


def turned_down(mel):
    return np.maximum(mel - 20, mel.max(axis=(1, 2), keepdims=True) - 80)


# -- one band by hand -------------------------------------------------------------------------


def test_a_network_that_uses_one_band_has_evidence_in_that_band_only(mel_params, sounds):
    """Log-odds of two genres are the difference of the logits: the loss is a sum by hand."""
    weights = np.zeros((2, *mel_params.shape))
    weights[1, :, 13] = np.linspace(0.5, 1.5, mel_params.frames)  # the third of four bands
    model = linear_model(mel_params, weights)
    maps = occlusion(model, sounds, 1, BANDS, MOMENTS)
    assert maps.shape == (3, BANDS, MOMENTS)
    assert maps.dtype == np.float32
    mel = log_mel(sounds, mel_params).astype(np.float64)
    change = (mel - turned_down(mel))[:, :, 13] * weights[1, :, 13] / 8 / 2
    expected = np.zeros_like(maps)
    for b, m, _, columns in areas(mel_params):
        if b == 2:
            expected[:, b, m] = change[:, columns].sum(axis=1)
    assert np.abs(expected[:, 2]).min() > 0.01
    np.testing.assert_allclose(maps, expected, atol=2e-4)
    # What speaks for one of two genres speaks against the other.
    np.testing.assert_allclose(occlusion(model, sounds, 0, BANDS, MOMENTS), -maps, atol=2e-4)


@pytest.mark.parametrize("hertz", [150, 700, 1800, 3300])
def test_a_tone_shows_in_the_band_that_holds_it(mel_params, hertz):
    params, edges = mel_params, band_edges(mel_params, BANDS)
    assert edges[0] == 0
    assert edges[-1] == params.sample_rate / 2
    t = np.arange(params.segment_samples) / params.sample_rate
    tone = (0.3 * np.sin(2 * np.pi * hertz * t) * (t > 0.7)).astype(np.float32)
    weights = np.zeros((2, *params.shape))
    weights[1] = 1
    evidence = occlusion(linear_model(params, weights), tone[np.newaxis], 1, BANDS, MOMENTS)[0]
    band, moment = np.unravel_index(evidence.argmax(), evidence.shape)
    assert edges[band] <= hertz < edges[band + 1]
    assert moment == 2


# -- any network, against the long way round --------------------------------------------------


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
def test_every_area_equals_a_full_recomputation(small, sounds, kind):
    params = replace(small, kind=kind)
    rng = np.random.default_rng(6)
    model = linear_model(params, rng.normal(size=(5, *params.shape)) / 40, 0.7)
    mel = log_mel(sounds, params).astype(np.float64)
    other = turned_down(mel)

    def log_odds(levels):
        turned = scipy.fft.dct(levels, norm="ortho")[..., : params.n_mfcc]
        features = turned if kind == "mfcc" else levels
        p = model.probabilities(features.astype(np.float32)).astype(np.float64)[:, 3]
        return np.log(p / (1 - p))

    maps = occlusion(model, sounds, 3, BANDS, MOMENTS)
    for b, m, rows, columns in areas(params):
        without = mel.copy()
        without[:, columns, rows] = other[:, columns, rows]
        np.testing.assert_allclose(maps[:, b, m], log_odds(mel) - log_odds(without), atol=2e-3)
    assert np.abs(maps).max() > 0.1


def test_certainty_does_not_hide_evidence(mel_params, sounds):
    """A probability of 1 - 1e-30 is 1 in any float: the loss is still the one by hand."""
    weights = np.zeros((2, *mel_params.shape))
    weights[1, :, 13] = -1
    model = linear_model(mel_params, weights, 1.0)
    assert model.probabilities(extract(sounds[:1], mel_params))[0, 1] == 1
    maps = occlusion(model, sounds[:1], 1, BANDS, MOMENTS)
    mel = log_mel(sounds[:1], mel_params)[0, :, 13]
    assert maps[0, 2].sum() == pytest.approx(-SOFTER_DB * len(mel) / 8, rel=0.02)


def test_the_block_size_does_not_matter(demo_model, sounds, small, monkeypatch):
    whole = occlusion(demo_model, sounds, 1)
    assert whole.shape == (3, 8, 6)
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", 7 * small.frames * small.n_mfcc)
    monkeypatch.setattr(module, "_SEGMENTS_AT_ONCE", 2)
    np.testing.assert_allclose(occlusion(demo_model, sounds, 1), whole, atol=1e-4)


def test_no_segments_and_silence(demo_model, small):
    assert occlusion(demo_model, np.empty((0, 8000), np.float32), 0).shape == (0, 8, 6)
    silence = np.zeros((1, small.segment_samples), np.float32)
    np.testing.assert_allclose(occlusion(demo_model, silence, 0), 0, atol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"genre_index": 3}, "genre_index is 3: use a whole number from 0 to 2"),
        ({"genre_index": -1}, "genre_index is -1"),
        ({"bands": 25}, "bands is 25: use a whole number from 1 to 24"),
        ({"moments": 0}, "moments is 0: use a whole number from 1 to 32"),
    ],
)
def test_areas_that_do_not_exist_are_refused(demo_model, sounds, wrong, match):
    with pytest.raises(SettingsError, match=match):
        occlusion(demo_model, sounds, **({"genre_index": 0} | wrong))


# -- a song -----------------------------------------------------------------------------------


def test_maps_side_by_side(small):
    maps = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)
    picture = song_map(maps, np.array([0.0, 1.0]), small, seconds=2)
    np.testing.assert_allclose(picture.values, np.concatenate(list(maps), axis=1))
    np.testing.assert_allclose(picture.hertz, band_edges(small, 4))


def test_overlapping_maps_are_averaged(small, monkeypatch):
    maps = np.zeros((2, 1, 2), np.float32)
    maps[0], maps[1] = [1, 2], [6, 9]
    picture = song_map(maps, np.array([0.0, 0.5]), small, seconds=1.5)
    np.testing.assert_allclose(picture.values, [[1, (2 + 6) / 2, 9]])
    # One column over all: each moment weighs by its length.
    monkeypatch.setattr(module, "MAX_COLUMNS", 1)
    whole = song_map(maps, np.array([0.0, 0.5]), small, seconds=1.5)
    np.testing.assert_allclose(whole.values, [[(1 + 2 + 6 + 9) / 4]])
    # Columns that cut moments: 1.5 s in two columns of 0.75 s.
    monkeypatch.setattr(module, "MAX_COLUMNS", 2)
    halves = song_map(maps, np.array([0.0, 0.5]), small, seconds=1.5)
    np.testing.assert_allclose(
        halves.values,
        [[(0.5 * 1 + 0.25 * 2 + 0.25 * 6) / 1.0, (0.25 * 2 + 0.25 * 6 + 0.5 * 9) / 1.0]],
        rtol=1e-6,
    )


def test_columns_without_a_segment_are_nan(small):
    picture = song_map(np.ones((2, 1, 2), np.float32), np.array([0.0, 2.0]), small, seconds=3)
    np.testing.assert_array_equal(picture.values, [[1, 1, np.nan, np.nan, 1, 1]])


def test_a_long_song_has_a_bounded_picture(small):
    picture = song_map(np.ones((900, 2, 6), np.float32), np.arange(900.0), small, seconds=900)
    assert picture.values.shape == (2, 1200)
    np.testing.assert_allclose(picture.values, 1)


# -- in words ---------------------------------------------------------------------------------

HERTZ = np.array([0, 426, 838, 1295, 1983, 3035, 4644, 7108, 11025.0])


def painted(*patches, columns=40, noise=0.02):
    """A picture with some noise and patches (bands, columns, level)."""
    values = noise * np.random.default_rng(0).normal(size=(8, columns)).astype(np.float32)
    for bands, at, level in patches:
        values[bands, at] += level
    return SongMap(values, HERTZ)


ALL = slice(None)


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        (
            [(0, slice(20), np.log(2)), (slice(6, 8), ALL, -0.4)],
            "Mostly the low notes (below 430 Hz, where bass and bass drum would lie), in the first "
            "half; the treble (above 4.6 kHz, where cymbals and hiss would lie) spoke against it. "
            "Turning one of these areas down lowers "
            "the odds for jazz by about 29%.",
        ),
        (
            [(slice(6, 8), slice(20, 40), 1.0)],
            "Mostly the treble (above 4.6 kHz, where cymbals and hiss would lie), in the second ",
        ),
        ([(2, ALL, 0.3)], "Mostly the middle (840 Hz to 1.3 kHz, where voices and melodies would "),
        (
            [(ALL, ALL, 0.3)],
            "All ranges of pitch alike, throughout. Turning one of these areas down ",
        ),
        (
            [(1, ALL, 0.4), (3, ALL, 0.45), (5, ALL, 0.4)],
            "Above all the middle (1.3 kHz to 2.0 kHz, where voices and melodies would lie), ",
        ),
        (
            [(0, ALL, -0.5)],
            "Nothing spoke for jazz throughout; the low notes (below 430 Hz, where bass and ",
        ),
        ([(ALL, ALL, -0.5)], "Nothing spoke for jazz throughout; the whole range of pitch spoke"),
        (
            [(0, slice(0, 40, 2), 1.0), (0, slice(1, 40, 2), -1.0)],
            "No range of pitch decided: some areas spoke for jazz and others against it, and ",
        ),
        # One spot lifts its band's mean above 5%, but not above its uncertainty.
        ([(0, 7, 3.0)], "No range of pitch decided: "),
    ],
)
def test_description(patches, said):
    assert describe(painted(*patches), "jazz").startswith(said)


def test_weak_evidence_is_called_weak():
    flat = "No single area decided: turning any one down changes the odds for jazz by less than 5"
    assert describe(painted(noise=0.01), "jazz").startswith(flat)
    assert describe(painted(noise=0), "jazz").startswith(flat)
    gaps = painted((ALL, ALL, np.nan))
    assert describe(gaps, "jazz").startswith(flat)


def test_gaps_do_not_change_the_description():
    patches = [(0, slice(20), np.log(2)), (slice(6, 8), ALL, -0.4)]
    gaps = painted(*patches)
    values = np.concatenate([gaps.values, np.full((8, 10), np.nan, np.float32)], axis=1)
    longer = SongMap(values, HERTZ)
    assert describe(longer, "jazz") == describe(gaps, "jazz")


def test_one_segment_of_one_moment(small):
    maps = np.zeros((1, 8, 1), np.float32)
    maps[0, 0] = 1
    said = describe(song_map(maps, np.zeros(1), small, seconds=1), "jazz")
    assert said.startswith("Mostly the low notes (below ")
    assert "half" not in said
