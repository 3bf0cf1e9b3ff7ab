"""The key of a song, where one can be told: chroma compared with what listeners expect of a key.

How strongly each of the twelve notes sounds, in all octaves together, is correlated with the
profiles of the 24 keys, which listeners rated (Krumhansl and Kessler 1982; Krumhansl 1990).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.music.rhythm import SAMPLE_RATE

__all__ = ["KEYS", "MARGIN", "NOTES", "Key", "find_key", "key_of"]

Array = NDArray[np.float32]

NOTES: Final = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
# The first twelve are major, then minor; each twelve rise from C.
KEYS: Final = tuple(f"{note} {mode}" for mode in ("major", "minor") for note in NOTES)
_MAJOR: Final = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR: Final = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

# By how much the best key's correlation exceeds the second's, at least, for it to be named: chosen
# on generated pieces, of which with less every second name was wrong.
MARGIN: Final = 0.15
# From C2 on: below, the bands of a drum are as strong as those of notes.
_LOWEST_HZ: Final = 65.4
_OCTAVES: Final = 5


@dataclass(frozen=True)
class Key:
    """A song's key.

    Attributes
    ----------
    name : str or None, of `KEYS`; None where the two best keys are too close to tell
    best, second : str, of `KEYS`
    margin : float, the difference of their correlations, 0 to 2
    """

    name: str | None
    best: str
    second: str
    margin: float


def find_key(samples: Array) -> Key | None:
    """Return the key of samples, shape (samples,), at `SAMPLE_RATE`.

    None of silence, and of less than a second.
    """
    import librosa

    if len(samples) < SAMPLE_RATE or not samples.any():
        return None
    chroma = librosa.feature.chroma_cqt(
        y=samples, sr=SAMPLE_RATE, fmin=_LOWEST_HZ, n_octaves=_OCTAVES
    )
    return key_of(chroma.mean(axis=1))


def key_of(chroma: NDArray[np.floating]) -> Key | None:
    """Return the key in which notes are as strong as this.

    Parameters
    ----------
    chroma : ndarray, shape (12,), >= 0: how strong each note is, rising from C

    Returns
    -------
    Key or None
        None where all notes are equally strong.
    """
    if np.ptp(chroma) < 1e-9:
        return None
    profiles = [np.roll(mode, note) for mode in (_MAJOR, _MINOR) for note in range(12)]
    fits = np.corrcoef(chroma, profiles)[0, 1:]
    second, best = np.argsort(fits)[-2:]
    margin = float(fits[best] - fits[second])
    name = KEYS[best] if margin >= MARGIN else None
    return Key(name, KEYS[best], KEYS[second], margin)
