"""Numbers in sentences: counts with their nouns, durations, and never nan, inf or 3e-13."""

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["agree", "alternatives", "counted", "duration", "in_one_line", "numeral", "the_first"]

_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUTE: Final = 60
_HOUR: Final = 3600
_LINE: Final = 100


def agree(count: float, one: str, many: str) -> str:
    """Return the word that agrees with a count: `one` for 1, else `many`."""
    return one if count == 1 else many


def counted(count: float, one: str, many: str = "") -> str:
    """Return a count with its noun: "1 unit", "1,200 units"; `many` is an irregular plural."""
    return f"{count:,}".removesuffix(".0") + f" {agree(count, one, many or one + 's')}"


def alternatives(names: Sequence[str]) -> str:
    """Return names, at least one, as a choice: "rock, pop or country"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def numeral(value: float, digits: int = 4) -> str:
    """Return a number as people write it, with at least `digits` significant digits.

    Examples
    --------
    >>> numeral(-0.125), numeral(1234567.8), numeral(5.91e-13, 2), numeral(float("nan"))
    ('−0.125', '1,234,568', '5.9 × 10⁻¹³', 'not a number')
    """
    if math.isnan(value):
        return "not a number"
    sign, size = "−" if value < 0 else "", abs(value)
    if math.isinf(value):
        return f"{sign}infinity"
    text, _, exponent = f"{size:.{digits}g}".partition("e")
    if exponent:
        power = f" × 10{str(int(exponent)).translate(_RAISED)}"
        text = f"{size:,.0f}" if 1 <= size < 1e9 else text + power
    return sign + text


def duration(seconds: float) -> str:
    """Return a duration in words, such as "1 minute 40 seconds".

    Below a minute it has up to two decimals, from an hour on whole minutes.

    Parameters
    ----------
    seconds : float, >= 0 and finite
    """
    if round(seconds, 2) < _MINUTE:
        return counted(round(seconds, 2), "second")
    if round(seconds) < _HOUR:
        whole, rest, units = *divmod(round(seconds), _MINUTE), ("minute", "second")
    else:
        whole, rest, units = *divmod(round(seconds / _MINUTE), _MINUTE), ("hour", "minute")
    return counted(whole, units[0]) + (f" {counted(rest, units[1])}" if rest else "")


def in_one_line(text: str) -> str:
    """Return a text in one line of at most 100 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def the_first(seconds: float) -> str:
    """Return a duration at the start: "the first minute", "the first 15 minutes"."""
    words = duration(seconds)
    return "the first " + (words.removeprefix("1 ") if words.count(" ") == 1 else words)
