"""A folder of audio to a dataset file: `folder/<genre>/<track>` in, one Parquet file out.

Tracks are read in sorted order by a pool of processes. Each finished track waits in a part
file beside the output, so an interrupted run loses nothing and the next one goes on; when the
last track is done, the parts are joined and the output appears whole. Memory holds a few
tracks at a time, however large the folder.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio import AUDIO_SUFFIXES, load_audio
from genrekit.dataset import ParquetRows, Skipped, TrackRecord, make_card
from genrekit.errors import AudioError, DatasetError, SettingsError
from genrekit.features import FeatureParams, extract, split_segments
from genrekit.files import plain_os_errors, replacing
from genrekit.pool import CRASHED, compute_in_order
from genrekit.tables import match_tracks, read_track_table

__all__ = ["TRACK_SECONDS", "BuildProgress", "Track", "build_dataset", "find_tracks"]

# The course listens to the first 30 s of a track.
TRACK_SECONDS: Final = 30.0
# -80 dBFS: nothing in a segment with a lower peak can be heard.
SILENCE_PEAK: Final = 1e-4
ARTIST_TABLE: Final = "tracks.csv"


@dataclass(frozen=True)
class Track:
    """An audio file to be read: `id` is its path below the folder, without the suffix."""

    id: str
    path: Path
    genre: str
    artist: str | None = None


@dataclass(frozen=True)
class BuildProgress:
    """One more track is done or has failed; `segments` counts all rows so far."""

    done: int
    total: int
    track: str
    genre: str
    segments: int
    failed: bool
    resumed: bool
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, eq=False)
class TrackFeatures:
    """What became of one file: rows of features with their places, or an error.

    `skipped` holds (place, reason) of the segments left out.
    """

    features: NDArray[np.float32]
    places: NDArray[np.int64]
    sha256: str = ""
    skipped: tuple[tuple[int, str], ...] = ()
    error: str | None = None


def find_tracks(
    folder: str | os.PathLike[str], artists: str | os.PathLike[str] | None = None
) -> tuple[list[Track], list[Skipped]]:
    """The audio files below a folder of genre folders, sorted, and the files that are not.

    Parameters
    ----------
    folder : path of a folder with one sub-folder per genre
    artists : path of a CSV file with columns track and artist; without it, a file
        ``tracks.csv`` in the folder is used where there is one

    Returns
    -------
    tracks : list of Track
    others : list of Skipped
        Files that are no audio by their names or that stand outside every genre folder.

    Raises
    ------
    DatasetError
        The folder cannot be read, or holds no genre folder with audio.
    """
    root = Path(folder)
    with plain_os_errors("read", root):
        if not root.is_dir():
            raise DatasetError(
                f"{root} is not a folder: name the folder that holds the genre folders."
            )
        names, others = _names_below(root)
    audio = []
    for name in names:
        if Path(name).suffix.lower() not in AUDIO_SUFFIXES:
            if name != ARTIST_TABLE:
                others.append(Skipped(name, None, "It is not an audio file by its name."))
        elif "/" not in name:
            others.append(Skipped(name, None, "It stands outside every genre folder: move it."))
        else:
            audio.append(name)
    if not audio:
        raise DatasetError(
            f"{root} holds no genre folders with audio: put the files of each genre into a "
            "folder of its own, named after the genre."
        )
    ids = _track_ids(audio)
    table = Path(artists) if artists is not None else root / ARTIST_TABLE
    known = {}
    if artists is not None or table.is_file():
        known = match_tracks(read_track_table(table, "artist"), ids)
    tracks = [
        Track(track, root / name, name.split("/")[0], known.get(track))
        for track, name in zip(ids, audio, strict=True)
    ]
    others.sort(key=lambda other: other.track)
    return sorted(tracks, key=lambda track: (track.genre, track.id)), others


def build_dataset(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    params: FeatureParams | None = None,
    *,
    track_seconds: float | None = TRACK_SECONDS,
    workers: int | None = None,
    artists: str | os.PathLike[str] | None = None,
) -> Iterator[BuildProgress]:
    """Turn a folder of genre folders into a dataset file, track by track.

    Parameters
    ----------
    folder : path, as for `find_tracks`
    output : path of the Parquet file; it appears when the last track is done
    params : FeatureParams; the defaults where None
    track_seconds : float or None
        Only this much of the start of each track is used; None uses all of it.
    workers : int or None
        Processes; None means one for each processor, 1 works in this process.
    artists : as for `find_tracks`

    Yields
    ------
    BuildProgress
        One for each track. Stop reading, or be killed, and the next call with the same
        arguments goes on where this one stopped.

    Raises
    ------
    DatasetError
        The folder or the output cannot be used, or not one segment could be made.
    SettingsError
        A number is out of range.
    """
    params = params or FeatureParams()
    if track_seconds is not None and not params.segment_seconds <= track_seconds < np.inf:
        raise SettingsError(
            f"{track_seconds:g} s of each track cannot be used: give a number from one segment, "
            f"{params.segment_seconds:g} s, upwards."
        )
    if workers is not None and workers < 1:
        raise SettingsError(f"{workers} workers cannot work: use at least 1.")
    output = Path(output)
    if output.is_dir():
        raise DatasetError(f"{output} is a folder: name a file, such as {output / 'data.parquet'}.")
    if not output.parent.is_dir():
        raise DatasetError(f"{output.parent} is not a folder: make it first, or name another.")
    tracks, others = find_tracks(folder, artists)
    parts = _Parts(output, Path(folder), params, track_seconds)
    others = [other for other in others if not parts.owns(Path(folder) / other.track)]
    return _build(tracks, others, parts, min(workers or os.cpu_count() or 1, len(tracks)))


def _build(
    tracks: Sequence[Track], others: Sequence[Skipped], parts: "_Parts", workers: int
) -> Iterator[BuildProgress]:
    waiting = [track for track in tracks if not parts.holds(track)]
    computed = _compute_in_order(waiting, parts.params, parts.track_seconds, workers)
    kept: list[Track] = []
    skipped = list(others)
    rows = 0
    fresh = {track.id for track in waiting}
    with plain_os_errors("written", parts.output):
        for i, track in enumerate(tracks, start=1):
            resumed = track.id not in fresh
            result = parts.read(track) if resumed else next(computed)
            if result is None:  # a part that a crash of the whole machine left damaged
                resumed = False
                result = track_features(track.path, parts.params, parts.track_seconds)
            if result.error is None:
                if not resumed:
                    parts.write(track, result)
                kept.append(track)
                rows += len(result.features)
                new = tuple(Skipped(track.id, place, why) for place, why in result.skipped)
            else:
                new = (Skipped(track.id, None, result.error),)
            skipped += new
            failed = result.error is not None
            yield BuildProgress(i, len(tracks), track.id, track.genre, rows, failed, resumed, new)
        if not rows:
            raise DatasetError(
                f"Not one segment could be made from {len(tracks)} files. "
                f"{skipped[-1].track}, for instance: {skipped[-1].reason}"
            )
        parts.join(kept, skipped)


# -- one track --------------------------------------------------------------------------------


def track_features(path: Path, params: FeatureParams, track_seconds: float | None) -> TrackFeatures:
    """Read one file and compute its segments' features. Never raises for a bad file."""
    nothing = np.empty((0, *params.shape), np.float32), np.empty(0, np.int64)
    try:
        samples = load_audio(path, params.sample_rate, max_seconds=track_seconds)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except AudioError as error:
        return TrackFeatures(*nothing, error=str(error))
    except OSError as error:
        return TrackFeatures(*nothing, error=f"It cannot be read: {error.strerror}.")
    segments = split_segments(samples, params)
    skipped = _left_out(samples, segments, params)
    silent = {place for place, _ in skipped}
    places = np.array([i for i in range(len(segments)) if i not in silent], np.int64)
    if not len(places):
        why = "It is silent." if len(segments) else _too_short(samples, params)
        return TrackFeatures(*nothing, error=why)
    return TrackFeatures(extract(segments[places], params), places, digest, tuple(skipped))


