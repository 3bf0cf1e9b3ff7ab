"""The backprop page without a browser: settings, controls, panels, links and refusals."""

import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_tools import texts
from streamlit.testing.v1 import AppTest

from genrekit.app.playground import state as playground
from genrekit.app.playground.formulas import STAGES, stage_formulas
from genrekit.app.playground.packing import (
    BUDGET,
    LIVE_BUDGET,
    Packer,
    unit_names,
    weight_names,
)
from genrekit.app.playground.panels import gradient_table, proof_table
from genrekit.app.playground.state import Playground
from genrekit.teaching.inspect_run import check_gradient, dry_run
from genrekit.teaching.mlp import numerical_gradients
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import MAX_SNAPSHOTS, Run, Weight
from genrekit.teaching.settings import RunSettings

PAGE = str(Path(__file__).parents[2] / "pages/learn/backprop.py")


def opened(**settings: str) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=30)
    for key, value in settings.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception
    return at


def state(at: AppTest) -> Playground:
    kept: Playground = at.session_state["_playground"]
    return kept


def press(at: AppTest, key: str) -> None:
    at.button(key=key).click().run()
    assert not at.exception
    assert not at.error


def words(at: AppTest) -> str:
    return "\n".join(m.value for m in at.markdown)


def test_it_opens_training_the_courses_network() -> None:
    at = opened()
    assert state(at).training
    assert state(at).run.settings == RunSettings()
    assert state(at).run.epochs == 50
    assert at.button(key="train").label == "Pause"
    assert "Right is **0.4000**" in words(at)


def test_pause_epoch_example_and_reset() -> None:
    at = opened()
    press(at, "train")
    assert not state(at).training
    seen = state(at).run.seen
    press(at, "one_example")
    assert state(at).run.seen == seen + 1
    press(at, "one_epoch")
    assert state(at).run.epoch == 1
    press(at, "one_epoch")
    assert state(at).run.seen == 2000
    press(at, "reset")
    assert state(at).run.seen == 0
    assert not state(at).training
    # The run before stays for comparison.
    label, history = state(at).earlier[0]
    assert label == "run 1"
    assert len(history) == 2


def test_flat_out_it_finishes_and_starts_again_on_request() -> None:
    at = opened(bp_speed="flat out", bp_n="20", bp_epochs="3")
    state(at).tick("flat out")  # what the fragment does ten times a second in a browser
    assert state(at).run.finished
    at.run()
    assert not state(at).training
    assert at.button(key="train").label == "Train again"
    press(at, "train")
    assert state(at).number == 2


def test_learning_rate_and_speed_do_not_restart_but_the_network_does() -> None:
    at = opened()
    press(at, "train")
    press(at, "one_epoch")
    run = state(at).run
    at.select_slider(key="bp_lr").set_value(0.5).run()
    at.select_slider(key="bp_speed").set_value("flat out").run()
    assert state(at).run is run
    assert run.learning_rate == 0.5
    at.slider(key="bp_h1").set_value(7).run()
    assert state(at).run is not run
    assert state(at).run.mlp.layer_sizes == (2, 7, 1)
    assert state(at).run.learning_rate == 0.5
    assert not state(at).training


def test_a_link_holds_every_setting() -> None:
    at = opened(
        bp_task="xor", bp_layers="2", bp_h1="4", bp_h2="3", bp_act="tanh", bp_lr="0.3",
        bp_epochs="7", bp_out="sigmoid", bp_bias="true", bp_init="xavier", bp_seed="5",
        bp_batch="2", bp_n="60", bp_low="-1", bp_high="1", bp_noise="0.05", bp_q1="0.7",
        bp_q2="-0.2",
    )  # fmt: skip
    run = state(at).run
    assert run.settings == RunSettings(
        "xor", (4, 3), "tanh", "sigmoid", True, "xavier", 2, 60, -1.0, 1.0, 0.05, 5
    )
    assert (run.learning_rate, run.epochs) == (0.3, 7)
    assert "Right is **1.0000**" in words(at)


