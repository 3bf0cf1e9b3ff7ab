"""Degraded sounds: levels, spectra and noise measured by other means."""

import time

import numpy as np
import pytest
from scipy.signal import welch
from sound_levels import RATE, composed_piece, decibels, gain_db, white_noise

from genrekit.audio.degradation import Degradation, degrade, noise
from genrekit.errors import SettingsError


@pytest.fixture(scope="module")
def hiss():
    return white_noise()


@pytest.fixture(scope="module")
def tune():
    return composed_piece()


def test_no_degradation_returns_an_equal_copy(tune):
    same = degrade(tune, RATE, Degradation(seed=5, noise_colour="white"))
    np.testing.assert_array_equal(same, tune)
    assert same is not tune
    assert not np.shares_memory(same, tune)


@pytest.mark.parametrize("db", [-40, -6, 3, 12])
def test_level(hiss, db):
    assert decibels(degrade(hiss, RATE, Degradation(level_db=db))) - decibels(
        hiss
    ) == pytest.approx(db, abs=0.02)


def test_beyond_full_scale_is_clipped_hard():
    t = np.arange(RATE) / RATE
    wave = (0.5 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    loud = degrade(wave, RATE, Degradation(level_db=12))
    np.testing.assert_allclose(loud, np.clip(wave * 10**0.6, -1, 1), atol=1e-6)
    assert (loud == 1).mean() > 0.2


@pytest.mark.parametrize("limit", [500.0, 2000.0])
def test_low_pass(hiss, limit):
    softer = degrade(hiss, RATE, Degradation(low_pass_hz=limit))
    below, at, above = gain_db(hiss, softer, [limit / 2, limit, 2 * limit])
    assert below == pytest.approx(0, abs=0.3)
    assert at == pytest.approx(-3, abs=0.6)
    assert above < -40


def test_low_pass_at_half_the_sample_rate_is_off(hiss):
    np.testing.assert_array_equal(degrade(hiss, RATE, Degradation(low_pass_hz=11025)), hiss)


def test_filters_have_no_delay():
    click = np.zeros(RATE, np.float32)
    click[7000] = 0.5
    assert np.abs(degrade(click, RATE, Degradation(low_pass_hz=1000))).argmax() == 7000
    # What wraps round would come in at the start.
    click = np.zeros(RATE, np.float32)
    click[-1] = 0.5
    assert np.abs(degrade(click, RATE, Degradation(low_pass_hz=1000))[: RATE // 2]).max() < 1e-4


@pytest.mark.parametrize("colour", ["pink", "white"])
@pytest.mark.parametrize("snr", [-5, 20])
def test_noise_has_the_requested_signal_to_noise_ratio(hiss, colour, snr):
    noisy = degrade(hiss, RATE, Degradation(noise_db=snr, noise_colour=colour, seed=2))
    assert decibels(hiss) - decibels(noisy - hiss) == pytest.approx(snr, abs=0.05)


def test_the_level_does_not_change_the_signal_to_noise_ratio(hiss):
    quiet = degrade(hiss, RATE, Degradation(level_db=-20, noise_db=10))
    np.testing.assert_allclose(10 * quiet, degrade(hiss, RATE, Degradation(noise_db=10)), atol=1e-6)


def test_the_colours_of_noise():
    slope = {}
    for colour in ("pink", "white"):
        f, p = welch(noise(30 * RATE, RATE, colour, seed=3), RATE, nperseg=4096)
        inside = (f > 100) & (f < 8000)
        slope[colour] = np.polyfit(np.log2(f[inside]), 10 * np.log10(p[inside]), 1)[0]
    assert slope["pink"] == pytest.approx(-3.01, abs=0.1)
    assert slope["white"] == pytest.approx(0, abs=0.1)
    assert noise(0, RATE).shape == (0,)


def test_noise_depends_on_its_seed():
    np.testing.assert_array_equal(noise(999, RATE, seed=1), noise(999, RATE, seed=1))
    assert abs(np.corrcoef(noise(9999, RATE, seed=1), noise(9999, RATE, seed=2))[0, 1]) < 0.2


def test_a_phone_keeps_the_band_of_a_telephone(hiss):
    heard = degrade(hiss, RATE, Degradation(phone=1))
    low, middle, ring, high = gain_db(hiss, heard, [80, 1500, 2300, 6000])
    assert low < middle - 12
    assert high < middle - 20
    assert ring > middle + 1.5


def test_a_phone_echoes():
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.9
    power = np.square(degrade(click, RATE, Degradation(phone=1)))
    early, late = power[1100:2000].sum(), power[9000:9900].sum()
    assert early > 5 * late


def test_a_phone_compresses():
    t = np.arange(4 * RATE) / RATE
    tone = (np.where(t < 2, 0.01, 0.5) * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    heard = degrade(tone, RATE, Degradation(phone=1))
    steps = [decibels(s[3 * RATE :]) - decibels(s[RATE : 2 * RATE]) for s in (tone, heard)]
    assert steps[0] == pytest.approx(34, abs=0.1)
    assert steps[1] < 28


def test_more_phone_changes_more(tune):
    far = [
        np.corrcoef(tune, degrade(tune, RATE, Degradation(phone=amount)))[0, 1]
        for amount in (0.05, 0.3, 0.6, 1)
    ]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0.95
    assert decibels(degrade(tune, RATE, Degradation(phone=1))) == pytest.approx(
        decibels(tune), abs=0.3
    )


@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_sample_rates(rate):
    sound = (0.1 * np.random.default_rng(0).normal(size=rate)).astype(np.float32)
    heard = degrade(sound, rate, Degradation(3, 3000, 20, "white", 1))
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_very_short_and_empty_sounds(samples):
    silent = np.zeros(samples, np.float32)
    heard = degrade(silent, RATE, Degradation(6, 1000, 10, "pink", 1))
    assert heard.shape == (samples,)
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0) < 1e-6


def test_it_is_fast_enough_for_a_slider(tune):
    """In no more than some Fourier transforms of the sound, of which it takes six."""
    every = Degradation(-3, 4000, 20, "pink", 0.7)

    def spent(work):
        start = time.thread_time()
        work()
        return time.thread_time() - start

    ours = min(spent(lambda: degrade(tune, RATE, every)) for _ in range(4))
    transform = min(spent(lambda: np.fft.irfft(np.fft.rfft(tune))) for _ in range(4))
    assert ours < 20 * transform


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"level_db": 13}, r"level_db is 13: use a number from -40 to 12 dB\."),
        ({"level_db": None}, "level_db is None"),
        ({"low_pass_hz": 200}, "low_pass_hz is 200: use a number from 300 to 11025 Hz, or None"),
        ({"noise_db": float("nan")}, "noise_db is not a number"),
        ({"noise_colour": "red"}, 'Unknown noise "red": use one of pink, white'),
        ({"phone": 1.5}, "phone is 1.5: use a number from 0 to 1"),
        ({"phone": True}, "phone is True"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range(wrong, match):
    with pytest.raises(SettingsError, match=match):
        Degradation(**wrong)
