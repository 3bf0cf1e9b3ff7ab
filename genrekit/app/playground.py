"""What the backprop page keeps between reruns, and its formulas with live numbers.

The state is one object in the session: two visitors never share a run. Streamlit starts a rerun
before the one it replaces has ended, so one visitor can have two threads at once: whoever works
with a run holds the state's lock.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import streamlit as st

from genrekit.app.network_view import Packer
from genrekit.mlp import Step
from genrekit.playground import SPEEDS, EpochRecord, Pacer, Run, RunSettings, Weight

__all__ = ["STAGES", "Playground", "playground", "stage_formulas", "weight_names"]

# Seconds of training in one update: leaves the machine to others, and obeys a pause at once.
WORK: Final = 0.06
KEPT_RUNS: Final = 4
# Seconds for which a value put into a widget is defended against requests under way.
HOLD: Final = 4.0

STAGES: Final = ("1 Forward", "2 Loss", "3 Backward", "4 Update")


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
        due = self.pacer.due(time.monotonic(), SPEEDS[speed](len(self.run.inputs)))
        if due:
            done = self.run.advance(due, seconds=WORK)
            # A batch larger than what was due is paid back by waiting.
            self.pacer.carry -= max(0, done - due)

    def toggle(self) -> None:
        """Train or pause; at the end of a run, begin it again."""
        with self.lock:
            if not self.training and self.run.finished:
                self.restart(self.run.settings, training=True)
                return
            self.training = not self.training
            self.pacer = Pacer()

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


def playground(settings: RunSettings, learning_rate: float, epochs: int) -> Playground:
    """This session's playground, restarted where `settings` ask for another network or data."""
    state: Playground | None = st.session_state.get("_playground")
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


def weight_names(run: Run, names: Sequence[Sequence[str]]) -> list[str]:
    """A label for each of `run.all_weights()`."""
    return [
        f"bias of {names[w.layer + 1][w.target]}"
        if w.source is None
        else f"{names[w.layer][w.source]} → {names[w.layer + 1][w.target]}"
        for w in run.all_weights()
    ]


# -- formulas with live numbers -------------------------------------------------------------


@dataclass(frozen=True)
class _Names:
    """Units as LaTeX."""

    names: Sequence[Sequence[str]]

    def __call__(self, layer: int, unit: int) -> str:
        return rf"\text{{{self.names[layer][unit]}}}"