def _left_out(
    samples: NDArray[np.float32], segments: NDArray[np.float32], params: FeatureParams
) -> list[tuple[int, str]]:
    left_out = [
        (i, "It is silent.")
        for i, segment in enumerate(segments)
        if segment.max() < SILENCE_PEAK and segment.min() > -SILENCE_PEAK
    ]
    rest = len(samples) - len(segments) * params.segment_samples
    if rest > params.hop_length:
        have, need = rest / params.sample_rate, params.segment_seconds
        left_out.append(
            (len(segments), f"The track ends {have:.2f} s into it, before its {need:g} s are full.")
        )
    return left_out


def _too_short(samples: NDArray[np.float32], params: FeatureParams) -> str:
    return (
        f"It lasts {len(samples) / params.sample_rate:.2f} s, less than one segment of "
        f"{params.segment_seconds:g} s: choose a longer one or shorten the segments."
    )


def _compute_in_order(
    tracks: Sequence[Track], params: FeatureParams, track_seconds: float | None, workers: int
) -> Generator[TrackFeatures, None, None]:
    """The features of each track in order, a few ahead of what is asked for."""
    nothing = np.empty((0, *params.shape), np.float32), np.empty(0, np.int64)
    return compute_in_order(
        partial(track_features, params=params, track_seconds=track_seconds),
        [track.path for track in tracks],
        workers,
        crashed=lambda: TrackFeatures(*nothing, error=CRASHED),
    )


