"""One neuron to move by hand: its drawing, its sum, its curve and its decisions.

Its numbers are in the page's address. The browser computes while they move; what is let go comes
here, enters the address and is computed again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from genrekit.app.kit import tour
from genrekit.app.kit.charts import NEGATIVE, ORANGE, POSITIVE
from genrekit.app.kit.component import component, into_address
from genrekit.teaching.neuron import ACTIVATIONS, NeuronOutput, neuron
from genrekit.wording import counted, numeral

__all__ = ["MOST_INPUTS", "exact", "neuron_view"]

Values = dict[str, Any]

MOST_INPUTS: Final = 5
_KEY: Final = "neuron_view"
_PREFIX: Final = "nr_"
# The lowest and highest value of each number by the first letter of its name, and its start.
_RANGES: Final = {"n": (1, MOST_INPUTS), "x": (-2.0, 2.0), "w": (-3.0, 3.0), "b": (-3.0, 3.0)}
_START: Final[dict[str, float]] = {
    **{"n": 2, "x1": 0.5, "x2": 0.3, "x3": 0.2, "x4": 0.1, "x5": -0.4},
    **{"w1": 0.4, "w2": 0.7, "w3": 0.2, "w4": -0.5, "w5": 1.0, "b": 0.0},
}

_mount: Final = component("neuron_view")


def neuron_view(examples: Mapping[str, Values], says: Mapping[str, str]) -> None:
    """Show the neuron of the address.

    Parameters
    ----------
    examples : what each example's button sets
    says : a sentence about each activation function on offer, the first one being the default
    """
    values = _read(st.query_params.to_dict(), list(says))
    count = range(1, values["n"] + 1)
    result = exact(
        [values[f"x{i}"] for i in count],
        [values[f"w{i}"] for i in count],
        values["b"] if values["bias"] else 0.0,
        values["act"],
    )
    tour.happened(numeral(result.activation), numeral(result.net_input))
    _mount(
        key=_KEY,
        data={
            "values": values,
            "core": {
                "products": result.products.tolist(),
                "sum": result.net_input,
                "answer": result.activation,
            },
            "ranges": _RANGES,
            "examples": examples,
            "says": says,
            "colours": {"positive": POSITIVE, "negative": NEGATIVE, "point": ORANGE},
            "label": f"A neuron: {counted(values['n'], 'input')}, each times its weight, add up to "
            f"{numeral(result.net_input)}, and {values['act']} turns that into "
            f"{numeral(result.activation)}.",
        },
        on_settings_change=into_address(_KEY, _PREFIX, values),
    )


def exact(
    inputs: Sequence[float], weights: Sequence[float], bias: float, activation: str
) -> NeuronOutput:
    """Compute the neuron, with a sum of 0 where 0.1 + 0.2 − 0.3 leaves a rounding error.

    Inputs, weights and bias have two decimals, their products four.
    """
    result = neuron(inputs, weights, bias, activation)
    h = round(result.net_input, 6) + 0.0
    return NeuronOutput(result.products, h, float(ACTIVATIONS[activation](h)))


def _read(query: Mapping[str, str], activations: Sequence[str]) -> Values:
    """Return the values of an address; what it lacks or cannot mean is as at the start."""
    values: Values = {}
    for name, start in _START.items():
        try:
            value = float(query.get(_PREFIX + name, start))
        except ValueError:
            value = start
        low, high = _RANGES[name[0]]
        values[name] = type(start)(round(min(max(low, value), high), 2))
    act = query.get(f"{_PREFIX}act")
    values["bias"] = query.get(f"{_PREFIX}bias", "").lower() == "true"
    return {**values, "act": act if act in activations else activations[0]}
