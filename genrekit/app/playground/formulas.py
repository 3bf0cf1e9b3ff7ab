"""One example in slow motion, as formulas with the numbers of this moment in them (LaTeX).

Numbers are rounded, and yet whoever takes a pencil gets what stands there: operands are written
with as many digits as it takes for them to give the result that is shown.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from genrekit.teaching.inspect_run import answer_after
from genrekit.teaching.mlp import Step
from genrekit.teaching.run import Run, Weight

__all__ = ["STAGES", "digits_for", "number", "stage_formulas"]

STAGES: Final = ("1 Forward", "2 Loss", "3 Backward", "4 Update")
# Significant digits of a result, and what a float64 holds.
DIGITS: Final = 4
_ALL_DIGITS: Final = 17

Lines = list[tuple[str, str]]
Names = Sequence[Sequence[str]]


def stage_formulas(stage: str, step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    """One stage of a rehearsed example around one weight: (sentence, LaTeX) pairs."""
    write = {
        STAGES[0]: _forward,
        STAGES[1]: _loss,
        STAGES[2]: _backward,
        STAGES[3]: _update,
    }[stage]
    return write(step, weight, run, names)


def _forward(step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    layer, j = weight.layer, weight.target
    a, w = step.activations[layer][0], step.weights_before[layer][:, j]
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    bias = [step.biases_before[layer][j]] if step.biases_before else []
    unit, kind = _text(names[layer + 1][j]), _kind(run, layer)
    lines = [
        (
            f"Unit {names[layer + 1][j]} multiplies what comes in by its weights and adds up:",
            _worked([rf"h_{{{unit}}}"], [*_mixed(a, w), *bias], _products, _written_products, h),
        ),
        (
            "Its activation function bends the sum:",
            _worked(
                [rf"a_{{{unit}}}"],
                [h],
                lambda v: _CURVES[kind](v[0]),
                lambda v: _bent(kind, v[0]),
                out,
            ),
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


def _loss(step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    t, y, e = step.target[0, 0], step.output[0, 0], step.error[0, 0]
    return [
        (
            "The error is how far the answer y is from the target t:",
            _worked(
                ["e", "t - y"],
                [t, y],
                lambda v: v[0] - v[1],
                lambda v: f"{v[0]} - {v[1]}",
                e,
            ),
        ),
        (
            "The loss is half its square, so that big misses count more; the half makes the "
            "derivative simple:",
            _worked(
                ["L", r"\tfrac{1}{2} e^2"],
                [e],
                lambda v: v[0] ** 2 / 2,
                lambda v: rf"\tfrac{{1}}{{2}} \cdot {v[0]}^2",
                step.loss,
            ),
        ),
        (
            "The curve above shows the mean squared error, the mean of e² over an epoch's "
            "examples: twice their mean loss.",
            r"\text{MSE} = \overline{e^2} = 2 \overline{L}",
        ),
    ]


def _backward(step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    layer, j = weight.layer, weight.target
    name = names[layer + 1][j]
    unit = _text(name)
    if layer == len(step.deltas) - 1:
        felt, by = -step.error[0, 0], r"\frac{\partial L}{\partial y}"
        passed = (
            "How the loss changes with the answer, the derivative of ½ (t − y)² by y, is minus the "
            "error:",
            _worked([by, "-e"], [-felt], lambda v: -v[0], lambda v: f"-{v[0]}", felt),
        )
    else:
        back, ahead = step.deltas[layer + 1][0], step.weights_before[layer + 1][j]
        felt, by = float(back @ ahead), rf"\frac{{\partial L}}{{\partial a_{{{unit}}}}}"
        passed = (
            f"How the loss changes with what unit {name} sends out: the deltas of the next layer "
            "come back through the weights it sends it out by:",
            _worked([by], _mixed(back, ahead), _products, _written_products, felt),
        )
    return [passed, _delta(step, weight, run, felt, unit), _gradient(step, weight, names)]


def _delta(step: Step, weight: Weight, run: Run, felt: float, unit: str) -> tuple[str, str]:
    layer, j = weight.layer, weight.target
    kind = _kind(run, layer)
    h, out = step.net_inputs[layer][0, j], step.activations[layer + 1][0, j]
    slope = float(h > 0) if kind == "relu" else float(out)
    return (
        "Times the slope of its curve at this point, that is the unit's delta, how the loss "
        "changes with the unit's sum h:",
        _worked(
            [rf"\delta_{{{unit}}}", rf"\frac{{\partial L}}{{\partial h_{{{unit}}}}}"],
            [felt, slope],
            lambda v: v[0] * _SLOPES[kind](v[1]),
            lambda v: rf"{v[0]} \cdot {_slope(kind, v[1])}",
            step.deltas[layer][0, j],
        ),
    )


def _gradient(step: Step, weight: Weight, names: Names) -> tuple[str, str]:
    delta = step.deltas[weight.layer][0, weight.target]
    unit = _text(names[weight.layer + 1][weight.target])
    if weight.source is None:
        return (
            "The bias's gradient, how the loss changes with the bias, is the delta as it is:",
            rf"\frac{{\partial L}}{{\partial b}} = \delta_{{{unit}}} = {number(delta)}",
        )
    a = step.activations[weight.layer][0, weight.source]
    source = _text(names[weight.layer][weight.source])
    return (
        "The weight's gradient, how the loss changes with the weight: what came in along it, "
        "times the delta:",
        _worked(
            [r"\frac{\partial L}{\partial w}", rf"a_{{{source}}} \cdot \delta_{{{unit}}}"],
            [a, delta],
            _products,
            _written_products,
            a * delta,
        ),
    )


def _update(step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    layer, bias = weight.layer, weight.source is None
    at = weight.target if bias else (weight.source, weight.target)
    before = float((step.biases_before if bias else step.weights_before)[layer][at])
    after = float((step.biases_after if bias else step.weights_after)[layer][at])
    gradient = float((step.bias_gradients if bias else step.gradients)[layer][at])
    what, w = ("bias", "b") if bias else ("weight", "w")
    return [
        (
            f"The {what} takes a step against its gradient, which is downhill; the learning rate η "
            "decides how long a step:",
            _worked(
                [rf"{w}_\text{{new}}", rf"{w} - \eta \cdot \frac{{\partial L}}{{\partial {w}}}"],
                [before, run.learning_rate, gradient],
                lambda v: v[0] - v[1] * v[2],
                lambda v: rf"{v[0]} - {v[1]} \cdot {v[2]}",
                after,
                _digits_apart(before, after),
            ),
        ),
        _moved(step.output[0, 0], answer_after(run, step), step.target[0, 0]),
    ]


def _moved(before: float, after: float, target: float) -> tuple[str, str]:
    told = rf"\qquad (t = {number(target)})"
    if before == after:
        return (
            "All weights take their steps at once. The answer to this example stays:",
            rf"y = {number(before)} {told}",
        )
    digits = _digits_apart(before, after)
    return (
        "All weights take their steps at once, and the answer to this example moves:",
        rf"y: {number(before, digits=digits)} \rightarrow {number(after, digits=digits)} {told}",
    )


# -- numbers that add up --------------------------------------------------------------------------


def _worked(
    symbols: Sequence[str],
    operands: Sequence[float],
    compute: Callable[[Sequence[float]], float],
    write: Callable[[Sequence[str]], str],
    result: float,
    digits: int = DIGITS,
) -> str:
    """``symbol = formula of operands = result``, each on a line of its own."""
    operands, result = [float(v) for v in operands], float(result)
    shown = number(result, digits=digits)
    enough = digits_for(operands, compute, result, digits)
    formula = write([number(v, True, enough) for v in operands])
    sign = "=" if _rounded(result, digits) == result else r"\approx"
    body = r" \\ &= ".join([*symbols[1:], formula])
    return rf"\begin{{aligned}} {symbols[0]} &= {body} \\ &{sign} {shown} \end{{aligned}}"


def digits_for(
    operands: Sequence[float],
    compute: Callable[[Sequence[float]], float],
    result: float,
    digits: int = DIGITS,
) -> int:
    """How many digits operands need to give `result` to `digits` digits when they are rounded."""
    for enough in range(digits, _ALL_DIGITS):
        again = compute([_rounded(v, enough) for v in operands])
        if _rounded(again, digits) == _rounded(result, digits):
            return enough
    return _ALL_DIGITS


def _digits_apart(before: float, after: float) -> int:
    """How many digits show that a number has moved, and a little of how far."""
    if before == after:
        return DIGITS
    place = math.floor(math.log10(max(abs(before), abs(after))))
    digits = math.ceil(place + 2 - math.log10(abs(after - before)))
    return min(max(DIGITS, digits), _ALL_DIGITS)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def number(value: float, bracket: bool = False, digits: int = DIGITS) -> str:
    """A finite number as LaTeX, with `digits` significant; in brackets where it needs them."""
    text = f"{value + 0.0:.{digits}g}"  # which makes 0 of -0
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return f"({text})" if bracket and (value < 0 or "cdot" in text) else text


# -- formulas, as arithmetic and as LaTeX ---------------------------------------------------------


def _mixed(a: Iterable[float], b: Iterable[float]) -> list[float]:
    return [v for pair in zip(a, b, strict=True) for v in pair]


def _products(values: Sequence[float]) -> float:
    """``v0 v1 + v2 v3 + ...``; a last one without a partner is added as it is."""
    pairs = zip(values[::2], values[1::2], strict=False)
    return math.fsum([*(a * b for a, b in pairs), *values[len(values) // 2 * 2 :]])


def _written_products(texts: Sequence[str]) -> str:
    """Two terms a line, which is what a phone shows."""
    terms = [r" \cdot ".join(texts[i : i + 2]) for i in range(0, len(texts), 2)]
    rows = [" + ".join(terms[i : i + 2]) for i in range(0, len(terms), 2)]
    return r" \\ &\quad + ".join(rows)


def _text(name: str) -> str:
    return rf"\text{{{name}}}"


def _kind(run: Run, layer: int) -> str:
    net = run.mlp
    return net.output_activation if layer == len(net.weights) - 1 else net.activation


def _sigmoid(h: float) -> float:
    return 1 / (1 + math.exp(-h)) if h > -700 else 0.0


_CURVES: Final[dict[str, Callable[[float], float]]] = {
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "relu": lambda h: max(0.0, h),
    "identity": lambda h: h,
    "step": lambda h: float(h > 0),
}

# Slopes, of the activation a; ReLU's is given as it is.
_SLOPES: Final[dict[str, Callable[[float], float]]] = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda slope: slope,
    "identity": lambda a: 1.0,
    "step": lambda a: 0.0,
}


def _bent(kind: str, h: str) -> str:
    return {
        "sigmoid": rf"\frac{{1}}{{1 + e^{{-{h}}}}}",
        "tanh": rf"\tanh({h})",
        "relu": rf"\max(0, {h})",
        "identity": h,
        "step": rf"\text{{1 if }} {h} > 0 \text{{ else }} 0",
    }[kind]


def _slope(kind: str, a: str) -> str:
    return {
        "sigmoid": rf"{a} \cdot (1 - {a})",
        "tanh": rf"(1 - {a}^2)",
        "relu": a,
        "identity": "1",
        "step": "0",
    }[kind]
