"""Numbers in sentences: a count agrees with its noun, and none reads nan, inf or 3e-13."""

import math
from typing import Final

__all__ = ["agree", "counted", "numeral"]

_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def agree(count: float, one: str, many: str) -> str:
    """The word that agrees with a count: `one` for 1, else `many`."""
    return one if count == 1 else many


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 unit", "6 units", "1,200 units"; `many` where no s makes it."""
    return f"{count:,} {agree(count, one, many or one + 's')}"


def numeral(value: float, digits: int = 4) -> str:
    """A number as people write it, with `digits` significant at least.

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
