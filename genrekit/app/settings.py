"""What the host decides, from environment variables or secrets, read once when the app starts.

Each setting is a field of `Settings`: its default, its range, its unit and what it is for stand
there and nowhere else. The README's table is `table()`, and a test holds the two together.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from genrekit.errors import SettingsError

__all__ = ["Mode", "Settings", "settings", "table"]

Mode = Literal["local", "public"]

_PREFIX: Final = "GENREKIT_"
_MODES: Final = ("local", "public")
# Kubernetes tells each pod of a service by variables that begin with the service's name.
_OF_KUBERNETES: Final = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?)")


def _setting(
    default: float, low: float, high: float, unit: str, about: str, public: float | None = None
) -> Any:
    """A number; `public` is its default where strangers come, if that is another."""
    about_it = {"low": low, "high": high, "unit": unit, "about": about}
    return field(default=default, metadata=about_it | {"public": public})


@dataclass(frozen=True)
class Settings:
    """Limits and places. Each can be set by ``GENREKIT_`` and its name in capitals.

    The defaults are those of mode "local"; `from_environment` takes tighter ones where the mode
    is "public".

    Raises
    ------
    SettingsError
        From `from_environment`: a value cannot be used, or there is no such setting.
    """

    mode: Mode = field(
        default="local",
        metadata={
            "about": "who comes: `local` is you and people you know; `public` is anybody, with "
            "tighter defaults and no folders of the server"
        },
    )
    jobs_folder: Path = field(
        default=Path(__file__).resolve().parents[2] / "jobs",
        metadata={"about": "where jobs keep their files"},
    )
    folders: tuple[Path, ...] = field(
        default=(),
        metadata={
            "about": "folders on the server, with `:` between them, whose sub-folders visitors "
            "may make datasets from; not in mode `public`"
        },
    )
    upload_megabytes: float = _setting(
        100, 0.01, 100_000, "MB", "largest upload; Streamlit's own limit follows it", 50
    )
    song_minutes: float = _setting(15, 0.1, 1000, "minutes", "how much of a song is heard", 10)
    song_channels: int = _setting(32, 1, 32, "", "most channels a song may have", 8)
    jobs_at_once: int = _setting(1, 1, 64, "", "jobs that run at the same time")
    jobs_waiting: int = _setting(20, 0, 10_000, "", "jobs that may wait in the queue", 10)
    jobs_per_visitor: int = _setting(
        2, 1, 1000, "", "jobs of one visitor that run or wait at the same time", 1
    )
    job_minutes: float = _setting(30, 0.01, 10_000, "minutes", "longest time a job may run", 10)
    job_keep_hours: float = _setting(
        24, 0.01, 100_000, "hours", "how long a job's results are kept", 12
    )
    jobs_megabytes: float = _setting(
        20_000,
        1,
        100_000_000,
        "MB",
        "disk space for all jobs together; beyond it the oldest finished ones are removed",
        10_000,
    )
    job_megabytes: float = _setting(
        5000, 1, 100_000_000, "MB", "disk space for all jobs of one visitor", 1000
    )
    free_megabytes: float = _setting(
        500, 0, 100_000_000, "MB", "free disk space below which no new job is taken"
    )
    listeners: int = _setting(
        1,
        0,
        64,
        "",
        "processes that decode and judge songs; 0 does it in the server's own process",
        2,
    )
    listen_seconds: float = _setting(
        120, 1, 3600, "s", "longest time one question about a song may take", 60
    )
    listen_megabytes: float = _setting(
        3000, 500, 100_000, "MB", "memory that one of those processes may use", 2000
    )
    listen_waiting: int = _setting(30, 1, 10_000, "", "questions about songs that may wait")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings.

        Raises
        ------
        SettingsError
            Naming the variable, its value and what was expected.
        """
        environment = os.environ if environment is None else environment
        _refuse_unknown(environment, [_variable(one) for one in fields(cls)])
        public = environment.get(_PREFIX + "MODE") == "public"
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name = _variable(setting)
            if name in environment:
                values[setting.name] = _read(setting, name, environment[name])
            elif public and setting.metadata.get("public") is not None:
                values[setting.name] = setting.metadata["public"]
        if public and values.get("folders"):
            raise SettingsError(
                f"{_PREFIX}FOLDERS is set while {_PREFIX}MODE is public: anybody could listen to "
                "what is in those folders; take one of the two away."
            )
        return cls(**values)


def _variable(setting: Field[Any]) -> str:
    return _PREFIX + setting.name.upper()


def _refuse_unknown(environment: Mapping[str, str], known: list[str]) -> None:
    """A misspelt limit would be no limit, and nobody would notice."""
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name in known:
            continue
        if _OF_KUBERNETES.fullmatch(name.removeprefix(_PREFIX)):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"is {near[0]} meant?" if near else "the README lists those that there are."
        raise SettingsError(f"{name} is no setting of GenreKit: {remedy}")


