"""The settings of the backprop page, all of them kept in the page's address."""

from functools import partial
from typing import Any, Final

import streamlit as st

from genrekit.app.kit.glossary import setting
from genrekit.app.kit.widgets import URL, number_input
from genrekit.app.playground.state import Playground
from genrekit.system.records import read_toml
from genrekit.teaching.presets import Experiment
from genrekit.teaching.run import Run
from genrekit.teaching.settings import LIMITS, RunSettings

__all__ = ["apply", "settings_panel"]

TASKS: Final[dict[str, str]] = read_toml(__file__)["tasks"]
# The names are what links hold, so they stay short.
ACTIVATIONS: Final = ["sigmoid", "tanh", "relu", "identity"]
INITS: Final = ["uniform", "symmetric", "xavier", "he", "zeros"]
RATES: Final = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0]
SAMPLE: Final = "a,b,target\n0.1,0.2,0.15\n0.9,0.3,0.6\n0.4,0.4,0.4\n0.7,0.1,0.4"
DEFAULTS: Final = RunSettings()

_own: Final = partial(setting, "backprop")


def settings_panel() -> tuple[RunSettings, float, int]:
    """Show the settings of a run; return them, the learning rate and the number of epochs."""
    task = st.selectbox("Task", list(TASKS), key="bp_task", **URL)
    st.caption(TASKS[task])
    table = _own_table() if task == "own" else ""
    layers = st.slider("Hidden layers", 0, LIMITS.layers, 1, key="bp_layers", **URL)
    hidden = tuple(
        st.slider(f"Units in hidden layer {i}", 1, LIMITS.units, 5, key=f"bp_h{i}", **URL)
        for i in range(1, layers + 1)
    )
    activation = st.selectbox(options=ACTIVATIONS, **_own("bp_act"))
    rate = st.select_slider(options=RATES, value=0.1, **_own("bp_lr"))
    with st.expander("More settings"):
        more, epochs = _more_settings(task)
    return RunSettings(task, hidden, activation, table=table, **more), rate, epochs


def _more_settings(task: str) -> tuple[dict[str, Any], int]:
    epochs = number_input(st, min_value=1, max_value=LIMITS.epochs, value=50, **_own("bp_epochs"))
    more: dict[str, Any] = {}
    output = st.selectbox(options=["same", *ACTIVATIONS], **_own("bp_out"))
    more["output_activation"] = None if output == "same" else output
    more["bias"] = st.toggle(**_own("bp_bias"))
    more["init"] = st.selectbox(options=INITS, **_own("bp_init"))
    more["seed"] = number_input(
        st, min_value=0, max_value=999_999, value=DEFAULTS.seed, **_own("bp_seed")
    )
    more["batch_size"] = number_input(
        st, min_value=1, max_value=LIMITS.examples, value=1, **_own("bp_batch")
    )
    if task != "own":
        more["examples"] = number_input(
            st, "Examples", 1, LIMITS.examples, DEFAULTS.examples, key="bp_n"
        )
        low, high = st.columns(2)
        more["low"] = number_input(low, "From", -5.0, 5.0, DEFAULTS.low, 0.1, key="bp_low")
        more["high"] = number_input(high, "to", -5.0, 5.0, DEFAULTS.high, 0.1, key="bp_high")
        more["noise"] = number_input(
            st, min_value=0.0, max_value=1.0, value=0.0, step=0.01, **_own("bp_noise")
        )
    st.toggle(**_own("bp_log"))
    return more, epochs


def _own_table() -> str:
    return st.text_area(
        "Your numbers",
        SAMPLE,
        max_chars=LIMITS.table_characters,
        key="bp_table",
        help=f"One example a line, the last column is the target: up to {LIMITS.table_inputs} "
        f"inputs and {LIMITS.table_rows} lines. Every fifth line is held out from 10 lines on.",
        **URL,
    )


def apply(state: Playground, experiment: Experiment) -> None:
    """Put an experiment into the widgets and restart the run with it."""
    settings = experiment.settings
    fields = ("task", "bias", "init", "low", "high", "noise", "seed")
    values = {
        **{name: getattr(settings, name) for name in fields},
        "layers": len(settings.hidden),
        **{f"h{i}": n for i, n in enumerate(settings.hidden, start=1)},
        "act": settings.activation,
        "out": settings.output_activation or "same",
        "batch": settings.batch_size,
        "n": settings.examples,
        "lr": experiment.learning_rate,
        "epochs": experiment.epochs,
    }
    for name, value in values.items():
        st.session_state[f"bp_{name}"] = value
    run = Run(settings, learning_rate=experiment.learning_rate, epochs=experiment.epochs)
    state.restart(run, play=True, told=f"{experiment.title}: {experiment.shows}")
