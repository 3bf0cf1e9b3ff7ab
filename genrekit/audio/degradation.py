"""Degrade a sound on purpose, to test how robust a verdict is.

`degrade` applies one `Degradation` in the order in which a recording meets its parts: low-pass
filter, room and phone, noise, and last the recording level with its clipping.

Samples are float32, mono, shape (samples,), full scale is 1.0. Levels are in dB, frequencies in Hz.
Filters scale each frequency by a curve and have no delay. Randomness comes from a seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.samples import usable_samples
from genrekit.ranges import check_choice, check_number, check_whole

__all__ = [
    "PHONE_BAND_HZ",
    "Degradation",
    "NoiseColour",
    "as_loud_as",
    "at_level",
    "band_pass",
    "compressed",
    "degrade",
    "filtered",
    "noise",
    "rms",
]

Array = NDArray[np.float32]
Curve = NDArray[np.floating]
NoiseColour = Literal["pink", "white"]

_LEVEL_RANGE_DB: Final = (-40.0, 12.0)
_LOW_PASS_RANGE_HZ: Final = (300.0, 11025.0)
_NOISE_RANGE_DB: Final = (-20.0, 80.0)
_STEEPNESS: Final = 8  # Butterworth order: 48 dB per octave
# The band of a telephone call (ITU-T G.712).
PHONE_BAND_HZ: Final = (300.0, 3400.0)
# Resonances of a small loudspeaker and its case: centre in Hz, height in dB, width in octaves.
_PHONE_PEAKS: Final = ((950.0, 5.0, 0.5), (2300.0, 7.0, 0.4))
_ROOM_SECONDS: Final = 0.25  # until the echo has decayed by 60 dB
_BLOCK_SECONDS: Final = 0.01  # of the compressor
SILENCE: Final = 1e-9


@dataclass(frozen=True)
class Degradation:
    """The settings of a degradation; SettingsError if a value is out of range.

    The defaults change nothing.

    Attributes
    ----------
    level_db : float, dB, -40 to 12
        The recording level. Beyond full scale the sound is clipped hard.
    low_pass_hz : float or None, Hz, 300 to 11025
        Cutoff (-3 dB) of a filter with 48 dB per octave. None, and any value from half the sample
        rate on, is off.
    noise_db : float or None, dB, -20 to 80
        Signal-to-noise ratio, relative to the sound's mean power. None is off.
    noise_colour : "pink" (equal power per octave, like rain or a fan) or "white" (per Hz)
    phone : float, 0 to 1
        Amount of playback through a phone: the echo of a small room, the band of a telephone, the
        resonances of a small loudspeaker, compression, a little noise.
    seed : int, >= 0, of the noise and the room

    Examples
    --------
    >>> genrekit.Degradation(phone=1.0).level_db
    0.0
    """

    level_db: float = 0.0
    low_pass_hz: float | None = None
    noise_db: float | None = None
    noise_colour: NoiseColour = "pink"
    phone: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("level_db", self.level_db, *_LEVEL_RANGE_DB, "dB")
        if self.low_pass_hz is not None:
            check_number("low_pass_hz", self.low_pass_hz, *_LOW_PASS_RANGE_HZ, "Hz, or None")
        if self.noise_db is not None:
            check_number("noise_db", self.noise_db, *_NOISE_RANGE_DB, "dB, or None")
        check_number("phone", self.phone, 0, 1)
        check_choice("noise", self.noise_colour, get_args(NoiseColour))
        check_whole("seed", self.seed, 0)


def degrade(samples: Array, sample_rate: float, degradation: Degradation) -> Array:
    """Return a degraded copy of the same length, in [-1, 1] unless nothing is changed.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,), full scale 1.0
    sample_rate : float, Hz
    degradation : Degradation

    Notes
    -----
    The noise is relative to the sound after low pass and phone, and is added before the level is
    set: so the level does not change the signal-to-noise ratio.

    Examples
    --------
    >>> sound = genrekit.render("jazz", seed=1, seconds=2)
    >>> call = genrekit.degrade(sound, 22050, genrekit.Degradation(phone=1.0))
    >>> call.shape == sound.shape
    True
    """
    samples = usable_samples(samples)
    result = samples.copy()
    limit, noise_db, seed = degradation.low_pass_hz, degradation.noise_db, degradation.seed
    unchanged = Degradation(noise_colour=degradation.noise_colour, seed=seed)
    if not len(samples) or degradation == unchanged:
        return result
    if limit is not None and limit < 0.5 * sample_rate:
        result = filtered(result, sample_rate, lambda f: _low_pass(f, limit))
    if degradation.phone > 0:
        result = _through_phone(result, sample_rate, degradation.phone, seed)
    if noise_db is not None:
        result = _add_noise(result, sample_rate, noise_db, degradation.noise_colour, seed)
    return at_level(result, degradation.level_db)


def noise(samples: int, sample_rate: float, colour: NoiseColour = "pink", seed: int = 0) -> Array:
    """Return noise of mean power 1; pink falls by 3 dB per octave and is flat below 20 Hz."""
    import scipy.fft

    rng = np.random.default_rng(seed)
    if samples < 1:
        return np.zeros(0, np.float32)
    if colour == "white":
        sound = rng.standard_normal(samples, np.float32)
    else:
        length = scipy.fft.next_fast_len(samples, real=True)
        frequencies = np.fft.rfftfreq(length, 1 / sample_rate).astype(np.float32)
        spectrum = rng.standard_normal((len(frequencies), 2), np.float32).view(np.complex64)[:, 0]
        spectrum /= np.sqrt(np.maximum(frequencies, 20))
        sound = scipy.fft.irfft(spectrum, length)[:samples]
    return (sound / max(rms(sound), SILENCE)).astype(np.float32)


def rms(samples: Array) -> float:
    """Return the root mean square; 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64))) if len(samples) else 0.0


