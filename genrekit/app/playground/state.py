"""The state of the backprop page between reruns: a visitor's run, made ahead of the film of it.

The browser plays the film and knows which moment it shows; the run here is as far ahead as the
film. A take is a film that belongs together: a change at a moment cuts it, and the next take
continues from there. Streamlit starts a rerun before the one it replaces has ended, so one visitor
can have two threads at once: code that uses a run holds the state's lock.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import streamlit as st

from genrekit.teaching.film import Stretch, even_grain, make_stretch
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN, RunSettings

__all__ = ["Playground", "playground"]

# A film has at most so many moments, and a stretch of it so many bytes and examples: a whole run,
# unless it is a long one, is one stretch.
MOMENTS: Final = 2000
BYTES: Final = 1_000_000
EXAMPLES: Final = 100_000
# The examples of the first stretch, which is to be there at once, and of a take's first moments,
# one example each, to step through.
FIRST: Final = 4_000
STEPS: Final = 40
# Most visitors begin with the same run, and its first stretch takes longer than the rest of a page.
BEGINNINGS: Final = 8


@dataclass
class Playground:
    """One visitor's run, and what the browser is about to be sent of it.

    Attributes
    ----------
    take, base : the take's number, and the examples seen where it begins
    play : whether the browser plays the take at once
    told : a sentence about the take, or nothing
    shown : the examples seen at the moment that the browser has told of
    stretch : a part of the film that has not been sent yet
    with_examples : whether the examples of the run go with it
    answered : the number of the last answered request of each kind
    """

    run: Run
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    take: int = 0
    base: int = 0
    play: bool = False
    told: str = ""
    shown: int = 0
    refresh: bool = False
    stretch: Stretch | None = None
    with_examples: bool = False
    answered: dict[str, float] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def restart(self, run: Run, *, play: bool = False, told: str = "") -> None:
        """Begin a new run, as a new take."""
        self.play, self.told = play, told
        self._begin(run)

    def cut(self, seen: int, change: Callable[[Run], None]) -> None:
        """Change the run as it was after `seen` examples, and continue from there."""
        run = self.run.at(min(max(seen, 0), self.run.seen))
        change(run)
        self.play = False
        self._begin(run)

    def _begin(self, run: Run) -> None:
        self.base = self.shown = run.seen
        self.take += 1
        self.with_examples = not run.seen
        if run.seen or run.changes or run.settings.task == OWN:
            self.run, self.stretch = run, _stretch(run, 0, FIRST, STEPS)
        else:
            begun, self.stretch = _beginning(run.settings, run.learning_rate, run.epochs)
            self.run = begun.at(begun.seen)

    def film(self, start: int, grain: int, *, examples: bool) -> None:
        """Make the stretch from `start` on: a moment every `grain` examples, 0 for a whole run."""
        start = min(max(start, self.base), self.run.seen)
        run = self.run if start == self.run.seen else self.run.at(start)
        self.stretch = _stretch(run, grain, EXAMPLES)
        self.with_examples = examples
        if run.seen > self.run.seen:
            self.run = run

    def run_shown(self) -> Run:
        """Return the run as it was at the moment that the browser has told of."""
        return self.run.at(min(self.shown, self.run.seen))


def playground(settings: RunSettings, learning_rate: float, epochs: int) -> Playground:
    """Return this session's playground, restarted if `settings` have changed."""
    state: Playground | None = st.session_state.get("_playground")
    if state is None or state.run.settings != settings:
        run = Run(settings, learning_rate=learning_rate, epochs=epochs)
        state = st.session_state["_playground"] = state or Playground(run)
        with state.lock:
            state.restart(run)
    state.run.epochs = epochs
    return state


@lru_cache(maxsize=BEGINNINGS)
def _beginning(settings: RunSettings, learning_rate: float, epochs: int) -> tuple[Run, Stretch]:
    """Return the first stretch of a run, and the run at its end, which stays as it is."""
    run = Run(settings, learning_rate=learning_rate, epochs=epochs)
    stretch = _stretch(run, 0, FIRST, STEPS)
    return run, stretch


def _stretch(run: Run, grain: int, examples: int, steps: int = 0) -> Stretch:
    most = min(MOMENTS, BYTES // (8 * (3 + len(run.all_weights()))))
    return make_stretch(run, grain or even_grain(run, most), most, examples, steps)
