"""A fresh process: how long its first verdict takes, and how much memory a worker needs.

The first verdict is `python -m genrekit classify CLIP --model MODEL --json`, from start to exit,
with the libraries' files in the operating system's memory already. Beside it, in turns, stands a
process that imports PyTorch and ends, which none of the models can do without. The memory is the
peak of a process that does a worker's work: it judges a clip and a song of four minutes, explains
the song and tests it under stress.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed.compare import compare, python, timed
from benchmarks.speed.listen import CLIP_SECONDS, SONG_SECONDS, goal_line, write_song

SECONDS_GOAL, MEMORY_GOAL_MB, SIZE_GOAL_MB = 5.0, 450.0, 8.0
# Nothing that a verdict needs; of SciPy, it needs the Fourier transform.
NEEDLESS = ("librosa", "sklearn", "pandas", "numba", "scipy.signal", "scipy.stats")
_BARE = "import resource, torch; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


@dataclass(frozen=True)
class Start:
    """Times in s, sizes in MB, and the needless modules that were imported."""

    name: str
    verdict: tuple[float, ...]
    bare: tuple[float, ...]
    peak: float
    bare_peak: float
    size: float
    imported: tuple[str, ...]

    def __str__(self) -> str:
        ratios = tuple(a / b for a, b in zip(self.verdict, self.bare, strict=True))
        return "\n".join(
            [
                f"start, {self.name}  (median of {len(self.verdict)}, least and most)",
                goal_line("first verdict", self.verdict, " s", SECONDS_GOAL),
                goal_line("importing PyTorch", self.bare, " s", None),
                goal_line("verdict / PyTorch", ratios, "x ", None),
                goal_line("memory of a worker", (self.peak,), " MB", MEMORY_GOAL_MB),
                goal_line("of PyTorch alone", (self.bare_peak,), " MB", None),
                goal_line("the model's folder", (self.size,), " MB", SIZE_GOAL_MB),
                f"  needless imports      {', '.join(self.imported) or 'none'}",
            ]
        )


def start(runs: int = 5, model: Path | None = None) -> Iterator[Start]:
    """Measure with one model, or with each that ships."""
    from genrekit.model.bundle import MODELS

    folders = [model] if model else sorted(path.parent for path in MODELS.glob("*/model.json"))
    with tempfile.TemporaryDirectory() as temporary:
        clip, song = Path(temporary) / "clip.wav", Path(temporary) / "song.mp3"
        write_song(clip, CLIP_SECONDS)
        write_song(song, SONG_SECONDS)
        run = partial(python, numba_cache=Path(temporary))
        for folder in folders:
            classify = ("-m", "genrekit", "classify", str(clip), "--model", str(folder), "--json")
            pairs = compare(
                folder.name,
                partial(timed, partial(run, *classify)),
                partial(timed, partial(run, "-c", _BARE)),
                lambda ours, _: json.loads(ours)[0]["note"],
                runs=runs,
                warm_up=True,
            )
            done = json.loads(run("-m", "benchmarks.speed.start", *map(str, (folder, clip, song))))
            yield Start(
                folder.name,
                pairs.ours,
                pairs.theirs,
                done["peak"],
                _megabytes(int(run("-c", _BARE))),
                sum(file.stat().st_size for file in folder.iterdir()) / 1e6,
                tuple(done["imported"]),
            )


def work(folder: Path, clip: Path, path: Path) -> dict[str, Any]:
    """Do what a worker does for two visitors; return the peak of memory, and needless imports."""
    from genrekit.audio.degradation import Degradation
    from genrekit.verdict import analysis
    from genrekit.verdict.analysis import ModelFile, Song

    model, song = ModelFile.at(folder), Song(path.read_bytes(), 900.0)
    analysis.analyse(Song(clip.read_bytes(), 900.0), model)
    result = analysis.analyse(song, model)
    genre = next(iter(result.verdict.probabilities))
    which = analysis.segments_to_explain(len(result.starts))
    analysis.explain(song, model, genre, result.starts, which)
    analysis.nearest(song, model, result.starts)
    analysis.stress_test(song, model, Degradation(noise_db=20.0, phone=1.0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak": _megabytes(peak),
        "imported": [name for name in NEEDLESS if name in sys.modules],
    }


def _megabytes(kibibytes: int) -> float:
    return kibibytes * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(work(*map(Path, sys.argv[1:4]))))
