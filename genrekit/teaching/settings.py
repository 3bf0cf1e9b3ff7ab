"""The settings of a run in the backprop playground, and their limits."""

from dataclasses import dataclass
from typing import Final

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice, check_switch, check_whole
from genrekit.teaching.mlp import INITIALISERS
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.tasks import TASKS, check_distribution

__all__ = ["LIMITS", "OWN", "Limits", "RunSettings"]

OWN: Final = "own"


@dataclass(frozen=True)
class Limits:
    """The limits of what one visitor of a shared machine may ask for."""

    layers: int = 3
    units: int = 8
    examples: int = 5000
    epochs: int = 2000
    table_inputs: int = 8
    table_rows: int = 1000
    table_characters: int = 10_000
    value: float = 1e6


LIMITS: Final = Limits()


@dataclass(frozen=True)
class RunSettings:
    """The network and the data of a run; the defaults are the course's.

    Parameters
    ----------
    task : a key of `genrekit.teaching.tasks.TASKS`, or "own" for the numbers in `table`
    hidden : tuple of int, 0 to 3 layers of 1 to 8 units
    activation, output_activation : keys of `ACTIVATIONS`; None repeats the former
    bias : bool
    init : a key of `genrekit.teaching.mlp.INITIALISERS`
    batch_size, examples : int, 1 to 5000
    low, high : float, low < high; inputs are uniform in [low, high)
    noise : float, >= 0, standard deviation of the noise added to the targets
    seed : int, >= 0; a run of seed 11 comes close to the course's figures
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
        check_choice("task", self.task, (*TASKS, OWN))
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("output activation", self.output_activation or self.activation, ACTIVATIONS)
        check_choice("weight initialisation", self.init, INITIALISERS)
        check_whole("examples", self.examples, 1, LIMITS.examples)
        check_whole("batch size", self.batch_size, 1, LIMITS.examples)
        check_whole("seed", self.seed, 0)
        check_distribution(self.low, self.high, self.noise)
        check_switch("bias", self.bias)
        if not isinstance(self.hidden, tuple | list):
            raise SettingsError(f"hidden is {self.hidden!r:.40}: use a list of layers' sizes.")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for units in self.hidden:
            check_whole("A hidden layer's size", units, 1, LIMITS.units)
        check_whole("The number of hidden layers", len(self.hidden), 0, LIMITS.layers)
