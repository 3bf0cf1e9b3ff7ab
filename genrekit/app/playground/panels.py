"""The panels below the network of the backprop page: map, slow motion, proof, downloads."""

import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from genrekit.app.kit.charts import GREY, figure
from genrekit.app.kit.widgets import URL, chart, choice, plain_errors
from genrekit.app.playground.formulas import STAGES, digits_for, stage_formulas
from genrekit.app.playground.map import TOO_LARGE, map_panel, shown_kinds
from genrekit.app.playground.packing import unit_names, weight_names
from genrekit.app.playground.state import Playground
from genrekit.teaching.export import history_csv, network_json, run_script
from genrekit.teaching.inspect_run import GradientCheck, check_gradient, dry_run, nearest_target
from genrekit.teaching.mlp import Step
from genrekit.teaching.run import Run
from genrekit.wording import counted, numeral

__all__ = ["closer", "gradient_table", "proof_table"]


def closer(state: Playground, question: list[float]) -> None:
    """Show the chosen panel; it refreshes itself while training."""
    LOOKS[choice("Look closer", list(LOOKS), "bp_look")](state, question)


def _repeat(state: Playground, draw: Callable[[], None]) -> None:
    """Draw now, and every two seconds while training: more often makes the network stutter."""

    @st.fragment(run_every=2.0 if state.training else None)
    def panel() -> None:
        with plain_errors(), state.lock:
            draw()

    panel()


# -- the map ---------------------------------------------------------------------------------


def _map(state: Playground, question: list[float]) -> None:
    with st.container(horizontal=True):
        kinds = shown_kinds(state.run.settings.task)
        shown = choice("Show", kinds, "bp_map")
        reaches = [0.0, 0.5, 1.0, 2.0, 4.0]
        reach = st.select_slider(
            "How far beyond the training square", reaches, 1.0, key="bp_reach", **URL
        )
    _repeat(state, lambda: map_panel(state, shown, reach, question))


# -- slow motion -----------------------------------------------------------------------------


def _slow_motion(state: Playground, question: list[float]) -> None:
    with st.container(horizontal=True):
        stage = choice("Stage", STAGES, "bp_stage")
        example = choice("Example", ["next training example", "my question"], "bp_ex")
    label = st.selectbox("Weight", weight_names(state.run), key="bp_weight", **URL)
    asked = question if example == "my question" else None
    _repeat(state, lambda: _slow_panel(state.run, stage, label, asked))


def _slow_panel(run: Run, stage: str, label: str, question: list[float] | None) -> None:
    """Show one stage of learning from `question`, or from the next example if it is None."""
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
    """Tabulate every delta and every weight's gradient, the product of its row and column."""
    deltas, values = step.deltas[layer][0], step.activations[layer][0]
    digits = max(digits_for([a, d], operator.mul, a * d) for a in values for d in deltas)
    rows = {"δ": [numeral(d, digits) for d in deltas]}
    for name, a in zip(names[layer], values, strict=True):
        rows[f"∂L/∂w from {name} = {numeral(a, digits)}"] = [numeral(a * d) for d in deltas]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(names[layer + 1]))


# -- proof -----------------------------------------------------------------------------------


def _proof(state: Playground) -> None:
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
    picture = figure(
        x="measured by nudging", y="by backpropagation", height=320, meta=state.next_stamp()
    )
    line = {"color": GREY, "dash": "dot"}
    picture.add_scatter(x=ends, y=ends, mode="lines", line=line, name="equal")
    picture.add_scatter(
        x=check.numerical,
        y=check.backpropagated,
        mode="markers",
        text=labels,
        marker={"size": 9},
        name="a weight",
        customdata=[numeral(v) for v in check.backpropagated],
        hovertemplate="%{text}: %{customdata}<extra></extra>",
    )
    chart(
        picture,
        "Gradient of each weight by backpropagation against measured, with the line where they are "
        "equal.",
        key="bp_proof_chart",
    )
    st.dataframe(proof_table(check, labels), hide_index=True)


def proof_table(check: GradientCheck, labels: Sequence[str]) -> pd.DataFrame:
    """Tabulate both gradients of each weight, with all decimals in which they may differ."""
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


# -- downloads -------------------------------------------------------------------------------


def _downloads(state: Playground) -> None:
    run = state.run
    with state.lock:
        script = run_script(run)
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
    link = f"{st.context.url}{'?' + query if query else ''}"
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
    "Prove the gradient": lambda state, _: _repeat(state, lambda: _proof(state)),
    "Take away": lambda state, _: _downloads(state),
}
