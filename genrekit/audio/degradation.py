"""Sounds made worse on purpose: how much can a verdict bear?

`degrade` does what the sliders say: one `Degradation`, in the order in which sound meets it: what
the recording holds (low pass), the room and the phone it is heard through, the noise around
it, and last the recording level with its clipping. `ROBUSTNESS` names the fixed changes that a
model is measured against; each is a plain function from samples to samples at `SAMPLE_RATE`.

Samples are float32, mono, shape (samples,), full scale is 1.0. Levels are dB, frequencies Hz.
Filters have no delay: they scale each frequency by a curve, so nothing moves in time. Whatever
is random comes from a seed.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio, usable_samples
from genrekit.audio.encode import wav_bytes
from genrekit.errors import AudioError, SettingsError
from genrekit.ranges import check_number, check_whole

__all__ = [
    "ROBUSTNESS",
    "SAMPLE_RATE",
    "Degradation",
    "NoiseColour",
    "Transform",
    "degrade",
    "late_start",
    "louder",
    "mild_equaliser",
    "mp3_64k",
    "mp3_bytes",
    "noise",
    "phone_bandwidth",
    "quieter",
    "stereo_44k",
    "stereo_48k",
]

Array = NDArray[np.float32]
Curve = NDArray[np.floating]
Transform = Callable[[Array], Array]
NoiseColour = Literal["pink", "white"]

SAMPLE_RATE: Final = 22050
LATE_SECONDS: Final = 1.3
MP3_KILOBITS: Final = 64

_LEVEL_RANGE_DB: Final = (-40.0, 12.0)
_LOW_PASS_RANGE_HZ: Final = (300.0, 11025.0)
_NOISE_RANGE_DB: Final = (-20.0, 80.0)
_STEEPNESS: Final = 8  # Butterworth order: 48 dB an octave
# What a telephone carries: ITU-T G.712 names 300 to 3400 Hz.
_PHONE_BAND_HZ: Final = (300.0, 3400.0)
# A small loudspeaker and its case ring: centre in Hz, height in dB, width in octaves.
_PHONE_PEAKS: Final = ((950.0, 5.0, 0.5), (2300.0, 7.0, 0.4))
_ROOM_SECONDS: Final = 0.25  # until the echo is 60 dB down
_BLOCK_SECONDS: Final = 0.01  # the compressor's clock
_SILENCE: Final = 1e-9


@dataclass(frozen=True)
class Degradation:
    """What is done to a sound; the defaults do nothing.

    Attributes
    ----------
    level_db : float, dB, -40 to 12
        The recording level. What would pass full scale is clipped hard at ±1, as the converter
        of a digital recorder does: it knows no softer way.
    low_pass_hz : float or None, Hz, 300 to 11025
        Above it the sound falls by 48 dB an octave (3 dB at it). None, and anything from half
        the sample rate on, leaves all.
    noise_db : float or None, dB, -20 to 80
        Signal-to-noise ratio: how far the noise lies below the sound's mean power. None is off.
    noise_colour : "pink" (equal power in each octave, like rain or a fan) or "white" (in each Hz)
    phone : float, 0 to 1
        Heard through a phone, 0 not at all: a small room's echo, the band of a telephone with
        the ringing of a small loudspeaker, the levelling of loud and soft, a little noise.
    seed : int, >= 0, of the noise and the room

    Raises
    ------
    SettingsError
        When made: a value is outside its range.
    """

    level_db: float = 0.0
    low_pass_hz: float | None = None
    noise_db: float | None = None
    noise_colour: NoiseColour = "pink"
    phone: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high), unit in (
            ("level_db", _LEVEL_RANGE_DB, "dB"),
            ("low_pass_hz", _LOW_PASS_RANGE_HZ, "Hz"),
            ("noise_db", _NOISE_RANGE_DB, "dB"),
            ("phone", (0.0, 1.0), ""),
        ):
            value = getattr(self, name)
            optional = name in ("low_pass_hz", "noise_db")
            if not (value is None and optional):
                check_number(name, value, low, high, unit + ", or None" * optional)
        if self.noise_colour not in get_args(NoiseColour):
            raise SettingsError(f'Unknown noise "{self.noise_colour}": use pink or white.')
        check_whole("seed", self.seed, 0)


def degrade(samples: Array, sample_rate: float, stress: Degradation) -> Array:
    """The sound under stress, as long as before and in step with it.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,), full scale 1.0
    sample_rate : float, Hz
    stress : Degradation

    Returns
    -------
    ndarray, float32, same shape, in [-1, 1] unless `stress` does nothing; a copy

    Notes
    -----
    Noise is measured against the sound as it is after low pass and phone, and is there before
    the level is set: turning the level down does not change the signal-to-noise ratio.
    """
    samples = usable_samples(samples)
    result = samples.copy()
    if not len(samples) or stress == Degradation(
        noise_colour=stress.noise_colour, seed=stress.seed
    ):
        return result
    if stress.low_pass_hz is not None and stress.low_pass_hz < 0.5 * sample_rate:
        limit = stress.low_pass_hz
        result = _filtered(result, sample_rate, lambda f: _low_pass(f, limit))
    if stress.phone > 0:
        result = _through_a_phone(result, sample_rate, stress.phone, stress.seed)
    if stress.noise_db is not None:
        colour, seed = stress.noise_colour, stress.seed
        result = _with_noise(result, sample_rate, stress.noise_db, colour, seed)
    return _at_level(result, stress.level_db)


def noise(samples: int, sample_rate: float, colour: NoiseColour = "pink", seed: int = 0) -> Array:
    """Noise of mean power 1; pink falls by 3 dB an octave from 20 Hz on and is flat below.

    Returns
    -------
    ndarray, float32, shape (samples,)
    """
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
    return (sound / max(_rms(sound), _SILENCE)).astype(np.float32)


# -- the changes a model is measured against --------------------------------------------------


def quieter(samples: Array) -> Array:
    """12 dB softer: a quarter of the amplitude."""
    return _at_level(usable_samples(samples), -12)


def louder(samples: Array) -> Array:
    """12 dB louder, clipped hard at full scale: a recording level set far too high."""
    return _at_level(usable_samples(samples), 12)


def mild_equaliser(samples: Array, seed: int = 0) -> Array:
    """Bass, treble and one band between turned up or down by 3 to 6 dB, as the seed decides.

    A low shelf at 200 Hz, a high shelf at 4000 Hz, and a peak one octave wide between 500 and
    2000 Hz. Afterwards the mean power is the same as before; peaks beyond full scale are clipped.
    """
    samples = usable_samples(samples)
    rng = np.random.default_rng(seed)
    low, high, middle = rng.choice((-1, 1), 3) * rng.uniform(3, 6, 3)
    centre = 500 * 4 ** rng.uniform()

    def curve(f: Curve) -> Curve:
        octaves = np.log2(np.maximum(f, 1) / centre)
        bass = low / (1 + (f / 200) ** 2)
        treble = high / (1 + (4000 / np.maximum(f, 1)) ** 2)
        return _gain(bass + treble + middle * np.exp2(-((2 * octaves) ** 2)))

    return _clipped(_as_loud(_filtered(samples, SAMPLE_RATE, curve), samples))


def phone_bandwidth(samples: Array) -> Array:
    """Only 300 to 3400 Hz, 24 and 48 dB an octave steep: the band of a telephone call."""
    samples = usable_samples(samples)
    return _clipped(_filtered(samples, SAMPLE_RATE, lambda f: _band(f, *_PHONE_BAND_HZ)))


def late_start(samples: Array) -> Array:
    """Without the first 1.3 s, so that every segment is cut elsewhere; a short sound stays."""
    samples = usable_samples(samples)
    start = round(LATE_SECONDS * SAMPLE_RATE)
    return samples[start:].copy() if len(samples) > start else samples.copy()


def stereo_48k(samples: Array) -> Array:
    """Kept as a 48 kHz, 16-bit stereo file with channels a little unlike, and read back."""
    return _stereo_round_trip(usable_samples(samples), 48_000)


def stereo_44k(samples: Array) -> Array:
    """As `stereo_48k`, at 44.1 kHz."""
    return _stereo_round_trip(usable_samples(samples), 44_100)


def mp3_64k(samples: Array) -> Array:
    """Kept as an MP3 file of 64 kbit/s, constant, 22.05 kHz mono, and read back.

    Raises
    ------
    AudioError
        The audio library of this computer cannot write such an MP3.
    """
    return _same_length(load_audio(mp3_bytes(samples), SAMPLE_RATE), len(samples))


def mp3_bytes(samples: Array) -> bytes:
    """The MP3 file of `mp3_64k`.

    Raises
    ------
    AudioError
        As `mp3_64k`.
    """
    import soundfile

    samples = usable_samples(samples)
    file = io.BytesIO()
    # libsndfile counts the constant rates of MPEG-2 from 160 kbit/s (0) down to 8 (1).
    compression = (160 - MP3_KILOBITS) / (160 - 8)
    try:
        soundfile.write(
            file,
            _clipped(samples),
            SAMPLE_RATE,
            format="MP3",
            subtype="MPEG_LAYER_III",
            bitrate_mode="CONSTANT",
            compression_level=compression,
        )
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError):
        raise AudioError(
            "MP3 cannot be written here: install soundfile 0.13 or later, which brings a "
            "libsndfile with MP3."
        ) from None
    return file.getvalue()


ROBUSTNESS: Final[Mapping[str, Transform]] = MappingProxyType(
    {
        "12 dB quieter": quieter,
        "12 dB louder, clipped": louder,
        "bass and treble turned a little": mild_equaliser,
        "telephone band": phone_bandwidth,
        "cut 1.3 s later": late_start,
        "48 kHz stereo and back": stereo_48k,
        "44.1 kHz stereo and back": stereo_44k,
        "MP3 at 64 kbit/s and back": mp3_64k,
    }
)
"""Name of each change, in the words of a chart, and its function."""


# -- pieces -----------------------------------------------------------------------------------


def _rms(samples: Array) -> float:
    return float(np.sqrt(np.mean(np.square(samples), dtype=np.float64))) if len(samples) else 0.0


def _gain(db: Curve) -> Curve:
    return 10 ** (db / 20)


def _clipped(samples: Array) -> Array:
    return np.clip(samples, -1, 1).astype(np.float32)


def _at_level(samples: Array, db: float) -> Array:
    return _clipped(samples * np.float32(10 ** (db / 20)))


def _as_loud(samples: Array, original: Array) -> Array:
    """`samples` with the mean power of `original`."""
    return samples * np.float32(_rms(original) / max(_rms(samples), _SILENCE))


def _with_noise(
    samples: Array, sample_rate: float, snr_db: float, colour: NoiseColour, seed: int
) -> Array:
    level = np.float32(_rms(samples) * 10 ** (-snr_db / 20))
    return samples + level * noise(len(samples), sample_rate, colour, seed)


def _filtered(
    samples: Array,
    sample_rate: float,
    curve: Callable[[Curve], NDArray[np.inexact]],
    tail_seconds: float = 0.1,
) -> Array:
    """Each frequency scaled by `curve` of it; zeros after the end keep it from wrapping round."""
    import scipy.fft

    length = scipy.fft.next_fast_len(len(samples) + round(tail_seconds * sample_rate), real=True)
    spectrum = scipy.fft.rfft(samples, length)
    spectrum *= curve(np.fft.rfftfreq(length, 1 / sample_rate).astype(np.float32))
    result: Array = scipy.fft.irfft(spectrum, length)[: len(samples)]
    return result


def _low_pass(f: Curve, limit: float) -> Curve:
    """Butterworth's magnitude; 3 dB down at `limit`."""
    return 1 / np.sqrt(1 + (f / limit) ** (2 * _STEEPNESS))


