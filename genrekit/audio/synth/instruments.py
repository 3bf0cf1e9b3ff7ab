"""Instruments of the generated music, as instruments.toml describes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from genrekit.system.records import read_toml

__all__ = ["DRUMS", "TIMBRES", "WAVES", "Drum", "Timbre"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Timbre:
    """A pitched instrument; times in s, cutoffs in Hz, detune and vibrato in cents."""

    wave: str
    start: float
    end: float
    glide: float
    attack: float
    decay: float
    sustain: float
    release: float
    detune: float = 0.0
    vibrato: float = 0.0


@dataclass(frozen=True, slots=True)
class Drum:
    """A percussion instrument; times in s, frequencies in Hz."""

    peak: float
    pitch: tuple[float, float] = (0.0, 0.0)
    ring: float = 0.0
    noise: float = 1.0
    band: tuple[float, float] = (1000.0, 5000.0)
    decay: float = 0.01
    attack: float = 0.0005
    bursts: int = 1


_DATA: Final = read_toml(__file__)
TIMBRES: Final = {name: Timbre(**values) for name, values in _DATA["timbres"].items()}
DRUMS: Final = {name: Drum(**values) for name, values in _DATA["drums"].items()}

# Amplitude of the harmonics k = 1, 2, ... The sine of k is a string plucked off its middle.
WAVES: Final[Mapping[str, Callable[[Array], Array]]] = {
    "bell": lambda k: np.isin(k, (1, 4, 10)) / k**0.8,
    "choir": lambda k: np.exp(-(((k - 2) / 1.7) ** 2)) + 0.1 * np.exp(-(((k - 8) / 2) ** 2)),
    "flute": lambda k: np.exp(-1.1 * k),
    "organ": lambda k: np.isin(k, (1, 2, 3, 4, 8)) / np.sqrt(k),
    "piano": lambda k: k**-1.3,
    "pluck": lambda k: np.abs(np.sin(np.pi * k / 4.3)) / k,
    "pulse": lambda k: np.abs(np.sin(np.pi * k / 4)) / k,
    "saw": lambda k: 1 / k,
    "sine": lambda k: 1.0 * (k == 1),
    "square": lambda k: (k % 2) / k,
    "tine": lambda k: (k == 1) + 0.3 * (k == 2) + 0.12 * (k == 3) + 0.15 * (k == 13),
    "triangle": lambda k: (k % 2) / k**2,
}
