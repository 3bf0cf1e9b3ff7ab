"""Datasets in other formats: the course's JSON, and NPZ.

The course's JSON is ``{"mapping": [genre, ...], "mfcc": [[[number] ...] ...], "labels": [...]}``.
It has neither tracks nor parameters, so it can only be split by segment, and the reader has to
give the parameters. It comes as people have it: with a byte order mark, with Windows paths as
genres, with genres of which there is no segment. The NPZ has the columns of `Dataset` and its card.
"""

import codecs
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset, Note
from genrekit.dataset.npz import read_arrays
from genrekit.errors import DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import DAMAGED_NPZ, atomic_write, plain_os_errors
from genrekit.system.memory import require_room
from genrekit.system.remote import LocationName, local_path, location
from genrekit.wording import agree, counted

__all__ = ["export_dataset", "import_dataset"]

_COLUMNS: Final = ("features", "labels", "tracks", "segments", "artists")
_COURSE_KEYS: Final = ("mapping", "mfcc", "labels")
# The memory that arrays take until they are a dataset, as a multiple of theirs.
_NPZ_TIMES: Final = 1.5
# Bytes of memory for each value, list and dictionary of a JSON file, at most.
_JSON_VALUE, _JSON_LIST, _JSON_DICTIONARY = 50, 90, 300


def export_dataset(dataset: Dataset, path: LocationName) -> None:
    """Write a dataset as the course's JSON or as NPZ, by the suffix of the path or URL.

    Raises
    ------
    SettingsError
        The suffix is neither .json nor .npz.
    DatasetError
        The file cannot be written; an existing one stays as it is.

    Examples
    --------
    >>> genrekit.export_dataset(genrekit.Dataset.read("data.parquet"), "data.json")
    """
    path = location(path)
    writer = {".json": _write_json, ".npz": _write_npz}.get(Path(path.name).suffix.lower())
    if writer is None:
        raise SettingsError(f'"{path.name}" must end in .json or .npz: rename it.')
    with plain_os_errors("written", path), atomic_write(path) as temporary:
        writer(dataset, temporary)


def import_dataset(path: str | os.PathLike[str], params: FeatureParams | None = None) -> Dataset:
    """Read the course's JSON, an NPZ or a Parquet file of GenreKit, by its suffix.

    Parameters
    ----------
    path : path
    params : FeatureParams or None
        The parameters of the course's MFCCs, which its file does not contain; None means the
        defaults. The other formats have their own.

    Raises
    ------
    SettingsError
        The suffix is unknown.
    DatasetError
        The file cannot be read, or its parts do not fit.

    Examples
    --------
    >>> genrekit.export_dataset(genrekit.Dataset.read("data.parquet"), "data.npz")
    >>> len(genrekit.import_dataset("data.npz"))
    12
    """
    path = local_path(path)
    with plain_os_errors("read", path):
        match path.suffix.lower():
            case ".json":
                return _read_json(path, params)
            case ".npz":
                return _read_npz(path)
            case ".parquet":
                return Dataset.read(path)
    raise SettingsError(f'"{path.name}" must end in .json, .npz or .parquet: rename it.')


def _write_json(dataset: Dataset, path: Path) -> None:
    """Row by row, so that memory never holds the whole text."""
    import orjson

    with path.open("wb") as file:
        file.write(b'{"mapping":' + orjson.dumps(dataset.genres))
        file.write(b',"labels":' + orjson.dumps(dataset.labels.tolist()) + b',"mfcc":[')
        for i, row in enumerate(dataset.features):
            file.write(b"," if i else b"")
            file.write(orjson.dumps(np.ascontiguousarray(row), option=orjson.OPT_SERIALIZE_NUMPY))
        file.write(b"]}")


def _read_json(path: Path, params: FeatureParams | None) -> Dataset:
    content = _parsed(path)
    try:
        mapping, rows, labels = (content[key] for key in _COURSE_KEYS)
    except (KeyError, TypeError):
        raise DatasetError(
            f"{path.name} lacks mapping, mfcc or labels: it is not a dataset of the course."
        ) from None
    try:
        with np.errstate(over="ignore"):  # infinite numbers are refused later
            features = np.array(rows, dtype=np.float32)
        whole = np.array(labels)
        if features.ndim != 3 or whole.dtype.kind != "i" or not isinstance(mapping, list):
            raise ValueError
    except (ValueError, TypeError):
        raise DatasetError(
            f"{path.name} does not have one frames-by-coefficients table of numbers and one "
            "whole-number label for each segment, all of one shape: export it again."
        ) from None
    _check_finite(features, path.name)
    genres, labels, notes = _with_rows(_last_parts([str(name) for name in mapping]), whole)
    return Dataset(
        features=features,
        labels=labels.astype(np.int64),
        genres=genres,
        params=params or FeatureParams(),
        notes=notes,
    )


