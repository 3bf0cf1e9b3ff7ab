"""The error map of the backprop page: answers over both inputs, beyond the training square, too."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app.kit.charts import add_contour, mark, plane
from genrekit.app.kit.widgets import chart
from genrekit.app.playground.state import Playground
from genrekit.teaching.run import Run
from genrekit.teaching.settings import OWN
from genrekit.teaching.surfaces import ErrorMap, error_map
from genrekit.wording import numeral

__all__ = ["TOO_LARGE", "map_panel", "shown_kinds"]

TOO_LARGE: Final = (
    "The network's numbers have grown beyond what a computer can hold, so there is nothing to "
    "calculate with. Lower the learning rate, then reset."
)


def shown_kinds(task: str) -> list[str]:
    """Return what a map can show: truth and error are unknown between a visitor's own numbers."""
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
    picture = plane(
        drawn.axis,
        {"error": error, "answer": drawn.answer, "truth": drawn.truth}[shown],
        shown,
        x="input a",
        y="input b",
        hover="a %{x:.2f}, b %{y:.2f}: " + shown + " %{z:.3f}",
        height=470,
        meta=state.next_stamp(),
    )
    if shown == "error":
        picture.update_traces(zmin=0)
    _mark_map(picture, run, drawn, question)
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        chart(
            picture,
            f"Map of the {shown} over both inputs; the training square is outlined.",
            key="bp_map_chart",
        )
    with right:
        _map_words(run, drawn)


def _map_words(run: Run, drawn: ErrorMap) -> None:
    """Sum up the map in numbers."""
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
        if _has_line_at_1(run, drawn):
            st.markdown(
                "On the dotted line the right answer is 1. A sigmoid output can never say more, "
                "so beyond that line it must fail."
                if run.mlp.output_activation == "sigmoid"
                else "On the dotted line the right answer is 1."
            )


def _mark_map(picture: go.Figure, run: Run, drawn: ErrorMap, question: Sequence[float]) -> None:
    """Mark the training square, the line where the right answer is 1, and the question."""
    low, high = run.trained_range()
    outline = {"color": "white", "width": 3}
    picture.add_shape(type="rect", x0=low[0], x1=high[0], y0=low[1], y1=high[1], line=outline)
    place: dict[str, Any] = {"x": low[0], "y": high[1], "xanchor": "left", "yanchor": "bottom"}
    picture.add_annotation(text="trained here", showarrow=False, font_color="white", **place)
    if _has_line_at_1(run, drawn):
        add_contour(picture, drawn.axis, drawn.truth, 1, "dot", showlabels=True)
    if drawn.axis[0] <= min(question) and max(question) <= drawn.axis[-1]:
        x, y = question
        mark(picture, [x], [y], "your question", symbol="x", size=11, color="white", line_width=1)


def _has_line_at_1(run: Run, drawn: ErrorMap) -> bool:
    if drawn.truth is None or run.settings.task == "xor":
        return False
    return bool(drawn.truth.min() < 1 < drawn.truth.max())
