"""Answers of a network over the plane of its two inputs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN
from genrekit.teaching.tasks import TASKS

__all__ = ["ErrorMap", "error_map"]

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
