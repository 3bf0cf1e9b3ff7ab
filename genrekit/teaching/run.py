"""A training run one can stop, change and look into.

NumPy only. A `Run` owns a network, its examples and its history, and moves by whole batches: how
its work is cut into portions never changes the numbers, so a run watched live and the same run
repeated by its script (`genrekit.teaching.export`) agree. `mse` is the mean squared error; the
networks have one output, so it is twice the loss that the gradients belong to, `MLP.loss`. Units
are counted from 0 here and from 1 in messages to people.
"""

import itertools
import math
import time
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_number, check_whole
from genrekit.teaching.examples import make_examples
from genrekit.teaching.mlp import MLP
from genrekit.teaching.settings import LIMITS, OWN, RunSettings

__all__ = ["MAX_SNAPSHOTS", "Change", "EpochRecord", "Run", "Snapshot", "Weight"]

Array = NDArray[np.float64]

MAX_SNAPSHOTS: Final = 400
# Examples learned from before the clock is looked at again.
PORTION: Final = 256


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the data.

    `mse` is the mean squared error, each example's taken just before its update; `held_out_mse`
    is taken at the end of the epoch on examples never learned from; None where there are none, or
    where it is beyond the numbers that a computer can hold.
    """

    epoch: int
    mse: float
    held_out_mse: float | None
    learning_rate: float


@dataclass(frozen=True)
class Weight:
    """One adjustable number: the weight from unit `source` into unit `target` of `layer`,
    counted from 0, or that unit's bias where `source` is None."""

    layer: int
    source: int | None
    target: int


@dataclass(frozen=True)
class Change:
    """A hand on the run after `seen` examples: a new learning rate, or one weight's new value."""

    seen: int
    value: float
    weight: Weight | None = None


@dataclass(frozen=True)
class Snapshot:
    """The network after `seen` examples, which is `epoch` epochs.

    `mse` is the mean squared error of the last epoch or, between two epochs, of the examples of
    the one under way; NaN where nothing was measured.
    """

    seen: int
    epoch: float
    mse: float
    held_out_mse: float
    parameters: Array