def _parsed(path: Path) -> Any:
    """The content of a JSON file, also with a byte order mark or with NaN as Python writes it."""
    import orjson

    text = path.read_bytes()
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = text.decode("utf-16", "replace").encode()
    text = text.removeprefix(codecs.BOM_UTF8)
    values, lists, dictionaries = (text.count(sign) for sign in (b",", b"[", b"{"))
    need = _JSON_VALUE * values + _JSON_LIST * lists + _JSON_DICTIONARY * dictionaries
    require_room(path.name, need)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in text and b"Infinity" not in text:
            reason = str(error)
        else:
            try:
                return json.loads(text)
            except (ValueError, RecursionError) as other:
                reason = str(other)
    raise DatasetError(f"{path.name} is not valid JSON ({reason}): export it again.")


def _check_finite(features: NDArray[np.float32], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=(1, 2)))
    if len(bad):
        first = bad[0]
        what = "NaN" if np.isnan(features[first]).any() else "an infinite number"
        more = f" and in {counted(len(bad) - 1, 'other')}" if len(bad) > 1 else ""
        raise DatasetError(
            f"{name} holds {what} in segment {first + 1} (mfcc[{first}]){more}, as silence gives: "
            "leave such segments out and export it again."
        )


def _last_parts(names: list[str]) -> list[str]:
    """Genres from the paths of their folders, as scripts on Windows write them."""
    slashed = [name.replace("\\", "/").rstrip("/") for name in names]
    parents = {name.rpartition("/")[0] for name in slashed}
    # "R&B/Soul" is a name, unless all are in one folder.
    is_path = any("\\" in name for name in names) or (len(parents) == 1 and len(names) > 1)
    return [name.rpartition("/")[2] for name in slashed] if is_path else names


def _with_rows(
    names: list[str], labels: NDArray[np.integer[Any]]
) -> tuple[tuple[str, ...], NDArray[np.integer[Any]], tuple[Note, ...]]:
    """The genres that have segments, their labels, and a note on the others."""
    used = np.unique(labels)
    if not len(used) or used[0] < 0 or used[-1] >= len(names):  # refused by Dataset
        return tuple(names), labels, ()
    empty = tuple(name for i, name in enumerate(names) if i not in used)
    if not empty:
        return tuple(names), labels, ()
    said = f"{counted(len(empty), 'genre')} had no segments and {agree(len(empty), 'was', 'were')}"
    note = Note("genres without segments", f"{said} left out.", empty)
    return tuple(names[i] for i in used), np.searchsorted(used, labels), (note,)


def _write_npz(dataset: Dataset, path: Path) -> None:
    columns = {name: getattr(dataset, name) for name in _COLUMNS}
    present = {name: column for name, column in columns.items() if column is not None}
    with path.open("wb") as file:
        np.savez(
            file,
            genres=np.array(dataset.genres),
            card=np.array(json.dumps(dataset.card)),
            **present,
        )


def _read_npz(path: Path) -> Dataset:
    try:
        columns: dict[str, Any] = read_arrays(path, ("card", *_COLUMNS), _NPZ_TIMES)
        card = json.loads(str(columns.pop("card")))
        for column in columns.values():
            _check_text(column)
        return Dataset.from_card(card, **columns)
    except (*DAMAGED_NPZ, AttributeError):
        raise DatasetError(
            f"{path.name} is damaged, or is not an NPZ file of GenreKit: export it again."
        ) from None


def _check_text(column: NDArray[Any]) -> None:
    """Raise ValueError for text with invalid code points, which NumPy accepts."""
    if column.dtype.kind != "U":
        return
    native = np.ascontiguousarray(column, column.dtype.newbyteorder("="))
    if (native.view(np.uint32) > sys.maxunicode).any():
        raise ValueError
    "".join(native.ravel().tolist()).encode()
