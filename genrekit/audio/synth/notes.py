"""A chart turned into notes. The artist decides tempo and key, the seed decides the notes."""

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genrekit.audio.synth.chart import Chord, Style, styles

__all__ = ["Artist", "Event", "Song", "compose", "make_artist", "pitches"]


@dataclass(frozen=True, slots=True)
class Artist:
    """The traits shared by the tracks of one artist."""

    seed: tuple[int, int]
    tempo: float  # beats per minute
    key: int  # semitones above C
    bright: float  # factor on cutoffs
    drum_pitch: float  # factor
    drum_decay: float  # factor
    room: float  # reverberation time, s
    wet: float  # factor on sends
    tone: tuple[float, float, float]  # gain of the lows, of the middle, of the highs, dB
    middle: float  # Hz
    peak: float  # of a finished track, dBFS
    timbres: tuple[str, ...]  # one for each part
    balance: tuple[float, ...]  # dB, one for each part and the drums last


def make_artist(style: str, number: int) -> Artist:
    """Return the artist of a style with this number."""
    chart = styles()[style]
    seed = (zlib.crc32(style.encode()), number)
    rng = np.random.default_rng(seed)
    low, middle, high = rng.uniform((-6, -6, -9), (6, 6, 6))
    return Artist(
        seed=seed,
        tempo=rng.uniform(*chart.tempo),
        key=int(rng.integers(12)),
        bright=2 ** rng.uniform(-1, 1),
        drum_pitch=2 ** rng.uniform(-0.25, 0.25),
        drum_decay=2 ** rng.uniform(-0.6, 0.6),
        room=rng.uniform(0.4, 1.8),
        wet=2 ** rng.uniform(-1, 1),
        tone=(low, middle, high),
        middle=500 * 2 ** rng.uniform(0, 2.5),
        peak=rng.uniform(-2.5, -1.2),
        timbres=tuple(part.timbres[rng.integers(len(part.timbres))] for part in chart.parts),
        balance=tuple(rng.uniform(-4, 4, size=len(chart.parts) + 1)),
    )


@dataclass(frozen=True, slots=True)
class Event:
    """One symbol of a pattern at its time."""

    symbol: str
    bar: int
    position: float  # as written, in the bar
    length: float  # bars
    sample: int  # as played


@dataclass(frozen=True, slots=True)
class Song:
    """The plan of one track: its bars and their chords."""

    style: Style
    seed: tuple[int, int, int]
    key: int  # semitones above C
    samples: int
    sample_rate: int
    bar_seconds: float
    form: tuple[tuple[Chord, ...], ...]  # the chords of each bar
    first_bar: int  # a clip starts anywhere in the form, like an excerpt

    def chord(self, bar: int, position: float) -> Chord:
        """Return the chord at a position in bars, which may reach into later bars."""
        whole, part = divmod(position + 1e-9, 1)
        chords = self.form[(self.first_bar + bar + int(whole)) % len(self.form)]
        return tuple(self.key + tone for tone in chords[int(part * len(chords))])

    def events(self, patterns: tuple[str, ...], player: int) -> Iterator[Event]:
        """Yield a player's events in order."""
        rng = np.random.default_rng((*self.seed, player))
        idea, answer = rng.integers(len(patterns), size=2)
        for bar in range(math.ceil(self.samples / self.sample_rate / self.bar_seconds)):
            # Three bars of one idea, then another: the smallest phrase that is no loop.
            count = self.first_bar + bar
            measures = patterns[answer if count % 4 == 3 else idea].split("/")
            steps = measures[count % len(measures)]
            for event in re.finditer(r"[^-.]\.*", steps):
                position = event.start() / len(steps)
                late = self.style.swing / 16 * (len(steps) == 16 and event.start() % 2)
                seconds = (bar + position + late) * self.bar_seconds
                seconds += rng.normal() * self.style.loose
                sample = max(0, int(seconds * self.sample_rate))
                yield Event(event[0][0], bar, position, len(event[0]) / len(steps), sample)

    def melody(self, low: int, bar: int) -> Iterator[int]:
        """Yield a bar's pitches: a random walk on the scale that starts on a chord tone."""
        # The first and third of four bars share their walk: a motif returns over a new chord.
        motif = (0, 1, 0, 2)[(self.first_bar + bar) % 4]
        rng = np.random.default_rng((*self.seed, low, motif))
        reach = range(low, low + 17)
        ladder = [pitch for pitch in reach if (pitch - self.key) % 12 in self.style.scale]
        place = len(ladder) // 2
        tones = {tone % 12 for tone in self.chord(bar, 0)}
        yield min((p for p in reach if p % 12 in tones), key=lambda p: abs(p - ladder[place]))
        while True:
            place += rng.choice((-2, -1, -1, 1, 1, 2))
            place = min(max(place, 0), len(ladder) - 1)
            yield ladder[place]


def compose(style: Style, artist: Artist, seed: int, samples: int, sample_rate: int) -> Song:
    """Plan a track; the notes depend on the seed alone, tempo and key also on the artist."""
    song_seed = (artist.seed[0], 1, seed)
    rng = np.random.default_rng(song_seed)
    form = style.forms[rng.integers(len(style.forms))]
    return Song(
        style=style,
        seed=song_seed,
        key=artist.key + int(rng.choice((0, 0, 0, 5, 7))),
        samples=samples,
        sample_rate=sample_rate,
        bar_seconds=style.beats * 60 / (artist.tempo * rng.uniform(0.98, 1.02)),
        form=form,
        first_bar=int(rng.integers(len(form))),
    )


def pitches(symbol: str, low: int, chord: Chord, following: Chord) -> list[int]:
    """Return the MIDI pitches of a symbol, none far below `low`."""
    root = low + (chord[0] - low) % 12
    if symbol == "a":
        target = low + (following[0] - low) % 12
        return [target - 1 if target > low else target + 1]
    if symbol == "p":
        return [root, root + 7, root + 12]
    if symbol in "Xxo":
        # Close position, so that voices move little. A bass has the root of a five-note chord.
        return [low + (tone - low) % 12 for tone in chord[len(chord) > 4 :]]
    octave, tone = divmod(int(symbol), len(chord))
    return [root + 12 * octave + chord[tone] - chord[0]]
