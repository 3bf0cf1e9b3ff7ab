"""Verdicts: their words, and what their probabilities lack of 1."""

import pytest

from genrekit.model.verdicts import SegmentVerdict, Verdict, confidence_in_words


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(1, "very sure"), (0.9, "very sure"), (0.7, "fairly sure"), (0.5, "leaning"), (0, "guessing")],
)
def test_confidence_in_words(confidence, words):
    assert confidence_in_words(confidence) == words


@pytest.mark.parametrize(
    ("probabilities", "rest"),
    [
        ({}, None),
        ({"a": 0.6, "b": 0.4}, None),
        ({"a": 0.6, "b": 0.3999999}, None),
        ({"a": 0.5, "b": 0.2}, 0.3),
        ({"a": 0.5, "no music": 0.3}, 0.5),  # a genre of one's own
    ],
)
def test_outcomes_sum_to_one(probabilities, rest):
    expected = probabilities if rest is None else probabilities | {"no music": rest}
    for one in (Verdict("a", 0.6, probabilities, (), ""), SegmentVerdict(0, 3, probabilities)):
        assert one.outcomes == pytest.approx(expected)
        assert one.probabilities == probabilities
