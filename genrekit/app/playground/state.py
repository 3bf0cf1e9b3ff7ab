"""What the backprop page keeps between reruns: a visitor's run, and whether it is moving.

The state is one object in the session: two visitors never share a run. Streamlit starts a rerun
before the one it replaces has ended, so one visitor can have two threads at once: whoever works
with a run holds the state's lock.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import streamlit as st

from genrekit.app.playground.pace import SPEEDS, Pacer
from genrekit.app.playground.packing import Packer
from genrekit.teaching.run import EpochRecord, Run
from genrekit.teaching.settings import RunSettings

__all__ = ["Playground", "current", "playground"]

# Seconds of training in one update: leaves the machine to others, and obeys a pause at once.
WORK: Final = 0.06
# Where several learn at once they together take this part of a processor.
SHARE: Final = 0.3
# Seconds from one update to the next, for somebody alone and in a crowd.
EVERY: Final = (0.1, 0.5)
KEPT_RUNS: Final = 4
# Seconds for which a value put into a widget is defended against requests under way.
HOLD: Final = 4.0


# When each run under way was last shown; all visitors' threads write here.
_shown: Final[dict[int, float]] = {}
_shown_lock: Final = threading.Lock()


@dataclass
class Playground:
    """One visitor's run, whether it is moving, and the runs before it."""

    run: Run
    training: bool = True
    number: int = 1
    pacer: Pacer = field(default_factory=Pacer)
    packer: Packer = field(default_factory=Packer)
    earlier: list[tuple[str, list[EpochRecord]]] = field(default_factory=list)
    refresh: bool = False
    drawn: bool = False
    stamp: int = 0
    every: float = EVERY[0]
    put: dict[str, tuple[Any, Any, float]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def restart(self, settings: RunSettings, *, training: bool) -> None:
        """Begin again, keeping the finished epochs of the last run for comparison."""
        fresh = Run(settings, learning_rate=self.run.learning_rate, epochs=self.run.epochs)
        if len(self.run.history) > 1:
            label = f"run {self.number}"
            self.earlier = [*self.earlier, (label, self.run.history)][-KEPT_RUNS:]
        self.run = fresh
        self.number += 1
        self.pacer, self.packer = Pacer(), Packer()
        self.training = training

    def next_stamp(self) -> int:
        """A number that makes a message to the browser unlike any before.

        Streamlit 1.67 sends a large message that it has sent before by its hash alone. Beside a
        fragment that repeats itself the browser may have dropped it by then, and the page dies.
        """
        self.stamp += 1
        return self.stamp

    def put_widget(self, key: str, value: Any) -> None:
        """Set a widget from code, and remember it for `hold_widgets`."""
        self.put[key] = st.session_state.get(key), value, time.monotonic() + HOLD
        st.session_state[key] = value

    def hold_widgets(self) -> None:
        """Set again what a repeating fragment has just undone.

        Its request may have left the browser before the new value arrived there, and it brings
        the old one along. Call before the widgets are made.
        """
        now = time.monotonic()
        self.put = {key: kept for key, kept in self.put.items() if now < kept[2]}
        for key, (before, value, _) in self.put.items():
            if before != value and st.session_state.get(key) == before:
                st.session_state[key] = value

    def tick(self, speed: str) -> None:
        """Learn what is due since the last update, if training.

        Not while the whole page is drawn: should the run end there, the page would have to be
        drawn again, and what the browser keeps of the first drawing is in doubt.
        """
        if not (self.training and self.drawn):
            self.drawn = True
            return
        learners = self._learners()
        wanted = _every(learners)
        if not self.every / 2 < wanted < self.every * 2:
            self.refresh = True  # the page is drawn again, and asks for updates as often as that
        due = self.pacer.due(time.monotonic(), SPEEDS[speed](len(self.run.inputs)))
        if due:
            work = WORK if learners == 1 else SHARE * wanted / learners
            done = self.run.advance(due, seconds=work)
            # A batch larger than what was due is paid back by waiting.
            self.pacer.carry -= max(0, done - due)

    def interval(self) -> float | None:
        """Seconds from one update to the next, None where nothing moves: more learn, fewer come."""
        if not self.training:
            return None
        self.every = _every(self._learners())
        return self.every

    def _learners(self) -> int:
        """How many visitors' runs are learning now, this one among them."""
        now = time.monotonic()
        with _shown_lock:
            _shown[id(self)] = now
            for gone in [key for key, at in _shown.items() if now - at > 4 * EVERY[1]]:
                del _shown[gone]
            return len(_shown)

    def train(self) -> None:
        """Train on; at the end of a run, begin it again."""
        with self.lock:
            if self.run.finished:
                self.restart(self.run.settings, training=True)
            self.training = True
            self.pacer = Pacer()

    def pause(self) -> None:
        """Stop where it is. Pressed twice it still stops, which a toggle would not."""
        with self.lock:
            self.training = False

    def one_epoch(self) -> None:
        with self.lock:
            self.training = False
            n = len(self.run.inputs)
            self.run.advance(n - self.run.seen % n, seconds=2.0)

    def one_example(self) -> None:
        with self.lock:
            self.training = False
            self.run.advance(1)

    def reset(self) -> None:
        with self.lock:
            self.restart(self.run.settings, training=False)


def _every(learners: int) -> float:
    """Seconds between two updates of each of so many: ten a second in all, while that will do."""
    return min(EVERY[0] * learners, EVERY[1])


def current() -> Playground | None:
    """This session's playground, None before its first drawing."""
    return st.session_state.get("_playground")


def playground(settings: RunSettings, learning_rate: float, epochs: int) -> Playground:
    """This session's playground, restarted where `settings` ask for another network or data."""
    state = current()
    if state is None:
        run = Run(settings, learning_rate=learning_rate, epochs=epochs)
        state = st.session_state["_playground"] = Playground(run)
    with state.lock:
        if state.run.settings != settings:
            # A run that was paused half-way stays paused; any other starts by itself.
            state.restart(settings, training=state.training or state.run.finished)
        if epochs > state.run.epochs and state.run.finished and not state.run.broken:
            state.training = True
        state.run.learning_rate = learning_rate
        state.run.epochs = epochs
        state.training = state.training and not state.run.finished
        state.drawn = False
    return state
