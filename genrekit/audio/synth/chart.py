"""The charts of the styles: read from styles.toml, which explains them, and checked."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from genrekit.audio.synth.instruments import DRUMS, TIMBRES
from genrekit.errors import SettingsError
from genrekit.ranges import check_number
from genrekit.system.records import read_toml

__all__ = ["STYLES", "Part", "Style", "chord_tones", "read_styles", "styles"]

_NAMES: Final = read_toml(__file__)
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


@dataclass(frozen=True, slots=True)
class Style:
    """A chart, read."""

    tempo: tuple[float, float]  # slowest and fastest, beats per minute
    scale: tuple[int, ...]  # of the melody, semitones above the key
    forms: tuple[tuple[tuple[Chord, ...], ...], ...]  # the chords of each bar
    parts: tuple[Part, ...]
    drums: tuple[tuple[str, tuple[str, ...]], ...] = ()  # name, patterns
    beats: int = 4  # per bar
    swing: float = 0.0  # delay of every second sixteenth, steps
    loose: float = 0.004  # standard deviation of the players' timing, s
    drum_gain: float = 0.0  # dB


def read_styles(text: str) -> dict[str, Style]:
    """Read charts in TOML, sorted by name; a SettingsError names the style of a wrong one."""
    try:
        charts = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The styles are not valid TOML: {error}.") from None
    return {name: _read_style(name, charts[name]) for name in sorted(charts)}


def chord_tones(name: str) -> Chord:
    """Return a chord's semitones above C, root first (Bbm7: 10, 13, 17, 20), or a ValueError."""
    shift = {"b": -1, "#": 1}.get(name[1:2], 0)
    quality = name[1 + abs(shift) :]
    if name[0] not in _ROOTS or quality not in _NAMES["chords"]:
        raise ValueError(f'unknown chord "{name}"')
    root = _ROOTS.index(name[0]) + shift
    return tuple(root + interval for interval in _NAMES["chords"][quality])


def _read_style(name: str, chart: Any) -> Style:
    try:
        _check_table(chart, Style)
        slow, fast = chart["tempo"]
        check_number("tempo", slow, 30, 300)
        check_number("tempo", fast, slow, 300)
        scale = tuple(_NAMES["scales"][_known("scale", chart["scale"], _NAMES["scales"])])
        forms = tuple(tuple(map(_bar, form.split())) for form in chart["forms"])
        parts = tuple(map(_read_part, chart["parts"]))
        if not parts or not all(forms):
            raise ValueError("it has no parts or an empty form")
        drums = tuple(
            (_known("drum", drum, DRUMS), _patterns(patterns, _HITS))
            for drum, patterns in chart.get("drums", {}).items()
        )
        read = {"tempo": (slow, fast), "scale": scale, "forms": forms}
        return Style(**chart | read | {"parts": parts, "drums": drums})
    except (AttributeError, SettingsError, TypeError, ValueError) as error:
        raise SettingsError(
            f'The chart of the style "{name}" is wrong: {str(error).rstrip(".")}.'
        ) from None


def _read_part(part: Any) -> Part:
    _check_table(part, Part)
    timbres = tuple(_known("instrument", name, TIMBRES) for name in part["timbres"].split())
    return Part(**part | {"timbres": timbres, "patterns": _patterns(part["patterns"], _NOTES)})


def _bar(chords: str) -> tuple[Chord, ...]:
    return tuple(map(chord_tones, chords.split(",")))


def _check_table(table: Any, kind: type) -> None:
    if not isinstance(table, dict):
        raise ValueError("it is not a table")
    needed = {field.name: field.default is MISSING for field in fields(kind)}
    if unknown := table.keys() - needed:
        raise ValueError(f"unknown setting {min(unknown)}")
    if missing := {name for name, is_needed in needed.items() if is_needed} - table.keys():
        raise ValueError(f"{min(missing)} is missing")
    for name, limits in _NAMES["ranges"].items():
        if name in table:
            check_number(name, table[name], *limits)


def _known(what: str, name: str, among: Collection[str]) -> str:
    if name not in among:
        raise ValueError(f'unknown {what} "{name}": use one of {", ".join(among)}')
    return name


def _patterns(text: str, symbols: str) -> tuple[str, ...]:
    patterns = tuple(text.split())
    if not patterns:
        raise ValueError("a player has no pattern")
    for pattern in patterns:
        if not all(pattern.split("/")) or not set(pattern) <= {*symbols, "/"}:
            raise ValueError(f'the pattern "{pattern}" is not made of {symbols}')
    return patterns


@cache
def styles() -> Mapping[str, Style]:
    """Return the chart of each style, sorted by name."""
    return read_styles(Path(__file__).with_name("styles.toml").read_text("utf-8"))


STYLES: Final = tuple(styles())
