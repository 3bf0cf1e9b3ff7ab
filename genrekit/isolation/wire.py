"""Serialise values for a process that is not trusted.

Python's pickle runs code that the sender chooses. Here the receiver accepts plain values, NumPy
arrays of numbers, and dataclasses that it names, which are made by calling them. A message is
a head (the number of parts, little-endian), a table (the length of each) and the parts: the first
is JSON, the others are bytes and arrays that it refers to by number.

In the JSON, None, booleans, numbers and text stand for themselves; the rest is a list that
begins with a letter: t(uple), l(ist), d(ictionary), c(lass), b(ytes) or a(rray).
"""

import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

__all__ = ["Incoming", "Wire", "WireError", "named"]

_NUMBER: Final = 8
_PARTS_MAX: Final = 100_000
_NUMBERS: Final = ("float32", "float64", "int16", "int32", "int64", "uint8", "bool")


class WireError(Exception):
    """A message is invalid, or a value cannot be sent."""


class Wire:
    """A serialiser of values that may contain these dataclasses, found by name in their modules."""

    def __init__(self, types: Iterable[type]) -> None:
        self._types = {_name(kind): kind for kind in types}

    @property
    def names(self) -> list[str]:
        """The types, as ``module:name``."""
        return list(self._types)

    def pack(self, value: object) -> list[memoryview]:
        """Return a message in pieces, without copying; raise WireError for other types."""
        parts: list[memoryview] = []
        text = json.dumps(self._encode(value, parts)).encode()
        parts.insert(0, memoryview(text))
        head = [len(parts), *(part.nbytes for part in parts)]
        return [memoryview(b"".join(n.to_bytes(_NUMBER, "little") for n in head)), *parts]

    def unpack(self, parts: Sequence[bytearray]) -> Any:
        """Return the value of a message, with writable arrays; raise WireError if it is invalid."""
        try:
            return self._decode(json.loads(parts[0]), dict(enumerate(parts[1:], start=1)))
        except Exception as error:
            # Including what a class raises that refuses its values.
            raise WireError(f"not a message ({type(error).__name__})") from None

    def _encode(self, value: Any, parts: list[memoryview]) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, bytes | bytearray | np.ndarray):
            return self._set_apart(value, parts)
        if isinstance(value, tuple | list):
            return ["t" if isinstance(value, tuple) else "l", *self._each(value, parts)]
        if isinstance(value, dict):
            pairs = [part for pair in value.items() for part in pair]
            return ["d", *self._each(pairs, parts)]
        name = _name(type(value))
        if self._types.get(name) is not type(value) or not is_dataclass(value):
            raise WireError(f"a {name} cannot be sent")
        held = [getattr(value, field.name) for field in fields(value) if field.init]
        return ["c", name, *self._each(held, parts)]

    def _each(self, values: Iterable[Any], parts: list[memoryview]) -> list[Any]:
        return [self._encode(value, parts) for value in values]

    def _set_apart(self, value: Any, parts: list[memoryview]) -> list[Any]:
        number = len(parts) + 1  # the first part is the JSON
        if not isinstance(value, np.ndarray):
            parts.append(memoryview(value))
            return ["b", number]
        if value.dtype.name not in _NUMBERS or not value.dtype.isnative:
            raise WireError(f"an array of {value.dtype} cannot be sent")
        parts.append(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return ["a", number, value.dtype.name, *value.shape]

    def _decode(self, coded: Any, parts: dict[int, bytearray]) -> Any:
        """Return a value; each part is used once, lest short messages ask for endless copies."""
        match coded:
            case None | bool() | int() | float() | str():
                return coded
            case ["t", *items]:
                return tuple(self._decode(item, parts) for item in items)
            case ["l", *items]:
                return [self._decode(item, parts) for item in items]
            case ["d", *items]:
                values = iter([self._decode(item, parts) for item in items])
                return dict(zip(values, values, strict=True))
            case ["c", name, *items]:
                return self._types[name](*(self._decode(item, parts) for item in items))
            case ["b", number]:
                return bytes(parts.pop(number))
            case ["a", number, dtype, *shape] if dtype in _NUMBERS:
                return np.frombuffer(parts.pop(number), dtype).reshape(shape)
        raise TypeError


class Incoming:
    """A message that arrives in pieces; one that announces more than `limit` bytes is refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._table = bytearray(_NUMBER)
        self._head_read = False
        self.parts: list[bytearray] = []
        self._missing = [memoryview(self._table)]

    @property
    def room(self) -> memoryview:
        """The buffer for the next bytes."""
        return self._missing[0]

    def add(self, count: int) -> bool:
        """Count bytes that were read into `room`; return whether the message is complete.

        Raise WireError if it is too large.
        """
        self._missing[0] = self._missing[0][count:]
        while self._missing and not self._missing[0]:
            del self._missing[0]
            if not self._missing and not self.parts:
                self._missing = self._next()
        return not self._missing

    def _next(self) -> list[memoryview]:
        numbers = np.frombuffer(self._table, "<u8").tolist()
        if not self._head_read:
            if not 1 <= numbers[0] <= _PARTS_MAX:
                raise WireError(f"a message of {numbers[0]} parts")
            self._head_read = True
            self._table = bytearray(_NUMBER * numbers[0])
            return [memoryview(self._table)]
        if sum(numbers) > self._limit:
            raise WireError(f"a message of {sum(numbers)} bytes")
        self.parts = [bytearray(length) for length in numbers]
        return [memoryview(part) for part in self.parts]


def named(name: str) -> Any:
    """Import what ``module:name`` names."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for step in path.split("."):
        found = getattr(found, step)
    return found


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"
