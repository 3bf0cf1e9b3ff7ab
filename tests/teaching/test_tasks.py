"""The tasks of the playground: their answers, their noise and what they refuse."""

import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.teaching.tasks import TASKS, make_task


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sum", lambda a, b: a + b),
        ("product", lambda a, b: a * b),
        ("difference", lambda a, b: a - b),
        ("mean", lambda a, b: (a + b) / 2),
        ("xor", lambda a, b: float((a > 1) != (b > 1))),
        ("sine", lambda a, b: 0.5 + 0.5 * np.sin(2 * np.pi * (a + b))),
    ],
)
def test_tasks(name, answer):
    x, t = make_task(name, 200, low=-1, high=3, seed=4)
    assert x.shape == (200, 2)
    assert t.shape == (200, 1)
    assert x.min() >= -1
    assert x.max() < 3
    assert x.max() > 2.8
    np.testing.assert_allclose(t[:, 0], [answer(a, b) for a, b in x])
    assert set(TASKS) == {"sum", "product", "difference", "mean", "xor", "sine"}


def test_noise_is_added_to_targets_only():
    x, t = make_task("sum", 5000, noise=0.2, seed=1)
    clean_x, clean_t = make_task("sum", 5000, seed=1)
    assert (x == clean_x).all()
    assert (t - clean_t).std() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"count": 0}, "count is 0: use a whole number of at least 1"),
        ({"low": 1, "high": 1}, "The range from 1 to 1 is empty"),
        ({"noise": -1}, "noise is -1: use a number of at least 0"),
    ],
)
def test_impossible_tasks_are_refused(arguments, match):
    with pytest.raises(SettingsError, match=match):
        make_task("sum", **arguments)


def test_unknown_task():
    with pytest.raises(SettingsError, match='task "quotient": use one of sum'):
        make_task("quotient")
