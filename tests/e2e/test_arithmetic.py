"""The browser's arithmetic equals the core's on a thousand random inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrekit.app.neuron.view import exact
from genrekit.mel.scale import hz_to_mel, mel_to_hz
from genrekit.mel.tones import nearest_note
from genrekit.teaching.neuron import ACTIVATIONS

MODULE = Path(__file__).parents[2] / "genrekit" / "app" / "browser" / "arithmetic.js"
COUNT = 1000
RELATIVE = 1e-9
RNG = np.random.default_rng(16)


@pytest.fixture(scope="module")
def compute(browser: Any) -> Any:
    """A function that evaluates an expression of `m`, the module, and `x`, for each of many x."""
    tab = browser.new_page()
    tab.add_script_tag(type="module", content=MODULE.read_text("utf-8") + NAMES)
    tab.wait_for_function("window.m")
    yield lambda expression, xs: tab.evaluate(f"xs => xs.map((x) => {expression})", xs)
    tab.close()


NAMES = "\nwindow.m = { ACTIVATIONS, neuron, hzToMel, melToHz, nearestNote };"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_functions(compute: Any, name: str) -> None:
    h = RNG.uniform(-20, 20, COUNT)
    answers = compute(f"m.ACTIVATIONS.{name}(x)", h.tolist())
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
    found = compute("m.neuron(x.inputs, x.weights, x.bias, x.activation)", cases)
    for case, one in zip(cases, found, strict=True):
        core = exact(**case)
        assert one["products"] == core.products.tolist()
        assert one["sum"] == core.net_input
        assert one["answer"] == pytest.approx(core.activation, rel=RELATIVE)


@pytest.mark.parametrize("formula", ["htk", "slaney"])
def test_mel_and_back(compute: Any, formula: Any) -> None:
    hz = RNG.uniform(0, 96_000, COUNT)
    mel = compute(f"m.hzToMel.{formula}(x)", hz.tolist())
    np.testing.assert_allclose(mel, hz_to_mel(hz, formula), rtol=RELATIVE)
    back = compute(f"m.melToHz.{formula}(x)", mel)
    np.testing.assert_allclose(back, mel_to_hz(mel, formula), rtol=RELATIVE)


def test_notes(compute: Any) -> None:
    hz = RNG.uniform(5, 20_000, COUNT)
    found = compute("m.nearestNote(x)", hz.tolist())
    names, cents = nearest_note(hz)
    assert [one["name"] for one in found] == names.tolist()
    np.testing.assert_allclose([one["cents"] for one in found], cents, rtol=RELATIVE, atol=1e-9)
