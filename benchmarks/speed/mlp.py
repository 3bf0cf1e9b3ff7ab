"""The teaching network.

GenreKit: `genrekit.teaching.mlp.MLP.train`, which reuses its buffers. The straightforward way: the
same arithmetic in plain NumPy, one example at a time as a course would write it, or one batch at
a time where batches are larger than 1. Same first weights, same order.
"""

from functools import partial

import numpy as np

from benchmarks.speed.compare import Figures, compare, timed, within
from genrekit.teaching.mlp import MLP
from genrekit.teaching.tasks import make_task

LIMIT = 1e-12
LEARNING_RATE = 0.1
Array = np.ndarray


def mlp(runs: int = 5, examples: int = 1000, epochs: int = 5) -> list[Figures]:
    """The sum task on a 2-5-1 network, and a 3-[8, 8]-2 network in batches of 32."""
    rng = np.random.default_rng(0)
    x = rng.random((examples, 3))
    larger = x, np.column_stack([x.mean(axis=1), x.max(axis=1)])
    return [
        _compare((2, 5, 1), make_task("sum", examples), 1, epochs, runs, 1.5),
        _compare((3, 8, 8, 2), larger, 1, epochs, runs, None),
        _compare((3, 8, 8, 2), larger, 32, 10 * epochs, runs, None),
    ]


def check(ours: list[float], theirs: list[float]) -> str:
    """Check that the errors of all epochs agree."""
    return within(float(np.abs(np.subtract(ours, theirs)).max()), LIMIT, "errors of all epochs")


def _compare(
    sizes: tuple[int, ...],
    task: tuple[Array, Array],
    batch: int,
    epochs: int,
    runs: int,
    goal: float | None,
) -> Figures:
    def network() -> MLP:
        return MLP(sizes[0], sizes[1:-1], sizes[-1], seed=0)

    def ours() -> list[float]:
        reports = network().train(
            *task, epochs=epochs, learning_rate=LEARNING_RATE, batch_size=batch
        )
        return [report.mse for report in reports]

    def theirs() -> list[float]:
        if batch == 1:
            return _one_by_one(network().weights, *task, epochs)
        return _by_batches(network().weights, *task, epochs, batch)

    name = f"mlp {'-'.join(map(str, sizes))}, {len(task[0])} examples, {epochs} epochs, "
    return compare(
        name + f"batches of {batch}",
        partial(timed, ours),
        partial(timed, theirs),
        check,
        runs=runs,
        warm_up=True,
        goal=goal,
    )


def _sigmoid(h: Array) -> Array:
    return 1.0 / (1 + np.exp(-h))


def _one_by_one(weights: list[Array], inputs: Array, targets: Array, epochs: int) -> list[float]:
    activations = [np.zeros(len(weights[0]))] + [np.zeros(w.shape[1]) for w in weights]
    # As the course writes it: minus the gradients, which are added.
    downhill = [np.zeros(w.shape) for w in weights]

    def forward(x: Array) -> Array:
        activations[0] = x
        for i, w in enumerate(weights):
            x = _sigmoid(np.dot(x, w))
            activations[i + 1] = x
        return x

    def backward(error: Array) -> None:
        for i in reversed(range(len(downhill))):
            a = activations[i + 1]
            delta = error * (a * (1.0 - a))
            row = delta.reshape(delta.shape[0], -1).T
            below = activations[i]
            column = below.reshape(below.shape[0], -1)
            downhill[i] = np.dot(column, row)
            error = np.dot(delta, weights[i].T)

    errors = []
    for _ in range(epochs):
        total = 0.0
        for x, target in zip(inputs, targets, strict=True):
            output = forward(x)
            error = target - output
            backward(error)
            for i in range(len(weights)):
                w = weights[i]
                w += downhill[i] * LEARNING_RATE
            total += np.average((target - output) ** 2)
        errors.append(total / len(inputs))
    return errors


def _by_batches(
    weights: list[Array], inputs: Array, targets: Array, epochs: int, batch: int
) -> list[float]:
    errors = []
    for _ in range(epochs):
        squares = 0.0
        for start in range(0, len(inputs), batch):
            activations = [inputs[start : start + batch]]
            for w in weights:
                activations.append(_sigmoid(activations[-1] @ w))
            error = targets[start : start + batch] - activations[-1]
            squares += np.sum(error**2)
            updates = []
            for i in reversed(range(len(weights))):
                a = activations[i + 1]
                delta = error * a * (1 - a)
                updates.append(activations[i].T @ delta / len(delta))
                error = delta @ weights[i].T
            for w, update in zip(reversed(weights), updates, strict=True):
                w += LEARNING_RATE * update
        errors.append(squares / targets.size)
    return errors
