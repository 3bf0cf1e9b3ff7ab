"""The backprop page without a browser: settings, controls, panels, links and refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from genrekit.app import playground
from genrekit.app.network_view import BUDGET, LIVE_BUDGET, Packer, unit_names, weight_names
from genrekit.app.playground import Playground
from genrekit.app.playground_formulas import STAGES, stage_formulas
from genrekit.experiments import EXPERIMENTS
from genrekit.insight import look, rehearse
from genrekit.playground import Run, Weight
from genrekit.run_settings import RunSettings

PAGE = str(Path(__file__).parent.parent / "pages/learn/backprop.py")


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
    step = rehearse(run, [0.2, 0.1], 0.3)
    names = unit_names(run.mlp.layer_sizes)
    formulas = stage_formulas(STAGES[0], step, Weight(0, 1, 3), run, names)
    assert "+ (-0.25)" in formulas[0][1]


@pytest.mark.parametrize("lines", ["weights", "gradients"])
def test_a_link_holds_what_the_lines_show(lines: str) -> None:
    assert opened(bp_lines=lines).session_state["bp_lines"] == lines


def test_slow_motion_shows_the_rehearsed_numbers() -> None:
    run = Run(RunSettings())
    names = unit_names(run.mlp.layer_sizes)
    x, t = run.next_example
    step = rehearse(run, x, float(t[0]))
    weight = Weight(0, 1, 3)

    def shown(stage: str) -> str:
        return " ".join(f for _, f in stage_formulas(stage, step, weight, run, names))

    assert f"{step.net_inputs[0][0, 3]:.4g}" in shown(STAGES[0])
    assert f"{step.loss:.4g}" in shown(STAGES[1])
    # Exponents are written out, so plain figures are compared where they are not tiny.
    assert f"{step.deltas[1][0, 0]:.4g}" in shown(STAGES[2]) or step.deltas[1][0, 0] < 1e-3
    assert f"{step.weights_before[0][1, 3]:.4g}" in shown(STAGES[3])
    assert f"{step.weights_after[0][1, 3]:.4g}" in shown(STAGES[3])


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
        frames = Packer().frames(run, [0.3, 0.1], 0.4, budget)
        size = sum(len(str(frame)) for frame in frames)
        assert size < max(budget, 45_000) * 1.05
        assert frames[-1][0] == run.seen
        assert frames[0][0] == 0


def test_packed_frames_hold_weights_then_what_the_question_does() -> None:
    import base64

    run = Run(RunSettings())
    run.advance(3)
    packed: list[Any] = Packer().frames(run, [0.3, 0.1], 0.4)[-1]
    row = np.frombuffer(base64.b64decode(packed[-1]), "<f4")
    expected = np.concatenate(
        [*(w.ravel() for w in run.mlp.weights), look(run, [0.3, 0.1], 0.4).flat()]
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
