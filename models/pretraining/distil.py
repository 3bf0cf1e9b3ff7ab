"""Training a student on worsened sound to say what its teacher says of the clean one.

The student begins as a copy of the teacher and hears every segment at the same level. A batch has
clean segments, worsened ones with random equalisers on top, and mixtures of two clean ones, which
the teacher is asked about there and then. After each step, the weights are pulled back a little
towards the published ones, for the music here is less varied than what those were trained on.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import huber_loss

from genrekit.errors import ModelError
from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone, compressed
from genrekit.system.files import atomic_write
from models.pretraining.published import answers
from models.pretraining.windows import Windows
from models.pretraining.worsen import VERSIONS

__all__ = ["Agreement", "DistilParams", "Distillation", "agreement"]

Array = NDArray[np.float32]

# How often each of the worsened versions is drawn.
_SHARES: Final = (0.15, 0.15, 0.15, 0.25, 0.3)
_HUBER: Final = 1.5
_CLIP: Final = 2.0
_CHECKED: Final = 100  # segments that agreement is measured on


@dataclass(frozen=True)
class DistilParams:
    """The recipe of a student.

    Attributes
    ----------
    steps : int
    learning_rate : float, of Adam; rises over 40 steps, then falls along half a cosine
    batch, clean, mixed : int
        Segments of a batch, and how many of them are clean and how many mixtures.
    songs : float, 0 to 1, share of segments from songs, where there are some, not other music
    embedding : float, weight of the embeddings' loss beside that of the tags'
    pull : float, share of the way back to the published weights, in units of the learning rate
    seed : int
    """

    steps: int = 8000
    learning_rate: float = 3e-4
    batch: int = 32
    clean: int = 8
    mixed: int = 4
    songs: float = 0.35
    embedding: float = 0.5
    pull: float = 2.0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        warm_up = min(1.0, (step + 1) / 40)
        return (
            self.learning_rate
            * warm_up
            * max(0.02, (1 + math.cos(math.pi * step / self.steps)) / 2)
        )


@dataclass(frozen=True)
class Agreement:
    """How near a student is to its teacher: correlation of tags, and root mean square error."""

    correlation: float
    error: float


class Distillation:
    """A training run of a student: iterate over it for the loss of each step.

    Attributes
    ----------
    student : Backbone
    step : int, steps so far
    """

    def __init__(
        self, teacher: Backbone, music: Windows, songs: Windows | None, params: DistilParams
    ) -> None:
        self.params = params
        self.student = copy.deepcopy(teacher)
        self.step = 0
        self._teacher = teacher
        self._music, self._songs = music, songs
        # Batch norms keep their statistics, the first one its scale too: it is the level's.
        self.student.eval()
        self.student.norm.requires_grad_(False)
        self._weights = [w for w in self.student.parameters() if w.requires_grad]
        self._published = [w.detach().clone() for w in self._weights]
        self._optimiser = torch.optim.Adam(self._weights)
        every = [music.embeddings] if songs is None else [music.embeddings, songs.embeddings]
        self._spread = torch.from_numpy(np.concatenate(every).std(axis=0) + np.float32(0.05))

    def __iter__(self) -> Iterator[float]:
        while self.step < self.params.steps:
            # Of each step its own, so that an interrupted run continues as it would have gone on.
            rng = np.random.default_rng((self.params.seed, self.step))
            rate = self.params.rate(self.step)
            self._optimiser.param_groups[0]["lr"] = rate
            loss = self._loss(*self._batch(rng))
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._weights, _CLIP)
            self._optimiser.step()
            with torch.no_grad():
                for weight, published in zip(self._weights, self._published, strict=True):
                    weight.lerp_(published, rate * self.params.pull)
            self.step += 1
            yield float(loss.detach())

    def save_state(self, path: Path) -> None:
        """Write everything needed to continue from here."""
        state = {
            "params": vars(self.params),
            "student": self.student.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
        }
        with atomic_write(path) as temporary:
            torch.save(state, temporary)

    def load_state(self, path: Path) -> None:
        """Continue from where `save_state` wrote `path`, or raise ModelError."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        if state["params"] != vars(self.params):
            raise ModelError(
                f"{path} belongs to a run with other settings: delete it or use them again."
            )
        self.student.load_state_dict(state["student"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def _loss(self, spectra: Tensor, embeddings: Tensor, log_odds: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            heard = self.student.embed(spectra)
            tags = self.student.tags(heard).float()
        beside = huber_loss(heard.float() / self._spread, embeddings / self._spread, delta=_HUBER)
        return huber_loss(tags, log_odds, delta=_HUBER) + self.params.embedding * beside

    def _batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a batch: compressed spectra, and the teacher's embeddings and log-odds of them."""
        params = self.params
        rows = self._rows(rng, params.batch - params.mixed)
        worse = 1 + rng.choice(len(VERSIONS) - 1, len(rows) - params.clean, p=_SHARES)
        versions = [*([0] * params.clean), *worse.tolist()]
        bands = EVERYDAY_PARAMS.n_mels
        louder = rng.normal(0, 1.5, (params.clean, 1)) * np.ones(bands)
        gains = np.concatenate([louder, equalisers(rng, len(worse), bands)])
        segments = [part.segment(row, v) for (part, row), v in zip(rows, versions, strict=True)]
        heard = _louder(compressed(torch.from_numpy(np.stack(segments))), gains)
        mixed = self._mixtures(rng)
        embeddings, log_odds = answers(self._teacher, mixed)
        return (
            torch.cat([heard, mixed]),
            torch.from_numpy(np.stack([p.embeddings[row] for p, row in rows] + [*embeddings])),
            torch.from_numpy(np.stack([p.log_odds[row] for p, row in rows] + [*log_odds])),
        )

    def _mixtures(self, rng: np.random.Generator) -> Tensor:
        """Mix pairs of clean segments at random levels; compressed, (mixed, t, b)."""
        pairs = self._rows(rng, 2 * self.params.mixed)
        segments = torch.from_numpy(np.stack([part.segment(row, 0) for part, row in pairs]))
        power = 10 ** compressed(segments) - 1  # of equal level
        share = rng.uniform(0.1, 0.9, (self.params.mixed, 1, 1)).astype(np.float32)
        first, second = power.split(self.params.mixed)
        return torch.log10(1 + torch.lerp(first, second, torch.from_numpy(share)))

    def _rows(self, rng: np.random.Generator, count: int) -> list[tuple[Windows, int]]:
        """Draw segments from songs and from other music."""
        rows = []
        for of_songs in rng.random(count) < self.params.songs:
            part = self._songs if of_songs and self._songs is not None else self._music
            rows.append((part, int(rng.integers(len(part)))))
        return rows


def equalisers(rng: np.random.Generator, count: int, bands: int) -> Array:
    """Return random gains of mel bands, dB, (count, bands).

    All change the level a little; half have three smooth peaks or notches of up to 9 dB, and every
    tenth is cut to a telephone's band.
    """
    position = np.linspace(0, 1, bands)
    gains = rng.normal(0, 2, (count, 1)) * np.ones(bands)
    shaped = rng.random((count, 1)) < 0.5
    for _ in range(3):
        height, centre, width = (
            rng.uniform(low, high, (count, 1)) for low, high in ((-9, 9), (0, 1), (0.05, 0.3))
        )
        gains += shaped * height * np.exp(-0.5 * ((position - centre) / width) ** 2)
    low, high = rng.uniform(0.05, 0.12, (count, 1)), rng.uniform(0.62, 0.75, (count, 1))
    outside = 400 * np.maximum(0, low - position) + 500 * np.maximum(0, position - high)
    gains -= (rng.random((count, 1)) < 0.1) * outside
    return gains.astype(np.float32)


def _louder(spectra: Tensor, gains_db: Array) -> Tensor:
    """Amplify the bands of compressed spectra, (n, t, b), by gains in dB, (n, b)."""
    gains = torch.from_numpy(10 ** (gains_db / 10)).float()[:, None]
    return torch.log10(1 + gains * (10**spectra - 1))


def agreement(student: Backbone, windows: Windows, version: int) -> Agreement:
    """Compare a student that hears one version of some segments with what the teacher said."""
    rows = np.linspace(0, len(windows) - 1, min(_CHECKED, len(windows))).astype(int)
    heard = np.stack([windows.segment(row, version) for row in rows])
    _, ours = answers(student, compressed(torch.from_numpy(heard)))
    theirs = windows.log_odds[rows]
    tags = range(theirs.shape[1])
    return Agreement(
        float(np.mean([np.corrcoef(ours[:, tag], theirs[:, tag])[0, 1] for tag in tags])),
        float(np.sqrt(np.mean((ours - theirs) ** 2))),
    )
