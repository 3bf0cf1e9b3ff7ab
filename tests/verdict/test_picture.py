"""The picture of a song: tones, clicks and silence stand where they should."""

import numpy as np
import pytest

from genrekit.verdict.picture import MAX_COLUMNS, mel_picture


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_is_brightest_at_its_pitch(hertz):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(3 * 22050) / 22050).astype(np.float32)
    picture = mel_picture(tone, 22050)
    brightest = int(picture.values.mean(axis=1).argmax())
    low, high = picture.band_hz[brightest - 1], picture.band_hz[brightest + 1]
    assert low < hertz < high
    assert picture.values.max() == 255


def test_a_click_is_drawn_where_it_sounds():
    samples = np.zeros(10 * 22050, np.float32)
    samples[7 * 22050] = 1
    picture = mel_picture(samples, 22050)
    bright = np.flatnonzero(picture.values.sum(axis=0))
    columns = picture.values.shape[1]
    assert abs((bright.mean() + 0.5) / columns * 10 - 7) < 0.05
    assert np.ptp(bright) / columns * 10 < 0.15


@pytest.mark.parametrize("seconds", [0.001, 1, 27.9, 200])
def test_a_picture_is_never_too_wide_and_never_empty(seconds):
    samples = np.ones(max(1, round(seconds * 22050)), np.float32)
    values = mel_picture(samples, 22050).values
    assert values.dtype == np.uint8
    assert 1 <= values.shape[1] <= MAX_COLUMNS == 1200


def test_silence_is_dark():
    assert mel_picture(np.zeros(30000, np.float32), 22050).values.max() == 0
