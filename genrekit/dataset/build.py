"""A folder of audio to a dataset file: `folder/<genre>/<track>` in, one Parquet file out.

Tracks are read in sorted order by a pool of processes. Each of them notes the tracks it has
finished, the parts, in a file beside the output, so an interrupted run loses nothing and the
next one goes on. Meanwhile the parts are joined in order; after the last the output appears
whole. Memory holds a few tracks at a time, however large the folder.
"""

import hashlib
import json
import os
import platform
import secrets
import shutil
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import AUDIO_SUFFIXES, load_audio
from genrekit.dataset.dataset import ParquetRows, Skipped, TrackRecord, make_card
from genrekit.dataset.track_table import match_tracks, read_track_table
from genrekit.errors import AudioError, DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.ranges import check_number
from genrekit.system.cluster import compute_on_cluster
from genrekit.system.files import plain_os_errors
from genrekit.system.processes import CRASHED, check_workers, compute_in_order
from genrekit.system.remote import Location, LocationName, RemoteFile, local_copy, location
from genrekit.wording import counted, numeral

__all__ = ["TRACK_SECONDS", "BuildProgress", "Track", "build_dataset", "find_tracks"]

# The course listens to the first 30 s of a track.
TRACK_SECONDS: Final = 30.0
# -80 dBFS: nothing in a segment with a lower peak can be heard.
SILENCE_PEAK: Final = 1e-4
ARTIST_TABLE: Final = "tracks.csv"


@dataclass(frozen=True)
class Track:
    """An audio file to be read: `name` is its path below the folder, `id` that without suffix."""

    id: str
    name: str
    path: Location
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


class TrackFeatures(NamedTuple):
    """Rows of features with their places; `skipped` has (place, reason) of segments left out."""

    features: NDArray[np.float32]
    places: NDArray[np.int64]
    sha256: str
    skipped: tuple[tuple[int, str], ...]


def find_tracks(
    folder: LocationName, artists: LocationName | None = None
) -> tuple[list[Track], list[Skipped]]:
    """The audio files below a folder of genre folders, sorted, and the files that are not.

    Parameters
    ----------
    folder : path, or URL, of a folder with one sub-folder per genre
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
    root = location(folder)
    files, others = _files_below(root)
    audio = []
    for name in sorted(files):
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
    table = files.get(ARTIST_TABLE) if artists is None else location(artists)
    known = {}
    if table is not None:
        with local_copy(table) as local:
            known = match_tracks(read_track_table(local, "artist"), ids)
    tracks = [
        Track(track, name, files[name], name.split("/")[0], known.get(track))
        for track, name in zip(ids, audio, strict=True)
    ]
    others.sort(key=lambda other: other.track)
    return sorted(tracks, key=lambda track: (track.genre, track.id)), others


def build_dataset(
    folder: LocationName,
    output: LocationName,
    params: FeatureParams | None = None,
    *,
    track_seconds: float | None = TRACK_SECONDS,
    workers: int | None = None,
    artists: LocationName | None = None,
    scheduler: str | None = None,
) -> Iterator[BuildProgress]:
    """Turn a folder of genre folders into a dataset file, track by track.

    Parameters
    ----------
    folder : path or URL, as for `find_tracks`
    output : path or URL of the Parquet file; it appears when the last track is done
    params : FeatureParams; the defaults where None
    track_seconds : float or None
        Only this much of the start of each track is used; None uses all of it.
    workers : int or None
        Processes; None means one for each processor, 1 works in this process.
    artists : as for `find_tracks`
    scheduler : str or None
        The address of a Dask scheduler, whose workers then read the tracks instead of processes
        here. They must see `folder` under the same name.

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
    tracks, others = find_tracks(root, artists)
    with plain_os_errors("read", _parts_folder(target)):
        parts = _Parts(target, root, params, track_seconds)
    others = [other for other in others if not parts.owns(root / other.track)]
    compute: _Compute
    if scheduler is not None:
        compute = partial(_compute_on_cluster, scheduler=scheduler)
    else:
        compute = partial(_compute_in_order, workers=workers)
    return _build(tracks, others, parts, compute)


def _check_output(output: Location) -> None:
    if isinstance(output, RemoteFile):
        output.check()
        return
    if output.is_dir():
        raise DatasetError(f"{output} is a folder: name a file, such as {output / 'data.parquet'}.")
    if not output.parent.is_dir():
        raise DatasetError(f"{output.parent} is not a folder: make it first, or name another.")


