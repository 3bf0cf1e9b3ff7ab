"""Metrics, checked against scikit-learn and by hand."""

import math

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from genrekit.model.metrics import (
    accuracy,
    choose_candidate_limit,
    choose_threshold,
    confusion_matrix,
    expected_calibration_error,
    fit_temperature,
    interval_in_words,
    mean_by_group,
    precision_recall,
    share_interval,
    softmax,
    wilson_interval,
)


@pytest.fixture
def verdicts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    logits = rng.normal(size=(400, 5)) * 2
    logits[np.arange(400), labels] += 1.5
    return softmax(logits), labels


def test_accuracy(verdicts):
    probabilities, labels = verdicts
    expected = sklearn.metrics.accuracy_score(labels, probabilities.argmax(axis=1))
    assert 0.3 < expected < 0.9
    assert accuracy(probabilities, labels) == pytest.approx(expected)
    assert math.isnan(accuracy(np.empty((0, 3)), np.empty(0, np.int64)))


def test_confusion_has_the_truth_in_its_rows(verdicts):
    probabilities, labels = verdicts
    predicted = probabilities.argmax(axis=1)
    expected = sklearn.metrics.confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, 5), expected)
    by_hand = confusion_matrix(np.array([0, 0, 2]), np.array([1, 1, 2]), 4)
    assert by_hand.tolist() == [[0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_precision_and_recall(verdicts):
    probabilities, labels = verdicts
    predicted = probabilities.argmax(axis=1)
    precision, recall = precision_recall(confusion_matrix(labels, predicted, 5))
    expected = sklearn.metrics.precision_recall_fscore_support(labels, predicted)
    np.testing.assert_allclose(precision, expected[0])
    np.testing.assert_allclose(recall, expected[1])


def test_nothing_counted_is_nan():
    precision, recall = precision_recall(np.array([[3, 0, 1], [2, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(precision, [3 / 5, np.nan, 0])
    np.testing.assert_allclose(recall, [3 / 4, 0, np.nan])


def test_mean_by_group():
    probabilities = np.array([[1, 0], [0.5, 0.5], [0, 1], [0.2, 0.8]])
    mean, labels, names = mean_by_group(
        probabilities, np.array([0, 1, 0, 1]), np.array(["b", "a", "b", "a"])
    )
    assert names.tolist() == ["a", "b"]
    assert labels.tolist() == [1, 0]
    np.testing.assert_allclose(mean, [[0.35, 0.65], [0.5, 0.5]])


def test_calibration_error_by_hand():
    # Confidences .95 .95 (one right), .65 (right), .55 (wrong) in bins of a tenth.
    top = np.array([0.95, 0.95, 0.65, 0.55])
    probabilities = np.stack([top, 1 - top], axis=1)
    labels = np.array([0, 1, 0, 1])
    expected = (2 * abs(0.5 - 0.95) + abs(1 - 0.65) + abs(0 - 0.55)) / 4
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)
    # In one bin, the gap is that of the means.
    assert expected_calibration_error(probabilities, labels, bins=1) == pytest.approx(
        abs(0.5 - top.mean())
    )


def test_calibration_error_at_the_ends():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert expected_calibration_error(sure, np.array([0, 1])) == 0
    assert expected_calibration_error(sure, np.array([1, 0])) == 1
    assert math.isnan(expected_calibration_error(np.empty((0, 2)), np.empty(0, np.int64)))


def test_overconfidence_gives_a_larger_calibration_error():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 4)) * 1.5
    probabilities = softmax(logits)
    labels = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=3)
    assert expected_calibration_error(probabilities, labels) < 0.015
    assert expected_calibration_error(softmax(logits * 4), labels) > 0.2


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_softmax(temperature):
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)) * 10
    np.testing.assert_allclose(
        softmax(logits, temperature), scipy.special.softmax(logits / temperature, axis=-1)
    )
    np.testing.assert_allclose(softmax(logits + 1e4, temperature).sum(axis=-1), 1)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5, 6.0])
