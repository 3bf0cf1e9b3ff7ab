"""The evidence as sound: pure tones and noise, whose bands and times are known."""

import numpy as np
import pytest

from genrekit.verdict.evidence import EVIDENCE_SHARE, MUTED_DB, split_sound, strongest

RATE = 16000
HERTZ = np.array([0.0, 500.0, 1000.0, 2000.0, 8000.0])
SECONDS = 10


def tone(hertz):
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(SECONDS * RATE) / RATE)).astype(np.float32)


def level(samples, hertz, second=5):
    """The amplitude of a tone in one second of a sound."""
    part = samples[second * RATE : (second + 1) * RATE]
    turns = np.exp(-2j * np.pi * hertz * np.arange(RATE) / RATE)
    return 2 * abs(np.mean(part * turns))


def areas(*rows):
    return np.array(rows, bool)


def test_the_evidence_is_the_strongest_share_as_far_as_it_is_positive():
    values = np.array([[4, 1, -9, 0], [3, 2, 0.5, 0], [-1, -2, 0, 0]], np.float32)
    # Eight areas have a value, so three are taken.
    assert EVIDENCE_SHARE == 0.375
    np.testing.assert_array_equal(strongest(values), values >= 2)
    assert not strongest(-np.abs(values)).any()
    assert not strongest(np.zeros((2, 3), np.float32)).any()
    mostly_against = np.array([[1, -1, -1, -1] * 2], np.float32)
    np.testing.assert_array_equal(strongest(mostly_against), mostly_against > 0)


def test_a_band_is_heard_alone_and_left_out():
    low, high = tone(250), tone(3000)
    only, without = split_sound(low + high, RATE, areas([1] * 5, [0] * 5, [0] * 5, [0] * 5), HERTZ)
    muted = 10 ** (MUTED_DB / 20)
    assert level(only, 250) == pytest.approx(muted * level(only, 3000), rel=0.01)
    assert level(without, 3000) == pytest.approx(muted * level(without, 250), rel=0.01)
    # Half the power is gone, and the rest is as loud as the whole was.
    assert level(only, 250) == pytest.approx(0.2 * 2**0.5, rel=0.01)


def test_a_moment_is_heard_alone_where_it_was():
    marked = areas([0, 0, 0, 1, 0, 0, 0, 0, 0, 0], *[[0] * 10] * 3)
    only, without = split_sound(tone(250), RATE, marked, HERTZ)
    assert only.shape == without.shape == (SECONDS * RATE,)
    levels = np.array([level(only, 250, second) for second in range(SECONDS)])
    assert levels.argmax() == 3
    assert levels[[0, 1, 5, 6, 7, 8, 9]].max() < 0.04 * levels[3]
    assert level(without, 250, 3) < 0.2 * level(without, 250, 7)
    # It begins and ends without a click: no step is larger than the loudest tone's own.
    assert np.abs(np.diff(only)).max() <= 1.01 * 2 * np.pi * 250 / RATE * np.abs(only).max()


def test_all_areas_are_the_song_and_so_are_none():
    rng = np.random.default_rng(0)
    # More frames than are transformed at once.
    noise = rng.normal(0, 0.1, 40 * RATE).astype(np.float32)
    everything = np.ones((4, 7), bool)
    for marked in (everything, ~everything):
        # Of the song 30 dB softer, the volume is restored as far as 20 dB.
        softer = 10 ** ((20 - MUTED_DB) / 20)
        expected = (1, softer) if marked.all() else (softer, 1)
        for sound, gain in zip(split_sound(noise, RATE, marked, HERTZ), expected, strict=True):
            np.testing.assert_allclose(sound, gain * noise, atol=1e-4)


def test_a_quiet_part_is_not_amplified_into_clipping():
    spike = np.zeros(SECONDS * RATE, np.float32)
    spike[5 * RATE] = 0.9
    only, _ = split_sound(spike + tone(250), RATE, areas(*[[0] * 5] * 3, [1] * 5), HERTZ)
    assert 0 < np.abs(only).max() <= 1