@pytest.mark.parametrize("index", range(len(EXPERIMENTS)))
def test_every_experiment_reaches_the_widgets_and_the_run(index: int) -> None:
    at = opened()
    press(at, f"experiment_{index}")
    assert state(at).run.settings == EXPERIMENTS[index].settings
    assert state(at).run.learning_rate == EXPERIMENTS[index].learning_rate
    assert state(at).training
    at.run()
    assert state(at).number == 2  # and the widgets ask for nothing else


def test_questions_outside_are_marked() -> None:
    at = opened(bp_q1="0.9", bp_q2="0.9")
    assert "outside what it was trained on (0 to 0.5)" in words(at)


@pytest.mark.parametrize("layers", ["0", "1", "3"])
@pytest.mark.parametrize("stage", STAGES)
def test_slow_motion_in_every_stage(stage: str, layers: str) -> None:
    at = opened(bp_look="Slow motion", bp_stage=stage, bp_layers=layers, bp_bias="true")
    assert not at.error
    assert len(at.latex) >= 2
    at.selectbox(key="bp_weight").select_index(len(at.selectbox(key="bp_weight").options) - 1)
    at.run()
    assert not at.exception
    assert not at.error


def test_a_negative_bias_is_added_in_brackets() -> None:
    run = Run(RunSettings(bias=True))
    run.set_weight(Weight(0, None, 3), -0.25)
    step = dry_run(run, [0.2, 0.1], 0.3)
    names = unit_names(run.mlp.layer_sizes)
    formulas = stage_formulas(STAGES[0], step, Weight(0, 1, 3), run, names)
    assert "+ (-0.25)" in formulas[0][1]


@pytest.mark.parametrize("lines", ["weights", "gradients"])
def test_a_link_holds_what_the_lines_show(lines: str) -> None:
    assert opened(bp_lines=lines).session_state["bp_lines"] == lines


# -- shown numbers give the shown results ---------------------------------------------------------


def value(latex: str) -> float:
    """What a formula of numbers comes to, by the rules of school."""
    text = latex.replace(r"\quad", "").replace(r"\\ &", "").replace(r"\cdot", "*")
    text = re.sub(r"\\frac\{1\}\{1 \+ e\^\{-(.*)\}\}", r"(1 / (1 + exp(-\1)))", text)
    text = re.sub(r"\^\{(-?\d+)\}", r"**(\1)", text).replace(r"\tfrac{1}{2}", "0.5")
    text = text.replace("^2", "**2").replace(r"\tanh", "tanh").replace(r"\max", "max")
    text = re.sub(r"\\text\{1 if \}(.*)> 0 \\text\{ else \} 0", r"float((\1) > 0)", text)
    names = {"exp": math.exp, "tanh": math.tanh, "max": max, "float": float, "__builtins__": {}}
    return float(eval(text, names))


def worked(latex: str) -> tuple[str, str] | None:
    """The last formula of numbers and its result; None where a line has no such formula."""
    if "aligned" not in latex:
        return None
    body = latex.removeprefix(r"\begin{aligned} ").removesuffix(r" \end{aligned}")
    *_, formula, result = re.split(r"&=|&\\approx", body)
    return formula.strip().removesuffix("\\\\").strip(), result.strip()


def digits(shown: str) -> int:
    """How many significant digits a result is shown with; zeros at the end are not shown."""
    mantissa = shown.split(r" \cdot")[0]
    return max(4, len(mantissa.strip("-(").replace(".", "").lstrip("0")))


SHOWN = [
    RunSettings(),
    RunSettings(hidden=(4, 3), activation="tanh", bias=True, init="xavier"),
    RunSettings(hidden=(3,), activation="relu", output_activation="identity", bias=True, high=5.0),
    RunSettings(hidden=(), activation="sigmoid"),
]


@pytest.mark.parametrize("settings", SHOWN)
@pytest.mark.parametrize("seen", [0, 5000])
def test_who_recomputes_what_is_shown_gets_what_is_shown(settings: RunSettings, seen: int) -> None:
    run = Run(settings, learning_rate=0.01)
    run.advance(seen)
    x, t = run.next_example
    step, names = dry_run(run, x, float(t[0])), unit_names(run.mlp.layer_sizes)
    checked = 0
    for weight in run.all_weights():
        lines = [line for s in STAGES for line in stage_formulas(s, step, weight, run, names)]
        for formula, result in filter(None, (worked(latex) for _, latex in lines)):
            wanted = digits(result)
            assert f"{value(formula):.{wanted}g}" == f"{value(result):.{wanted}g}", formula
            checked += 1
    assert checked >= 7 * len(run.all_weights())


