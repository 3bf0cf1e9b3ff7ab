"""A multilayer perceptron that keeps every intermediate value of its last pass readable.

NumPy only, float64. A layer maps ``a`` of shape (batch, n_in) to ``s(a @ W + b)`` of shape
(batch, n_out), with W of shape (n_in, n_out).

The loss is ``L = 1/2 sum(error^2)`` with ``error = target - output``, summed over outputs and
averaged over the batch. Gradients are derivatives of that loss, and a step goes against them:
``W -= learning_rate * dL/dW``. The course writes the same step ``W += learning_rate * dW``: its
``dW`` is ``-dL/dW``, because it leaves the minus sign in the error. An epoch reports the mean
squared error (MSE), the mean of ``error^2`` over outputs and examples.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice, check_number, check_whole
from genrekit.teaching.neuron import ACTIVATIONS, Array
from genrekit.wording import agree, counted

__all__ = ["INITIALISERS", "MLP", "EpochReport", "Step", "flat", "numerical_gradients"]

Initialiser = Callable[[np.random.Generator, int, int], Array]

INITIALISERS: Final[dict[str, Initialiser]] = {
    # The course's: all positive, in [0, 1).
    "uniform": lambda rng, n_in, n_out: rng.random((n_in, n_out)),
    "symmetric": lambda rng, n_in, n_out: rng.uniform(-1, 1, (n_in, n_out)),
    # Glorot and Bengio 2010, for sigmoid and tanh.
    "xavier": lambda rng, n_in, n_out: (
        rng.uniform(-1, 1, (n_in, n_out)) * np.sqrt(6 / (n_in + n_out))
    ),
    # He et al. 2015, for ReLU.
    "he": lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}


@dataclass(frozen=True)
class EpochReport:
    """One pass over the data, with each example's squared error measured before its update."""

    epoch: int
    mse: float


@dataclass(frozen=True)
class Step:
    """Every value computed while learning from one example or one batch.

    Lists run from the first layer to the last; values of single examples have the batch as their
    first axis. Layer i maps `activations[i]` through `weights[i]` to `net_inputs[i]` and on to
    `activations[i + 1]`; `activations[0]` is the input. `gradients` and `bias_gradients` are
    derivatives of `loss`, and `deltas` those of each example's own loss by the net inputs.
    """

    target: Array
    net_inputs: list[Array]
    activations: list[Array]
    error: Array
    loss: float
    deltas: list[Array]
    gradients: list[Array]
    bias_gradients: list[Array]
    weights_before: list[Array]
    weights_after: list[Array]
    biases_before: list[Array]
    biases_after: list[Array]

    @property
    def output(self) -> Array:
        """The network's answer before the update."""
        return self.activations[-1]


class _Pass:
    """The buffers of one forward and backward pass for one batch size, allocated once."""

    def __init__(self, layer_sizes: Sequence[int], batch: int) -> None:
        def rows() -> list[Array]:
            return [np.zeros((batch, n)) for n in layer_sizes]

        self.activations = rows()
        self.net_inputs = rows()[1:]
        self.slopes = rows()[1:]
        self.deltas = rows()[1:]
        # Derivatives of the loss by each activation.
        self.passed_back = rows()
        self.target = np.zeros((batch, layer_sizes[-1]))
        self.at_output = self.passed_back[-1].reshape(-1)
        self.transposed = [a.T for a in self.activations]
        self.gradients = [np.zeros(shape) for shape in pairwise(layer_sizes)]
        self.bias_gradients = [np.zeros(n) for n in layer_sizes[1:]]
        self.updates = [np.zeros_like(g) for g in self.gradients]


