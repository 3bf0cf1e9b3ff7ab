"""The playground's runs: the course's figures, portions, changes, take-aways and warnings."""

import csv
import io
import json
import math
import re
from typing import Any

import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.teaching.diagnosis import diagnose
from genrekit.teaching.examples import parse_table
from genrekit.teaching.export import history_csv, network_json, run_script
from genrekit.teaching.inspect_run import (
    ask,
    check_gradient,
)
from genrekit.teaching.mlp import MLP
from genrekit.teaching.presets import EXPERIMENTS, Experiment
from genrekit.teaching.run import MAX_SNAPSHOTS, Run, Weight
from genrekit.teaching.settings import LIMITS, RunSettings
from genrekit.teaching.tasks import make_task

ALL = 10**9


@pytest.fixture(scope="module")
def course() -> Run:
    run = Run(RunSettings())
    run.advance(ALL)
    return run


def little(**changes: object) -> RunSettings:
    return RunSettings(**{"examples": 40, **changes})  # type: ignore[arg-type]


# -- learning -------------------------------------------------------------------------------


def test_the_default_run_shows_the_courses_figures(course: Run) -> None:
    error = [record.mse for record in course.history]
    assert len(error) == 50
    assert 0.05 <= error[0] <= 0.06
    assert error[1] == pytest.approx(0.045, abs=0.006)
    assert error[10] == pytest.approx(0.028, abs=0.003)
    assert error[19] == pytest.approx(0.0073, abs=0.001)
    assert error[24] == pytest.approx(0.0043, abs=0.0015)
    assert error[49] < 0.0005
    reply = ask(course, [0.3, 0.1])
    assert abs(reply.answer - 0.4) < 0.02
    assert reply.truth == pytest.approx(0.4)
    assert not reply.outside
    assert diagnose(course) == []


def test_a_run_is_the_plain_network_trained_on_the_plain_task() -> None:
    settings = little(hidden=(4, 3), batch_size=3, bias=True, init="symmetric", activation="tanh")
    run = Run(settings, learning_rate=0.2, epochs=3)
    run.advance(ALL)
    inputs, targets = make_task("sum", 40, seed=np.random.default_rng([11, 0]))
    mlp = MLP(
        2, [4, 3], 1, activation="tanh", bias=True, init="symmetric",
        seed=np.random.default_rng([11, 1]),
    )  # fmt: skip
    reports = list(mlp.train(inputs, targets, epochs=3, learning_rate=0.2, batch_size=3))
    for mine, plain in zip(run.mlp.weights, mlp.weights, strict=True):
        np.testing.assert_array_equal(mine, plain)
    assert [r.mse for r in run.history] == pytest.approx([r.mse for r in reports], rel=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 40, 64])
