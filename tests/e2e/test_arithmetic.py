"""The browser's arithmetic equals the core's on a thousand random inputs."""

from typing import Any

import numpy as np
import pytest

from genrekit.app.neuron.view import exact
from genrekit.mel.scale import hz_to_mel, mel_to_hz
from genrekit.mel.tones import nearest_note
from genrekit.teaching.inspect_run import truth
from genrekit.teaching.mlp import MLP
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.run import Run
from genrekit.teaching.settings import RunSettings
from genrekit.teaching.tasks import TASKS

COUNT = 1000
RELATIVE = 1e-9
RNG = np.random.default_rng(16)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_functions(compute: Any, name: str) -> None:
    h = RNG.uniform(-20, 20, COUNT)
    answers = compute(f"given.map((x) => m.ACTIVATIONS.{name}(x))", h.tolist())
    np.testing.assert_allclose(answers, ACTIVATIONS[name](h), rtol=RELATIVE)


def test_neurons(compute: Any) -> None:
    cases = [
        {
            "inputs": RNG.uniform(-2, 2, count).round(2).tolist(),
            "weights": RNG.uniform(-3, 3, count).round(2).tolist(),
            "bias": round(float(RNG.uniform(-3, 3)), 2),
            "activation": str(RNG.choice(list(ACTIVATIONS))),
        }
        for count in RNG.integers(1, 6, COUNT)
    ]
    found = compute("given.map((x) => m.neuron(x.inputs, x.weights, x.bias, x.activation))", cases)
    for case, one in zip(cases, found, strict=True):
        core = exact(**case)
        assert one["products"] == core.products.tolist()
        assert one["sum"] == core.net_input
        assert one["answer"] == pytest.approx(core.activation, rel=RELATIVE)


@pytest.mark.parametrize("formula", ["htk", "slaney"])
def test_mel_and_back(compute: Any, formula: Any) -> None:
    hz = RNG.uniform(0, 96_000, COUNT)
    mel = compute(f"given.map((x) => m.hzToMel.{formula}(x))", hz.tolist())
    np.testing.assert_allclose(mel, hz_to_mel(hz, formula), rtol=RELATIVE)
    back = compute(f"given.map((x) => m.melToHz.{formula}(x))", mel)
    np.testing.assert_allclose(back, mel_to_hz(mel, formula), rtol=RELATIVE)


def test_notes(compute: Any) -> None:
    hz = RNG.uniform(5, 20_000, COUNT)
    found = compute("given.map((x) => m.nearestNote(x))", hz.tolist())
    names, cents = nearest_note(hz)
    assert [one["name"] for one in found] == names.tolist()
    np.testing.assert_allclose([one["cents"] for one in found], cents, rtol=RELATIVE, atol=1e-9)


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


def test_steps_of_learning(compute: Any) -> None:
    made = networks(COUNT)
    steps = compute(
        """given.map(({sizes, kinds, bias, p, x, t, rate}) => {
          const s = new m.Network(sizes, kinds, bias).step(p, x, t, rate);
          return {...s, gradients: [...s.gradients], after: [...s.after]};
        })""",
        [given for _, given in made],
    )

    def same(mine: Any, core: Any) -> None:
        np.testing.assert_allclose(np.hstack(mine), np.hstack(core), rtol=RELATIVE, atol=1e-14)

    for (net, given), mine in zip(made, steps, strict=True):
        step = net.step(given["x"], [given["t"]], given["rate"])
        same(mine["sums"], [h[0] for h in step.net_inputs])
        same(mine["values"], [a[0] for a in step.activations])
        same(mine["deltas"], [d[0] for d in step.deltas])
        same(mine["gradients"], [g.ravel() for g in (*step.gradients, *step.bias_gradients)])
        same(mine["after"], [w.ravel() for w in (*step.weights_after, *step.biases_after)])
        same([mine["error"], mine["loss"]], [step.error[0, 0], step.loss])


def test_tasks(compute: Any) -> None:
    pairs = np.random.default_rng(1).uniform(-3, 3, (COUNT, 2))
    mine = compute(
        """Object.fromEntries(Object.keys(m.TASKS).map((task) =>
          [task, given.map((pair) => m.truth(task, pair, 0.25))]))""",
        pairs.tolist(),
    )
    assert list(mine) == list(TASKS)
    for task, answers in mine.items():
        run = Run(RunSettings(task=task, examples=2))
        core = [truth(run, pair) for pair in pairs]
        np.testing.assert_allclose(answers, core, rtol=RELATIVE, atol=1e-14)
    assert compute("m.truth('own', given, 0)", [1, 2]) is None


def test_maps_and_nearest_examples(compute: Any) -> None:
    run = Run(RunSettings(hidden=(4, 3), activation="tanh", bias=True, low=-0.2, high=0.7))
    run.advance(500)
    answer, axis = compute(
        """(() => {
          const axis = m.mapAxis(-0.2, 0.7, 2, 41);
          const network = new m.Network([2, 4, 3, 1], ["tanh", "tanh", "tanh"], true);
          return [[...network.plane(given, axis).at(-1)], [...axis]];
        })()""",
        run.moment().parameters.tolist(),
    )
    # From one range of the inputs below what it was trained on to two above it.
    np.testing.assert_allclose(axis, np.linspace(-0.2 - 0.9, 0.7 + 2 * 0.9, 41), rtol=RELATIVE)
    a, b = np.meshgrid(axis, axis)
    core = run.network().forward(np.column_stack([a.ravel(), b.ravel()]))
    np.testing.assert_allclose(answer, core[:, 0], rtol=RELATIVE)

    table = "\n".join(
        ",".join(f"{v:.3f}" for v in row) for row in np.random.default_rng(2).random((30, 4))
    )
    run = Run(RunSettings(task="own", table=table))
    questions = np.random.default_rng(3).random((100, 3))
    examples = [[x.tolist(), float(t[0])] for x, t in zip(run.inputs, run.targets, strict=True)]
    mine = compute(
        "given.questions.map((q) => m.nearestTarget(given.examples, q))",
        {"examples": examples, "questions": questions.tolist()},
    )
    for target, question in zip(mine, questions, strict=True):
        distances = np.linalg.norm(run.inputs - question, axis=1)
        assert target == run.targets[np.argmin(distances), 0]
