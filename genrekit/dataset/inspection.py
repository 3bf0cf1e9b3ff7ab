"""Inspect a folder of genre folders: its files, their problems, and duplicate recordings.

A recording that is both in the training part and in the test part flatters every model. Only the
first 30 s of a file are decoded (`genrekit.dataset.file_check`). Exact copies are found by
SHA-256, others by their fingerprints (`genrekit.dataset.duplicates`).
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from genrekit.dataset.build import TRACK_SECONDS
from genrekit.dataset.dataset import Note, Skipped
from genrekit.dataset.duplicates import linked, similar_pairs
from genrekit.dataset.file_check import FileCheck, check_file
from genrekit.dataset.folder import MusicFolder, Track, look_into
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams
from genrekit.ranges import check_number
from genrekit.system.files import plain_os_errors, write_whole
from genrekit.system.processes import CRASHED, check_workers, compute_in_order
from genrekit.system.records import record
from genrekit.system.remote import local_path

__all__ = ["Duplicate", "FileFacts", "InspectProgress", "Inspection", "inspect_folder"]

SHORT_SHARE: Final = 0.5
_FORMAT: Final = 1


@dataclass(frozen=True)
class FileFacts:
    """One audio file; values that could not be found out are None.

    Attributes
    ----------
    id, path, genre, artist : as in `Track`; `path` is below the folder
    container : str or None, such as "mp3", from the content
    seconds : float or None
        Length; beyond 30 s as the header says.
    problem : str or None
        The worst problem, in one sentence.
    missing : str
        A sentence on what could not be heard of its first 30 s, "" for nothing.
    part : str or None
        train, valid or test, if the file's folder says so.
    """

    id: str
    path: str
    genre: str
    artist: str | None
    container: str | None
    seconds: float | None
    sample_rate: int | None
    channels: int | None
    bytes: int | None
    sha256: str | None
    problem: str | None
    missing: str = ""
    part: str | None = None


@dataclass(frozen=True)
class Duplicate:
    """Files with the same recording; no file is in two of these groups.

    Attributes
    ----------
    tracks : tuple of str, two or more ids in the order of the files
    kind : "exact" if the files are equal byte for byte, else "near"
    similarity : float, in [0, 1]
        1.0 for exact; else the lowest similarity of linked files.
    across_genres : bool
        They are in several genres: at least one label is wrong.
    """

    tracks: tuple[str, ...]
    kind: Literal["exact", "near"]
    similarity: float
    across_genres: bool


@dataclass(frozen=True)
class Inspection:
    """The content of a folder.

    `others` are the files that are not tracks, with the reasons; `notes` say how the folder was
    read.
    """

    files: tuple[FileFacts, ...]
    others: tuple[Skipped, ...]
    duplicates: tuple[Duplicate, ...]
    notes: tuple[Note, ...] = ()

    @property
    def genres(self) -> dict[str, int]:
        """Audio files of each genre, readable or not."""
        return dict(sorted(Counter(file.genre for file in self.files).items()))

    @property
    def containers(self) -> dict[str, int]:
        """Files of each known container, the most frequent first."""
        return dict(Counter(f.container for f in self.files if f.container).most_common())

    @property
    def seconds(self) -> float:
        """Total length of the readable files, s."""
        return sum(file.seconds or 0.0 for file in self.files)

    @property
    def redundant(self) -> tuple[str, ...]:
        """The paths of files without which no recording is there twice.

        Of each group of duplicates the first stays; none does if they are in several genres, for
        nobody knows which is right.
        """
        paths = {file.id: file.path for file in self.files}
        return tuple(
            paths[track]
            for group in self.duplicates
            for track in group.tracks[0 if group.across_genres else 1 :]
        )

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The paths of files of which something is missing."""
        return tuple(file.path for file in self.files if file.missing)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"format": _FORMAT} | json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make an inspection from the result of `to_dict`, or raise DatasetError."""
        try:
            if values["format"] != _FORMAT:
                raise DatasetError(
                    f"The inspection has format {values['format']!r:.20}, this GenreKit "
                    f"reads {_FORMAT}: update GenreKit, or inspect the folder again."
                )
            return cls(
                tuple(record(FileFacts, file, "file") for file in values["files"]),
                tuple(record(Skipped, other, "other") for other in values["others"]),
                tuple(record(Duplicate, group, "group") for group in values["duplicates"]),
                tuple(record(Note, note, "note") for note in values.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise DatasetError("The inspection is damaged: inspect the folder again.") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of `write`, or raise DatasetError."""
        path = local_path(path)
        with plain_os_errors("read", path):
            try:
                return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, RecursionError):
                raise DatasetError(
                    f"{path.name} is not an inspection in JSON: inspect the folder again."
                ) from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, or leave an existing file as it is and raise DatasetError."""
        path = local_path(path)
        with plain_os_errors("written", path):
            write_whole(path, json.dumps(self.to_dict(), indent=1))


@dataclass(frozen=True)
class InspectProgress:
    """One more file is checked; or, with `track` None, all are, and `inspection` is complete.

    `problem` does not include yet that the file is much shorter than the others.
    """

    done: int
    total: int
    track: str | None
    problem: str | None
    inspection: Inspection | None = None


def inspect_folder(
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    artists: str | os.PathLike[str] | None = None,
    segment_seconds: float = FeatureParams().segment_seconds,
) -> Iterator[InspectProgress]:
    """Inspect a folder of genre folders.

    Parameters
    ----------
    folder, artists : as for `look_into`
    workers : int or None
        Processes; None means one per processor, 1 works in this process.
    segment_seconds : float, s, > 0
        A shorter file is a problem.

    Yields
    ------
    InspectProgress
        One for each file, then one more with the `Inspection`.

    Raises
    ------
    DatasetError
        At the call: the folder cannot be read, or has no genre folder with audio.
    SettingsError
        At the call: a number is out of range.

    Examples
    --------
    >>> for progress in genrekit.inspect_folder("music", workers=1):
    ...     pass
    >>> len(progress.inspection.files), len(progress.inspection.duplicates)
    (6, 0)
    """
    check_workers(workers)
    check_number("segment_seconds", segment_seconds, 0, unit="s", above=True)
    root = local_path(folder)
    return _inspect(root, look_into(root, artists), segment_seconds, workers)


def _inspect(
    root: Path, found: MusicFolder, segment_seconds: float, workers: int | None
) -> Iterator[InspectProgress]:
    tracks = found.tracks
    checks = compute_in_order(
        partial(check_file, segment_seconds=segment_seconds),
        [root / track.name for track in tracks],
        workers,
        crashed=lambda: FileCheck(problem=CRASHED),
    )
    files, prints = [], []
    for track, check in zip(tracks, checks, strict=True):
        files.append(_facts(track, check))
        prints.append(check.fingerprint)
        yield InspectProgress(len(files), len(tracks), track.id, check.problem)
    inspection = Inspection(
        tuple(_short_marked(files)), found.others, _duplicates(files, prints), found.notes
    )
    yield InspectProgress(len(files), len(tracks), None, None, inspection)


def _facts(track: Track, check: FileCheck) -> FileFacts:
    info = check.info
    return FileFacts(
        id=track.id,
        path=track.name,
        genre=track.genre,
        artist=track.artist,
        container=info.container if info else None,
        seconds=check.seconds,
        sample_rate=info.sample_rate if info else None,
        channels=info.channels if info else None,
        bytes=check.bytes,
        sha256=check.sha256,
        problem=check.problem,
        missing=check.missing,
        part=track.part,
    )


def _short_marked(files: Sequence[FileFacts]) -> Iterator[FileFacts]:
    """The files, with a problem for those much shorter than most; beyond 30 s all are equal."""
    used = [min(f.seconds, TRACK_SECONDS) for f in files if f.seconds is not None]
    usual = float(np.median(used)) if used else 0.0
    for file in files:
        if file.problem or file.seconds is None or file.seconds >= SHORT_SHARE * usual:
            yield file
        else:
            problem = (
                f"It lasts {file.seconds:.1f} s, less than half of the {usual:.1f} s used of most: "
                "look for a longer one."
            )
            yield replace(file, problem=problem)


def _duplicates(
    files: Sequence[FileFacts], prints: Sequence[NDArray[np.float32] | None]
) -> tuple[Duplicate, ...]:
    """Group the files that are linked by equal bytes or similar fingerprints."""
    first: dict[str, int] = {}
    links = []
    for i, file in enumerate(files):
        if file.seconds is not None and file.sha256 is not None:
            original = first.setdefault(file.sha256, i)
            if original != i:
                links.append((original, i, 1.0))
    originals = sorted(first.values())
    for i, j, similarity in similar_pairs([prints[i] for i in originals]):
        links.append((originals[i], originals[j], similarity))
    groups = []
    for members, similarity in linked(links):
        group = [files[i] for i in members]
        exact = len({file.sha256 for file in group}) == 1
        across = len({file.genre for file in group}) > 1
        ids = tuple(file.id for file in group)
        groups.append(Duplicate(ids, "exact" if exact else "near", similarity, across))
    return tuple(groups)