# -- parts ------------------------------------------------------------------------------------


class _Parts:
    """The finished tracks of a run that goes on, one file each, in a folder beside the output.

    A part is named after everything that decides what is in it, so a part that is there is
    right, and parts of other settings or of a changed file do no harm.
    """

    def __init__(
        self, output: Path, root: Path, params: FeatureParams, track_seconds: float | None
    ) -> None:
        self.output = output
        self.root = root
        self.params = params
        self.track_seconds = track_seconds
        self.folder = output.with_name(output.name + ".parts")
        self._there = {p.name for p in self.folder.iterdir()} if self.folder.is_dir() else set()
        self._paths: dict[str, Path] = {}

    def holds(self, track: Track) -> bool:
        return self._path(track).name in self._there

    def owns(self, path: Path) -> bool:
        """Whether a file is our own output or a part of it, not something found."""
        path, output = path.resolve(), self.output.resolve()
        return path == output or path.parent == output.with_name(self.folder.name)

    def write(self, track: Track, result: TrackFeatures) -> None:
        self.folder.mkdir(exist_ok=True)
        with replacing(self._path(track)) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                features=result.features,
                places=result.places,
                rest=np.array(json.dumps([result.sha256, result.skipped])),
            )

    def read(self, track: Track) -> TrackFeatures | None:
        """The part, or None where it is damaged."""
        try:
            path = self._path(track)
            with path.open("rb") as file, np.load(file, allow_pickle=False) as part:
                sha256, skipped = json.loads(str(part["rest"]))
                pairs = tuple((place, why) for place, why in skipped)
                return TrackFeatures(part["features"], part["places"], sha256, pairs)
        except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
            return None

    def join(self, tracks: Sequence[Track], skipped: Sequence[Skipped]) -> None:
        """Write the output from the parts, then remove them."""
        genres = tuple(sorted({track.genre for track in tracks}))
        records = []
        with ParquetRows.replacing(self.output, self.params, genres) as rows:
            for track in tracks:
                part = self.read(track)
                if part is None:
                    raise DatasetError(f"A part in {self.folder} was damaged: run again.")
                n = len(part.features)
                rows.add(
                    part.features,
                    np.full(n, genres.index(track.genre)),
                    np.full(n, track.id),
                    part.places,
                    np.full(n, track.artist or ""),
                )
                name = track.path.relative_to(self.root).as_posix()
                records.append(
                    TrackRecord(track.id, name, track.genre, track.artist, part.sha256, n)
                )
            rows.card = make_card(genres, self.params, self.track_seconds, records, skipped)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, track: Track) -> Path:
        """The part's place: decided once, for a file may change or go while others are read."""
        if track.id not in self._paths:
            try:
                status = track.path.stat()
                stamp = [status.st_size, status.st_mtime_ns]
            except OSError:
                stamp = []
            name = track.path.relative_to(self.root).as_posix()
            key = json.dumps([name, stamp, self.params.to_dict(), self.track_seconds])
            digest = hashlib.sha256(key.encode()).hexdigest()[:32]
            self._paths[track.id] = self.folder / f"{digest}.npz"
        return self._paths[track.id]


# -- names ------------------------------------------------------------------------------------


def _names_below(root: Path) -> tuple[list[str], list[Skipped]]:
    """Relative names of the files below `root`, and what is there but cannot be used.

    Hidden files and folders and linked folders are left out.
    """
    names, others = [], []

    def withheld(error: OSError) -> None:
        folder = Path(error.filename)
        if folder == root:
            raise error
        why = "It is a folder that this user may not read: change its permissions."
        others.append(Skipped(_printable(folder.relative_to(root).as_posix()), None, why))

    for folder, subfolders, files in os.walk(root, onerror=withheld):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in files:
            name = (Path(folder) / file).relative_to(root).as_posix()
            if file.startswith("."):
                continue
            if name == _printable(name):
                names.append(name)
            else:  # no table and no JSON could hold it
                others.append(Skipped(_printable(name), None, "Its name is no text: rename it."))
    return sorted(names), others


def _printable(name: str) -> str:
    """`name` with a mark for each byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _track_ids(names: Sequence[str]) -> list[str]:
    """Names without suffix; with it where two would be the same."""
    bare = [Path(name).with_suffix("").as_posix() for name in names]
    times = Counter(bare) + Counter(names)
    return [b if times[b] == 1 else name for b, name in zip(bare, names, strict=True)]
