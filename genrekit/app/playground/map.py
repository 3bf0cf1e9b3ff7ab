"""The error map of the backprop page: every pair of inputs, the training square and beyond."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from genrekit.app.kit.charts import figure
from genrekit.app.kit.widgets import chart
from genrekit.app.playground.state import Playground
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN
from genrekit.teaching.surfaces import ErrorMap, error_map
from genrekit.wording import numeral

__all__ = ["TOO_LARGE", "map_panel", "shown_kinds"]

Array = NDArray[np.float64]

TOO_LARGE: Final = (
    "The network's numbers have grown beyond what a computer can hold, so there is nothing to "
    "calculate with. Lower the learning rate, then reset."
)


def shown_kinds(task: str) -> list[str]:
    """What a map can show: nobody knows the true answer between own numbers, nor the error."""
    return ["answer"] if task == OWN else ["error", "answer", "truth"]


def map_panel(state: Playground, shown: str, reach: float, question: Sequence[float]) -> None:
    run = state.run
    if run.inputs.shape[1] != 2:
        st.info("The map needs a network with two inputs: choose a task with two.")
        return
    drawn = error_map(run, reach=reach)
    if not np.isfinite(drawn.answer).all():
        st.warning(TOO_LARGE, icon=":material/warning:")
        return
    error = None if drawn.truth is None else np.abs(drawn.truth - drawn.answer)
    z = {"error": error, "answer": drawn.answer, "truth": drawn.truth}[shown]
    axis = drawn.axis.astype(np.float32)
    picture = figure(
        go.Heatmap(
            x=axis,
            y=axis,
            z=np.asarray(z, np.float32),
            colorscale="Cividis",
            zmin=0 if shown == "error" else None,
            colorbar={
                "title": {"text": shown, "side": "top"},
                "orientation": "h",
                "y": 1.02,
                "yanchor": "bottom",
                "thickness": 12,
            },
            hovertemplate="a %{x:.2f}, b %{y:.2f}: " + shown + " %{z:.3f}<extra></extra>",
        ),
        x="input a",
        y="input b",
        height=470,
        showlegend=False,
    )
    picture.update_yaxes(scaleanchor="x", constrain="domain", constraintoward="top")
    picture.update_xaxes(constrain="domain")
    _mark_map(picture, run, drawn.truth, axis, question)
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        picture.update_layout(meta=state.next_stamp())
        chart(
            picture,
            f"Map of the {shown} over both inputs; the training square is outlined.",
            key="bp_map_chart",
        )
    with right:
        _map_words(run, drawn)


def _map_words(run: Run, drawn: ErrorMap) -> None:
    """What the map says, in numbers."""
    st.markdown("Each point is a question: a to the right, b upwards. The cross is yours.")
    if drawn.truth is not None:
        error = np.abs(drawn.truth - drawn.answer)
        low, high = run.trained_range()
        inside = (drawn.axis >= low[0]) & (drawn.axis <= high[0])
        within = error[np.ix_(inside, inside)].mean()
        st.markdown(
            f"Inside the outlined square, where it was trained, it is off by **{numeral(within)}** "
            f"on average; over the whole map by **{numeral(error.mean())}**. A network answers any "
            "question, also those it knows nothing about."
        )
        if drawn.truth.min() < 1 < drawn.truth.max() and run.settings.task != "xor":
            st.markdown(
                "On the dotted line the right answer is 1. A sigmoid output can never say more, "
                "so beyond that line it must fail."
                if run.mlp.output_activation == "sigmoid"
                else "On the dotted line the right answer is 1."
            )


def _mark_map(
    picture: go.Figure,
    run: Run,
    truth: Array | None,
    axis: NDArray[np.float32],
    question: Sequence[float],
) -> None:
    """The training square, the line where the right answer is 1, and the question."""
    low, high = run.trained_range()
    picture.add_shape(
        type="rect",
        x0=low[0],
        x1=high[0],
        y0=low[1],
        y1=high[1],
        line={"color": "white", "width": 3},
    )
    picture.add_annotation(
        x=low[0], y=high[1], text="trained here", showarrow=False, xanchor="left",
        yanchor="bottom", font={"color": "white"},
    )  # fmt: skip
    if truth is not None and run.settings.task != "xor" and truth.min() < 1 < truth.max():
        picture.add_trace(
            go.Contour(
                x=axis,
                y=axis,
                z=truth.astype(np.float32),
                contours={"start": 1, "end": 1, "size": 1, "coloring": "none", "showlabels": True},
                line={"color": "white", "dash": "dot", "width": 2},
                showscale=False,
                hoverinfo="skip",
            )
        )
    if axis[0] <= min(question) and max(question) <= axis[-1]:
        picture.add_trace(
            go.Scatter(
                x=[question[0]],
                y=[question[1]],
                mode="markers",
                marker={"symbol": "x", "size": 11, "color": "white", "line": {"width": 1}},
                hovertemplate="your question<extra></extra>",
            )
        )
