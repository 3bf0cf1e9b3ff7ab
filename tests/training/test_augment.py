"""Augmentation: it varies what it should, and nothing else."""

import numpy as np
import pytest
import torch

from genrekit.training.augment import add_noise, equalise, mask, shift


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_a_ramp_is_shifted_within_its_surroundings():
    # Each frame holds its own number, so what comes out says where it was taken.
    ramp = torch.arange(114.0)[None, :, None].expand(400, 114, 128).contiguous()
    piece = shift(ramp, 38)
    assert piece.shape == (400, 38, 128)
    first, last = piece[:, 0, 64], piece[:, -1, 64]
    tempo = (last - first) / 37
    assert 0.87 < tempo.min() < 0.92
    assert 1.09 < tempo.max() < 1.15
    middle = (first + last) / 2 - 56.5
    assert middle.abs().max() < 38
    assert middle.std() > 10
    assert piece.min() >= 0
    assert piece.max() <= 113


def test_pitch_moves_by_a_few_bands_only():
    line = torch.full((300, 114, 128), -80.0)
    line[:, :, 60] = 0
    place = shift(line, 38).mean(dim=1).argmax(dim=1).float()
    assert (place - 60).abs().max() <= 4
    assert place.std() > 0.7


def test_a_filter_changes_the_spectrum_not_the_timing():
    x = torch.randn(500, 20, 128)
    gain = equalise(x) - x
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain), atol=1e-4, rtol=0)
    curve = gain[:, 0]
    assert 2 < curve[:, 64].std() < 5  # the equaliser, in dB
    dull = (curve[:, -1] < -40).float().mean()
    thin = (curve[:, 0] < -12).float().mean()
    assert 0.05 < dull < 0.3
    assert 0.03 < thin < 0.25


def test_noise_fills_the_floor_and_leaves_the_peaks():
    x = torch.full((500, 20, 128), -80.0)
    x[:, 10, 30] = 0
    out = add_noise(x)
    torch.testing.assert_close(out[:, 10, 30], torch.zeros(500), atol=0.01, rtol=0)
    raised = (out[:, 0, 0] > -76).float().mean()
    assert 0.2 < raised < 0.4
    assert out.min() >= -80.01
    # Powers add: noise as loud as the sound is 3 dB more than either.
    assert add_noise(torch.zeros(8, 4, 5)).max() < 0.01


def test_masks_replace_by_the_mean():
    x = torch.randn(200, 38, 128) + 5
    out = mask(x)
    changed = out != x
    share = changed.float().mean(dim=(1, 2))
    assert 0.05 < share.mean() < 0.4
    means = x.mean(dim=(1, 2), keepdim=True).expand_as(x)
    np.testing.assert_allclose(out[changed].numpy(), means[changed].numpy(), rtol=0.2)


def test_the_random_state_determines_the_result():
    x = torch.randn(4, 57, 24)
    torch.manual_seed(3)
    one = add_noise(equalise(shift(x, 19)))
    torch.manual_seed(3)
    assert (add_noise(equalise(shift(x, 19))) == one).all()
    assert (add_noise(equalise(shift(x, 19))) != one).any()
