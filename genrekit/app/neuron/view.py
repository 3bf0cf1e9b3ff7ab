"""A drawing of one neuron; colour, dash and numbers show signs, thickness shows size."""

from collections.abc import Sequence
from typing import Final

from genrekit.app.kit.charts import NEGATIVE, POSITIVE
from genrekit.app.kit.component import component
from genrekit.teaching.neuron import NeuronOutput
from genrekit.wording import counted, numeral

__all__ = ["neuron_view"]


_mount: Final = component("neuron_view")


def neuron_view(
    inputs: Sequence[float],
    weights: Sequence[float],
    bias: float | None,
    activation: str,
    result: NeuronOutput,
) -> None:
    """Draw a neuron with its inputs, weights, sum and answer, without a bias if it is None."""
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
            "label": f"A neuron: {counted(len(inputs), 'input')}, each times its weight, add up to "
            f"{numeral(result.net_input)}, and {activation} turns that into "
            f"{numeral(result.activation)}.",
        },
    )
