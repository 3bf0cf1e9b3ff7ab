"""Answers of a neuron over the plane of its two inputs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice
from genrekit.teaching.neuron import ACTIVATIONS

__all__ = ["neuron_surface"]

Array = NDArray[np.float64]


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
