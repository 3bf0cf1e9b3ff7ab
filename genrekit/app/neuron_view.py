"""A drawing of one neuron: sign by colour, dash and figure, size by thickness."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from genrekit.app.charts import NEGATIVE, POSITIVE
from genrekit.mlp import NeuronOutput

__all__ = ["neuron_view"]


def _asset(suffix: str) -> str:
    return Path(__file__).with_suffix(suffix).read_text(encoding="utf-8")


_mount: Final[Any] = st.components.v2.component(
    "genrekit_neuron_view", html='<svg role="img"></svg>', css=_asset(".css"), js=_asset(".js")
)


def neuron_view(
    inputs: Sequence[float],
    weights: Sequence[float],
    bias: float | None,
    activation: str,
    result: NeuronOutput,
) -> None:
    """Draw the neuron with its inputs, weights, sum and answer; `bias` None leaves it out."""
    _mount(
        key="neuron_view",
        data={
            "inputs": list(inputs),
            "weights": list(weights),
            "bias": bias,
            "activation": activation,
            "sum": result.net_input,
            "answer": result.activation,
            "colours": {"positive": POSITIVE, "negative": NEGATIVE},
            "label": f"A neuron: {len(inputs)} inputs times their weights add up to "
            f"{result.net_input:.4g}, and {activation} turns that into {result.activation:.4g}.",
        },
    )
