"""Looking closer at the run of the backprop page: map, slow motion, proof, taking it away."""

import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from genrekit.app.kit.charts import GREY, figure
from genrekit.app.kit.widgets import chart, plain_errors
from genrekit.app.playground.formulas import STAGES, digits_for, stage_formulas
from genrekit.app.playground.map import TOO_LARGE, map_panel, shown_kinds
from genrekit.app.playground.network_view import unit_names, weight_names
from genrekit.app.playground.settings import URL
from genrekit.app.playground.state import Playground
from genrekit.teaching.export import history_csv, network_json, run_script
from genrekit.teaching.inspect_run import GradientCheck, check_gradient, dry_run, nearest_target
from genrekit.teaching.mlp import Step
from genrekit.teaching.run import Run
from genrekit.wording import counted, numeral

__all__ = ["closer", "gradient_table", "proof_table"]


def closer(state: Playground, question: list[float]) -> None:
    """The chosen panel below the network; it repeats itself while training."""
    look = st.segmented_control(
        "Look closer", list(LOOKS), default="Error map", required=True, key="bp_look", **URL
    )
    LOOKS[look](state, question)


def _repeat(state: Playground, draw: Callable[[], None]) -> None:
    """Draw now, and again and again while training.

    Charts redraw in the browser at some cost: more often would make the network stutter.
    """

    @st.fragment(run_every=2.0 if state.training else None)
    def panel() -> None:
        with plain_errors(), state.lock:
            draw()

    panel()


# -- the map ---------------------------------------------------------------------------------


def _map(state: Playground, question: list[float]) -> None:
    with st.container(horizontal=True):
        kinds = shown_kinds(state.run.settings.task)
        shown = st.segmented_control(
            "Show", kinds, default=kinds[0], required=True, key="bp_map", **URL
        )
        reach = st.select_slider(
            "How far beyond the training square",
            [0.0, 0.5, 1.0, 2.0, 4.0],
            1.0,
            key="bp_reach",
            **URL,
        )
    _repeat(state, lambda: map_panel(state, shown, reach, question))


# -- slow motion -----------------------------------------------------------------------------


def _slow_motion(state: Playground, question: list[float]) -> None:
    with st.container(horizontal=True):
        stage = st.segmented_control(
            "Stage", STAGES, default=STAGES[0], required=True, key="bp_stage", **URL
        )
        example = st.segmented_control(
            "Example",
            ["next training example", "my question"],
            default="next training example",
            required=True,
            key="bp_ex",
            **URL,
        )
    label = st.selectbox("Weight", weight_names(state.run), key="bp_weight", **URL)
    asked = question if example == "my question" else None
    _repeat(state, lambda: _slow_panel(state.run, stage, label, asked))


def _slow_panel(run: Run, stage: str, label: str, question: list[float] | None) -> None:
    """One stage of learning from `question`, or from the next example where it is None."""
    names = unit_names(run.mlp.layer_sizes)
    x, t = run.next_example[0], float(run.next_example[1][0])
    if question is not None:
        x, t = np.asarray(question), nearest_target(run, question)
    step = dry_run(run, x, t)
    if not step.finite:
        st.warning(TOO_LARGE, icon=":material/warning:")
        return
    weight = run.all_weights()[weight_names(run).index(label)]
    values = ", ".join(f"{n} = {numeral(v)}" for n, v in zip(names[0], x, strict=True))
    st.markdown(f"Example: {values}; target t = {numeral(t)}. The chosen weight: **{label}**.")
    for sentence, formula in stage_formulas(stage, step, weight, run, names):
        st.markdown(sentence)
        st.latex(formula)
    if run.settings.batch_size > 1:
        st.caption("With batches, the gradients of all examples in a batch are averaged.")
    if stage == STAGES[2]:
        for i in reversed(range(len(step.gradients))):
            st.markdown(
                f"**Layer {i + 1}**: the delta δ of each unit, then the gradient ∂L/∂w of each "
                "weight into it, which is δ times what came in along the weight"
            )
            st.dataframe(gradient_table(step, i, names))