def test_temperature_recovers_the_scale_of_the_logits(scale):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(20_000, 5)) * 2
    labels = (rng.random((20_000, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1).clip(max=4)
    found = fit_temperature((logits * scale).astype(np.float32), labels)
    assert found == pytest.approx(scale, rel=0.06)


def test_temperature_of_nothing_and_at_its_bounds():
    assert fit_temperature(np.empty((0, 3)), np.empty(0, np.int64)) == 1.0
    right = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(right, np.array([0, 1])) == pytest.approx(0.25)
    assert fit_temperature(right * 100, np.array([1, 0])) == pytest.approx(16)


def verdicts_of(confidence, right):
    top = np.array(confidence)
    return np.stack([top, 1 - top], axis=1), np.where(right, 0, 1)


def test_threshold_separates_wrong_from_right():
    confidence = [0.55, 0.9, 0.6, 0.8, 0.7]
    right = [False, True, False, True, False]
    threshold = choose_threshold(*verdicts_of(confidence, right))
    assert 0.7 < threshold < 0.8


def test_threshold_where_only_the_sure_verdicts_are_right():
    # 6 unsure verdicts, all but one wrong, and 3 sure ones, all right.
    confidence = [0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.91, 0.92, 0.93]
    right = [False, False, True, False, False, False, True, True, True]
    assert 0.56 < choose_threshold(*verdicts_of(confidence, right)) < 0.91


def test_threshold_of_all_right_all_wrong_and_none():
    assert choose_threshold(*verdicts_of([0.6, 0.7], [True, True])) == 0
    assert 0.7 < choose_threshold(*verdicts_of([0.6, 0.7], [False, False])) < 0.71
    assert choose_threshold(*verdicts_of([0.6, 1.0], [False, False])) == 1
    assert choose_threshold(np.empty((0, 2)), np.empty(0, np.int64)) == 0


def test_threshold_lies_above_in_single_precision():
    probabilities, labels = verdicts_of([0.6, 0.7], [False, False])
    single = probabilities.astype(np.float32)
    assert choose_threshold(single, labels) > float(single.max())


def test_a_temperature_for_groups_is_that_of_their_mean_verdicts():
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.integers(0, 3, 40), 5)
    logits = rng.normal(size=(200, 3)) * 3
    logits[np.arange(200), labels] += 2
    groups = np.repeat([f"track {i}" for i in range(40)], 5)
    order = rng.permutation(200)  # groups need not lie together

    def loss(temperature):
        mean, truth, _ = mean_by_group(softmax(logits, temperature), labels, groups)
        return -np.log(mean[np.arange(40), truth]).mean()

    found = fit_temperature(logits[order], labels[order], groups[order])
    assert all(loss(found) <= loss(found * factor) + 1e-12 for factor in (0.8, 0.95, 1.05, 1.25))
    assert found != fit_temperature(logits, labels)


# -- how far chance may have moved a share ------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    # Worked examples of Newcombe 1998, "Two-sided confidence intervals for the single proportion".
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_of_the_literature(right, count, low, high):
    assert wilson_interval(right / count, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("count", [3, 10, 43])
def test_the_interval_contains_the_truth_in_95_of_100_samples(count):
    """Summed over all possible samples, not drawn."""
    held = []
    for truth in np.linspace(0.005, 0.995, 199):
        for right in range(count + 1):
            low, high = wilson_interval(right / count, count)
            chance = math.comb(count, right) * truth**right * (1 - truth) ** (count - right)
            held.append(chance * (low <= truth <= high))
    assert 0.94 < sum(held) / 199 < 0.965


def test_segments_of_one_song_count_less_than_independent_ones():
    alone = np.repeat([True, True, False, True, False], 20)
    tracks = np.repeat(list("abcde"), 20)
    assert share_interval(alone) == wilson_interval(0.6, 100)
    assert share_interval(alone, tracks) == pytest.approx(wilson_interval(0.6, 5), abs=0.03)
    mixed = np.tile([True, True, False, True, False], 20)
    assert share_interval(mixed, tracks) == share_interval(mixed)
    assert share_interval(np.ones(100, bool), tracks) == wilson_interval(1, 5)
    assert share_interval(np.ones(4, bool), list("aaaa")) == wilson_interval(1, 1)


def test_an_interval_in_words():
    assert interval_in_words((0.397, 0.892)) == "40% to 89%"


def test_the_geometric_mean_is_that_of_the_logits():
    logits = np.random.default_rng(0).normal(size=(6, 5))
    groups, labels = [0, 0, 0, 1, 1, 1], np.zeros(6, int)
    expected = softmax(np.stack([logits[:3].mean(axis=0), logits[3:].mean(axis=0)]))
    mean, _, _ = mean_by_group(softmax(logits)[:, :4], labels, groups, geometric=True)
    np.testing.assert_allclose(mean, expected[:, :4], rtol=1e-9)  # the fifth is what is lacking
    mean, _, _ = mean_by_group(softmax(logits), labels, groups, geometric=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


def test_candidates_hold_the_right_genre_as_often_as_promised():
    """Split conformal prediction's promise, over draws of calibration and test songs."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        truth = rng.integers(0, 4, 120)
        logits = rng.normal(size=(120, 4)) + 1.5 * np.eye(4)[truth]
        probabilities = softmax(logits)
        limit = choose_candidate_limit(probabilities[:60], truth[:60])
        covered += list(probabilities[np.arange(60, 120), truth[60:]] >= limit)
    assert 0.88 < np.mean(covered) < 0.93


def test_too_few_songs_promise_nothing():
    probabilities = np.full((8, 2), 0.5)
    assert choose_candidate_limit(probabilities, np.zeros(8, int)) == 0
    assert choose_candidate_limit(np.full((9, 2), 0.5), np.zeros(9, int)) == 0.5
