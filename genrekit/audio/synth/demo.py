"""A generated dataset: a folder for each style, and a table of the artists."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import check_clip, render
from genrekit.errors import GenreKitError
from genrekit.ranges import check_whole
from genrekit.system.files import atomic_write
from genrekit.system.processes import check_workers, compute_in_order
from genrekit.system.remote import local_path

__all__ = ["COMPOSED", "write_demo_dataset"]

# On the card of a model that was trained on such music, where the verdicts' page looks for it.
COMPOSED: Final = "Trained on music composed by GenreKit."

SAMPLE_RATE: Final = 22050


def write_demo_dataset(
    folder: str | os.PathLike[str],
    *,
    tracks_per_style: int = 12,
    artists_per_style: int = 4,
    seconds: float = 12.0,
    seed: int = 0,
    styles: Sequence[str] = STYLES,
    workers: int | None = None,
) -> Iterator[Path]:
    """Write generated tracks in the layout of a genre dataset.

    The tracks are `<folder>/<style>/<style>.00000.flac` (16 bit, 22050 Hz, mono), whose artists
    take turns. `<folder>/tracks.csv`, written last, names the artist of each track. Each file
    appears when it is complete and replaces one of the same name.

    Parameters
    ----------
    folder : path
        Created if it does not exist.
    tracks_per_style : int, in [1, 100000]
    artists_per_style : int, in [1, 100000]
    seconds : float, in [0.1, 600]
        Length of each track, s.
    seed : int, >= 0
        Another seed gives other tracks by the same artists.
    styles : Sequence[str]
        Some of `STYLES`.
    workers : int or None
        Processes, each composing one track at a time; None for one per processor. The files are
        the same for any number.

    Yields
    ------
    Path
        A written track; with several workers, a few more may be there already.

    Raises
    ------
    SettingsError
        At the call: a style is unknown or a number is out of range.
    GenreKitError
        During the iteration: the system ended a process.

    Examples
    --------
    >>> paths = genrekit.write_demo_dataset(
    ...     "demo", tracks_per_style=1, seconds=3, styles=("jazz",), workers=1
    ... )
    >>> [path.name for path in paths]
    ['jazz.00000.flac']
    """
    for style in styles:
        check_clip(style, seed=seed, artist=0, seconds=seconds, sample_rate=SAMPLE_RATE)
    check_whole("tracks_per_style", tracks_per_style, 1, 100_000)
    check_whole("artists_per_style", artists_per_style, 1, 100_000)
    check_workers(workers)
    root = local_path(folder)
    tracks = [
        _DemoTrack(root, style, number, number % artists_per_style, seconds, seed)
        for style in styles
        for number in range(tracks_per_style)
    ]
    return _write(root, tracks, workers)


@dataclass(frozen=True)
class _DemoTrack:
    folder: Path
    style: str
    number: int
    artist: int
    seconds: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.style}/{self.style}.{self.number:05d}"


def _write(folder: Path, tracks: Sequence[_DemoTrack], workers: int | None) -> Iterator[Path]:
    for style in dict.fromkeys(track.style for track in tracks):
        (folder / style).mkdir(parents=True, exist_ok=True)
    yield from compute_in_order(_write_track, tracks, workers, _crashed)
    rows = [("track", "artist"), *((t.name, f"{t.style} artist {t.artist}") for t in tracks)]
    folder.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(folder / "tracks.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(rows)


def _write_track(track: _DemoTrack) -> Path:
    import soundfile  # here, so that rendering needs NumPy alone

    seed = track.seed * 100_000 + track.number
    audio = render(track.style, seed=seed, artist=track.artist, seconds=track.seconds)
    path = track.folder / f"{track.name}.flac"
    with atomic_write(path) as temporary:
        soundfile.write(temporary, audio, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return path


def _crashed() -> Path:
    raise GenreKitError(
        "The system ended a worker process, perhaps for lack of memory: "
        "run again with fewer workers."
    )
