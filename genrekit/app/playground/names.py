"""The names of units, weights and panels of the playground, as links hold them."""

from collections.abc import Sequence
from typing import Final

from genrekit.teaching.run import Run

__all__ = ["LOOKS", "unit_names", "weight_names"]

# What there is below the film.
LOOKS: Final = ("Nothing", "Prove the gradient", "Take away")


def unit_names(sizes: Sequence[int]) -> list[list[str]]:
    """Name each unit of each layer in short; two inputs are a and b."""
    inputs = ["a", "b"] if sizes[0] == 2 else [f"x{i + 1}" for i in range(sizes[0])]
    hidden = [
        [f"h{i + 1}" if len(sizes) == 3 else f"h{layer}.{i + 1}" for i in range(n)]
        for layer, n in enumerate(sizes[1:-1], start=1)
    ]
    return [inputs, *hidden, ["answer"]]


def weight_names(run: Run) -> list[str]:
    """Name each of `run.all_weights()`."""
    names = unit_names(run.mlp.layer_sizes)
    return [
        f"bias of {names[w.layer + 1][w.target]}"
        if w.source is None
        else f"{names[w.layer][w.source]} → {names[w.layer + 1][w.target]}"
        for w in run.all_weights()
    ]
