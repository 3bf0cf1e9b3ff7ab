"""Build a dataset file from a folder of genre folders, `folder/<genre>/<track>`.

A pool of processes reads the tracks in sorted order. Each process appends finished tracks as parts
to a file of its own, in a folder beside the output. The key of a part is a digest of everything
that determines its content, so an interrupted run loses nothing, and parts of other settings or of
a changed file are never used. Meanwhile the parts are joined; the output appears after the last,
whole. Memory holds a few tracks at a time.
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
import struct
import zlib
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import decode_start
from genrekit.dataset.dataset import Note, Skipped, TrackRecord, make_card
from genrekit.dataset.folder import MusicFolder, Track, look_into
from genrekit.dataset.parquet import ParquetRows
from genrekit.errors import AudioError, DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.ranges import check_number
from genrekit.system.cluster import compute_on_cluster
from genrekit.system.files import plain_os_errors
from genrekit.system.processes import CRASHED, check_workers, compute_in_order
from genrekit.system.remote import Location, LocationName, RemoteFile, local_copy, location
from genrekit.wording import counted, numeral

__all__ = [
    "TRACK_SECONDS",
    "BuildProgress",
    "build_dataset",
    "track_features",
]

# The course uses the first 30 s of a track.
TRACK_SECONDS: Final = 30.0
# -80 dBFS: a segment with a lower peak is inaudible.
SILENCE_PEAK: Final = 1e-4
# A part begins with a checksum of what follows: its key, the sizes in bytes of the features and
# of the rest, the features, and the rest as JSON.
_HEAD: Final = struct.Struct("<Q16sQQ")
# Part of every key: parts of other versions of this file are not read.
_FORMAT: Final = 2


class TrackFeatures(NamedTuple):
    """The features of a track's segments; `skipped` has (segment, reason) of those left out.

    `missing` is a sentence on what could not be heard of the track, "" for nothing.
    """

    features: NDArray[np.float32]
    segments: NDArray[np.int64]
    sha256: str
    skipped: tuple[tuple[int, str], ...]
    missing: str = ""


class Task(NamedTuple):
    """A file to read, with the key of its part and the folder for it."""

    path: Location
    root: Location
    key: bytes
    folder: Path
    run: str


class PartAt(NamedTuple):
    """The position of a part: a file and an offset in bytes."""

    file: Path
    start: int


@dataclass(frozen=True)
class BuildProgress:
    """One more track is done or has failed; `segments` counts all rows so far.

    `missing` is a sentence on what could not be heard of the track, "" for nothing. `notes`, on how
    the folder was read, come with the first track.
    """

    done: int
    total: int
    track: str
    genre: str
    segments: int
    failed: bool
    resumed: bool
    skipped: tuple[Skipped, ...]
    missing: str = ""
    notes: tuple[Note, ...] = ()


class Parts:
    """The parts of one output, those of earlier runs included."""

    def __init__(
        self, output: Location, root: Location, params: FeatureParams, track_seconds: float | None
    ) -> None:
        self.output = output
        self.root = root
        self.params = params
        self.track_seconds = track_seconds
        self.folder = parts_folder(output)
        self._run = secrets.token_hex(4)
        self._keys: dict[str, bytes] = {}
        self._positions: dict[bytes, PartAt] = {}
        for file in self.folder.glob("*.parts"):
            self._positions |= parts_in(file)

    def finished(self, track: Track) -> bool:
        """Return whether the track is finished."""
        return self._key(track) in self._positions

    def owns(self, path: Location) -> bool:
        """Return whether a file is the output or one of the parts."""
        if isinstance(path, RemoteFile) or isinstance(self.output, RemoteFile):
            return path == self.output
        path, output = path.resolve(), self.output.resolve()
        return path == output or path.parent == output.with_name(self.folder.name)

    def task(self, track: Track) -> Task:
        """Return the task of finishing a track."""
        return Task(track.path, self.root, self._key(track), self.folder, self._run)

    def add(self, track: Track, at: PartAt) -> None:
        """Remember the position of a track's part."""
        self._positions[self._key(track)] = at

    def read(self, track: Track) -> TrackFeatures | None:
        """Read a finished track; None if its part is damaged."""
        return read_part(self._positions[self._key(track)], self.params)

    @contextmanager
    def joining(self, genres: Sequence[str]) -> Iterator["_Join"]:
        """Collect rows in a file beside the parts; when finished, it becomes the output."""
        for stale in self.folder.glob("*.joined"):  # of a run that was killed
            with suppress(OSError):
                stale.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{os.getpid()}.joined"
        try:
            with ParquetRows.writing(temporary, self.params, genres) as rows:
                yield _Join(self, rows, genres)
            if rows.card:
                if isinstance(self.output, RemoteFile):
                    self.output.store(temporary)
                else:
                    temporary.replace(self.output)
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            temporary.unlink(missing_ok=True)

    def _key(self, track: Track) -> bytes:
        """Computed once, for a file may change or disappear while others are read."""
        if track.id not in self._keys:
            settings = self.params.to_dict() | {"track_seconds": self.track_seconds}
            key = json.dumps([_FORMAT, track.name, _version(track.path), settings])
            self._keys[track.id] = hashlib.sha256(key.encode()).digest()[:16]
        return self._keys[track.id]


