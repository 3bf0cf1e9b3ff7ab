"""Durations as people say them: 40 seconds, 1 minute, 1 minute 40 seconds, 2 hours 5 minutes."""

from typing import Final

__all__ = ["in_words", "the_first"]

_MINUTE: Final = 60
_HOUR: Final = 3600


def in_words(seconds: float) -> str:
    """A duration in words, rounded to what matters at its length.

    Parameters
    ----------
    seconds : float, s, >= 0 and finite

    Returns
    -------
    str
        Seconds with up to two decimals below a minute, whole seconds below an hour, whole
        minutes from then on.
    """
    if round(seconds, 2) < _MINUTE:
        return _count(round(seconds, 2), "second")
    if round(seconds) < _HOUR:
        whole, rest, units = *divmod(round(seconds), _MINUTE), ("minute", "second")
    else:
        whole, rest, units = *divmod(round(seconds / _MINUTE), _MINUTE), ("hour", "minute")
    return _count(whole, units[0]) + (f" {_count(rest, units[1])}" if rest else "")


def the_first(seconds: float) -> str:
    """So much of the start of something: the first minute, the first 15 minutes."""
    words = in_words(seconds)
    return "the first " + (words.removeprefix("1 ") if words.count(" ") == 1 else words)


def _count(number: float, unit: str) -> str:
    return f"{number:,.12g} {unit}" + "s" * (number != 1)
