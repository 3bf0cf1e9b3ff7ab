"""The figures of beats and keys, computed by hand."""

import numpy as np
import pytest

from benchmarks import rhythm
from genrekit.music.key import Key


@pytest.mark.parametrize(
    ("tempo", "word"), [(121, "right"), (61, "octave"), (241, "octave"), (90, "wrong")]
)
def test_octave_errors_are_counted_apart(tempo, word):
    true = np.arange(0, 20, 0.5)
    assert rhythm.judged_tempo(np.arange(0, 20, 60 / tempo), true) == word
    assert rhythm.judged_tempo(np.empty(0), true) == "wrong"


def test_a_beat_is_found_once_and_near():
    true = np.array([1.0, 2.0, 3.0, 4.0])
    score, late = rhythm.judged_beats(np.array([1.06, 1.05, 2.08, 3.0]), true)
    assert score == 2 * 2 / 8
    assert late == pytest.approx([0.06, 0.0])


@pytest.mark.parametrize(
    ("found", "word"),
    [("A minor", "relative"), ("C major", "right"), ("G major", "wrong"), (None, "not sure")],
)
def test_the_relative_key_has_the_same_notes(monkeypatch, found, word):
    monkeypatch.setattr(rhythm, "find_key", lambda _: Key(found, "C major", "G major", 0.2))
    assert rhythm.judged_key(np.empty(0), "C major") == word
    if found == "A minor":
        monkeypatch.setattr(rhythm, "find_key", lambda _: Key("C major", "", "", 0.2))
        assert rhythm.judged_key(np.empty(0), found) == word
