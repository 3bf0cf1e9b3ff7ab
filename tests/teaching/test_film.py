"""Stretches of a run for the film: the run's own numbers, whole epochs, bounds, problems."""

import numpy as np
import pytest

from genrekit.teaching.film import make_stretch
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import Run
from genrekit.teaching.settings import RunSettings

LONG = 60.0


def little(**changes: object) -> RunSettings:
    return RunSettings(**{"examples": 40, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("grain", "batch"), [(1, 1), (7, 1), (40, 1), (100, 1), (7, 8)])
def test_a_film_has_the_numbers_of_the_run(grain: int, batch: int) -> None:
    filmed, alone = (Run(little(batch_size=batch), epochs=5) for _ in range(2))
    stretch = make_stretch(filmed, grain, 1000, LONG)
    assert filmed.finished
    for seen, mse, held, *parameters in stretch.moments:
        alone.advance(int(seen) - alone.seen)
        now = alone.moment()
        np.testing.assert_array_equal(parameters, now.parameters)
        assert mse == pytest.approx(now.mse, rel=1e-12, nan_ok=True)
        np.testing.assert_array_equal(held, now.held_out_mse)
    seen = stretch.moments[:, 0]
    assert (seen[0], seen[-1]) == (0, 200)
    # Each epoch's end is in it, unless a moment stands for several.
    if grain <= 40:
        assert set(range(0, 201, 40)) <= set(seen)
    assert stretch.epochs == filmed.history


def test_stretches_continue_each_other_and_obey_their_bounds() -> None:
    run = Run(little(), epochs=50)
    first = make_stretch(run, 10, 21, LONG)
    assert len(first.moments) == 21
    second = make_stretch(run, 10, 1000, LONG)
    np.testing.assert_array_equal(first.moments[-1], second.moments[0])
    assert first.epochs + second.epochs == run.history
    slow = Run(RunSettings(examples=5000, hidden=(8, 8, 8)), epochs=2000)
    assert len(make_stretch(slow, 1, 10**6, 0.05).moments) < 10**5
    assert not slow.finished


def test_the_first_examples_can_be_stepped_through() -> None:
    seen = make_stretch(Run(little()), 13, 30, LONG, steps=20).moments[:, 0]
    np.testing.assert_array_equal(seen[:22], [*range(21), 33])


def test_a_problem_is_told_from_the_moment_it_shows() -> None:
    twins = next(e for e in EXPERIMENTS if e.title == "All alike")
    assert [f.kind for f in make_stretch(Run(twins.settings), 100, 2, LONG).findings[0][1]] == [
        "twins"
    ]
    fast = next(e for e in EXPERIMENTS if e.title == "Too fast")
    run = Run(fast.settings, learning_rate=fast.learning_rate)
    stretch = make_stretch(run, 10, 1000, LONG)
    assert run.broken
    # What is shown is finite up to the end, where the problem is told.
    assert np.isfinite(stretch.moments[:, 3:]).all()
    seen, found = stretch.findings[-1]
    assert seen == stretch.moments[-1, 0]
    assert [finding.kind for finding in found] == ["overflow"]
    assert stretch.findings[0][1] == []


def test_a_broken_run_has_no_moment() -> None:
    run = Run(little(activation="identity", high=5.0), learning_rate=10.0)
    run.advance(10**6)
    stretch = make_stretch(run, 10, 1000, LONG)
    assert len(stretch.moments) == len(stretch.epochs) == 0
