"""The formulas of slow motion: whoever recomputes them finds them right, and the core agrees."""

import math
import re
from typing import Any

import numpy as np
import pytest

from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings

SHOWN = [
    RunSettings(),
    RunSettings(hidden=(4, 3), activation="tanh", bias=True, init="xavier"),
    RunSettings(hidden=(3,), activation="relu", output_activation="identity", bias=True, high=5.0),
    RunSettings(hidden=(), activation="sigmoid"),
]


def plain(text: str) -> str:
    """A shown number or formula in Python's signs."""
    text = re.sub(r"·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: "e" + m[1].translate(SUPERSCRIPTS), text)
    text = text.replace("−", "-").replace("·", "*").replace("²", "**2").replace("½", "0.5")
    text = re.sub(r"e<sup>-(.*?)</sup>", r"exp(-\1)", text)
    text = re.sub(r"tanh (\S+)", r"tanh(\1)", text)
    return re.sub(r"1 if (.*) > 0, else 0", r"float(\1 > 0)", text)


SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def value(text: str) -> float:
    names = {"exp": math.exp, "tanh": math.tanh, "max": max, "float": float, "__builtins__": {}}
    return float(eval(plain(text), names))


def digits(shown: str) -> int:
    """How many significant digits a result is shown with; zeros at the end are not shown."""
    return max(4, len(plain(shown).split("e")[0].strip("-").replace(".", "").lstrip("0")))


def stages_of(compute: Any, run: Run, x: Any, t: float) -> list[list[list[dict[str, Any]]]]:
    """For each weight, the formulas of each stage."""
    net = run.mlp
    given = {
        "sizes": net.layer_sizes,
        "kinds": [net.activation] * (len(net.weights) - 1) + [net.output_activation],
        "bias": bool(net.biases),
        "p": run.moment().parameters.tolist(),
        "x": np.asarray(x).tolist(),
        "t": t,
        "rate": run.learning_rate,
        "names": [[f"u{i}{j}" for j in range(n)] for i, n in enumerate(net.layer_sizes)],
    }
    shown: list[list[list[dict[str, Any]]]] = compute(
        """(({sizes, kinds, bias, p, x, t, rate, names}) => {
          const network = new m.Network(sizes, kinds, bias), step = network.step(p, x, t, rate);
          const answerAfter = network.forward(step.after, x).answer;
          return network.list.map((weight) =>
            m.stages({network, step, p, weight, names, kinds, rate, answerAfter}));
        })(given)""",
        given,
    )
    assert len(shown) == len(run.all_weights())
    return shown


@pytest.mark.parametrize("settings", SHOWN)
def test_who_recomputes_what_is_shown_gets_what_is_shown(
    compute: Any, settings: RunSettings
) -> None:
    for seen in (0, 5000):
        run = Run(settings, learning_rate=0.01)
        run.advance(seen)
        x, t = run.next_example
        step, checked = run.network().step(x, t, run.learning_rate), 0
        for weight, stages in zip(
            run.all_weights(), stages_of(compute, run, x, float(t[0])), strict=True
        ):
            for line in (line for stage in stages for line in stage):
                if line["equals"] not in "=≈" or "mean" in line["formula"]:
                    continue
                wanted = digits(line["result"])
                assert f"{value(line['formula']):.{wanted}g}" == (
                    f"{value(line['result']):.{wanted}g}"
                ), line
                checked += 1
            check_against(step, weight, stages)
        assert checked >= 7 * len(run.all_weights())


def check_against(step: Any, weight: Weight, stages: list[list[dict[str, Any]]]) -> None:
    """The results shown are the core's."""

    def shown(stage: int, line: int) -> Any:
        return pytest.approx(value(stages[stage][line]["result"]), rel=1e-3, abs=1e-12)

    layer, unit = weight.layer, weight.target
    assert step.net_inputs[layer][0, unit] == shown(0, 0)
    assert step.activations[layer + 1][0, unit] == shown(0, 1)
    assert step.error[0, 0] == shown(1, 0)
    assert step.loss == shown(1, 1)
    assert step.deltas[layer][0, unit] == shown(2, 1)
    if weight.source is None:
        assert step.bias_gradients[layer][unit] == shown(2, 2)
        assert step.biases_after[layer][unit] == shown(3, 0)
    else:
        assert step.gradients[layer][weight.source, unit] == shown(2, 2)
        assert step.weights_after[layer][weight.source, unit] == shown(3, 0)


def test_a_negative_bias_is_added_in_brackets(compute: Any) -> None:
    run = Run(RunSettings(bias=True))
    run.set_weight(Weight(0, None, 3), -0.25)
    index = run.all_weights().index(Weight(0, 1, 3))
    line = stages_of(compute, run, [0.2, 0.1], 0.3)[index][0][0]
    assert "+ (−0.25)" in line["formula"]


def test_a_step_is_shown_with_digits_enough_to_see_it(compute: Any) -> None:
    run = Run(RunSettings())
    run.advance(50_000)
    x, t = run.next_example
    for stages in stages_of(compute, run, x, float(t[0])):
        update, moved = stages[3]
        before = update["formula"].split(" − ")[0]
        assert before != update["result"]
        assert moved["formula"] != moved["result"]
