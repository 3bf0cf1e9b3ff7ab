"""A training run one can stop, look into, change and take away.

NumPy only. A `Run` owns a network, its examples and its history, and moves by whole batches: how
its work is cut into portions never changes the numbers, so a run watched live and the same run
repeated by `Run.script` agree. Errors are mean squared errors. Units are counted from 0 here and
from 1 in messages to people.
"""

import csv
import io
import itertools
import json
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.mlp import (
    ACTIVATIONS,
    INITIALISERS,
    MLP,
    TASKS,
    Step,
    make_task,
    numerical_derivatives,
)

__all__ = [
    "EXPERIMENTS",
    "LIMITS",
    "SPEEDS",
    "Answer",
    "Change",
    "EpochRecord",
    "ErrorMap",
    "Experiment",
    "Finding",
    "Frame",
    "GradientCheck",
    "Look",
    "Pacer",
    "Run",
    "RunSettings",
    "Table",
    "Weight",
    "neuron_surface",
    "parse_table",
]

Array = NDArray[np.float64]

OWN: Final = "own"
HELD_OUT: Final = 200
MAX_FRAMES: Final = 400


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of a machine shared with others."""

    layers: int = 3
    units: int = 8
    examples: int = 5000
    epochs: int = 2000
    table_inputs: int = 8
    table_rows: int = 1000
    table_characters: int = 10_000
    table_value: float = 1e6


LIMITS: Final = Limits()

# How many examples a second, given the size of an epoch.
SPEEDS: Final[dict[str, Callable[[int], float]]] = {
    "1 example a second": lambda epoch: 1.0,
    "10 examples a second": lambda epoch: 10.0,
    "1 epoch a second": lambda epoch: float(epoch),
    "5 epochs a second": lambda epoch: 5.0 * epoch,
    "flat out": lambda epoch: math.inf,
}


# -- settings and data --------------------------------------------------------------------


@dataclass(frozen=True)
class RunSettings:
    """What decides a run's network and data; the defaults are the course's.

    Parameters
    ----------
    task : a key of `genrekit.mlp.TASKS`, or "own" for the numbers in `table`
    hidden : tuple of int, 0 to 3 layers of 1 to 8 units
    activation, output_activation : keys of `genrekit.mlp.ACTIVATIONS`; None repeats the former
    bias : bool
    init : a key of `genrekit.mlp.INITIALISERS`
    batch_size, examples : int, 1 to 5000
    low, high : float, low < high; inputs are uniform in [low, high)
    noise : float, >= 0, standard deviation of what is added to the targets
    seed : int, >= 0; 11 is one of the seeds whose run comes close to the course's figures
    table : str, rows of numbers for task "own", the last column the target

    Raises
    ------
    SettingsError
        A value is outside its range.
    """

    task: str = "sum"
    hidden: tuple[int, ...] = (5,)
    activation: str = "sigmoid"
    output_activation: str | None = None
    bias: bool = False
    init: str = "uniform"
    batch_size: int = 1
    examples: int = 1000
    low: float = 0.0
    high: float = 0.5
    noise: float = 0.0
    seed: int = 11
    table: str = ""

    def __post_init__(self) -> None:
        _known("task", self.task, (*TASKS, OWN))
        _known("activation", self.activation, ACTIVATIONS)
        _known("output activation", self.output_activation or self.activation, ACTIVATIONS)
        _known("weight initialisation", self.init, INITIALISERS)
        if len(self.hidden) > LIMITS.layers or any(not 1 <= n <= LIMITS.units for n in self.hidden):
            raise SettingsError(
                f"Hidden layers {self.hidden} are out of range: use up to {LIMITS.layers} layers "
                f"of 1 to {LIMITS.units} units."
            )
        for name, value in (("examples", self.examples), ("batch size", self.batch_size)):
            if not 1 <= value <= LIMITS.examples:
                raise SettingsError(
                    f"{value} is out of range for the {name}: use 1 to {LIMITS.examples}."
                )
        if self.seed < 0 or not (math.isfinite(self.noise) and self.noise >= 0):
            raise SettingsError(
                f"Seed {self.seed} or noise {self.noise:g} is below 0: use 0 or more."
            )
        if not -math.inf < self.low < self.high < math.inf:
            raise SettingsError(
                f"The range from {self.low:g} to {self.high:g} is empty: "
                "set the lower end below the upper one."
            )


@dataclass(frozen=True)
class Table:
    """Somebody's own examples: inputs of shape (n, inputs), targets of shape (n, 1)."""

    inputs: Array
    targets: Array


