"""Sounds to change, and how much of them is left: levels and gains in decibels."""

import numpy as np
from scipy.signal import welch

from genrekit.audio.synth.rendering import render

RATE = 22050


def white_noise():
    """Eight seconds of white noise, far below full scale."""
    return (0.05 * np.random.default_rng(1).normal(size=8 * RATE)).astype(np.float32)


def composed_piece():
    """Thirty seconds of a composed piece."""
    return np.asarray(render("blues", seconds=30, seed=1)[: 30 * RATE], np.float32)


def gain_db(before, after, hertz):
    """Gain at some frequencies, from two power spectra."""
    f, p = welch(before, RATE, nperseg=2048)
    _, q = welch(after, RATE, nperseg=2048)
    return np.interp(hertz, f, 10 * np.log10(q / p))


def decibels(samples):
    """Level of the mean power."""
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))
