"""The film of a run: the browser plays it, and says what it needs and what a visitor changes.

A message to the browser is the length of a JSON head, four bytes, the head, and float64 numbers:
with the examples of the run if they are asked for (inputs, then targets), the moments of a stretch,
and of each epoch that ended in it the error and the held-out error.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import streamlit as st

from genrekit.app.kit.charts import NEGATIVE, POSITIVE
from genrekit.app.kit.component import component
from genrekit.app.kit.widgets import plain_errors
from genrekit.app.playground.names import LOOKS, unit_names, weight_names
from genrekit.app.playground.settings import apply
from genrekit.app.playground.state import Playground
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN

__all__ = ["chosen", "network_view"]

# Examples a second, given the number of examples in an epoch and in the run; the names are what
# links hold. In slow motion, one example takes ten seconds.
SPEEDS: Final[dict[str, Callable[[int, int], float]]] = {
    "slow motion": lambda epoch, run: 0.1,
    "1 example a second": lambda epoch, run: 1.0,
    "10 examples a second": lambda epoch, run: 10.0,
    "1 epoch a second": lambda epoch, run: float(epoch),
    "5 epochs a second": lambda epoch, run: 5.0 * epoch,
    "flat out": lambda epoch, run: max(10.0 * epoch, run / 4),
}
QUESTION: Final = (0.3, 0.1)
LIMIT: Final = 1000.0

_mount: Final = component("network_view")


def choices(run: Run) -> dict[str, list[str]]:
    """Return what the controls of the film offer, the default first; the names are in links."""
    return {
        "bp_speed": ["5 epochs a second", *(name for name in SPEEDS if name[0] != "5")],
        "bp_lines": ["weights", "gradients"],
        "bp_map": ["answer"] if run.settings.task == OWN else ["error", "answer", "truth"],
        "bp_reach": ["1.0", "0.0", "0.5", "2.0", "4.0"],
        "bp_stage": ["1 Forward", "2 Loss", "3 Backward", "4 Update"],
        "bp_ex": ["next training example", "my question"],
        "bp_weight": weight_names(run),
    }


def chosen(run: Run) -> dict[str, str]:
    """Return what is chosen, and the question, "bp_q1" and so on: from the address or before."""
    kept = st.session_state.setdefault("_film", {})
    kept |= {key: value for key, value in st.query_params.items() if key.startswith("bp_")}
    values = {key: _one_of(kept.get(key), options) for key, options in choices(run).items()}
    for i in range(run.inputs.shape[1]):
        values[f"bp_q{i + 1}"] = _number(kept.get(f"bp_q{i + 1}"), (*QUESTION, *[0.5] * 6)[i])
    return values


def _one_of(value: str | None, options: Sequence[str]) -> str:
    return value if value is not None and value in options else options[0]


def _number(text: str | None, default: float) -> str:
    try:
        value = float(text or "")
    except ValueError:
        return str(default)
    return str(value if abs(value) <= LIMIT else default)


def network_view(state: Playground) -> None:
    """Mount the film with the key "network", and answer what it asks."""
    _keep_in_address(state.run, chosen(state.run))
    message, state.stretch = _message(state), None
    _mount(key="network", data=message, on_ask_change=partial(_answer, state))


def _keep_in_address(run: Run, values: Mapping[str, str]) -> None:
    """Write what is chosen to the address, less the defaults; each change shows there at once."""
    defaults = {key: options[0] for key, options in choices(run).items()}
    defaults |= {f"bp_q{i + 1}": str(value) for i, value in enumerate((*QUESTION, *[0.5] * 6))}
    for key, value in values.items():
        if value == defaults.get(key):
            st.query_params.pop(key, None)
        elif value != st.query_params.get(key):
            st.query_params[key] = value


def _message(state: Playground) -> bytes:
    run, stretch = state.run, state.stretch
    low, high = run.trained_range()
    net, numbers = run.mlp, []
    head = {
        "run": state.name, "take": state.take, "base": state.base, "play": state.play,
        "answered": state.answered, "told": state.told, "changed": bool(run.changes),
        "sizes": net.layer_sizes, "bias": bool(net.biases), "names": unit_names(net.layer_sizes),
        "kinds": [net.activation] * (len(net.weights) - 1) + [net.output_activation],
        "task": run.settings.task, "low": low.tolist(), "high": high.tolist(),
        "count": len(run.inputs), "batch": run.settings.batch_size, "epochs": run.epochs,
        "rate": run.learning_rate, "wanted": st.session_state["bp_lr"],
        "log": st.session_state["bp_log"],
        "follow": st.session_state["bp_look"] != LOOKS[0], "shown": state.shown,
        "colours": {"positive": POSITIVE, "negative": NEGATIVE},
        "speeds": {k: v(len(run.inputs), len(run.inputs) * run.epochs) for k, v in SPEEDS.items()},
        "choices": choices(run), "view": chosen(run),
        "experiments": [one.title for one in EXPERIMENTS],
    }  # fmt: skip
    if stretch is not None:
        head["stretch"] = {
            "moments": len(stretch.moments), "epochs": len(stretch.epochs),
            "first": stretch.epochs[0].epoch if stretch.epochs else 0,
            "broken": run.broken, "examples": state.with_examples,
            "findings": [
                [seen, [[one.message, one.remedy] for one in found]]
                for seen, found in stretch.findings
            ],
        }  # fmt: skip
        if state.with_examples:
            numbers += [run.inputs, run.targets]
        held = [math.nan if e.held_out_mse is None else e.held_out_mse for e in stretch.epochs]
        numbers += [stretch.moments, np.array([[e.mse for e in stretch.epochs], held]).T]
    packed = json.dumps(head).encode()
    body = b"".join(np.asarray(one, "<f8").tobytes() for one in numbers)
    return len(packed).to_bytes(4, "little") + packed + body


# -- what the browser asks ------------------------------------------------------------------------


def _answer(state: Playground) -> None:
    """Answer what has not been answered: the browser repeats it until it hears that it has been."""
    with plain_errors(), state.lock:
        for ask, (number, value) in (st.session_state["network"].ask or {}).items():
            if number > state.answered.get(ask, 0):
                state.answered[ask] = number
                _ANSWERS[ask](state, value)


def _view(state: Playground, value: Mapping[str, Any]) -> None:
    """Keep what a visitor has chosen in the film."""
    texts = {key: str(value[key]) for key in chosen(state.run) if key in value}
    st.session_state["_film"] |= texts
    _keep_in_address(state.run, texts)


def _more(state: Playground, value: Mapping[str, Any]) -> None:
    """Make another stretch of the film."""
    state.film(int(value["start"]), int(value["grain"]), examples=bool(value["examples"]))


def _cut(state: Playground, value: Mapping[str, Any]) -> None:
    """Cut the film at a moment: for a new learning rate, or a weight's new value."""

    def change(run: Run) -> None:
        if "rate" in value:
            run.learning_rate = float(value["rate"])
        else:
            weight = run.all_weights()[int(value["weight"])]
            run.set_weight(weight, float(value["value"]))

    state.cut(int(value["seen"]), change)


def _moment(state: Playground, value: float) -> None:
    """Show another moment in the panels below."""
    state.shown, state.refresh = int(value), True


def _experiment(state: Playground, value: float) -> None:
    apply(state, EXPERIMENTS[int(value)])
    state.refresh = True


def _reset(state: Playground, value: object) -> None:
    """Begin again, without the changes."""
    run = state.run
    state.restart(Run(run.settings, learning_rate=run.learning_rate, epochs=run.epochs))


_ANSWERS: Final[dict[str, Callable[[Playground, Any], None]]] = {
    "view": _view,
    "more": _more,
    "cut": _cut,
    "moment": _moment,
    "experiment": _experiment,
    "reset": _reset,
}