def parse_table(text: str) -> Table:
    """Read pasted rows of numbers, the last column being the target.

    Columns are parted by commas, semicolons, tabs or spaces; beside semicolons or tabs a comma
    is a decimal comma. A first line without any number is taken as a heading.

    Raises
    ------
    SettingsError
        Naming the line, when it is not numbers or differs in length, or a limit is exceeded.
    """
    if len(text) > LIMITS.table_characters:
        raise SettingsError(
            f"The table has {len(text)} characters, and {LIMITS.table_characters} fit into a "
            "link: paste fewer rows."
        )
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if lines and all(_number(cell) is None for cell in _cells(lines[0][1])):
        lines = lines[1:]
    if not 2 <= len(lines) <= LIMITS.table_rows:
        raise SettingsError(
            f"The table has {len(lines)} rows of numbers: give 2 to {LIMITS.table_rows}, "
            "one example a line."
        )
    rows = [_row(i, line) for i, line in lines]
    width = len(rows[0])
    for (i, _), row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise SettingsError(
                f"Line {i} has {len(row)} numbers where the first has {width}: "
                "give each line the same number of columns."
            )
    if not 2 <= width <= LIMITS.table_inputs + 1:
        raise SettingsError(
            f"The table has {width} column{'s' if width != 1 else ''}: give 1 to "
            f"{LIMITS.table_inputs} inputs and, last, the target."
        )
    numbers = np.array(rows)
    return Table(numbers[:, :-1].copy(), numbers[:, -1:].copy())


def _cells(line: str) -> list[str]:
    for separator in (";", "\t"):
        if separator in line:
            return [cell.strip().replace(",", ".") for cell in line.split(separator)]
    if "," in line:
        return [cell.strip() for cell in line.split(",")]
    return line.split()


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _row(line_number: int, line: str) -> list[float]:
    row = []
    for cell in _cells(line):
        value = _number(cell)
        if value is None:
            raise SettingsError(
                f'Line {line_number} holds "{cell[:20]}", which is not a number: '
                "correct or remove it."
            )
        if abs(value) > LIMITS.table_value:
            raise SettingsError(
                f"Line {line_number} holds {value:g}: use numbers up to "
                f"{LIMITS.table_value:g}, best between 0 and 1."
            )
        row.append(value)
    return row


def _known(what: str, name: str, names: Collection[str]) -> None:
    if name not in names:
        raise SettingsError(f'Unknown {what} "{name}": use one of {", ".join(names)}.')


# -- what a run tells about itself --------------------------------------------------------


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the data.

    `error` is the mean over examples, each taken just before its update; `held_out_error` is
    taken at the end of the epoch on examples never learned from, or None where there are none.
    """

    epoch: int
    error: float
    held_out_error: float | None
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
class Frame:
    """The network after `seen` examples, with the error of the epoch under way."""

    seen: int
    epoch: float
    error: float
    held_out_error: float
    parameters: Array


@dataclass(frozen=True)
class Look:
    """What one example does inside a network; lists run from the first layer to the last."""

    activations: list[Array]
    deltas: list[Array]
    derivatives: list[Array]
    bias_derivatives: list[Array]

    def flat(self) -> Array:
        """Everything in one row: activations, deltas, derivatives, bias derivatives."""
        parts = (self.activations, self.deltas, self.derivatives, self.bias_derivatives)
        return np.concatenate([array.ravel() for part in parts for array in part])


@dataclass(frozen=True)
class Answer:
    """The network's answer to a question; `truth` and `error` are None where nobody knows."""

    answer: float
    truth: float | None
    error: float | None
    outside: bool


