"""Answers over the plane of two inputs, of a network and of a single neuron."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN
from genrekit.teaching.tasks import TASKS

__all__ = ["ErrorMap", "error_map", "neuron_surface"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorMap:
    """Answers over the plane of two inputs: rows follow b, columns follow a.

    `axis` has shape (size,), `answer` and `truth` (size, size); `truth` is None for a visitor's
    own numbers.
    """

    axis: Array
    answer: Array
    truth: Array | None


def error_map(run: Run, size: int = 41, reach: float = 1.0) -> ErrorMap:
    """Compute answers from half of `reach` ranges below the trained range to `reach` above it.

    Raises
    ------
    SettingsError
        The network does not have two inputs.
    """
    if run.inputs.shape[1] != 2:
        raise SettingsError(
            f"A map needs two inputs and this network has {run.inputs.shape[1]}: "
            "choose a task with two."
        )
    lows, highs = run.trained_range()
    low, high = float(lows.min()), float(highs.max())
    span = (high - low) or 1.0
    axis = np.linspace(low - 0.5 * reach * span, high + reach * span, size)
    a, b = np.meshgrid(axis, axis)
    answer = run.network().forward(np.column_stack([a.ravel(), b.ravel()])).reshape(a.shape)
    if run.settings.task == OWN:
        return ErrorMap(axis, answer, None)
    return ErrorMap(axis, answer, TASKS[run.settings.task](a, b, (low + high) / 2))


def neuron_surface(
    weights: ArrayLike,
    bias: float = 0.0,
    activation: str = "sigmoid",
    *,
    low: float = -2.0,
    high: float = 2.0,
    size: int = 61,
) -> tuple[Array, Array]:
    """Compute the answers of a neuron over the plane of its two inputs.

    Returns
    -------
    axis : ndarray, shape (size,)
    answer : ndarray, shape (size, size)
        Rows follow the second input, columns the first.

    Raises
    ------
    SettingsError
        There are not two weights, or the activation is unknown.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (2,):
        raise SettingsError(f"A surface needs two weights and got {w.size}: use two inputs.")
    check_choice("activation", activation, ACTIVATIONS)
    axis = np.linspace(low, high, size)
    first, second = np.meshgrid(axis, axis)
    return axis, ACTIVATIONS[activation](first * w[0] + second * w[1] + bias)