def test_portions_do_not_change_the_numbers(batch: int) -> None:
    whole, parts = (Run(little(batch_size=batch), epochs=4) for _ in range(2))
    whole.advance(ALL)
    while not parts.finished:
        parts.advance(3)
    for a, b in zip(whole.mlp.weights, parts.mlp.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.seen == parts.seen == 160


def test_advance_moves_by_whole_batches() -> None:
    run = Run(little(batch_size=8))
    assert run.advance(1) == 8
    assert run.advance(20) == 24
    assert run.advance(ALL) == 40 * 50 - 32
    assert run.finished
    assert run.advance(1) == 0


def test_held_out_mse_is_measured_on_other_examples(course: Run) -> None:
    last = course.history[-1]
    assert last.held_out_mse == pytest.approx(
        float(np.mean((course.held_targets - course.mlp.forward(course.held_inputs)) ** 2))
    )
    assert not (course.held_inputs[:, None] == course.inputs[None]).all(axis=2).any()


def test_a_learning_rate_takes_effect_at_once_without_a_restart() -> None:
    run = Run(little(), epochs=10)
    run.advance(40)
    before = run.mlp.weights[0].copy()
    x, t = run.next_example
    by_hand = run.network().step(x, t).gradients[0]
    run.learning_rate = 0.9
    run.advance(1)
    np.testing.assert_allclose(run.mlp.weights[0] - before, -0.9 * by_hand, atol=1e-15)
    assert run.epoch == 1
    with pytest.raises(SettingsError, match="Learning rate is 0.0"):
        run.learning_rate = 0.0


def test_more_epochs_continue_a_finished_run() -> None:
    run = Run(little(), epochs=2)
    run.advance(ALL)
    assert run.finished
    run.epochs = 5
    assert run.advance(ALL) == 120


def test_snapshots_are_thinned_and_keep_both_ends() -> None:
    run = Run(RunSettings(examples=1), epochs=3 * MAX_SNAPSHOTS)
    first = run.snapshots[0].parameters.copy()
    while not run.finished:
        run.advance(1)
    assert MAX_SNAPSHOTS // 2 <= len(run.snapshots) <= MAX_SNAPSHOTS
    np.testing.assert_array_equal(run.snapshots[0].parameters, first)
    assert run.snapshots[-1].seen == run.seen
    seen = [snapshot.seen for snapshot in run.snapshots]
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("batch", [1, 8])
def test_a_run_can_be_had_as_it_was(batch: int) -> None:
    run = Run(little(batch_size=batch), epochs=6)
    moments = []
    for seen in range(0, 240, 8):
        run.advance(seen - run.seen)
        if seen == 56:
            run.set_weight(Weight(0, 1, 2), 3.0)
        if seen == 80:  # at the end of an epoch, of which there is a snapshot
            run.set_weight(Weight(1, 0, 0), -1.0)
            run.learning_rate = 0.5
        moments.append((run.moment(), run.learning_rate, len(run.changes)))
    run.advance(ALL)
    for moment, rate, changes in moments:
        then = run.at(moment.seen)
        np.testing.assert_array_equal(then.moment().parameters, moment.parameters)
        assert then.moment().mse == pytest.approx(moment.mse, rel=1e-12, nan_ok=True)
        assert (then.learning_rate, len(then.changes), then.epochs) == (rate, changes, 6)
        then.advance(ALL)
    # And the run itself stays where it was.
    assert run.seen == 240
    again = run.at(72)
    again.set_weight(Weight(0, 0, 0), 9.0)
    again.advance(ALL)
    assert again.seen == 240
    assert not np.allclose(again.moment().parameters, run.moment().parameters)


# -- a hand on the weights ------------------------------------------------------------------


def test_a_weight_can_be_set_and_changes_the_answer() -> None:
    run = Run(little(bias=True))
    before = ask(run, [0.3, 0.1]).answer
    run.set_weight(Weight(1, 2, 0), 4.5)
    run.set_weight(Weight(0, None, 3), -1.0)
    assert run.mlp.weights[1][2, 0] == 4.5
    assert run.mlp.biases[0][3] == -1.0
    assert ask(run, [0.3, 0.1]).answer != before


def test_of_many_changes_between_two_examples_the_last_is_remembered() -> None:
    run = Run(little())
    for value in range(200):
        run.set_weight(Weight(0, 1, 2), value / 100)
        run.set_weight(Weight(1, 0, 0), 1.0)
    run.advance(1)
    run.learning_rate = 0.3
    run.learning_rate = 0.5
    assert [(change.seen, change.value) for change in run.changes] == [
        (0, 1.99),
        (0, 1.0),
        (1, 0.5),
    ]


@pytest.mark.parametrize(
    "weight", [Weight(0, 2, 0), Weight(2, 0, 0), Weight(0, None, 0), Weight(0, -1, 0)]
)
def test_a_weight_that_is_not_there_is_refused(weight: Weight) -> None:
    with pytest.raises(SettingsError, match="no such weight"):
        Run(little()).set_weight(weight, 1.0)


def test_a_weight_must_be_a_number() -> None:
    with pytest.raises(SettingsError, match="The weight's new value is not a number"):
        Run(little()).set_weight(Weight(0, 0, 0), math.nan)


def test_all_weights_follow_the_order_of_a_snapshot() -> None:
    run = Run(little(hidden=(3, 2), bias=True))
    for i, weight in enumerate(run.all_weights()):
        run.set_weight(weight, i / 10)
    expected = np.arange(len(run.all_weights())) / 10
    np.testing.assert_allclose(run.moment().parameters, expected)


# -- looking inside -------------------------------------------------------------------------


def test_looking_does_not_disturb_the_run() -> None:
    watched, alone = Run(little(), epochs=3), Run(little(), epochs=3)
    while not watched.finished:
        watched.advance(7)
        watched.at(watched.seen // 2)
        watched.network().step([0.3, 0.1], [0.4], 0.1)
        check_gradient(watched, [0.3, 0.1], 0.4)
        ask(watched, [0.3, 0.1])
        diagnose(watched)
    alone.advance(ALL)
    np.testing.assert_array_equal(watched.mlp.weights[0], alone.mlp.weights[0])


def test_a_rehearsal_is_what_learning_does() -> None:
    run = Run(little())
    x, t = run.next_example
    step = run.network().step(x, t, run.learning_rate)
    run.advance(1)
    for weights, promised in zip(run.mlp.weights, step.weights_after, strict=True):
        np.testing.assert_array_equal(weights, promised)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "identity"])
