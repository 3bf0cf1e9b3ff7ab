"""The panels below the film of the backprop page, about the moment shown: proof and downloads."""

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Final
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from genrekit.app.kit.charts import GREY, figure
from genrekit.app.kit.widgets import chart
from genrekit.app.playground.names import LOOKS, weight_names
from genrekit.teaching.export import history_csv, network_json, run_script
from genrekit.teaching.inspect_run import GradientCheck, check_gradient
from genrekit.teaching.run import Run
from genrekit.wording import counted, numeral

TOO_LARGE: Final = (
    "The network's numbers have grown beyond what a computer can hold, so there is nothing to "
    "calculate with. Lower the learning rate."
)

__all__ = ["panel", "proof_table"]


def panel(look: str, run: Run) -> None:
    """Show a panel about a run."""
    _LOOKS[look](run)


# -- proof -----------------------------------------------------------------------------------


def _proof(run: Run) -> None:
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
    picture = figure(x="measured by nudging", y="by backpropagation", height=320)
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


def _downloads(run: Run) -> None:
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


_LOOKS: Final = dict(zip(LOOKS[1:], (_proof, _downloads), strict=True))
