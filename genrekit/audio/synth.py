"""Generated mini-genres: music to demonstrate and test with, made with NumPy alone.

A style is data, written as a chart (`_CHARTS`). One sequencer (`_Song.events`) turns the chart
into notes; one pitched voice (`_note`) and one drum voice (`_hit`) turn notes into sound. The
artist decides the sound (timbres, tempo, key, mix, room), the seed decides the notes. So tracks
of one artist resemble each other: a split by track flatters a classifier, a split by artist does
not, and generated data can show that leak.

Conventions: audio is mono float32 in [-1, 1], shape (samples,). Time is in seconds, frequency in
Hz, pitch in MIDI note numbers (69 is 440 Hz), level in dB, a position in a bar in [0, 1).

Charts: a blank line parts two styles. The first line has the name, then options of `_Style`. The
second has the forms, parted by `;`, a chord for each bar (a comma shares a bar), written where
the scale starts on C: a minor song on the major scale is in A minor. Then comes one line for each
drum (name | patterns) and each part (timbres | low gain send drive echo | patterns). Patterns
parted by spaces are alternatives, one chosen by the seed; `/` parts the bars of one. A bar is
divided evenly among its characters:

    - rest                                   . hold the note before
    X x o  loud, medium, soft hit or chord   p power chord     ? melody note
    0 1 2  chord tone counted from the root  a approach, a semitone beside the next root
"""

import csv
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from genrekit.errors import GenreKitError, SettingsError
from genrekit.ranges import check_number, check_whole
from genrekit.system.processes import check_workers, compute_in_order
from genrekit.system.remote import local_path

__all__ = ["STYLES", "render", "write_demo_dataset"]

_Array = np.ndarray[Any, np.dtype[Any]]