def _band(f: Curve, low: float, high: float) -> Curve:
    rising = 1 / np.sqrt(1 + (low / np.maximum(f, 1)) ** _STEEPNESS)
    return rising * _low_pass(f, high)


def _through_a_phone(samples: Array, sample_rate: float, amount: float, seed: int) -> Array:
    """Room, loudspeaker band, levelling and noise, each by `amount`; the mean power stays."""
    import scipy.fft

    top = 0.5 * sample_rate
    low, high = (
        edge * (free / edge) ** (1 - amount)
        for edge, free in zip(_PHONE_BAND_HZ, (20.0, max(top, 3400.0)), strict=True)
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
        return echo * (_band(f, low, high) * _gain(np.asarray(peaks)))

    heard = _filtered(samples, sample_rate, curve, _ROOM_SECONDS + 0.1)
    levelled = _as_loud(_levelled(heard, sample_rate, amount), samples)
    return _with_noise(levelled, sample_rate, 60 - 30 * amount, "pink", seed + 1)


def _room(sample_rate: float, amount: float, seed: int) -> Array:
    """A small room's answer to a click: the click, then an echo that dies by 60 dB in 0.25 s.

    At `amount` 1 the echo has half the click's power.
    """
    count = max(2, round(_ROOM_SECONDS * sample_rate))
    echo = np.random.default_rng(seed).standard_normal(count)
    echo *= 10 ** (-3 * np.arange(count) / count)
    echo[: round(0.003 * sample_rate)] = 0  # the nearest wall is half a metre away
    echo *= amount * np.sqrt(0.5 / np.square(echo).sum())
    echo[0] = 1
    return echo.astype(np.float32)


def _levelled(samples: Array, sample_rate: float, amount: float) -> Array:
    """Loud parts made softer: up to 4 : 1 above 10 dB below the mean level.

    Turns down within 10 ms and lets go within about 0.2 s, as a phone's automatic level does.
    """
    size = max(1, round(_BLOCK_SECONDS * sample_rate))
    starts = np.arange(0, len(samples), size)
    power = np.add.reduceat(np.square(samples), starts) / size
    threshold = max(_rms(samples), _SILENCE) * 10 ** (-10 / 20)
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


def _stereo_round_trip(samples: Array, sample_rate: int) -> Array:
    """Up to `sample_rate`, to a stereo WAV file of 16 bits, and back the way a file is read.

    The right channel is 1 dB softer and one sample late, which the downmix cannot undo.
    """
    import soxr

    left = soxr.resample(samples, SAMPLE_RATE, sample_rate, quality="HQ")
    right = np.float32(10 ** (-1 / 20)) * np.concatenate([np.zeros(1, np.float32), left[:-1]])
    stereo = wav_bytes(np.stack([left, right[: len(left)]], axis=1), sample_rate)
    return _same_length(load_audio(io.BytesIO(stereo), SAMPLE_RATE), len(samples))


def _same_length(samples: Array, length: int) -> Array:
    """Cut or filled with zeros at the end: coders round to whole frames."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