class _Join:
    """Writes the rows of finished tracks, in order, into one file."""

    def __init__(self, parts: Parts, rows: ParquetRows, genres: Sequence[str]) -> None:
        self.count = 0
        self._parts = parts
        self._rows = rows
        self._genres = list(genres)
        self._records: list[TrackRecord] = []

    def add(self, track: Track, part: TrackFeatures | None) -> tuple[Skipped, ...]:
        """Append a track's rows; return its segments that were left out."""
        if part is None:
            raise DatasetError(f"A part in {self._parts.folder} was damaged: run again.")
        n = len(part.features)
        self._rows.add(
            part.features,
            np.full(n, self._genres.index(track.genre)),
            np.full(n, track.id),
            part.segments,
            np.full(n, track.artist or ""),
        )
        self._records.append(
            TrackRecord(
                track.id,
                track.name,
                track.genre,
                track.artist,
                part.sha256,
                n,
                part.missing,
                track.part,
            )
        )
        self.count += n
        return tuple(Skipped(track.id, segment, why) for segment, why in part.skipped)

    def finish(self, skipped: Sequence[Skipped], notes: Sequence[Note]) -> None:
        """Complete the file with its card."""
        parts = self._parts
        self._rows.card = make_card(
            self._genres, parts.params, parts.track_seconds, self._records, skipped, notes
        )


def build_dataset(
    folder: LocationName,
    output: LocationName,
    params: FeatureParams | None = None,
    *,
    track_seconds: float | None = TRACK_SECONDS,
    workers: int | None = None,
    artists: LocationName | None = None,
    scheduler: str | None = None,
    only_whole: bool = False,
    leave_out: Collection[str] = (),
) -> Iterator[BuildProgress]:
    """Turn a folder of genre folders into a dataset file, track by track.

    Parameters
    ----------
    folder, artists : as for `look_into`
    output : path or URL of the Parquet file
    params : FeatureParams; the defaults if None
    track_seconds : float or None
        Use only this much of the start of each track, s; None uses all of it.
    workers : int or None
        Processes; None means one per processor, 1 works in this process.
    scheduler : str or None
        The address of a Dask scheduler, whose workers read the tracks instead. They must see
        `folder` under the same name.
    only_whole : bool
        A file of which something is missing is an error, as one that cannot be read is. Otherwise
        the rest of it is used.
    leave_out : collection of str
        Paths below the folder, or ids, of tracks that are not to be used.

    Yields
    ------
    BuildProgress
        One for each track. After an interruption, a call with the same arguments continues.

    Raises
    ------
    DatasetError
        The folder or the output cannot be used, or not one segment could be made.
    SettingsError
        A number is out of range.

    Examples
    --------
    >>> for progress in genrekit.build_dataset("music", "built.parquet", workers=1):
    ...     pass
    >>> progress.done, progress.total
    (6, 6)
    """
    params = params or FeatureParams()
    if track_seconds is not None:
        check_number("track_seconds", track_seconds)
        if track_seconds < params.segment_seconds:
            raise SettingsError(
                f"{numeral(track_seconds)} s of each track cannot be used: give a number from one "
                f"segment, {params.segment_seconds:g} s, upwards."
            )
    check_workers(workers)
    root, target = location(folder), location(output)
    _check_output(target)
    found = _without(look_into(root, artists), leave_out)
    with plain_os_errors("read", parts_folder(target)):
        parts = Parts(target, root, params, track_seconds)
    others = [other for other in found.others if not parts.owns(root / other.track)]
    found = replace(found, others=tuple(others))
    return _build(found, parts, workers, scheduler, only_whole)