@pytest.mark.parametrize("settings", SHOWN)
def test_what_is_shown_is_what_the_network_computes(settings: RunSettings) -> None:
    run = Run(settings, learning_rate=0.1)
    run.advance(1000)
    x, t = run.next_example
    step, names = dry_run(run, x, float(t[0])), unit_names(run.mlp.layer_sizes)
    measured = numerical_gradients(run.network(), x, t)[0]
    for weight in (w for w in run.all_weights() if w.source is not None):
        at = weight.source, weight.target

        def last(stage: str, line: int, weight: Weight = weight) -> float:
            pair = worked(stage_formulas(stage, step, weight, run, names)[line][1])
            assert pair
            return value(pair[1])

        unit = weight.target
        h = step.net_inputs[weight.layer][0, unit]
        delta, after = (
            step.deltas[weight.layer][0, unit],
            run.snapshots[-1].parameters[run.all_weights().index(weight)],
        )
        gradient = measured[weight.layer][at]
        assert last("1 Forward", 0) == pytest.approx(h, rel=1e-3)
        assert last("2 Loss", 0) == pytest.approx(step.error[0, 0], rel=1e-3)
        assert last("2 Loss", 1) == pytest.approx(step.error[0, 0] ** 2 / 2, rel=1e-3)
        assert last("3 Backward", 1) == pytest.approx(delta, rel=1e-3, abs=1e-12)
        # The gradient shown is the slope of the loss shown, with its sign.
        assert last("3 Backward", 2) == pytest.approx(gradient, rel=1e-3, abs=1e-8)
        after -= 0.1 * gradient
        assert last("4 Update", 0) == pytest.approx(after, rel=1e-3, abs=1e-8)


def test_a_step_is_shown_with_digits_enough_to_see_it() -> None:
    run = Run(RunSettings())
    run.advance(50_000)
    x, t = run.next_example
    step, names = dry_run(run, x, float(t[0])), unit_names(run.mlp.layer_sizes)
    for weight in run.all_weights():
        (_, formula), (_, answer) = stage_formulas(STAGES[3], step, weight, run, names)
        before, after = worked(formula) or ("", "")
        assert value(before.split(" - ")[0]) != value(after)
        was, told = re.findall(r"y: (.*) \\rightarrow (.*?) \\qquad", answer)[0]
        assert value(was) != value(told)


def plain(shown: str) -> Decimal:
    """A number as people write it."""
    raised = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    mantissa, _, power = shown.replace("−", "-").replace(",", "").partition(" × 10")
    return Decimal(mantissa) * Decimal(10) ** int(power.translate(raised) or 0)


@pytest.mark.parametrize("settings", SHOWN)
def test_the_table_of_gradients_is_a_table_of_products(settings: RunSettings) -> None:
    run = Run(settings, learning_rate=0.01)
    run.advance(1000)
    x, t = run.next_example
    step, names = dry_run(run, x, float(t[0])), unit_names(run.mlp.layer_sizes)
    for layer in range(len(step.gradients)):
        table = gradient_table(step, layer, names)
        deltas = [plain(cell) for cell in table.iloc[0]]
        for label, *cells in table.iloc[1:].itertuples():
            came_in = plain(label.split(" = ")[1])
            for delta, cell in zip(deltas, cells, strict=True):
                assert f"{float(came_in * delta):.4g}" == f"{float(plain(cell)):.4g}"