def at_level(samples: Array, db: float) -> Array:
    """Amplify by `db` and clip at full scale."""
    return np.clip(samples * np.float32(10 ** (db / 20)), -1, 1).astype(np.float32)


def as_loud_as(reference: Array, samples: Array) -> Array:
    """Return `samples` at the mean power of `reference`, not clipped."""
    return samples * np.float32(rms(reference) / max(rms(samples), SILENCE))


def filtered(
    samples: Array,
    sample_rate: float,
    curve: Callable[[Curve], NDArray[np.inexact]],
    tail_seconds: float = 0.1,
) -> Array:
    """Scale each frequency by `curve` of it; zeros after the end prevent wrap-around."""
    import scipy.fft

    length = scipy.fft.next_fast_len(len(samples) + round(tail_seconds * sample_rate), real=True)
    spectrum = scipy.fft.rfft(samples, length)
    spectrum *= curve(np.fft.rfftfreq(length, 1 / sample_rate).astype(np.float32))
    result: Array = scipy.fft.irfft(spectrum, length)[: len(samples)]
    return result


def band_pass(f: Curve, low: float, high: float) -> Curve:
    """Return the gain of a band-pass filter at the frequencies `f`; -3 dB at both edges."""
    rising = 1 / np.sqrt(1 + (low / np.maximum(f, 1)) ** _STEEPNESS)
    return rising * _low_pass(f, high)


def _low_pass(f: Curve, limit: float) -> Curve:
    """Butterworth's magnitude; 3 dB down at `limit`."""
    return 1 / np.sqrt(1 + (f / limit) ** (2 * _STEEPNESS))


def _add_noise(
    samples: Array, sample_rate: float, snr_db: float, colour: NoiseColour, seed: int
) -> Array:
    level = np.float32(rms(samples) * 10 ** (-snr_db / 20))
    return samples + level * noise(len(samples), sample_rate, colour, seed)


def _through_phone(samples: Array, sample_rate: float, amount: float, seed: int) -> Array:
    """Room, loudspeaker, compression and noise, each by `amount`; the mean power stays."""
    import scipy.fft

    top = 0.5 * sample_rate
    low, high = (
        edge * (free / edge) ** (1 - amount)
        for edge, free in zip(PHONE_BAND_HZ, (20.0, max(top, 3400.0)), strict=True)
    )
    room = _room(sample_rate, amount, seed)

    def curve(f: Curve) -> NDArray[np.inexact]:
        octaves = np.log2(np.maximum(f, 1))
        peaks = sum(
            amount * height * np.exp(-0.5 * ((octaves - np.log2(centre)) / width) ** 2)
            for centre, height, width in _PHONE_PEAKS
        )
        length = 2 * (len(f) - 1)
        echo: NDArray[np.inexact] = scipy.fft.rfft(room, length)
        return echo * (band_pass(f, low, high) * 10 ** (np.asarray(peaks) / 20))

    played = filtered(samples, sample_rate, curve, _ROOM_SECONDS + 0.1)
    loud = as_loud_as(samples, compressed(played, sample_rate, amount))
    return _add_noise(loud, sample_rate, 60 - 30 * amount, "pink", seed + 1)


def _room(sample_rate: float, amount: float, seed: int) -> Array:
    """The impulse response of a small room: a click, then an echo with up to half its power."""
    count = max(2, round(_ROOM_SECONDS * sample_rate))
    echo = np.random.default_rng(seed).standard_normal(count)
    echo *= 10 ** (-3 * np.arange(count) / count)
    echo[: round(0.003 * sample_rate)] = 0  # the nearest wall is half a metre away
    echo *= amount * np.sqrt(0.5 / np.square(echo).sum())
    echo[0] = 1
    return echo.astype(np.float32)


def compressed(samples: Array, sample_rate: float, amount: float) -> Array:
    """Compress dynamics by up to 4 : 1, at an amount of 1, above 10 dB below the mean level.

    Attack 10 ms, release about 0.2 s, as in a phone's automatic gain control.
    """
    size = max(1, round(_BLOCK_SECONDS * sample_rate))
    starts = np.arange(0, len(samples), size)
    power = np.add.reduceat(np.square(samples), starts) / size
    threshold = max(rms(samples), SILENCE) * 10 ** (-10 / 20)
    over_db = 10 * np.log10(np.maximum(power / threshold**2, 1))
    held, release = np.empty(len(over_db)), np.exp(-_BLOCK_SECONDS / 0.2)
    last = 0.0
    for i, db in enumerate(over_db.tolist()):
        last = max(db, last * release)
        held[i] = last
    gain = 10 ** (-(1 - 1 / (1 + 3 * amount)) * held / 20)
    positions = np.arange(len(samples), dtype=np.float32)
    smooth = np.interp(positions, starts + size / 2, gain).astype(np.float32)
    return samples * smooth
