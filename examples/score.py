"""Scores: notes in beats, written as short texts, performed with a human's looseness, as MIDI.

Time is in beats, pitch in MIDI note numbers (69 is A4, 440 Hz), velocity from 1 to 127. The same
score gives the same bytes every time: what is loose comes from a generator that the names of the
piece and the part seed.

A line is a text of tokens parted by spaces. A token is a note (`Bb3`), notes sounding together
(`C4+E4+G4`) or a rest (`-`); `*3` behind it makes it three steps long, `!` loud, `,` soft, and `/`
before it slides up to it from a semitone below. `|` parts bars for the eye only.

A drum pattern is a text with one sign for each step: `X` loud, `x` medium, `o` soft, `.` none.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Final

__all__ = ["DRUMS", "Mix", "Note", "Part", "Piece", "chord", "voiced"]

TICKS: Final = 480
BEND_SEMITONES: Final = 2
DRUM_CHANNEL: Final = 9

DRUMS: Final = {
    "kick": 36, "stick": 37, "snare": 38, "clap": 39, "hat": 42, "foot": 44, "open": 46,
    "low-tom": 43, "tom": 47, "high-tom": 50, "crash": 49, "ride": 51, "china": 52, "bell": 53,
    "tambourine": 54, "splash": 55, "cowbell": 56, "crash-2": 57, "ride-2": 59, "conga-mute": 62,
    "conga": 63, "low-conga": 64, "shaker": 70,
}  # fmt: skip
LOUDNESS: Final = {"X": 118, "x": 96, "o": 60}
ACCENT: Final = {"!": 16, ",": -22, "": 0}

_TOKEN: Final = re.compile(r"(/?)([A-G][#b]?\d(?:\+[A-G][#b]?\d)*|-)(?:\*([\d.]+))?([!,]?)")
_LETTERS: Final = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11, "#": 1, "b": -1}
_CHORD: Final = re.compile(r"([A-G][#b]?)(.*)")
_QUALITIES: Final = {
    "": (0, 4, 7), "m": (0, 3, 7), "5": (0, 7), "6": (0, 4, 7, 9), "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10), "maj7": (0, 4, 7, 11), "9": (0, 4, 7, 10, 14), "m9": (0, 3, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14), "13": (0, 4, 10, 14, 21), "7b9": (0, 4, 7, 10, 13),
    "7#9": (0, 4, 7, 10, 15), "m7b5": (0, 3, 6, 10), "dim7": (0, 3, 6, 9), "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10), "add9": (0, 4, 7, 14), "m6": (0, 3, 7, 9),
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """What is done to a part's sound: dB, pan from -1 (left) to 1, Hz, dB of drive, dB of room."""

    gain: float = 0.0
    pan: float = 0.0
    low_cut: float = 0.0
    high_cut: float = 20_000.0
    drive: float = 0.0
    room: float = -18.0


@dataclass(frozen=True, order=True)
class Note:
    """A note as it is played."""

    start: float
    pitch: int
    length: float
    velocity: int


@dataclass
class Part:
    """One instrument: a programme of the sound font, its place in the mix, and its notes.

    `loose` is the standard deviation of its timing in milliseconds, `late` how far it lies behind
    the beat.
    """

    name: str
    program: int
    mix: Mix = Mix()
    bank: int = 0
    loose: float = 6.0
    late: float = 0.0
    notes: list[Note] = field(default_factory=list)
    slides: list[float] = field(default_factory=list)
    controls: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def is_drums(self) -> bool:
        """Whether its notes choose instruments of a drum kit."""
        return self.bank == 128

    def play(self, start: float, pitch: int, length: float, velocity: float = 90.0) -> None:
        """Add one note."""
        self.notes.append(Note(start, pitch, length, round(min(max(velocity, 1), 127))))

    def line(
        self,
        start: float,
        text: str,
        *,
        step: float = 0.5,
        velocity: float = 90,
        gate: float = 0.95,
    ) -> float:
        """Add what `text` says; the beat where it ends."""
        for token in text.replace("|", " ").split():
            slide, names, steps, accent = self._parsed(token)
            length = step * steps
            if names != "-":
                if slide:
                    self.slides.append(start)
                for name in names.split("+"):
                    self.play(start, pitch(name), length * gate, velocity + ACCENT[accent])
            start += length
        return start

    @staticmethod
    def _parsed(token: str) -> tuple[str, str, float, str]:
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise ValueError(f"Not a note: {token}")
        slide, names, steps, accent = found.groups()
        return slide, names, float(steps or 1), accent

    def strum(
        self, start: float, pitches: Sequence[int], length: float, velocity: float = 85,
        *, spread: float = 0.02, up: bool = False,
    ) -> None:  # fmt: skip
        """Add a chord whose strings sound one after another, `spread` beats apart."""
        for number, note in enumerate(sorted(pitches, reverse=up)):
            self.play(
                start + number * spread, note, length - number * spread, velocity - 2 * number
            )

    def beat(self, start: float, bars: int, patterns: Mapping[str, str], meter: float = 4) -> None:
        """Add drums: each pattern fills one bar, or as many as it has parts between `|`."""
        for name, pattern in patterns.items():
            parts = pattern.split("|")
            for bar in range(bars):
                signs = parts[bar % len(parts)].strip()
                step = meter / len(signs)
                for number, sign in enumerate(signs):
                    if sign != ".":
                        at = start + meter * bar + step * number
                        self.play(at, DRUMS[name], step * 0.9, LOUDNESS[sign])


