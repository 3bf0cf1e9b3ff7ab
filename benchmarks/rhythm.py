"""Measure tempo, beats and key on sounds whose scores are known.

    python -m benchmarks.rhythm [--takes N]

The sounds are clicks at steady tempos, the ten example pieces, and pieces in every generated
style, N each. Printed for each group:

- `tempo`: the shares of sounds with a tempo within 2 % of the score's, within 2 % of twice or half
  of it, and with another
- `beats`: the mean F-measure of the beats, of which one counts that is within 70 ms of the score's
  (Davies, Degara and Plumbley 2009), and the median of how late those are
- `key`: the shares of sounds whose key is named rightly; named as its relative, which has the same
  notes; named wrongly; and not named. Clicks have none.

The tempo of a piece that changes it is the median.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from examples.pieces import PIECES
from examples.score import Piece
from genrekit.audio.decoder import load_audio
from genrekit.audio.synth.chart import STYLES, styles
from genrekit.audio.synth.notes import compose, make_artist
from genrekit.audio.synth.rendering import render
from genrekit.music.key import KEYS, NOTES, find_key
from genrekit.music.rhythm import SAMPLE_RATE, beat_times, tempo_of

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
SECONDS: Final = 30.0
NEAR_SECONDS: Final = 0.07
NEAR_TEMPO: Final = 0.02
# What examples/pieces.py says of each.
EXAMPLE_KEYS: Final = {
    "blues": "A major", "classical": "D major", "country": "G major", "disco": "E minor",
    "hiphop": "D minor", "jazz": "F major", "metal": "E minor", "pop": "C major",
    "reggae": "A minor", "rock": "A major",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scored:
    """A sound with its score: the beats in s, and the key."""

    name: str
    samples: NDArray[np.float32]
    beats: NDArray[np.float64]
    key: str | None


def clicks() -> Iterator[Scored]:
    """Yield decaying clicks over a faint noise, at ten tempos."""
    rng = np.random.default_rng(0)
    for tempo in range(70, 170, 10):
        beats = np.arange(rng.uniform(0.1, 0.6), SECONDS - 0.1, 60 / tempo)
        samples = rng.normal(0, 1e-3, round(SECONDS * SAMPLE_RATE))
        click = np.exp(-np.arange(1000) / 200) * rng.normal(0, 0.5, 1000)
        for beat in beats:
            first = round(beat * SAMPLE_RATE)
            samples[first : first + 1000] += click
        yield Scored(f"clicks {tempo}", samples.astype(np.float32), beats, None)


def examples() -> Iterator[Scored]:
    """Yield the example pieces."""
    for name, make in PIECES.items():
        samples = load_audio(EXAMPLES / f"{name}.ogg", SAMPLE_RATE)
        yield Scored(name, samples, _beats_of(make()), EXAMPLE_KEYS[name])


def _beats_of(piece: Piece) -> NDArray[np.float64]:
    starts, tempos = zip(*piece.tempos, strict=True)
    beats = np.arange(int(piece.beats))
    lengths = 60 / np.array(tempos)[np.searchsorted(starts, beats, side="right") - 1]
    return np.concatenate([[0.0], np.cumsum(lengths)[:-1]])


def generated(takes: int) -> Iterator[Scored]:
    """Yield pieces in each of the generated styles."""
    for style in STYLES:
        for take in range(takes):
            artist = make_artist(style, take)
            length = round(SECONDS * SAMPLE_RATE)
            song = compose(styles()[style], artist, take, length, SAMPLE_RATE)
            samples = render(style, seed=take, artist=take, seconds=SECONDS)
            beats = np.arange(0, SECONDS, song.bar_seconds / song.style.beats)
            yield Scored(f"{style} {take}", samples, beats, _key_of(song.form, song.key, style))


def _key_of(form: Sequence[Sequence[tuple[int, ...]]], tonic: int, style: str) -> str:
    """Return the key of a chart, which is written as if in C or, of a minor song, in A minor."""
    first = form[0][0]
    is_minor = len(first) > 2 and (first[1] - first[0]) % 12 == 3
    scale = styles()[style].scale
    if 3 in scale and 4 not in scale:  # minor and blues scales, written on C
        mode = "minor" if is_minor or first[0] % 12 or len(first) < 3 else "major"
        return f"{NOTES[tonic % 12]} {mode}"
    if is_minor and first[0] % 12 == 9:
        return f"{NOTES[(tonic + 9) % 12]} minor"
    return f"{NOTES[tonic % 12]} major"


def judged_tempo(beats: NDArray[np.float64], true: NDArray[np.float64]) -> str:
    """Return "right", "octave" or "wrong"."""
    tempo, wanted = tempo_of(beats), 60 / np.median(np.diff(true))
    for word, factors in (("right", (1.0,)), ("octave", (0.5, 2.0))):
        if tempo and any(abs(tempo / wanted / f - 1) <= NEAR_TEMPO for f in factors):
            return word
    return "wrong"


def judged_beats(
    beats: NDArray[np.float64], true: NDArray[np.float64]
) -> tuple[float, list[float]]:
    """Return the F-measure, and how late each beat is that is near one of the score."""
    late, left = [], list(true)
    for beat in beats:
        nearest = min(left, key=lambda one: abs(one - beat), default=np.inf)
        if abs(nearest - beat) <= NEAR_SECONDS:
            left.remove(nearest)
            late.append(float(beat - nearest))
    return 2 * len(late) / max(1, len(beats) + len(true)), late


def judged_key(samples: NDArray[np.float32], true: str) -> str:
    """Return "right", "relative", "wrong" or "not sure"."""
    found = find_key(samples)
    if found is None or found.name is None:
        return "not sure"
    if found.name == true:
        return "right"
    number = KEYS.index(true)
    relative = 12 + (number + 9) % 12 if number < 12 else (number + 3) % 12
    return "relative" if found.name == KEYS[relative] else "wrong"


def shares(words: Sequence[str], of: Sequence[str]) -> dict[str, str]:
    """Count each word."""
    return {word: f"{words.count(word)} of {len(words)}" for word in of}


def figures(sounds: Iterator[Scored]) -> dict[str, object]:
    """Measure a group of sounds."""
    tempos, scores, late, keys = [], [], [], []
    for sound in sounds:
        beats = beat_times(sound.samples)
        tempos.append(judged_tempo(beats, sound.beats))
        score, delays = judged_beats(beats, sound.beats)
        scores.append(score)
        late += delays
        if sound.key is not None:
            keys.append(judged_key(sound.samples, sound.key))
        print(sound.name, tempos[-1], f"{score:.2f}", keys[-1:], file=sys.stderr, flush=True)
    result: dict[str, object] = {
        "tempo": shares(tempos, ("right", "octave", "wrong")),
        "beats": {
            "F-measure": round(float(np.mean(scores)), 3),
            "all found": sum(score > 0.9 for score in scores),
            "late, ms": round(1000 * float(np.median(late))),
        },
    }
    if keys:
        result["key"] = shares(keys, ("right", "relative", "wrong", "not sure"))
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure tempo, beats and key.")
    parser.add_argument("--takes", type=int, default=4, help="pieces in each generated style")
    takes = parser.parse_args().takes
    for name, sounds in (
        ("clicks", clicks()), ("examples", examples()), ("generated", generated(takes))
    ):  # fmt: skip
        print(json.dumps({name: figures(sounds)}, indent=1, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
