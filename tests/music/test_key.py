"""Keys of notes that are known: the profiles themselves, scales and chords of pure tones."""

import numpy as np
import pytest

from genrekit.music.key import KEYS, MARGIN, find_key, key_of
from genrekit.music.rhythm import SAMPLE_RATE


def played(chords, seconds=1.0):
    """Chords of pure tones, one after another; notes are MIDI numbers."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    fade = np.minimum(1, 20 * np.minimum(time, seconds - time))
    sound = [sum(np.sin(2 * np.pi * 440 * 2 ** ((n - 69) / 12) * time) for n in c) for c in chords]
    return (0.1 * np.concatenate([fade * one for one in sound])).astype(np.float32)


C, F, G = (48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67)
A_MINOR, D_MINOR, E = (57, 60, 64, 69), (50, 57, 62, 65), (52, 56, 59, 64)


@pytest.mark.parametrize(
    ("chords", "key"), [((C, F, G, C), "C major"), ((A_MINOR, D_MINOR, E, A_MINOR), "A minor")]
)
@pytest.mark.parametrize("up", [0, 3, 7])
def test_a_cadence_has_its_key_however_high_it_is_played(chords, key, up):
    found = find_key(played([[note + up for note in chord] for chord in chords]))
    assert found.best == KEYS[(KEYS.index(key) % 12 + up) % 12 + 12 * key.endswith("minor")]


def test_each_profile_is_its_own_key():
    tonic = np.zeros(12)
    tonic[[0, 4, 7]] = 3, 2, 2.5
    for note in range(12):
        assert key_of(np.roll(tonic, note)).name == KEYS[note]


def test_too_close_is_not_sure_and_nothing_is_no_key():
    # The notes of C major are those of A minor.
    scale = np.zeros(12)
    scale[[0, 2, 4, 5, 7, 9, 11]] = 1
    found = key_of(scale)
    assert found.name is None
    assert found.margin < MARGIN
    assert {"C major", "A minor"} & {found.best, found.second}
    assert key_of(np.ones(12)) is None
    assert find_key(np.zeros(SAMPLE_RATE, np.float32)) is None
