"""Scores made audible: FluidSynth plays each part alone, NumPy mixes them like a small studio.

Audio is float64, shape (samples, 2), at 44.1 kHz; full scale is 1.0.
"""

import io
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from examples.score import Mix, Part, Piece

__all__ = ["RATE_HZ", "encode", "loudness", "render"]

Array = NDArray[np.float64]

RATE_HZ: Final = 44_100
LOUDNESS_LUFS: Final = -16.0
# Below the -1 dBFS wanted: coding moves peaks.
CEILING: Final = 10 ** (-2.0 / 20)
STEM_LEVEL: Final = 0.1
TAIL_SECONDS: Final = 2.0
QUALITY: Final = 0.05


def render(piece: Piece, font: Path) -> Array:
    """The whole piece, mixed and brought to its loudness."""
    length = round((piece.seconds + TAIL_SECONDS) * RATE_HZ)
    dry, send = np.zeros((length, 2)), np.zeros((length, 2))
    for part in piece.parts:
        stem = shaped(played(piece, part, font)[:length], part.mix)
        dry[: len(stem)] += stem
        send[: len(stem)] += stem * decibels(part.mix.room)
    mixed = dry + fftconvolve(send, room(piece.decay), axes=0)[:length]
    return mastered(trimmed(mixed))


def played(piece: Piece, part: Part, font: Path) -> Array:
    """One part alone, as the synthesiser plays it: without its own reverb and chorus."""
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "part.mid"), Path(folder, "part.wav")
        score.write_bytes(piece.midi(part))
        subprocess.run(
            ["fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE_HZ),
             "-O", "float", "-T", "wav", "-F", sound, font, score],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        return soundfile.read(sound, always_2d=True)[0]


def shaped(stem: Array, mix: Mix) -> Array:
    """A part driven, filtered, put to its level and its place."""
    stem = stem * (1 / max(float(np.abs(stem).max()), 1e-9))
    if mix.drive:
        stem = np.tanh(stem * decibels(mix.drive))
    if mix.low_cut:
        stem = sosfilt(butter(2, mix.low_cut, "high", fs=RATE_HZ, output="sos"), stem, axis=0)
    if mix.high_cut < RATE_HZ / 2 - 3000:
        stem = sosfilt(butter(2, mix.high_cut, "low", fs=RATE_HZ, output="sos"), stem, axis=0)
    level = STEM_LEVEL * decibels(mix.gain) / max(loudest(stem), 1e-9)
    balance = np.array([min(1 - mix.pan, 1), min(1 + mix.pan, 1)])
    return stem * level * balance


def loudest(stem: Array) -> float:
    """The root mean square of a part where it is loud: the 90th percentile over 0.4 s."""
    power = uniform_filter1d((stem**2).mean(axis=1), round(0.4 * RATE_HZ))
    return float(np.sqrt(np.percentile(power, 90)))


def room(decay: float) -> Array:
    """The answer of a room to a click: noise that dies away in `decay` seconds, highs first."""
    chance = np.random.default_rng(1)
    time = np.arange(round(decay * RATE_HZ)) / RATE_HZ
    noise = chance.standard_normal((len(time), 2))
    dark = sosfilt(butter(1, 2500, "low", fs=RATE_HZ, output="sos"), noise, axis=0)
    fade = np.exp(-6.9 * time / decay)[:, None]
    answer = noise * 0.15 * fade**2 + dark * fade
    late = np.pad(answer, ((round(0.018 * RATE_HZ), 0), (0, 0)))
    late = sosfilt(butter(2, 180, "high", fs=RATE_HZ, output="sos"), late, axis=0)
    return late / np.sqrt((late**2).sum(axis=0))


def trimmed(sound: Array) -> Array:
    """Without silence at either end, and with a short fade there."""
    heard = np.flatnonzero(np.abs(sound).max(axis=1) > 1e-3 * np.abs(sound).max())
    sound = sound[max(heard[0] - 200, 0) : heard[-1] + 1].copy()
    fade = min(round(1.5 * RATE_HZ), len(sound))
    sound[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade))[:, None] ** 2
    return sound


def mastered(sound: Array) -> Array:
    """At the wanted loudness, with peaks held below the ceiling."""
    for _ in range(3):
        sound = limited(sound * decibels(LOUDNESS_LUFS - loudness(sound)))
    return sound


def limited(sound: Array) -> Array:
    """With its gain turned down smoothly around every peak that is above the ceiling."""
    window = round(0.008 * RATE_HZ)
    peaks = maximum_filter1d(np.abs(sound).max(axis=1), 2 * window + 1)
    gain = np.minimum(1, CEILING / np.maximum(peaks, 1e-9))
    return sound * uniform_filter1d(gain, window)[:, None]


def loudness(sound: Array) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770): K-weighted, and gated twice."""
    for numerator, denominator in (_shelf(1681.97, 3.99984, 0.70718), _high_pass(38.135, 0.50033)):
        sound = lfilter(numerator, denominator, sound, axis=0)
    block, hop = round(0.4 * RATE_HZ), round(0.1 * RATE_HZ)
    starts = range(0, max(len(sound) - block, 1), hop)
    power = np.array([(sound[at : at + block] ** 2).mean(axis=0).sum() for at in starts])
    power = power[power > 10 ** ((-70 + 0.691) / 10)]
    power = power[power > power.mean() / 10]
    return float(-0.691 + 10 * np.log10(power.mean()))


def _shelf(hz: float, gain_db: float, quality: float) -> tuple[Array, Array]:
    k, high = np.tan(np.pi * hz / RATE_HZ), 10 ** (gain_db / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    b = [
        high + middle * k / quality + k * k,
        2 * (k * k - high),
        high - middle * k / quality + k * k,
    ]
    return np.array(b) / a0, np.array([a0, 2 * (k * k - 1), 1 - k / quality + k * k]) / a0


def _high_pass(hz: float, quality: float) -> tuple[Array, Array]:
    k = np.tan(np.pi * hz / RATE_HZ)
    a0 = 1 + k / quality + k * k
    return np.array([1.0, -2, 1]), np.array([a0, 2 * (k * k - 1), 1 - k / quality + k * k]) / a0


def decibels(level: float) -> float:
    """The factor on an amplitude that a level in dB is."""
    return float(10 ** (level / 20))


def encode(sound: Array) -> bytes:
    """As Ogg Vorbis."""
    file: Any = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", RATE_HZ, 2, "VORBIS", format="OGG", compression_level=1 - QUALITY
    ) as target:
        for start in range(0, len(sound), RATE_HZ):  # the encoder fails on large blocks
            target.write(sound[start : start + RATE_HZ])
    return file.getvalue()
