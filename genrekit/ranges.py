"""Checks of values that users give; each raises SettingsError with a plain sentence.

Python takes True for 1, and cannot compare text or None with numbers. NaN lies in no range.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import numpy as np

from genrekit.errors import SettingsError
from genrekit.wording import numeral

__all__ = ["check_choice", "check_number", "check_switch", "check_whole"]


def check_choice(what: str, name: object, names: Collection[str]) -> None:
    """Refuse a name that is not among `names`."""
    if not isinstance(name, str) or name not in names:
        raise SettingsError(f'Unknown {what} "{name}": use one of {", ".join(names)}.')


def check_whole(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
) -> None:
    """Refuse what is no whole number from `low` to `high`."""
    if not (isinstance(value, Integral) and _is_within(value, low, high)):
        raise SettingsError(
            f"{name} is {_shown(value)}: use a whole number{_range(low, high)}"
            f"{' ' * bool(unit)}{unit}."
        )


def check_number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    unit: str = "",
    *,
    above: bool = False,
) -> None:
    """Refuse what is no finite number from `low` to `high`; with `above`, refuse `low` too."""
    if not (isinstance(value, Real) and _is_within(value, low, high, above)):
        wanted = _range(low, high, above)
        raise SettingsError(
            f"{name} is {_shown(value)}: use a {'' if wanted else 'finite '}number{wanted}"
            f"{' ' * bool(unit)}{unit}."
        )


def check_switch(name: str, value: object) -> None:
    """Refuse what is not a boolean, such as the text "no", which Python takes for true."""
    if not isinstance(value, bool | np.bool_):
        raise SettingsError(f"{name} is {_shown(value)}: use true or false.")


def _is_within(value: Any, low: float, high: float, above: bool = False) -> bool:
    if isinstance(value, bool) or not math.isfinite(value):
        return False
    return bool(low <= value <= high and not (above and value == low))


def _range(low: float, high: float, above: bool = False) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" above {low:.12g}" if above else f" of at least {low:.12g}"
    return f" above {low:.12g}, up to {high:.12g}" if above else f" from {low:.12g} to {high:.12g}"


def _shown(value: object) -> str:
    """Return a value as it was written, shortened; NumPy's numbers as numbers."""
    value = value.item() if isinstance(value, np.generic) else value
    text = repr(value)
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    if isinstance(value, float) and (text == "nan" or "e" in text):
        return numeral(value)
    return text if len(text) <= 60 else text[:59] + "…"
