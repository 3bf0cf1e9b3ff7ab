"""The wait for a verdict on a warm server: a clip of 30 s, and an MP3 of four minutes.

What is timed is `genrekit.verdict.analysis.analyse`, the call behind the classify page: hash,
decode, resample, judge, and draw the spectrogram. Two things stand beside it, measured in turns:

- the time to decode and resample the same file and no more, which no verdict can do without;
- for a model of the course's network on MFCCs, the straightforward way of `benchmarks.speed.cold`
  in this process, after a first call that lets librosa compile.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.speed.cold import LIMIT, straightforward
from benchmarks.speed.compare import DisagreementError, Figures, compare, timed, within
from genrekit.audio.decoder import load_audio
from genrekit.model.bundle import MODELS
from genrekit.model.verdicts import Verdict
from genrekit.system.threads import computing_in
from genrekit.verdict.analysis import ModelFile, Song, SongResult, analyse

RATE = 44_100
CLIP_SECONDS, SONG_SECONDS = 30, 240
# The goals: seconds for the clip, times decoding for the song; of everyday, whose network is
# larger, seconds for both.
CLIP_GOAL, SONG_GOAL = 0.3, 1.5
EVERYDAY_GOALS = 0.5, 2.5
CLIP_THREADS, SONG_THREADS = 1, 2
# Shared by all models: they would find each other's decoded songs.
FRESH = count(1)


@dataclass(frozen=True)
class Wait:
    """The times of a verdict and of decoding alone, in s, and the straightforward way's."""

    name: str
    verdict: tuple[float, ...]
    decoding: tuple[float, ...]
    goal_seconds: float | None
    goal_ratio: float | None
    peer: Figures | None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Return the verdict's time over decoding's, for each pair."""
        return tuple(a / b for a, b in zip(self.verdict, self.decoding, strict=True))

    def __str__(self) -> str:
        lines = [
            f"{self.name}  (median of {len(self.verdict)}, least and most)",
            goal_line("verdict", self.verdict, " s", self.goal_seconds),
            goal_line("decoding alone", self.decoding, " s", None),
            goal_line("verdict / decoding", self.ratios, "x ", self.goal_ratio),
        ]
        return "\n".join(lines if self.peer is None else [*lines, str(self.peer)])


def listen(runs: int = 5, model: Path | None = None) -> Iterator[Wait]:
    """Measure with one model, or with each that ships."""
    folders = [model] if model else sorted(path.parent for path in MODELS.glob("*/model.json"))
    with tempfile.TemporaryDirectory() as temporary:
        clip, song = Path(temporary) / "clip.wav", Path(temporary) / "song.mp3"
        write_song(clip, CLIP_SECONDS)
        write_song(song, SONG_SECONDS)
        for folder in folders:
            everyday = ModelFile.at(folder).load().network_name == "everyday"
            clip_goal, song_goal = EVERYDAY_GOALS if everyday else (CLIP_GOAL, None)
            with computing_in(CLIP_THREADS):
                name = f"listen, {CLIP_SECONDS} s of WAV, one thread, {folder.name}"
                figures = wait(name, clip, folder, runs, goal_seconds=clip_goal)
            yield figures
            with computing_in(SONG_THREADS):
                name = f"listen, {SONG_SECONDS / 60:g} minutes of MP3, two threads, {folder.name}"
                ratio = None if everyday else SONG_GOAL
                figures = wait(name, song, folder, runs, goal_seconds=song_goal, goal_ratio=ratio)
            yield figures


def write_song(path: Path, seconds: int) -> None:
    """Write composed music, stereo, 44.1 kHz, in the format that the suffix names."""
    import soundfile
    import soxr

    from genrekit.audio.synth.chart import STYLES
    from genrekit.audio.synth.rendering import render

    part = min(seconds, 30)
    styles = STYLES[: -(-seconds // part)]
    mono = np.concatenate([render(style, seed=0, seconds=part) for style in styles])
    left = soxr.resample(mono, 22050, RATE)[: seconds * RATE]
    soundfile.write(path, np.stack([left, 0.8 * left], axis=1), RATE)


def wait(
    name: str,
    path: Path,
    folder: Path,
    runs: int,
    *,
    goal_seconds: float | None = None,
    goal_ratio: float | None = None,
) -> Wait:
    """Time the verdict on one file, decoding it, and the straightforward way where it can.

    Raises
    ------
    DisagreementError
        The verdict differs from that of the model itself, or from the straightforward one.
    """
    content, model = path.read_bytes(), ModelFile.at(folder)

    def verdict() -> tuple[float, SongResult]:
        # Another limit is another question: nothing that was kept answers it.
        limit = 900 + next(FRESH) / 1000
        return timed(lambda: analyse(Song(content, limit), model))

    def decode() -> tuple[float, Any]:
        return timed(lambda: load_audio(content, model.load().params.sample_rate))

    expected = model.load().classify(content)
    pairs = compare(name, verdict, decode, lambda a, _: _same(a, expected), runs=runs, warm_up=True)
    params = model.load().params
    peer = None
    if model.load().network_name == "mlp" and params.kind == "mfcc":
        peer = compare(
            "  and the straightforward way",
            verdict,
            partial(timed, partial(straightforward, path, folder)),
            _as_straightforward,
            runs=runs,
            warm_up=True,
        )
    return Wait(name, pairs.ours, pairs.theirs, goal_seconds, goal_ratio, peer)


def _same(heard: SongResult, expected: Verdict) -> str:
    if heard.verdict != expected:
        raise DisagreementError("The verdict is not that of the model on the same file.")
    return "the same verdict"


def _as_straightforward(heard: SongResult, theirs: dict[str, Any]) -> str:
    ours = heard.verdict.probabilities
    return within(max(abs(ours[genre] - theirs[genre]) for genre in ours), LIMIT, "probabilities")


def goal_line(label: str, values: tuple[float, ...], unit: str, goal: float | None) -> str:
    """Return a line with the median of values, their range, and whether it reaches a goal."""
    middle = median(values)
    text = f"  {label:<22}{middle:9.3f}{unit}   ({min(values):.3f} to {max(values):.3f})"
    if goal is None:
        return text
    return f"{text}   goal {goal:g}: {'reached' if middle <= goal else 'MISSED'}"
