"""Pasted lists: separators, units, bad entries, limits, and the table."""

import csv
import io

import librosa
import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.mel.number_list import MAX_NUMBERS, BadEntry, convert, parse_numbers


@pytest.mark.parametrize(
    "text", ["220 440 880", "220,440,880", "220;440;880", "220\n440\r\n880\n", " 220,\t440 ;; 880 "]
)
def test_any_separator_will_do(text: str) -> None:
    assert parse_numbers(text, "hz") == ([220.0, 440.0, 880.0], [], 0)


def test_the_unit_may_follow_a_number() -> None:
    assert parse_numbers("440 Hz, 1e3hz; .5HZ", "hz") == ([440.0, 1000.0, 0.5], [], 0)
    assert parse_numbers("500 mel 600mels", "mel") == ([500.0, 600.0], [], 0)


def test_the_wrong_unit_is_named_and_not_ignored() -> None:
    numbers, bad, _ = parse_numbers("500 mel", "hz")
    assert numbers == [500.0]
    assert bad == [BadEntry(2, "mel", "is not a number")]


def test_bad_entries_are_named_with_their_place() -> None:
    numbers, bad, _ = parse_numbers("440, -3, abc, nan, inf, 1_000, 2e9, 0", "hz")
    assert numbers == [440.0, 0.0]
    assert [(b.position, b.text) for b in bad] == [
        (2, "-3"), (3, "abc"), (4, "nan"), (5, "inf"), (6, "1_000"), (7, "2e9"),
    ]  # fmt: skip
    assert [b.reason.split(",")[0] for b in bad] == [
        "is below zero", *["is not a number"] * 4, "is above the largest value taken",
    ]  # fmt: skip


@pytest.mark.parametrize(("formula", "largest"), [("htk", 8187), ("slaney", 115)])
def test_mel_values_beyond_a_megahertz_are_refused(formula, largest: float) -> None:
    numbers, bad, _ = parse_numbers(f"{largest} {largest + 2}", "mel", formula)
    assert numbers == [largest]
    assert "above the largest" in bad[0].reason
    assert np.isfinite(convert(numbers, "mel", formula).hz).all()


def test_a_list_that_is_too_long_is_cut_and_told() -> None:
    numbers, bad, left_over = parse_numbers("1 " * (MAX_NUMBERS + 7), "hz")
    assert (len(numbers), bad, left_over) == (MAX_NUMBERS, [], 7)


def test_nothing_makes_nothing() -> None:
    assert parse_numbers(" ,; \n", "hz") == ([], [], 0)


@pytest.mark.parametrize("formula", ["htk", "slaney"])
def test_the_table_agrees_with_librosa(formula) -> None:
    mel = np.linspace(0, 40 if formula == "slaney" else 3000, 50)
    table = convert(mel, "mel", formula)
    assert table.hz == pytest.approx(librosa.mel_to_hz(mel, htk=formula == "htk"), abs=1e-6)
    assert table.htk == pytest.approx(librosa.hz_to_mel(table.hz, htk=True))
    assert table.slaney == pytest.approx(librosa.hz_to_mel(table.hz))


def test_the_csv_can_be_read_back() -> None:
    table = convert([0, 440, 1000], "hz")
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [float(row["hz"]) for row in rows] == [0, 440, 1000]
    assert [row["note"] for row in rows] == ["", "A4", "B5"]
    assert rows[0]["cents"] == ""
    assert float(rows[1]["mel_htk"]) == pytest.approx(549.6387, abs=1e-4)
    assert float(rows[2]["mel_slaney"]) == 15


def test_impossible_input_is_refused() -> None:
    with pytest.raises(SettingsError, match="Unknown unit"):
        convert([1], "bark")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="impossible"):
        convert([-1], "hz")