@dataclass(frozen=True)
class Finding:
    """Something is going wrong: what happened, and the likely remedy."""

    kind: str
    message: str
    remedy: str


@dataclass(frozen=True)
class GradientCheck:
    """Derivatives from backpropagation and from nudging each weight, in the same order."""

    weights: list[Weight]
    backpropagated: Array
    numerical: Array

    @property
    def largest_difference(self) -> float:
        return float(np.max(np.abs(self.backpropagated - self.numerical)))


@dataclass(frozen=True)
class ErrorMap:
    """Answers over the plane of two inputs: rows follow b, columns follow a.

    `axis` has shape (size,); `answer` and `truth` have shape (size, size), `truth` being None
    for own numbers.
    """

    axis: Array
    answer: Array
    truth: Array | None


# -- the run ------------------------------------------------------------------------------


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
    frames : list of Frame, thinned to `MAX_FRAMES`

    Raises
    ------
    SettingsError
        The settings do not fit together.
    """

    def __init__(
        self, settings: RunSettings, *, learning_rate: float = 0.1, epochs: int = 50
    ) -> None:
        self.settings = settings
        self.inputs, self.targets, self.held_inputs, self.held_targets = _examples(settings)
        self.mlp = self._network(np.random.default_rng([settings.seed, 1]))
        self._probe = self._network(np.random.default_rng(0))
        self.epochs = epochs
        self.first_rate = self._rate = _rate(learning_rate)
        self.seen = 0
        self.history: list[EpochRecord] = []
        self.changes: list[Change] = []
        self.frames: list[Frame] = []
        self._position = 0
        self._squares = 0.0
        self._stride = 1
        self._record_frame()

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
            self.changes.append(Change(self.seen, value))

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return len(self.history)

    @property
    def broken(self) -> bool:
        """Whether the numbers have left the range a computer can hold."""
        return not np.isfinite(self.frames[-1].parameters).all() or not np.isfinite(self._squares)

    @property
    def finished(self) -> bool:
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
            self._record_frame()
        return done

    def _portion(self, wanted: int) -> int:
        """The next examples to learn from at once: whole batches, 256 examples or one batch."""
        batch = self.settings.batch_size
        room = len(self.inputs) - self._position
        wanted = min(wanted, max(256, batch))
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
            self._squares += report.error * count
        self.seen += count
        self._position += count
        if self._position == len(self.inputs):
            self._end_epoch()
        return count

    def _end_epoch(self) -> None:
        error = self._squares / len(self.inputs)
        held = self.held_out_error() if len(self.held_inputs) else None
        self.history.append(EpochRecord(self.epoch, error, held, self._rate))
        self._record_frame()
        self._position = 0
        # A sum that overflowed stays, to show that the run is broken.
        self._squares = 0.0 if np.isfinite(self._squares) else self._squares

    def held_out_error(self) -> float:
        """Mean squared error on the held-out examples, NaN where there are none."""
        if not len(self.held_inputs):
            return math.nan
        return self._copy().mean_squared_error(self.held_inputs, self.held_targets)

    def set_weight(self, weight: Weight, value: float) -> None:
        """Put `value` in the place of a weight or bias.

        Raises
        ------
        SettingsError
            There is no such weight, or the value is not finite.
        """
        if weight not in self.all_weights():
            raise SettingsError("This network has no such weight: choose one from the drawing.")
        if not math.isfinite(value) or abs(value) > LIMITS.table_value:
            raise SettingsError(
                f"{value} cannot be a weight: use a number up to {LIMITS.table_value:g}."
            )
        array, at = _place(self.mlp, weight)
        array[at] = value
        self.changes.append(Change(self.seen, value, weight))
        self._record_frame()

    def get_weight(self, weight: Weight) -> float:
        array, at = _place(self.mlp, weight)
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

    def _record_frame(self) -> None:
        part = self._position / len(self.inputs)
        error = self._squares / self._position if self._position else math.nan
        held = self.history[-1].held_out_error if self.history else None
        if not part and self.history:
            error = self.history[-1].error
        frame = Frame(
            self.seen,
            self.epoch + (part if part < 1 else 0.0),
            error,
            math.nan if held is None else held,
            self._parameters(),
        )
        if self.frames and self.frames[-1].seen == self.seen:
            self.frames[-1] = frame
        else:
            self.frames.append(frame)
        if len(self.frames) > MAX_FRAMES:
            # Every second one goes, but the first and the last stay.
            self.frames = self.frames[:-1:2] + self.frames[-1:]

    # -- looking inside, without disturbing the run ---------------------------------------

    def _copy(self, parameters: Array | None = None) -> MLP:
        """The network with its present weights, or with those of a frame."""
        start = 0
        flat = self._parameters() if parameters is None else parameters
        for array in (*self._probe.weights, *self._probe.biases):
            array[...] = flat[start : start + array.size].reshape(array.shape)
            start += array.size
        return self._probe

    def look(self, inputs: ArrayLike, target: float, frame: Frame | None = None) -> Look:
        """What an example of shape (inputs,) does inside the network, now or in `frame`."""
        net = self._copy(None if frame is None else frame.parameters)
        output = net.forward(np.asarray(inputs, dtype=np.float64))
        net.backward(target - output)
        return Look(
            [a[0].copy() for a in net.activations],
            [d[0].copy() for d in net.deltas],
            [d.copy() for d in net.derivatives],
            [d.copy() for d in net.bias_derivatives] if net.biases else [],
        )

    def rehearse(self, inputs: ArrayLike, target: float) -> Step:
        """One example in slow motion: what learning from it would do, without doing it."""
        return self._copy().step(np.asarray(inputs, float), [target], self._rate)

    def answer_after(self, step: Step) -> float:
        """The answer to a rehearsed example, had the step been taken."""
        after = [*step.weights_after, *step.biases_after]
        net = self._copy(np.concatenate([a.ravel() for a in after]))
        return float(net.forward(step.activations[0])[0, 0])

    def nearest_target(self, inputs: ArrayLike) -> float:
        """The true answer, or for own numbers that of the nearest example."""
        truth = self.truth(inputs)
        if truth is not None:
            return truth
        distance = np.square(self.inputs - np.asarray(inputs, dtype=np.float64)).sum(axis=1)
        return float(self.targets[np.argmin(distance), 0])

    def truth(self, inputs: ArrayLike) -> float | None:
        """What the task says the answer is; None for own numbers."""
        if self.settings.task == OWN:
            return None
        a, b = np.asarray(inputs, dtype=np.float64)
        middle = (self.settings.low + self.settings.high) / 2
        return float(TASKS[self.settings.task](np.asarray(a), np.asarray(b), middle))

    def ask(self, inputs: ArrayLike) -> Answer:
        """Put a question of shape (inputs,) to the network."""
        x = np.asarray(inputs, dtype=np.float64)
        answer = float(self._copy().forward(x)[0])
        truth = self.truth(x)
        low, high = self.trained_range()
        return Answer(
            answer,
            truth,
            None if truth is None else truth - answer,
            bool(((x < low) | (x > high)).any()),
        )

    def trained_range(self) -> tuple[Array, Array]:
        """Lowest and highest value of each input the network learns from."""
        if self.settings.task == OWN:
            return self.inputs.min(axis=0), self.inputs.max(axis=0)
        return np.full(2, self.settings.low), np.full(2, self.settings.high)

    def check_gradient(self, inputs: ArrayLike, target: float) -> GradientCheck:
        """Every derivative twice: by backpropagation, and by nudging each weight."""
        x = np.atleast_2d(np.asarray(inputs, dtype=np.float64))
        net = self._copy()
        with np.errstate(over="ignore", invalid="ignore"):
            output = net.forward(x)
            net.backward(target - output)
            backpropagated = _flat(net.derivatives, net.bias_derivatives if net.biases else [])
            numerical = _flat(*numerical_derivatives(net, x, [[target]]))
        return GradientCheck(self.all_weights(), backpropagated, numerical)

    def error_map(self, size: int = 41, reach: float = 1.0) -> ErrorMap:
        """Answers for every pair of inputs, from half of `reach` ranges below to `reach` above.

        Raises
        ------
        SettingsError
            The network does not have two inputs.
        """
        if self.inputs.shape[1] != 2:
            raise SettingsError(
                f"A map needs two inputs and this network has {self.inputs.shape[1]}: "
                "choose a task with two."
            )
        lows, highs = self.trained_range()
        low, high = float(lows.min()), float(highs.max())
        span = (high - low) or 1.0
        axis = np.linspace(low - 0.5 * reach * span, high + reach * span, size)
        a, b = np.meshgrid(axis, axis)
        answer = self._copy().forward(np.column_stack([a.ravel(), b.ravel()])).reshape(a.shape)
        if self.settings.task == OWN:
            return ErrorMap(axis, answer, None)
        return ErrorMap(axis, answer, TASKS[self.settings.task](a, b, (low + high) / 2))

    def health(self) -> list[Finding]:
        """What is going wrong, the most urgent first; empty when all is well."""
        if self.broken:
            return [_OVERFLOW]
        net = self._copy()
        net.forward(self.inputs[:: max(1, len(self.inputs) // HELD_OUT)])
        found = [
            *_exploding(self.history),
            *_unreachable(self.settings, self.targets),
            *_dead_or_saturated(self.settings, net),
            *_twins(self.settings, net),
        ]
        if not found or found[0].kind == "saturated":
            found += _no_progress(self)
        return found

    # -- taking it away -------------------------------------------------------------------

    def to_json(self) -> str:
        """The trained network: layer i maps ``a`` to ``activation(a @ weights[i] + biases[i])``."""
        net = self.mlp
        hidden = [net.activation] * (len(net.weights) - 1)
        return json.dumps(
            {
                "format": "genrekit-network",
                "version": 1,
                "layer_sizes": list(net.layer_sizes),
                "activations": [*hidden, net.output_activation],
                "weights": [w.tolist() for w in net.weights],
                "biases": [b.tolist() for b in net.biases],
                "settings": asdict(self.settings),
                "learning_rate": self._rate,
                "epochs": self.epoch,
                "examples_seen": self.seen,
                "error": self.history[-1].error if self.history else None,
            },
            indent=1,
        )

    def to_csv(self) -> str:
        """One line an epoch: epoch, error, held_out_error, learning_rate."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([f.name for f in fields(EpochRecord)])
        for r in self.history:
            held = "" if r.held_out_error is None else repr(r.held_out_error)
            writer.writerow([r.epoch, repr(r.error), held, repr(r.learning_rate)])
        return text.getvalue()

    def script(self) -> str:
        """A Python script that repeats this run, with every change made on the way."""
        settings = ",\n    ".join(
            f"{f.name}={getattr(self.settings, f.name)!r}" for f in fields(self.settings)
        )
        lines, at = [], 0
        for change in self.changes:
            if change.seen > at:
                lines.append(f"run.advance({change.seen - at})")
                at = change.seen
            if change.weight is None:
                lines.append(f"run.learning_rate = {change.value!r}")
            else:
                lines.append(f"run.set_weight({change.weight!r}, {change.value!r})")
        if self.seen > at:
            lines.append(f"run.advance({self.seen - at})")
        question = [round(float(v), 6) for v in self.inputs[0]]
        return _SCRIPT.format(
            settings=settings,
            rate=self.first_rate,
            epochs=max(self.epochs, self.epoch + 1),
            moves="\n".join(lines),
            question=question,
        )


