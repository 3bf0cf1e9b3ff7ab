"""The experiments of the playground, each a run worth seeing; the data is in `presets.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from genrekit.system.records import read_toml, record
from genrekit.teaching.settings import RunSettings

__all__ = ["EXPERIMENTS", "Experiment"]


@dataclass(frozen=True)
class Experiment:
    """A run worth seeing, and a sentence on what it shows."""

    title: str
    shows: str
    settings: RunSettings
    learning_rate: float = 0.1
    epochs: int = 50


def _experiment(table: Mapping[str, Any]) -> Experiment:
    title = table.get("title", "An experiment")
    settings = record(RunSettings, table.get("settings", {}), title)
    return record(Experiment, {**table, "settings": settings}, title)


EXPERIMENTS: Final = tuple(map(_experiment, read_toml(__file__)["experiments"]))
