"""Music as phones, rooms, cables and coders leave it: drawn at random, for training.

Samples are mono float32 at `models.robustness.SAMPLE_RATE`, full scale 1.0, and keep their length.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from genrekit.audio.degradation import (
    Array,
    Curve,
    Degradation,
    as_loud_as,
    at_level,
    band_pass,
    compressed,
    degrade,
    filtered,
)
from models.loudspeaker import Peak, peaks_db, played
from models.robustness import SAMPLE_RATE, mp3_64k, phone_bandwidth

__all__ = [
    "PATHS",
    "SHARES",
    "VERSIONS",
    "equalised",
    "equaliser",
    "overloaded",
    "through_loudspeaker",
    "worsened",
]

Change = Callable[[Array, np.random.Generator], Array]


def equaliser(rng: np.random.Generator) -> Callable[[Curve], Curve]:
    """Return the gain at frequencies of a random equaliser: a tilt and three bands, +-9 dB."""
    peaks = [
        Peak(float(np.exp(rng.uniform(np.log(40), np.log(9000)))), rng.uniform(-9, 9), width)
        for width in rng.uniform(0.3, 1.5, 3)
    ]
    tilt = rng.uniform(-2, 2)  # dB per octave

    def gain(f: Curve) -> Curve:
        f = np.maximum(f, 20)
        decibels: Curve = tilt * np.log2(f / 1000) + peaks_db(f, peaks)
        return 10 ** (decibels / 20)

    return gain


def overloaded(samples: Array, rng: np.random.Generator) -> Array:
    """Record far too loud: 5 to 15 dB of hard clipping, often turned down again."""
    sound = equalised(samples, rng) if rng.random() < 0.3 else samples
    if rng.random() < 0.3:
        sound = sound / max(float(np.abs(sound).max()), 1e-4)
    clipped = at_level(sound, rng.uniform(5, 15))
    return at_level(clipped, rng.uniform(-15, 0)) if rng.random() < 0.5 else clipped


def through_loudspeaker(samples: Array, rng: np.random.Generator) -> Array:
    """Play by a random small loudspeaker in a random room, with a little noise."""
    return played(samples, SAMPLE_RATE, rng, rng.uniform(25, 50))


def worsened(samples: Array, rng: np.random.Generator) -> Array:
    """Apply a random chain: equaliser, one of six kinds of path, level with clipping, MP3."""
    sound = equalised(samples, rng) if rng.random() < 0.5 else samples
    kind = str(rng.choice(list(PATHS), p=SHARES))
    sound = PATHS[kind](sound, rng)
    if rng.random() < 0.75:
        sound = at_level(sound, rng.uniform(-20, 13))
    sound = at_level(sound, 0)
    return mp3_64k(sound) if kind == "MP3" or rng.random() < 0.08 else sound


def equalised(samples: Array, rng: np.random.Generator) -> Array:
    return as_loud_as(samples, filtered(samples, SAMPLE_RATE, equaliser(rng)))


def _unchanged(samples: Array, rng: np.random.Generator) -> Array:
    return samples


def _by_telephone(samples: Array, rng: np.random.Generator) -> Array:
    low, high = rng.uniform(200, 400), rng.uniform(2800, 4000)
    if rng.random() < 0.5:
        sound = phone_bandwidth(samples)
    else:
        sound = filtered(samples, SAMPLE_RATE, lambda f: band_pass(f, low, high))
    return as_loud_as(samples, sound) if rng.random() < 0.5 else sound


def _in_a_room(samples: Array, rng: np.random.Generator) -> Array:
    sound = played(samples, SAMPLE_RATE, rng, rng.uniform(20, 50))
    if rng.random() < 0.5:
        sound = as_loud_as(samples, compressed(sound, SAMPLE_RATE, rng.uniform(0.2, 1)))
    return sound


def _noisy(samples: Array, rng: np.random.Generator) -> Array:
    colour, seed = ("pink", "white")[rng.integers(2)], int(rng.integers(1 << 30))
    noise = Degradation(noise_db=rng.uniform(8, 40), noise_colour=colour, seed=seed)
    return degrade(samples, SAMPLE_RATE, noise)


def _muffled(samples: Array, rng: np.random.Generator) -> Array:
    limit = float(np.exp(rng.uniform(np.log(2500), np.log(9000))))
    return degrade(samples, SAMPLE_RATE, Degradation(low_pass_hz=limit))


PATHS: Final[dict[str, Change]] = {
    "none": _unchanged,
    "MP3": _unchanged,
    "telephone": _by_telephone,
    "room": _in_a_room,
    "noise": _noisy,
    "low-pass": _muffled,
}
SHARES: Final = (0.22, 0.2, 0.17, 0.2, 0.13, 0.08)

VERSIONS: Final[dict[str, Change]] = {
    "clean": _unchanged,
    "worsened": worsened,
    "worsened again": worsened,
    "worsened a third time": worsened,
    "overloaded": overloaded,
    "loudspeaker": through_loudspeaker,
}
"""The versions of each piece of music that a student is trained on, in this order."""
