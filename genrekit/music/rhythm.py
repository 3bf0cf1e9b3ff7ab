"""Beats and tempo, by librosa's beat tracker, and a sound in which they can be heard.

The tracker (Ellis 2007) finds the beats that agree best with a song's onsets and with a steady
tempo. Its own tempo is one of a few dozen that fit its frames; here the tempo is measured on the
beats. A beat tracker may well count twice or half as many beats as a listener.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLE_RATE", "beat_times", "clicks_added", "tempo_of"]

Array = NDArray[np.float32]

SAMPLE_RATE: Final = 22050  # Hz, of all sounds here: librosa's defaults are meant for it
_HOP: Final = 512
_BEATS_MIN: Final = 4
_SPAN: Final = 8
_CLICK_HZ: Final = 1500.0


def beat_times(samples: Array) -> NDArray[np.float64]:
    """Return the times of a song's beats.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,), at `SAMPLE_RATE`

    Returns
    -------
    ndarray, shape (beats,), s, rising
        Empty of silence, of what is steady, and of less than a second.
    """
    import librosa

    if len(samples) < SAMPLE_RATE:
        return np.empty(0)
    onsets = librosa.onset.onset_strength(y=samples, sr=SAMPLE_RATE, hop_length=_HOP)
    _, beats = librosa.beat.beat_track(
        onset_envelope=onsets, sr=SAMPLE_RATE, hop_length=_HOP, units="time"
    )
    if len(beats) < _BEATS_MIN:
        return np.empty(0)
    # Of clicks, which have a beginning, the tracker's beats are a hop late.
    return np.maximum(np.asarray(beats, np.float64) - _HOP / SAMPLE_RATE, 0)


def tempo_of(beats: NDArray[np.floating]) -> float | None:
    """Return the tempo in beats per minute; None of fewer than four beats.

    It is the median over the song of the mean tempo of eight beats.
    """
    if len(beats) < _BEATS_MIN:
        return None
    span = min(_SPAN, len(beats) - 1)
    return float(60 * span / np.median(beats[span:] - beats[:-span]))


def clicks_added(samples: Array, beats: NDArray[np.floating]) -> Array:
    """Return a song with a click on each beat, shape (samples,); it is turned down a little."""
    import librosa

    clicks = librosa.clicks(times=beats, sr=SAMPLE_RATE, click_freq=_CLICK_HZ, length=len(samples))
    loudest = float(np.abs(samples).max(initial=0.1))
    mixed: Array = (0.6 * samples + 0.4 * loudest * clicks).astype(np.float32)
    return mixed
