"""How often what a model says of a song holds: its words of confidence, and its candidates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrekit.model.metrics import is_candidate
from genrekit.model.verdicts import CONFIDENCE_WORDS, confidence_in_words

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """Counts of songs whose genre is known.

    Attributes
    ----------
    songs : int
    words : dict, for each of `CONFIDENCE_WORDS` that was used: how many songs were right, of how
        many. Songs below the threshold of "not sure" get no word. How far a song is from the
        training music is left out of account.
    held : int or None, songs whose genre is among the candidates; None for models without
    candidates : float or None, mean number of candidates
    """

    songs: int
    words: dict[str, tuple[int, int]]
    held: int | None
    candidates: float | None


def reliability(
    probabilities: NDArray[np.floating],
    accepted: NDArray[np.bool_],
    threshold: float,
    candidate_limit: float,
) -> Reliability:
    """Count how often verdicts and candidates were right.

    Parameters
    ----------
    probabilities : ndarray, shape (songs, genres)
    accepted : ndarray, bool, shape (songs, genres), the genres that count as right for each song
    threshold, candidate_limit : as in `genrekit.model.bundle.GenreModel`
    """
    songs = np.arange(len(probabilities))
    confidence = probabilities.max(axis=1)
    right = accepted[songs, probabilities.argmax(axis=1)]
    said = np.array([confidence_in_words(value) for value in confidence], object)
    said[confidence < threshold] = None
    counts = {
        word: (int(right[said == word].sum()), int((said == word).sum()))
        for word in CONFIDENCE_WORDS
    }
    held = candidates = None
    if candidate_limit:
        chosen = is_candidate(probabilities, candidate_limit)
        held = int((chosen & accepted).any(axis=1).sum())
        candidates = float(chosen.sum(axis=1).mean())
    used = {word: count for word, count in counts.items() if count[1]}
    return Reliability(len(songs), used, held, candidates)
