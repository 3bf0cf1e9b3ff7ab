"""Stretches of a run for the film: the run's own numbers, whole epochs, bounds, problems."""

import numpy as np
import pytest

from genrekit.teaching.film import even_grain, make_stretch
from genrekit.teaching.presets import EXPERIMENTS
from genrekit.teaching.run import Run
from genrekit.teaching.settings import RunSettings

ALL = 10**9


def little(**changes: object) -> RunSettings:
    return RunSettings(**{"examples": 40, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("grain", "batch"), [(1, 1), (7, 1), (40, 1), (100, 1), (7, 8)])
def test_a_film_has_the_numbers_of_the_run(grain: int, batch: int) -> None:
    filmed, alone = (Run(little(batch_size=batch), epochs=5) for _ in range(2))
    stretch = make_stretch(filmed, grain, 1000, ALL)
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
    first = make_stretch(run, 10, 21, ALL)
    assert len(first.moments) == 21
    second = make_stretch(run, 10, 1000, ALL)
    np.testing.assert_array_equal(first.moments[-1], second.moments[0])
    assert first.epochs + second.epochs == run.history
    third = make_stretch(Run(little(), epochs=50), 10, 1000, 90)
    assert third.moments[-1, 0] == 90


@pytest.mark.parametrize(
    ("epochs", "most"), [(50, 2000), (50, 20), (7, 30), (1, 1000), (2000, 300)]
)
def test_a_whole_run_has_even_moments_and_no_more_than_asked_for(epochs: int, most: int) -> None:
    run = Run(little(examples=10), epochs=epochs)
    seen = make_stretch(run, even_grain(run, most), most + 1, ALL).moments[:, 0]
    assert run.finished
    assert most / 3 <= len(seen) or len(seen) == 10 * epochs + 1
    assert len(seen) <= most + 1
    assert np.ptp(np.diff(seen)[:-1]) <= 10


def test_the_first_examples_can_be_stepped_through() -> None:
    seen = make_stretch(Run(little()), 13, 30, ALL, steps=20).moments[:, 0]
    np.testing.assert_array_equal(seen[:22], [*range(21), 33])


def test_a_problem_is_told_from_the_moment_it_shows() -> None:
    twins = next(e for e in EXPERIMENTS if e.title == "All alike")
    assert [f.kind for f in make_stretch(Run(twins.settings), 100, 2, ALL).findings[0][1]] == [
        "twins"
    ]
    fast = next(e for e in EXPERIMENTS if e.title == "Too fast")
    run = Run(fast.settings, learning_rate=fast.learning_rate)
    stretch = make_stretch(run, 10, 1000, ALL)
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
    stretch = make_stretch(run, 10, 1000, ALL)
    assert len(stretch.moments) == len(stretch.epochs) == 0