_SCRIPT: Final = '''"""Repeats a run of GenreKit's backprop playground, number for number."""

from genrekit.playground import Run, RunSettings, Weight

settings = RunSettings(
    {settings},
)
run = Run(settings, learning_rate={rate!r}, epochs={epochs})
{moves}

for record in run.history:
    print(f"epoch {{record.epoch}}: error {{record.error:.6f}}")
print(f"answer to {question}: {{run.ask({question}).answer:.6f}}")
'''


def _rate(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SettingsError(f"Learning rate {value:g} cannot train: use a number above 0.")
    return float(value)


def _examples(settings: RunSettings) -> tuple[Array, Array, Array, Array]:
    """Inputs and targets to learn from, then those held out."""
    if settings.task == OWN:
        table = parse_table(settings.table)
        held = np.zeros(len(table.inputs), dtype=bool)
        if len(held) >= 10:
            held[4::5] = True
        return (
            np.ascontiguousarray(table.inputs[~held]),
            np.ascontiguousarray(table.targets[~held]),
            table.inputs[held],
            table.targets[held],
        )

    def draw(count: int, stream: int) -> tuple[Array, Array]:
        return make_task(
            settings.task,
            count,
            low=settings.low,
            high=settings.high,
            noise=settings.noise,
            seed=np.random.default_rng([settings.seed, stream]),
        )

    return (*draw(settings.examples, 0), *draw(HELD_OUT, 2))


def _place(mlp: MLP, weight: Weight) -> tuple[Array, tuple[int, ...]]:
    if weight.source is None:
        return mlp.biases[weight.layer], (weight.target,)
    return mlp.weights[weight.layer], (weight.source, weight.target)


def _flat(arrays: Sequence[Array], more: Sequence[Array]) -> Array:
    return np.concatenate([a.ravel() for a in (*arrays, *more)])


# -- what can go wrong --------------------------------------------------------------------

_OVERFLOW: Final = Finding(
    "overflow",
    "The numbers grew until the computer could not hold them, so training stopped.",
    "Lower the learning rate, then reset.",
)

# The values an activation can come near to, and a tolerance for targets on the very edge.
_REACH: Final = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "step": (0.0, 1.0),
    "identity": (-math.inf, math.inf),
}


