"""Songs as the head is trained on them: known genres, sounds that are no music, worsened music.

The head's inputs are an affine function of an embedding: the log-odds of the 50 tags, and the
residual, which is what the embedding says beyond them, 200 values. Stored tags of songs whose audio
is not at hand have no residual: it is 0.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from genrekit.audio.non_music import NON_MUSIC
from genrekit.dataset.dataset import Dataset
from genrekit.model.backbone import Backbone
from models.pretraining.windows import prepared, spectra_of
from models.pretraining.worsen import VERSIONS
from models.robustness import SAMPLE_RATE

__all__ = [
    "ACCEPTED",
    "GENRES",
    "NO_MUSIC",
    "Inputs",
    "Songs",
    "accepted_of",
    "artist_folds",
    "embedded",
    "inputs_from",
    "moves_of",
    "no_music",
    "song_means",
]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

GENRES: Final = (
    *("blues", "classical", "country", "disco", "electronic", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)
NO_MUSIC: Final = "no music"
# Labels of the music from outside are loose, unlike GTZAN's: its "pop" holds much rock, its "rock"
# pop and metal.
ACCEPTED: Final[Mapping[str, tuple[str, ...]]] = {
    "rock": ("rock", "metal", "pop"),
    "pop": ("pop", "rock"),
}
OUTLIERS: Final = 30
_OUTLIER_SECONDS: Final = 15
_RIDGE: Final = 0.1
_EXCERPT: Final = 10  # segments


class Inputs(NamedTuple):
    """The inputs of the head as a function of embeddings: ``embeddings @ matrix + offset``."""

    matrix: Floats
    offset: Floats
    tags: int

    def of(self, embeddings: Array) -> Floats:
        """Return the inputs of segments or songs, (n, inputs), from embeddings, (n, 200)."""
        return embeddings @ self.matrix + self.offset

    def of_tags(self, log_odds: Array) -> Floats:
        """Return the inputs of segments of which only the tags' log-odds, (n, tags), are known."""
        return np.pad(log_odds, ((0, 0), (0, len(self.offset) - self.tags))).astype(np.float64)


def inputs_from(backbone: Backbone, embeddings: Array) -> Inputs:
    """Derive the inputs from the mean embeddings of songs, (songs, 200), which need no labels.

    The residual is what is left of an embedding after a regression on its tags, in units of its
    largest spread.
    """
    weight, bias = (w.detach().numpy().astype(float) for w in backbone.tags.parameters())
    known = np.c_[embeddings @ weight.T + bias, np.ones(len(embeddings))]
    gram = known.T @ known + _RIDGE * np.eye(known.shape[1])
    regression = np.linalg.solve(gram, known.T @ embeddings)
    residual = embeddings - known @ regression
    mean = residual.mean(axis=0)
    spread = np.linalg.norm(residual - mean, 2) / np.sqrt(len(residual))
    beyond = np.eye(weight.shape[1]) - weight.T @ regression[:-1]
    beyond_offset = -bias @ regression[:-1] - regression[-1] - mean
    return Inputs(
        np.c_[weight.T, beyond / spread], np.r_[bias, beyond_offset / spread], len(weight)
    )


