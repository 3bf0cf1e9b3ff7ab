"""Tones for the ear: notes, steps, staircases, and the plain clips the demonstrations start from.

Frequencies are in Hz, durations in s, levels in dB re full scale (0 dBFS is a peak of 1.0).
Audio is float32, shape (samples,). Every tone starts and ends with a raised-cosine fade, so that
nothing clicks, and no sequence made here peaks above `PEAK_DBFS`.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.ranges import check_number, check_whole
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
    """The nearest note of the piano's scale (A4 = 440 Hz) and how far above it one is.

    Parameters
    ----------
    frequency : array_like, any shape, Hz, >= 0

    Returns
    -------
    names : ndarray of str, same shape; "A4" for 440 Hz, "" for 0 Hz, which is no pitch
    cents : ndarray, same shape, hundredths of a semitone in [-50, 50]; NaN for 0 Hz
    """
    f = np.asarray(frequency, dtype=np.float64)
    pitched = f > 0
    midi = _A4_MIDI + 12 * np.log2(np.where(pitched, f, _A4_HZ) / _A4_HZ)
    nearest = np.rint(midi).astype(np.int64)
    octave = (nearest // 12 - 1).astype(np.str_)
    names = np.where(pitched, np.char.add(_NAMES[nearest % 12], octave), "")
    return names, np.where(pitched, 100 * (midi - nearest), np.nan)


def note_frequency(midi: ArrayLike) -> NDArray[np.float64]:
    """Frequency of MIDI note numbers in equal temperament, Hz; 69 is 440 Hz."""
    return _A4_HZ * 2 ** ((np.asarray(midi, dtype=np.float64) - _A4_MIDI) / 12)


# -- steps ------------------------------------------------------------------------------------


def step_size(start: float, stop: float, unit: StepUnit, formula: MelFormula = "htk") -> float:
    """How large the step from `start` to `stop` (Hz) is, in `unit`; negative downwards."""
    low, high = _position(np.array([start, stop]), unit, formula)
    return float(high - low)


def step_from(start: float, size: float, unit: StepUnit, formula: MelFormula = "htk") -> float:
    """The frequency, in Hz, a step of `size` (in `unit`) above `start` (Hz)."""
    there = _position(np.array([start]), unit, formula) + size
    return float(_frequency(there, unit, formula)[0])


def equal_steps(
    start: float, stop: float, steps: int, unit: StepUnit, formula: MelFormula = "htk"
) -> NDArray[np.float64]:
    """A staircase of `steps` equal steps in `unit`.

    Parameters
    ----------
    start, stop : float, Hz, > 0
    steps : int, >= 1
    unit : "hz", "mel" or "semitones"

    Returns
    -------
    ndarray, shape (steps + 1,), Hz, from start to stop

    Raises
    ------
    SettingsError
        There is no step to take, or a frequency is not positive.
    """
    check_whole("steps", steps, 1)
    low, high = _position(np.array([start, stop]), unit, formula)
    stairs = _frequency(np.linspace(low, high, steps + 1), unit, formula)
    return np.asarray(stairs, dtype=np.float64)


def _position(
    frequency: NDArray[np.float64], unit: StepUnit, formula: MelFormula
) -> NDArray[np.float64]:
    """Where frequencies lie on the scale on which steps of `unit` are equal."""
    if not (frequency > 0).all():
        raise SettingsError(
            f"A tone of {numeral(frequency.min())} Hz cannot be heard: use a positive frequency."
        )
    if unit == "mel":
        return hz_to_mel(frequency, formula)
    if unit == "semitones":
        return 12 * np.log2(frequency / _A4_HZ)
    return _checked_unit(unit, frequency)


def _frequency(
    position: NDArray[np.float64], unit: StepUnit, formula: MelFormula
) -> NDArray[np.float64]:
    if unit == "mel":
        return mel_to_hz(position, formula)
    if unit == "semitones":
        return _A4_HZ * 2 ** (position / 12)
    return _checked_unit(unit, position)


def _checked_unit(unit: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if unit not in get_args(StepUnit):
        raise SettingsError(f'Unknown step unit "{unit}": use "hz", "mel" or "semitones".')
    return values


# -- sound ------------------------------------------------------------------------------------


def a_weighting(frequency: ArrayLike) -> NDArray[np.float64]:
    """How much fainter the ear takes a quiet tone than one of 1 kHz, in dB.

    Parameters
    ----------
    frequency : array_like, any shape, Hz, > 0

    Returns
    -------
    ndarray, same shape, dB; 0 at 1 kHz, negative where the ear is less sensitive

    Notes
    -----
    The A curve of IEC 61672-1.
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
    """Pure tones one after the other, at a safe level.

    Parameters
    ----------
    frequencies : sequence of float, Hz, > 0, below half the sample rate
    tone_seconds, gap_seconds : float, s; the tone at least 0.05, the gap at least 0
    even_with : sequence of float, Hz, > 0
        Other tones that will be compared with these. Of all of them, those to which the ear is
        more sensitive are turned down (A-weighting, at most 15 dB), so that pitch is compared and
        not loudness.
    sample_rate : int, Hz

    Returns
    -------
    ndarray, float32, shape (samples,); peak at most `PEAK_DBFS`

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
    """A tone rising (or falling) evenly in semitones, with a few overtones.

    Parameters
    ----------
    start, stop : float, Hz, > 0, below half the sample rate
    seconds : float, s, >= 0.05

    Returns
    -------
    ndarray, float32, shape (samples,); peak at most `PEAK_DBFS`
    """
    _check_playable(np.array([start, stop]), seconds, sample_rate)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    octaves = math.log2(stop / start) / seconds
    frequency = start * 2 ** (octaves * time)
    phase = 2 * np.pi * np.cumsum(frequency) / sample_rate
    wave = np.zeros_like(time)
    for harmonic in (1, 2, 3, 4):
        # An overtone leaves before it would fold back below half the sample rate.
        room = np.clip((0.45 * sample_rate - harmonic * frequency) / 500, 0, 1)
        wave += room * np.sin(harmonic * phase) / harmonic**1.5
    return _finished(wave, sample_rate)


def chord(
    frequencies: Sequence[float], seconds: float, *, sample_rate: int = SAMPLE_RATE
) -> Samples:
    """Notes with eight overtones each, entering one after the other and held to the end.

    Parameters
    ----------
    frequencies : sequence of float, Hz, > 0, below half the sample rate
    seconds : float, s, >= 0.05

    Returns
    -------
    ndarray, float32, shape (samples,); peak at most `PEAK_DBFS`
    """
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
    """Faded at both ends and brought to `PEAK_DBFS`."""
    wave = wave * _fade(len(wave), sample_rate)
    wave *= 10 ** (PEAK_DBFS / 20) / float(np.abs(wave).max())
    return wave.astype(np.float32)


def _fade(samples: int, sample_rate: int) -> NDArray[np.float64]:
    """An envelope of ones with raised-cosine ends that start and stop at exactly 0."""
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
