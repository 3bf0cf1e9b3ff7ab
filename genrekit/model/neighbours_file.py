"""Reading and writing ``neighbours.safetensors`` in a model's bundle; nothing in it is executed."""

import json
import os
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from genrekit.errors import ModelError
from genrekit.model.familiarity import Space
from genrekit.model.neighbours import Neighbours
from genrekit.model.recordings import Fingerprints
from genrekit.system.files import atomic_write, plain_os_errors
from genrekit.system.records import read_toml
from genrekit.system.remote import local_path

__all__ = ["NEIGHBOURS_FILE", "load_neighbours", "save_neighbours"]

NEIGHBOURS_FILE: Final = "neighbours.safetensors"

_FORMAT: Final = 2
_METADATA_KEY: Final = "genrekit"
_QUANTILES: Final = 1001
_PARTS: Final = {"heard": "embedding_space", "sound": "timbre_space", "prints": "fingerprints"}
_ARRAYS: Final = read_toml(__file__)


def save_neighbours(neighbours: Neighbours, folder: str | os.PathLike[str]) -> None:
    """Write a model's neighbours into its folder, atomically, or raise ModelError.

    About 0.3 kB a segment: 6,400 segments of 640 tracks take 1.9 MB.
    """
    names = ("tracks", "files", "genres", "band", "weights_sha256")
    about = {"format": _FORMAT} | {name: getattr(neighbours, name) for name in names}
    text = json.dumps(about, ensure_ascii=False, allow_nan=False)
    arrays = {}
    for name in _ARRAYS:
        part, dot, attribute = name.rpartition(".")
        value = attrgetter(_PARTS.get(part, "") + dot + attribute)(neighbours)
        arrays[name] = np.ascontiguousarray(value)
    path = local_path(folder) / NEIGHBOURS_FILE
    with plain_os_errors("written", path, ModelError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(arrays, {_METADATA_KEY: text}))


def load_neighbours(
    folder: str | os.PathLike[str], weights_sha256: str | None = None
) -> Neighbours:
    """Read and check the neighbours in a model's folder, of these weights unless None.

    Raise ModelError if the file is missing, damaged, of another format, or of another model.
    """
    path = local_path(folder) / NEIGHBOURS_FILE
    with plain_os_errors("read", path, ModelError):
        content = path.read_bytes()
    try:
        neighbours = _from_bytes(content)
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError):
        raise ModelError(
            f"{path} is damaged or was not made by GenreKit: train the model again."
        ) from None
    if weights_sha256 not in (None, neighbours.weights_sha256):
        raise ModelError(
            "The neighbours belong to other weights than the model's: copy the whole folder "
            "of the model again, or train it again."
        )
    return neighbours


def _from_bytes(content: bytes) -> Neighbours:
    arrays = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about: dict[str, Any] = json.loads(header["__metadata__"][_METADATA_KEY])
    if about["format"] != _FORMAT:
        raise ModelError(
            f"The neighbours are of format {about['format']}, this GenreKit reads {_FORMAT}: "
            "update GenreKit or train the model again."
        )
    if {name: array.dtype.name for name, array in arrays.items()} != _ARRAYS:
        raise ValueError
    parts: dict[str, dict[str, Any]] = {"": {}, "heard": {}, "sound": {}, "prints": {}}
    for name, value in arrays.items():
        part, _, attribute = name.rpartition(".")
        parts[part][attribute] = value
    first, last = map(float, about["band"])
    neighbours = Neighbours(
        embedding_space=Space(**parts["heard"]),
        timbre_space=Space(**parts["sound"]),
        fingerprints=Fingerprints(**parts["prints"]),
        **parts[""],
        tracks=tuple(map(str, about["tracks"])),
        files=tuple(map(str, about["files"])),
        genres=tuple(map(str, about["genres"])),
        band=(first, last),
        weights_sha256=str(about["weights_sha256"]),
    )
    if not _shapes_fit(neighbours) or not _values_fit(neighbours, arrays):
        raise ValueError
    return neighbours


def _shapes_fit(neighbours: Neighbours) -> bool:
    rows, prints = len(neighbours.track_of), neighbours.fingerprints
    per_row = (neighbours.track_of, neighbours.places, neighbours.starts, neighbours.labels)
    return (
        rows > 0
        and all(array.shape == (rows,) for array in per_row)
        and neighbours.quantiles.shape == (_QUANTILES,)
        and prints.lengths.shape == (len(neighbours.tracks),) == (len(neighbours.files),)
        and prints.spread.shape == prints.rows.shape[1:] == (12,)
        and all(
            space.vectors.ndim == 2
            and space.vectors.shape[0] == rows
            and space.vectors.shape[1] > 0
            and space.axes.shape == (space.centre.size, space.vectors.shape[1])
            and space.centre.ndim == space.reference.ndim == 1
            for space in (neighbours.embedding_space, neighbours.timbre_space)
        )
    )


def _values_fit(neighbours: Neighbours, arrays: Mapping[str, NDArray[Any]]) -> bool:
    track_of, labels, prints = neighbours.track_of, neighbours.labels, neighbours.fingerprints
    low, high = neighbours.band
    return (
        all(np.isfinite(array).all() for array in arrays.values())
        and track_of[0] == 0
        and track_of[-1] == len(neighbours.tracks) - 1
        and bool(np.isin(np.diff(track_of), (0, 1)).all())
        and 0 <= labels.min() <= labels.max() < len(neighbours.genres)
        and all(
            bool((np.diff(arrays[name], prepend=0) >= 0).all())
            for name in ("quantiles", "heard.reference", "sound.reference")
        )
        and prints.lengths.min() >= 0
        and int(prints.lengths.sum(dtype=np.int64)) == len(prints.rows)
        and bool((prints.spread > 0).all())
        and 0 <= low < high <= 1
    )
