"""Music played by a small loudspeaker in a room, and recorded again: both drawn at random.

Samples are mono float32, shape (samples,), full scale 1.0. Frequencies are in Hz, lengths in m.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.degradation import (
    Array,
    Curve,
    Degradation,
    as_loud_as,
    degrade,
    filtered,
)

__all__ = ["Peak", "loudspeaker", "peaks_db", "played", "room_response"]

Floats = NDArray[np.float64]

_SPEED_OF_SOUND: Final = 343.0
_NEAREST: Final = 0.3
# Rooms and where the loudspeaker and the microphone stand in them, as parts of their size.
_SMALLEST, _LARGEST = (2.0, 2.0, 2.2), (9.0, 7.0, 3.5)
_FROM_THE_WALLS: Final = (0.1, 0.9)
_ABSORPTION: Final = (0.15, 0.6)
_REFLECTIONS: Final = 3  # pairs of them along each axis; beyond, the echo is diffuse
_DIFFUSE_SECONDS: Final = 0.02


class Peak(NamedTuple):
    """A resonance, or where negative a notch: `width` is its standard deviation in octaves."""

    hz: float
    db: float
    width: float


def played(samples: Array, sample_rate: int, rng: np.random.Generator, snr_db: float) -> Array:
    """Return music as a microphone hears it from a small loudspeaker in a room.

    The mean power stays, pink noise is added, and peaks beyond full scale are clipped.
    """
    echo, gain = room_response(rng, sample_rate), loudspeaker(rng)

    def curve(f: Curve) -> NDArray[np.inexact]:
        import scipy.fft

        spectrum: NDArray[np.inexact] = scipy.fft.rfft(echo, 2 * (len(f) - 1))
        return gain(f) * spectrum

    recorded = filtered(samples, sample_rate, curve, len(echo) / sample_rate + 0.1)
    noisy = Degradation(noise_db=snr_db, seed=int(rng.integers(1 << 30)))
    return degrade(as_loud_as(samples, recorded), sample_rate, noisy)


def room_response(rng: np.random.Generator, sample_rate: int) -> Array:
    """Return the impulse response of a random shoebox room, from its first sound on, peak 1.

    Early echoes come from image sources (Allen and Berkley 1979), all walls alike. A diffuse tail
    decays by 60 dB in the reverberation time of Sabine's formula, at most 1.2 s.
    """
    size = rng.uniform(_SMALLEST, _LARGEST)
    source, microphone = (size * rng.uniform(*_FROM_THE_WALLS, 3) for _ in range(2))
    absorption = rng.uniform(*_ABSORPTION)
    walls = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    decay = min(1.2, 0.161 * size.prod() / (absorption * walls))
    response = np.zeros(round(sample_rate * (decay + 0.1)))
    seconds = np.arange(len(response)) / sample_rate

    metres, hits = _images(size, source, microphone)
    arrives = np.round(metres / _SPEED_OF_SOUND * sample_rate).astype(int)
    heard = arrives < len(response)
    strength = (1 - absorption) ** (hits / 2) / np.maximum(metres, _NEAREST)
    np.add.at(response, arrives[heard], strength[heard])

    diffuse = rng.standard_normal(len(response)) * 10 ** (-3 * seconds / decay)
    diffuse *= response.max() * rng.uniform(0.02, 0.12)
    response += np.where(seconds > _DIFFUSE_SECONDS, diffuse, 0)
    response = response[np.flatnonzero(response)[0] :]
    return (response / np.abs(response).max()).astype(np.float32)


def _images(size: Floats, source: Floats, microphone: Floats) -> tuple[Floats, Floats]:
    """The distance of each image source, shape (k, k, k), and how often its sound hit a wall."""
    order = np.arange(-_REFLECTIONS, _REFLECTIONS + 1)
    places = np.concatenate(
        [2 * order * size[:, np.newaxis] + side * source[:, np.newaxis] for side in (1, -1)], axis=1
    )
    hits = np.concatenate([np.abs(2 * order), np.abs(2 * order - 1)])
    x, y, z = np.square(places - microphone[:, np.newaxis])
    metres = np.sqrt(x[:, np.newaxis, np.newaxis] + y[:, np.newaxis] + z)
    return metres, hits[:, np.newaxis, np.newaxis] + hits[:, np.newaxis] + hits


def loudspeaker(rng: np.random.Generator) -> Callable[[Curve], Curve]:
    """Return the gain at frequencies of a random small loudspeaker: no bass, a few resonances."""
    low, steepness = _log_uniform(rng, 80, 600), rng.uniform(1, 4)
    high = _log_uniform(rng, 3500, 11000)
    peaks = [
        Peak(_log_uniform(rng, 300, 6000), rng.uniform(-8, 8), rng.uniform(0.15, 0.8))
        for _ in range(4)
    ]

    def gain(f: Curve) -> Curve:
        f = np.maximum(f, 1)
        bass, treble = 1 + (low / f) ** (2 * steepness), 1 + (f / high) ** 4
        return 10 ** (peaks_db(f, peaks) / 20) / np.sqrt(bass * treble)

    return gain


def peaks_db(f: Curve, peaks: list[Peak]) -> Curve:
    """Return the summed gain of peaks, dB, at frequencies above 0."""
    octaves = np.log2(f)
    each = [db * np.exp(-0.5 * ((octaves - np.log2(hz)) / width) ** 2) for hz, db, width in peaks]
    total: Curve = np.sum(each, axis=0)
    return total


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
