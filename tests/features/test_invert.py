"""What comes back from the numbers: measured by analysing it again."""

import librosa
import numpy as np
import pytest

from genrekit.audio.synth.rendering import render
from genrekit.errors import SettingsError
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.invert import (
    griffin_lim,
    log_mel_from_mfcc,
    match_level,
    power_from_log_mel,
    resynthesise,
)
from genrekit.features.trace import clip_params, power_spectrogram
from genrekit.mel import tones

RATE = 22_050


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return render("country", seed=2, seconds=2.0)


@pytest.fixture(scope="module")
def params(clip: np.ndarray) -> FeatureParams:
    return clip_params(clip, FeatureParams())


def _convergence(sound: np.ndarray, magnitude: np.ndarray, params: FeatureParams) -> float:
    """Spectral convergence: the relative distance of the magnitudes."""
    got = np.sqrt(power_spectrogram(sound, params))
    return float(np.linalg.norm(got - magnitude) / np.linalg.norm(magnitude))


def test_griffin_lim_comes_as_near_as_librosa_s(clip: np.ndarray, params: FeatureParams) -> None:
    magnitude = np.sqrt(power_spectrogram(clip, params))
    ours = _convergence(griffin_lim(magnitude, params), magnitude, params)
    theirs = _convergence(
        librosa.griffinlim(
            magnitude.T, n_iter=32, hop_length=512, length=len(clip), random_state=0
        ),
        magnitude,
        params,
    )
    assert ours < 1.1 * theirs
    assert ours < 0.15


def test_more_iterations_come_nearer(clip: np.ndarray, params: FeatureParams) -> None:
    magnitude = np.sqrt(power_spectrogram(clip, params))
    few = griffin_lim(magnitude, params, iterations=2)
    many = griffin_lim(magnitude, params, iterations=32)
    assert _convergence(many, magnitude, params) < 0.8 * _convergence(few, magnitude, params)


def test_the_mel_inverse_has_the_mel_bands_asked_for(
    clip: np.ndarray, params: FeatureParams
) -> None:
    log_mel = extraction.log_mel(clip[np.newaxis], params)[0]
    power = power_from_log_mel(log_mel, params)
    assert power.shape == (params.frames, 1025)
    assert (power >= 0).all()
    again = librosa.filters.mel(sr=RATE, n_fft=2048) @ power.T
    error_db = np.abs(10 * np.log10(np.maximum(again.T, 1e-10)) - log_mel)
    assert error_db.mean() < 0.5


def test_all_coefficients_give_the_mel_spectrum_back(
    clip: np.ndarray, params: FeatureParams
) -> None:
    log_mel = extraction.log_mel(clip[np.newaxis], params)[0]
    every = log_mel @ extraction.dct_matrix(128, 128)
    assert log_mel_from_mfcc(every, 128) == pytest.approx(log_mel, abs=1e-3)
    theirs = librosa.feature.inverse.mfcc_to_mel(every[:, :13].T, n_mels=128)
    ours = 10 ** (log_mel_from_mfcc(every[:, :13], 128) / 10)
    assert np.allclose(ours.T, theirs, rtol=1e-3)


@pytest.mark.parametrize("stage", ["spectrogram", "mel", "mfcc"])
def test_each_stage_sounds_alike_at_the_same_level(
    clip: np.ndarray, params: FeatureParams, stage
) -> None:
    sound = resynthesise(clip, params, stage, gain=0.5)
    assert sound.shape == clip.shape
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 0.8 + 1e-6
    assert np.std(sound) == pytest.approx(0.5 * np.std(clip), rel=0.02)
    before = extraction.log_mel(clip[np.newaxis], params)[0]
    after = extraction.log_mel(sound[np.newaxis], params)[0]
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.75


def test_each_stage_keeps_less_than_the_one_before(clip: np.ndarray, params: FeatureParams) -> None:
    before = extraction.log_mel(clip[np.newaxis], params)[0]

    def loss(stage, keep: int | None = None) -> float:
        sound = resynthesise(clip, params, stage, n_coefficients=keep)
        return float(np.abs(extraction.log_mel(sound[np.newaxis], params)[0] - before).mean())

    losses = [loss("spectrogram"), loss("mel"), loss("mfcc", 40), loss("mfcc", 13), loss("mfcc", 2)]
    assert losses == sorted(losses)


def test_thirteen_coefficients_lose_the_pitch_and_forty_mel_bands_more_keep_it() -> None:
    tone = tones.chord([440], 1.5, sample_rate=RATE)
    params = clip_params(tone, FeatureParams())

    def peak_ratio(sound: np.ndarray) -> float:
        """How far the spectral line at 440 Hz stands out from the gap at 660 Hz."""
        power = power_spectrogram(sound, params).mean(axis=0)
        line, gap = (round(f * 2048 / RATE) for f in (440, 660))
        return float(power[line] / power[gap])

    assert peak_ratio(resynthesise(tone, params, "spectrogram")) > 100
    assert peak_ratio(resynthesise(tone, params, "mfcc", n_coefficients=5)) < 10


def test_the_same_seed_gives_the_same_sound(clip: np.ndarray, params: FeatureParams) -> None:
    one = resynthesise(clip, params, "mfcc", iterations=3, seed=4)
    assert np.array_equal(one, resynthesise(clip, params, "mfcc", iterations=3, seed=4))
    assert not np.array_equal(one, resynthesise(clip, params, "mfcc", iterations=3, seed=5))


def test_silence_stays_silence_and_peaks_are_limited() -> None:
    silence = np.zeros(100, np.float32)
    assert not match_level(silence, np.ones(100, np.float32)).any()
    spike = np.zeros(100, np.float32)
    spike[50] = 0.1
    assert np.abs(match_level(spike, np.ones(100, np.float32))).max() == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage": "cepstrum"}, "Unknown stage"),
        ({"stage": "mfcc", "n_coefficients": 0}, "n_coefficients is"),
        ({"stage": "mfcc", "n_coefficients": 129}, "n_coefficients is"),
        ({"stage": "spectrogram", "iterations": 0}, "at least 1"),
    ],
)
def test_impossible_settings_are_refused(clip, params, changes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        resynthesise(clip, params, **changes)
