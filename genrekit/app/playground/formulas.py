"""One example in slow motion, as LaTeX formulas with the current numbers in them.

Numbers are rounded, yet the formulas can be checked by hand: operands are written with as many
digits as they need to give the result that is shown.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from genrekit.teaching.inspect_run import answer_after
from genrekit.teaching.mlp import Step
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.run import Run, Weight

__all__ = ["CURVES", "STAGES", "digits_for", "number", "stage_formulas", "two_a_line"]

STAGES: Final = ("1 Forward", "2 Loss", "3 Backward", "4 Update")
# Significant digits of a result, and those of a float64.
DIGITS: Final = 4
_ALL_DIGITS: Final = 17

Lines = list[tuple[str, str]]
Names = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Curve:
    """An activation function as LaTeX of its sum, and its slope as LaTeX of its value, ``{1}``.

    A ReLU has its slope in the place of its value.
    """

    formula: str
    slope_formula: str
    slope: Callable[[float], float]


CURVES: Final = {
    "sigmoid": Curve(r"\frac{{1}}{{1 + e^{{-{}}}}}", r"{1} \cdot (1 - {1})", lambda a: a * (1 - a)),
    "tanh": Curve(r"\tanh({})", "(1 - {1}^2)", lambda a: 1 - a * a),
    "relu": Curve(r"\max(0, {})", "{1}", lambda slope: slope),
    "identity": Curve("{}", "1", lambda a: 1.0),
    "step": Curve(r"1 \text{{ if }} {} > 0 \text{{, else }} 0", "0", lambda a: 0.0),
}


@dataclass(frozen=True)
class _Case:
    """A weight in a rehearsed example, and the unit that it leads into."""

    step: Step
    weight: Weight
    run: Run
    names: Names
    is_last: bool
    kind: str
    name: str
    unit: str
    h: float
    a: float
    delta: float


def stage_formulas(stage: str, step: Step, weight: Weight, run: Run, names: Names) -> Lines:
    """Return the (sentence, LaTeX) pairs of one stage of a rehearsed example, for one weight."""
    layer, target = weight.layer, weight.target
    is_last = layer == len(step.deltas) - 1
    name = names[layer + 1][target]
    case = _Case(
        step,
        weight,
        run,
        names,
        is_last,
        kind=run.mlp.output_activation if is_last else run.mlp.activation,
        name=name,
        unit=rf"\text{{{name}}}",
        h=float(step.net_inputs[layer][0, target]),
        a=float(step.activations[layer + 1][0, target]),
        delta=float(step.deltas[layer][0, target]),
    )
    return dict(zip(STAGES, (_forward, _loss, _backward, _update), strict=True))[stage](case)


def _forward(case: _Case) -> Lines:
    step, layer, j = case.step, case.weight.layer, case.weight.target
    bias = [step.biases_before[layer][j]] if step.biases_before else []
    operands = [*_interleaved(step.activations[layer][0], step.weights_before[layer][:, j]), *bias]
    lines = [
        (
            f"Unit {case.name} multiplies what comes in by its weights and adds up:",
            _sum_of_products([rf"h_{{{case.unit}}}"], operands, case.h),
        ),
        (
            "Its activation function bends the sum:",
            _worked(
                [rf"a_{{{case.unit}}}"],
                [case.h],
                lambda h: float(ACTIVATIONS[case.kind](h)),
                CURVES[case.kind].formula,
                case.a,
            ),
        ),
    ]
    if not case.is_last:
        answer = rf"y = {number(step.output[0, 0])}"
        lines.append(("The layers after it do the same, up to the network's answer:", answer))
    return lines


def _loss(case: _Case) -> Lines:
    step = case.step
    t, y, e = step.target[0, 0], step.output[0, 0], step.error[0, 0]
    return [
        (
            "The error is how far the answer y is from the target t:",
            _worked(["e", "t - y"], [t, y], lambda t, y: t - y, "{} - {}", e),
        ),
        (
            "The loss is half its square, so that big misses count more; the half makes the "
            "derivative simple:",
            _worked(
                ["L", r"\tfrac{1}{2} e^2"],
                [e],
                lambda e: e**2 / 2,
                r"\tfrac{{1}}{{2}} \cdot {}^2",
                step.loss,
            ),
        ),
        (
            "The curve above shows the mean squared error, the mean of e² over an epoch's "
            "examples: twice their mean loss.",
            r"\text{MSE} = \overline{e^2} = 2 \overline{L}",
        ),
    ]


def _backward(case: _Case) -> Lines:
    step, layer = case.step, case.weight.layer
    if case.is_last:
        by_output, symbol = -step.error[0, 0], r"\frac{\partial L}{\partial y}"
        passed = (
            "How the loss changes with the answer, the derivative of ½ (t − y)² by y, is minus the "
            "error:",
            _worked([symbol, "-e"], [-by_output], lambda e: -e, "-{}", by_output),
        )
    else:
        back, ahead = step.deltas[layer + 1][0], step.weights_before[layer + 1][case.weight.target]
        by_output, symbol = back @ ahead, rf"\frac{{\partial L}}{{\partial a_{{{case.unit}}}}}"
        passed = (
            f"How the loss changes with what unit {case.name} sends out: the deltas of the next "
            "layer come back through the weights it sends it out by:",
            _sum_of_products([symbol], _interleaved(back, ahead), by_output),
        )
    return [passed, _delta(case, by_output), _gradient(case)]


def _delta(case: _Case, by_output: float) -> tuple[str, str]:
    curve = CURVES[case.kind]
    slope = float(case.h > 0) if case.kind == "relu" else case.a
    return (
        "Times the slope of its curve at this point, that is the unit's delta, how the loss "
        "changes with the unit's sum h:",
        _worked(
            [rf"\delta_{{{case.unit}}}", rf"\frac{{\partial L}}{{\partial h_{{{case.unit}}}}}"],
            [by_output, slope],
            lambda by_output, a: by_output * curve.slope(a),
            r"{0} \cdot " + curve.slope_formula,
            case.delta,
        ),
    )


def _gradient(case: _Case) -> tuple[str, str]:
    layer, source = case.weight.layer, case.weight.source
    if source is None:
        return (
            "The bias's gradient, how the loss changes with the bias, is the delta as it is:",
            rf"\frac{{\partial L}}{{\partial b}} = \delta_{{{case.unit}}} = {number(case.delta)}",
        )
    a = case.step.activations[layer][0, source]
    product = rf"a_{{\text{{{case.names[layer][source]}}}}} \cdot \delta_{{{case.unit}}}"
    return (
        "The weight's gradient, how the loss changes with the weight: what came in along it, "
        "times the delta:",
        _sum_of_products(
            [r"\frac{\partial L}{\partial w}", product], [a, case.delta], a * case.delta
        ),
    )


def _update(case: _Case) -> Lines:
    step, weight = case.step, case.weight
    at: tuple[int, ...] = (weight.target,)
    values, what, w = (step.biases_before, step.biases_after, step.bias_gradients), "bias", "b"
    if weight.source is not None:
        at = weight.source, weight.target
        values, what, w = (step.weights_before, step.weights_after, step.gradients), "weight", "w"
    before, after, gradient = (float(arrays[weight.layer][at]) for arrays in values)
    return [
        (
            f"The {what} takes a step against its gradient, which is downhill; the learning rate η "
            "decides how long a step:",
            _worked(
                [rf"{w}_\text{{new}}", rf"{w} - \eta \cdot \frac{{\partial L}}{{\partial {w}}}"],
                [before, case.run.learning_rate, gradient],
                lambda w, rate, gradient: w - rate * gradient,
                r"{} - {} \cdot {}",
                after,
                _digits_apart(before, after),
            ),
        ),
        _moved(step.output[0, 0], answer_after(case.run, step), step.target[0, 0]),
    ]


def _moved(before: float, after: float, target: float) -> tuple[str, str]:
    goal = rf"\qquad (t = {number(target)})"
    if before == after:
        return (
            "All weights take their steps at once. The answer to this example stays:",
            rf"y = {number(before)} {goal}",
        )
    digits = _digits_apart(before, after)
    return (
        "All weights take their steps at once, and the answer to this example moves:",
        rf"y: {number(before, digits=digits)} \rightarrow {number(after, digits=digits)} {goal}",
    )


# -- numbers that add up --------------------------------------------------------------------------


def _worked(
    symbols: Sequence[str],
    operands: Sequence[float],
    compute: Callable[..., float],
    template: str,
    result: float,
    digits: int = DIGITS,
) -> str:
    """Write ``symbol = formula of operands = result``, each on a line of its own."""
    enough = digits_for(operands, compute, result, digits)
    formula = template.format(*(number(v, True, enough) for v in operands))
    sign = "=" if _rounded(result, digits) == result else r"\approx"
    body = r" \\ &= ".join([*symbols[1:], formula])
    shown = number(result, digits=digits)
    return rf"\begin{{aligned}} {symbols[0]} &= {body} \\ &{sign} {shown} \end{{aligned}}"


def _sum_of_products(symbols: Sequence[str], operands: Sequence[float], result: float) -> str:
    """Work out ``v0 v1 + v2 v3 + ...``; a last operand without a partner is added as it is."""
    count = len(operands)
    terms = [r"{} \cdot {}"] * (count // 2) + ["{}"] * (count % 2)

    def compute(*v: float) -> float:
        return math.fsum(math.prod(v[i : i + 2]) for i in range(0, count, 2))

    return _worked(symbols, operands, compute, two_a_line(terms), result)


def two_a_line(terms: Sequence[str]) -> str:
    """Join the terms of a sum, two to a line, which fits on a phone."""
    rows = [" + ".join(terms[i : i + 2]) for i in range(0, len(terms), 2)]
    return r" \\ &\quad + ".join(rows)


def digits_for(
    operands: Sequence[float],
    compute: Callable[..., float],
    result: float,
    digits: int = DIGITS,
) -> int:
    """Count the digits that operands need to give `result` to `digits` digits when rounded."""
    for enough in range(digits, _ALL_DIGITS):
        again = compute(*(_rounded(v, enough) for v in operands))
        if _rounded(again, digits) == _rounded(result, digits):
            return enough
    return _ALL_DIGITS


def _digits_apart(before: float, after: float) -> int:
    """Count the digits that show that a number has moved, and roughly how far."""
    if before == after:
        return DIGITS
    magnitude = math.floor(math.log10(max(abs(before), abs(after))))
    digits = math.ceil(magnitude + 2 - math.log10(abs(after - before)))
    return min(max(DIGITS, digits), _ALL_DIGITS)


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def number(value: float, bracket: bool = False, digits: int = DIGITS) -> str:
    """Write a finite number as LaTeX with `digits` significant digits.

    With `bracket`, negative numbers and powers of ten are put in brackets.
    """
    text = f"{value + 0.0:.{digits}g}"  # which makes 0 of -0
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return f"({text})" if bracket and (value < 0 or "cdot" in text) else text


def _interleaved(a: Iterable[float], b: Iterable[float]) -> list[float]:
    return [float(v) for pair in zip(a, b, strict=True) for v in pair]
