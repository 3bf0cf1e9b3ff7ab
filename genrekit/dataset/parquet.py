"""Parquet files of datasets, written and read one row group at a time.

The columns are features (a list of frames * coefficients floats, frame by frame), label, genre,
track, segment and artist. The card is JSON in the file's metadata under ``genrekit``.
"""

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.features.extraction import FeatureParams
from genrekit.system.files import plain_os_errors, require_disk
from genrekit.system.memory import free_memory, scratch_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetRows", "read_parquet", "row_groups"]

_CARD_KEY: Final = b"genrekit"
_ROWS_PER_GROUP: Final = 1024
_ROWS_PER_READ: Final = 128
# Training holds the features twice: as they are, and as tensors.
_SHARE_OF_MEMORY: Final = 0.25


def row_groups(rows: int) -> Iterator[slice]:
    """Divide a number of rows into row groups."""
    for start in range(0, rows, _ROWS_PER_GROUP):
        yield slice(start, start + _ROWS_PER_GROUP)


def read_parquet(path: Path, mapped: bool | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the card and the columns of a dataset file.

    Parameters
    ----------
    mapped : bool or None
        As for `Dataset.read`.

    Raises
    ------
    KeyError
        The file has no card.
    ValueError, TypeError, AttributeError, OSError, MemoryError, RecursionError, ArrowException
        The file is damaged, or cannot be read.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        card = json.loads((file.metadata.metadata or {})[_CARD_KEY])
        shape = FeatureParams.from_dict(card["params"]).shape
        return card, _columns(file, shape, mapped)


class ParquetRows:
    """Writes rows to a dataset file, in row groups; `card` is written last."""

    def __init__(self, writer: "pa.parquet.ParquetWriter", genres: Sequence[str]) -> None:
        self.card: dict[str, Any] = {}
        self._writer = writer
        self._genres = np.array(genres)
        self._waiting: list[pa.RecordBatch] = []
        self._count = 0

    @classmethod
    @contextmanager
    def writing(
        cls, path: Path, params: FeatureParams, genres: Sequence[str]
    ) -> Iterator["ParquetRows"]:
        """Open `path` for writing; the caller handles OSError and incomplete files."""
        import pyarrow.parquet as pq

        # Features are noise to a compressor, and text columns are dictionaries already.
        with pq.ParquetWriter(
            path,
            _schema(params),
            compression="none",
            use_dictionary=["genre", "track", "artist"],
            write_statistics=False,
        ) as writer:
            rows = cls(writer, genres)
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
        """Append rows, given as columns of `Dataset`."""
        import pyarrow as pa

        n = len(features)
        flat = _numbers(features.reshape(-1), np.float32)
        offsets = np.arange(n + 1, dtype=np.int32) * (features[0].size if n else 0)
        columns = [
            pa.ListArray.from_arrays(_numbers(offsets, np.int32), flat),
            _numbers(labels, np.int32),
            _texts(self._genres[labels], n),
            _texts(tracks, n),
            pa.nulls(n, pa.int32()) if segments is None else _numbers(segments, np.int32),
            _texts(artists, n),
        ]
        self._waiting.append(pa.record_batch(columns, schema=self._writer.schema))
        self._count += n
        if self._count >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._count:
            table = pa.Table.from_batches(self._waiting, self._writer.schema)
            self._writer.write_table(table, row_group_size=self._count)
        self._waiting, self._count = [], 0


# pa.array and to_numpy import pandas (0.3 s) just to check for its types. So arrays are built from
# their memory and read through DLPack.


def _numbers(values: NDArray[Any], kind: type[np.generic]) -> "pa.Array":
    import pyarrow as pa

    memory = pa.py_buffer(np.ascontiguousarray(values, kind))
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [None, memory])


def _texts(values: NDArray[np.str_] | None, count: int) -> "pa.Array":
    """Strings, null where empty."""
    import pyarrow as pa

    if values is None:
        return pa.nulls(count, pa.string())
    encoded = [text.encode() for text in values.tolist()]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    valid = np.packbits([text != b"" for text in encoded], bitorder="little")
    memory = (pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)), pa.py_buffer(valid))
    return pa.StringArray.from_buffers(count, *memory)


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
    """The columns of a dataset file; the features are read a few rows at a time."""
    import pyarrow as pa

    rows = file.metadata.num_rows
    if mapped is None:
        mapped = rows * math.prod(shape) * 4 > free_memory() * _SHARE_OF_MEMORY
    small: list[pa.RecordBatch] = []
    read = _read_mapped if mapped else _read_into_memory
    features = read(_batches(file, shape, small), rows, shape)
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
    """Yield the features of a few rows at a time; the other columns are added to `small`."""
    for batch in file.iter_batches(_ROWS_PER_READ):
        values = batch.column("features")
        # Not value_lengths() and flatten(): they import pyarrow.compute, a twelfth of a second.
        offsets = _plain(values.offsets)
        if values.null_count or (np.diff(offsets) != math.prod(shape)).any():
            raise ValueError("the features do not have the card's shape")
        small.append(batch.drop_columns(["features", "genre"]))
        yield _plain(values.values)[offsets[0] : offsets[-1]].reshape(len(batch), *shape)


def _read_into_memory(
    batches: Iterator[NDArray[np.float32]], rows: int, shape: tuple[int, int]
) -> NDArray[np.float32]:
    features, start = np.empty((0, *shape), np.float32), 0
    for batch in batches:
        if not start:  # not earlier: a damaged card could ask for any amount
            features = np.empty((rows, *shape), np.float32)
        features[start : start + len(batch)] = batch
        start += len(batch)
    return features[:start]


def _read_mapped(
    batches: Iterator[NDArray[np.float32]], rows: int, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The features in a nameless file, which vanishes with the last array that maps it."""
    folder = scratch_folder()
    count = 0
    require_disk(folder, rows * math.prod(shape) * 4)
    with tempfile.TemporaryFile(dir=folder) as file:
        for batch in batches:
            with plain_os_errors("written", folder):
                file.write(np.ascontiguousarray(batch, np.float32).data)
                file.flush()
            count += len(batch)
        if not count:
            return np.empty((0, *shape), np.float32)
        return np.memmap(file, np.float32, "r", shape=(count, *shape))
