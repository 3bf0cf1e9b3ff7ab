"""Beats and tempo of clicks at known times."""

import numpy as np
import pytest

from genrekit.music.rhythm import SAMPLE_RATE, beat_times, clicks_added, tempo_of


def clicks(tempo, first=0.3, seconds=15):
    beats = np.arange(first, seconds - 0.1, 60 / tempo)
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1e-3, seconds * SAMPLE_RATE).astype(np.float32)
    for beat in np.round(beats * SAMPLE_RATE).astype(int):
        samples[beat : beat + 600] += np.float32(0.5) * np.exp(-np.arange(600) / 100)
    return samples, beats


@pytest.mark.parametrize("tempo", [90, 120, 143])
def test_clicks_are_found_where_they_are(tempo):
    samples, true = clicks(tempo)
    found = beat_times(samples)
    assert len(found) >= 0.9 * len(true)
    assert np.abs(found[:, np.newaxis] - true).min(axis=1).max() < 0.03
    assert tempo_of(found) == pytest.approx(tempo, rel=0.01)


def test_what_has_no_beat_has_no_tempo():
    assert not len(beat_times(np.zeros(3 * SAMPLE_RATE, np.float32)))
    assert not len(beat_times(np.zeros(100, np.float32)))
    assert tempo_of(np.array([0.0, 0.5, 1.0])) is None


def test_the_tempo_is_that_of_most_beats():
    beats = np.concatenate([np.arange(0, 20, 0.5), 20 + np.arange(0, 5, 0.8)])
    assert tempo_of(beats) == pytest.approx(120)


def test_clicks_are_added_on_the_beats():
    song = np.full(2 * SAMPLE_RATE, 0.1, np.float32)
    added = clicks_added(song, np.array([0.5, 1.5])) - 0.06
    loud = np.abs(added).reshape(20, -1).max(axis=1) > 1e-3
    assert list(np.flatnonzero(loud)) == [5, 15]
    assert np.abs(added).max() <= 1
