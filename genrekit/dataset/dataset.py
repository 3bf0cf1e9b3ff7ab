"""Datasets of labelled segments, and the Parquet files that hold them.

A dataset has, for each segment, its features (frames, coefficients) float32, its label (an
index into `genres`), its track, its place in the track, and the artist where known; and with
them the parameters, every track's hash, and every file and segment that was left out with the
reason. Rows are in the order of genre, track, place.

The Parquet file has columns features (a list of frames * coefficients floats, frame by frame),
label, genre, track, segment and artist, and the card as JSON in the file's metadata under
``genrekit``. It is written and read row group by row group.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import atomic_write, plain_os_errors
from genrekit.system.memory import free_memory, lacks_memory, scratch_folder
from genrekit.system.remote import Location, LocationName, local_copy, location
from genrekit.wording import agree, counted

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Dataset", "ParquetRows", "Skipped", "TrackRecord", "make_card"]

_FORMAT: Final = 1
_CARD_KEY: Final = b"genrekit"
_ROWS_PER_GROUP: Final = 1024
_ROWS_PER_READ: Final = 128
# In memory a run holds them twice: as they are, and as tensors.
_SHARE_OF_MEMORY: Final = 0.25


@dataclass(frozen=True)
class TrackRecord:
    """A track that is in a dataset: `path` below the folder, SHA-256 of the file, rows made."""

    id: str
    path: str
    genre: str
    artist: str | None
    sha256: str
    segments: int


@dataclass(frozen=True)
class Skipped:
    """A file (`segment` None) or a segment that was left out, and why."""

    track: str
    segment: int | None
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled segments.

    Attributes
    ----------
    features : ndarray, float32, shape (n, frames, coefficients)
    labels : ndarray, int64, shape (n,), indices into `genres`
    genres : tuple of str
    params : FeatureParams
        How the features were computed.
    tracks : ndarray of str, shape (n,), or None where the source does not say
    segments : ndarray, int64, shape (n,), place in the track, or None
    artists : ndarray of str, shape (n,), "" where unknown, or None
    track_seconds : float or None
        How much of the start of each track was used; None for all of it.
    records : tuple of TrackRecord
    skipped : tuple of Skipped

    Raises
    ------
    DatasetError
        When made: the parts do not fit each other.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    genres: tuple[str, ...]
    params: FeatureParams
    tracks: NDArray[np.str_] | None = None
    segments: NDArray[np.int64] | None = None
    artists: NDArray[np.str_] | None = None
    track_seconds: float | None = None
    records: tuple[TrackRecord, ...] = ()
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        n = len(self.features)
        if n == 0:
            raise DatasetError("The dataset has no segments: build it from a folder with music.")
        if self.features.shape[1:] != self.params.shape:
            raise DatasetError(
                f"Segments of shape {self.features.shape[1:]} do not fit the parameters, which "
                f"give {self.params.shape}: state the parameters they were computed with."
            )
        kinds = {"labels": "iu", "tracks": "U", "segments": "iu", "artists": "U"}
        for name, kind in kinds.items():
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise DatasetError(
                    f"There {agree(n, 'is', 'are')} {counted(n, 'segment')} but "
                    f"{counted(column.size, name[:-1])}."
                )
            if column is not None and column.dtype.kind not in kind:
                wanted = "whole numbers" if kind == "iu" else "text"
                raise DatasetError(f"The {name} are not {wanted}: build the dataset again.")
        if self.features.dtype != np.float32:
            raise DatasetError(f"The features are {self.features.dtype}: give them as float32.")
        if len(set(self.genres)) != len(self.genres):
            raise DatasetError("Two genres share a name: rename one.")
        if self.labels.min() < 0 or self.labels.max() >= len(self.genres):
            raise DatasetError(
                f"A label is outside 0 to {len(self.genres) - 1}: the labels and the list of "
                "genres do not belong together."
            )
        if not all(np.isfinite(self.features[part]).all() for part in _parts(n)):
            raise DatasetError("Some features are not numbers (NaN or infinite): build it again.")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def card(self) -> dict[str, Any]:
        """All but the rows, as plain values for JSON."""
        return make_card(self.genres, self.params, self.track_seconds, self.records, self.skipped)

    @property
    def sha256(self) -> str:
        """SHA-256 of the features and labels: equal for equal data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.features).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    @property
    def mapped(self) -> bool:
        """Whether the features are in a file, not in memory: to be taken a few rows at a time."""
        return isinstance(self.features, np.memmap)

    def counts(self) -> dict[str, int]:
        """Segments of each genre."""
        counted = np.bincount(self.labels, minlength=len(self.genres))
        return dict(zip(self.genres, counted.tolist(), strict=True))

    def segment_numbers(self) -> NDArray[np.int64]:
        """Return each row's position in its track, counted where the source does not say.

        Raises
        ------
        DatasetError
            The tracks are unknown.
        """
        if self.tracks is None:
            raise DatasetError("This dataset does not know its tracks: build it from the audio.")
        if self.segments is not None:
            return self.segments
        order = np.argsort(self.tracks, kind="stable")
        _, firsts, counts = np.unique(self.tracks[order], return_index=True, return_counts=True)
        numbers = np.empty(len(self), np.int64)
        numbers[order] = np.arange(len(self)) - np.repeat(firsts, counts)
        return numbers

    @classmethod
    def from_card(cls, card: dict[str, Any], **columns: Any) -> Self:
        """A dataset from its card and its columns.

        Raises
        ------
        DatasetError
            The card is of another format or lacks something.
        """
        try:
            if card["format"] != _FORMAT:
                raise DatasetError(
                    f"The dataset is of format {card['format']!r:.20}, this GenreKit reads "
                    f"{_FORMAT}: update GenreKit, or build the dataset again."
                )
            return cls(
                **columns,
                genres=tuple(card["genres"]),
                params=FeatureParams.from_dict(card["params"]),
                track_seconds=card["track_seconds"],
                records=tuple(TrackRecord(**record) for record in card["tracks"]),
                skipped=tuple(Skipped(**skip) for skip in card["skipped"]),
            )
        except (KeyError, TypeError, AttributeError, SettingsError):
            raise DatasetError("The dataset's card is damaged: build it again.") from None

    @classmethod
    def read(cls, path: LocationName, *, mapped: bool | None = None) -> Self:
        """Read a Parquet file that `preprocess` or `write` made.

        Parameters
        ----------
        path : path, or a URL: see `genrekit.system.remote`
        mapped : bool or None
            Whether to unpack the features into a nameless file in TMPDIR (or /var/tmp) and map
            it: then they take up disk instead of memory. None does so where they would take more
            than a quarter of the memory that is free.

        Raises
        ------
        DatasetError
            It cannot be read, or is no such file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = location(path)
        with plain_os_errors("read", source), local_copy(source) as path:
            try:
                if path.is_dir():
                    raise IsADirectoryError
                with pq.ParquetFile(path, memory_map=True) as file:
                    card = json.loads((file.metadata.metadata or {})[_CARD_KEY])
                    shape = FeatureParams.from_dict(card["params"]).shape
                    return cls.from_card(card, **_columns(file, shape, mapped))
            except KeyError:
                raise DatasetError(
                    f"{path.name} is a Parquet file but no GenreKit dataset: "
                    "make one with `genrekit preprocess`."
                ) from None
            except (
                *(pa.ArrowException, ValueError, TypeError, AttributeError),
                *(OSError, MemoryError, RecursionError),
            ) as error:
                if isinstance(error, IsADirectoryError) or getattr(error, "errno", None):
                    raise  # the disk's fault, not the content's
                if lacks_memory(error):
                    raise DatasetError(
                        f"There is not enough memory to read {path.name}, or it is damaged: "
                        "allow more, or make it again with `genrekit preprocess`."
                    ) from None
                raise DatasetError(
                    f"{path.name} is not a readable Parquet file: it is damaged, incomplete or "
                    "something else; make it again with `genrekit preprocess`."
                ) from None

    def write(self, path: LocationName) -> None:
        """Write the Parquet file; one that stood there is replaced only when all went well.

        Raises
        ------
        DatasetError
        """
        with ParquetRows.atomic_write(location(path), self.params, self.genres) as rows:
            for part in _parts(len(self)):
                rows.add(
                    self.features[part],
                    self.labels[part],
                    None if self.tracks is None else self.tracks[part],
                    None if self.segments is None else self.segments[part],
                    None if self.artists is None else self.artists[part],
                )
            rows.card = self.card


def make_card(
    genres: Sequence[str],
    params: FeatureParams,
    track_seconds: float | None,
    records: Sequence[TrackRecord],
    skipped: Sequence[Skipped],
) -> dict[str, Any]:
    """All of a dataset but its rows, as plain values for JSON."""
    return {
        "format": _FORMAT,
        "genres": list(genres),
        "params": params.to_dict(),
        "track_seconds": track_seconds,
        "tracks": [asdict(record) for record in records],
        "skipped": [asdict(skip) for skip in skipped],
    }


class ParquetRows:
    """Rows on their way into a dataset file, buffered into row groups. `card` comes last."""

    def __init__(
        self, writer: "pa.parquet.ParquetWriter", schema: "pa.Schema", genres: Sequence[str]
    ) -> None:
        self.card: dict[str, Any] = {}
        self._writer = writer
        self._schema = schema
        self._genres = np.array(genres)
        self._waiting: list[pa.RecordBatch] = []
        self._count = 0

    @classmethod
    @contextmanager
    def atomic_write(
        cls, path: Location, params: FeatureParams, genres: Sequence[str]
    ) -> Iterator["ParquetRows"]:
        """Open `path` for writing; it is replaced when the block ends well.

        Raises
        ------
        DatasetError
            It cannot be written; what stood there before stays.
        """
        with (
            plain_os_errors("written", path),
            atomic_write(path) as temporary,
            cls.writing(temporary, params, genres) as rows,
        ):
            yield rows

    @classmethod
    @contextmanager
    def writing(
        cls, path: Path, params: FeatureParams, genres: Sequence[str]
    ) -> Iterator["ParquetRows"]:
        """Open `path` for writing; whoever calls sees to half a file and to OSError."""
        import pyarrow.parquet as pq

        schema = _schema(params)
        # Features are noise to a compressor, and text columns are dictionaries already.
        with pq.ParquetWriter(
            path,
            schema,
            compression="none",
            use_dictionary=["genre", "track", "artist"],
            write_statistics=False,
        ) as writer:
            rows = cls(writer, schema, genres)
            yield rows
            rows._flush()
            writer.add_key_value_metadata({_CARD_KEY: json.dumps(rows.card)})

    def add(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        tracks: NDArray[np.str_] | None,
        segments: NDArray[np.int64] | None,
        artists: NDArray[np.str_] | None,
    ) -> None:
        """Append rows; the arguments are columns as in `Dataset`."""
        import pyarrow as pa

        n = len(features)
        flat = _numbers(features.reshape(-1), np.float32)
        offsets = np.arange(n + 1, dtype=np.int32) * (features[0].size if n else 0)

        def texts(column: NDArray[np.str_] | None) -> "pa.Array":
            if column is None:
                return pa.nulls(n, pa.string())
            return _texts(column.tolist())

        columns = [
            pa.ListArray.from_arrays(_numbers(offsets, np.int32), flat),
            _numbers(labels, np.int32),
            texts(self._genres[labels]),
            texts(tracks),
            pa.nulls(n, pa.int32()) if segments is None else _numbers(segments, np.int32),
            texts(artists),
        ]
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self._count += n
        if self._count >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._count:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table, row_group_size=self._count)
        self._waiting, self._count = [], 0


# pa.array and to_numpy import pandas (0.3 s), only to see whether it has a part in this. So
# arrays are built from their memory and read through DLPack.


def _numbers(values: NDArray[Any], kind: type[np.generic]) -> "pa.Array":
    import pyarrow as pa

    memory = pa.py_buffer(np.ascontiguousarray(values, kind))
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [None, memory])


def _texts(values: Sequence[str]) -> "pa.Array":
    """Strings, null where empty."""
    import pyarrow as pa

    encoded = [text.encode() for text in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    there = np.packbits([text != "" for text in values], bitorder="little")
    memory = (pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)), pa.py_buffer(there))
    return pa.StringArray.from_buffers(len(values), *memory)


def _plain(values: "pa.Array") -> NDArray[Any]:
    import pyarrow as pa

    if values.null_count or not pa.types.is_primitive(values.type):
        raise ValueError("these are not all numbers")
    return np.from_dlpack(values)


def _schema(params: FeatureParams) -> "pa.Schema":
    import pyarrow as pa

    shape = json.dumps(params.shape).encode()
    return pa.schema(
        [
            pa.field("features", pa.list_(pa.float32()), False, {b"shape": shape}),
            pa.field("label", pa.int32(), False),
            pa.field("genre", pa.string(), False),
            pa.field("track", pa.string()),
            pa.field("segment", pa.int32()),
            pa.field("artist", pa.string()),
        ]
    )


def _columns(
    file: "pa.parquet.ParquetFile", shape: tuple[int, int], mapped: bool | None
) -> dict[str, Any]:
    """The columns of a dataset file; features go into one array, some rows at a time."""
    import pyarrow as pa

    rows = file.metadata.num_rows
    if mapped is None:
        mapped = rows * math.prod(shape) * 4 > free_memory() * _SHARE_OF_MEMORY
    small: list[pa.RecordBatch] = []
    features = (_unpacked if mapped else _gathered)(_batches(file, shape, small), rows, shape)
    if len(features) != rows:
        raise ValueError("rows are missing")
    if any(part.column("label").null_count for part in small):
        raise ValueError("labels are missing")
    table = pa.Table.from_batches(small) if small else file.schema_arrow.empty_table()

    def column(name: str, kind: type) -> NDArray[Any] | None:
        values = table.column(name)
        if values.null_count == len(values):
            return None
        return np.array([value or kind() for value in values.to_pylist()], dtype=kind)

    return {
        "features": features,
        "labels": _plain(table.column("label").combine_chunks()).astype(np.int64),
        "tracks": column("track", str),
        "segments": column("segment", np.int64),
        "artists": column("artist", str),
    }


def _batches(
    file: "pa.parquet.ParquetFile", shape: tuple[int, int], small: list["pa.RecordBatch"]
) -> Iterator[NDArray[np.float32]]:
    """The features of some rows after the other; their other columns are added to `small`."""
    for batch in file.iter_batches(_ROWS_PER_READ):
        values = batch.column("features")
        # Not value_lengths() and flatten(): they import pyarrow.compute, a twelfth of a second.
        offsets = _plain(values.offsets)
        if values.null_count or (np.diff(offsets) != math.prod(shape)).any():
            raise ValueError("the features do not have the card's shape")
        small.append(batch.drop_columns(["features", "genre"]))
        yield _plain(values.values)[offsets[0] : offsets[-1]].reshape(len(batch), *shape)


def _gathered(
    batches: Iterator[NDArray[np.float32]], rows: int, shape: tuple[int, int]
) -> NDArray[np.float32]:
    features, start = np.empty((0, *shape), np.float32), 0
    for batch in batches:
        if not start:  # not before: a damaged card could ask for any amount
            features = np.empty((rows, *shape), np.float32)
        features[start : start + len(batch)] = batch
        start += len(batch)
    return features[:start]


def _unpacked(
    batches: Iterator[NDArray[np.float32]], rows: int, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The features in a file without a name, which goes with the last array that shows it."""
    folder = scratch_folder()
    count = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        for batch in batches:
            with plain_os_errors("written", folder):
                file.write(np.ascontiguousarray(batch, np.float32).data)
                file.flush()
            count += len(batch)
        if not count:
            return np.empty((0, *shape), np.float32)
        return np.memmap(file, np.float32, "r", shape=(count, *shape))


def _parts(rows: int) -> Iterator[slice]:
    """As many rows at a time as stand in a row group."""
    for start in range(0, rows, _ROWS_PER_GROUP):
        yield slice(start, start + _ROWS_PER_GROUP)