def _build(
    tracks: Sequence[Track], others: Sequence[Skipped], parts: "_Parts", compute: "_Compute"
) -> Iterator[BuildProgress]:
    waiting = [track for track in tracks if not parts.holds(track)]
    fresh = {track.id for track in waiting}
    genres = sorted({track.genre for track in tracks})
    kept: list[Track] = []
    skipped = list(others)
    join, rows = None, 0
    with plain_os_errors("written", parts.output), ExitStack() as opened:
        computed = opened.enter_context(closing(compute(waiting, parts)))
        for i, track in enumerate(tracks, start=1):
            resumed = track.id not in fresh
            error = None if resumed else parts.note(track, next(computed))
            part = parts.read(track) if error is None else None
            if resumed and part is None:  # a crash of the whole machine left it damaged
                resumed = False
                again = make_part(parts.task(track), parts.params, parts.track_seconds)
                error = parts.note(track, again)
                part = parts.read(track) if error is None else None
            if error is None:
                join = join or opened.enter_context(parts.joining(genres))
                new = join.add(track, part)
                kept.append(track)
                rows = join.count
            else:
                new = (Skipped(track.id, None, error),)
            skipped += new
            failed = error is not None
            yield BuildProgress(i, len(tracks), track.id, track.genre, rows, failed, resumed, new)
        if join is None:
            raise DatasetError(
                f"Not one segment could be made from {counted(len(tracks), 'file')}. "
                f"{skipped[-1].track}, for instance: {skipped[-1].reason}"
            )
        if {track.genre for track in kept} == set(genres):
            join.finish(skipped)
            return
    with plain_os_errors("written", parts.output):  # fewer genres: their numbers are others
        parts.join(kept, skipped)


# -- one track --------------------------------------------------------------------------------


class _Task(NamedTuple):
    """A file to be read, and the key and the folder for its part."""

    path: Location
    root: Location
    key: bytes
    folder: Path
    run: str


class _PartAt(NamedTuple):
    """Where a part is: so many bytes into a file."""

    file: Path
    start: int


def make_part(task: _Task, params: FeatureParams, track_seconds: float | None) -> _PartAt | str:
    """Read a file and leave its features in a part; say where, or why there are none."""
    return _keep(task, read_track(task, params, track_seconds))