_CHARTS = """
ambient tempo=56-76 scale=pentatonic
Cmaj9 Am9 Fmaj9 Gsus2; Am9 Fmaj9 Cmaj9 Gsus4; Fmaj9 Fmaj9 Em7 Am9
pad choir                 | 52  0 0.8         | x............... x.......x.......
choir strings pad         | 60 -7 0.9         | 0......................1........
sub                       | 33 -6 0.1         | 0..............-
bell vibes                | 72 -4 0.9 0 0.5   | --?-----?-----?- ?---------?--- ------?---?-----

blues tempo=84-122 scale=blues loose=0.008
C7 C7 C7 C7 F7 F7 C7 C7 G7 F7 C7 G7; C7 F7 C7 C7 F7 F7 C7 C7 G7 F7 C7,F7 C7,G7
kick                      | x-----x----- x----xx-----
snare                     | ---X-----X-- ---X-----Xxx ---X--o--X-o
hat                       | x-xx-xx-xx-x x--x--x--x-x
crash                     | o/-/-/-
finger-bass double-bass   | 33 -2 0.05        | 0.01.12.23.2 0.00.22.22.0 0..1..2..a..
guitar organ piano        | 52 -6 0.2 1.5     | x-xx-xx-xx-x ---x-----x-x --xx----xx--
guitar                    | 64 -4 0.3 5       | ?.?.-??..--- ---??.?..?-- ?....-?.???. -

bossa-nova tempo=62-76 scale=major loose=0.006 drum_gain=-4
Cmaj7 D7 Dm7,G7 Cmaj7,G7; Cmaj9 Am7 Dm9 G9; Am7 Dm7 Bm7b5,E7 Am7
surdo                     | x--oX--ox--oX--o
rim                       | x--x--x---x--x-- --x-x---x--x--x-
shaker                    | xoxoxoxoxoxoxoxo xooxxooxxooxxoox
double-bass               | 33 -2 0.05        | 0..22..00..22..a 0...2..22...0..a
nylon                     | 52  0 0.2         | x-x--x-x--x-x--- x--x--x-x--x--x- --x-x--x-x-x--x-
flute vibes sax           | 67 -5 0.5         | ?..?..?.--?..?.. ----?.?..?....-- ?......---?.?.?.

chiptune tempo=128-164 scale=pentatonic loose=0
C G Am F; Am F C G; Am F G Am; Am,G F,G C,G Am
kick                      | x---x---x---x--- x-----x-x-----x-
tick                      | ----X--o----X--- ----X--o----X-XX ooxoXoxoooxoXoxo
triangle                  | 36 -2 0           | 0-0-3-0-0-0-3-3- 0.3.0.3.0.3.0.3. 0--0--0-3--3--3-
pulse square              | 60 -5 0           | 0123012301230123 0121012101210121 0246420246420246
square pulse              | 72 -2 0 0 0.25    | ?.??.??.?.?.?... ???.???.??..?-?- ?-?-?...??????..

classical tempo=76-112 scale=major beats=3 loose=0.012
C G Am Em F C F G7; C F G7 C Am Dm G7 C; Am Dm G C F Dm Em Am
piano harpsichord         | 48 -2 0.5         | 021232021232 012342012342 0-12-10-12-1
strings                   | 52 -8 0.7         | x........... x.....x.....
strings                   | 36 -7 0.6         | 0..........- 0.....2....-
fiddle flute piano        | 69 -3 0.6         | ?.....?..?.. ?...?.?.???. ?.......?.?. ------??????

country tempo=96-126 scale=pentatonic drum_gain=-3
C C F C G G C C; C F C G; C Am F G; F C G C
kick                      | x-------x------- x-------x-x-----
brush                     | oxXooxXooxXooxXo ooXoooXoooXoooXo
rim                       | ----x-------x---
finger-bass double-bass   | 33 -1 0.05        | 0...2...0...2... 0...2...0.1.2.a.
steel guitar              | 52 -4 0.15        | --x---x---x---x- --x-x-x---x-x-x-
banjo steel               | 55 -3 0.15        | 0231023102310231 0213421302134213 02-302-302-302-3
fiddle steel              | 67 -5 0.3         | ?...?.?.?.....-- ----??..?.??..?. ?.......--?.?.?. -

disco tempo=112-126 scale=major
Am7 Dm7 G7 Cmaj7; Am7 Fmaj7 G7 Em7; Dm7 Dm7 Am7 Am7; Cmaj7 Am7 Dm7 G7
kick                      | X---X---X---X---
clap                      | ----X-------X---
hat                       | x-o-x-o-x-o-x-o- xooxxooxxooxxoox
open-hat                  | --X---X---X---X-
snare                     | - --------------xx ----------o-xxXX
finger-bass               | 33  0 0.05        | 0-4-0-4-0-4-0-4- 0-40-04-0-40-0a- 0-0-4-4-0-2-3-4-
guitar electric-piano     | 57 -5 0.2         | --xx-xx---xx-xx- x-xx--xx-xx-x-x- --x---x-x-x---x-
strings                   | 64 -8 0.5         | x............... x.......x...x...
brass strings             | 67 -5 0.4         | ?-?-------?---?- ------?.??..---- -

drum-and-bass tempo=166-178 scale=minor loose=0.002 drum_gain=3
Cm Cm Ab Ab; Cm9 Cm9 Fm9 Fm9; Cm Ab Bb Gm
kick                      | X---------X----- X-x-------X----- X-----x---X---x-
snare                     | ----X--o-o--X--o ----X--o----X-ox ----X-oX-o--X-xx
hat                       | x-x-x-x-x-x-x-x- xoxxxoxxxoxxxoxx
ride                      | - x---x---x---x---
reese                     | 31  0 0.05 2      | 0.........-.0.3. 0.....0...3..... 0..0..0.......a.
pad choir                 | 55 -9 0.7         | x.......................
stab electric-piano       | 60 -7 0.4 0 0.45  | ---x------x----- x-----x--------- ------------x--x
bell stab flute           | 72 -9 0.6 0 0.45  | ?-----?----?---- ----?---?-----?- -

hip-hop tempo=82-96 scale=blues swing=0.28 loose=0.006 drum_gain=2
Cm9 Fm9; Cm7 Abmaj7 Dm7b5,G7 Cm7; Cm9 Cm9 Fm9 Gm7; Abmaj7 Gm7 Fm7 Cm7
kick                      | X--x--x---x----- X------x--X----- X-x----x-xX---o-
snare                     | ----X-------X--- ----X--o-o--X--- ----X--o----X--x
hat                       | x-x-x-x-x-x-x-x- x-xox-x-x-xox-xx
sub finger-bass           | 31  1 0           | 0..-..0..-2.a.-- 0.....-0--0.2... 0--0..-...0.--a.
electric-piano piano vibes| 52 -5 0.3         | x.......--x..... x..---x....----- --x...---x......
vibes brass nylon         | 64 -8 0.4 0 0.3   | ------?-?...---- --?-?--?-------- -

jazz tempo=128-190 scale=major loose=0.009 drum_gain=-2
Dm7 G7 Cmaj7 A7; Cmaj7,A7 Dm7,G7 Em7,A7 Dm7,G7; Bm7b5 E7 Am7 Am7; C6 Am7 Dm9 G9
ride                      | X--x-xX--x-x X--x-xX--x--
hat                       | ---X-----X--
brush                     | ---------o-- --o--o------ -----o--o--o
kick                      | o--o--o--o-- o-------o---
double-bass               | 33  0 0.1         | 012a 021a 032a 01.1.22.23.a
piano electric-piano      | 50 -5 0.2         | --x-----x--- -----x-----x x-------x--- ---------x--
sax brass vibes           | 62 -3 0.35        | ?-??-??.---- ---?-??-??-? ?.????????.- ------?.???.

metal tempo=140-190 scale=minor loose=0.003 drum_gain=-1
C5 C5 Ab5 Bb5; C5 Db5 C5 Eb5,Db5; C5 C5 Eb5 F5,Gb5; C5 Ab5 Eb5 Bb5
kick                      | xxxxxxxxxxxxxxxx x-xx-xx-x-xxx-x- x-x-x-xxx-x-x-xx
snare                     | ----X-------X--- ----X-------X-xX --X---X---X---X-
crash                     | X/- X---/x--- x---x---x---x---
hat                       | x---x---x---x--- x-x-x-x-x-x-x-x-
guitar                    | 38  0 0.08 14     | p-pp-pp-p-ppp... p.......p...p... p-ppp-ppp-ppp-p-
finger-bass               | 28 -4 0 2         | 0-00-00-0-000-0- 0000000000000000 0.......0...0...
guitar                    | 62 -5 0.3 9 0.2   | - ????????????.... ?.......?...?.?.

reggae tempo=66-86 scale=pentatonic swing=0.2 loose=0.006
Am Dm; C G Am F; Am7 G Fmaj7 G; Am G Am Em
kick                      | --------X------- x-------X-----o-
rim                       | --------X------- --------X--x---- ---x--x-X------x
hat                       | x-x-x-x-x-x-x-x- x-oxx-oxx-oxx-ox
open-hat                  | - --------------x-
sub finger-bass           | 31  2 0.05        | 0..-0.2.--1.0.-- ----0.0.2.-1.0-- 0...--..2.1.0.--
guitar stab               | 57 -3 0.25 0 0.2  | --x---x---x---x- --x---x---x---xx
organ                     | 52 -9 0.2         | --xx--xx--xx--xx --x.--x.--x.--x. -xx--xx--xx--xx-
brass flute organ         | 64 -7 0.4 0 0.5   | ?..?..------?-?- --------?.?.?... -
"""

