"""Texts and tables that come with the package: TOML files, checked when they are read."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_origin

__all__ = ["read_toml", "record"]

T = TypeVar("T")


@cache
def read_toml(module: str, **values: str) -> dict[str, Any]:
    """Read the TOML file beside a module's ``__file__``; `values` replace each ``{NAME}``.

    It is read once, for pages run again and again: do not change what is returned.
    """
    text = Path(module).with_suffix(".toml").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return tomllib.loads(text)


def record(kind: type[T], table: Mapping[str, Any], entry: str) -> T:
    """Fill the dataclass `kind` with a table; lists become tuples.

    A ValueError names the entry, if a field is missing, unknown or of another type.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    missing = [name for name, field in known.items() if _needed(field) and name not in table]
    unknown = [name for name in table if name not in known]
    if missing or unknown:
        wrong = f"has no {missing[0]}" if missing else f"has an unknown field {unknown[0]}"
        raise ValueError(f"{entry} {wrong}: its fields are {', '.join(known)}.")
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in table.items()}
    for name, value in values.items():
        wanted = known[name].type
        if get_origin(wanted) is Literal:
            wanted = str
        elif not isinstance(wanted, UnionType):
            wanted = get_origin(wanted) or wanted
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            wanted = getattr(wanted, "__name__", wanted)
            raise ValueError(f"{entry}: {name} is {value!r}, not of type {wanted}.")
    return kind(**values)


def _needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
