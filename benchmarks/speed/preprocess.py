"""From a folder of audio to arrays ready for training.

GenreKit: `build_dataset` with a process for each processor to Parquet, then `Dataset.read`. The
straightforward way: librosa on one slice after another, nested lists, indented JSON, read back.

Each side runs in a fresh process and has heard a piece of the first track before its clock
starts, so that neither imports nor compiling count. Starting the pool of worker processes counts
against GenreKit.
"""

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.compare import (
    DisagreementError,
    Figures,
    compare,
    python,
    seconds_said,
    timed,
    within,
)

RATE, SECONDS, SEGMENTS, HOP = 22050, 30, 10, 512
# Coefficients reach some hundreds; both sides compute in float32.
LIMIT = 0.01


def preprocess(
    runs: int = 5, tracks: int = 200, kind: str = "wav", folder: Path | None = None
) -> Figures:
    """Compare on `tracks` generated tracks of 30 s, or on a real folder."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        if folder is None:
            write_tracks(work / "audio", tracks, kind)
            name = f"preprocess, {tracks} {kind} tracks of {SECONDS} s"
        else:
            name = f"preprocess, {folder.name}"
        source = folder or work / "audio"
        return compare(
            name,
            partial(_child, "ours", source, work),
            partial(_child, "theirs", source, work),
            check,
            runs=runs,
            goal=8 if kind == "wav" and tracks >= 200 and folder is None else None,
        )


def write_tracks(folder: Path, count: int, kind: str) -> None:
    """Write generated music at 22050 Hz: each track is a part of one of ten songs."""
    import soundfile

    from genrekit.audio.synth.chart import STYLES
    from genrekit.audio.synth.rendering import render

    songs = {style: render(style, seed=0, seconds=SECONDS) for style in STYLES[:10]}
    rng = np.random.default_rng(0)
    for i in range(count):
        style, song = list(songs.items())[i % len(songs)]
        (folder / style).mkdir(parents=True, exist_ok=True)
        turned = np.roll(song, rng.integers(len(song))) * rng.uniform(0.3, 1)
        soundfile.write(folder / style / f"{i:05d}.{kind}", turned, RATE)


def check(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Check that both sides have the same segments, or reasons for those left out, and numbers."""
    rows = {key: i for i, key in enumerate(zip(*theirs["keys"], strict=True))}
    mine = list(zip(*ours["keys"], strict=True))
    left_out = {tuple(key) for key in ours["left_out"]}
    whole = {track for track, place in left_out if place == ""}
    lost = {k for k in set(rows) - set(mine) - left_out if k[0] not in whole}
    if lost or not set(mine) <= set(rows):
        raise DisagreementError(f"{len(mine)} segments against {len(rows)}.")
    at = [rows[key] for key in mine]
    mapping = theirs["genres"].tolist()
    if ours["genres"][ours["y"]].tolist() != [mapping[label] for label in theirs["y"][at]]:
        raise DisagreementError("Labels differ.")
    said = within(float(np.abs(ours["x"] - theirs["x"][at]).max()), LIMIT, "coefficients")
    return f"{len(mine)} segments; {said}"


def _child(side: str, folder: Path, work: Path) -> tuple[float, dict[str, Any]]:
    result = work / f"{side}.npz"
    command = ["-m", "benchmarks.speed.preprocess", side, str(folder), str(result)]
    seconds = seconds_said(python(*command, numba_cache=work / "numba"))
    with np.load(result) as arrays:
        return seconds, dict(arrays)


def _ours(folder: Path, work: Path) -> dict[str, Any]:
    from genrekit.dataset.build import build_dataset
    from genrekit.dataset.dataset import Dataset

    output = work / "data.parquet"
    for _ in build_dataset(folder, output):
        pass
    data = Dataset.read(output)
    return {
        "x": data.features,
        "y": data.labels,
        "genres": data.genres,
        "keys": (data.tracks, data.segments.astype(str)),
        "left_out": [(s.track, "" if s.segment is None else str(s.segment)) for s in data.skipped],
    }


def _theirs(folder: Path, work: Path) -> dict[str, Any]:
    import librosa

    data: dict[str, list[Any]] = {"mapping": [], "labels": [], "mfcc": []}
    keys = []
    length = RATE * SECONDS // SEGMENTS
    for label, genre in enumerate(sorted(p for p in folder.iterdir() if p.is_dir())):
        data["mapping"].append(genre.name)
        for path in sorted(genre.rglob("*.*")):
            try:
                signal, rate = librosa.load(path, sr=RATE)
            except Exception as error:
                print(f"{path}: {error}", file=sys.stderr)
                continue
            for i in range(SEGMENTS):
                piece = signal[i * length : (i + 1) * length]
                if not len(piece):
                    continue
                mfcc = librosa.feature.mfcc(
                    y=piece, sr=rate, n_mfcc=13, n_fft=2048, hop_length=HOP
                ).T
                if len(mfcc) == math.ceil(length / HOP):
                    data["mfcc"].append(mfcc.tolist())
                    data["labels"].append(label)
                    keys.append((path.relative_to(folder).with_suffix("").as_posix(), str(i)))
    with (work / "data.json").open("w") as file:
        json.dump(data, file, indent=4)
    with (work / "data.json").open() as file:
        read = json.load(file)
    x, y = np.array(read["mfcc"]), np.array(read["labels"])
    return {"x": x, "y": y, "genres": data["mapping"], "keys": tuple(zip(*keys, strict=True))}


def _hear_with_genrekit(track: Path) -> None:
    import pyarrow.parquet  # noqa: F401

    import genrekit.dataset.dataset  # noqa: F401
    from genrekit.dataset.build import track_features
    from genrekit.features.extraction import FeatureParams

    track_features(track, FeatureParams(), 3)


def _hear_with_librosa(track: Path) -> None:
    import librosa

    signal, rate = librosa.load(track, sr=RATE, duration=3)
    librosa.feature.mfcc(y=signal, sr=rate, n_mfcc=13)


def _audio(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*.*")) if p.is_file() and p.parent != folder)


def main(side: str, folder: Path, result: Path) -> None:
    """Run one side and keep its arrays for the check."""
    hear, work = (_hear_with_genrekit, _ours) if side == "ours" else (_hear_with_librosa, _theirs)
    hear(next(_audio(folder)))
    with tempfile.TemporaryDirectory() as temporary:
        seconds, arrays = timed(partial(work, folder, Path(temporary)))
    np.savez(result, **arrays)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
