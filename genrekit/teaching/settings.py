"""What decides a run of the backprop playground, and how much of it one visitor may ask for."""

from dataclasses import dataclass
from typing import Final

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice, check_number, check_switch, check_whole
from genrekit.teaching.mlp import INITIALISERS
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.tasks import TASKS
from genrekit.wording import counted, numeral

__all__ = ["LIMITS", "OWN", "Limits", "RunSettings"]

OWN: Final = "own"


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
    value: float = 1e6


LIMITS: Final = Limits()


@dataclass(frozen=True)
class RunSettings:
    """What decides a run's network and data; the defaults are the course's.

    Parameters
    ----------
    task : a key of `genrekit.teaching.tasks.TASKS`, or "own" for the numbers in `table`
    hidden : tuple of int, 0 to 3 layers of 1 to 8 units
    activation, output_activation : keys of `ACTIVATIONS`; None repeats the former
    bias : bool
    init : a key of `genrekit.teaching.mlp.INITIALISERS`
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
        check_choice("task", self.task, (*TASKS, OWN))
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("output activation", self.output_activation or self.activation, ACTIVATIONS)
        check_choice("weight initialisation", self.init, INITIALISERS)
        for name, value in vars(self).items():
            if name in ("examples", "batch_size", "seed"):
                check_whole(name.replace("_", " "), value)
            elif name in ("low", "high", "noise"):
                check_number(name, value)
        check_switch("bias", self.bias)
        if not isinstance(self.hidden, tuple | list):
            raise SettingsError(f"hidden is {self.hidden!r:.40}: use a list of layers' sizes.")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for units in self.hidden:
            check_whole("A hidden layer's size", units)
        if len(self.hidden) > LIMITS.layers or any(not 1 <= n <= LIMITS.units for n in self.hidden):
            raise SettingsError(
                f"Hidden layers {self.hidden} are out of range: use up to "
                f"{counted(LIMITS.layers, 'layer')} of 1 to {counted(LIMITS.units, 'unit')}."
            )
        for name, value in (("examples", self.examples), ("batch size", self.batch_size)):
            if not 1 <= value <= LIMITS.examples:
                raise SettingsError(
                    f"{value} is out of range for the {name}: use 1 to {LIMITS.examples}."
                )
        if self.seed < 0 or self.noise < 0:
            raise SettingsError(
                f"A seed of {self.seed} with a noise of {numeral(self.noise)} cannot be used: each "
                "must be 0 or more."
            )
        if not self.low < self.high:
            raise SettingsError(
                f"The range from {numeral(self.low)} to {numeral(self.high)} is empty: "
                "set the lower end below the upper one."
            )
