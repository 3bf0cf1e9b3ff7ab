"""Words of confidence and candidates, counted by hand."""

import numpy as np

from genrekit.model.reliability import reliability

PROBABILITIES = np.array(
    [
        [0.95, 0.03, 0.02],
        [0.92, 0.06, 0.02],
        [0.10, 0.75, 0.15],
        [0.20, 0.25, 0.55],
        [0.36, 0.34, 0.30],
        [0.10, 0.10, 0.10],  # mostly no music
    ]
)
LABELS = np.array([0, 1, 1, 0, 1, 2])
ACCEPTED = np.eye(3, dtype=bool)[LABELS]


def test_words_are_counted():
    found = reliability(PROBABILITIES, ACCEPTED, threshold=0.0, candidate_limit=0.0)
    assert found.songs == 6
    assert found.words == {
        "very sure": (1, 2),
        "fairly sure": (1, 1),
        "leaning": (0, 1),
        "guessing": (0, 2),
    }
    assert (found.held, found.candidates) == (None, None)


def test_unsure_verdicts_get_no_word():
    found = reliability(PROBABILITIES, ACCEPTED, threshold=0.6, candidate_limit=0.0)
    assert found.words == {"very sure": (1, 2), "fairly sure": (1, 1)}


def test_candidates_are_counted():
    found = reliability(PROBABILITIES, ACCEPTED, threshold=0.0, candidate_limit=0.2)
    # 1, 1, 1, 3, 3, and 3 alike where all are below the limit
    assert found.held == 5
    assert found.candidates == 2


def test_several_genres_may_be_accepted():
    accepted = ACCEPTED.copy()
    accepted[3, 2] = accepted[4, 0] = True
    found = reliability(PROBABILITIES, accepted, threshold=0.5, candidate_limit=0.5)
    assert found.words["leaning"] == (1, 1)
    assert found.held == 5