def test_the_gradient_is_proved(activation: str) -> None:
    run = Run(little(hidden=(4, 3), activation=activation, bias=True, init="symmetric"))
    run.advance(60)
    check = check_gradient(run, [0.35, 0.15], 0.5)
    assert len(check.weights) == len(check.numerical) == 8 + 12 + 3 + 8
    assert np.abs(check.backpropagated).max() > 1e-4
    assert check.largest_difference < 1e-8


def test_the_proof_notices_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(little())
    monkeypatch.setattr(MLP, "backward", lambda m, error: [g.fill(0) for g in m.gradients])
    assert check_gradient(run, [0.3, 0.1], 0.4).largest_difference > 1e-4


def test_it_is_right_where_it_was_trained_and_wrong_far_away(course: Run) -> None:
    inside = np.random.default_rng(0).uniform(0, 0.5, (100, 2))
    assert np.mean([abs(ask(course, pair).error or 0) for pair in inside]) < 0.03
    # The truth is 2, and a sigmoid stays below 1.
    assert (ask(course, [1.0, 1.0]).error or 0) > 1.0


def test_questions_beyond_the_training_range_are_marked(course: Run) -> None:
    assert ask(course, [0.9, 0.1]).outside
    assert ask(course, [0.2, -0.1]).outside
    assert not ask(course, [0.0, 0.5]).outside


# -- warnings -------------------------------------------------------------------------------


def ran(experiment: Experiment) -> Run:
    run = Run(experiment.settings, learning_rate=experiment.learning_rate, epochs=experiment.epochs)
    run.advance(ALL)
    return run


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("A ceiling at 1", "unreachable"),
        ("XOR, no hidden layer", "no progress"),
        ("Too fast", "overflow"),
        ("Dead units", "dead"),
        ("All alike", "twins"),
    ],
)
def test_experiments_fail_as_they_promise(title: str, kind: str) -> None:
    run = ran(next(e for e in EXPERIMENTS if e.title == title))
    findings = diagnose(run)
    assert kind in [f.kind for f in findings]
    assert all(f.message and f.remedy for f in findings)


def test_the_solved_xor_is_solved() -> None:
    run = ran(next(e for e in EXPERIMENTS if e.title == "XOR, solved"))
    assert run.history[-1].mse < 0.05
    assert diagnose(run) == []
    corners = ([0.1, 0.1], [0.1, 0.9], [0.9, 0.1], [0.9, 0.9])
    assert [round(ask(run, corner).answer) for corner in corners] == [0, 1, 1, 0]


def test_an_overflow_stops_the_run() -> None:
    run = Run(little(activation="identity", high=5.0), learning_rate=10.0)
    run.advance(ALL)
    assert run.broken
    assert run.finished
    assert run.seen < 40 * 50
    assert check_gradient(run, [0.1, 0.1], 0.2) is not None
    # Numbers that overflowed become null: NaN is not JSON.
    saved = json.loads(network_json(run), parse_constant=pytest.fail)
    assert saved["mse"] is None or math.isfinite(saved["mse"])


def test_a_run_that_broke_tells_no_numbers_that_are_none(run_python: Any) -> None:
    run = Run(little(activation="identity", high=5.0), learning_rate=10.0)
    run.advance(ALL)
    assert ask(run, [0.1, 0.1]).answer is None
    assert ask(run, [0.1, 0.1]).error is None
    assert all(math.isfinite(record.mse) for record in run.history)
    assert all(math.isfinite(record.held_out_mse or 0) for record in run.history)
    done = run_python("-c", run_script(run))
    assert done.returncode == 0, done.stderr
    told = done.stdout + history_csv(run) + " ".join(f.message for f in diagnose(run))
    assert "could not hold them" in done.stdout
    assert not re.search(r"\b(nan|inf)\b", told)


