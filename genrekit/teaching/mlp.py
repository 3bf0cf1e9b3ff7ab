"""The teaching network: a neuron and a multilayer perceptron one can look inside of.

NumPy only, float64. A layer maps ``a`` of shape (batch, n_in) to ``s(a @ W + b)`` of shape
(batch, n_out), with W of shape (n_in, n_out). Every intermediate value of the last pass stays
readable.

The one loss is ``L = 1/2 sum(error^2)`` with ``error = target - output``, summed over outputs and
averaged over the batch. Gradients are derivatives of that loss, and a step goes against them:
``W -= learning_rate * dL/dW``. The course writes the same step ``W += learning_rate * dW``: its
``dW`` is ``-dL/dW``, the minus sign comes in with its error. What an epoch reports is the mean
squared error (MSE), the mean of ``error^2`` over outputs and examples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_number, check_whole
from genrekit.wording import agree, counted, numeral

__all__ = [
    "ACTIVATIONS",
    "INITIALISERS",
    "MLP",
    "TASKS",
    "Activation",
    "EpochReport",
    "NeuronOutput",
    "Step",
    "make_task",
    "neuron",
    "numerical_gradients",
    "sigmoid",
    "sum_task",
]

Array = NDArray[np.float64]

# Arrays of a teaching network are so small that calling NumPy costs more than the arithmetic.
# So where training goes round, results go to prepared arrays given by position, products are
# methods, constants are arrays, and no function writes over its own argument: NumPy takes three
# times as long to do that to an array of one element, such as the output.
_ONE: Final = np.array(1.0)


@dataclass(frozen=True)
class Activation:
    """An activation function and its slope, both writing into `out`, an array of its own.

    `apply(h, out)` computes ``s(h)``; `slope(h, a, out)` computes ``s'(h)`` where ``a = s(h)``.
    Both take arrays of at least one axis; call the activation itself for a single number.
    """

    apply: Callable[[Array, Array], object]
    slope: Callable[[Array, Array, Array], object]
    formula: str

    def __call__(self, h: ArrayLike) -> Array:
        """``s(h)``, any shape; a scalar for a scalar."""
        h = np.asarray(h, dtype=np.float64)
        out = np.empty(h.shape)
        with np.errstate(over="ignore"):
            self.apply(h.reshape(-1), out.reshape(-1))
        return out[()]


def _sigmoid(h: Array, out: Array) -> None:
    # exp(-h) overflows to inf below -709, and 1 / inf is the right answer: callers mute that.
    other = np.negative(h)
    np.exp(other, out)
    np.add(out, _ONE, other)
    np.reciprocal(other, out)


def _sigmoid_slope(h: Array, a: Array, out: Array) -> None:
    np.multiply(np.subtract(_ONE, a), a, out)


def _tanh_slope(h: Array, a: Array, out: Array) -> None:
    np.subtract(_ONE, np.multiply(a, a), out)


def _relu(h: Array, out: Array) -> None:
    np.maximum(h, 0.0, out=out)


def _positive(h: Array, out: Array) -> None:
    np.copyto(out, h > 0)


ACTIVATIONS: Final[dict[str, Activation]] = {
    "sigmoid": Activation(_sigmoid, _sigmoid_slope, "1 / (1 + exp(-h))"),
    "tanh": Activation(lambda h, out: np.tanh(h, out=out), _tanh_slope, "tanh(h)"),
    "relu": Activation(_relu, lambda h, a, out: _positive(h, out), "max(0, h)"),
    "identity": Activation(lambda h, out: np.copyto(out, h), lambda h, a, out: out.fill(1.0), "h"),
    # The step's slope is zero wherever it exists: a network of steps cannot learn by descent.
    "step": Activation(_positive, lambda h, a, out: out.fill(0.0), "1 if h > 0 else 0"),
}

sigmoid: Final = ACTIVATIONS["sigmoid"]

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
class NeuronOutput:
    """What one neuron computed: the products, their sum (net input h) and the activation."""

    products: Array
    net_input: float
    activation: float


def neuron(
    inputs: ArrayLike, weights: ArrayLike, bias: float = 0.0, activation: str = "sigmoid"
) -> NeuronOutput:
    """One artificial neuron: ``s(sum(x_i * w_i) + bias)``.

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
    x, w = np.asarray(inputs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or x.shape != w.shape:
        raise SettingsError(
            f"{counted(x.size, 'input')} {agree(x.size, 'does', 'do')} not fit "
            f"{counted(w.size, 'weight')}: give one weight for each input."
        )
    products = x * w
    net_input = float(products.sum() + bias)
    return NeuronOutput(products, net_input, float(_activation(activation)(net_input)))


@dataclass(frozen=True)
class EpochReport:
    """One pass over the data: `mse` is the mean squared error, the mean over examples of
    mean((target - output)^2), each taken just before that example's update."""

    epoch: int
    mse: float


@dataclass(frozen=True)
class Step:
    """Everything that happened when the network learned from one example (or one batch).

    Lists run from the first layer to the last; arrays have the batch as their first axis
    where an example has a value of its own. `activations[0]` is the input, so layer i maps
    `activations[i]` through `weights[i]` to `net_inputs[i]` and on to `activations[i + 1]`.

    `error` is target - output, `loss` is ``1/2 sum(error^2)`` averaged over the batch, and
    `gradients` and `bias_gradients` are its derivatives: ``weights_after`` is
    ``weights_before - learning_rate * gradients``. `deltas` are the derivatives of each example's
    own loss by the net inputs.
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
        """The network's answer, before the update."""
        return self.activations[-1]

    @property
    def finite(self) -> bool:
        """Whether all numbers of the step are in the range that a computer can hold."""
        kept = (self.net_inputs, self.activations, self.deltas, self.gradients)
        after = (self.bias_gradients, self.weights_after, self.biases_after)
        every = [np.array(self.loss), *(array for arrays in (*kept, *after) for array in arrays)]
        return all(bool(np.isfinite(values).all()) for values in every)


class _Pass:
    """The buffers of one forward and backward pass, for one batch size.

    Allocated once and written again and again: at the sizes of a teaching network, making
    arrays costs more than the arithmetic.
    """

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
        Another one for the last layer, such as "identity" where the targets know no bounds.
    bias : bool
        Whether each neuron also adds a learned constant; the course's does not.
    init : a key of `INITIALISERS`; biases start at zero
    seed : int or numpy.random.Generator

    Attributes
    ----------
    layer_sizes : tuple of int
    weights : list of ndarray, shapes (n_in, n_out); free to edit between steps
    biases : list of ndarray, shapes (n_out,); empty without biases

    Raises
    ------
    SettingsError
        A size is below 1, or the activation or initialiser is unknown.
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
        if init not in INITIALISERS:
            raise SettingsError(
                f'Unknown weight initialisation "{init}": use one of {", ".join(INITIALISERS)}.'
            )
        self.activation = activation
        self.output_activation = output_activation or activation
        functions = [_activation(activation)] * len(num_hidden)
        functions.append(_activation(self.output_activation))
        self._apply = [f.apply for f in functions]
        self._slope = [f.slope for f in functions]
        rng = np.random.default_rng(seed)
        draw = INITIALISERS[init]
        pairs = list(pairwise(self.layer_sizes))
        self.weights: list[Array] = [draw(rng, n_in, n_out) for n_in, n_out in pairs]
        self.biases: list[Array] = [np.zeros(n_out) for _, n_out in pairs] if bias else []
        self._passes: dict[int, _Pass] = {}
        self._last = self._pass(1)

    # -- what the last pass computed ------------------------------------------------------

    @property
    def net_inputs(self) -> list[Array]:
        """Net inputs h of each layer in the last pass, shapes (batch, n_out)."""
        return self._last.net_inputs

    @property
    def activations(self) -> list[Array]:
        """The input and each layer's activation in the last pass, shapes (batch, n)."""
        return self._last.activations

    @property
    def deltas(self) -> list[Array]:
        """dL/dh of each layer in the last backward pass, by each example's own loss, shapes
        (batch, n_out): the derivative by the activation times ``s'(h)``."""
        return self._last.deltas

    @property
    def gradients(self) -> list[Array]:
        """dL/dW of each layer in the last backward pass, shapes (n_in, n_out)."""
        return self._last.gradients

    @property
    def bias_gradients(self) -> list[Array]:
        """dL/db of each layer in the last backward pass, shapes (n_out,)."""
        return self._last.bias_gradients

    # -- the four moves -------------------------------------------------------------------

    def forward(self, inputs: ArrayLike) -> Array:
        """Compute the output.

        Parameters
        ----------
        inputs : array_like, shape (num_inputs,) or (batch, num_inputs)

        Returns
        -------
        ndarray, shape (num_outputs,) or (batch, num_outputs)

        Raises
        ------
        SettingsError
            The shape does not fit, or a number is not finite.
        """
        x = np.asarray(inputs, dtype=np.float64)
        rows = self._rows(x, self.layer_sizes[0], "inputs")
        if not np.isfinite(rows).all():
            raise SettingsError("The inputs hold numbers that are not finite: remove them.")
        p = self._last = self._pass(len(rows))
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
            The derivative of each example's loss by its inputs.
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
        """Stochastic gradient descent, one report an epoch; stop reading and it stops.

        Parameters
        ----------
        inputs : array_like, shape (n, num_inputs)
        targets : array_like, shape (n, num_outputs) or, for one output, (n,)
        epochs : int, >= 0
        learning_rate : float, > 0
        batch_size : int, >= 1; the gradients of a batch are averaged
        shuffle : Generator or None
            Draws a new order each epoch; None keeps the given order, as the course does.

        Yields
        ------
        EpochReport

        Raises
        ------
        SettingsError
            At once, when shapes or ranges do not fit.
        """
        x, t = self._examples(inputs, targets)
        check_whole("epochs", epochs, 0)
        check_whole("batch_size", batch_size, 1)
        check_number("learning_rate", learning_rate, 0, above=True)
        return self._train(x, t, epochs, learning_rate, batch_size, shuffle)

    def step(self, inputs: ArrayLike, target: ArrayLike, learning_rate: float = 0.1) -> Step:
        """Learn from one example (or batch) and keep every intermediate value.

        The same arithmetic as one iteration of `train`, with copies taken on the way.
        """
        x, t = self._examples(np.atleast_2d(inputs), np.atleast_2d(target))
        before = [w.copy() for w in self.weights], [b.copy() for b in self.biases]
        p = self._last = self._pass(len(x))
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
        """``1/2 sum((target - output)^2)`` over outputs, averaged over examples, without learning.

        It is what gradients are gradients of.
        """
        x, t = self._examples(inputs, targets)
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.sum(np.square(t - self.forward(x))) / 2 / len(x))

    def mean_squared_error(self, inputs: ArrayLike, targets: ArrayLike) -> float:
        """Mean of (target - output)^2 over examples and outputs, without learning."""
        x, t = self._examples(inputs, targets)
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
        """One update from the examples in `p`; the sum of squared errors before it."""
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
            if shuffle is not None:
                order = shuffle.permutation(len(x))
                xs, ts = x[order], t[order]
            else:
                xs, ts = x, t
            squares = 0.0
            with np.errstate(over="ignore", invalid="ignore"):
                for start in range(0, len(x), batch_size):
                    rows = xs[start : start + batch_size]
                    p = self._pass(len(rows))
                    p.activations[0][:] = rows
                    p.target[:] = ts[start : start + batch_size]
                    squares += self._learn(p, rate)
                    self._last = p
            yield EpochReport(epoch, squares / t.size)

    # -- checking -------------------------------------------------------------------------

    def _pass(self, batch: int) -> _Pass:
        if batch not in self._passes:
            self._passes[batch] = _Pass(self.layer_sizes, batch)
        return self._passes[batch]

    def _examples(self, inputs: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
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
    """The gradients again, from nothing but losses measured on either side (central differences).

    Parameters
    ----------
    inputs, targets : array_like, shapes as for `MLP.train`, or one example as for `MLP.step`
    epsilon : float, > 0, how far each weight is moved to either side

    Returns
    -------
    (gradients, bias_gradients)
        In the shapes of `MLP.gradients` and `MLP.bias_gradients`.

    Raises
    ------
    SettingsError
        The examples do not fit the network, or hold numbers that are not finite.
    """
    if np.ndim(inputs) == 1:  # one example
        inputs, targets = np.atleast_2d(inputs), np.atleast_2d(targets)
    x, t = mlp._examples(inputs, targets)

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


# What each task asks of the two numbers a and b; `middle` is the centre of their range.
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
    """Random pairs of numbers and what a network should answer to each.

    Parameters
    ----------
    name : a key of `TASKS`
    count : int, >= 1
    low, high : float, low < high; the pairs are uniform in [low, high)
    noise : float, >= 0, standard deviation of what is added to the targets
    seed : int or numpy.random.Generator

    Returns
    -------
    inputs : ndarray, shape (count, 2)
    targets : ndarray, shape (count, 1)

    Raises
    ------
    SettingsError
        The task is unknown, or a number is outside its range.
    """
    if name not in TASKS:
        raise SettingsError(f'Unknown task "{name}": use one of {", ".join(TASKS)}.')
    check_whole("count", count)
    for name_of_number, number in (("low", low), ("high", high), ("noise", noise)):
        check_number(name_of_number, number)
    if count < 1 or not low < high or noise < 0:
        raise SettingsError(
            f"{counted(count, 'example')} from {numeral(low)} to {numeral(high)} with a noise of "
            f"{numeral(noise)} cannot be drawn: "
            "use at least 1 example, a lower end below the upper, and noise of at least 0, "
            "all of them finite."
        )
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(low, high, (count, 2))
    targets = TASKS[name](inputs[:, 0], inputs[:, 1], (low + high) / 2)
    if noise:
        targets = targets + rng.normal(0, noise, count)
    return inputs, targets[:, np.newaxis]


def sum_task(count: int = 1000, seed: int | np.random.Generator = 0) -> tuple[Array, Array]:
    """The course's task: pairs uniform in [0, 0.5), and their sums.

    Returns
    -------
    inputs : ndarray, shape (count, 2)
    targets : ndarray, shape (count, 1)
    """
    return make_task("sum", count, seed=seed)


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise SettingsError(f'Unknown activation "{name}": use one of {", ".join(ACTIVATIONS)}.')
    return ACTIVATIONS[name]


def _copies(arrays: Sequence[Array]) -> list[Array]:
    return [a.copy() for a in arrays]
