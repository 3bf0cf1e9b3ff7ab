"""Splits of a dataset into training, validation and test.

The split decides what a score means. Segments of one song sound alike: a network trained on one
recognises the song, not the genre. So a split by segment flatters, a split by track is fair for
known artists, and a split by artist is the real test.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.track_table import loosely, match_tracks, read_track_table
from genrekit.errors import DatasetError, SettingsError
from genrekit.ranges import check_number, check_whole
from genrekit.system.remote import local_path
from genrekit.wording import counted

__all__ = [
    "COURSE_FRACTIONS",
    "PARTS",
    "Split",
    "by_artist",
    "by_fold",
    "by_folder",
    "by_segment",
    "by_track",
    "from_file",
    "held_out_in_words",
    "make_split",
]

Rows = NDArray[np.int64]
PARTS: Final = ("train", "valid", "test")
# The course trains on 70% and validates on 30%. Nothing is chosen by validation unless asked for,
# so it is also a fair measure.
COURSE_FRACTIONS: Final = (0.7, 0.3, 0.0)


@dataclass(frozen=True, eq=False)
class Split:
    """The row numbers of each part; `test` may be empty."""

    kind: Literal["segment", "track", "artist", "file", "folder"]
    seed: int | None
    train: Rows
    valid: Rows
    test: Rows
    shares_tracks: bool | None
    """True if a track has segments in two parts; None if tracks are unknown."""

    @property
    def worth(self) -> str:
        """A sentence on how far a score on this split can be trusted."""
        if self.shares_tracks is None:
            return "Not to be trusted: tracks are unknown, so one song may stand on both sides."
        if self.shares_tracks:
            return "Flattering: segments of one song stand on both sides of the split."
        if self.kind == "artist":
            return "Honest: no artist stands on both sides of the split."
        return "Fair: no track stands on both sides of the split."

    @property
    def measured_part(self) -> str:
        """The part whose score counts: test if there is one, else valid."""
        return "test" if len(self.test) else "valid"

    @property
    def measured(self) -> Rows:
        """Row numbers of the part whose score counts."""
        return self.test if len(self.test) else self.valid

    @property
    def sha256(self) -> str:
        """SHA-256 of the rows of each part."""
        return _digest(self.train, self.valid, self.test)

    @property
    def held_out_sha256(self) -> str:
        """SHA-256 of the rows whose score counts."""
        return _digest(self.measured)


def _digest(*parts: Rows) -> str:
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(len(rows).to_bytes(8, "little") + rows.astype("<i8").tobytes())
    return digest.hexdigest()


def by_segment(
    dataset: Dataset, seed: int = 0, fractions: Sequence[float] = COURSE_FRACTIONS
) -> Split:
    """Split segments at random, as the course does, so that songs are on both sides.

    Parameters
    ----------
    dataset : Dataset
    seed : int
    fractions : three floats >= 0 with sum 1: train, valid, test

    Raises
    ------
    DatasetError
        There are too few segments.
    SettingsError
        The fractions or the seed are out of range.

    Examples
    --------
    >>> split = genrekit.by_segment(genrekit.Dataset.read("data.parquet"))
    >>> split.worth
    'Flattering: segments of one song stand on both sides of the split.'
    """
    return _by_group("segment", dataset, np.arange(len(dataset)), seed, fractions)


def by_track(
    dataset: Dataset, seed: int = 0, fractions: Sequence[float] = COURSE_FRACTIONS
) -> Split:
    """Split whole tracks at random; parameters and errors are those of `by_segment`.

    Examples
    --------
    >>> dataset = genrekit.Dataset.read("data.parquet")
    >>> split = genrekit.by_track(dataset)
    >>> len(dataset[split.train]), len(dataset[split.valid])
    (8, 4)
    """
    if dataset.tracks is None:
        raise DatasetError(
            "This dataset does not say which segments come from the same track, so it cannot be "
            "split by track: build it from the audio, or split by segment and distrust the score."
        )
    return _by_group("track", dataset, dataset.tracks, seed, fractions)


def by_artist(
    dataset: Dataset, seed: int = 0, fractions: Sequence[float] = COURSE_FRACTIONS
) -> Split:
    """Split whole artists at random; each track of an unknown artist counts as an artist.

    Parameters and errors are those of `by_segment`.

    Examples
    --------
    >>> split = genrekit.by_artist(genrekit.Dataset.read("data.parquet"))
    >>> split.worth
    'Honest: no artist stands on both sides of the split.'
    """
    if dataset.artists is None or dataset.tracks is None or not (dataset.artists != "").any():
        raise DatasetError(
            "This dataset names no artists, so it cannot be split by artist: give a CSV file with "
            "columns track and artist when it is built, or split by track."
        )
    # One artist may be spelled in several ways; the first of them is used for all.
    spelling = {loosely(name): name for name in np.unique(dataset.artists)[::-1].tolist()}
    artists = np.array([spelling[loosely(name)] for name in dataset.artists.tolist()])
    owner = np.where(artists != "", artists, np.char.add("\0", dataset.tracks))
    return _by_group("artist", dataset, owner, seed, fractions)


def from_file(dataset: Dataset, path: str | os.PathLike[str], column: str = "part") -> Split:
    """Split as a CSV file says: columns track and `column` (train, valid or test).

    Tracks without a part are left out. DatasetError if the file cannot be used, or leaves nothing
    to train or to measure on.
    """
    assigned = _assigned(dataset, local_path(path), column)
    if unknown := set(assigned.tolist()) - {*PARTS, ""}:
        raise DatasetError(
            f'{path} names a part "{_shown(min(unknown))}": use train, valid or test, or leave it '
            "empty."
        )
    return _checked(dataset, "file", None, *(np.flatnonzero(assigned == part) for part in PARTS))


def by_folder(dataset: Dataset) -> Split:
    """Split as the folders of the music say: train, valid, test.

    DatasetError if they do not, or if nothing is left to train or to measure on.
    """
    part_of = {record.id: record.part for record in dataset.records}
    if dataset.tracks is None or not any(part_of.values()):
        raise DatasetError(
            "This dataset's music was not in folders named train and test, so it cannot be split "
            "by folder: split by track or artist."
        )
    assigned = np.array([part_of.get(track) or "" for track in dataset.tracks.tolist()])
    return _checked(dataset, "folder", None, *(np.flatnonzero(assigned == part) for part in PARTS))


def by_fold(dataset: Dataset, path: str | os.PathLike[str], column: str, fold: str) -> Split:
    """Make one round of a cross-validation: test on `fold`, train on the other folds.

    Parameters
    ----------
    path : path of a CSV file with columns track and `column`, the fold of each track; tracks
        without one are left out
    fold : str, as in the file, in any case

    Raises
    ------
    DatasetError
        The file cannot be used, or this fold or all others are empty.
    """
    assigned = _assigned(dataset, local_path(path), column)
    held_out = assigned == loosely(fold)
    if not held_out.any():
        folds = ", ".join(map(_shown, sorted(set(assigned.tolist()) - {""})[:10]))
        raise DatasetError(f'{path} has no fold "{_shown(fold)}": it has {folds or "none"}.')
    none = np.empty(0, np.int64)
    train = np.flatnonzero((assigned != "") & ~held_out)
    return _checked(dataset, "file", None, train, none, np.flatnonzero(held_out))


def make_split(dataset: Dataset, how: str, seed: int = 0) -> Split:
    """Make a split by its name: segment, track, artist, folder, FILE.csv or FILE.csv:COLUMN.

    Examples
    --------
    >>> genrekit.make_split(genrekit.Dataset.read("data.parquet"), "track").kind
    'track'
    """
    if how == "folder":
        return by_folder(dataset)
    named = {"segment": by_segment, "track": by_track, "artist": by_artist}
    if how in named:
        return named[how](dataset, seed)
    file, colon, column = how.rpartition(":")
    if not (colon and file.lower().endswith(".csv")):
        file, column = how, "part"
    if not file.lower().endswith(".csv"):
        raise SettingsError(
            f'Unknown split "{how}": use segment, track, artist, folder or the path of a .csv file.'
        )
    return from_file(dataset, file, column)


def held_out_in_words(dataset: Dataset, split: Split) -> str:
    """Say how much of the data that a split uses is held out.

    Whole tracks seldom add up to the requested fraction: of twelve tracks, four are held out for
    30%.
    """
    rows = np.concatenate([split.train, split.valid, split.test])
    said = f"{len(split.measured) / len(rows):.0%} of the segments"
    if dataset.tracks is None:
        return said
    tracks, of = (len(np.unique(dataset.tracks[part])) for part in (split.measured, rows))
    source = "from " if split.shares_tracks else ""
    return f"{said}, {source}{tracks} of {counted(of, 'track')}"


def _shown(name: str) -> str:
    """The start of a name from a file, safe to print."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:40])


