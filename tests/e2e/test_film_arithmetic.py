"""What the browser computes for the playground, against the core, on random inputs; and formulas
that whoever recomputes them finds right."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from genrekit.teaching.inspect_run import truth
from genrekit.teaching.mlp import MLP
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings
from genrekit.teaching.tasks import TASKS

MODULES = "/_stcore/bidi-components/genrekit.network_view/"


@pytest.fixture
def compute(page: Any, app_url: str) -> Any:
    """A function that evaluates JavaScript of the values `given` with the film's modules."""
    page.goto(f"{app_url}/backprop")  # which tells the server where the modules are
    page.locator("[data-pictures]").wait_for(timeout=60_000)

    def run(body: str, given: Any) -> Any:
        script = f"""async (given) => {{
          const base = location.origin + "{MODULES}";
          const maths = await import(base + "network_maths.js");
          const formulas = await import(base + "formulas.js");
          {body}
        }}"""
        return page.evaluate(script, json.loads(json.dumps(given)))

    return run


def networks(count: int) -> list[tuple[MLP, dict[str, Any]]]:
    rng = np.random.default_rng(5)
    kinds = list(ACTIVATIONS)
    made = []
    for _ in range(count):
        hidden = rng.integers(1, 9, rng.integers(0, 4)).tolist()
        inner, outer, bias = rng.choice(kinds), rng.choice(kinds), bool(rng.integers(2))
        net = MLP(
            int(rng.integers(1, 9)), hidden, activation=str(inner), output_activation=str(outer),
            bias=bias, init="symmetric", seed=rng, num_outputs=1,
        )  # fmt: skip
        for array in net.biases:
            array[:] = rng.uniform(-1, 1, array.shape)
        given = {
            "sizes": net.layer_sizes,
            "kinds": [net.activation] * len(hidden) + [net.output_activation],
            "bias": bias,
            "p": np.concatenate([a.ravel() for a in (*net.weights, *net.biases)]).tolist(),
            "x": rng.uniform(-2, 2, net.layer_sizes[0]).tolist(),
            "t": float(rng.uniform(-2, 2)),
            "rate": float(rng.uniform(0.01, 2)),
        }
        made.append((net, given))
    return made


def test_the_browsers_arithmetic_is_the_cores(compute: Any) -> None:
    made = networks(1000)
    steps = compute(
        """return given.map(({sizes, kinds, bias, p, x, t, rate}) => {
          const s = new maths.Network(sizes, kinds, bias).step(p, x, t, rate);
          return {...s, gradients: [...s.gradients], after: [...s.after]};
        })""",
        [given for _, given in made],
    )

    def same(mine: Any, core: Any) -> None:
        np.testing.assert_allclose(np.hstack(mine), np.hstack(core), rtol=1e-9, atol=1e-14)

    for (net, given), mine in zip(made, steps, strict=True):
        step = net.step(given["x"], [given["t"]], given["rate"])
        same(mine["sums"], [h[0] for h in step.net_inputs])
        same(mine["values"], [a[0] for a in step.activations])
        same(mine["deltas"], [d[0] for d in step.deltas])
        same(mine["gradients"], [g.ravel() for g in (*step.gradients, *step.bias_gradients)])
        same(mine["after"], [w.ravel() for w in (*step.weights_after, *step.biases_after)])
        same([mine["error"], mine["loss"]], [step.error[0, 0], step.loss])


def test_the_browser_knows_every_task(compute: Any) -> None:
    pairs = np.random.default_rng(1).uniform(-3, 3, (1000, 2))
    mine = compute(
        """return Object.fromEntries(Object.keys(maths.TASKS).map((task) =>
          [task, given.map((pair) => maths.truth(task, pair, 0.25))]))""",
        pairs.tolist(),
    )
    assert list(mine) == list(TASKS)
    for task, answers in mine.items():
        run = Run(RunSettings(task=task, examples=2))
        core = [truth(run, pair) for pair in pairs]
        np.testing.assert_allclose(answers, core, rtol=1e-9, atol=1e-14)
    assert compute("return maths.truth('own', given, 0)", [1, 2]) is None


def test_the_map_and_the_nearest_example_are_the_cores(compute: Any) -> None:
    run = Run(RunSettings(hidden=(4, 3), activation="tanh", bias=True, low=-0.2, high=0.7))
    run.advance(500)
    answer, axis = compute(
        """const axis = maths.mapAxis(-0.2, 0.7, 2, 41);
        const network = new maths.Network([2, 4, 3, 1], ["tanh", "tanh", "tanh"], true);
        const planes = network.plane(given, axis);
        return [[...planes[planes.length - 1]], [...axis]]""",
        run.moment().parameters.tolist(),
    )
    # From one range of the inputs below what it was trained on to two above it.
    np.testing.assert_allclose(axis, np.linspace(-0.2 - 0.9, 0.7 + 2 * 0.9, 41), rtol=1e-9)
    a, b = np.meshgrid(axis, axis)
    core = run.network().forward(np.column_stack([a.ravel(), b.ravel()]))
    np.testing.assert_allclose(answer, core[:, 0], rtol=1e-9)

    table = "\n".join(
        ",".join(f"{v:.3f}" for v in row) for row in np.random.default_rng(2).random((30, 4))
    )
    run = Run(RunSettings(task="own", table=table))
    questions = np.random.default_rng(3).random((100, 3))
    examples = [[x.tolist(), float(t[0])] for x, t in zip(run.inputs, run.targets, strict=True)]
    mine = compute(
        "return given.questions.map((q) => maths.nearestTarget(given.examples, q))",
        {"examples": examples, "questions": questions.tolist()},
    )
    for target, question in zip(mine, questions, strict=True):
        distances = np.linalg.norm(run.inputs - question, axis=1)
        assert target == run.targets[np.argmin(distances), 0]


# -- shown numbers give the shown results ---------------------------------------------------------

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
        """const {sizes, kinds, bias, p, x, t, rate, names} = given;
        const network = new maths.Network(sizes, kinds, bias), step = network.step(p, x, t, rate);
        const answerAfter = network.forward(step.after, x).answer;
        return network.list.map((weight) =>
          formulas.stages({network, step, p, weight, names, kinds, rate, answerAfter}))""",
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