def _without(found: MusicFolder, leave_out: Collection[str]) -> MusicFolder:
    """The folder without some of its tracks, which are listed with the others."""
    out = [track for track in found.tracks if {track.id, track.name} & {*leave_out}]
    if not out:
        return found
    if len(out) == len(found.tracks):
        raise DatasetError("Every track would be left out: name fewer of them.")
    listed = [Skipped(track.name, None, "It was to be left out.") for track in out]
    others = sorted([*found.others, *listed], key=lambda other: other.track)
    tracks = tuple(track for track in found.tracks if track not in out)
    return replace(found, tracks=tracks, others=tuple(others))


def _check_output(output: Location) -> None:
    if isinstance(output, RemoteFile):
        output.check()
        return
    if output.is_dir():
        raise DatasetError(f"{output} is a folder: name a file, such as {output / 'data.parquet'}.")
    if not output.parent.is_dir():
        raise DatasetError(f"{output.parent} is not a folder: make it first, or name another.")


def _build(
    found: MusicFolder,
    parts: Parts,
    workers: int | None,
    scheduler: str | None,
    only_whole: bool,
) -> Iterator[BuildProgress]:
    tracks, notes = found.tracks, found.notes
    waiting = [track for track in tracks if not parts.finished(track)]
    fresh = {track.id for track in waiting}
    genres = sorted({track.genre for track in tracks})
    kept: list[Track] = []
    skipped = list(found.others)
    join, rows = None, 0
    with plain_os_errors("written", parts.output), ExitStack() as opened:
        computed = opened.enter_context(closing(_compute(waiting, parts, workers, scheduler)))
        for i, track in enumerate(tracks, start=1):
            resumed = track.id not in fresh
            made = parts.read(track) if resumed else _kept(track, next(computed), parts)
            if resumed and made is None:  # a crash of the machine damaged the part
                resumed = False
                again = make_part(parts.task(track), parts.params, parts.track_seconds)
                made = _kept(track, again, parts)
            failed, missing = False, ""
            if isinstance(made, TrackFeatures):
                missing = made.missing
                made = missing if missing and only_whole else made
            if isinstance(made, str):
                failed, missing = True, ""
                new: tuple[Skipped, ...] = (Skipped(track.id, None, made),)
            else:
                join = join or opened.enter_context(parts.joining(genres))
                new = join.add(track, made)
                kept.append(track)
                rows = join.count
            skipped += new
            yield BuildProgress(
                i,
                len(tracks),
                track.id,
                track.genre,
                rows,
                failed,
                resumed,
                new,
                missing,
                notes if i == 1 else (),
            )
        if join is None:
            raise DatasetError(
                f"Not one segment could be made from {counted(len(tracks), 'file')}. "
                f"{skipped[-1].track}, for instance: {skipped[-1].reason}"
            )
        remaining = sorted({track.genre for track in kept})
        if remaining == genres:
            join.finish(skipped, notes)
            return
    # With fewer genres, their numbers are others.
    with plain_os_errors("written", parts.output), parts.joining(remaining) as join:
        for track in kept:
            join.add(track, parts.read(track))
        join.finish(skipped, notes)


def _kept(track: Track, made: PartAt | str, parts: Parts) -> TrackFeatures | str | None:
    """A track's features from its new part, or the reason why there are none."""
    if isinstance(made, str):
        return made
    parts.add(track, made)
    return parts.read(track)


def _compute(
    tracks: Sequence[Track], parts: Parts, workers: int | None, scheduler: str | None
) -> Generator[PartAt | str, None, None]:
    """Make the parts of the tracks in order, a few ahead of what is asked for."""
    tasks = [parts.task(track) for track in tracks]
    params, track_seconds = parts.params, parts.track_seconds
    if scheduler is None:
        job = partial(make_part, params=params, track_seconds=track_seconds)
        yield from compute_in_order(job, tasks, workers, crashed=lambda: CRASHED)
        return
    read = partial(read_track_elsewhere, params=params, track_seconds=track_seconds)
    early: dict[int, PartAt | str] = {}  # a cluster's parts are written here, as they arrive
    with closing(compute_on_cluster(read, tasks, scheduler, crashed=lambda: CRASHED)) as results:
        for i in range(len(tasks)):
            while i not in early:
                number, track = next(results)
                early[number] = _keep(tasks[number], track)
            yield early.pop(i)


def make_part(task: Task, params: FeatureParams, track_seconds: float | None) -> PartAt | str:
    """Read a file and write its part; return its position, or the reason why there is none."""
    return _keep(task, read_track(task, params, track_seconds))


def _keep(task: Task, track: TrackFeatures | str) -> PartAt | str:
    return track if isinstance(track, str) else append_part(task, track)


