"""A training run that can be stopped, changed and inspected.

A `Run` owns a network, its examples and its history, and learns whole batches. How the work is cut
into portions never changes the numbers, so that a run watched live agrees with the same run
repeated by its script (`genrekit.teaching.export`). `mse` is the mean squared error; the networks
have one output, so it is twice the loss of the gradients, `MLP.loss`. Units are counted from 0.
"""

import math
import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_number, check_whole
from genrekit.teaching.examples import make_examples
from genrekit.teaching.mlp import MLP, flat
from genrekit.teaching.settings import LIMITS, OWN, RunSettings

__all__ = ["MAX_SNAPSHOTS", "Change", "EpochRecord", "Run", "Snapshot", "Weight"]

Array = NDArray[np.float64]

MAX_SNAPSHOTS: Final = 400
# Examples between two searches for an overflow.
PORTION: Final = 256


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the data.

    `mse` takes each example's squared error just before its update; `held_out_mse` is measured at
    the end of the epoch on examples never learned from, None if there are none or it overflowed.
    """

    epoch: int
    mse: float
    held_out_mse: float | None
    learning_rate: float


@dataclass(frozen=True)
class Weight:
    """The weight from unit `source` into unit `target` of `layer`, or the unit's bias where
    `source` is None."""

    layer: int
    source: int | None
    target: int


@dataclass(frozen=True)
class Change:
    """A new learning rate, or a new value of one weight, after `seen` examples."""

    seen: int
    value: float
    weight: Weight | None = None


@dataclass(frozen=True)
class Snapshot:
    """The network after `seen` examples.

    `mse` is that of the last epoch or, within an epoch, of its examples so far; NaN before.
    `held_out_mse` is that of the last epoch; NaN without one. `parameters` follow
    `Run.all_weights`.
    """

    seen: int
    mse: float
    held_out_mse: float
    parameters: Array


class Run:
    """A network that learns from its examples in portions.

    Parameters
    ----------
    settings : RunSettings
    learning_rate : float, > 0; may be set again at any time
    epochs : int, where `advance` stops; may be raised at any time

    Attributes
    ----------
    mlp : MLP
    inputs, targets : ndarray, shapes (n, inputs) and (n, 1), in the order of learning
    held_inputs, held_targets : ndarray, examples never learned from; possibly none
    seen : int, examples learned from so far
    history : list of EpochRecord
    changes : list of Change
    snapshots : list of Snapshot, at ends of epochs, thinned to `MAX_SNAPSHOTS`

    Raises
    ------
    SettingsError
        The settings do not fit together.
    """

    def __init__(
        self, settings: RunSettings, *, learning_rate: float = 0.1, epochs: int = 50
    ) -> None:
        check_whole("epochs", epochs, 0)
        self.settings = settings
        self.inputs, self.targets, self.held_inputs, self.held_targets = make_examples(settings)
        self.mlp = self._network(np.random.default_rng([settings.seed, 1]))
        self._probe = self._network(np.random.default_rng(0))
        self.epochs = epochs
        self.first_rate = self._rate = _rate(learning_rate)
        self.seen = 0
        self.history: list[EpochRecord] = []
        self.changes: list[Change] = []
        self.snapshots: list[Snapshot] = []
        self._position = 0
        self._squares = 0.0
        self.snapshots.append(self.moment())

    def _network(self, rng: np.random.Generator) -> MLP:
        s = self.settings
        return MLP(
            self.inputs.shape[1],
            s.hidden,
            1,
            activation=s.activation,
            output_activation=s.output_activation,
            bias=s.bias,
            init=s.init,
            seed=rng,
        )

    # -- progress -------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next steps; `changes` records each new value."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        value = _rate(value)
        if value == self._rate:
            return
        self._rate = value
        if not self.seen:
            self.first_rate = value
        else:
            self._changed(Change(self.seen, value))

    @property
    def epoch(self) -> int:
        """The number of completed epochs."""
        return len(self.history)

    @property
    def broken(self) -> bool:
        """Return True if the numbers have overflowed."""
        return not (math.isfinite(self._squares) and np.isfinite(self._parameters()).all())

    @property
    def finished(self) -> bool:
        """Return True if `advance` has nothing left to do."""
        return self.epoch >= self.epochs or self.broken

    @property
    def next_example(self) -> tuple[Array, Array]:
        """The input, shape (inputs,), and the target, shape (1,), of the next example."""
        return self.inputs[self._position], self.targets[self._position]

    # -- learning -------------------------------------------------------------------------

    def advance(self, examples: int) -> int:
        """Learn from `examples` examples, rounded up to whole batches.

        Stops at the end of the last epoch, or when the numbers overflow. Returns the number of
        examples learned from.
        """
        done = 0
        while done < examples and not self.finished:
            done += self._learn(self._portion(examples - done))
        return done

    def _portion(self, wanted: int) -> int:
        """Return how many examples to learn from at once: whole batches, up to `PORTION` or one."""
        batch = self.settings.batch_size
        room = len(self.inputs) - self._position
        wanted = min(wanted, max(PORTION, batch))
        return min(room, max(batch, wanted // batch * batch))

    def _learn(self, count: int) -> int:
        rows = slice(self._position, self._position + count)
        for report in self.mlp.train(
            self.inputs[rows],
            self.targets[rows],
            epochs=1,
            learning_rate=self._rate,
            batch_size=self.settings.batch_size,
        ):
            self._squares += report.mse * count
        self.seen += count
        self._position += count
        if self._position == len(self.inputs):
            self._end_epoch()
        return count

    def _end_epoch(self) -> None:
        mse = self._squares / len(self.inputs)
        if math.isfinite(mse):
            self.history.append(EpochRecord(self.epoch, mse, self._held_out_mse(), self._rate))
        self._position = 0
        # A sum that overflowed stays, to show that the run is broken.
        self._squares = 0.0 if np.isfinite(self._squares) else self._squares
        self.snapshots.append(self.moment())
        if len(self.snapshots) > MAX_SNAPSHOTS:
            # Drop every second one, but neither the first nor the last.
            self.snapshots = self.snapshots[:-1:2] + self.snapshots[-1:]

    def _held_out_mse(self) -> float | None:
        if not len(self.held_inputs):
            return None
        mse = self.network().mean_squared_error(self.held_inputs, self.held_targets)
        return mse if math.isfinite(mse) else None

    def set_weight(self, weight: Weight, value: float) -> None:
        """Change a weight or bias.

        Raises
        ------
        SettingsError
            There is no such weight, or the value is not finite.
        """
        if weight not in self.all_weights():
            raise SettingsError("This network has no such weight: choose one from the drawing.")
        check_number("The weight's new value", value, -LIMITS.value, LIMITS.value)
        self._set(weight, value)
        self._changed(Change(self.seen, value, weight))

    def _set(self, weight: Weight, value: float) -> None:
        if weight.source is None:
            self.mlp.biases[weight.layer][weight.target] = value
        else:
            self.mlp.weights[weight.layer][weight.source, weight.target] = value

    def _changed(self, change: Change) -> None:
        """Record a change; of several of the same number between two examples the last counts."""
        before = [c for c in self.changes if (c.seen, c.weight) != (change.seen, change.weight)]
        self.changes = [*before, change]

    def all_weights(self) -> list[Weight]:
        """List every weight, layer by layer and row by row, then every bias."""
        net = self.mlp
        weights = [Weight(i, *at) for i, w in enumerate(net.weights) for at in np.ndindex(w.shape)]
        return weights + [
            Weight(i, None, j) for i, b in enumerate(net.biases) for j in range(b.size)
        ]

    # -- recording ------------------------------------------------------------------------

    def _parameters(self) -> Array:
        return flat([*self.mlp.weights, *self.mlp.biases])

    def moment(self) -> Snapshot:
        """Return the network as it is now."""
        last = self.history[-1] if self.history else None
        mse = last.mse if last else math.nan
        if self._position:
            mse = self._squares / self._position
        held = last.held_out_mse if last else None
        return Snapshot(self.seen, mse, math.nan if held is None else held, self._parameters())

    def at(self, seen: int) -> "Run":
        """Return this run as it was after `seen` examples, as a run of its own.

        The steps since the snapshot before are repeated, with the changes made in them.
        """
        run = Run(self.settings, learning_rate=self.first_rate, epochs=sys.maxsize)
        kept = next(s for s in reversed(self.snapshots) if s.seen <= seen)
        epochs = kept.seen // len(self.inputs)
        run._load(run.mlp, kept.parameters)
        run.seen, run.history = kept.seen, self.history[:epochs]
        run.snapshots = [s for s in self.snapshots if s.seen <= kept.seen]
        for change in (c for c in self.changes if c.seen <= seen):
            run.advance(change.seen - run.seen)
            if change.weight is None:
                run._rate = change.value
            elif change.seen >= kept.seen:
                run._set(change.weight, change.value)
            run.changes.append(change)
        run.advance(seen - run.seen)
        run.epochs = self.epochs
        return run

    def network(self) -> MLP:
        """Return a copy of the network to inspect.

        The next call reuses the same object.
        """
        self._load(self._probe, self._parameters())
        return self._probe

    @staticmethod
    def _load(net: MLP, parameters: Array) -> None:
        start = 0
        for array in (*net.weights, *net.biases):
            array[...] = parameters[start : start + array.size].reshape(array.shape)
            start += array.size

    def trained_range(self) -> tuple[Array, Array]:
        """Return the lowest and the highest value of each input learned from."""
        if self.settings.task == OWN:
            return self.inputs.min(axis=0), self.inputs.max(axis=0)
        return np.full(2, self.settings.low), np.full(2, self.settings.high)


def _rate(value: float) -> float:
    check_number("Learning rate", value, 0, LIMITS.value, above=True)
    return float(value)
