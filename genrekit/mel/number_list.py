"""Pasted lists of frequencies or mel values, converted to a table.

A list has numbers with a decimal point, separated by commas, semicolons or whitespace; each may
have its unit ("440 Hz"). Unusable entries are reported with their position; the others are used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.mel.tones import nearest_note
from genrekit.ranges import check_choice

__all__ = ["MAX_HZ", "MAX_NUMBERS", "BadEntry", "Conversion", "convert", "parse_numbers"]

InputUnit = Literal["hz", "mel"]

MAX_NUMBERS: Final = 10_000
# Far above all hearing; beyond it the inverse formulas soon overflow.
MAX_HZ: Final = 1_000_000.0
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class BadEntry:
    """An entry that was left out: its position (from 1), its text, and the reason."""

    position: int
    text: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """The table of a list; each column has shape (numbers,).

    `hz` in Hz; `htk` and `slaney` in the mel of that formula; `note` the nearest note's name;
    `cents` above that note, in [-50, 50], NaN if there is no note.
    """

    hz: NDArray[np.float64]
    htk: NDArray[np.float64]
    slaney: NDArray[np.float64]
    note: NDArray[np.str_]
    cents: NDArray[np.float64]

    def to_csv(self) -> str:
        """Return comma-separated values with a header line."""
        lines = ["hz,mel_htk,mel_slaney,note,cents"]
        for hz, htk, slaney, note, cents in zip(
            self.hz, self.htk, self.slaney, self.note, self.cents, strict=True
        ):
            offset = "" if np.isnan(cents) else f"{cents:.2f}"
            lines.append(f"{hz:.10g},{htk:.10g},{slaney:.10g},{note},{offset}")
        return "\n".join(lines) + "\n"


def parse_numbers(
    text: str, unit: InputUnit, formula: MelFormula = "htk"
) -> tuple[list[float], list[BadEntry], int]:
    """Parse a pasted list of numbers in `unit`; for mel, `formula` limits their size.

    Returns
    -------
    numbers : list of float, in `unit`, at most `MAX_NUMBERS`
    bad : list of BadEntry
    left_over : int
        Number of entries after the first `MAX_NUMBERS`, which were not read.
    """
    without_units = re.sub(rf"(?<=[\d.])\s*{unit}s?\b", " ", text, flags=re.IGNORECASE)
    entries = [entry for entry in _SEPARATORS.split(without_units) if entry]
    largest = MAX_HZ if unit == "hz" else float(hz_to_mel(MAX_HZ, formula))
    numbers: list[float] = []
    bad: list[BadEntry] = []
    for position, entry in enumerate(entries[:MAX_NUMBERS], start=1):
        reason = _problem(entry, largest, unit)
        if reason:
            bad.append(BadEntry(position, entry, reason))
        else:
            numbers.append(float(entry))
    return numbers, bad, max(0, len(entries) - MAX_NUMBERS)


def _problem(entry: str, largest: float, unit: str) -> str:
    """The reason why an entry cannot be used; empty if it can."""
    if not _NUMBER.fullmatch(entry):
        return "is not a number"
    value = float(entry)
    if value < 0:
        return "is below zero"
    if value > largest:
        name = "Hz" if unit == "hz" else "mel"
        return f"is above the largest value taken, {largest:,.0f} {name}"
    return ""


def convert(numbers: Sequence[float], unit: InputUnit, formula: MelFormula = "htk") -> Conversion:
    """Convert numbers in `unit` to all columns; `formula` is that of numbers in mel.

    SettingsError if a number is negative or not finite, or the unit is unknown.
    """
    values = np.asarray(numbers, dtype=np.float64)
    check_choice("unit", unit, get_args(InputUnit))
    hz = values if unit == "hz" else mel_to_hz(values, formula)
    names, cents = nearest_note(hz)
    return Conversion(hz, hz_to_mel(hz, "htk"), hz_to_mel(hz, "slaney"), names, cents)
