"""A song's mel spectrogram, small enough to send to a browser."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.samples import usable_samples
from genrekit.errors import AudioError
from genrekit.features.extraction import hann_window
from genrekit.mel.scale import MelFormula, mel_filterbank, mel_frequencies

__all__ = ["MAX_COLUMNS", "Picture", "mel_picture"]

MAX_COLUMNS: Final = 1200
_BANDS: Final = 96
_WINDOW: Final = 2048
_RANGE_DB: Final = 80.0
# What is fainter than this at its loudest is drawn dark: it is next to silence.
_FAINTEST_DB: Final = -20.0
_FRAMES_AT_ONCE: Final = 256


@dataclass(frozen=True, eq=False)
class Picture:
    """A mel spectrogram as an image.

    Attributes
    ----------
    values : ndarray, uint8, shape (bands, columns)
        From 0, 80 dB below the loudest, to 255; the lowest band first.
    band_hz : tuple of float, Hz, the centre of each band
    """

    values: NDArray[np.uint8]
    band_hz: tuple[float, ...]


def mel_picture(samples: NDArray[np.float32], rate: int, formula: MelFormula = "slaney") -> Picture:
    """Draw a sound of at least one sample, at `rate` Hz, in at most 1200 columns."""
    import scipy.fft

    samples = usable_samples(samples)
    if not len(samples):
        raise AudioError("There are no samples to draw.")
    window = hann_window(_WINDOW)
    bank = mel_filterbank(rate, _WINDOW, _BANDS, formula=formula)
    weights = np.ascontiguousarray(bank.T.astype(np.float32))
    columns = min(MAX_COLUMNS, max(1, len(samples) // 512))
    # A column of a long song spans much: two looks at it flicker less than one.
    looks = 2 if len(samples) / columns > 1024 else 1
    half = _WINDOW // 2
    padded = np.pad(samples, half)
    starts = ((np.arange(columns * looks) + 0.5) * (len(samples) / (columns * looks))).astype(int)
    every = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)
    blocks = np.split(starts, range(_FRAMES_AT_ONCE, len(starts), _FRAMES_AT_ONCE))
    spectra = (scipy.fft.rfft(every[block] * window) for block in blocks)
    parts = [(block.real**2 + block.imag**2) @ weights for block in spectra]
    power = np.concatenate(parts).reshape(columns, looks, _BANDS).mean(axis=1)
    db = 10 * np.log10(np.maximum(power, 1e-10))
    top = max(float(db.max()), _FAINTEST_DB)
    shade = np.clip((db - top) / _RANGE_DB + 1, 0, 1) * 255
    centres = mel_frequencies(_BANDS + 2, 0, rate / 2, formula)[1:-1]
    return Picture(np.rint(shade).astype(np.uint8).T, tuple(centres.tolist()))
