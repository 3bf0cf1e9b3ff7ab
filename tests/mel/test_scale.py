"""The mel scale, against the formulas by hand and against librosa."""

import math

import librosa
import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.mel.scale import hz_to_mel, mel_filterbank, mel_frequencies, mel_to_hz

FORMULAS = ("htk", "slaney")


@pytest.mark.parametrize(
    ("hz", "formula", "mel"),
    [
        (0, "htk", 0),
        (440, "htk", 549.64),
        (1000, "htk", 999.99),
        (700, "htk", 2595 * math.log10(2)),
        (0, "slaney", 0),
        (200, "slaney", 3),
        (1000, "slaney", 15),
        (6400, "slaney", 42),
    ],
)
def test_known_points(hz, formula, mel):
    assert float(hz_to_mel(hz, formula)) == pytest.approx(mel, abs=0.005)
    assert float(mel_to_hz(float(hz_to_mel(hz, formula)), formula)) == pytest.approx(hz, abs=1e-9)


def test_htk_is_the_default_of_the_two_functions():
    assert hz_to_mel(1234.5) == hz_to_mel(1234.5, "htk")
    assert mel_to_hz(1234.5) == mel_to_hz(1234.5, "htk")


@pytest.mark.parametrize("formula", FORMULAS)
def test_equals_librosa_in_both_directions(formula):
    hz = np.concatenate([[0, 999.999, 1000, 1000.001], np.geomspace(1e-3, 1e5, 500)])
    mel = hz_to_mel(hz, formula)
    htk = formula == "htk"
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=htk), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, formula), librosa.mel_to_hz(mel, htk=htk), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, formula), hz, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("function", [hz_to_mel, mel_to_hz])
def test_any_shape_element_by_element(function, formula):
    values = np.random.default_rng(0).uniform(0, 40, (2, 3, 4))
    mapped = function(values, formula)
    assert mapped.shape == (2, 3, 4)
    assert mapped.dtype == np.float64
    for at in np.ndindex(values.shape):
        assert mapped[at] == pytest.approx(float(function(values[at], formula)), rel=1e-12)
    assert function([1, 2], formula).shape == (2,)
    assert function([], formula).shape == (0,)
    assert np.ndim(function(3, formula)) == 0
    assert (np.diff(function(np.linspace(0, 40, 99), formula)) > 0).all()


@pytest.mark.parametrize("function", [hz_to_mel, mel_to_hz])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), [1, -0.5], [[3, np.nan]]])
def test_impossible_values_are_named_and_refused(function, value):
    with pytest.raises(SettingsError, match="impossible: use a number of at least 0"):
        function(value)


@pytest.mark.parametrize("function", [hz_to_mel, mel_to_hz])
def test_unknown_formula(function):
    with pytest.raises(SettingsError, match='formula "bark": use one of htk, slaney'):
        function(100, "bark")


@pytest.mark.parametrize("formula", FORMULAS)
def test_mel_too_large_for_any_frequency(formula):
    with pytest.raises(SettingsError, match="too large for a frequency"):
        mel_to_hz([10.0, 1e6], formula)


@pytest.mark.parametrize("formula", FORMULAS)
def test_frequencies_are_equally_spaced_in_mel(formula):
    hz = mel_frequencies(41, 20, 9000, formula)
    assert hz.shape == (41,)
    assert hz[[0, -1]] == pytest.approx([20, 9000])
    steps = np.diff(hz_to_mel(hz, formula))
    assert steps.min() == pytest.approx(steps.max(), rel=1e-9)
    expected = librosa.mel_frequencies(41, fmin=20, fmax=9000, htk=formula == "htk")
    np.testing.assert_allclose(hz, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0, 0, 100), "at least 1"),
        ((5, 100, 100), "is empty"),
        ((5, -1, 100), "is empty"),
    ],
)
def test_frequencies_refused(arguments, match):
    with pytest.raises(SettingsError, match=match):
        mel_frequencies(*arguments)


@pytest.mark.filterwarnings("ignore:Empty filters detected")
@pytest.mark.parametrize("norm", ["slaney", "peak"])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [
        (22050, 2048, 128, 0, None),
        (44100, 2048, 40, 0, None),
        (16000, 400, 80, 20, 7600),
        (8000, 255, 13, 0, None),
        (22050, 1001, 64, 100, 8000),
        (22050, 256, 128, 0, None),  # bands narrower than a bin
        (48000, 4096, 1, 0, None),
    ],
)
def test_filterbank_equals_librosa(rate, n_fft, n_mels, fmin, fmax, formula, norm):
    bands = mel_filterbank(rate, n_fft, n_mels, fmin=fmin, fmax=fmax, formula=formula, norm=norm)
    expected = librosa.filters.mel(
        sr=rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=formula == "htk",
        norm="slaney" if norm == "slaney" else None,
        dtype=np.float64,
    )
    assert bands.shape == (n_mels, 1 + n_fft // 2)
    np.testing.assert_allclose(bands, expected, rtol=1e-9, atol=1e-12)


def test_norms_scale_the_triangles():
    rate, n_fft = 22050, 1 << 15  # fine enough for sums to stand for areas
    area = mel_filterbank(rate, n_fft, 40).sum(axis=1) * rate / n_fft
    np.testing.assert_allclose(area, 1, rtol=2e-2)
    peak = mel_filterbank(rate, n_fft, 40, norm="peak").max(axis=1)
    assert peak.max() <= 1
    assert peak.min() > 0.97


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"sample_rate": 0}, "sample_rate is 0: use a number above 0 Hz"),
        ({"n_fft": 1}, "n_fft is 1: use a whole number of at least 2"),
        ({"n_mels": 0}, "at least 1"),
        ({"n_mels": -1}, "at least 1"),
        ({"fmin": 12000}, "is empty"),
        ({"fmax": 12000}, "above half the sample rate"),
        ({"norm": "area"}, 'normalisation "area"'),
        ({"formula": "bark"}, 'formula "bark"'),
    ],
)
def test_filterbank_refused(change, match):
    with pytest.raises(SettingsError, match=match):
        mel_filterbank(**{"sample_rate": 22050, "n_fft": 2048} | change)