_SCALES = {
    "blues": (0, 3, 5, 6, 7, 10),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
_QUALITIES = {
    "": (0, 4, 7),
    "5": (0, 7),
    "6": (0, 4, 7, 9),
    "7": (0, 4, 7, 10),
    "9": (0, 4, 7, 10, 14),
    "m": (0, 3, 7),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "m9": (0, 3, 7, 10, 14),
    "maj7": (0, 4, 7, 11),
    "maj9": (0, 4, 7, 11, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
}


@dataclass(frozen=True, slots=True)
class _Timbre:
    """A pitched instrument: a waveform whose low-pass cutoff glides, under an envelope."""

    wave: str
    start: float  # cutoff at the attack, Hz
    end: float  # cutoff after the glide, Hz
    glide: float  # time constant of the cutoff, s
    attack: float  # s
    decay: float  # time constant towards the sustain level, s
    sustain: float  # level in [0, 1]
    release: float  # s
    detune: float = 0.0  # two oscillators this many cents above and below
    vibrato: float = 0.0  # depth, cents


_TIMBRES = {
    "banjo": _Timbre("pluck", 9000, 1800, 0.05, 0.002, 0.16, 0.0, 0.05),
    "bell": _Timbre("bell", 7000, 1500, 0.5, 0.003, 0.9, 0.0, 0.8),
    "brass": _Timbre("saw", 700, 3200, 0.06, 0.03, 0.4, 0.7, 0.08, 3, 8),
    "choir": _Timbre("choir", 2500, 4000, 0.8, 0.5, 2.0, 0.9, 0.9, 9, 10),
    "double-bass": _Timbre("triangle", 1800, 400, 0.08, 0.006, 0.5, 0.15, 0.07),
    "electric-piano": _Timbre("tine", 6000, 1500, 0.12, 0.003, 0.8, 0.15, 0.15),
    "fiddle": _Timbre("saw", 2500, 5000, 0.1, 0.04, 0.5, 0.8, 0.09, 2, 18),
    "finger-bass": _Timbre("saw", 1600, 350, 0.09, 0.004, 0.6, 0.3, 0.05),
    "flute": _Timbre("flute", 3000, 4000, 0.1, 0.05, 0.5, 0.8, 0.09, 0, 14),
    "guitar": _Timbre("pluck", 5500, 1700, 0.12, 0.003, 0.7, 0.25, 0.06, 0, 7),
    "harpsichord": _Timbre("pluck", 11000, 5000, 0.2, 0.002, 0.5, 0.0, 0.08),
    "nylon": _Timbre("pluck", 3200, 700, 0.09, 0.004, 0.45, 0.0, 0.09),
    "organ": _Timbre("organ", 5000, 5000, 1.0, 0.008, 1.0, 1.0, 0.04, 3, 6),
    "pad": _Timbre("saw", 500, 1600, 1.2, 0.45, 2.0, 0.9, 0.9, 9),
    "piano": _Timbre("piano", 6500, 1300, 0.2, 0.003, 0.7, 0.05, 0.12, 1.5),
    "pulse": _Timbre("pulse", 11000, 11000, 1.0, 0.002, 0.15, 0.6, 0.02, 0, 12),
    "reese": _Timbre("saw", 350, 900, 0.35, 0.008, 1.0, 0.9, 0.06, 22),
    "sax": _Timbre("square", 1200, 2600, 0.07, 0.025, 0.4, 0.75, 0.07, 0, 16),
    "square": _Timbre("square", 11000, 11000, 1.0, 0.002, 0.2, 0.7, 0.02, 0, 12),
    "stab": _Timbre("saw", 5000, 500, 0.09, 0.003, 0.2, 0.0, 0.08, 11),
    "steel": _Timbre("pluck", 7500, 1800, 0.1, 0.003, 0.55, 0.0, 0.09),
    "strings": _Timbre("saw", 1500, 3500, 0.2, 0.11, 1.0, 0.85, 0.2, 7, 12),
    "sub": _Timbre("sine", 800, 300, 0.1, 0.006, 0.7, 0.6, 0.06),
    "triangle": _Timbre("triangle", 11000, 11000, 1.0, 0.002, 0.5, 0.9, 0.01),
    "vibes": _Timbre("bell", 2500, 900, 0.3, 0.003, 0.7, 0.0, 0.25, 0, 5),
}

# Amplitude of the harmonics k = 1, 2, ... The sine of k is a string plucked off its middle.
_WAVES: Mapping[str, Callable[[_Array], _Array]] = {
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


@dataclass(frozen=True, slots=True)
class _Drum:
    """A percussion instrument: a falling sine and band-passed noise, each with its own decay."""

    peak: float
    pitch: tuple[float, float] = (0.0, 0.0)  # of the sine, first and last, Hz
    ring: float = 0.0  # decay of the sine, s
    noise: float = 1.0  # peak of the noise relative to the sine's
    band: tuple[float, float] = (1000.0, 5000.0)  # of the noise, Hz
    decay: float = 0.01  # of the noise, s
    attack: float = 0.0005  # s
    bursts: int = 1  # hands in a clap


_DRUMS = {
    "brush": _Drum(0.35, band=(1500, 7000), decay=0.09, attack=0.015),
    "clap": _Drum(0.7, band=(900, 4500), decay=0.07, bursts=3),
    "crash": _Drum(0.5, band=(3000, 10500), decay=0.6),
    "hat": _Drum(0.35, band=(6500, 10500), decay=0.03),
    "kick": _Drum(1.0, (160, 52), 0.13, noise=0.08),
    "open-hat": _Drum(0.35, band=(5500, 10500), decay=0.12),
    "ride": _Drum(0.35, (3300, 3300), 0.1, noise=2, band=(4500, 10000), decay=0.18),
    "rim": _Drum(0.55, (1750, 1650), 0.012, noise=0.3, band=(1500, 6000)),
    "shaker": _Drum(0.3, band=(4500, 10000), decay=0.035, attack=0.02),
    "snare": _Drum(0.8, (240, 175), 0.07, noise=0.9, band=(1200, 8500), decay=0.09),
    "surdo": _Drum(0.6, (110, 70), 0.16, noise=0.02),
    "tick": _Drum(0.5, band=(2500, 10500), decay=0.02),
}


@dataclass(frozen=True, slots=True)
class _Part:
    """One player: what may be in their hands, what they play, how it reaches the mix."""

    timbres: tuple[str, ...]  # the artist owns one of them
    patterns: str
    low: int  # lowest pitch
    gain: float  # dB
    send: float  # to the reverb
    drive: float = 0.0  # gain into the distortion; 0 is clean
    echo: float = 0.0  # level of each repeat relative to the one before


@dataclass(frozen=True, slots=True)
class _Style:
    """A chart, read."""

    tempo: tuple[float, float]  # beats per minute
    scale: tuple[int, ...]  # of the melody, semitones above the key
    forms: tuple[tuple[str, ...], ...]  # chord names by bar
    drums: tuple[tuple[str, str], ...]  # name, patterns
    parts: tuple[_Part, ...]
    beats: int  # per bar
    swing: float  # delay of every second sixteenth, steps
    loose: float  # standard deviation of the players' timing, s
    drum_gain: float  # dB


def _read_chart(chart: str) -> tuple[str, _Style]:
    head, forms, *rows = chart.splitlines()
    name, *pairs = head.split()
    options = dict(pair.split("=") for pair in pairs)
    slow, fast = options["tempo"].split("-")
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    parts = []
    for timbres, numbers, patterns in (row for row in cells if len(row) == 3):
        low, *levels = map(float, numbers.split())
        parts.append(_Part(tuple(timbres.split()), patterns, int(low), *levels))
    return name, _Style(
        tempo=(float(slow), float(fast)),
        scale=_SCALES[options["scale"]],
        forms=tuple(tuple(form.split()) for form in forms.split(";")),
        drums=tuple((row[0], row[1]) for row in cells if len(row) == 2),
        parts=tuple(parts),
        beats=int(options.get("beats", 4)),
        swing=float(options.get("swing", 0)),
        loose=float(options.get("loose", 0.004)),
        drum_gain=float(options.get("drum_gain", 0)),
    )


_STYLES: Mapping[str, _Style] = dict(map(_read_chart, _CHARTS.strip().split("\n\n")))
STYLES: tuple[str, ...] = tuple(sorted(_STYLES))


@dataclass(frozen=True, slots=True)
class _Artist:
    """What the tracks of one artist have in common."""

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


def _artist(style: str, number: int) -> _Artist:
    recipe = _STYLES[style]
    seed = (zlib.crc32(style.encode()), number)
    rng = np.random.default_rng(seed)
    low, middle, high = rng.uniform((-6, -6, -9), (6, 6, 6))
    return _Artist(
        seed=seed,
        tempo=rng.uniform(*recipe.tempo),
        key=int(rng.integers(12)),
        bright=2 ** rng.uniform(-1, 1),
        drum_pitch=2 ** rng.uniform(-0.25, 0.25),
        drum_decay=2 ** rng.uniform(-0.6, 0.6),
        room=rng.uniform(0.4, 1.8),
        wet=2 ** rng.uniform(-1, 1),
        tone=(low, middle, high),
        middle=500 * 2 ** rng.uniform(0, 2.5),
        peak=rng.uniform(-2.5, -1.2),
        timbres=tuple(part.timbres[rng.integers(len(part.timbres))] for part in recipe.parts),
        balance=tuple(rng.uniform(-4, 4, size=len(recipe.parts) + 1)),
    )


# From chart to notes


@dataclass(frozen=True, slots=True)
class _Event:
    """One symbol of a pattern, placed."""

    symbol: str
    bar: int
    position: float  # as written, in the bar
    length: float  # bars
    sample: int  # as played


@dataclass(frozen=True, slots=True)
class _Song:
    """One track's plan: how long a bar is and which chords go by."""

    style: _Style
    seed: tuple[int, int, int]
    key: int  # semitones above C
    samples: int
    sample_rate: int
    bar_seconds: float
    form: tuple[str, ...]  # chord names by bar
    first_bar: int  # a clip starts anywhere in the form, like an excerpt

    def chord(self, bar: int, position: float) -> tuple[int, ...]:
        """Tones in semitones above C, the root first; the position may reach into later bars."""
        whole, part = divmod(position + 1e-9, 1)
        names = self.form[(self.first_bar + bar + int(whole)) % len(self.form)].split(",")
        return tuple(self.key + tone for tone in _chord(names[int(part * len(names))]))

    def events(self, patterns: str, player: int) -> Iterator[_Event]:
        """Yield what a player does, in order."""
        rng = np.random.default_rng((*self.seed, player))
        options = patterns.split()
        idea, answer = rng.integers(len(options), size=2)
        for bar in range(math.ceil(self.samples / self.sample_rate / self.bar_seconds)):
            # Three bars of one idea, then another: the smallest phrase that is no loop.
            count = self.first_bar + bar
            measures = options[answer if count % 4 == 3 else idea].split("/")
            steps = measures[count % len(measures)]
            for event in re.finditer(r"[^-.]\.*", steps):
                position = event.start() / len(steps)
                late = self.style.swing / 16 * (len(steps) == 16 and event.start() % 2)
                seconds = (bar + position + late) * self.bar_seconds
                seconds += rng.normal() * self.style.loose
                sample = max(0, int(seconds * self.sample_rate))
                yield _Event(event[0][0], bar, position, len(event[0]) / len(steps), sample)

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


def _compose(style: _Style, artist: _Artist, seed: int, samples: int, sample_rate: int) -> _Song:
    song_seed = (artist.seed[0], 1, seed)  # not the artist's: the notes are the seed's alone
    rng = np.random.default_rng(song_seed)
    form = style.forms[rng.integers(len(style.forms))]
    return _Song(
        style=style,
        seed=song_seed,
        key=artist.key + int(rng.choice((0, 0, 0, 5, 7))),
        samples=samples,
        sample_rate=sample_rate,
        bar_seconds=style.beats * 60 / (artist.tempo * rng.uniform(0.98, 1.02)),
        form=form,
        first_bar=int(rng.integers(len(form))),
    )


@lru_cache(maxsize=256)
def _chord(name: str) -> tuple[int, ...]:
    """Semitones above C, the root first: Bbm7 is (10, 13, 17, 20)."""
    shift = {"b": -1, "#": 1}.get(name[1:2], 0)
    root = "C D EF G A B".index(name[0]) + shift
    return tuple(root + interval for interval in _QUALITIES[name[1 + abs(shift) :]])


def _pitches(symbol: str, low: int, chord: tuple[int, ...], later: tuple[int, ...]) -> list[int]:
    """Pitches of a symbol, none far below `low`; `later` is the chord that follows it."""
    root = low + (chord[0] - low) % 12
    if symbol == "a":
        target = low + (later[0] - low) % 12
        return [target - 1 if target > low else target + 1]
    if symbol == "p":
        return [root, root + 7, root + 12]
    if symbol in "Xxo":
        # Close position, so that voices move little. A bass has the root of a five-note chord.
        return [low + (tone - low) % 12 for tone in chord[len(chord) > 4 :]]
    octave, tone = divmod(int(symbol), len(chord))
    return [root + 12 * octave + chord[tone] - chord[0]]


# From notes to sound

_TABLE = 2048  # samples in a wavetable, one period of a tone
_NOTE_LEVEL = 0.1  # RMS of a note's loudest moment


def _wavetable(timbre: _Timbre, hz: float, cutoff: float, sample_rate: int) -> _Array:
    """One period, band-limited to 90% of the Nyquist frequency, at no particular level."""
    k = np.arange(1, min(_TABLE // 2, max(2, int(0.45 * sample_rate / hz))))
    spectrum = np.zeros(_TABLE // 2 + 1, complex)
    spectrum[k] = -1j * _WAVES[timbre.wave](k) / (1 + (k * hz / cutoff) ** 2)
    table: _Array = np.fft.irfft(spectrum).astype(np.float32)
    return table


def _note(timbre: _Timbre, pitch: int, hold: float, bright: float, sample_rate: int) -> _Array:
    """One note, `hold` seconds and then its release long."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    samples = int((hold + timbre.release) * sample_rate)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    start = _wavetable(timbre, hz, timbre.start * bright, sample_rate)
    end = _wavetable(timbre, hz, timbre.end * bright, sample_rate)
    level = _NOTE_LEVEL / max(start.std(), end.std())
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


def _hit(name: str, artist: _Artist, sample_rate: int) -> _Array:
    """One stroke on the artist's own drum."""
    drum = _DRUMS[name]
    rng = np.random.default_rng((*artist.seed, zlib.crc32(name.encode())))
    ring, decay = drum.ring * artist.drum_decay, drum.decay * artist.drum_decay
    time = np.arange(int((0.02 + 5 * max(ring, decay)) * sample_rate)) / sample_rate
    burst = np.exp(-time / decay)
    for clap in range(1, drum.bursts):
        since = time - 0.011 * clap
        burst = np.where(since < 0, np.exp(-((since % 0.011) / 0.004)), np.exp(-since / decay))
    noise = _band(rng.normal(size=len(time)) * burst, *drum.band, sample_rate)
    hit = drum.noise * noise / np.abs(noise).max()
    if ring:
        first, last = drum.pitch
        # The integral of a pitch that falls from first to last with a time constant of 30 ms.
        cycles = last * time + (first - last) * 0.03 * (1 - np.exp(-time / 0.03))
        hit += np.sin(2 * np.pi * artist.drum_pitch * cycles) * np.exp(-time / ring)
    hit *= np.minimum(1, time / drum.attack) * np.minimum(1, time[::-1] / 0.01)
    scaled: _Array = (hit * (drum.peak / np.abs(hit).max())).astype(np.float32)
    return scaled


def _play_drums(song: _Song, artist: _Artist) -> _Array:
    bus = np.zeros(song.samples, np.float32)
    for player, (name, patterns) in enumerate(song.style.drums):
        hit = _hit(name, artist, song.sample_rate)
        for event in song.events(patterns, player):
            _add(bus, event.sample, hit, _loudness(event.symbol))
    return bus * _linear(song.style.drum_gain + artist.balance[-1] - 6)


def _play_part(song: _Song, artist: _Artist, player: int) -> _Array:
    part, timbre = song.style.parts[player], _TIMBRES[artist.timbres[player]]
    bus = np.zeros(song.samples, np.float32)
    notes: dict[tuple[int, float], _Array] = {}  # most come again
    melodies: dict[int, Iterator[int]] = {}
    for event in song.events(part.patterns, 100 + player):
        if event.symbol == "?":
            if event.bar not in melodies:
                melodies[event.bar] = song.melody(part.low, event.bar)
            pitches = [next(melodies[event.bar])]
        else:
            chord = song.chord(event.bar, event.position)
            later = song.chord(event.bar, event.position + event.length)
            pitches = _pitches(event.symbol, part.low, chord, later)
        for pitch in pitches:
            key = (pitch, event.length)
            if key not in notes:
                hold = 0.9 * event.length * song.bar_seconds
                notes[key] = _note(timbre, pitch, hold, artist.bright, song.sample_rate)
            _add(bus, event.sample, notes[key], _loudness(event.symbol) / len(pitches) ** 0.5)
    return _effects(bus, part, song) * _linear(part.gain + artist.balance[player])


def _effects(bus: _Array, part: _Part, song: _Song) -> _Array:
    """Distortion through a guitar cabinet, then three echoes a dotted eighth apart."""
    if part.drive:
        distorted = np.tanh(bus * np.float32(part.drive / _NOTE_LEVEL)) * np.float32(_NOTE_LEVEL)
        bus = _band(distorted, 60, 3800, song.sample_rate)
    if part.echo:
        delay = int(0.75 * song.bar_seconds / song.style.beats * song.sample_rate)
        source = bus.copy()
        for repeat in (1, 2, 3):
            _add(bus, repeat * delay, source, part.echo**repeat)
    return bus


def _master(dry: _Array, wet: _Array, artist: _Artist, sample_rate: int) -> _Array:
    """Room, equaliser, gentle limiting, level, faded ends."""
    # A room without a plan: noise that falls by 60 dB.
    time = np.arange(int(artist.room * sample_rate), dtype=np.float32) / sample_rate
    room = np.random.default_rng(artist.seed).standard_normal(len(time), np.float32)
    room *= np.exp(time * np.float32(-6.9 / artist.room))
    room *= np.float32(artist.wet) / np.linalg.norm(room)
    size = _fast_length(len(dry) + len(room))
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
    mix *= _linear(artist.peak) / (np.abs(mix).max() + np.float32(1e-9))
    return mix.astype(np.float32)


def _add(bus: _Array, sample: int, sound: _Array, level: float) -> None:
    """Mix a sound into a bus, cut at the bus's end."""
    space = max(0, len(bus) - sample)
    bus[sample : sample + len(sound)] += np.float32(level) * sound[:space]


def _band(audio: _Array, low: float, high: float, sample_rate: int) -> _Array:
    """Keep the frequencies from `low` to `high`, with slopes of 12 dB an octave."""
    size = _fast_length(len(audio) + sample_rate // 50)  # room for the filter to ring
    hz = np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float32)
    gain = hz**2 / (hz**2 + np.float32(low**2)) / (1 + (hz / np.float32(high)) ** 2)
    filtered: _Array = np.fft.irfft(np.fft.rfft(audio, size) * gain, size)[: len(audio)]
    return filtered


def _fast_length(samples: int) -> int:
    """Smallest handy length of small prime factors, for which FFTs are quick."""
    shift = max(0, samples.bit_length() - 4)
    return min(m << shift for m in (8, 9, 10, 12, 15, 16) if m << shift >= samples)


def _linear(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))


def _loudness(symbol: str) -> float:
    return {"X": 1.0, "o": 0.35}.get(symbol, 0.7)


# For everyone


def render(
    style: str, *, seed: int, artist: int = 0, seconds: float = 9.0, sample_rate: int = 22050
) -> _Array:
    """Play one clip of generated music; the same arguments always give the same bytes.

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
    """
    _check(style, seed=seed, artist=artist, seconds=seconds, sample_rate=sample_rate)
    player = _artist(style, artist)
    song = _compose(_STYLES[style], player, seed, round(seconds * sample_rate), sample_rate)
    dry = _play_drums(song, player)
    wet = np.float32(0.1) * dry
    for number, part in enumerate(song.style.parts):
        bus = _play_part(song, player, number)
        dry += bus
        wet += np.float32(part.send) * bus
    return _master(dry, wet, player, sample_rate)


def write_demo_dataset(
    folder: str | os.PathLike[str],
    *,
    tracks_per_style: int = 12,
    artists_per_style: int = 4,
    seconds: float = 12.0,
    seed: int = 0,
    styles: Sequence[str] = STYLES,
    workers: int | None = None,
) -> Iterator[Path]:
    """Write generated tracks in the layout of a genre dataset.

    The tracks are `<folder>/<style>/<style>.00000.flac` (16 bit, 22050 Hz, mono); a style's
    artists take turns. After the last, `<folder>/tracks.csv` names the artist of each track.
    A file appears only when it is complete, and replaces one of the same name.

    Parameters
    ----------
    folder : path
        Made if it does not exist.
    tracks_per_style : int, in [1, 100000]
    artists_per_style : int, in [1, 100000]
    seconds : float, in [0.1, 600]
        Length of each track, s.
    seed : int, >= 0
        Another seed gives other tracks by the same artists.
    styles : Sequence[str]
        Some of `STYLES`.
    workers : int or None
        Processes, each composing one track at a time; None for one per processor. The files are
        the same for any number.

    Yields
    ------
    Path
        A track that is written; with several workers a few more may be. Nothing is written before
        the first step.

    Raises
    ------
    SettingsError
        At the call, if a style is unknown or a number is out of its range.
    GenreKitError
        Under way, if the system has ended a process.
    """
    for style in styles:
        _check(style, seed=seed, artist=0, seconds=seconds, sample_rate=22050)
    check_whole("tracks_per_style", tracks_per_style, 1, 100_000)
    check_whole("artists_per_style", artists_per_style, 1, 100_000)
    check_workers(workers)
    root = local_path(folder)
    tracks = [
        _DemoTrack(root, style, number, number % artists_per_style, seconds, seed)
        for style in styles
        for number in range(tracks_per_style)
    ]
    return _write(root, tracks, workers)


@dataclass(frozen=True)
class _DemoTrack:
    folder: Path
    style: str
    number: int
    artist: int
    seconds: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.style}/{self.style}.{self.number:05d}"


def _write(folder: Path, tracks: Sequence[_DemoTrack], workers: int | None) -> Iterator[Path]:
    for style in dict.fromkeys(track.style for track in tracks):
        (folder / style).mkdir(parents=True, exist_ok=True)
    yield from compute_in_order(_write_track, tracks, workers, _crashed)
    rows = [("track", "artist"), *((t.name, f"{t.style} artist {t.artist}") for t in tracks)]
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _replacing(folder / "tracks.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write_track(track: _DemoTrack) -> Path:
    import soundfile  # here, so that rendering needs NumPy alone

    seed = track.seed * 100_000 + track.number
    audio = render(track.style, seed=seed, artist=track.artist, seconds=track.seconds)
    path = track.folder / f"{track.name}.flac"
    with _replacing(path) as temporary:
        soundfile.write(temporary, audio, 22050, subtype="PCM_16", format="FLAC")
    return path


def _crashed() -> Path:
    raise GenreKitError(
        "The system ended a process that composed, perhaps for lack of memory: "
        "run again with fewer workers."
    )


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Lend a temporary path beside `path`; it takes that name if all goes well, else it goes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _check(style: str, *, seed: int, artist: int, seconds: float, sample_rate: int) -> None:
    if style not in _STYLES:
        raise SettingsError(f"Unknown style {style!r}: choose one of {', '.join(STYLES)}.")
    check_whole("seed", seed, 0)
    check_whole("artist", artist, 0)
    check_number("seconds", seconds, 0.1, 600, "s")
    check_whole("sample_rate", sample_rate, 8000, 96_000, "Hz")