def read_track(
    task: Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """Return the features of a file, or the reason why there are none."""
    try:
        with local_copy(task.path) as path:
            return track_features(path, params, track_seconds)
    except (AudioError, OSError, MemoryError) as error:
        return unreadable(error)


def unreadable(error: Exception) -> str:
    """Say why a file could not be read."""
    if isinstance(error, OSError):
        return f"It cannot be read: {error.strerror or type(error).__name__}."
    is_memory = isinstance(error, MemoryError)
    return "There is not enough memory to read it." if is_memory else str(error)


def read_track_elsewhere(
    task: Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """Do the same on another machine; DatasetError if the folder does not exist there."""
    if isinstance(task.root, Path) and not task.root.is_dir():
        raise DatasetError(
            f"{task.root} is not a folder on the worker {platform.node()}: mount it there under "
            "the same name, or give a URL that all machines reach."
        )
    return read_track(task, params, track_seconds)


def track_features(path: Path, params: FeatureParams, track_seconds: float | None) -> TrackFeatures:
    """Read a file and compute the features of its segments that are not silent."""
    decoded = decode_start(path, params.sample_rate, track_seconds)
    samples = decoded.samples
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    segments = split_segments(samples, params)
    skipped = _left_out(samples, segments, params)
    silent = {number for number, _ in skipped}
    numbers = np.array([i for i in range(len(segments)) if i not in silent], np.int64)
    if not len(segments):
        raise AudioError(too_short(len(samples) / params.sample_rate, params.segment_seconds))
    if not len(numbers):
        raise AudioError("It is silent.")
    if len(numbers) < len(segments):  # otherwise a copy is unnecessary
        segments = segments[numbers]
    missing = decoded.gap.sentence if decoded.gap else ""
    return TrackFeatures(extract(segments, params), numbers, digest, tuple(skipped), missing)


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


def too_short(seconds: float, segment_seconds: float) -> str:
    """Say that a sound is shorter than a segment."""
    return (
        f"It lasts {seconds:.2f} s, less than one segment of {segment_seconds:g} s: choose a "
        "longer one or shorten the segments."
    )


def append_part(task: Task, track: TrackFeatures) -> PartAt:
    """Write the part of a task."""
    features = np.ascontiguousarray(track.features).data
    about = [track.segments.tolist(), track.sha256, track.skipped, track.missing]
    rest = json.dumps(about).encode()
    sizes = features.nbytes, len(rest)
    unchecked = _HEAD.pack(0, task.key, *sizes)[8:]
    checksum = zlib.crc32(rest, zlib.crc32(features, zlib.crc32(unchecked)))
    task.folder.mkdir(parents=True, exist_ok=True)
    path = task.folder / f"{task.run}-{os.getpid()}.parts"
    with path.open("ab") as file:
        at = PartAt(path, file.tell())
        file.write(_HEAD.pack(checksum, task.key, *sizes))
        file.write(features)
        file.write(rest)
    return at


def read_part(at: PartAt, params: FeatureParams) -> TrackFeatures | None:
    """Read a part; None if it is damaged."""
    with at.file.open("rb") as file:
        file.seek(at.start)
        head = file.read(_HEAD.size)
        checksum, _, size, rest_size = _HEAD.unpack(head)
        content = file.read(size + rest_size)
    if zlib.crc32(content, zlib.crc32(head[8:])) != checksum:
        return None
    segments, sha256, skipped, missing = json.loads(content[size:])
    features = np.frombuffer(content, np.float32, size // 4).reshape(-1, *params.shape)
    left_out = tuple(map(tuple, skipped))
    return TrackFeatures(features, np.array(segments), sha256, left_out, missing)


def parts_in(path: Path) -> Iterator[tuple[bytes, PartAt]]:
    """Yield the key and position of each part, up to the first that is incomplete."""
    size, start = path.stat().st_size, 0
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            _, key, *sizes = _HEAD.unpack(head)
            end = start + _HEAD.size + sum(sizes)
            if end > size:
                return
            yield key, PartAt(path, start)
            start = file.seek(end)


def parts_folder(output: Location) -> Path:
    """Return the folder of an output's parts: beside it, or for a URL in the user's cache."""
    if isinstance(output, Path):
        return output.with_name(output.name + ".parts")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "genrekit" / f"{hashlib.sha256(output.url.encode()).hexdigest()[:16]}.parts"


def _version(path: Location) -> list[int | str]:
    """Values that change when a file does."""
    if isinstance(path, RemoteFile):
        return [path.stamp]
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
