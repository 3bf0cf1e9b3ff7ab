"""The commentary on a training run: each sentence is checked against its curves."""

import math
import re

import numpy as np
import pytest

from genrekit.training.commentary import PATIENCE, narrate


def run(valid, train=None, accuracies=(0.6, 0.55)):
    """Epochs with these losses, and these accuracies in the last."""
    train = np.linspace(2, 0.5, len(valid)) if train is None else train
    trained, held_out = accuracies
    return [
        {
            "train_loss": float(t),
            "valid_loss": None if v is None else float(v),
            "train_accuracy": trained,
            "valid_accuracy": held_out,
        }
        for t, v in zip(train, valid, strict=True)
    ]


FLAT = [2.0, 1.5, 1.0] + [1.01] * PATIENCE


def test_a_run_at_its_lowest_held_out_loss_is_learning():
    """With constant training losses, as 4 epochs of a slow run have."""
    slow = np.linspace(1.30, 1.29, 30)
    said = narrate(run(slow, train=slow))
    assert said.startswith("**It is learning:** the loss on held-out music is at its lowest")
    assert "1.29" in said


def test_a_run_with_a_recent_low_is_still_learning():
    said = narrate(run([2.0, 1.5, 1.0] + [1.2] * (PATIENCE - 1)))
    assert said == "**It is learning:** the loss on held-out music was lowest in epoch 3 (1.00)."


def test_a_run_without_a_recent_low_has_levelled_off():
    said = narrate(run(FLAT))
    assert said.startswith("**It has levelled off:**")
    assert "lowest in epoch 3 (1.00), and no epoch since has set a new low" in said


def test_a_held_out_loss_that_rises_while_the_training_loss_falls_is_memorising():
    train = [2, 1.8, 1.6] + [0.5] * PATIENCE
    said = narrate(run([2.0, 1.5, 1.0] + [1.3] * PATIENCE, train))
    assert said.startswith("**It is memorising:**")
    assert "lowest in epoch 3 (1.00) and is 30% higher now" in said
    assert re.search(r"training music fell from 1\.60 to 0\.50", said)


def test_two_rising_losses_are_not_memorising():
    said = narrate(run([2.0, 1.5, 1.0] + [1.3] * PATIENCE, train=[2, 1.5, 1] + [1.2] * PATIENCE))
    assert said.startswith("**It is getting worse:**")


@pytest.mark.parametrize("valid", [FLAT, [2.0, 1.5, 1.0] + [1.3] * PATIENCE])
def test_nothing_is_foretold_while_the_learning_rate_falls(valid):
    said = narrate(run(valid), steady=False)
    assert said.startswith("**Its steps still get smaller:** the loss on held-out music was lowest")
    assert "in epoch 3 (1.00); a new low may come" in said


@pytest.mark.parametrize("valid", [FLAT, np.linspace(2, 1, 20), [2, 1.5, 1] + [1.3] * PATIENCE])
def test_a_gap_is_reported_whatever_the_trend(valid):
    assert "on 95% of the training segments and on 60% of the held-out ones: a gap of 35" in (
        narrate(run(valid, accuracies=(0.95, 0.6)))
    )
    assert "gap" not in narrate(run(valid, accuracies=(0.62, 0.6)))
    assert "gap" not in narrate(run(valid, accuracies=(0.5, 0.6)))


def test_before_there_is_anything_to_say():
    assert narrate(run([2.0, 1.0])).startswith("**It has only begun.**")
    for nothing in (None, math.nan):
        held_out = narrate(run([nothing] * 5, accuracies=(0.9, nothing)))
        assert held_out.startswith("**Nothing is held out,**")


def test_no_sentence_contains_an_unreadable_number():
    for valid in (FLAT, [2.0, 1.0, 3.0, 1e30]):
        assert not re.search(r"nan|inf|e[+-]\d", narrate(run(valid)))