@dataclass
class Piece:
    """A piece: `tempo` in beats a minute or as (beat, tempo) pairs; `beats` until it has ended.

    `swing` is where the off-beat falls within two steps of `grid` beats each; 0.5 is straight.
    `decay` is how long the room that it is played in rings, in seconds.
    """

    name: str
    title: str
    tempo: float | Sequence[tuple[float, float]]
    beats: float
    swing: float = 0.5
    grid: float = 0.5
    decay: float = 1.2
    parts: list[Part] = field(default_factory=list)

    def add(self, part: Part) -> Part:
        """Take a part in, and give it back."""
        self.parts.append(part)
        return part

    @property
    def tempos(self) -> list[tuple[float, float]]:
        """Each change of tempo: its beat, and beats a minute."""
        return [(0.0, self.tempo)] if isinstance(self.tempo, int | float) else list(self.tempo)

    @property
    def seconds(self) -> float:
        """How long it takes until its last beat has passed."""
        ends = [*(beat for beat, _ in self.tempos[1:]), self.beats]
        return sum(
            (end - beat) * 60 / tempo for (beat, tempo), end in zip(self.tempos, ends, strict=True)
        )

    def performed(self, part: Part) -> list[Note]:
        """The notes of a part as played: swung, loose in time and strength, none over another."""
        chance = Random(f"{self.name} {part.name}")
        per_ms = self.tempos[0][1] / 60_000
        played = []
        for note in sorted(part.notes):
            start = self._swung(note.start)
            length = self._swung(note.start + note.length) - start
            start += (part.late + part.loose * _bell(chance)) * per_ms
            velocity = note.velocity + 5 * _bell(chance)
            played.append(
                Note(max(start, 0.0), note.pitch, length, round(min(max(velocity, 1), 127)))
            )
        return _apart(played)

    def _swung(self, beat: float) -> float:
        pair, within = divmod(beat / self.grid, 2)
        first = min(within, 1.0) * self.swing
        second = max(within - 1, 0.0) * (1 - self.swing)
        return self.grid * 2 * (pair + first + second)

    def midi(self, only: Part | None = None) -> bytes:
        """A standard MIDI file (format 1) of one part, or of all."""
        tempo = [
            (round(TICKS * beat), b"\xff\x51\x03" + round(6e7 / bpm).to_bytes(3, "big"))
            for beat, bpm in self.tempos
        ]
        tracks = [_track(self.title, tempo, self.beats)]
        channels = (n for n in range(16) if n != DRUM_CHANNEL)
        for part in self.parts:
            channel = DRUM_CHANNEL if part.is_drums else next(channels)
            if only is None or part is only:
                slides = [self._swung(beat) for beat in part.slides]
                events = _events(part, self.performed(part), slides, channel)
                tracks.append(_track(part.name, events, self.beats))
        return struct.pack(">4sIHHH", b"MThd", 6, 1, len(tracks), TICKS) + b"".join(tracks)


def pitch(name: str) -> int:
    """The MIDI number of a note's name: `A4` is 69."""
    return 12 * (int(name[-1]) + 1) + sum(_LETTERS[sign] for sign in name[:-1])


