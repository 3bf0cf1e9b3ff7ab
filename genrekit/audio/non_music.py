"""Generated sounds that are not music: noise, tones, clicks, babble.

A genre classifier is confident even about a dial tone. Trained on such sounds with equal
probabilities for all genres, it learns to be unsure (outlier exposure: Hendrycks, Mazeika and
Dietterich 2019).

Audio is mono float32 in [-1, 1], shape (samples,).
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

__all__ = ["NON_MUSIC", "babble", "clicks", "noise", "render_non_music", "tones"]

Array = np.ndarray[Any, np.dtype[np.float32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
_PEAK: Final = 0.9
# Formants of five vowels in Hz, of a man's voice (Peterson and Barney 1952, rounded).
_VOWELS: Final = np.array(
    [[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240]],
    float,
)


def noise(rng: np.random.Generator, samples: int, sample_rate: int) -> Array:
    """Make noise of a random colour, band and slow swell: wind, hiss, rain, a fan."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / sample_rate)
    spectrum *= np.maximum(hz, 20) ** rng.uniform(-1.2, 0.3)
    if rng.random() < 0.5:
        low, high = np.sort(np.exp(rng.uniform(np.log(50), np.log(sample_rate / 2), 2)))
        spectrum *= 1 / (1 + (hz / (2 * high)) ** 4) / (1 + (low / np.maximum(2 * hz, 1)) ** 4)
    seconds = np.arange(samples) / sample_rate
    swell = rng.uniform(0, 0.9) * np.sin(
        2 * np.pi * rng.uniform(0.1, 3) * seconds + rng.uniform(0, 2 * np.pi)
    )
    return _levelled(np.fft.irfft(spectrum, samples) * (1 + swell))


def tones(rng: np.random.Generator, samples: int, sample_rate: int) -> Array:
    """Make one to four steady, gliding or pulsed tones with a little noise: alarms, hum."""
    seconds = np.arange(samples) / sample_rate
    sound = np.zeros(samples)
    for _ in range(rng.integers(1, 5)):
        hz = np.exp(rng.uniform(np.log(50), np.log(0.4 * sample_rate)))
        glide = rng.uniform(-0.5, 0.5) if rng.random() < 0.4 else 0.0
        phase = 2 * np.pi * hz * (seconds + glide * seconds**2 / 2 / max(seconds[-1], 1e-9))
        tone = np.sin(phase + rng.uniform(0, 2 * np.pi))
        if rng.random() < 0.4:
            tone *= (
                np.sin(2 * np.pi * rng.uniform(0.5, 8) * seconds + rng.uniform(0, 2 * np.pi)) > 0
            )
        if rng.random() < 0.3:
            tone = np.sign(tone)
        sound += rng.uniform(0.2, 1) * tone
    floor = 10 ** rng.uniform(-4, -1.5)
    return _levelled(sound + floor * rng.standard_normal(samples))


def clicks(rng: np.random.Generator, samples: int, sample_rate: int) -> Array:
    """Make short decaying bursts at random times with a little noise: knocks, keys, steps."""
    sound = 10 ** rng.uniform(-4, -2) * rng.standard_normal(samples)
    for start in rng.integers(0, samples, rng.integers(2, 40)):
        length = min(samples - start, int(sample_rate * rng.uniform(0.002, 0.08)) + 1)
        burst = rng.standard_normal(length) * np.exp(-6 * np.arange(length) / length)
        ring = np.sin(2 * np.pi * rng.uniform(100, 5000) * np.arange(length) / sample_rate)
        sound[start : start + length] += rng.uniform(0.3, 1) * burst * (1 + ring)
    return _levelled(sound)


def babble(rng: np.random.Generator, samples: int, sample_rate: int) -> Array:
    """Make speech without words: a gliding voice through moving formants, with pauses."""
    at = np.arange(0, samples, sample_rate // 100)  # the voice moves in steps of 10 ms
    syllables = int(samples / sample_rate * rng.uniform(3, 6)) + 2
    onsets = np.linspace(0, samples, syllables)
    stretch = rng.uniform(0.85, 1.3)  # a smaller head has higher formants
    vowels = _VOWELS[rng.integers(0, len(_VOWELS), syllables)] * stretch
    pitch = np.exp(rng.uniform(np.log(85), np.log(280)))
    melody = pitch * np.exp(rng.normal(0, 0.15, syllables) + np.linspace(0.1, -0.15, syllables))
    voice = _glottis(np.interp(np.arange(samples), onsets, melody), sample_rate, rng)
    loud = np.interp(at, onsets, rng.uniform(0.3, 1, syllables))
    beat = np.sin(np.pi * np.interp(at, onsets, np.arange(syllables))) ** 2
    pause = np.interp(at, onsets, rng.random(syllables) < 0.2) > 0.5
    envelope = np.interp(np.arange(samples), at, loud * (0.15 + beat) * ~pause)
    hiss = np.interp(np.arange(samples), at, (1 - beat) * (rng.random(len(at)) < 0.5))
    breath = np.diff(rng.standard_normal(samples + 1)) * hiss * rng.uniform(0.02, 0.15)
    spoken = _unit(_formants(voice * envelope, onsets, vowels, sample_rate))
    room = 10 ** rng.uniform(-4, -2) * rng.standard_normal(samples)
    return _levelled(spoken + breath + room)


NON_MUSIC: Final[dict[str, Callable[[np.random.Generator, int, int], Array]]] = {
    kind.__name__: kind for kind in (noise, tones, clicks, babble)
}


def render_non_music(count: int, samples: int, sample_rate: int, seed: int) -> Array:
    """Render sounds of all kinds, half of them speech-like, shape (count, samples)."""
    turns = (babble, noise, babble, tones, babble, clicks)
    rng = np.random.default_rng(seed)
    return np.stack([turns[i % len(turns)](rng, samples, sample_rate) for i in range(count)])


def _glottis(hz: Floats, sample_rate: int, rng: np.random.Generator) -> Floats:
    """A buzz at the given pitch that falls by about 12 dB per octave, with a little jitter."""
    wobble = 1 + 0.01 * np.sin(
        2 * np.pi * 5 * np.arange(len(hz)) / sample_rate + rng.uniform(0, 2 * np.pi)
    )
    phase = np.cumsum(hz * wobble) / sample_rate % 1
    pulse = np.where(phase < 0.6, phase**2 * (0.6 - phase), 0)
    return np.diff(pulse, prepend=pulse[:1])


def _formants(voice: Floats, onsets: Floats, vowels: Floats, sample_rate: int) -> Floats:
    """Filter the voice by three resonances that move from vowel to vowel."""
    size = 512
    step, window = size // 2, np.hanning(size + 1)[:-1]
    hz = np.fft.rfftfreq(size, 1 / sample_rate)[:, np.newaxis]
    padded = np.pad(voice, size)
    result = np.zeros(len(padded))
    for start in range(0, len(padded) - size, step):
        centres = np.array([np.interp(start - step, onsets, f) for f in vowels.T])
        gain = (1 / (1 + ((hz - centres) / (40 + 0.05 * centres)) ** 2)) @ np.array([1, 0.6, 0.3])
        frame = np.fft.rfft(padded[start : start + size] * window)
        result[start : start + size] += np.fft.irfft(frame * (gain + 0.003))
    return result[size:-size]


def _unit(sound: Floats) -> Floats:
    peak = np.abs(sound).max()
    return sound / peak if peak > 0 else sound


def _levelled(sound: Floats) -> Array:
    result: Array = (_PEAK * _unit(sound)).astype(np.float32)
    return result