def test_the_proof_shows_all_decimals_in_which_the_two_differ() -> None:
    run = Run(RunSettings(bias=True))
    run.advance(3000)
    x, t = run.next_example
    check = check_gradient(run, x, float(t[0]))
    table = proof_table(check, weight_names(run))
    for _, row in table.iterrows():
        shown = {name: Decimal(row[name]) for name in ("backpropagated", "measured", "difference")}
        assert abs(shown["backpropagated"] - shown["measured"]) == shown["difference"]
        assert "e" not in "".join(row.astype(str)).lower().replace("answer", "").replace("bias", "")
    assert max(map(float, table["difference"])) == pytest.approx(
        check.largest_difference, abs=2e-13
    )
    np.testing.assert_allclose(
        table["backpropagated"].astype(float), check.backpropagated, atol=1e-13
    )


def test_the_answer_is_off_by_what_the_numbers_beside_it_differ() -> None:
    at = opened(bp_n="40")
    press(at, "train")
    for _ in range(6):
        press(at, "one_example")
        said = re.search(
            r"answers \*\*(.*)\*\*. Right is \*\*(.*)\*\*, so it is off by (.*)\.", words(at)
        )
        assert said
        answer, right, off = (plain(text.replace("\\", "")) for text in said.groups())
        assert off == answer - right


def test_the_gradient_is_proved_on_the_page() -> None:
    at = opened(bp_look="Prove the gradient")
    assert "agree" in at.success[0].value
    assert len(at.dataframe[0].value) == 15


def test_it_can_be_taken_away() -> None:
    at = opened(bp_look="Take away", bp_lr="0.3")
    assert "learning_rate=0.3" in at.code[1].value
    assert "bp_lr=0.3" in at.code[0].value


@pytest.mark.parametrize("task", ["sum", "product", "difference", "mean", "xor", "sine", "own"])
@pytest.mark.parametrize("shown", ["error", "answer", "truth"])
def test_every_task_has_a_map(task: str, shown: str) -> None:
    at = opened(bp_task=task, bp_map=shown)
    assert not at.error
    assert len(at.get("plotly_chart")) == 1


def test_what_the_map_shows_is_what_is_chosen_above_it() -> None:
    at = opened(bp_map="truth")
    chosen = at.segmented_control(key="bp_map")
    assert (chosen.options, chosen.value) == (["error", "answer", "truth"], "truth")
    at.selectbox(key="bp_task").set_value("own").run()
    chosen = at.segmented_control(key="bp_map")
    # Between own numbers nobody knows the truth, nor the error.
    assert (chosen.options, chosen.value) == (["answer"], "answer")
    drawn = json.loads(at.get("plotly_chart")[0].proto.spec)["data"][0]
    assert drawn["colorbar"]["title"]["text"] == chosen.value


@pytest.mark.parametrize("look", ["Error map", "Slow motion", "Prove the gradient", "Take away"])
def test_numbers_beyond_all_numbers_are_said_in_words(look: str) -> None:
    at = opened(bp_act="identity", bp_high="5", bp_lr="10", bp_n="200", bp_speed="flat out",
                bp_look=look)  # fmt: skip
    state(at).tick("flat out")
    at.run()
    assert state(at).run.broken
    said = texts(at) + " ".join(code.value for code in at.code).split("print(")[-1]
    assert not re.search(r"\b(nan|inf)\b|not a number|e[+-]\d\d", said, re.IGNORECASE), said
    assert "beyond what a computer can hold" in said


def test_own_numbers_of_other_widths() -> None:
    at = opened(bp_task="own", bp_table="1,2,3,4\n0.1,0.2,0.3,0.4")
    assert state(at).run.mlp.layer_sizes == (3, 5, 1)
    assert [n.key for n in at.number_input if n.key.startswith("bp_q")] == [
        "bp_q1", "bp_q2", "bp_q3",
    ]  # fmt: skip
    assert "needs a network with two inputs" in at.info[0].value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bp_task": "own", "bp_table": "1,2\n3,<b>x</b>"}, "which is not a number"),
        ({"bp_task": "own", "bp_table": ""}, "0 rows of numbers"),
        ({"bp_low": "0.6"}, "The range from 0.6 to 0.5 is empty"),
    ],
)
def test_bad_settings_are_one_plain_sentence(settings: dict[str, str], message: str) -> None:
    at = opened(**settings)
    assert len(at.error) == 1
    assert message in at.error[0].value.replace("\\", "")