def _assigned(dataset: Dataset, path: Path, column: str) -> NDArray[np.str_]:
    """The entry of each segment's track in a column of a table, normalised; "" if none."""
    if dataset.tracks is None:
        raise DatasetError("This dataset does not know its tracks, so a file cannot split it.")
    table = {
        track: loosely(entry)
        for track, entry in read_track_table(path, column).items()
        if entry.strip()
    }
    entry_of = match_tracks(table, sorted(set(dataset.tracks.tolist())))
    if not entry_of:
        raise DatasetError(
            f"{path} names none of the dataset's tracks (such as {dataset.tracks[0]}): "
            "use the track's name without folder and suffix, or its path below the folder."
        )
    return np.array([entry_of.get(track, "") for track in dataset.tracks])


def _by_group(
    kind: Any, dataset: Dataset, names: NDArray[Any], seed: int, fractions: Sequence[float]
) -> Split:
    """Assign each group of rows with one name to the part that lacks most of its genre."""
    for fraction in fractions:
        check_number("A part's fraction", fraction)
    wanted = np.asarray(fractions, dtype=float)
    if wanted.shape != (3,) or (wanted < 0).any() or abs(wanted.sum() - 1) > 1e-9:
        raise SettingsError(
            f"Fractions {tuple(fractions)} are no split: give train, valid and test, sum 1."
        )
    check_whole("seed", seed, 0)
    unique, groups = np.unique(names, return_inverse=True)
    count = len(unique)
    # Rows of each genre in each group; a group of several genres counts as its most frequent.
    table = np.zeros((count, len(dataset.genres)), np.int64)
    np.add.at(table, (groups, dataset.labels), 1)
    order = np.random.default_rng(seed).permutation(count)
    genre_of, size = table.argmax(axis=1), table.sum(axis=1)
    filled = np.zeros((3, len(dataset.genres)))
    total = table.sum(axis=0)
    part_of = np.empty(count, np.int64)
    for group in order:
        genre = genre_of[group]
        lacking = wanted * total[genre] - filled[:, genre]
        part_of[group] = part = np.argmax(lacking)
        filled[part, genre] += size[group]
    rows = part_of[groups]
    return _checked(dataset, kind, seed, *(np.flatnonzero(rows == part) for part in range(3)))


def _checked(
    dataset: Dataset, kind: Any, seed: int | None, train: Rows, valid: Rows, test: Rows
) -> Split:
    if len(np.unique(dataset.labels)) < 2:
        raise DatasetError(
            f'The dataset has only one genre ("{dataset.genres[dataset.labels[0]]}"): '
            "a classifier needs at least two."
        )
    if not len(train) or not len(valid) + len(test):
        raise DatasetError(
            f"Split by {kind}, the dataset of {counted(len(dataset), 'segment')} leaves nothing to "
            "train on or nothing to measure with: use more tracks or another split."
        )
    shares = None
    if dataset.tracks is not None:
        parts = [set(dataset.tracks[rows].tolist()) for rows in (train, valid, test)]
        shares = sum(map(len, parts)) > len(set().union(*parts))
    return Split(kind, seed, train, valid, test, shares)