class MLP:
    """A multilayer perceptron trained by backpropagation.

    Parameters
    ----------
    num_inputs : int, >= 1
    num_hidden : sequence of int, each >= 1; empty for no hidden layer
    num_outputs : int, >= 1
    activation : a key of `ACTIVATIONS`, used by every layer
    output_activation : a key of `ACTIVATIONS` or None
        Another one for the last layer, such as "identity" for unbounded targets.
    bias : bool
        Add a learned constant to each neuron; the course does not.
    init : a key of `INITIALISERS`; biases start at zero
    seed : int or numpy.random.Generator

    Attributes
    ----------
    layer_sizes : tuple of int
    weights : list of ndarray, shapes (n_in, n_out); free to edit between steps
    biases : list of ndarray, shapes (n_out,); empty without biases
    net_inputs : list of ndarray, shapes (batch, n_out); h of each layer in the last pass
    activations : list of ndarray, shapes (batch, n); the input, then those of each layer
    deltas : list of ndarray, shapes (batch, n_out); dL/dh, of each example's own loss
    gradients : list of ndarray, shapes (n_in, n_out); dL/dW of each layer
    bias_gradients : list of ndarray, shapes (n_out,); dL/db of each layer

    Raises
    ------
    SettingsError
        A size is below 1, or the activation or initialiser is unknown.

    Examples
    --------
    >>> network = genrekit.MLP(2, [5], 1, seed=1)
    >>> step = network.step([0.3, 0.1], [0.4], learning_rate=0.1)
    >>> bool(step.loss > 0)
    True
    """

    def __init__(
        self,
        num_inputs: int = 3,
        num_hidden: Sequence[int] = (3, 5),
        num_outputs: int = 2,
        *,
        activation: str = "sigmoid",
        bias: bool = False,
        init: str = "uniform",
        seed: int | np.random.Generator = 0,
        output_activation: str | None = None,
    ) -> None:
        self.layer_sizes = (num_inputs, *num_hidden, num_outputs)
        for size in self.layer_sizes:
            check_whole("A layer's size", size, 1)
        self.activation = activation
        self.output_activation = output_activation or activation
        check_choice("weight initialisation", init, INITIALISERS)
        for name in (self.activation, self.output_activation):
            check_choice("activation", name, ACTIVATIONS)
        functions = [ACTIVATIONS[activation]] * len(num_hidden)
        functions.append(ACTIVATIONS[self.output_activation])
        self._apply = [f.apply for f in functions]
        self._slope = [f.slope for f in functions]
        rng = np.random.default_rng(seed)
        draw = INITIALISERS[init]
        pairs = list(pairwise(self.layer_sizes))
        self.weights: list[Array] = [draw(rng, n_in, n_out) for n_in, n_out in pairs]
        self.biases: list[Array] = [np.zeros(n_out) for _, n_out in pairs] if bias else []
        self._passes: dict[int, _Pass] = {}
        self._show(self._pass(1))

    def _show(self, p: _Pass) -> None:
        self._last = p
        self.net_inputs, self.activations, self.deltas = p.net_inputs, p.activations, p.deltas
        self.gradients, self.bias_gradients = p.gradients, p.bias_gradients

    # -- learning -------------------------------------------------------------------------

    def forward(self, inputs: ArrayLike) -> Array:
        """Compute the output, shape (num_outputs,) or (batch, num_outputs).

        Parameters
        ----------
        inputs : array_like, shape (num_inputs,) or (batch, num_inputs)

        Raises
        ------
        SettingsError
            The shape does not fit, or a number is not finite.
        """
        x = np.asarray(inputs, dtype=np.float64)
        rows = self._rows(x, self.layer_sizes[0], "inputs")
        if not np.isfinite(rows).all():
            raise SettingsError("The inputs hold numbers that are not finite: remove them.")
        p = self._pass(len(rows))
        self._show(p)
        p.activations[0][:] = rows
        with np.errstate(over="ignore", invalid="ignore"):
            self._forward(p)
        output = p.activations[-1]
        return (output[0] if x.ndim == 1 else output).copy()

    def backward(self, error: ArrayLike) -> Array:
        """Propagate an error back through the last forward pass, filling the gradients.

        Parameters
        ----------
        error : array_like, shape (num_outputs,) or (batch, num_outputs), target - output

        Returns
        -------
        ndarray, shape (batch, num_inputs)
            Derivatives of each example's loss by its inputs.
        """
        p = self._last
        rows = self._rows(np.asarray(error, dtype=np.float64), self.layer_sizes[-1], "errors")
        if len(rows) != len(p.target):
            raise SettingsError(
                f"{counted(len(rows), 'error')} {agree(len(rows), 'does', 'do')} not fit the last "
                f"forward pass of {counted(len(p.target), 'example')}."
            )
        np.negative(rows, out=p.passed_back[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            self._backward(p)
            np.dot(p.deltas[0], self.weights[0].T, out=p.passed_back[0])
        return p.passed_back[0].copy()

    def gradient_descent(self, learning_rate: float) -> None:
        """Move the weights against the gradients of the last backward pass."""
        with np.errstate(over="ignore", invalid="ignore"):
            self._descend(self._last, learning_rate)

    def train(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        epochs: int = 50,
        learning_rate: float = 0.1,
        batch_size: int = 1,
        shuffle: np.random.Generator | None = None,
    ) -> Iterator[EpochReport]:
        """Run stochastic gradient descent, one report per epoch; stop iterating to stop it.

        Parameters
        ----------
        inputs : array_like, shape (n, num_inputs)
        targets : array_like, shape (n, num_outputs) or, for one output, (n,)
        epochs : int, >= 0
        learning_rate : float, > 0
        batch_size : int, >= 1; the gradients of a batch are averaged
        shuffle : Generator or None
            Draws a new order each epoch; None keeps the given order, as the course does.

        Raises
        ------
        SettingsError
            Before the first epoch, if shapes or ranges do not fit.
        """
        x, t = self.check_examples(inputs, targets)
        check_whole("epochs", epochs, 0)
        check_whole("batch_size", batch_size, 1)
        check_number("learning_rate", learning_rate, 0, above=True)
        return self._train(x, t, epochs, learning_rate, batch_size, shuffle)

    def step(self, inputs: ArrayLike, target: ArrayLike, learning_rate: float = 0.1) -> Step:
        """Learn from one example or batch like `train`, and copy every intermediate value."""
        x, t = self.check_examples(np.atleast_2d(inputs), np.atleast_2d(target))
        before = _copies(self.weights), _copies(self.biases)
        p = self._pass(len(x))
        self._show(p)
        p.activations[0][:] = x
        p.target[:] = t
        with np.errstate(over="ignore", invalid="ignore"):
            squares = self._learn(p, learning_rate)
        return Step(
            target=t.copy(),
            net_inputs=_copies(p.net_inputs),
            activations=_copies(p.activations),
            error=t - p.activations[-1],
            loss=squares / 2 / len(t),
            deltas=_copies(p.deltas),
            gradients=_copies(p.gradients),
            bias_gradients=_copies(p.bias_gradients) if self.biases else [],
            weights_before=before[0],
            weights_after=_copies(self.weights),
            biases_before=before[1],
            biases_after=_copies(self.biases),
        )

    def loss(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Compute ``1/2 sum((target - output)^2)``, averaged over examples, without learning."""
        return self.mean_squared_error(inputs, targets) * self.layer_sizes[-1] / 2

    def mean_squared_error(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Compute the mean of (target - output)^2 over examples and outputs, without learning."""
        x, t = self.check_examples(inputs, targets)
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.mean(np.square(t - self.forward(x))))

    # -- the arithmetic, on prepared buffers ----------------------------------------------

    def _forward(self, p: _Pass) -> None:
        apply = self._apply
        a = p.activations
        for i, w in enumerate(self.weights):
            h = p.net_inputs[i]
            a[i].dot(w, h)
            if self.biases:
                np.add(h, self.biases[i], h)
            apply[i](h, a[i + 1])

    def _backward(self, p: _Pass) -> None:
        slope = self._slope
        batch = len(p.target)
        for i in reversed(range(len(self.weights))):
            delta, slopes = p.deltas[i], p.slopes[i]
            slope[i](p.net_inputs[i], p.activations[i + 1], slopes)
            np.multiply(slopes, p.passed_back[i + 1], delta)
            p.transposed[i].dot(delta, p.gradients[i])
            if batch > 1:
                np.divide(p.gradients[i], batch, out=p.gradients[i])
            if self.biases:
                np.mean(delta, axis=0, out=p.bias_gradients[i])
            if i:
                delta.dot(self.weights[i].T, p.passed_back[i])

    def _descend(self, p: _Pass, learning_rate: float | Array) -> None:
        for i, w in enumerate(self.weights):
            update = p.updates[i]
            np.multiply(p.gradients[i], learning_rate, update)
            np.subtract(w, update, w)
        for i, b in enumerate(self.biases):
            b -= learning_rate * p.bias_gradients[i]

    def _learn(self, p: _Pass, learning_rate: float | Array) -> float:
        """Learn from the examples in `p`; return the sum of their squared errors before that."""
        self._forward(p)
        # The derivative of the loss by the output is minus the error.
        np.subtract(p.activations[-1], p.target, p.passed_back[-1])
        squares = float(p.at_output.dot(p.at_output))
        self._backward(p)
        self._descend(p, learning_rate)
        return squares

    def _train(
        self,
        x: Array,
        t: Array,
        epochs: int,
        learning_rate: float,
        batch_size: int,
        shuffle: np.random.Generator | None,
    ) -> Iterator[EpochReport]:
        rate = np.array(learning_rate, np.float64)
        for epoch in range(epochs):
            order = slice(None) if shuffle is None else shuffle.permutation(len(x))
            xs, ts = x[order], t[order]
            squares = 0.0
            with np.errstate(over="ignore", invalid="ignore"):
                for start in range(0, len(x), batch_size):
                    rows = xs[start : start + batch_size]
                    p = self._pass(len(rows))
                    p.activations[0][:] = rows
                    p.target[:] = ts[start : start + batch_size]
                    squares += self._learn(p, rate)
            self._show(p)
            yield EpochReport(epoch, squares / t.size)

    # -- checking -------------------------------------------------------------------------

    def _pass(self, batch: int) -> _Pass:
        if batch not in self._passes:
            self._passes[batch] = _Pass(self.layer_sizes, batch)
        return self._passes[batch]

    def check_examples(self, inputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
        """Return examples as arrays of two axes, or raise SettingsError if they do not fit."""
        x = np.ascontiguousarray(inputs, dtype=np.float64)
        t = np.ascontiguousarray(targets, dtype=np.float64)
        if t.ndim == 1:
            t = t[:, np.newaxis]
        x = self._rows(x, self.layer_sizes[0], "inputs")
        t = self._rows(t, self.layer_sizes[-1], "targets")
        if len(x) != len(t):
            raise SettingsError(
                f"{counted(len(x), 'input')} and {counted(len(t), 'target')}: give one target each."
            )
        if not (np.isfinite(x).all() and np.isfinite(t).all()):
            raise SettingsError("The examples hold numbers that are not finite: remove them.")
        return x, t

    @staticmethod
    def _rows(array: Array, width: int, what: str) -> Array:
        rows = np.atleast_2d(array)
        if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            raise SettingsError(
                f"{what.capitalize()} of shape {array.shape} do not fit a network "
                f"with {width} of them: give shape (examples, {width})."
            )
        return rows


def numerical_gradients(
    mlp: MLP, inputs: ArrayLike, targets: ArrayLike, epsilon: float = 1e-6
) -> tuple[list[Array], list[Array]]:
    """Measure `MLP.gradients` and `MLP.bias_gradients` by central differences of the loss.

    Parameters
    ----------
    inputs, targets : array_like, shapes as for `MLP.train`, or one example as for `MLP.step`
    epsilon : float, > 0, distance by which each weight is moved to either side
    """
    if np.ndim(inputs) == 1:  # one example
        inputs, targets = np.atleast_2d(inputs), np.atleast_2d(targets)
    x, t = mlp.check_examples(inputs, targets)

    def gradient(parameter: Array) -> Array:
        result = np.zeros_like(parameter)
        for at in np.ndindex(parameter.shape):
            kept = parameter[at]
            parameter[at] = kept + epsilon
            above = mlp.loss(x, t)
            parameter[at] = kept - epsilon
            below = mlp.loss(x, t)
            parameter[at] = kept
            result[at] = (above - below) / (2 * epsilon)
        return result

    return [gradient(w) for w in mlp.weights], [gradient(b) for b in mlp.biases]


def flat(arrays: Iterable[Array]) -> Array:
    """Concatenate the numbers of arrays, rows before columns."""
    return np.concatenate([array.ravel() for array in arrays])


def _copies(arrays: Sequence[Array]) -> list[Array]:
    return [a.copy() for a in arrays]