def _exploding(history: Sequence[EpochRecord]) -> list[Finding]:
    best = min((r.error for r in history), default=math.inf)
    if not history or history[-1].error <= max(4 * best, 1e-3):
        return []
    return [
        Finding(
            "exploding",
            f"The error rose from {best:.3g} to {history[-1].error:.3g}: "
            "each step jumps past the goal.",
            "Lower the learning rate.",
        )
    ]


def _unreachable(settings: RunSettings, targets: Array) -> list[Finding]:
    output = settings.output_activation or settings.activation
    low, high = _REACH[output]
    beyond = float(np.mean((targets < low - 1e-9) | (targets > high + 1e-9)))
    # Noise pushes a few targets over the edge; that alone is no obstacle.
    if beyond <= 0.02:
        return []
    span = f"between {low:g} and {high:g}" if math.isfinite(high) else "of 0 and above"
    return [
        Finding(
            "unreachable",
            f"{beyond:.0%} of the targets cannot be reached: "
            f"a {output} output only gives numbers {span}.",
            "Choose an identity output, or a range whose answers fit.",
        )
    ]


def _dead_or_saturated(settings: RunSettings, net: MLP) -> list[Finding]:
    found = []
    dead, stuck, units = 0, 0, 0
    kinds = [net.activation] * (len(net.weights) - 1) + [net.output_activation]
    for kind, h in zip(kinds, net.net_inputs, strict=True):
        units += h.shape[1]
        if kind == "relu":
            dead += int((h <= 0).all(axis=0).sum())
        elif kind in ("sigmoid", "tanh"):
            # Beyond these the slope is under 1/50 of its peak: hardly any error passes back.
            flat = np.abs(h) > (5.3 if kind == "sigmoid" else 2.65)
            stuck += int((flat.mean(axis=0) > 0.95).sum())
        elif kind == "step":
            found.append(
                Finding(
                    "no slope",
                    "A step is flat everywhere, so no error passes back and no weight moves.",
                    "Choose sigmoid, tanh or ReLU.",
                )
            )
            break
    if dead:
        found.append(
            Finding(
                "dead",
                f"{dead} of {units} units are dead: a ReLU that answers 0 to every example "
                "has slope 0 and cannot learn its way back.",
                "Reset with a lower learning rate, another seed or tanh.",
            )
        )
    if stuck:
        found.append(
            Finding(
                "saturated",
                f"{stuck} of {units} units are saturated: they sit on the flat end of their "
                "curve, where hardly any error passes back.",
                "Reset with smaller weights (Xavier), a lower learning rate or smaller inputs.",
            )
        )
    return found


