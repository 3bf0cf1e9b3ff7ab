"""What the host decides, from environment variables, read once when the app starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from genrekit.errors import SettingsError

__all__ = ["Settings", "settings"]


def _setting(default: float, low: float, high: float, about: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "about": about})


@dataclass(frozen=True)
class Settings:
    """Limits and places. Each can be set by ``GENREKIT_`` and its name in capitals.

    Raises
    ------
    SettingsError
        From `from_environment`: a value cannot be used.
    """

    jobs_folder: Path = Path(__file__).resolve().parents[2] / "jobs"
    jobs_at_once: int = _setting(1, 1, 64, "jobs that run at the same time")
    jobs_waiting: int = _setting(20, 0, 10_000, "jobs that may wait in the queue")
    jobs_per_visitor: int = _setting(2, 1, 1000, "jobs of one visitor that run or wait")
    job_minutes: float = _setting(30, 0.01, 10_000, "longest time a job may run")
    job_keep_hours: float = _setting(24, 0.01, 100_000, "how long a job's results are kept")
    folders: tuple[Path, ...] = ()
    upload_megabytes: float = _setting(100, 0.01, 100_000, "largest upload in all")
    song_minutes: float = _setting(15, 0.1, 1000, "how much of a song is heard")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings.

        Raises
        ------
        SettingsError
            Naming the variable, its value and what was expected.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name = "GENREKIT_" + setting.name.upper()
            if name not in environment:
                continue
            text = environment[name]
            if setting.type is Path:
                values[setting.name] = Path(text).resolve()
                continue
            if setting.name == "folders":
                values["folders"] = tuple(_folder(name, part) for part in text.split(os.pathsep))
                continue
            low, high = setting.metadata["low"], setting.metadata["high"]
            try:
                number = int(text) if setting.type is int else float(text)
            except ValueError:
                number = float("nan")
            if not low <= number <= high:
                raise SettingsError(
                    f'{name} is "{text}": use a number from {low:g} to {high:g} '
                    f"({setting.metadata['about']})."
                )
            values[setting.name] = number
        return cls(**values)


def _folder(name: str, text: str) -> Path:
    if not text or not Path(text).is_dir():
        raise SettingsError(
            f'{name} names "{text}", which is no folder: name folders of music that visitors may '
            f"use, with {os.pathsep} between them."
        )
    return Path(text).resolve()


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings.from_environment()
