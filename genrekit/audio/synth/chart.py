"""The charts of the styles: read from styles.toml, which explains them, and checked."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from genrekit.audio.synth.instruments import DRUMS, TIMBRES
from genrekit.errors import SettingsError
from genrekit.ranges import check_number, check_whole

__all__ = ["STYLES", "Part", "Style", "chord_tones", "read_styles", "styles"]

_SCALES: Final = {
    "blues": (0, 3, 5, 6, 7, 10),
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
}
_QUALITIES: Final = {
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
_ROOTS: Final = "C D EF G A B"  # a semitone apart
_HITS: Final = "-.Xxo"
_NOTES: Final = "-.Xxop?a0123456789"

Chord = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One player: their instruments, what they play, how it reaches the mix."""

    timbres: tuple[str, ...]  # the artist owns one of them
    low: int  # lowest pitch, MIDI
    gain: float  # dB
    send: float  # to the reverb
    patterns: tuple[str, ...]
    drive: float = 0.0  # gain into the distortion; 0 is clean
    echo: float = 0.0  # level of each repeat relative to the one before

    def __post_init__(self) -> None:
        for timbre in self.timbres:
            _check_known("instrument", timbre, TIMBRES)
        _check_patterns(self.patterns, _NOTES)
        check_whole("low", self.low, 0, 127)
        check_number("gain", self.gain, -60, 20, "dB")
        check_number("send", self.send, 0, 1)
        check_number("drive", self.drive, 0, 100)
        check_number("echo", self.echo, 0, 0.9)


@dataclass(frozen=True, slots=True)
class Style:
    """A chart, read."""

    tempo: tuple[float, float]  # slowest and fastest, beats per minute
    scale: tuple[int, ...]  # of the melody, semitones above the key
    forms: tuple[tuple[tuple[Chord, ...], ...], ...]  # the chords of each bar
    drums: tuple[tuple[str, tuple[str, ...]], ...]  # name, patterns
    parts: tuple[Part, ...]
    beats: int = 4  # per bar
    swing: float = 0.0  # delay of every second sixteenth, steps
    loose: float = 0.004  # standard deviation of the players' timing, s
    drum_gain: float = 0.0  # dB

    def __post_init__(self) -> None:
        slow, fast = self.tempo
        check_number("tempo", slow, 30, 300)
        check_number("tempo", fast, slow, 300)
        if not self.parts or not all(self.forms):
            raise ValueError("it has no parts or an empty form")
        for drum, patterns in self.drums:
            _check_known("drum", drum, DRUMS)
            _check_patterns(patterns, _HITS)
        check_whole("beats", self.beats, 1, 16)
        check_number("swing", self.swing, 0, 0.9)
        check_number("loose", self.loose, 0, 0.1, "s")
        check_number("drum_gain", self.drum_gain, -60, 20, "dB")


def read_styles(text: str) -> dict[str, Style]:
    """Read charts in TOML; the styles are sorted by name.

    Raises
    ------
    SettingsError
        A chart is wrong; the message names its style.
    """
    try:
        charts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The styles are not valid TOML: {error}.") from None
    return {name: _read_style(name, charts[name]) for name in sorted(charts)}


def chord_tones(name: str) -> Chord:
    """Return a chord's semitones above C, the root first: Bbm7 is (10, 13, 17, 20).

    Raises
    ------
    ValueError
        There is no such chord.
    """
    shift = {"b": -1, "#": 1}.get(name[1:2], 0)
    quality = name[1 + abs(shift) :]
    if name[0] not in _ROOTS or quality not in _QUALITIES:
        raise ValueError(f'unknown chord "{name}"')
    root = _ROOTS.index(name[0]) + shift
    return tuple(root + interval for interval in _QUALITIES[quality])


def _read_style(name: str, chart: Any) -> Style:
    try:
        _check_keys(chart, Style, optional={"drums"})
        _check_known("scale", chart["scale"], _SCALES)
        drums = chart.get("drums", {}).items()
        read = {
            "tempo": tuple(chart["tempo"]),
            "scale": _SCALES[chart["scale"]],
            "forms": tuple(tuple(map(_bar, form.split())) for form in chart["forms"]),
            "drums": tuple((drum, tuple(patterns.split())) for drum, patterns in drums),
            "parts": tuple(map(_read_part, chart["parts"])),
        }
        return Style(**chart | read)
    except (AttributeError, SettingsError, TypeError, ValueError) as error:
        raise SettingsError(
            f'The chart of the style "{name}" is wrong: {str(error).rstrip(".")}.'
        ) from None


def _read_part(part: Any) -> Part:
    _check_keys(part, Part)
    split = {key: tuple(part[key].split()) for key in ("timbres", "patterns")}
    return Part(**part | split)


def _bar(chords: str) -> tuple[Chord, ...]:
    return tuple(map(chord_tones, chords.split(",")))


def _check_keys(table: Any, kind: type, optional: Collection[str] = ()) -> None:
    if not isinstance(table, dict):
        raise ValueError("it is not a table")
    needed = {field.name: field.default is MISSING for field in fields(kind)}
    if unknown := table.keys() - needed:
        raise ValueError(f"unknown setting {min(unknown)}")
    missing = {name for name, is_needed in needed.items() if is_needed} - table.keys()
    if missing := missing - set(optional):
        raise ValueError(f"{min(missing)} is missing")


def _check_known(what: str, name: object, among: Collection[str]) -> None:
    if name not in among:
        raise ValueError(f'unknown {what} "{name}": use one of {", ".join(among)}')


def _check_patterns(patterns: tuple[str, ...], symbols: str) -> None:
    if not patterns:
        raise ValueError("a player has no pattern")
    for pattern in patterns:
        if not all(pattern.split("/")) or not set(pattern) <= {*symbols, "/"}:
            raise ValueError(f'the pattern "{pattern}" is not made of {symbols}')


@cache
def styles() -> Mapping[str, Style]:
    """Return the chart of each style, sorted by name."""
    return read_styles(Path(__file__).with_name("styles.toml").read_text("utf-8"))


STYLES: Final = tuple(styles())
