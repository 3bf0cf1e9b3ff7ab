"""Inspecting a run: answers to questions, and a check of the gradients.

Everything works on `Run.network`, a copy of the weights, and never changes the run itself.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.teaching.mlp import flat, numerical_gradients
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import OWN
from genrekit.teaching.tasks import TASKS

__all__ = [
    "Answer",
    "GradientCheck",
    "ask",
    "check_gradient",
    "truth",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """The answer to a question, None where it overflowed.

    `truth` is None for a visitor's own numbers; `error` is truth - answer, None without either.
    `outside` is true if an input lies outside the range learned from.
    """

    answer: float | None
    truth: float | None
    error: float | None
    outside: bool


def ask(run: Run, inputs: ArrayLike) -> Answer:
    """Ask the network a question of shape (inputs,)."""
    x = np.asarray(inputs, dtype=np.float64)
    output = float(run.network().forward(x)[0])
    answer = output if math.isfinite(output) else None
    right = truth(run, x)
    error = None if right is None or answer is None else right - answer
    low, high = run.trained_range()
    return Answer(answer, right, error, bool(((x < low) | (x > high)).any()))


def truth(run: Run, inputs: ArrayLike) -> float | None:
    """Return the right answer; None for a visitor's own numbers."""
    if run.settings.task == OWN:
        return None
    a, b = np.asarray(inputs, dtype=np.float64)
    middle = (run.settings.low + run.settings.high) / 2
    return float(TASKS[run.settings.task](np.asarray(a), np.asarray(b), middle))


@dataclass(frozen=True)
class GradientCheck:
    """Gradients from backpropagation and from central differences, in the same order."""

    weights: list[Weight]
    backpropagated: Array
    numerical: Array

    @property
    def largest_difference(self) -> float:
        """The largest absolute difference between both."""
        return float(np.max(np.abs(self.backpropagated - self.numerical)))


def check_gradient(run: Run, inputs: ArrayLike, target: float) -> GradientCheck:
    """Compute every gradient by backpropagation and by central differences of the loss."""
    x = np.atleast_2d(np.asarray(inputs, dtype=np.float64))
    net = run.network()
    with np.errstate(over="ignore", invalid="ignore"):
        output = net.forward(x)
        net.backward(target - output)
        biases = net.bias_gradients if net.biases else []
        backpropagated = flat([*net.gradients, *biases])
        weights, biases = numerical_gradients(net, x, [[target]])
        numerical = flat([*weights, *biases])
    return GradientCheck(run.all_weights(), backpropagated, numerical)
