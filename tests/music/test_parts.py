"""Drums and harmony of what is plainly one or the other."""

import numpy as np
import pytest

from genrekit.music import parts
from genrekit.music.parts import separate
from genrekit.music.rhythm import SAMPLE_RATE

SECONDS = 6


def tone():
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    return (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def clicks():
    samples = np.zeros(SECONDS * SAMPLE_RATE, np.float32)
    samples[SAMPLE_RATE // 4 :: SAMPLE_RATE // 2] = 0.9
    return samples


def energy(samples):
    return float(np.square(samples).sum())


def test_a_tone_is_harmony_and_clicks_are_drums():
    drums, harmony = separate(tone() + clicks())
    assert energy(harmony - tone()) < 0.02 * energy(tone())
    assert energy(drums - clicks()) < 0.1 * energy(clicks())


def test_the_parts_are_the_song():
    song = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    drums, harmony = separate(song)
    np.testing.assert_allclose(drums + harmony, song, atol=1e-6)


def test_blocks_leave_no_seams(monkeypatch):
    song = tone() + clicks()
    whole = separate(song)
    monkeypatch.setattr(parts, "_BLOCK", 64 * 512)
    for one, other in zip(separate(song), whole, strict=True):
        assert np.abs(one - other).max() < 1e-3 * np.abs(song).max() + 2e-3


@pytest.mark.parametrize("length", [0, 1, 3000])
def test_short_sounds_have_parts_too(length):
    drums, harmony = separate(np.full(length, 0.1, np.float32))
    assert len(drums) == len(harmony) == length
