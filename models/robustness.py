"""The fixed changes of sound on which a model's robustness is measured.

Each is a function from samples to samples, float32, shape (samples,), at `SAMPLE_RATE`.
"""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from genrekit.audio.decoder import load_audio
from genrekit.audio.degradation import (
    PHONE_BAND_HZ,
    SILENCE,
    Array,
    Curve,
    as_loud_as,
    at_level,
    band_pass,
    filtered,
    rms,
)
from genrekit.audio.encode import wav_bytes
from genrekit.audio.samples import usable_samples
from genrekit.errors import AudioError
from models.loudspeaker import played

__all__ = ["ROBUSTNESS", "SAMPLE_RATE"]

SAMPLE_RATE: Final = 22050
LATE_SECONDS: Final = 1.3
MP3_KILOBITS: Final = 64


def quieter(samples: Array) -> Array:
    """12 dB less: a quarter of the amplitude."""
    return at_level(usable_samples(samples), -12)


def louder(samples: Array) -> Array:
    """12 dB more, clipped hard at full scale: a recording level set far too high."""
    return at_level(usable_samples(samples), 12)


def mild_equaliser(samples: Array, seed: int = 0) -> Array:
    """Bass, treble and one middle band raised or lowered by 3 to 6 dB, as the seed decides.

    A low shelf at 200 Hz, a high shelf at 4000 Hz, and a peak one octave wide between 500 and
    2000 Hz. The mean power stays; peaks beyond full scale are clipped.
    """
    samples = usable_samples(samples)
    rng = np.random.default_rng(seed)
    low, high, middle = rng.choice((-1, 1), 3) * rng.uniform(3, 6, 3)
    centre = 500 * 4 ** rng.uniform()

    def curve(f: Curve) -> Curve:
        octaves = np.log2(np.maximum(f, 1) / centre)
        bass = low / (1 + (f / 200) ** 2)
        treble = high / (1 + (4000 / np.maximum(f, 1)) ** 2)
        decibels: Curve = bass + treble + middle * np.exp2(-((2 * octaves) ** 2))
        return 10 ** (decibels / 20)

    equalised = filtered(samples, SAMPLE_RATE, curve)
    return at_level(as_loud_as(samples, equalised), 0)


def phone_bandwidth(samples: Array) -> Array:
    """Only 300 to 3400 Hz, with slopes of 24 and 48 dB per octave: a telephone call."""
    samples = usable_samples(samples)
    return at_level(filtered(samples, SAMPLE_RATE, lambda f: band_pass(f, *PHONE_BAND_HZ)), 0)


def room_and_loudspeaker(samples: Array) -> Array:
    """Played by a small loudspeaker in a room and recorded again; most sounds in another room.

    Room, loudspeaker and noise, 35 dB below the music, are drawn at random. The sound's level, in
    tenths of a decibel, is the seed.
    """
    samples = usable_samples(samples)
    rng = np.random.default_rng(round(-200 * np.log10(max(rms(samples), SILENCE))) + 2**16)
    return played(samples, SAMPLE_RATE, rng, snr_db=35)


def late_start(samples: Array) -> Array:
    """Without the first 1.3 s, which moves all segments; a shorter sound stays as it is."""
    samples = usable_samples(samples)
    start = round(LATE_SECONDS * SAMPLE_RATE)
    return samples[start:].copy() if len(samples) > start else samples.copy()


def stereo_48k(samples: Array) -> Array:
    """Written to a 48 kHz, 16-bit stereo file with slightly different channels, and read back."""
    return _stereo_round_trip(usable_samples(samples), 48_000)


def stereo_44k(samples: Array) -> Array:
    """As `stereo_48k`, at 44.1 kHz."""
    return _stereo_round_trip(usable_samples(samples), 44_100)


def mp3_64k(samples: Array) -> Array:
    """Written to an MP3 file of constant 64 kbit/s, 22.05 kHz mono, and read back.

    Raises
    ------
    AudioError
        The audio library cannot write MP3.
    """
    return _same_length(load_audio(mp3_bytes(samples), SAMPLE_RATE), len(samples))


def mp3_bytes(samples: Array) -> bytes:
    """Return the MP3 file of `mp3_64k`, or raise its error."""
    import soundfile

    samples = usable_samples(samples)
    file = io.BytesIO()
    # libsndfile counts the constant rates of MPEG-2 from 160 kbit/s (0) down to 8 (1).
    compression = (160 - MP3_KILOBITS) / (160 - 8)
    try:
        soundfile.write(
            file,
            at_level(samples, 0),
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


ROBUSTNESS: Final[Mapping[str, Callable[[Array], Array]]] = MappingProxyType(
    {
        "12 dB quieter": quieter,
        "12 dB louder, clipped": louder,
        "bass and treble turned a little": mild_equaliser,
        "telephone band": phone_bandwidth,
        "room and small loudspeaker": room_and_loudspeaker,
        "cut 1.3 s later": late_start,
        "48 kHz stereo and back": stereo_48k,
        "44.1 kHz stereo and back": stereo_44k,
        "MP3 at 64 kbit/s and back": mp3_64k,
    }
)
"""The changes by the names that charts give them."""


def _stereo_round_trip(samples: Array, sample_rate: int) -> Array:
    """The right channel is 1 dB lower and one sample late, which the downmix cannot undo."""
    import soxr

    left = soxr.resample(samples, SAMPLE_RATE, sample_rate, quality="HQ")
    right = np.float32(10 ** (-1 / 20)) * np.concatenate([np.zeros(1, np.float32), left[:-1]])
    stereo = wav_bytes(np.stack([left, right[: len(left)]], axis=1), sample_rate)
    return _same_length(load_audio(io.BytesIO(stereo), SAMPLE_RATE), len(samples))


def _same_length(samples: Array, length: int) -> Array:
    """Cut or zero-padded at the end, for coders round to whole frames."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))