def test_trouble_comes_with_a_remedy() -> None:
    at = opened(bp_task="difference", bp_n="50")
    assert "cannot be reached" in at.warning[0].value
    assert "identity output" in at.warning[0].value


def test_numbers_that_grow_beyond_all_bounds_stop_it_and_are_told() -> None:
    index = max(range(len(EXPERIMENTS)), key=lambda i: EXPERIMENTS[i].learning_rate)
    at = opened()
    press(at, f"experiment_{index}")
    state(at).run.advance(10**6)
    assert state(at).run.broken
    at.run()
    assert not state(at).training
    assert "until the computer could not hold them" in at.warning[0].value


def test_two_sessions_are_apart() -> None:
    one, two = opened(), opened()
    press(one, "one_epoch")
    assert state(one).run.epoch == 1
    assert state(two).run.epoch == 0


def test_what_travels_is_small_even_for_the_largest_network() -> None:
    run = Run(RunSettings(hidden=(8, 8, 8), bias=True, examples=10), epochs=2000)
    while not run.finished:
        run.advance(50)
    for budget in (BUDGET, LIVE_BUDGET):
        snapshots = Packer().snapshots(run, [0.3, 0.1], 0.4, budget)
        size = sum(len(str(snapshot)) for snapshot in snapshots)
        assert size < max(budget, 45_000) * 1.05
        assert snapshots[-1][0] == run.seen
        assert snapshots[0][0] == 0


def test_what_is_packed_is_forgotten_with_the_runs_snapshots() -> None:
    run, packer = Run(RunSettings(examples=4), epochs=2000), Packer()
    while not run.finished:
        run.advance(4)
        packer.snapshots(run, [0.3, 0.1], 0.4)
        assert len(packer.packed) <= len(run.snapshots) <= MAX_SNAPSHOTS
    assert all(
        snapshot is kept
        for snapshot in run.snapshots
        for kept, _ in [packer.packed.get(snapshot.seen, (snapshot, None))]
    )


def test_packed_snapshots_hold_weights_then_what_the_question_does() -> None:
    import base64

    run = Run(RunSettings())
    run.advance(3)
    packed: list[Any] = Packer().snapshots(run, [0.3, 0.1], 0.4)[-1]
    row = np.frombuffer(base64.b64decode(packed[-1]), "<f4")
    expected = np.concatenate(
        [*(w.ravel() for w in run.mlp.weights), dry_run(run, [0.3, 0.1], 0.4).inside()]
    )
    np.testing.assert_allclose(row, expected, rtol=1e-6)


def test_every_weight_has_a_name() -> None:
    run = Run(RunSettings(hidden=(2, 2), bias=True))
    labels = weight_names(run)
    assert len(set(labels)) == len(labels) == len(run.all_weights()) == 4 + 4 + 2 + 5
    assert labels[0] == "a → h1.1"
    assert labels[-1] == "bias of answer"


def test_who_learns_in_a_crowd_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(playground, "_shown", {})
    monkeypatch.setattr(playground.time, "monotonic", lambda: now[0])
    runs = [Playground(Run(RunSettings(), epochs=50), drawn=True) for _ in range(8)]
    asked: list[float] = []
    for each in runs:
        monkeypatch.setattr(
            each.run, "advance", lambda _, seconds: asked.append(seconds) or 0, raising=False
        )
    alone = runs[0]
    assert alone.interval() == pytest.approx(0.1)
    now[0] += 0.1
    alone.tick("flat out")
    assert asked == [0.06]
    assert not alone.refresh
    assert [each.interval() for each in runs[1:]] == pytest.approx([0.2, 0.3, 0.4] + [0.5] * 4)
    alone.tick("flat out")
    assert alone.refresh, "it was told to come ten times a second"
    asked.clear()
    for each in runs:
        each.tick("flat out")
    # All together, and each twice a second, for at most three tenths of a processor.
    assert sum(asked) * 2 == pytest.approx(0.3)
    now[0] += 10  # the others have gone
    assert alone.interval() == pytest.approx(0.1)
    alone.pause()
    assert alone.interval() is None