@pytest.mark.parametrize(("count", "said"), [(1, "1 of 6 units is"), (2, "2 of 6 units are")])
def test_units_in_trouble_are_counted_in_grammar(count: int, said: str) -> None:
    for activation, kind, value in (("relu", "dead", -900.0), ("sigmoid", "saturated", 900.0)):
        run = Run(little(activation=activation, output_activation="identity"))
        for unit in range(count):
            for source in (0, 1):
                run.set_weight(Weight(0, source, unit), value)
        finding = next(f for f in diagnose(run) if f.kind == kind)
        assert finding.message.startswith(f"{said} {kind}:")


def test_a_unit_that_answers_to_a_single_example_is_not_dead() -> None:
    rows = "\n".join(f"{-1 - i / 1000},{i % 2}" for i in range(601))
    run = Run(RunSettings(task="own", table=rows + "\n5,1", hidden=(1,), activation="relu"))
    run.set_weight(Weight(0, 0, 0), 1.0)
    run.set_weight(Weight(1, 0, 0), 1.0)
    assert "dead" not in [f.kind for f in diagnose(run)]
    run.set_weight(Weight(0, 0, 0), 0.0)
    assert "dead" in [f.kind for f in diagnose(run)]


def test_saturated_units_are_noticed() -> None:
    run = Run(little())
    for source in (0, 1):
        for unit in (0, 1):
            run.set_weight(Weight(0, source, unit), 900.0)
    finding = diagnose(run)[0]
    assert finding.kind == "saturated"
    assert "2 of 6" in finding.message


def too_large_steps(run: Run) -> list[str]:
    return [f.message for f in diagnose(run) if f.kind == "exploding"]


def test_a_rising_error_is_blamed_on_the_steps() -> None:
    run = Run(RunSettings(examples=200, output_activation="identity"), epochs=40)
    run.advance(20 * 200)
    assert not too_large_steps(run)
    run.learning_rate = 2.0
    run.advance(200)
    assert "The error rose from 0.00469 to 0.945" in too_large_steps(run)[0]


@pytest.mark.parametrize("seen", [30 * 200, 30 * 200 + 1, 30 * 200 + 150])
def test_an_error_that_rises_with_weights_edited_by_hand_is_not(seen: int) -> None:
    run = Run(RunSettings(examples=200, output_activation="identity"), epochs=40)
    run.advance(seen)
    lowest = run.history[-1].mse
    for unit in (0, 1):
        run.set_weight(Weight(1, unit, 0), 10.0)
    for _ in range(3):
        run.advance(200)
        assert not too_large_steps(run)
    assert max(record.mse for record in run.history[30:]) > 4 * lowest
    run.learning_rate = 5.0  # now the steps do it
    run.advance(2 * 200)
    assert too_large_steps(run)


def test_a_step_cannot_learn() -> None:
    assert "no slope" in [f.kind for f in diagnose(Run(little(activation="step")))]


# -- taking it away -------------------------------------------------------------------------


def test_the_json_holds_the_network(course: Run) -> None:
    saved = json.loads(network_json(course))
    a = np.array([0.3, 0.1])
    for weights in saved["weights"]:
        a = 1 / (1 + np.exp(-(a @ np.array(weights))))
    assert a[0] == pytest.approx(ask(course, [0.3, 0.1]).answer, abs=1e-15)
    assert saved["activations"] == ["sigmoid", "sigmoid"]


def test_the_csv_holds_the_run(course: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(history_csv(course))))
    assert [float(row["mse"]) for row in rows] == [r.mse for r in course.history]
    assert float(rows[-1]["held_out_mse"]) == course.history[-1].held_out_mse
    assert rows[7]["epoch"] == "7"


