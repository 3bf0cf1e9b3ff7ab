"""Encode samples as a sound file that every browser and player opens."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["wav_bytes"]


def wav_bytes(samples: NDArray[np.floating[Any]], sample_rate: int) -> bytes:
    """Return 16-bit WAV of samples, shape (samples,) or (samples, channels), clipped at 1.0."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(samples, -1, 1), sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
