"""The finished tracks of an unfinished run, in a folder beside the output.

Each process of each run appends parts, one for each track, to a file of its own. The key of a part
is a digest of everything that determines its content: so parts of other settings or of a changed
file are never used. Once all tracks are done, the parts are joined to the output.
"""

import hashlib
import json
import os
import secrets
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Skipped, TrackRecord, make_card
from genrekit.dataset.find import Track
from genrekit.dataset.parquet import ParquetRows
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams
from genrekit.system.remote import Location, RemoteFile

__all__ = ["PartAt", "Parts", "Task", "TrackFeatures", "append_part", "parts_folder"]

# A part begins with a checksum of what follows: its key, the sizes in bytes of the features and
# of the rest, the features, and the rest as JSON.
_HEAD: Final = struct.Struct("<Q16sQQ")


class TrackFeatures(NamedTuple):
    """The features of a track's segments; `skipped` has (segment, reason) of those left out."""

    features: NDArray[np.float32]
    segments: NDArray[np.int64]
    sha256: str
    skipped: tuple[tuple[int, str], ...]


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


def append_part(task: Task, track: TrackFeatures) -> PartAt:
    """Write the part of a task.

    Raises
    ------
    OSError
    """
    features = np.ascontiguousarray(track.features).data
    rest = json.dumps([track.segments.tolist(), track.sha256, track.skipped]).encode()
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
    segments, sha256, skipped = json.loads(content[size:])
    features = np.frombuffer(content, np.float32, size // 4).reshape(-1, *params.shape)
    return TrackFeatures(features, np.array(segments), sha256, tuple(map(tuple, skipped)))


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

    def holds(self, track: Track) -> bool:
        """Whether the track is finished."""
        return self._key(track) in self._positions

    def owns(self, path: Location) -> bool:
        """Whether a file is the output or one of the parts."""
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
    def joining(self, genres: Sequence[str]) -> Iterator["Join"]:
        """Collect rows in a file beside the parts; when finished, it becomes the output."""
        for stale in self.folder.glob("*.joined"):  # of a run that was killed
            with suppress(OSError):
                stale.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{os.getpid()}.joined"
        try:
            with ParquetRows.writing(temporary, self.params, genres) as rows:
                yield Join(self, rows, genres)
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
            key = json.dumps([track.name, _version(track.path), settings])
            self._keys[track.id] = hashlib.sha256(key.encode()).digest()[:16]
        return self._keys[track.id]


class Join:
    """Writes the rows of finished tracks, in order, into one file."""

    def __init__(self, parts: Parts, rows: ParquetRows, genres: Sequence[str]) -> None:
        self.count = 0
        self._parts = parts
        self._rows = rows
        self._genres = list(genres)
        self._records: list[TrackRecord] = []

    def add(self, track: Track, part: TrackFeatures | None) -> tuple[Skipped, ...]:
        """Append a track's rows; return its segments that were left out.

        Raises
        ------
        DatasetError
            The part is damaged.
        """
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
            TrackRecord(track.id, track.name, track.genre, track.artist, part.sha256, n)
        )
        self.count += n
        return tuple(Skipped(track.id, segment, why) for segment, why in part.skipped)

    def finish(self, skipped: Sequence[Skipped]) -> None:
        """Complete the file with its card."""
        parts = self._parts
        self._rows.card = make_card(
            self._genres, parts.params, parts.track_seconds, self._records, skipped
        )


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
