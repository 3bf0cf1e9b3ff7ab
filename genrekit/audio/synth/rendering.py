"""Music rendered from a style, an artist and a seed, with NumPy alone.

The artist decides the sound (timbres, tempo, key, mix, room), the seed decides the notes. So the
tracks of one artist resemble each other: a split by track flatters a classifier, a split by
artist does not, and generated data can show that leak.

Audio is mono float32 in [-1, 1], shape (samples,). Time is in seconds, frequency in Hz, pitch in
MIDI note numbers (69 is 440 Hz), level in dB, a position in a bar in [0, 1).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from genrekit.audio.synth.chart import STYLES, Part, styles
from genrekit.audio.synth.instruments import TIMBRES
from genrekit.audio.synth.notes import Artist, Song, compose, make_artist, pitches
from genrekit.audio.synth.voices import (
    NOTE_LEVEL,
    add,
    band_pass,
    fast_length,
    linear,
    play_hit,
    play_note,
)
from genrekit.ranges import check_choice, check_number, check_whole

__all__ = ["check_clip", "render"]

Array = np.ndarray[Any, np.dtype[Any]]


def render(
    style: str, *, seed: int, artist: int = 0, seconds: float = 9.0, sample_rate: int = 22050
) -> Array:
    """Render one clip of generated music; equal arguments give equal bytes.

    Parameters
    ----------
    style : str
        One of `STYLES`.
    seed : int, >= 0
        Decides the notes: form, progression, patterns, melody.
    artist : int, >= 0
        Decides the sound: timbres, tempo, key, drum kit, mix, room.
    seconds : float, in [0.1, 600]
        Length of the clip, s.
    sample_rate : int, in [8000, 96000]
        Hz.

    Returns
    -------
    np.ndarray, shape (round(seconds * sample_rate),), float32
        Mono, in [-1, 1]: its peak is between -2.5 and -1.2 dBFS, its ends are faded over 10 ms.

    Raises
    ------
    SettingsError
        If the style is unknown or a number is out of its range.

    Examples
    --------
    >>> genrekit.render("jazz", seed=1, seconds=2).shape
    (44100,)
    """
    check_clip(style, seed=seed, artist=artist, seconds=seconds, sample_rate=sample_rate)
    player = make_artist(style, artist)
    song = compose(styles()[style], player, seed, round(seconds * sample_rate), sample_rate)
    dry = _play_drums(song, player)
    wet = np.float32(0.1) * dry
    for number, part in enumerate(song.style.parts):
        bus = _play_part(song, player, number)
        dry += bus
        wet += np.float32(part.send) * bus
    return _master(dry, wet, player, sample_rate)


def check_clip(style: str, *, seed: int, artist: int, seconds: float, sample_rate: int) -> None:
    """Raise SettingsError if `render` would."""
    check_choice("style", style, STYLES)
    check_whole("seed", seed, 0)
    check_whole("artist", artist, 0)
    check_number("seconds", seconds, 0.1, 600, "s")
    check_whole("sample_rate", sample_rate, 8000, 96_000, "Hz")


def _play_drums(song: Song, artist: Artist) -> Array:
    bus = np.zeros(song.samples, np.float32)
    for player, (name, patterns) in enumerate(song.style.drums):
        hit = play_hit(name, artist, song.sample_rate)
        for event in song.events(patterns, player):
            add(bus, event.sample, hit, _loudness(event.symbol))
    return bus * linear(song.style.drum_gain + artist.balance[-1] - 6)


def _play_part(song: Song, artist: Artist, player: int) -> Array:
    part, timbre = song.style.parts[player], TIMBRES[artist.timbres[player]]
    bus = np.zeros(song.samples, np.float32)
    notes: dict[tuple[int, float], Array] = {}  # most are repeated
    melodies: dict[int, Iterator[int]] = {}
    for event in song.events(part.patterns, 100 + player):
        if event.symbol == "?":
            if event.bar not in melodies:
                melodies[event.bar] = song.melody(part.low, event.bar)
            tones = [next(melodies[event.bar])]
        else:
            chord = song.chord(event.bar, event.position)
            following = song.chord(event.bar, event.position + event.length)
            tones = pitches(event.symbol, part.low, chord, following)
        for pitch in tones:
            key = (pitch, event.length)
            if key not in notes:
                hold = 0.9 * event.length * song.bar_seconds
                notes[key] = play_note(timbre, pitch, hold, artist.bright, song.sample_rate)
            add(bus, event.sample, notes[key], _loudness(event.symbol) / len(tones) ** 0.5)
    return _effects(bus, part, song) * linear(part.gain + artist.balance[player])


def _effects(bus: Array, part: Part, song: Song) -> Array:
    """Distortion through a guitar cabinet, then three echoes a dotted eighth apart."""
    if part.drive:
        distorted = np.tanh(bus * np.float32(part.drive / NOTE_LEVEL)) * np.float32(NOTE_LEVEL)
        bus = band_pass(distorted, 60, 3800, song.sample_rate)
    if part.echo:
        delay = int(0.75 * song.bar_seconds / song.style.beats * song.sample_rate)
        source = bus.copy()
        for repeat in (1, 2, 3):
            add(bus, repeat * delay, source, part.echo**repeat)
    return bus


def _master(dry: Array, wet: Array, artist: Artist, sample_rate: int) -> Array:
    """Add the room, equalise, limit gently, set the level and fade the ends."""
    # The room's impulse response is noise that decays by 60 dB.
    time = np.arange(int(artist.room * sample_rate), dtype=np.float32) / sample_rate
    room = np.random.default_rng(artist.seed).standard_normal(len(time), np.float32)
    room *= np.exp(time * np.float32(-6.9 / artist.room))
    room *= np.float32(artist.wet) / np.linalg.norm(room)
    size = fast_length(len(dry) + len(room))
    hz = np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32)
    low, middle, high = artist.tone
    decibels = low / (1 + (hz / 200) ** 2) + high * hz**2 / (hz**2 + np.float32(4000**2))
    decibels += middle * np.exp(-(np.log2((hz + 1) / np.float32(artist.middle)) ** 2))
    curve = 10 ** (decibels / 20) * hz**2 / (hz**2 + 900)  # nothing below 30 Hz
    spectrum = np.fft.rfft(wet, size) * np.fft.rfft(room, size) / (1 + (hz / 3000) ** 2)
    mix = np.fft.irfft((spectrum + np.fft.rfft(dry, size)) * curve, size)[: len(dry)]
    mix = np.tanh(mix * np.float32(0.25 / (mix.std() + 1e-9)))
    mix -= mix.mean()
    fade = np.minimum(1, np.arange(len(mix), dtype=np.float32) / np.float32(0.01 * sample_rate))
    mix *= fade * fade[::-1]
    mix *= linear(artist.peak) / (np.abs(mix).max() + np.float32(1e-9))
    return mix.astype(np.float32)


def _loudness(symbol: str) -> float:
    return {"X": 1.0, "o": 0.35}.get(symbol, 0.7)
