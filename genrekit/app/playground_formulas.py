"""One example in slow motion, as formulas with the numbers of this moment in them (LaTeX)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from genrekit.insight import answer_after
from genrekit.mlp import Step
from genrekit.playground import Run, Weight

__all__ = ["STAGES", "number", "stage_formulas"]

STAGES: Final = ("1 Forward", "2 Loss", "3 Backward", "4 Update")


@dataclass(frozen=True)
class _Names:
    """Units as LaTeX."""

    names: Sequence[Sequence[str]]

    def __call__(self, layer: int, unit: int) -> str:
        return rf"\text{{{self.names[layer][unit]}}}"


def stage_formulas(
    stage: str, step: Step, weight: Weight, run: Run, names: Sequence[Sequence[str]]
) -> list[tuple[str, str]]:
    """One stage of a rehearsed example around one weight: (sentence, LaTeX) pairs."""
    write = {
        STAGES[0]: _forward,
        STAGES[1]: _loss,
        STAGES[2]: _backward,
        STAGES[3]: _update,
    }[stage]
    return write(step, weight, run, _Names(names))


def _forward(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    layer, j = weight.layer, weight.target
    a, w = step.activations[layer][0], step.weights_before[layer][:, j]
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    bias = [number(step.biases_before[layer][j], True)] if step.biases_before else []
    unit = name(layer + 1, j)
    lines = [
        (
            f"Unit {name.names[layer + 1][j]} multiplies what comes in by its weights and adds up:",
            _lines(
                f"h_{{{unit}}}",
                _sum([_times(x, v) for x, v in zip(a, w, strict=True)], bias),
                number(h),
            ),
        ),
        (
            "Its activation function bends the sum:",
            _lines(f"a_{{{unit}}}", _bent(_kind(run, layer), number(h)), number(out)),
        ),
    ]
    if layer + 1 < len(step.activations) - 1:
        lines.append(
            (
                "The layers after it do the same, up to the network's answer:",
                rf"y = {number(step.output[0, 0])}",
            )
        )
    return lines


def _loss(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    t, y, error = step.target[0, 0], step.output[0, 0], step.error[0, 0]
    return [
        (
            "How far the answer y is from the target t:",
            _lines("e", "t - y", f"{number(t)} - {number(y, True)}", number(error)),
        ),
        (
            "The loss is its square, so that big misses count more:",
            rf"L = e^2 = {number(error, True)}^2 = {number(step.loss)}",
        ),
    ]


def _backward(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    layer, j = weight.layer, weight.target
    unit = name(layer + 1, j)
    last = len(step.deltas) - 1
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    delta = step.deltas[layer][0, j]
    lines = []
    if layer == last:
        felt = step.error[0, 0]
        lines.append(("The answer's unit feels the error itself:", rf"e = {number(felt)}"))
    else:
        back, ahead = step.deltas[layer + 1][0], step.weights_before[layer + 1][j]
        felt = float(back @ ahead)
        lines.append(
            (
                f"Unit {name.names[layer + 1][j]} feels the deltas of the next layer, through "
                "the weights it sends its value out by:",
                _lines(
                    f"e_{{{unit}}}",
                    _sum([_times(d, v) for d, v in zip(back, ahead, strict=True)]),
                    number(felt),
                ),
            )
        )
    lines.append(
        (
            "Times the slope of its curve at this point, that is its delta:",
            _lines(
                rf"\delta_{{{unit}}}",
                rf"{number(felt)} \cdot {_slope(_kind(run, layer), h, out)}",
                number(delta),
            ),
        )
    )
    lines.append(_derivative(step, weight, name))
    return lines


def _derivative(step: Step, weight: Weight, name: _Names) -> tuple[str, str]:
    delta = step.deltas[weight.layer][0, weight.target]
    unit = name(weight.layer + 1, weight.target)
    if weight.source is None:
        return (
            "A bias is nudged by the delta as it is:",
            rf"db = \delta_{{{unit}}} = {number(delta)}",
        )
    a = step.activations[weight.layer][0, weight.source]
    return (
        "The weight's derivative: what came in along it, times the delta:",
        _lines(
            "dW",
            rf"a_{{{name(weight.layer, weight.source)}}} \cdot \delta_{{{unit}}}",
            _times(a, delta),
            number(a * delta),
        ),
    )


def _update(step: Step, weight: Weight, run: Run, name: _Names) -> list[tuple[str, str]]:
    if weight.source is None:
        before = step.biases_before[weight.layer][weight.target]
        after = step.biases_after[weight.layer][weight.target]
        slope = step.bias_derivatives[weight.layer][weight.target]
    else:
        at = weight.source, weight.target
        before = step.weights_before[weight.layer][at]
        after = step.weights_after[weight.layer][at]
        slope = step.derivatives[weight.layer][at]
    moved = answer_after(run, step)
    return [
        (
            "The weight takes a small step downhill, as long as the learning rate η says:",
            _lines(
                r"w_\text{new}",
                r"w + \eta \cdot dW",
                f"{number(before)} + {_times(run.learning_rate, slope)}",
                number(after),
            ),
        ),
        (
            "All weights move like this at once, and the answer to this example moves:",
            rf"y: {number(step.output[0, 0])} \rightarrow {number(moved)} "
            rf"\qquad (t = {number(step.target[0, 0])})",
        ),
    ]


def number(value: float, bracket: bool = False, digits: int = 4) -> str:
    """A number as LaTeX, with `digits` significant; negative ones in brackets on request."""
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    text = text.replace("nan", r"\text{not a number}").replace("inf", r"\infty")
    return f"({text})" if bracket and (value < 0 or "cdot" in text) else text


def _times(a: float, b: float) -> str:
    return rf"{number(a, True)} \cdot {number(b, True)}"


def _sum(terms: Sequence[str], more: Sequence[str] = ()) -> str:
    """Two terms a line, which is what a phone shows."""
    rows = [" + ".join(pair) for pair in _pairs([*terms, *more])]
    return r" \\ &\quad + ".join(rows)


def _pairs(items: Sequence[str]) -> list[Sequence[str]]:
    return [items[i : i + 2] for i in range(0, len(items), 2)]


def _lines(left: str, *rights: str) -> str:
    """``left = right = right`` with one equals sign a line."""
    body = r" \\ &= ".join(rights)
    return rf"\begin{{aligned}} {left} &= {body} \end{{aligned}}"


def _kind(run: Run, layer: int) -> str:
    net = run.mlp
    return net.output_activation if layer == len(net.weights) - 1 else net.activation


def _bent(kind: str, h: str) -> str:
    return {
        "sigmoid": rf"\frac{{1}}{{1 + e^{{-({h})}}}}",
        "tanh": rf"\tanh({h})",
        "relu": rf"\max(0, {h})",
        "identity": h,
        "step": rf"\text{{1 if }} {h} > 0 \text{{ else }} 0",
    }[kind]


def _slope(kind: str, h: float, a: float) -> str:
    return {
        "sigmoid": rf"{number(a)} \cdot (1 - {number(a)})",
        "tanh": rf"(1 - {number(a, True)}^2)",
        "relu": "1" if h > 0 else "0",
        "identity": "1",
        "step": "0",
    }[kind]
