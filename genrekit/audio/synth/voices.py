"""Notes and drum hits turned into sound, and the arithmetic that mixing shares with it."""

import math
import zlib
from typing import Any, Final

import numpy as np

from genrekit.audio.synth.instruments import DRUMS, WAVES, Timbre
from genrekit.audio.synth.notes import Artist

__all__ = ["NOTE_LEVEL", "add", "band_pass", "fast_length", "linear", "play_hit", "play_note"]

Array = np.ndarray[Any, np.dtype[Any]]

_TABLE: Final = 2048  # samples in a wavetable, one period of a tone
NOTE_LEVEL: Final = 0.1  # RMS of a note's loudest moment


def _wavetable(timbre: Timbre, hz: float, cutoff: float, sample_rate: int) -> Array:
    """One period, band-limited to 90% of the Nyquist frequency, at an arbitrary level."""
    k = np.arange(1, min(_TABLE // 2, max(2, int(0.45 * sample_rate / hz))))
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[k] = -1j * WAVES[timbre.wave](k) / (1 + (k * hz / cutoff) ** 2)
    table: Array = np.fft.irfft(spectrum).astype(np.float32)
    return table


def play_note(timbre: Timbre, pitch: int, hold: float, bright: float, sample_rate: int) -> Array:
    """Return one note that lasts `hold` seconds and then its release."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    samples = int((hold + timbre.release) * sample_rate)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    start = _wavetable(timbre, hz, timbre.start * bright, sample_rate)
    end = _wavetable(timbre, hz, timbre.end * bright, sample_rate)
    level = NOTE_LEVEL / max(start.std(), end.std())
    phase = np.arange(samples) * (_TABLE * hz / sample_rate)
    if timbre.vibrato:
        depth = timbre.vibrato / 1200 * math.log(2) * _TABLE * hz / (2 * math.pi * 5.3)
        phase += depth * np.sin(np.float32(2 * math.pi * 5.3) * time)
    # Fading from one spectrum to another sounds like a moving filter, for one look-up more.
    fade = np.exp(time / np.float32(-timbre.glide))
    sound = np.zeros(samples, np.float32)
    for cents in (timbre.detune, -timbre.detune) if timbre.detune else (0.0,):
        index = (phase * 2 ** (cents / 1200)).astype(np.int32) & (_TABLE - 1)
        sound += (level * end)[index] + fade * (level * (start - end))[index]
    sound *= timbre.sustain + (1 - timbre.sustain) * np.exp(time / np.float32(-timbre.decay))
    sound *= np.minimum(1, time / np.float32(timbre.attack))
    sound *= np.minimum(1, time[::-1] / np.float32(timbre.release))
    return sound


def play_hit(name: str, artist: Artist, sample_rate: int) -> Array:
    """Return one hit on the artist's own drum."""
    drum = DRUMS[name]
    rng = np.random.default_rng((*artist.seed, zlib.crc32(name.encode())))
    ring, decay = drum.ring * artist.drum_decay, drum.decay * artist.drum_decay
    time = np.arange(int((0.02 + 5 * max(ring, decay)) * sample_rate)) / sample_rate
    burst = np.exp(-time / decay)
    for clap in range(1, drum.bursts):
        since = time - 0.011 * clap
        burst = np.where(since < 0, np.exp(-((since % 0.011) / 0.004)), np.exp(-since / decay))
    noise = band_pass(rng.normal(size=len(time)) * burst, *drum.band, sample_rate)
    hit = drum.noise * noise / np.abs(noise).max()
    if ring:
        first, last = drum.pitch
        # The integral of a pitch that falls from first to last with a time constant of 30 ms.
        cycles = last * time + (first - last) * 0.03 * (1 - np.exp(-time / 0.03))
        hit += np.sin(2 * np.pi * artist.drum_pitch * cycles) * np.exp(-time / ring)
    hit *= np.minimum(1, time / drum.attack) * np.minimum(1, time[::-1] / 0.01)
    scaled: Array = (hit * (drum.peak / np.abs(hit).max())).astype(np.float32)
    return scaled


def add(bus: Array, sample: int, sound: Array, level: float) -> None:
    """Mix a sound into a bus from `sample` on; the end of the bus cuts it off."""
    space = max(0, len(bus) - sample)
    bus[sample : sample + len(sound)] += np.float32(level) * sound[:space]


def band_pass(audio: Array, low: float, high: float, sample_rate: int) -> Array:
    """Keep the frequencies from `low` to `high` in Hz, with slopes of 12 dB per octave."""
    size = fast_length(len(audio) + sample_rate // 50)  # room for the filter to ring
    hz = np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32)
    gain = hz**2 / (hz**2 + np.float32(low**2)) / (1 + (hz / np.float32(high)) ** 2)
    filtered: Array = np.fft.irfft(np.fft.rfft(audio, size) * gain, size)[: len(audio)]
    return filtered


def fast_length(samples: int) -> int:
    """Return a length of at least `samples` with small prime factors, for a fast FFT."""
    shift = max(0, samples.bit_length() - 4)
    return min(m << shift for m in (8, 9, 10, 12, 15, 16) if m << shift >= samples)


def linear(decibels: float) -> np.float32:
    """Convert decibels to a factor."""
    return np.float32(10 ** (decibels / 20))