def stage_formulas(
    stage: str, step: Step, weight: Weight, run: Run, names: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """One stage of a rehearsed example around one weight: (sentence, LaTeX) pairs."""
    write = {
        STAGES[0]: _forward,
        STAGES[1]: _loss,
        STAGES[2]: _backward,
        STAGES[3]: _update,
    }[stage]
    return write(step, weight, run, _Names(names))


def _forward(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    layer, j = weight.layer, weight.target
    a, w = step.activations[layer][0], step.weights_before[layer][:, j]
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    bias = [number(step.biases_before[layer][j])] if step.biases_before else []
    unit = name(layer + 1, j)
    lines = [
        (
            f"Unit {name.names[layer + 1][j]} multiplies what comes in by its weights and adds up:",
            _lines(
                f"h_{{{unit}}}",
                _sum([_times(x, v) for x, v in zip(a, w, strict=True)], bias),
                number(h),
            ),
        ),
        (
            "Its activation function bends the sum:",
            _lines(f"a_{{{unit}}}", _bent(_kind(run, layer), number(h)), number(out)),
        ),
    ]
    if layer + 1 < len(step.activations) - 1:
        lines.append(
            (
                "The layers after it do the same, up to the network's answer:",
                rf"y = {number(step.output[0, 0])}",
            )
        )
    return lines


def _loss(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    t, y, error = step.target[0, 0], step.output[0, 0], step.error[0, 0]
    return [
        (
            "How far the answer y is from the target t:",
            _lines("e", "t - y", f"{number(t)} - {number(y, True)}", number(error)),
        ),
        (
            "The loss is its square, so that big misses count more:",
            rf"L = e^2 = {number(error, True)}^2 = {number(step.loss)}",
        ),
    ]


def _backward(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    layer, j = weight.layer, weight.target
    unit = name(layer + 1, j)
    last = len(step.deltas) - 1
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    delta = step.deltas[layer][0, j]
    lines = []
    if layer == last:
        felt = step.error[0, 0]
        lines.append(("The answer's unit feels the error itself:", rf"e = {number(felt)}"))
    else:
        back, ahead = step.deltas[layer + 1][0], step.weights_before[layer + 1][j]
        felt = float(back @ ahead)
        lines.append(
            (
                f"Unit {name.names[layer + 1][j]} feels the deltas of the next layer, through "
                "the weights it sends its value out by:",
                _lines(
                    f"e_{{{unit}}}",
                    _sum([_times(d, v) for d, v in zip(back, ahead, strict=True)]),
                    number(felt),
                ),
            )
        )
    lines.append(
        (
            "Times the slope of its curve at this point, that is its delta:",
            _lines(
                rf"\delta_{{{unit}}}",
                rf"{number(felt)} \cdot {_slope(_kind(run, layer), h, out)}",
                number(delta),
            ),
        )
    )
    lines.append(_derivative(step, weight, name))
    return lines


def _derivative(step: Step, weight: Weight, name: _Names) -> tuple[str, str]:
    delta = step.deltas[weight.layer][0, weight.target]
    unit = name(weight.layer + 1, weight.target)
    if weight.source is None:
        return (
            "A bias is nudged by the delta as it is:",
            rf"db = \delta_{{{unit}}} = {number(delta)}",
        )
    a = step.activations[weight.layer][0, weight.source]
    return (
        "The weight's derivative: what came in along it, times the delta:",
        _lines(
            "dW",
            rf"a_{{{name(weight.layer, weight.source)}}} \cdot \delta_{{{unit}}}",
            _times(a, delta),
            number(a * delta),
        ),
    )


def _update(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    if weight.source is None:
        before = step.biases_before[weight.layer][weight.target]
        after = step.biases_after[weight.layer][weight.target]
        slope = step.bias_derivatives[weight.layer][weight.target]
    else:
        at = weight.source, weight.target
        before = step.weights_before[weight.layer][at]
        after = step.weights_after[weight.layer][at]
        slope = step.derivatives[weight.layer][at]
    moved = run.answer_after(step)
    return [
        (
            "The weight takes a small step downhill, as long as the learning rate η says:",
            _lines(
                r"w_\text{new}",
                r"w + \eta \cdot dW",
                f"{number(before)} + {_times(run.learning_rate, slope)}",
                number(after),
            ),
        ),
        (
            "All weights move like this at once, and the answer to this example moves:",
            rf"y: {number(step.output[0, 0])} \rightarrow {number(moved)} "
            rf"\qquad (t = {number(step.target[0, 0])})",
        ),
    ]


def number(value: float, bracket: bool = False) -> str:
    """A number as LaTeX, with four significant digits; negative ones in brackets on request."""
    text = f"{value:.4g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    text = text.replace("nan", r"\text{not a number}").replace("inf", r"\infty")
    return f"({text})" if bracket and (value < 0 or "cdot" in text) else text


def _times(a: float, b: float) -> str:
    return rf"{number(a, True)} \cdot {number(b, True)}"


def _sum(terms: Sequence[str], more: Sequence[str] = ()) -> str:
    """Two terms a line, which is what a phone shows."""
    rows = [" + ".join(pair) for pair in _pairs([*terms, *more])]
    return r" \\ &\quad + ".join(rows)


def _pairs(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[i : i + 2] for i in range(0, len(items), 2)]


def _lines(left: str, *rights: str) -> str:
    """``left = right = right`` with one equals sign a line."""
    body = r" \\ &= ".join(rights)
    return rf"\begin{{aligned}} {left} &= {body} \end{{aligned}}"


def _kind(run: Run, layer: int) -> str:
    net = run.mlp
    return net.output_activation if layer == len(net.weights) - 1 else net.activation


def _bent(kind: str, h: str) -> str:
    return {
        "sigmoid": rf"\frac{{1}}{{1 + e^{{-({h})}}}}",
        "tanh": rf"\tanh({h})",
        "relu": rf"\max(0, {h})",
        "identity": h,
        "step": rf"\text{{1 if }} {h} > 0 \text{{ else }} 0",
    }[kind]


def _slope(kind: str, h: float, a: float) -> str:
    return {
        "sigmoid": rf"{number(a)} \cdot (1 - {number(a)})",
        "tanh": rf"(1 - {number(a, True)}^2)",
        "relu": "1" if h > 0 else "0",
        "identity": "1",
        "step": "0",
    }[kind]