class Run:
    """A network learning from its examples, a portion at a time.

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
    snapshots : list of Snapshot, thinned to `MAX_SNAPSHOTS`

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
        examples = make_examples(settings)
        self.inputs, self.targets = examples.inputs, examples.targets
        self.held_inputs, self.held_targets = examples.held_inputs, examples.held_targets
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
        self._record_snapshot()

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

    # -- where it stands ------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """The length of each step; setting it takes effect at once, and is remembered."""
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
        """Completed epochs."""
        return len(self.history)

    @property
    def broken(self) -> bool:
        """Whether the numbers have left the range a computer can hold."""
        return not np.isfinite(self.snapshots[-1].parameters).all() or not np.isfinite(
            self._squares
        )

    @property
    def finished(self) -> bool:
        """Whether `advance` has nothing left to do."""
        return self.epoch >= self.epochs or self.broken

    @property
    def next_example(self) -> tuple[Array, Array]:
        """Input (inputs,) and target (1,) of the example that is learned from next."""
        return self.inputs[self._position], self.targets[self._position]

    # -- learning -------------------------------------------------------------------------

    def advance(self, examples: int, seconds: float = math.inf) -> int:
        """Learn from `examples` examples, rounded up to whole batches, for at most `seconds`.

        Stops at the end of the last epoch, or when the numbers overflow.

        Returns
        -------
        int
            How many examples were learned from.
        """
        deadline = time.perf_counter() + seconds
        done = 0
        while done < examples and not self.finished:
            done += self._learn(self._portion(examples - done))
            if time.perf_counter() >= deadline:
                break
        if done:
            self._record_snapshot()
        return done

    def _portion(self, wanted: int) -> int:
        """The next examples to learn from at once: whole batches, up to `PORTION` or one."""
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
        self._record_snapshot()
        self._position = 0
        # A sum that overflowed stays, to show that the run is broken.
        self._squares = 0.0 if np.isfinite(self._squares) else self._squares

    def _held_out_mse(self) -> float | None:
        if not len(self.held_inputs):
            return None
        mse = self.network().mean_squared_error(self.held_inputs, self.held_targets)
        return mse if math.isfinite(mse) else None

    def set_weight(self, weight: Weight, value: float) -> None:
        """Put `value` in the place of a weight or bias.

        Raises
        ------
        SettingsError
            There is no such weight, or the value is not finite.
        """
        if weight not in self.all_weights():
            raise SettingsError("This network has no such weight: choose one from the drawing.")
        check_number("The weight's new value", value, -LIMITS.value, LIMITS.value)
        array, at = _slot(self.mlp, weight)
        array[at] = value
        self._changed(Change(self.seen, value, weight))
        self._record_snapshot()

    def _changed(self, change: Change) -> None:
        """Remember a change; of several of one thing between two examples the last counts."""
        before = [c for c in self.changes if (c.seen, c.weight) != (change.seen, change.weight)]
        self.changes = [*before, change]

    def get_weight(self, weight: Weight) -> float:
        """The present value of a weight or bias."""
        array, at = _slot(self.mlp, weight)
        return float(array[at])

    def all_weights(self) -> list[Weight]:
        """Every weight, layer by layer and row by row, then every bias."""
        sizes = self.mlp.layer_sizes
        pairs = list(enumerate(itertools.pairwise(sizes)))
        weights = [
            Weight(i, source, target)
            for i, (n_in, n_out) in pairs
            for source in range(n_in)
            for target in range(n_out)
        ]
        if self.mlp.biases:
            weights += [Weight(i, None, target) for i, (_, n) in pairs for target in range(n)]
        return weights

    # -- recording ------------------------------------------------------------------------

    def _parameters(self) -> Array:
        return np.concatenate([a.ravel() for a in (*self.mlp.weights, *self.mlp.biases)])

    def _record_snapshot(self) -> None:
        part = self._position / len(self.inputs)
        mse = self._squares / self._position if self._position else math.nan
        held = self.history[-1].held_out_mse if self.history else None
        if not part and self.history:
            mse = self.history[-1].mse
        snapshot = Snapshot(
            self.seen,
            self.epoch + (part if part < 1 else 0.0),
            mse,
            math.nan if held is None else held,
            self._parameters(),
        )
        if self.snapshots and self.snapshots[-1].seen == self.seen:
            self.snapshots[-1] = snapshot
        else:
            self.snapshots.append(snapshot)
        if len(self.snapshots) > MAX_SNAPSHOTS:
            # Every second one goes, but the first and the last stay.
            self.snapshots = self.snapshots[:-1:2] + self.snapshots[-1:]

    def network(self, parameters: Array | None = None) -> MLP:
        """A copy to look into: the network as it is, or with a snapshot's `parameters`.

        The same object is lent again and again, so take what is needed before asking for another.
        """
        flat = self._parameters() if parameters is None else parameters
        start = 0
        for array in (*self._probe.weights, *self._probe.biases):
            array[...] = flat[start : start + array.size].reshape(array.shape)
            start += array.size
        return self._probe

    def trained_range(self) -> tuple[Array, Array]:
        """Lowest and highest value of each input the network learns from."""
        if self.settings.task == OWN:
            return self.inputs.min(axis=0), self.inputs.max(axis=0)
        return np.full(2, self.settings.low), np.full(2, self.settings.high)


def _rate(value: float) -> float:
    check_number("Learning rate", value, 0, LIMITS.value, above=True)
    return float(value)


def _slot(mlp: MLP, weight: Weight) -> tuple[Array, tuple[int, ...]]:
    if weight.source is None:
        return mlp.biases[weight.layer], (weight.target,)
    return mlp.weights[weight.layer], (weight.source, weight.target)