def _twins(settings: RunSettings, net: MLP) -> list[Finding]:
    for layer, size in enumerate(settings.hidden, start=1):
        a, w = net.activations[layer], net.weights[layer]
        if size > 1 and np.ptp(a, axis=1).max() < 1e-12 and np.ptp(w, axis=0).max() < 1e-12:
            return [
                Finding(
                    "twins",
                    f"The {size} units of hidden layer {layer} all do the same: they started "
                    "alike and get the same corrections for ever.",
                    "Start from random weights.",
                )
            ]
    return []


def _no_progress(run: "Run") -> list[Finding]:
    if run.epoch < 12:
        return []
    before, now = run.history[-11].error, run.history[-1].error
    guess = float(np.var(run.targets))
    if now < 0.5 * guess or now < 0.98 * before:
        return []
    return [
        Finding(
            "no progress",
            f"Ten epochs brought next to nothing: error {now:.3g}, where always giving the "
            f"average answer gets {guess:.3g}.",
            "Try a higher learning rate, a hidden layer or more units, or a bias.",
        )
    ]


def neuron_surface(
    weights: ArrayLike,
    bias: float = 0.0,
    activation: str = "sigmoid",
    *,
    low: float = -2.0,
    high: float = 2.0,
    size: int = 61,
) -> tuple[Array, Array]:
    """What one neuron of two inputs answers over their plane.

    Returns
    -------
    axis : ndarray, shape (size,)
    answer : ndarray, shape (size, size)
        Rows follow the second input, columns the first.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (2,):
        raise SettingsError(f"A surface needs two weights and got {w.size}: use two inputs.")
    _known("activation", activation, ACTIVATIONS)
    axis = np.linspace(low, high, size)
    first, second = np.meshgrid(axis, axis)
    return axis, ACTIVATIONS[activation](first * w[0] + second * w[1] + bias)


# -- pace and things to try ---------------------------------------------------------------


@dataclass
class Pacer:
    """Turns a speed into portions: how many examples are due since it was last asked."""

    last: float | None = None
    carry: float = 0.0

    def due(self, now: float, per_second: float) -> int:
        """Examples due at `now`, in seconds; a long absence counts as half a second."""
        elapsed = 0.0 if self.last is None else min(max(now - self.last, 0.0), 0.5)
        self.last = now
        if math.isinf(per_second):
            return 1_000_000
        self.carry += elapsed * per_second
        whole = int(self.carry)
        self.carry -= whole
        return whole


@dataclass(frozen=True)
class Experiment:
    """A run worth seeing, and what it shows."""

    title: str
    shows: str
    settings: RunSettings
    learning_rate: float = 0.1
    epochs: int = 50


EXPERIMENTS: Final = (
    Experiment(
        "The course's network",
        "Five hidden units learn to add two numbers below 0.5.",
        RunSettings(),
    ),
    Experiment(
        "A ceiling at 1",
        "Sums up to 2, but a sigmoid can never say more than 1: look at the warning and the map.",
        RunSettings(high=1.0),
    ),
    Experiment(
        "XOR, no hidden layer",
        "One straight line cannot part these four corners: the error stays where it is.",
        RunSettings(task="xor", hidden=(), bias=True, init="symmetric", high=1.0),
        0.5,
    ),
    Experiment(
        "XOR, solved",
        "The same task with hidden units to bend the line.",
        RunSettings(
            task="xor",
            hidden=(6,),
            activation="tanh",
            output_activation="sigmoid",
            bias=True,
            init="xavier",
            high=1.0,
        ),
        0.1,
        100,
    ),
    Experiment(
        "Too fast",
        "A learning rate of 2 where no curve holds the numbers back: they explode.",
        RunSettings(activation="identity", high=1.0),
        2.0,
    ),
    Experiment(
        "Dead units",
        "ReLUs thrown below zero by steps too large never come back.",
        RunSettings(activation="relu", init="symmetric", bias=True, high=1.0),
        0.5,
    ),
    Experiment(
        "All alike",
        "Weights that all start at zero stay equal: five units that act as one.",
        RunSettings(init="zeros"),
    ),
)