def gradient_table(step: Step, layer: int, names: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Every delta and every weight's gradient, the products of what else stands there."""
    deltas, values = step.deltas[layer][0], step.activations[layer][0]
    digits = max(digits_for([a, d], operator.mul, a * d) for a in values for d in deltas)
    return pd.DataFrame(
        [
            [numeral(d, digits) for d in deltas],
            *([numeral(a * d) for d in deltas] for a in values),
        ],
        index=[
            "δ",
            *(
                f"∂L/∂w from {n} = {numeral(a, digits)}"
                for n, a in zip(names[layer], values, strict=True)
            ),
        ],
        columns=list(names[layer + 1]),
    )


# -- proof -----------------------------------------------------------------------------------


def _proof(state: Playground, question: list[float]) -> None:
    _repeat(state, lambda: _proof_panel(state))


def _proof_panel(state: Playground) -> None:
    run = state.run
    x, t = run.next_example
    check = check_gradient(run, x, float(t[0]))
    labels = weight_names(run)
    largest = check.largest_difference
    if not np.isfinite(largest):
        st.warning(TOO_LARGE, icon=":material/warning:")
        return
    scale = float(np.max(np.abs(check.backpropagated)))
    st.markdown(
        "Backpropagation claims to know how the loss L = ½ (t − y)² changes with each weight: the "
        "gradient ∂L/∂w. The slow but sure way to find out is to nudge each weight a millionth up "
        "and down, and to measure the loss both times. The largest difference between the two, "
        f"over {counted(len(labels), 'weight')}, is **{numeral(largest, 2)}**, where the largest "
        f"gradient is {numeral(scale, 2)}."
    )
    if largest <= 1e-6 * max(1.0, scale):
        st.success("They agree: the gradient is right.", icon=":material/check_circle:")
    else:
        st.warning(
            "They differ: numbers this large, or a ReLU exactly at its kink, cannot be measured "
            "by nudging.",
            icon=":material/warning:",
        )
    ends = [float(check.numerical.min()), float(check.numerical.max())]
    chart(
        figure(
            go.Scatter(x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot"},
                       name="equal"),
            go.Scatter(x=check.numerical, y=check.backpropagated, mode="markers", text=labels,
                       marker={"size": 9}, name="a weight",
                       customdata=[numeral(v) for v in check.backpropagated],
                       hovertemplate="%{text}: %{customdata}<extra></extra>"),
            x="measured by nudging",
            y="by backpropagation",
            height=320,
            meta=state.next_stamp(),
        ),
        "Gradient of each weight by backpropagation against measured, with the line where they are "
        "equal.",
        key="bp_proof_chart",
    )  # fmt: skip
    st.dataframe(proof_table(check, labels), hide_index=True)


def proof_table(check: GradientCheck, labels: Sequence[str]) -> pd.DataFrame:
    """Both gradients of each weight, with all decimals in which they may differ."""
    scale = float(np.max(np.abs(check.backpropagated)))
    places = max(0, 13 - max(0, math.floor(math.log10(scale or 1))))
    pairs = [
        [Decimal(f"{v:.{places}f}") for v in pair]
        for pair in zip(check.backpropagated, check.numerical, strict=True)
    ]
    return pd.DataFrame(
        {
            "weight": labels,
            "backpropagated": [f"{a:+f}" for a, _ in pairs],
            "measured": [f"{b:+f}" for _, b in pairs],
            "difference": [f"{abs(a - b):f}" for a, b in pairs],
        }
    )


# -- taking it away --------------------------------------------------------------------------


def _take_away(state: Playground, question: list[float]) -> None:
    with state.lock:
        _downloads(state.run)


def _downloads(run: Run) -> None:
    st.markdown(
        "The script needs only Python with `genrekit`, and repeats this run number for number, "
        "with every change you made on the way."
    )
    with st.container(horizontal=True):
        for label, name, mime, make in (
            ("Network (JSON)", "network.json", "application/json", network_json),
            ("Run (CSV)", "run.csv", "text/csv", history_csv),
            ("Script (Python)", "run.py", "text/x-python", run_script),
        ):
            st.download_button(
                label, partial(make, run), name, mime, key=f"get_{name}", on_click="ignore"
            )
    st.markdown("A link to these settings:")
    query = urlencode([(k, v) for k in st.query_params for v in st.query_params.get_all(k)])
    link, script = f"{st.context.url}{'?' + query if query else ''}", run_script(run)
    if len(link) + len(script) > 8000:
        st.caption("Your table makes link and script long: copy the link from the address bar.")
        return
    st.code(link, language=None, wrap_lines=True)
    with st.expander("The script"):
        st.code(script, language="python")


# The names are what links hold.
LOOKS: Final[dict[str, Callable[[Playground, list[float]], None]]] = {
    "Error map": _map,
    "Slow motion": _slow_motion,
    "Prove the gradient": _proof,
    "Take away": _take_away,
}
