"""The random changes that a student is trained on."""

import numpy as np
import pytest
from sound_levels import decibels, gain_db, white_noise

from models.pretraining import worsen
from models.pretraining.worsen import VERSIONS, equaliser, overloaded, worsened


@pytest.fixture(scope="module")
def hiss():
    return white_noise()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_keeps_length_and_type(version, hiss):
    before = hiss.copy()
    for seed in range(3):
        changed = VERSIONS[version](hiss, np.random.default_rng(seed))
        assert changed.shape == hiss.shape
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        assert np.abs(changed).max() <= 1.01
    np.testing.assert_array_equal(hiss, before)
    assert np.array_equal(changed, hiss) == (version == "clean")


def test_a_seed_decides_the_change(hiss):
    first, again, other = (worsened(hiss, np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("path", worsen.PATHS)
def test_each_path_alone(path, hiss, monkeypatch):
    monkeypatch.setattr(worsen, "SHARES", tuple(float(name == path) for name in worsen.PATHS))
    changed = worsened(hiss, np.random.default_rng(2))
    bass, middle, treble = gain_db(hiss, changed, [60, 1000, 9500])
    if path == "telephone":
        assert bass < middle - 15
        assert treble < middle - 15
    if path == "room":
        assert bass < middle - 6
    if path == "low-pass":
        assert treble < middle - 3


def test_overloaded_sound_is_clipped():
    tone = 0.5 * np.sin(np.arange(22050) / 10).astype(np.float32)
    shares = []
    for seed in range(8):
        changed = overloaded(tone, np.random.default_rng(seed))
        shares.append(np.mean(np.abs(changed) > 0.999 * np.abs(changed).max()))
    assert min(shares) > 0.05  # of a sine that is not clipped, 3 %
    assert np.max(shares) > 0.3


@pytest.mark.parametrize("seed", range(4))
def test_an_equaliser_keeps_the_power_and_within_bounds(seed, hiss):
    gain = 20 * np.log10(equaliser(np.random.default_rng(seed))(np.geomspace(20, 11000, 200)))
    assert np.isfinite(gain).all()
    assert 1 < np.ptp(gain) < 50
    changed = worsen.equalised(hiss, np.random.default_rng(seed))
    assert decibels(changed) == pytest.approx(decibels(hiss), abs=0.01)