def test_the_script_repeats_the_run_with_every_change(run_python: Any) -> None:
    run = Run(little(hidden=(3,), batch_size=4, noise=0.01), epochs=6)
    run.advance(52)
    run.learning_rate = 0.7
    run.advance(30)
    run.set_weight(Weight(0, 1, 2), -1.25)
    run.advance(ALL)
    done = run_python("-c", run_script(run))
    assert done.returncode == 0, done.stderr
    out = done.stdout.splitlines()
    assert out[:-1] == [f"epoch {r.epoch}: mean squared error {r.mse:.6f}" for r in run.history]
    question = [round(float(v), 6) for v in run.inputs[0]]
    assert out[-1].endswith(f": {ask(run, question).answer:.6f}")


def test_the_script_carries_own_numbers_safely() -> None:
    table = "'''\\,\"\n" + "\n".join(f"{i / 10},{i / 20}" for i in range(8))
    run = Run(RunSettings(task="own", table=table), epochs=2)
    run.advance(ALL)
    names: dict[str, object] = {}
    exec(compile(run_script(run), "run.py", "exec"), names)
    twin = names["run"]
    assert isinstance(twin, Run)
    np.testing.assert_array_equal(twin.mlp.weights[0], run.mlp.weights[0])


# -- own numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "0.1,0.2,0.3\n0.4,0.5,0.9",
        "a, b, c\n0.1, 0.2, 0.3\n\n0.4, 0.5, 0.9\n",
        "0,1;0,2;0,3\r\n0,4;0,5;0,9",
        "0.1\t0.2\t0.3\n0.4\t0.5\t0.9",
        "0.1 0.2  0.3\n.4 5e-1 .9",
    ],
)
def test_tables_are_read_however_they_are_written(text: str) -> None:
    inputs, targets = parse_table(text)
    np.testing.assert_allclose(inputs, [[0.1, 0.2], [0.4, 0.5]])
    np.testing.assert_allclose(targets, [[0.3], [0.9]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 rows of numbers"),
        ("1,2", "has 1 row of numbers"),
        ("1,2\n3,x", 'Line 2 holds "x"'),
        ("1,2\n3,nan", 'Line 2 holds "nan"'),
        ("1,2\n3", "Line 2 has 1 number where the first has 2"),
        ("1\n2", "1 column:"),
        (("1," * 9 + "1\n") * 2, "10 columns"),
        ("1,2\n3,1e9", "holds 1 × 10⁹: use numbers up to 1,000,000"),
        ("1,2\n" * 1001, "1,001 rows"),
        ("1.000000,2.00000\n" * 900, "15,300 characters"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_table(text)


def test_own_numbers_are_learned_and_every_fifth_row_held_out() -> None:
    rows = "\n".join(f"{i / 100},{(i * 7 % 100) / 100},{i / 200}" for i in range(100))
    run = Run(
        RunSettings(task="own", table=rows, activation="tanh", bias=True, init="xavier"),
        epochs=60,
    )
    assert len(run.inputs) == 80
    assert len(run.held_inputs) == 20
    run.advance(ALL)
    assert run.history[-1].held_out_mse is not None
    assert run.history[-1].held_out_mse < 0.1 * np.var(run.targets)
    reply = ask(run, [0.5, 0.5])
    assert reply.truth is None
    assert reply.error is None
    assert ask(run, [5.0, 0.5]).outside


def test_without_enough_own_rows_none_are_held_out() -> None:
    run = Run(RunSettings(task="own", table="1,2\n3,4"), epochs=1)
    run.advance(ALL)
    assert run.history[0].held_out_mse is None
    assert "0,1." not in history_csv(run)


# -- settings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "chess"}, "Unknown task"),
        ({"activation": "softplus"}, "Unknown activation"),
        ({"output_activation": "x"}, "Unknown output activation"),
        ({"init": "ones"}, "Unknown weight initialisation"),
        ({"hidden": (9,)}, "A hidden layer's size is 9: use a whole number from 1 to 8"),
        ({"hidden": (0,)}, "A hidden layer's size is 0"),
        ({"hidden": (2, 2, 2, 2)}, "The number of hidden layers is 4: use .* from 0 to 3"),
        ({"examples": 0}, "examples is 0: use a whole number from 1 to 5000"),
        ({"batch_size": LIMITS.examples + 1}, "batch size"),
        ({"seed": -1}, "seed is -1: use a whole number of at least 0"),
        ({"noise": math.nan}, "noise is not a number"),
        ({"low": 0.5}, "is empty"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RunSettings(**changes)  # type: ignore[arg-type]
