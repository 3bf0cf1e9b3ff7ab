"""The neuron page without a browser: what the core computes of an address."""

import math
from pathlib import Path
from typing import Any

import pytest
from page_tools import exhibit
from streamlit.testing.v1 import AppTest

PAGE = str(Path(__file__).parents[2] / "pages/learn/neuron.py")


def opened(**settings: Any) -> dict[str, Any]:
    """What the exhibit gets at an address."""
    at = AppTest.from_file(PAGE, default_timeout=30)
    for key, value in settings.items():
        at.query_params[f"nr_{key}"] = str(value)
    at.run()
    assert not at.exception
    assert not at.error
    return exhibit(at)


def answer(**settings: Any) -> float:
    found: float = opened(**settings)["core"]["answer"]
    return found


def test_it_opens_with_two_inputs_and_so_with_a_map_of_its_decisions() -> None:
    data = opened()
    assert data["values"]["n"] == 2
    assert data["core"] == {"products": [0.2, 0.21], "sum": 0.41,
                            "answer": pytest.approx(1 / (1 + math.exp(-0.41)))}  # fmt: skip
    assert data["label"].startswith("A neuron: 2 inputs, each times its weight, add up to 0.41")


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("sigmoid", 1 / (1 + math.exp(0.15))),
        ("tanh", math.tanh(-0.15)),
        ("relu", 0.0),
        ("step", 0.0),
    ],
)
def test_a_link_reproduces_the_neuron(activation: str, expected: float) -> None:
    link = {"n": 2, "x1": 0.5, "w1": -1, "x2": 0.2, "w2": 0.5, "bias": "true", "b": 0.25}
    assert answer(**link, act=activation) == pytest.approx(expected)


def test_a_sum_of_nothing_is_0_and_does_not_fire() -> None:
    values = {"n": 2, "x1": 1, "w1": 0.1, "x2": 1, "w2": 0.2, "bias": "true", "b": -0.3}
    assert answer(**values, act="step") == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_one_to_five_inputs(count: int) -> None:
    assert len(opened(n=count)["core"]["products"]) == count


def test_without_its_bias_a_neuron_adds_none() -> None:
    assert opened(b=1)["core"]["sum"] == 0.41
    assert opened(b=1, bias="True")["core"]["sum"] == 1.41


@pytest.mark.parametrize(
    ("name", "table"), [("AND", [0, 0, 0, 1]), ("OR", [0, 1, 1, 1]), ("NOT", [1, 1, 0, 0])]
)
def test_an_example_can_be_a_gate(name: str, table: list[int]) -> None:
    example = opened()["examples"][name]
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [answer(**{**example, "x1": a, "x2": b}) for a, b in pairs] == table


def test_the_course_example_gives_the_course_answer() -> None:
    assert answer(**opened()["examples"]["Course example"]) == 0.610639233949222


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"n": 77}, "n", 5),
        ({"n": "<b>"}, "n", 2),
        ({"x1": "1e300"}, "x1", 2.0),
        ({"w1": "-inf"}, "w1", -3.0),
        ({"x2": "0.333"}, "x2", 0.33),
        ({"act": "softmax"}, "act", "sigmoid"),
        ({"bias": "maybe"}, "bias", False),
    ],
)
def test_an_address_that_means_nothing_opens_all_the_same(
    settings: dict[str, Any], name: str, value: Any
) -> None:
    assert opened(**settings)["values"][name] == value
