"""Runs of the playground worth seeing: one that works, and the ways in which learning fails."""

from dataclasses import dataclass
from typing import Final

from genrekit.teaching.settings import RunSettings

__all__ = ["EXPERIMENTS", "Experiment"]


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
