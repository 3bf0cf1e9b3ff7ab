"""Rooms and small loudspeakers: energies and spectra measured by other means."""

import numpy as np
import pytest
from scipy.signal import welch

from models.loudspeaker import Peak, loudspeaker, peaks_db, played, room_response

RATE = 22050


def noise(seconds=4):
    return (0.1 * np.random.default_rng(0).normal(size=seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_a_room_begins_with_its_first_sound_and_decays(seed):
    response = room_response(np.random.default_rng(seed), RATE)
    assert response.dtype == np.float32
    assert np.isfinite(response).all()
    assert response[0] != 0
    assert np.abs(response).max() == pytest.approx(1)
    assert 0.1 < len(response) / RATE < 1.35
    left = np.cumsum(np.square(response, dtype=float)[::-1])[::-1]  # Schroeder's integration
    decibels = 10 * np.log10(left / left[0])
    half = len(left) // 2
    assert decibels[half] < -10
    assert decibels[len(left) * 9 // 10] < decibels[half]


def test_rooms_depend_on_their_seed_alone():
    first, again, other = (room_response(np.random.default_rng(seed), RATE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or not np.allclose(first, other)


@pytest.mark.parametrize("seed", range(6))
def test_a_small_loudspeaker_has_no_bass(seed):
    gain = loudspeaker(np.random.default_rng(seed))
    decibels = 20 * np.log10(gain(np.array([0.0, 20, 1000, 2000, 3000, 20000])))
    assert np.isfinite(decibels).all()
    assert decibels[1] < decibels[2:5].max() - 12
    assert decibels[5] < decibels[2:5].max()


def test_peaks_are_summed_in_decibels():
    peaks = [Peak(1000, 6, 0.5), Peak(1000, -2, 0.5), Peak(64_000, 5, 0.1)]
    gains = peaks_db(np.array([1000.0, 1000 * 2**0.5]), peaks)
    np.testing.assert_allclose(gains, [4, 4 * np.exp(-0.5)], atol=1e-6)


def test_played_music_keeps_length_and_power_and_loses_bass():
    sound = noise()
    before = sound.copy()
    changed = played(sound, RATE, np.random.default_rng(3), snr_db=40)
    np.testing.assert_array_equal(sound, before)
    assert changed.shape == sound.shape
    assert changed.dtype == np.float32
    assert np.abs(changed).max() <= 1
    assert np.mean(np.square(changed)) == pytest.approx(np.mean(np.square(sound)), rel=0.1)
    f, (p, q) = welch(np.stack([sound, changed]), RATE, nperseg=4096)
    low, middle = (f > 20) & (f < 50), (f > 1000) & (f < 3000)
    assert 10 * np.log10(q[low].mean() / p[low].mean()) < (
        10 * np.log10(q[middle].mean() / p[middle].mean()) - 10
    )


def test_its_noise_has_the_wanted_level():
    silence_after = np.r_[noise(2), np.zeros(4 * RATE, np.float32)]
    changed = played(silence_after, RATE, np.random.default_rng(0), snr_db=30)
    tail = changed[-RATE:]  # long after the echo
    power = np.mean(np.square(silence_after))
    assert 10 * np.log10(power / np.mean(np.square(tail))) == pytest.approx(30, abs=1)