@dataclass(frozen=True, eq=False)
class Songs:
    """Songs of known genres.

    Attributes
    ----------
    names, genres, folds : ndarray of str, shape (songs,)
        No artist is in two folds; a song whose fold is "" is in none.
    weights : ndarray, float64, shape (songs,)
    accepted : ndarray, bool, shape (songs, genres + 1)
        The answers that are right; the last is "no music".
    segments : tuple of ndarray, shape (n, inputs), one for each song
    """

    names: NDArray[np.str_]
    genres: NDArray[np.str_]
    folds: NDArray[np.str_]
    weights: Floats
    accepted: NDArray[np.bool_]
    segments: tuple[Floats, ...]

    @classmethod
    def of_dataset(
        cls, dataset: Dataset, segments: Floats, folds: Mapping[str, str], loose: bool = False
    ) -> Self:
        """Group a dataset's rows, whose inputs are given, into the songs that `folds` names.

        Of `loose` labels, all that is `ACCEPTED` is right.
        """
        assert dataset.tracks is not None
        labels = [dataset.genres[label] for label in dataset.labels.tolist()]
        genre_of = dict(zip(dataset.tracks.tolist(), labels, strict=True))
        return cls.grouped(dataset.tracks, segments, genre_of, folds, loose)

    @classmethod
    def grouped(
        cls,
        tracks: NDArray[np.str_],
        segments: Floats,
        genre_of: Mapping[str, str],
        folds: Mapping[str, str],
        loose: bool = False,
    ) -> Self:
        """Group segments by their tracks, of those that `folds` names."""
        names = [name for name in np.unique(tracks).tolist() if name in folds]
        genres = np.array([genre_of[name] for name in names], np.str_)
        return cls(
            np.array(names, np.str_),
            genres,
            np.array([folds[name] for name in names], np.str_),
            np.ones(len(names)),
            accepted_of(genres, loose),
            tuple(segments[tracks == name] for name in names),
        )

    def __len__(self) -> int:
        return len(self.names)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            np.r_[self.names, other.names],
            np.r_[self.genres, other.genres],
            np.r_[self.folds, other.folds],
            np.r_[self.weights, other.weights],
            np.r_[self.accepted, other.accepted],
            self.segments + other.segments,
        )

    @property
    def means(self) -> Floats:
        """The mean inputs of each song, shape (songs, inputs)."""
        return np.stack([song.mean(axis=0) for song in self.segments])

    @property
    def balanced(self) -> Floats:
        """Weights of the songs that make all genres equal, shape (songs,)."""
        counts = Counter(self.genres.tolist())
        return self.weights / np.array([counts[genre] for genre in self.genres.tolist()])

    def of(self, chosen: NDArray[np.bool_]) -> Self:
        """Return some of the songs."""
        return type(self)(
            self.names[chosen],
            self.genres[chosen],
            self.folds[chosen],
            self.weights[chosen],
            self.accepted[chosen],
            tuple(self.segments[i] for i in np.flatnonzero(chosen)),
        )


def accepted_of(genres: Sequence[str] | NDArray[np.str_], loose: bool = False) -> NDArray[np.bool_]:
    """Return which answers are right, (songs, genres + 1); the last answer is "no music".

    Of `loose` labels, all that is `ACCEPTED`; otherwise the label alone.
    """
    answers, wider = (*GENRES, NO_MUSIC), ACCEPTED if loose else {}
    return np.array(
        [[answer in wider.get(genre, (genre,)) for answer in answers] for genre in genres]
    )


def artist_folds(artists: Mapping[str, str], count: int = 5, seed: int = 0) -> dict[str, str]:
    """Return a fold for each song of `artists`, with none of an artist in two, of equal sizes."""
    sizes = Counter(artists.values())
    names = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    loads, fold_of = [0] * count, {}
    for artist in sorted(names, key=lambda name: -sizes[name]):
        least = loads.index(min(loads))
        fold_of[artist] = f"outside {least}"
        loads[least] += sizes[artist]
    return {song: fold_of[artist] for song, artist in artists.items()}


@torch.inference_mode()
def embedded(backbone: Backbone, spectra: Array) -> Array:
    """Return embeddings, (n, 200), of log-mel spectra of segments, dB."""
    batches = (spectra[i : i + 20].astype(np.float32) for i in range(0, len(spectra), 20))
    return np.concatenate([backbone(torch.from_numpy(batch)).numpy() for batch in batches])


def no_music(backbone: Backbone, inputs: Inputs, seed: int = 77) -> Songs:
    """Generate sounds of all kinds that are no music."""
    rng, segments = np.random.default_rng(seed), []
    for make in NON_MUSIC.values():
        for _ in range(OUTLIERS):
            sound = make(rng, _OUTLIER_SECONDS * SAMPLE_RATE, SAMPLE_RATE)
            segments.append(inputs.of(embedded(backbone, spectra_of(sound))))
    count = len(segments)
    return Songs(
        np.array([f"{NO_MUSIC} {i}" for i in range(count)]),
        np.full(count, NO_MUSIC),
        np.full(count, ""),
        np.ones(count),
        accepted_of([NO_MUSIC] * count),
        tuple(segments),
    )


def song_means(backbone: Backbone, folders: Sequence[Path]) -> Array:
    """Return the mean embeddings of prepared music: (songs, versions, 200).

    Every second piece of each folder, its first 30 s.
    """
    means = []
    for folder in folders:
        for name in prepared(folder)[::2]:
            spectra = np.load(folder / f"{name}.npy", mmap_mode="r")[:, :_EXCERPT]
            embeddings = embedded(backbone, spectra.reshape(-1, *spectra.shape[2:]))
            means.append(embeddings.reshape(len(VERSIONS), -1, embeddings.shape[1]).mean(axis=1))
    return np.stack(means)


def moves_of(means: Array, inputs: Inputs) -> Floats:
    """Return how each song's mean inputs move when the sound gets worse, (moves, inputs)."""
    moves = means[:, 1:] - means[:, :1]
    return moves.reshape(-1, moves.shape[-1]) @ inputs.matrix
