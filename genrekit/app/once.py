"""What a server makes once and keeps, where nothing that a visitor sends can take it away."""

import threading
from collections.abc import Callable
from functools import update_wrapper
from typing import Generic, TypeVar

__all__ = ["Once"]

Value = TypeVar("Value")


class Once(Generic[Value]):
    """A function without arguments that is called once, whichever thread comes first.

    Streamlit's caches would do, except that a browser can ask Streamlit to clear them.

    Parameters
    ----------
    make : the function
    release : called with the value when it is given up
    """

    def __init__(
        self, make: Callable[[], Value], release: Callable[[Value], object] | None = None
    ) -> None:
        update_wrapper(self, make)
        self._make = make
        self._release = release
        self._values: list[Value] = []
        self._lock = threading.Lock()

    def __call__(self) -> Value:
        with self._lock:
            if not self._values:
                self._values.append(self._make())
            return self._values[0]

    def clear(self) -> None:
        """Give up the value; the next call makes another one."""
        with self._lock:
            while self._values:
                value = self._values.pop()
                if self._release:
                    self._release(value)