def chord(symbol: str) -> tuple[int, tuple[int, ...]]:
    """A chord symbol's root, from 0 to 11, and its notes in semitones above the root."""
    found = _CHORD.fullmatch(symbol)
    if found is None or found[2] not in _QUALITIES:
        raise ValueError(f"Not a chord: {symbol}")
    return sum(_LETTERS[sign] for sign in found[1]) % 12, _QUALITIES[found[2]]


def voiced(symbols: str, low: int, *, rootless: bool = False) -> Iterator[list[int]]:
    """Chords in close position at or above `low`, each led from the one before by small steps."""
    before: list[int] = []
    for symbol in symbols.replace("|", " ").split():
        root, intervals = chord(symbol)
        classes = [(root + interval) % 12 for interval in intervals[rootless:]]
        choices = []
        for bottom in classes:
            first = low + (bottom - low) % 12
            choices.append(sorted(first + (pitch_class - first) % 12 for pitch_class in classes))
        centre = [low + 7] * len(classes)
        before = min(choices, key=lambda notes: _distance(before or centre, notes))
        yield before


def _distance(before: Sequence[int], after: Sequence[int]) -> float:
    """How far the voices move; where their number changes, how far the middle does."""
    if len(before) != len(after):
        return abs(sum(before) / len(before) - sum(after) / len(after))
    return sum(abs(a - b) for a, b in zip(before, after, strict=True))


def _bell(chance: Random) -> float:
    """About a normal deviate, from the generator's documented sequence alone."""
    return sum(chance.random() for _ in range(12)) - 6


def _apart(notes: Iterable[Note]) -> list[Note]:
    """The notes with each one ended before its own pitch is struck again."""
    kept: list[Note] = []
    for same in _by_pitch(notes).values():
        for note, after in pairwise([*same, None]):
            assert note is not None
            room = (
                note.length if after is None else min(note.length, after.start - note.start - 0.01)
            )
            if room > 0.01:
                kept.append(Note(note.start, note.pitch, room, note.velocity))
    return sorted(kept)


def _by_pitch(notes: Iterable[Note]) -> dict[int, list[Note]]:
    groups: dict[int, list[Note]] = {}
    for note in sorted(notes):
        groups.setdefault(note.pitch, []).append(note)
    return groups


def _events(
    part: Part, notes: Iterable[Note], slides: Iterable[float], channel: int
) -> list[tuple[int, bytes]]:
    events = [
        (0, bytes([0xB0 | channel, 0, 0 if part.is_drums else part.bank])),
        (0, bytes([0xC0 | channel, part.program])),
    ]
    for note in notes:
        start = round(TICKS * note.start)
        end = max(round(TICKS * (note.start + note.length)), start + 1)
        events.append((start, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((end, bytes([0x80 | channel, note.pitch, 0])))
    for beat, controller, value in part.controls:
        events.append((round(TICKS * beat), bytes([0xB0 | channel, controller, value])))
    for beat in slides:
        for eighth in range(9):
            wheel = 8192 - round(8192 / BEND_SEMITONES * (1 - eighth / 8))
            at = max(round(TICKS * (beat + 0.02 * eighth - 0.03)), 0)
            events.append((at, bytes([0xE0 | channel, wheel & 127, wheel >> 7])))
    return events


def _track(name: str, events: Iterable[tuple[int, bytes]], beats: float) -> bytes:
    """A track chunk; where moments are equal, notes end before others begin."""
    order = {0x80: 0, 0xB0: 1, 0xC0: 2, 0xE0: 3, 0x90: 4, 0xF0: 0}
    text = name.encode()
    data = b"\x00\xff\x03" + _variable(len(text)) + text
    now = 0
    for at, message in sorted(events, key=lambda event: (event[0], order[event[1][0] & 0xF0])):
        data += _variable(at - now) + message
        now = at
    data += _variable(max(round(TICKS * beats) - now, 0)) + b"\xff\x2f\x00"
    return struct.pack(">4sI", b"MTrk", len(data)) + data


def _variable(number: int) -> bytes:
    """A MIDI file's variable-length number: seven bits a byte, the last byte below 128."""
    signs = [number & 127]
    while number := number >> 7:
        signs.append(128 | number & 127)
    return bytes(reversed(signs))
