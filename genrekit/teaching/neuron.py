"""One artificial neuron, and the activation functions it chooses from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice
from genrekit.wording import agree, counted

__all__ = ["ACTIVATIONS", "Activation", "NeuronOutput", "neuron"]

Array = NDArray[np.float64]

# In arrays this small, calling NumPy costs more than the arithmetic. Training therefore passes
# preallocated outputs by position, calls products as methods, keeps constants as arrays, and never
# writes a function's result over its own argument, which takes NumPy three times as long for one
# element, such as the output.
_ONE: Final = np.array(1.0)


@dataclass(frozen=True)
class Activation:
    """An activation function ``s`` and its slope, both writing into the separate array `out`.

    `apply(h, out)` computes ``s(h)``; `slope(h, a, out)` computes ``s'(h)`` where ``a = s(h)``.
    Both need at least one axis; call the activation itself for a single number.
    """

    apply: Callable[[Array, Array], object]
    slope: Callable[[Array, Array, Array], object]

    def __call__(self, h: ArrayLike) -> Array:
        """Compute ``s(h)`` for any shape; a scalar for a scalar."""
        h = np.asarray(h, dtype=np.float64)
        out = np.empty(h.shape)
        with np.errstate(over="ignore"):
            self.apply(h.reshape(-1), out.reshape(-1))
        return out[()]


def _sigmoid(h: Array, out: Array) -> None:
    # exp(-h) overflows to inf below -709, and 1 / inf is right: callers mute the warning.
    other = np.negative(h)
    np.exp(other, out)
    np.add(out, _ONE, other)
    np.reciprocal(other, out)


def _sigmoid_slope(h: Array, a: Array, out: Array) -> None:
    np.multiply(np.subtract(_ONE, a), a, out)


def _tanh_slope(h: Array, a: Array, out: Array) -> None:
    np.subtract(_ONE, np.multiply(a, a), out)


def _positive(h: Array, out: Array) -> None:
    np.copyto(out, h > 0)


ACTIVATIONS: Final = {
    "sigmoid": Activation(_sigmoid, _sigmoid_slope),
    "tanh": Activation(lambda h, out: np.tanh(h, out=out), _tanh_slope),
    "relu": Activation(
        lambda h, out: np.maximum(h, 0.0, out=out), lambda h, a, out: _positive(h, out)
    ),
    "identity": Activation(lambda h, out: np.copyto(out, h), lambda h, a, out: out.fill(1.0)),
    # The slope of a step is zero wherever it exists: such a network cannot learn by descent.
    "step": Activation(_positive, lambda h, a, out: out.fill(0.0)),
}


@dataclass(frozen=True)
class NeuronOutput:
    """The products of a neuron, their sum with the bias (the net input h), and its answer."""

    products: Array
    net_input: float
    activation: float


def neuron(
    inputs: ArrayLike, weights: ArrayLike, bias: float = 0.0, activation: str = "sigmoid"
) -> NeuronOutput:
    """Compute one neuron: ``s(sum(x_i * w_i) + bias)``.

    Parameters
    ----------
    inputs, weights : array_like, shape (n,)
    bias : float
    activation : a key of `ACTIVATIONS`

    Raises
    ------
    SettingsError
        The shapes differ, or the activation is unknown.

    Examples
    --------
    >>> neuron([0.5, 0.3, 0.2], [0.4, 0.7, 0.2]).activation
    0.610639233949222
    """
    check_choice("activation", activation, ACTIVATIONS)
    x, w = np.asarray(inputs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or x.shape != w.shape:
        raise SettingsError(
            f"{counted(x.size, 'input')} {agree(x.size, 'does', 'do')} not fit "
            f"{counted(w.size, 'weight')}: give one weight for each input."
        )
    products = x * w
    net_input = float(products.sum() + bias)
    return NeuronOutput(products, net_input, float(ACTIVATIONS[activation](net_input)))
