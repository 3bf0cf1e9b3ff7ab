"""Collections stored as mel spectrograms in an NPZ file, instead of hours of audio.

For each track the file has a mel power spectrum in decibels below the track's maximum, quantised
to 256 levels: ``level`` uint8 (tracks, bands, columns), ``dynamic_range_db`` float32 (tracks,),
``track`` and ``genre``, strings (tracks,). Column c is the sound around sample
``(c + 1/2) * hop_length``, band 0 is the lowest, and ``dB = (level / 255 - 1) * dynamic_range_db``.

Cut into segments as audio would be, its columns are the same features except for the quantisation:
so a model trained on them can classify sound.
"""

import os
import struct
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.npz import read_arrays
from genrekit.dataset.track_table import match_tracks, read_track_table
from genrekit.errors import DatasetError
from genrekit.features.extraction import DYNAMIC_RANGE_DB, FeatureParams, dct_matrix
from genrekit.system.files import DAMAGED_NPZ, plain_os_errors
from genrekit.system.remote import local_path
from genrekit.wording import counted

__all__ = ["is_mel_file", "read_mel_file"]

_KEYS: Final = ("level", "dynamic_range_db", "track", "genre")
# A byte of the file becomes four of the dataset.
_TIMES: Final = 6.0


def is_mel_file(path: str | os.PathLike[str]) -> bool:
    """Return whether an NPZ file has the arrays of mel spectrograms."""
    path = local_path(path)
    try:
        with zipfile.ZipFile(path) as members:
            return {f"{key}.npy" for key in _KEYS} <= set(members.namelist())
    except (OSError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile):
        return False


def read_mel_file(
    path: str | os.PathLike[str],
    params: FeatureParams,
    artists: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read a file of mel spectrograms into a dataset.

    Parameters
    ----------
    params : FeatureParams
        The parameters of the spectra, which the file does not contain. `kind` chooses between them
        and their MFCCs, `segment_seconds` cuts them. `ref` must be "max", for the file does not
        know the level of the sound.
    artists : path of a CSV file with columns track and artist, or None

    Raises
    ------
    DatasetError
        The file cannot be read, or does not fit the parameters.
    """
    path = local_path(path)
    if params.ref != "max":
        raise DatasetError(
            "A file of mel spectrograms knows only levels below each track's maximum: "
            "read it with ref max (--ref max)."
        )
    level, dynamic_range, track, genre = _arrays(path)
    if level.shape[1] != params.n_mels:
        raise DatasetError(
            f"{path.name} has {counted(level.shape[1], 'mel band')}, the parameters say "
            f"{params.n_mels}: state the parameters it was computed with."
        )
    starts = _first_columns(level.shape[2], params)
    if not starts:
        raise DatasetError(
            f"The tracks of {path.name} are shorter than one segment of "
            f"{params.segment_seconds:g} s: shorten the segments."
        )
    genres = tuple(sorted(set(genre.tolist())))
    order = np.lexsort((track, genre))
    features = np.empty((len(track), len(starts), *params.shape), np.float32)
    for row, i in enumerate(order):
        features[row] = _segments(level[i], dynamic_range[i], starts, params)
    table = {} if artists is None else read_track_table(artists, "artist")
    artist_of = match_tracks(table, track.tolist())
    number = np.array([genres.index(name) for name in genre[order]], np.int64)
    each = len(starts)
    return Dataset(
        features=features.reshape(-1, *params.shape),
        labels=np.repeat(number, each),
        genres=genres,
        params=params,
        tracks=np.repeat(track[order], each),
        segments=np.tile(np.arange(each), len(order)),
        artists=np.repeat([artist_of.get(t, "") for t in track[order].tolist()], each)
        if artists is not None
        else None,
    )


def _first_columns(columns: int, params: FeatureParams) -> list[int]:
    """The column nearest to the first frame of each whole segment."""
    middle = 0 if params.center else params.n_fft / 2
    starts: list[int] = []
    while True:
        sample = len(starts) * params.segment_samples + middle
        first = max(0, round(sample / params.hop_length - 0.5))
        if first + params.frames > columns:
            return starts
        starts.append(first)


def _segments(
    level: NDArray[np.uint8], dynamic_range_db: float, starts: list[int], params: FeatureParams
) -> NDArray[np.float32]:
    """One track's features, shape (segments, *params.shape)."""
    db = ((level.T / np.float32(255) - 1) * dynamic_range_db).astype(np.float32)
    cut = np.stack([db[first : first + params.frames] for first in starts])
    cut -= cut.max(axis=(1, 2), keepdims=True)
    np.maximum(cut, -DYNAMIC_RANGE_DB, out=cut)
    return cut if params.kind == "log_mel" else cut @ dct_matrix(params.n_mfcc, params.n_mels)


def _arrays(path: Path) -> tuple[NDArray[Any], ...]:
    with plain_os_errors("read", path):
        try:
            arrays = read_arrays(path, _KEYS, _TIMES)
            level, dynamic_range, track, genre = (arrays[key] for key in _KEYS)
        except DAMAGED_NPZ:
            raise DatasetError(
                f"{path.name} is damaged, or is not a file of mel spectrograms: it needs "
                f"{', '.join(_KEYS)}."
            ) from None
    n = track.size
    fits = (
        level.ndim == 3
        and level.dtype == np.uint8
        and dynamic_range.dtype.kind == "f"
        and all(a.shape == (n,) for a in (dynamic_range, track, genre))
        and len(level) == n
        and track.dtype.kind == genre.dtype.kind == "U"
    )
    plausible = ((dynamic_range >= 0) & (dynamic_range < 1e6)).all() if fits else False
    if not plausible or not n or len(set(track.tolist())) != n:
        raise DatasetError(
            f"The parts of {path.name} do not fit each other: levels of (tracks, bands, columns), "
            "and one dynamic range, track and genre for each."
        )
    return level, dynamic_range, track, genre
