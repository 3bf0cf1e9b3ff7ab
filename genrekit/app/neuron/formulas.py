"""The arithmetic of a neuron as LaTeX, with the current numbers in it."""

from collections.abc import Sequence
from typing import Final

__all__ = ["CURVES", "number", "two_a_line"]

# The activation functions of their sum.
CURVES: Final = {
    "sigmoid": r"\frac{{1}}{{1 + e^{{-{}}}}}",
    "tanh": r"\tanh({})",
    "relu": r"\max(0, {})",
    "step": r"1 \text{{ if }} {} > 0 \text{{, else }} 0",
}


def number(value: float, digits: int) -> str:
    """Write a finite number with `digits` significant digits."""
    text = f"{value + 0.0:.{digits}g}"  # which makes 0 of -0
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else text


def two_a_line(terms: Sequence[str]) -> str:
    """Join the terms of a sum, two to a line, which fits on a phone."""
    rows = [" + ".join(terms[i : i + 2]) for i in range(0, len(terms), 2)]
    return r" \\ &\quad + ".join(rows)
