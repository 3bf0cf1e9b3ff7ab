"""Drums and harmony apart, by librosa's separation of what is percussive from what is harmonic.

In a spectrogram, a drum is a line upwards and a note is a line along. A median over time keeps the
notes, one over frequency the drums, and each cell is shared by their squares (Fitzgerald 2010).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["separate"]

Array = NDArray[np.float32]

_HOP: Final = 512
_WINDOW: Final = 2048
# The median over time reaches 15 frames to either side, and a frame is four hops long.
_MARGIN: Final = 20 * _HOP
_BLOCK: Final = 1024 * _HOP


def separate(samples: Array) -> tuple[Array, Array]:
    """Return the drums and the harmony of samples, each of shape (samples,); their sum is the song.

    What is shorter than a window, a tenth of a second, is drums. Long songs are separated block by
    block, with enough of their neighbours for the same result.
    """
    import librosa

    harmony = np.zeros_like(samples)
    for start in range(0, len(samples), _BLOCK):
        first, stop = max(0, start - _MARGIN), min(len(samples), start + _BLOCK)
        block = samples[first : stop + _MARGIN]
        if len(block) < _WINDOW:
            break
        spectrum = librosa.stft(block, n_fft=_WINDOW, hop_length=_HOP)
        harmonic, _ = librosa.decompose.hpss(spectrum)
        sound = librosa.istft(harmonic, n_fft=_WINDOW, hop_length=_HOP, length=len(block))
        harmony[start:stop] = sound[start - first : stop - first]
    return samples - harmony, harmony
