"""The neuron page without a browser: its arithmetic, its examples, its link."""

import math
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PAGE = str(Path(__file__).parents[2] / "pages/learn/neuron.py")


def opened(**settings: str) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=30)
    for key, value in settings.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    assert not at.error
    return at


def answer(at: AppTest) -> float:
    return float(at.code[0].value)


def test_it_opens_with_the_courses_neuron_in_full() -> None:
    at = opened()
    assert at.code[0].value == "0.610639233949222"
    formula = at.latex[0].value
    assert r"0.5 \cdot 0.4 + 0.3 \cdot 0.7" in formula
    assert r"\frac{1}{1 + e^{-(0.45)}}" in formula


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
    at = opened(nr_n="2", nr_x1="0.5", nr_w1="-1", nr_x2="0.2", nr_w2="0.5", nr_bias="true",
                nr_b="0.25", nr_act=activation)  # fmt: skip
    assert answer(at) == pytest.approx(expected)
    assert "(-1)" in at.latex[0].value
    assert "+ b" in at.latex[0].value


def test_who_adds_up_what_is_shown_gets_what_is_shown() -> None:
    at = opened(nr_n="3", nr_x1="1.95", nr_w1="2.95", nr_x2="-1.85", nr_w2="2.65", nr_x3="0.15",
                nr_w3="0.35", nr_bias="true", nr_b="-0.05")  # fmt: skip
    formula = at.latex[0].value.replace(r"\\ &\quad", "").split(r"\\[6pt]")[0]
    _, _, terms, products, h = (part.strip(r" \&") for part in formula.split("="))
    exact = 1.95 * 2.95 - 1.85 * 2.65 + 0.15 * 0.35 - 0.05
    assert eval(terms.replace(r"\cdot", "*")) == pytest.approx(exact, abs=1e-12)
    assert eval(products) == pytest.approx(exact, abs=1e-12)
    assert float(h) == pytest.approx(exact, abs=1e-12)


def test_a_sum_of_nothing_is_0_and_does_not_fire() -> None:
    at = opened(nr_n="2", nr_x1="1", nr_w1="0.1", nr_x2="1", nr_w2="0.2", nr_bias="true",
                nr_b="-0.3", nr_act="step")  # fmt: skip
    assert answer(at) == 0
    assert "e-" not in at.latex[0].value


def test_a_tiny_answer_is_written_as_people_write_it() -> None:
    at = opened(nr_n="5", **{f"nr_x{i}": "2" for i in range(1, 6)},
                **{f"nr_w{i}": "-3" for i in range(1, 6)})  # fmt: skip
    assert answer(at) == pytest.approx(1 / (1 + math.exp(30)))
    assert "e" not in at.code[0].value
    assert r"9.35762 \cdot 10^{-14}" in at.latex[0].value


def test_moving_a_slider_changes_the_numbers() -> None:
    at = opened()
    at.slider(key="nr_w2").set_value(-1.0).run()
    assert answer(at) == pytest.approx(1 / (1 + math.exp(-(0.2 - 0.3 + 0.04))))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_one_to_five_inputs(count: int) -> None:
    at = opened()
    at.slider(key="nr_n").set_value(count).run()
    assert not at.exception
    assert not at.error
    assert f"nr_x{count}" in [s.key for s in at.slider]
    assert f"nr_x{count + 1}" not in [s.key for s in at.slider]
    # Only two inputs have a plane to draw; the others say how to get there.
    assert bool(at.info) == (count != 2)


@pytest.mark.parametrize(("gate", "table"), [("AND", [0, 0, 0, 1]), ("OR", [0, 1, 1, 1])])
def test_a_neuron_can_be_a_gate(gate: str, table: list[int]) -> None:
    at = opened()
    next(b for b in at.button if b.label == gate).click().run()
    for (a, b), expected in zip([(0, 0), (0, 1), (1, 0), (1, 1)], table, strict=True):
        at.slider(key="nr_x1").set_value(float(a))
        at.slider(key="nr_x2").set_value(float(b))
        at.run()
        assert answer(at) == expected


def test_not_turns_its_input_around() -> None:
    at = opened()
    next(b for b in at.button if b.label == "NOT").click().run()
    assert answer(at) == 0
    at.slider(key="nr_x1").set_value(0.0).run()
    assert answer(at) == 1
    next(b for b in at.button if b.label.startswith("The course")).click().run()
    assert at.code[0].value == "0.610639233949222"
