"""Music as a student is trained on it: segments in several versions, with the teacher's answers.

Each piece of music is two files of one folder: `NAME.npy` with log-mel spectra in dB, float16,
shape (versions, n, frames, bands), and `NAME.npz` with what the teacher says of the clean version,
`embeddings` (n, 200) and `log_odds` (n, 50). The second is written last, so a piece that has it is
finished.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import AUDIO_SUFFIXES, load_audio
from genrekit.audio.degradation import rms
from genrekit.audio.samples import resampled
from genrekit.errors import AudioError, DatasetError
from genrekit.features.extraction import extract, split_segments
from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone
from genrekit.system.files import atomic_write
from models.pretraining.published import answers, as_recorded
from models.pretraining.worsen import VERSIONS
from models.robustness import SAMPLE_RATE

__all__ = ["Windows", "audio_below", "excerpts", "prepare", "prepared", "spectra_of"]

Array = NDArray[np.float32]

EXCERPT_SECONDS: Final = 30
EXCERPTS: Final = 4  # of a long piece, evenly spread
_SILENCE: Final = 1e-3
_HELD_OUT: Final = 10  # every tenth piece of music is


@dataclass(frozen=True, eq=False)
class Windows:
    """Segments of pieces of music, which stay on disk until they are read.

    Attributes
    ----------
    spectra : tuple of ndarray, float16, shape (versions, n, frames, bands), dB
    log_odds : ndarray, float32, shape (segments, tags)
    embeddings : ndarray, float32, shape (segments, 200)
    """

    spectra: tuple[NDArray[np.float16], ...]
    log_odds: Array
    embeddings: Array

    @classmethod
    def read(cls, folder: Path, held_out: bool) -> Self:
        """Read a folder's pieces that are held out from training, or those that are not."""
        names = [name for name in prepared(folder) if is_held_out(name) == held_out]
        if not names:
            raise DatasetError(
                f"{folder} has too little music: every tenth piece is held out from training."
            )
        targets = [np.load(folder / f"{name}.npz") for name in names]
        return cls(
            tuple(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names),
            np.concatenate([target["log_odds"] for target in targets]),
            np.concatenate([target["embeddings"] for target in targets]),
        )

    def __len__(self) -> int:
        return len(self.log_odds)

    def segment(self, row: int, version: int) -> Array:
        """Return one segment's spectrum in one of its versions, (frames, bands), dB."""
        ends = np.cumsum([piece.shape[1] for piece in self.spectra])
        piece = int(np.searchsorted(ends, row, side="right"))
        return self.spectra[piece][version, row - ends[piece]].astype(np.float32)


def audio_below(folder: Path) -> list[Path]:
    """Return the audio files below a folder, sorted."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise DatasetError(f"{folder} has no audio: name a folder with music.")
    return files


def prepared(folder: Path) -> list[str]:
    """Return the names of the finished pieces of music in a folder, sorted."""
    return sorted(file.stem for file in folder.glob("*.npz"))


def prepare(
    music: Path, folder: Path, teacher: Backbone, names: frozenset[str] | None = None
) -> Iterator[str]:
    """Prepare the music below a folder, piece by piece, and yield a line about each.

    Pieces that are finished are left alone. With `names`, only files of these names, without
    suffix, are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [f for f in audio_below(music) if names is None or f.stem in names]
    finished = set(prepared(folder))
    for number, file in enumerate(files, 1):
        path = file.relative_to(music).as_posix()
        name = path.replace("/", "_")
        if name in finished:
            continue
        try:
            samples = load_audio(file, SAMPLE_RATE)
        except AudioError as error:
            yield f"{number}/{len(files)} {path} left out: {error}"
            continue
        count = _prepare(samples, folder / name, teacher, seed=zlib.crc32(path.encode()))
        yield f"{number}/{len(files)} {path}: {count} segments"


def _prepare(samples: Array, to: Path, teacher: Backbone, seed: int) -> int:
    """Write a piece's two files; return the number of its segments."""
    rng = np.random.default_rng(seed)
    versions = [
        np.stack([spectra_of(change(excerpt, rng)) for change in VERSIONS.values()])
        for excerpt in excerpts(samples)
    ]
    if not versions:
        return 0
    spectra = np.concatenate(versions, axis=1)
    embeddings, log_odds = answers(teacher, as_recorded(spectra[0]))
    for suffix in (".npy", ".npz"):
        with (
            atomic_write(to.with_name(to.name + suffix)) as temporary,
            temporary.open("wb") as file,
        ):
            if suffix == ".npy":
                np.save(file, spectra.astype(np.float16))
            else:
                np.savez(file, embeddings=embeddings, log_odds=log_odds)
    return len(log_odds)


def excerpts(samples: Array) -> list[Array]:
    """Cut excerpts of 30 s that are not silent out of music: the middles of at most four parts.

    Music shorter than that is its own excerpt, unless it is shorter than a segment.
    """
    length = EXCERPT_SECONDS * SAMPLE_RATE
    parts = np.array_split(samples, min(EXCERPTS, max(1, len(samples) // length)))
    starts = [max(0, len(part) - length) // 2 for part in parts]
    pieces = [part[start : start + length] for part, start in zip(parts, starts, strict=True)]
    least = EVERYDAY_PARAMS.segment_seconds * SAMPLE_RATE
    return [piece for piece in pieces if len(piece) >= least and rms(piece) > _SILENCE]


def spectra_of(samples: Array) -> Array:
    """Return the log-mel spectra of music's segments, dB, (n, frames, bands)."""
    heard = resampled(samples, SAMPLE_RATE, EVERYDAY_PARAMS.sample_rate)
    return extract(split_segments(heard, EVERYDAY_PARAMS), EVERYDAY_PARAMS)


def is_held_out(name: str) -> bool:
    return zlib.crc32(name.encode()) % _HELD_OUT == 0
