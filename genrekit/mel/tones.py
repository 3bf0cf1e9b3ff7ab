"""Notes and steps of pitch as numbers, and tones as sound: melodies, glides, chords.

Frequencies are in Hz, > 0, and below half the sample rate where they become sound; durations are
in s, levels in dB re full scale (0 dBFS is a peak of 1.0). Audio is float32, shape (samples,).
Each tone starts and ends with a raised-cosine fade, and nothing peaks above `PEAK_DBFS`.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.mel.scale import hz_to_mel, mel_to_hz
from genrekit.ranges import check_choice, check_number, check_whole
from genrekit.wording import numeral

__all__ = [
    "PEAK_DBFS",
    "StepUnit",
    "a_weighting",
    "chord",
    "equal_steps",
    "glide",
    "melody",
    "nearest_note",
    "note_frequency",
    "step_from",
    "step_size",
]

Samples = NDArray[np.float32]
StepUnit = Literal["hz", "mel", "semitones"]

PEAK_DBFS: Final = -12.0
SAMPLE_RATE: Final = 44_100
_FADE_SECONDS: Final = 0.02
_A4_HZ: Final = 440.0
_A4_MIDI: Final = 69
_NAMES: Final = np.array(["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"])
# Evening out levels by more than this would leave the fainter tone inaudible on small speakers.
_MAX_CUT_DB: Final = 15.0


def nearest_note(frequency: ArrayLike) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Return the nearest note of the piano's scale (A4 = 440 Hz) and the distance above it.

    Parameters
    ----------
    frequency : array_like, any shape, Hz, >= 0

    Returns
    -------
    names : ndarray of str; "A4" for 440 Hz, "" for 0 Hz, which has no pitch
    cents : ndarray, in [-50, 50]; NaN for 0 Hz
    """
    f = np.asarray(frequency, dtype=np.float64)
    pitched = f > 0
    midi = _A4_MIDI + 12 * np.log2(np.where(pitched, f, _A4_HZ) / _A4_HZ)
    nearest = np.rint(midi).astype(np.int64)
    octave = (nearest // 12 - 1).astype(np.str_)
    names = np.where(pitched, np.char.add(_NAMES[nearest % 12], octave), "")
    return names, np.where(pitched, 100 * (midi - nearest), np.nan)


def note_frequency(midi: ArrayLike) -> NDArray[np.float64]:
    """Return the frequency of MIDI note numbers in equal temperament, Hz; 69 is 440 Hz."""
    return _A4_HZ * 2 ** ((np.asarray(midi, dtype=np.float64) - _A4_MIDI) / 12)


def step_size(start: float, stop: float, unit: StepUnit) -> float:
    """Return the size of the step from `start` to `stop` (Hz) in `unit`; negative if it falls."""
    low, high = _position(np.array([start, stop]), unit)
    return float(high - low)


def step_from(start: float, size: float, unit: StepUnit) -> float:
    """Return the frequency, in Hz, that is `size` (in `unit`) above `start` (Hz)."""
    return float(_frequency(_position(np.array([start]), unit) + size, unit)[0])


def equal_steps(start: float, stop: float, steps: int, unit: StepUnit) -> NDArray[np.float64]:
    """Return the frequencies of `steps` equal steps in `unit`, shape (steps + 1,), Hz.

    SettingsError if there is no step, or a frequency is not positive.
    """
    check_whole("steps", steps, 1)
    low, high = _position(np.array([start, stop]), unit)
    return _frequency(np.linspace(low, high, steps + 1), unit)


def _position(frequency: NDArray[np.float64], unit: StepUnit) -> NDArray[np.float64]:
    """Map frequencies to the scale on which steps of `unit` are equal; mel is by HTK's formula."""
    check_choice("step unit", unit, get_args(StepUnit))
    if not (frequency > 0).all():
        raise SettingsError(
            f"A tone of {numeral(frequency.min())} Hz is impossible: use a positive frequency."
        )
    if unit == "mel":
        return hz_to_mel(frequency)
    return 12 * np.log2(frequency / _A4_HZ) if unit == "semitones" else frequency


def _frequency(position: NDArray[np.float64], unit: StepUnit) -> NDArray[np.float64]:
    if unit == "mel":
        return mel_to_hz(position)
    return _A4_HZ * 2 ** (position / 12) if unit == "semitones" else position


def a_weighting(frequency: ArrayLike) -> NDArray[np.float64]:
    """Return the A-weighting of frequencies (IEC 61672-1), dB: how sensitive the ear is.

    It is 0 at 1 kHz and negative where the ear is less sensitive to quiet tones.
    """
    f2 = np.asarray(frequency, dtype=np.float64) ** 2
    response = (12194.217**2 * f2**2) / (
        (f2 + 20.598997**2)
        * np.sqrt((f2 + 107.65265**2) * (f2 + 737.86223**2))
        * (f2 + 12194.217**2)
    )
    return 20 * np.log10(response) + 2.0


def melody(
    frequencies: Sequence[float] | NDArray[np.float64],
    *,
    tone_seconds: float = 0.6,
    gap_seconds: float = 0.1,
    even_with: Sequence[float] | NDArray[np.float64] = (),
    sample_rate: int = SAMPLE_RATE,
) -> Samples:
    """Return pure tones in sequence, at a safe level.

    Parameters
    ----------
    frequencies : sequence of float, Hz
    tone_seconds, gap_seconds : float, s; the tone at least 0.05, the gap at least 0
    even_with : sequence of float, Hz
        Other tones to be compared with these. Of all of them, those to which the ear is more
        sensitive are turned down (A-weighting, at most 15 dB), so that they differ in pitch and
        not in loudness.
    sample_rate : int, Hz

    Raises
    ------
    SettingsError
        A tone cannot be made at this sample rate, or is too short to be faded.
    """
    f = np.asarray(frequencies, dtype=np.float64)
    _check_playable(f, tone_seconds, sample_rate)
    check_number("The gap between tones", gap_seconds, 0, unit="s")
    faintest = a_weighting(np.concatenate([f, even_with])).min()
    levels = PEAK_DBFS - np.minimum(a_weighting(f) - faintest, _MAX_CUT_DB)
    time = np.arange(round(tone_seconds * sample_rate)) / sample_rate
    fade = _fade(len(time), sample_rate)
    gap = np.zeros(round(gap_seconds * sample_rate), np.float32)
    parts: list[Samples] = []
    for frequency, level in zip(f, levels, strict=True):
        wave = np.sin(2 * np.pi * frequency * time) * fade * 10 ** (level / 20)
        parts += [wave.astype(np.float32), gap]
    return np.concatenate(parts[: len(parts) - 1])


def glide(start: float, stop: float, seconds: float, *, sample_rate: int = SAMPLE_RATE) -> Samples:
    """Return a tone that rises or falls evenly in semitones, with a few overtones."""
    _check_playable(np.array([start, stop]), seconds, sample_rate)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    octaves = math.log2(stop / start) / seconds
    frequency = start * 2 ** (octaves * time)
    phase = 2 * np.pi * np.cumsum(frequency) / sample_rate
    wave = np.zeros_like(time)
    for harmonic in (1, 2, 3, 4):
        # Each overtone fades out before it would alias.
        room = np.clip((0.45 * sample_rate - harmonic * frequency) / 500, 0, 1)
        wave += room * np.sin(harmonic * phase) / harmonic**1.5
    return _finished(wave, sample_rate)


def chord(
    frequencies: Sequence[float], seconds: float, *, sample_rate: int = SAMPLE_RATE
) -> Samples:
    """Return notes with eight overtones each, which enter in turn and are held to the end."""
    _check_playable(np.asarray(frequencies, dtype=np.float64), seconds, sample_rate)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = np.zeros_like(time)
    for number, frequency in enumerate(frequencies):
        entry = seconds * 0.5 * number / len(frequencies)
        attack = np.clip((time - entry) / 0.03, 0, 1)
        for harmonic in range(1, 9):
            if harmonic * frequency < 0.45 * sample_rate:
                wave += attack * np.sin(2 * np.pi * harmonic * frequency * time) / harmonic**1.2
    return _finished(wave, sample_rate)


def _finished(wave: NDArray[np.float64], sample_rate: int) -> Samples:
    """Fade both ends and set the peak to `PEAK_DBFS`."""
    wave = wave * _fade(len(wave), sample_rate)
    wave *= 10 ** (PEAK_DBFS / 20) / float(np.abs(wave).max())
    return wave.astype(np.float32)


def _fade(samples: int, sample_rate: int) -> NDArray[np.float64]:
    """An envelope of ones with raised-cosine ends that are exactly 0."""
    length = round(_FADE_SECONDS * sample_rate)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)
    envelope = np.ones(samples)
    envelope[:length] = ramp
    envelope[-length:] = ramp[::-1]
    return envelope


def _check_playable(f: NDArray[np.float64], seconds: float, sample_rate: int) -> None:
    check_number("The length of a tone", seconds, 0.05, unit="s")
    check_whole("sample_rate", sample_rate, 1)
    if not f.size:
        raise SettingsError("There is no tone to play: give at least one frequency.")
    if not (np.isfinite(f) & (f > 0) & (f < sample_rate / 2)).all():
        raise SettingsError(
            f"Tones from {numeral(f.min())} to {numeral(f.max())} Hz cannot be played: "
            f"use frequencies above 0 and below {numeral(sample_rate / 2)} Hz."
        )