def read_track(
    task: _Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """A file's features, or why there are none."""
    try:
        with local_copy(task.path) as path:
            return track_features(path, params, track_seconds)
    except AudioError as error:
        return str(error)
    except OSError as error:
        return f"It cannot be read: {error.strerror or type(error).__name__}."
    except MemoryError:
        return "There is not enough memory to read it."


def read_track_elsewhere(
    task: _Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """The same on another machine, which must have the folder: else every file would fail there.

    Raises
    ------
    DatasetError
    """
    if isinstance(task.root, Path) and not task.root.is_dir():
        raise DatasetError(
            f"{task.root} is no folder on the worker {platform.node()}: mount it there under the "
            "same name, or give a URL that all machines reach."
        )
    return read_track(task, params, track_seconds)


def _keep(task: _Task, made: TrackFeatures | str) -> _PartAt | str:
    if isinstance(made, str):
        return made
    task.folder.mkdir(parents=True, exist_ok=True)
    return _append_part(task.folder / f"{task.run}-{os.getpid()}.parts", task.key, made)


def track_features(path: Path, params: FeatureParams, track_seconds: float | None) -> TrackFeatures:
    """Read one file and compute its segments' features.

    Raises
    ------
    AudioError, OSError
    """
    samples = load_audio(path, params.sample_rate, max_seconds=track_seconds)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    segments = split_segments(samples, params)
    skipped = _left_out(samples, segments, params)
    silent = {place for place, _ in skipped}
    places = np.array([i for i in range(len(segments)) if i not in silent], np.int64)
    if not len(places):
        raise AudioError("It is silent." if len(segments) else _too_short(samples, params))
    if len(places) < len(segments):  # else there is no need for a copy
        segments = segments[places]
    return TrackFeatures(extract(segments, params), places, digest, tuple(skipped))


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
    tracks: Sequence[Track], parts: "_Parts", workers: int | None
) -> Generator[_PartAt | str, None, None]:
    """The part of each track in order, a few ahead of what is asked for."""
    return compute_in_order(
        partial(make_part, params=parts.params, track_seconds=parts.track_seconds),
        [parts.task(track) for track in tracks],
        workers,
        crashed=lambda: CRASHED,
    )


def _compute_on_cluster(
    tracks: Sequence[Track], parts: "_Parts", scheduler: str
) -> Generator[_PartAt | str, None, None]:
    """The same from a cluster's workers; parts are written here, as they come."""
    tasks = [parts.task(track) for track in tracks]
    read = partial(read_track_elsewhere, params=parts.params, track_seconds=parts.track_seconds)
    places: dict[int, _PartAt | str] = {}
    with closing(compute_on_cluster(read, tasks, scheduler, crashed=lambda: CRASHED)) as results:
        for i in range(len(tasks)):
            while i not in places:
                number, made = next(results)
                places[number] = _keep(tasks[number], made)
            yield places.pop(i)


_Compute = Callable[[Sequence[Track], "_Parts"], Generator[_PartAt | str, None, None]]


# -- parts ------------------------------------------------------------------------------------

# A part begins with a checksum of what follows: its key, the sizes in bytes of the features and
# of the rest, the features, and the rest as JSON.
_PART_HEAD: Final = struct.Struct("<Q16sQQ")


def _append_part(file: Path, key: bytes, made: TrackFeatures) -> _PartAt:
    features = np.ascontiguousarray(made.features).data
    rest = json.dumps([made.places.tolist(), made.sha256, made.skipped]).encode()
    sizes = features.nbytes, len(rest)
    unchecked = _PART_HEAD.pack(0, key, *sizes)[8:]
    check = zlib.crc32(rest, zlib.crc32(features, zlib.crc32(unchecked)))
    with file.open("ab") as opened:
        at = _PartAt(file, opened.tell())
        opened.write(_PART_HEAD.pack(check, key, *sizes))
        opened.write(features)
        opened.write(rest)
    return at


def _read_part(at: _PartAt, params: FeatureParams) -> TrackFeatures | None:
    """The part, or None where it is damaged."""
    with at.file.open("rb") as opened:
        opened.seek(at.start)
        head = opened.read(_PART_HEAD.size)
        check, _, size, rest_size = _PART_HEAD.unpack(head)
        content = opened.read(size + rest_size)
    if zlib.crc32(content, zlib.crc32(head[8:])) != check:
        return None
    places, sha256, skipped = json.loads(content[size:])
    features = np.frombuffer(content, np.float32, size // 4).reshape(-1, *params.shape)
    pairs = tuple((place, why) for place, why in skipped)
    return TrackFeatures(features, np.array(places), sha256, pairs)


def _parts_in(file: Path) -> Iterator[tuple[bytes, _PartAt]]:
    """Key and place of each part, up to one that was not written to its end."""
    size, start = file.stat().st_size, 0
    with file.open("rb") as opened:
        while len(head := opened.read(_PART_HEAD.size)) == _PART_HEAD.size:
            _, key, *sizes = _PART_HEAD.unpack(head)
            end = start + _PART_HEAD.size + sum(sizes)
            if end > size:
                return
            yield key, _PartAt(file, start)
            start = opened.seek(end)


class _Parts:
    """The finished tracks of a run that goes on, in a folder beside the output.

    Each process of each run appends to a file of its own. A part's key is made of everything
    that decides what is in it, so a part that is there is right, and parts of other settings or
    of a changed file do no harm.
    """

    def __init__(
        self, output: Location, root: Location, params: FeatureParams, track_seconds: float | None
    ) -> None:
        self.output = output
        self.root = root
        self.params = params
        self.track_seconds = track_seconds
        self.folder = _parts_folder(output)
        self._settings = params.to_dict() | {"track_seconds": track_seconds}
        self._run = secrets.token_hex(4)
        self._keys: dict[str, bytes] = {}
        self._there: dict[bytes, _PartAt] = {}
        for file in self.folder.glob("*.parts"):
            self._there |= _parts_in(file)

    def holds(self, track: Track) -> bool:
        return self._key(track) in self._there

    def owns(self, path: Location) -> bool:
        """Whether a file is our own output or a part of it, not something found."""
        if isinstance(path, RemoteFile) or isinstance(self.output, RemoteFile):
            return path == self.output
        path, output = path.resolve(), self.output.resolve()
        return path == output or path.parent == output.with_name(self.folder.name)

    def task(self, track: Track) -> _Task:
        return _Task(track.path, self.root, self._key(track), self.folder, self._run)

    def note(self, track: Track, made: _PartAt | str) -> str | None:
        """Keep in mind where a track's part is; gives back why there is none."""
        if isinstance(made, str):
            return made
        self._there[self._key(track)] = made
        return None

    def read(self, track: Track) -> TrackFeatures | None:
        """The part, or None where it is damaged."""
        return _read_part(self._there[self._key(track)], self.params)

    @contextmanager
    def joining(self, genres: Sequence[str]) -> Iterator["_Join"]:
        """Gather rows in a file beside the parts; once finished, it is the output and they go."""
        for stale in self.folder.glob("*.joined"):  # of a run that was killed
            with suppress(OSError):
                stale.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{os.getpid()}.joined"
        try:
            with ParquetRows.writing(temporary, self.params, genres) as rows:
                join = _Join(self, rows, genres)
                yield join
            if rows.card:
                if isinstance(self.output, RemoteFile):
                    self.output.store(temporary)
                else:
                    temporary.replace(self.output)
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            temporary.unlink(missing_ok=True)

    def join(self, tracks: Sequence[Track], skipped: Sequence[Skipped]) -> None:
        """Write the output from parts that are there."""
        with self.joining(sorted({track.genre for track in tracks})) as join:
            for track in tracks:
                join.add(track, self.read(track))
            join.finish(skipped)

    def _key(self, track: Track) -> bytes:
        """Decided once, for a file may change or go while others are read."""
        if track.id not in self._keys:
            key = json.dumps([track.name, _stamp(track.path), self._settings])
            self._keys[track.id] = hashlib.sha256(key.encode()).digest()[:16]
        return self._keys[track.id]


def _stamp(path: Location) -> list[int | str]:
    """What changes when a file does."""
    if isinstance(path, RemoteFile):
        return [path.stamp]
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _parts_folder(output: Location) -> Path:
    """Beside the output; for one elsewhere in this user's cache."""
    if isinstance(output, Path):
        return output.with_name(output.name + ".parts")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "genrekit" / f"{hashlib.sha256(output.url.encode()).hexdigest()[:16]}.parts"


class _Join:
    """The rows of finished tracks, in order, on their way into one file."""

    def __init__(self, parts: _Parts, rows: ParquetRows, genres: Sequence[str]) -> None:
        self.count = 0
        self._parts = parts
        self._rows = rows
        self._genres = list(genres)
        self._records: list[TrackRecord] = []

    def add(self, track: Track, part: TrackFeatures | None) -> tuple[Skipped, ...]:
        """Append a track's rows; gives back which of its segments were left out."""
        if part is None:
            raise DatasetError(f"A part in {self._parts.folder} was damaged: run again.")
        n = len(part.features)
        self._rows.add(
            part.features,
            np.full(n, self._genres.index(track.genre)),
            np.full(n, track.id),
            part.places,
            np.full(n, track.artist or ""),
        )
        self._records.append(
            TrackRecord(track.id, track.name, track.genre, track.artist, part.sha256, n)
        )
        self.count += n
        return tuple(Skipped(track.id, place, why) for place, why in part.skipped)

    def finish(self, skipped: Sequence[Skipped]) -> None:
        parts = self._parts
        self._rows.card = make_card(
            self._genres, parts.params, parts.track_seconds, self._records, skipped
        )


# -- names ------------------------------------------------------------------------------------


def _files_below(root: Location) -> tuple[dict[str, Location], list[Skipped]]:
    """The files below `root` by their relative names, and what is there but cannot be used.

    Hidden files and folders and linked folders are left out.
    """
    if isinstance(root, RemoteFile):
        found = root.files_below().items()
        return {name: file for name, file in found if "/." not in f"/{name}"}, []
    with plain_os_errors("read", root):
        if not root.is_dir():
            raise DatasetError(
                f"{root} is not a folder: name the folder that holds the genre folders."
            )
        names, others = _names_below(root)
    return {name: root / name for name in names}, others


def _names_below(root: Path) -> tuple[list[str], list[Skipped]]:
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
    return names, others


def _printable(name: str) -> str:
    """`name` with a mark for each byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _track_ids(names: Sequence[str]) -> list[str]:
    """Names without suffix; with it where two would be the same."""
    bare = [Path(name).with_suffix("").as_posix() for name in names]
    times = Counter(bare) + Counter(names)
    return [b if times[b] == 1 else name for b, name in zip(bare, names, strict=True)]
