"""Generated sounds that are not music: in range, of their kind, all different."""

import numpy as np
import pytest
import scipy.signal

from genrekit.audio.non_music import NON_MUSIC, babble, noise, render_non_music, tones

RATE = 22050
N = 3 * RATE


@pytest.mark.parametrize("kind", NON_MUSIC)
def test_level_and_seed(kind):
    make = NON_MUSIC[kind]
    one, same, other = (make(np.random.default_rng(s), N, RATE) for s in (1, 1, 2))
    assert one.dtype == np.float32
    assert one.shape == (N,)
    assert np.abs(one).max() == pytest.approx(0.9, abs=1e-3)
    assert (one == same).all()
    assert not np.allclose(one, other)


def test_tones_are_spectral_lines_and_noise_is_not():
    def peakiness(sound):
        _, power = scipy.signal.welch(sound, RATE, nperseg=4096)
        return np.sort(power)[-40:].sum() / power.sum()

    lines = [peakiness(tones(np.random.default_rng(s), N, RATE)) for s in range(8)]
    hiss = [peakiness(np.random.default_rng(s).normal(size=N)) for s in range(8)]
    assert np.median(lines) > 0.9
    assert max(hiss) < 0.1


def test_babble_has_a_pitch_syllables_and_less_treble():
    treble = []
    for seed in range(9):
        sound = babble(np.random.default_rng(seed), N, RATE)
        envelope = np.abs(sound).reshape(-1, 441).mean(axis=1)  # 50 a second, above the pitch
        rate = np.fft.rfftfreq(len(envelope), 0.02)
        swing = np.abs(np.fft.rfft(envelope - envelope.mean())) ** 2
        assert swing[(rate > 3) & (rate < 8)].sum() > 0.4 * swing.sum()
        hz, power = scipy.signal.welch(sound, RATE, nperseg=4096)
        treble.append(power[hz > 4000].sum() / power.sum())
    assert np.median(treble) < 0.2


def test_noise_has_many_colours():
    slopes = []
    for seed in range(12):
        hz, power = scipy.signal.welch(noise(np.random.default_rng(seed), N, RATE), RATE)
        slopes.append(np.polyfit(np.log(hz[2:-2]), np.log(power[2:-2] + 1e-20), 1)[0])
    assert max(slopes) - min(slopes) > 1


def test_all_kinds_are_rendered_in_turn():
    sounds = render_non_music(12, N // 3, RATE, seed=4)
    assert sounds.shape == (12, N // 3)
    assert np.isfinite(sounds).all()
    assert (sounds == render_non_music(12, N // 3, RATE, seed=4)).all()
    assert (render_non_music(12, N // 3, RATE, seed=5) != sounds).any(axis=1).all()
