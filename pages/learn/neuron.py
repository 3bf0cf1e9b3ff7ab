"""One artificial neuron, with its arithmetic written out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app.kit.charts import BLUE, GREY, ORANGE, add_contour, figure, mark, plane
from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import URL, chart, choice, plain_errors
from genrekit.app.neuron.formulas import CURVES, number, two_a_line
from genrekit.app.neuron.view import neuron_view
from genrekit.system.records import read_toml
from genrekit.teaching.neuron import ACTIVATIONS, NeuronOutput, neuron
from genrekit.teaching.surfaces import neuron_surface


class Parts(NamedTuple):
    """A neuron; `bias` is None where it has none."""

    inputs: Sequence[float]
    weights: Sequence[float]
    activation: str
    bias: float | None = None


INPUTS = (0.5, 0.3, 0.2, 0.1, -0.4)
WEIGHTS = (0.4, 0.7, 0.2, -0.5, 1.0)
TABLES = read_toml(__file__)
EXAMPLES = {name: Parts(**table) for name, table in TABLES["examples"].items()}
SAYS = TABLES["activations"]


def apply(parts: Parts) -> None:
    """Put an example into the widgets."""
    values: dict[str, Any] = {
        "n": len(parts.inputs),
        "bias": parts.bias is not None,
        "b": parts.bias or 0.0,
        "act": parts.activation,
    }
    for i, (x, w) in enumerate(zip(parts.inputs, parts.weights, strict=True), start=1):
        values |= {f"x{i}": x, f"w{i}": w}
    for name, value in values.items():
        st.session_state[f"nr_{name}"] = value


def settings() -> Parts:
    with st.container(horizontal=True):
        for name, parts in EXAMPLES.items():
            st.button(name, key=f"example {name}", on_click=apply, args=(parts,))
    count = st.slider("Number of inputs", 1, 5, 3, key="nr_n", **URL)
    inputs, weights = [], []
    for i, (x, w) in enumerate(zip(INPUTS[:count], WEIGHTS, strict=False), start=1):
        left, right = st.columns(2)
        inputs.append(left.slider(f"Input x{i}", -2.0, 2.0, x, 0.05, key=f"nr_x{i}", **URL))
        weights.append(right.slider(f"Weight w{i}", -3.0, 3.0, w, 0.05, key=f"nr_w{i}", **URL))
    bias = None
    if st.toggle("Bias: a number added to the sum", key="nr_bias", **URL):
        bias = st.slider("Bias b", -3.0, 3.0, 0.0, 0.05, key="nr_b", **URL)
    return Parts(inputs, weights, choice("Activation function", list(SAYS), "nr_act"), bias)


def exact(parts: Parts) -> NeuronOutput:
    """Compute the neuron, with a sum of 0 where 0.1 + 0.2 − 0.3 leaves a rounding error.

    Sliders have two decimals, their products four.
    """
    result = neuron(parts.inputs, parts.weights, parts.bias or 0.0, parts.activation)
    h = round(result.net_input, 6) + 0.0
    return NeuronOutput(result.products, h, float(ACTIVATIONS[parts.activation](h)))


def arithmetic(parts: Parts, result: NeuronOutput) -> None:
    """Write out the sum and the activation with the current numbers."""
    pairs = zip(parts.inputs, parts.weights, strict=True)
    bias = [] if parts.bias is None else [bracket(parts.bias)]
    terms = two_a_line([*(rf"{bracket(x)} \cdot {bracket(w)}" for x, w in pairs), *bias])
    products = two_a_line([*map(bracket, result.products), *bias])
    h = f"{result.net_input:.6g}"
    general = r"\sum x_i w_i" + (" + b" if bias else "")
    curve = CURVES[parts.activation].format(f"({h})" if parts.activation == "sigmoid" else h)
    st.latex(
        rf"\begin{{aligned}} h &= {general} \\ &= {terms} \\ &= {products} \\ "
        rf"&= {h} \\[6pt] s(h) &= {curve} \\ &= {number(result.activation, digits=6)} "
        r"\end{aligned}"
    )
    st.markdown("The neuron's answer, to the last digit:")
    st.code(np.format_float_positional(result.activation, trim="0"), language=None)


def bracket(value: float) -> str:
    text = f"{value:.6g}"  # every digit of a product of two sliders, so that the sum adds up
    return f"({text})" if value < 0 else text


def curve(activation: str, result: NeuronOutput) -> None:
    """Draw the activation function, and mark this neuron on it."""
    reach = max(6.0, abs(result.net_input) * 1.15)
    # Two points just beside zero keep the step's edge upright.
    h = np.sort(np.append(np.linspace(-reach, reach, 241), [-1e-6, 1e-6]))
    s = ACTIVATIONS[activation](h)
    at, value = result.net_input, result.activation
    chart(
        figure(
            go.Scatter(x=h, y=s, mode="lines", line={"color": BLUE, "width": 3},
                       hovertemplate="sum %{x:.2f} gives %{y:.3f}<extra></extra>"),
            go.Scatter(x=[at, at, -reach], y=[min(0.0, s.min()), value, value], mode="lines",
                       line={"color": GREY, "dash": "dot"}, hoverinfo="skip"),
            go.Scatter(x=[at], y=[value], mode="markers+text", text=[f"{value:.3f}"],
                       textposition="top left" if at > 0 else "top right", cliponaxis=False,
                       marker={"size": 14, "color": ORANGE, "line": {"width": 2}},
                       hovertemplate="here: sum %{x:.4f} gives %{y:.4f}<extra></extra>"),
            x="sum h (net input)",
            y=f"answer {activation}(h)",
            height=300,
            showlegend=False,
        ),
        f"The {activation} curve; at a sum of {at:.3f} it gives {value:.3f}.",
        key="nr_curve",
    )  # fmt: skip
    st.caption(SAYS[activation])


def surface(parts: Parts) -> None:
    """Draw the answer over both inputs, the line where the sum is 0, and the corners 0 and 1."""
    bias = parts.bias or 0.0
    axis, answer = neuron_surface(parts.weights, bias, parts.activation)
    _, h = neuron_surface(parts.weights, bias, "identity")
    corners = [(a, b) for a in (0.0, 1.0) for b in (0.0, 1.0)]
    answers = [exact(parts._replace(inputs=corner)).activation for corner in corners]
    picture = plane(
        axis,
        answer,
        "answer",
        x="input x1",
        y="input x2",
        hover="x1 %{x:.2f}, x2 %{y:.2f}: %{z:.3f}",
        height=450,
    )
    add_contour(picture, axis, h, 0, "dash")
    edge = {"color": "black", "width": 1}
    x, y = zip(*corners, strict=True)
    mark(picture, x, y, "x1 %{x}, x2 %{y}", color="white", size=8, line=edge)
    x, y = ([value] for value in parts.inputs)
    mark(picture, x, y, "your inputs", symbol="x", size=13, color=ORANGE, line=edge)
    label = {
        "showarrow": False,
        "yshift": 17,
        "font_color": "white",
        "bgcolor": "rgba(0, 0, 0, 0.65)",
    }
    for (x, y), corner_answer in zip(corners, answers, strict=True):
        picture.add_annotation(x=x, y=y, text=f"{corner_answer:.2f}", **label)
    for update in (picture.update_xaxes, picture.update_yaxes):
        update(range=[-2, 2])
    chart(
        picture,
        "The answer for every pair of inputs; a dashed line marks where the sum is 0.",
        key="nr_surface",
    )
    st.caption(
        "The dashed line is where the sum is 0: whatever the weights, it is straight. White dots "
        "are the four combinations of 0 and 1 with the neuron's answers. AND and OR can be parted "
        "by a straight line; XOR (one or the other, not both) cannot, and that takes a network."
    )


def main() -> None:
    page_heading("neuron")
    # The drawing comes first, so that a phone shows it above the sliders.
    left, right = st.columns(2, gap="large")
    with right:
        parts = settings()
    result = exact(parts)
    with left:
        neuron_view(parts.inputs, parts.weights, parts.bias, parts.activation, result)
        arithmetic(parts, result)
    left, right = st.columns(2, gap="large")
    with left:
        st.header("The bend", anchor=False)
        curve(parts.activation, result)
    with right:
        st.header("The decision", anchor=False)
        if len(parts.inputs) == 2:
            surface(parts)
        else:
            st.info(
                "Set the number of inputs to 2, or press AND, to see the answer for every pair "
                "of inputs as a map.",
                icon=":material/map:",
            )


with plain_errors():
    main()
