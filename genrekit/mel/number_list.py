"""Lists of frequencies or mel values, as people paste them, to a table.

A pasted list holds numbers between commas, semicolons, spaces, tabs or line breaks, with a
decimal point; each number may carry its unit ("440 Hz"). What is no usable number is named, with
its place in the list, and does not stop the others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.mel.tones import nearest_note

__all__ = ["MAX_HZ", "MAX_NUMBERS", "BadEntry", "Conversion", "convert", "parse_numbers"]

InputUnit = Literal["hz", "mel"]

MAX_NUMBERS: Final = 10_000
# Far above all hearing; beyond it the inverse formulas soon overflow.
MAX_HZ: Final = 1_000_000.0
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class BadEntry:
    """An entry that was left out: its place (from 1), its text, and why."""

    place: int
    text: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """The table of a list: one row a number, each array of shape (numbers,).

    `hz` in Hz; `htk` and `slaney` in the mel of that formula; `note` the nearest note's name;
    `cents` above that note, in [-50, 50], NaN where there is no note.
    """

    hz: NDArray[np.float64]
    htk: NDArray[np.float64]
    slaney: NDArray[np.float64]
    note: NDArray[np.str_]
    cents: NDArray[np.float64]

    def to_csv(self) -> str:
        """The table as comma-separated values with a heading line and a decimal point."""
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
    """The numbers of a pasted list.

    Parameters
    ----------
    text : str
    unit : "hz" or "mel", what the numbers are
    formula : "htk" or "slaney", whose mel they are; bounds them

    Returns
    -------
    numbers : list of float, in `unit`, at most `MAX_NUMBERS`
    bad : list of BadEntry
    left_over : int
        Entries after the first `MAX_NUMBERS`, which were not read.
    """
    without_units = re.sub(rf"(?<=[\d.])\s*{unit}s?\b", " ", text, flags=re.IGNORECASE)
    entries = [entry for entry in _SEPARATORS.split(without_units) if entry]
    largest = MAX_HZ if unit == "hz" else float(hz_to_mel(MAX_HZ, formula))
    numbers: list[float] = []
    bad: list[BadEntry] = []
    for place, entry in enumerate(entries[:MAX_NUMBERS], start=1):
        reason = _fault(entry, largest, unit)
        if reason:
            bad.append(BadEntry(place, entry, reason))
        else:
            numbers.append(float(entry))
    return numbers, bad, max(0, len(entries) - MAX_NUMBERS)


def _fault(entry: str, largest: float, unit: str) -> str:
    """Why an entry cannot be used; empty when it can."""
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
    """Convert numbers to the other scale, both formulas, and the nearest note.

    Parameters
    ----------
    numbers : sequence of float, >= 0, in `unit`
    unit : "hz" or "mel"
    formula : "htk" or "slaney"; whose mel the numbers are, when they are mel

    Raises
    ------
    SettingsError
        A number is negative or not finite, or the unit is unknown.
    """
    values = np.asarray(numbers, dtype=np.float64)
    if unit not in ("hz", "mel"):
        raise SettingsError(f'Unknown unit "{unit}": use "hz" or "mel".')
    hz = values if unit == "hz" else mel_to_hz(values, formula)
    names, cents = nearest_note(hz)
    return Conversion(hz, hz_to_mel(hz, "htk"), hz_to_mel(hz, "slaney"), names, cents)