def _read(setting: Field[Any], name: str, text: str) -> Any:
    """The value of one setting from its text."""
    if setting.name == "mode":
        if text not in _MODES:
            raise SettingsError(f'{name} is "{text}": use local or public.')
        return text
    if setting.type is Path:
        if not text:
            raise SettingsError(f'{name} is "": name a folder, or take the variable away.')
        return _absolute(text)
    if setting.name == "folders":
        return tuple(_folder(name, part) for part in text.split(os.pathsep)) if text else ()
    return _number(setting, name, text)


def _number(setting: Field[Any], name: str, text: str) -> float:
    low, high, unit = (setting.metadata[key] for key in ("low", "high", "unit"))
    try:
        number = int(text) if setting.type is int else float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        whole = ", without decimals" if setting.type is int else ""
        raise SettingsError(
            f'{name} is "{text}": use a number from {_plain(low)} to {_plain(high)}'
            f"{' ' * bool(unit)}{unit}{whole} ({setting.metadata['about']})."
        )
    return number


def _folder(name: str, text: str) -> Path:
    if not text or not _absolute(text).is_dir():
        raise SettingsError(
            f'{name} names "{text}", which is no folder: name folders of music that visitors may '
            f"use, with {os.pathsep} between them."
        )
    return _absolute(text)


def _absolute(text: str) -> Path:
    """A folder; no shell has seen to a "~" in a file of settings or among secrets."""
    try:
        return Path(text).expanduser().resolve()
    except RuntimeError:  # the home of nobody who is known
        return Path(text).resolve()


def _plain(number: float) -> str:
    return f"{number:.12g}"


def table() -> str:
    """The settings as a table in Markdown."""
    rows = [
        "| variable | default | if public | allowed | meaning |",
        "|---|---|---|---|---|",
    ]
    for setting in fields(Settings):
        rows.append(
            f"| `{_variable(setting)}` | {_default(setting)} | {_public(setting)} | "
            f"{_allowed(setting)} | {setting.metadata['about']} |"
        )
    return "\n".join(rows)


def _default(setting: Field[Any]) -> str:
    default: Any = setting.default
    if setting.type is Path:
        return f"`{default.name}` in this folder"
    if setting.name == "folders":
        return "none"
    if setting.name == "mode":
        return f"`{default}`"
    return f"{_plain(default)} {setting.metadata['unit']}".strip()


def _public(setting: Field[Any]) -> str:
    public = setting.metadata.get("public")
    return "" if public is None else _plain(public)


def _allowed(setting: Field[Any]) -> str:
    if setting.name == "mode":
        return "`local`, `public`"
    if "low" not in setting.metadata:
        return "a folder" if setting.type is Path else "folders"
    return f"{_plain(setting.metadata['low'])} to {_plain(setting.metadata['high'])}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process: the environment decides, then Streamlit's secrets.

    Raises
    ------
    SettingsError
        As `Settings.from_environment`; or the secrets cannot be read.
    """
    environment = {name: text for name, text in os.environ.items() if name.startswith(_PREFIX)}
    secrets = _from_secrets()
    os.environ.update(environment)  # Streamlit writes secrets there, over what there is
    return Settings.from_environment(secrets | environment)


def _from_secrets() -> dict[str, str]:
    """The settings among Streamlit's secrets, as texts."""
    found = {}
    for name, value in _secrets().items():
        if name.startswith(_PREFIX):
            if type(value) not in (str, int, float):
                raise SettingsError(
                    f"{name} is neither text nor a number in the secrets: write one of the two "
                    "after its = sign."
                )
            found[name] = str(value)
        elif isinstance(value, Mapping):
            _refuse_inside(name, value)
    return found


def _refuse_inside(section: str, secrets: Mapping[str, Any]) -> None:
    """In TOML all that stands below a section's heading belongs to it, as is easily forgotten."""
    for name, value in secrets.items():
        if name.startswith(_PREFIX):
            raise SettingsError(
                f'{name} stands in the section "{section}" of the secrets, where it has no '
                "effect: write it above all sections."
            )
        if isinstance(value, Mapping):
            _refuse_inside(name, value)


def _secrets() -> Mapping[str, Any]:
    """Streamlit's secrets; none where no file holds any."""
    import streamlit as st
    from streamlit.errors import StreamlitSecretNotFoundError

    try:
        return st.secrets.to_dict()
    except UnicodeDecodeError:
        reason = "they are not UTF-8"
    except (StreamlitSecretNotFoundError, OSError) as error:
        if getattr(error, "error_id", None) == "no-secrets-found":
            return {}
        reason = str(error).rstrip(".")
    raise SettingsError(f"The secrets cannot be read: {reason}. Correct them, or take them away.")
