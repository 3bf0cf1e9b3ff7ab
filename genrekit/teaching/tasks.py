"""The tasks that the small network learns: pairs of numbers, and the right answer to each."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice, check_number, check_whole
from genrekit.wording import numeral

__all__ = ["TASKS", "check_distribution", "make_task"]

Array = NDArray[np.float64]

# The right answers to the numbers a and b; `middle` is the centre of their range.
TASKS: Final[dict[str, Callable[[Array, Array, float], Array]]] = {
    "sum": lambda a, b, middle: a + b,
    "product": lambda a, b, middle: a * b,
    "difference": lambda a, b, middle: a - b,
    "mean": lambda a, b, middle: (a + b) / 2,
    "xor": lambda a, b, middle: np.where((a > middle) ^ (b > middle), 1.0, 0.0),
    "sine": lambda a, b, middle: 0.5 + 0.5 * np.sin(2 * np.pi * (a + b)),
}


def make_task(
    name: str,
    count: int = 1000,
    *,
    low: float = 0.0,
    high: float = 0.5,
    noise: float = 0.0,
    seed: int | np.random.Generator = 0,
) -> tuple[Array, Array]:
    """Draw random pairs of numbers and the right answer to each; the defaults are the course's.

    Parameters
    ----------
    name : a key of `TASKS`
    count : int, >= 1
    low, high : float, low < high; the pairs are uniform in [low, high)
    noise : float, >= 0, standard deviation of the noise added to the targets
    seed : int or numpy.random.Generator

    Returns
    -------
    inputs : ndarray, shape (count, 2)
    targets : ndarray, shape (count, 1)

    Raises
    ------
    SettingsError
        The task is unknown, or a number is out of range.
    """
    check_choice("task", name, TASKS)
    check_whole("count", count, 1)
    check_distribution(low, high, noise)
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(low, high, (count, 2))
    targets = TASKS[name](inputs[:, 0], inputs[:, 1], (low + high) / 2)
    if noise:
        targets = targets + rng.normal(0, noise, count)
    return inputs, targets[:, np.newaxis]


def check_distribution(low: float, high: float, noise: float) -> None:
    """Raise SettingsError for inputs from an empty range and for noise below 0."""
    check_number("low", low)
    check_number("high", high)
    check_number("noise", noise, 0)
    if not low < high:
        raise SettingsError(
            f"The range from {numeral(low)} to {numeral(high)} is empty: set the lower end below "
            "the upper one."
        )
