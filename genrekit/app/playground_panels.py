"""Looking closer at the run of the backprop page: map, slow motion, proof, taking it away."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from genrekit.app.charts import GREY, figure
from genrekit.app.network_view import unit_names, weight_names
from genrekit.app.playground import Playground
from genrekit.app.playground_formulas import STAGES, number, stage_formulas
from genrekit.app.playground_map import map_panel
from genrekit.app.playground_settings import URL
from genrekit.app.widgets import chart, plain_errors
from genrekit.insight import check_gradient, nearest_target, rehearse
from genrekit.playground import Run
from genrekit.takeaway import history_csv, network_json, run_script

__all__ = ["closer"]

Array = NDArray[np.float64]


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
        shown = st.segmented_control(
            "Show",
            ["error", "answer", "truth"],
            default="error",
            required=True,
            key="bp_map",
            **URL,
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
    step = rehearse(run, x, t)
    weight = run.all_weights()[weight_names(run).index(label)]
    values = ", ".join(f"{n} = {v:.4g}" for n, v in zip(names[0], x, strict=True))
    st.markdown(f"Example: {values}; target t = {t:.4g}. The chosen weight: **{label}**.")
    for sentence, formula in stage_formulas(stage, step, weight, run, names):
        st.markdown(sentence)
        st.latex(formula)
    if run.settings.batch_size > 1:
        st.caption("With batches, the nudges of all examples in a batch are averaged.")
    if stage == STAGES[2]:
        _derivative_tables(step.deltas, step.derivatives, names)


def _derivative_tables(
    deltas: Sequence[Array], derivatives: Sequence[Array], names: list[list[str]]
) -> None:
    """Every delta and every weight's derivative, layer by layer."""
    for i in reversed(range(len(derivatives))):
        st.markdown(f"**Layer {i + 1}**: delta of each unit, then dW of each weight into it")
        rows = np.vstack([deltas[i][:1], derivatives[i]])
        index = ["delta", *(f"dW from {n}" for n in names[i])]
        frame = pd.DataFrame(rows, index=index, columns=names[i + 1])
        st.dataframe(frame.map(lambda v: f"{v:+.6f}"))


# -- proof -----------------------------------------------------------------------------------


def _proof(state: Playground, question: list[float]) -> None:
    _repeat(state, lambda: _proof_panel(state))


def _proof_panel(state: Playground) -> None:
    run = state.run
    x, t = run.next_example
    check = check_gradient(run, x, float(t[0]))
    labels = weight_names(run)
    largest = check.largest_difference
    scale = float(np.max(np.abs(check.backpropagated)))
    st.markdown(
        "Backpropagation claims to know how each weight changes the error. The slow but sure way "
        "to find out is to nudge each weight a millionth up and down and measure. "
        f"The largest difference between the two, over {len(labels)} weights, is "
        f"**${number(largest, digits=2)}$**, where the largest derivative is "
        f"${number(scale, digits=2)}$."
    )
    if np.isfinite(largest) and largest <= 1e-6 * max(1.0, scale):
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
                       hovertemplate="%{text}: %{y:.3e}<extra></extra>"),
            x="measured by nudging",
            y="by backpropagation",
            height=320,
            meta=state.next_stamp(),
        ),
        "Derivative of each weight by backpropagation against measured: all on the diagonal.",
        key="bp_proof_chart",
    )  # fmt: skip
    frame = pd.DataFrame(
        {
            "weight": labels,
            "backpropagated": [f"{v:+.9f}" for v in check.backpropagated],
            "measured": [f"{v:+.9f}" for v in check.numerical],
            "difference": [f"{v:.1e}" for v in np.abs(check.backpropagated - check.numerical)],
        }
    )
    st.dataframe(frame, hide_index=True)


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
