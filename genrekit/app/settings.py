"""The host's settings, from environment variables or secrets, read once when the app starts.

settings.toml has the default, range, unit and meaning of each; a test compares it with
docs/host.md.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from genrekit.errors import SettingsError
from genrekit.system.records import read_toml
from genrekit.system.shipped import data_folder

__all__ = ["Cache", "Mode", "Settings", "settings"]

Mode = Literal["local", "public"]
Cache = Literal["shared", "own"]

_PREFIX: Final = "GENREKIT_"
_JOBS: Final = data_folder() / "jobs"
_CHOICES: Final = {"mode": ("local", "public"), "cache": ("shared", "own")}
# Variables that Kubernetes sets in each pod, named by service; one may be named genrekit.
_OF_KUBERNETES: Final = re.compile(r"(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?)")
_TABLE: Final = read_toml(__file__)

# Where a site begins and ends; "*." in front stands for all below it.
_SITE: Final = re.compile(r"https?://(\*\.)?[\w-]+(\.[\w-]+)*(:\d+)?", re.ASCII)


def _about(name: str) -> dict[str, Any]:
    return {"unit": "", "public": None, **_TABLE[name]}


def _number(name: str) -> Any:
    return field(default=_TABLE[name]["default"], metadata=_about(name))


@dataclass(frozen=True)
class Settings:
    """Limits and folders. Each can be set by ``GENREKIT_`` and its name in capitals.

    The defaults are those of mode "local"; `from_environment` takes stricter ones where the mode
    is "public".
    """

    mode: Mode = field(default="local", metadata=_about("mode"))
    jobs_folder: Path = field(default=_JOBS, metadata=_about("jobs_folder"))
    folders: tuple[Path, ...] = field(default=(), metadata=_about("folders"))
    framed_by: tuple[str, ...] = field(default=(), metadata=_about("framed_by"))
    upload_megabytes: float = _number("upload_megabytes")
    song_minutes: float = _number("song_minutes")
    song_channels: int = _number("song_channels")
    jobs_at_once: int = _number("jobs_at_once")
    jobs_waiting: int = _number("jobs_waiting")
    jobs_per_visitor: int = _number("jobs_per_visitor")
    job_minutes: float = _number("job_minutes")
    job_memory_megabytes: float = _number("job_memory_megabytes")
    job_keep_hours: float = _number("job_keep_hours")
    jobs_megabytes: float = _number("jobs_megabytes")
    job_megabytes: float = _number("job_megabytes")
    free_megabytes: float = _number("free_megabytes")
    listeners: int = _number("listeners")
    listen_seconds: float = _number("listen_seconds")
    listen_megabytes: float = _number("listen_megabytes")
    listen_waiting: int = _number("listen_waiting")
    live_places: int = _number("live_places")
    cache: Cache = field(default="shared", metadata=_about("cache"))
    trusted_proxies: int = _number("trusted_proxies")
    metrics_port: int = _number("metrics_port")
    metrics_address: str = field(default="127.0.0.1", metadata=_about("metrics_address"))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings; SettingsError names the variable, its value and what was expected."""
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
    """Refuse misspelt names: a limit would be off, and nobody would notice."""
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name in known:
            continue
        if _OF_KUBERNETES.fullmatch(name.removeprefix(_PREFIX)):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"is {near[0]} meant?" if near else "docs/host.md lists all settings."
        raise SettingsError(f"{name} is no setting of GenreKit: {remedy}")


def _read(setting: Field[Any], name: str, text: str) -> Any:
    """Return the value of a setting from its text."""
    if choices := _CHOICES.get(setting.name):
        if text not in choices:
            raise SettingsError(f'{name} is "{text}": use {" or ".join(choices)}.')
        return text
    if setting.name == "metrics_address":
        return _own_address(name, text)
    if setting.type is Path:
        if not text:
            raise SettingsError(f'{name} is "": name a folder, or take the variable away.')
        return _absolute(text)
    if setting.name == "folders":
        return tuple(_folder(name, part) for part in text.split(os.pathsep)) if text else ()
    if setting.name == "framed_by":
        return tuple(_site(name, part) for part in text.split())
    return _read_number(setting, name, text)


def _read_number(setting: Field[Any], name: str, text: str) -> float:
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


def _site(name: str, text: str) -> str:
    if not _SITE.fullmatch(text):
        raise SettingsError(
            f'{name} names "{text}": name sites such as https://school.example, with spaces '
            "between them."
        )
    return text


def _own_address(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise SettingsError(
            f'{name} is "{text}": use an address of this machine, such as 127.0.0.1, or 0.0.0.0 '
            "for all of them."
        ) from None


def _absolute(text: str) -> Path:
    """Return a folder; in files of settings and secrets, no shell has expanded "~"."""
    try:
        return Path(text).expanduser().resolve()
    except RuntimeError:  # no such user
        return Path(text).resolve()


def _plain(number: float) -> str:
    return f"{number:.12g}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, from the environment, then from Streamlit's secrets.

    Raise SettingsError as `Settings.from_environment` does, or if the secrets cannot be read.
    """
    environment = {name: text for name, text in os.environ.items() if name.startswith(_PREFIX)}
    secrets = _from_secrets()
    os.environ.update(environment)  # Streamlit writes secrets there, over what there is
    return Settings.from_environment(secrets | environment)


def _from_secrets() -> dict[str, str]:
    """Return the settings among Streamlit's secrets, as texts."""
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
    """Refuse settings below a heading, where TOML makes them part of its section."""
    for name, value in secrets.items():
        if name.startswith(_PREFIX):
            raise SettingsError(
                f'{name} is in the section "{section}" of the secrets, where it has no '
                "effect: write it above all sections."
            )
        if isinstance(value, Mapping):
            _refuse_inside(name, value)


def _secrets() -> Mapping[str, Any]:
    """Return Streamlit's secrets, or none if there is no file."""
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
