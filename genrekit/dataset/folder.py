"""Find the tracks in a folder of genre folders, as people have them.

The genre folders may be wrapped in others, or stand below train/ and test/, which are kept as a
split. Names of one genre that differ by case, spaces or the encoding of accents are one genre. Each
such reading is told in a `Note`, and each file that is no track in a `Skipped`.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.audio.recognition import other_kind, recognise
from genrekit.dataset.dataset import Note, Skipped
from genrekit.dataset.track_table import match_tracks, read_track_table, unused_rows
from genrekit.errors import AudioError, DatasetError
from genrekit.system.files import plain_os_errors
from genrekit.system.remote import Location, LocationName, RemoteFile, local_copy, location
from genrekit.wording import agree, counted

__all__ = ["MusicFolder", "Part", "Track", "find_tracks", "genre_key", "look_into"]

Part = Literal["train", "valid", "test"]

_ARTIST_TABLE: Final = "tracks.csv"
_PARTS: Final[dict[str, Part]] = {
    **dict.fromkeys(("train", "training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "testset", "test_set", "eval", "evaluation"), "test"),
}
_BETWEEN_LETTERS: Final = re.compile(r"[\s_\-]+")
_SAMPLE_NAMES: Final = 3


@dataclass(frozen=True)
class Track:
    """An audio file; `name` is its path below the folder, `id` the same without the suffix."""

    id: str
    name: str
    path: Location
    genre: str
    artist: str | None = None
    part: Part | None = None


@dataclass(frozen=True)
class MusicFolder:
    """The content of a folder.

    Attributes
    ----------
    tracks : tuple of Track, sorted by genre and id
    others : tuple of Skipped
        The files that are no tracks, with the reasons, sorted.
    notes : tuple of Note, on how the folder was read
    """

    tracks: tuple[Track, ...]
    others: tuple[Skipped, ...]
    notes: tuple[Note, ...]


def find_tracks(
    folder: LocationName, artists: LocationName | None = None
) -> tuple[list[Track], list[Skipped]]:
    """Return the tracks and the other files of `look_into`."""
    found = look_into(folder, artists)
    return list(found.tracks), list(found.others)


def look_into(folder: LocationName, artists: LocationName | None = None) -> MusicFolder:
    """Find the audio files below a folder of genre folders.

    Parameters
    ----------
    folder : path, or URL, of a folder with one sub-folder per genre
        The genre folders may lie deeper, in folders that only wrap them, or in folders named train,
        valid and test. Linked folders are followed.
    artists : path of a CSV file with columns track and artist; by default ``tracks.csv`` in the
        folder or beside the genre folders, if it exists

    Returns
    -------
    MusicFolder

    Raises
    ------
    DatasetError
        The folder cannot be read, or has no genre folder with audio.
    """
    root = location(folder)
    files, others = _files_below(root)
    audio = []
    for name in sorted(files):
        reason = _no_audio(name, files[name])
        if reason is None:
            audio.append(name)
        elif Path(name).name != _ARTIST_TABLE:
            others.append(Skipped(name, None, reason))
    shape = _shape([name for name in audio if "/" in name])
    inside = [name for name in audio if shape.holds(name)]
    others += [
        Skipped(name, None, "It is outside all genre folders: move it.")
        for name in audio
        if not shape.holds(name)
    ]
    if not inside:
        raise DatasetError(
            f"{root} has no genre folders with audio: put the files of each genre into a folder "
            "named after the genre."
        )
    notes = shape.notes()
    genres, merged = _merged(shape.genre(name) for name in inside)
    tracks = [
        Track(id_, name, files[name], genres[shape.genre(name)], None, shape.part(name))
        for id_, name in zip(_track_ids(inside), inside, strict=True)
    ]
    tracks, about_artists = _with_artists(tracks, files, shape.prefix, artists)
    others.sort(key=lambda other: other.track)
    tracks.sort(key=lambda track: (track.genre, track.id))
    return MusicFolder(tuple(tracks), tuple(others), (*notes, *merged, *about_artists))


def genre_key(name: str) -> str:
    """Return the same text for names of one genre: without case, spaces, hyphens."""
    whole = unicodedata.normalize("NFKC", name).casefold()
    return _BETWEEN_LETTERS.sub("", unicodedata.normalize("NFC", whole)) or name


# -- the shape of the folder ------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """The depth at which the genre folders stand, and that of train/ and test/, if there are any.

    `prefix` is the path of the folders that only wrap the others, "" or ending in a slash.
    """

    prefix: str
    genre_at: int
    part_at: int | None

    def holds(self, name: str) -> bool:
        """Return whether a file is in a genre folder."""
        deepest = max(self.genre_at, self.part_at or 0)
        return name.startswith(self.prefix) and len(self._folders(name)) > deepest

    def genre(self, name: str) -> str:
        return self._folders(name)[self.genre_at]

    def part(self, name: str) -> Part | None:
        return None if self.part_at is None else _part(self._folders(name)[self.part_at])

    def notes(self) -> list[Note]:
        said = []
        if self.prefix:
            where = self.prefix.rstrip("/")
            said.append(
                Note("inner folder", f'The genre folders were found in "{where}".', (where,))
            )
        if self.part_at is not None:
            said.append(
                Note(
                    "parts",
                    "The folders named train, valid or test are kept as a split: choose the split "
                    '"folder" to train and test with it.',
                )
            )
        return said

    def _folders(self, name: str) -> list[str]:
        return name[len(self.prefix) :].split("/")[:-1]


def _part(folder: str) -> Part | None:
    return _PARTS.get(folder.strip().casefold().replace(" ", "_").replace("-", "_"))


def _shape(names: Sequence[str]) -> _Shape:
    """The shape that fits all files in folders."""
    prefix = ""
    while True:
        below = [name[len(prefix) :].split("/") for name in names if name.startswith(prefix)]
        parted = _part_depth([parts[:-1] for parts in below])
        if parted is not None:
            return _Shape(prefix, 1 - parted, parted)
        outer = {parts[0] for parts in below if len(parts) > 1}
        if len(outer) != 1:
            return _Shape(prefix, 0, None)
        (only,) = outer
        inside = [parts[1:] for parts in below if len(parts) > 1]
        folders = {parts[0] for parts in inside if len(parts) > 1}
        single = sum(len(parts) == 1 for parts in inside)
        deeper = len(folders) == 1 and not single and any(len(parts) > 2 for parts in inside)
        # A single genre is no use; files beside several folders are strays, unless there are many.
        if not deeper and (len(folders) < 2 or single >= len(folders)):
            return _Shape(prefix, 0, None)
        prefix += f"{only}/"


def _part_depth(folders: Sequence[Sequence[str]]) -> int | None:
    """The depth, 0 or 1, at which all files are in a folder named train, valid or test.

    The other of the two depths is that of the genres. None where a part is missing.
    """
    for depth in (0, 1):
        parts = {_part(parents[depth]) for parents in folders if len(parents) > 1}
        if None not in parts and len(parts) > 1:
            return depth
    return None


def _merged(names: Iterable[str]) -> tuple[dict[str, str], list[Note]]:
    """The genre of each folder name, and a note for those that have several names."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        spellings[genre_key(name)][name] += 1
    genre_of: dict[str, str] = {}
    notes = []
    for counts in spellings.values():
        label = unicodedata.normalize("NFC", max(counts, key=lambda name: (counts[name], name)))
        label = " ".join(label.split()) or label
        genre_of |= dict.fromkeys(counts, label)
        if len(counts) > 1:
            said = f'{counted(len(counts), "folder name")} of "{label}" were merged into one genre.'
            notes.append(Note("merged", said, tuple(sorted(counts))))
    return genre_of, notes


# -- artists ----------------------------------------------------------------------------------


def _with_artists(
    tracks: Sequence[Track],
    files: Mapping[str, Location],
    prefix: str,
    artists: LocationName | None,
) -> tuple[list[Track], list[Note]]:
    """The tracks with the artists of a table, and notes on what has no partner."""
    table = location(artists) if artists is not None else None
    if table is None:
        table = files.get(_ARTIST_TABLE) or files.get(prefix + _ARTIST_TABLE)
    if table is None:
        return list(tracks), []
    with local_copy(table) as local:
        rows = read_track_table(local, "artist")
    names = {track.id: track.name for track in tracks}
    artist_of = match_tracks(rows, names, names)
    notes = []
    if unused := unused_rows(rows, names, names):
        said = (
            f"{counted(len(unused), 'row')} of {table.name} {agree(len(unused), 'names', 'name')} "
        )
        notes.append(Note("rows without a file", said + "no file in the genre folders.", unused))
    if missing := tuple(track.name for track in tracks if track.id not in artist_of):
        said = f"{counted(len(missing), 'file')} {agree(len(missing), 'has', 'have')} no row in "
        notes.append(Note("files without a row", f"{said}{table.name}.", missing))
    return [replace(track, artist=artist_of.get(track.id)) for track in tracks], notes


# -- files ------------------------------------------------------------------------------------


def _no_audio(name: str, path: Location) -> str | None:
    """The reason why a file is no track; None if it is one, or says so by its name."""
    if Path(name).suffix.lower() in AUDIO_SUFFIXES:
        return None
    if isinstance(path, RemoteFile):  # it would have to be downloaded
        return "It is not an audio file by its name."
    try:
        with path.open("rb") as file:
            if kind := other_kind(file.read(512)):
                return f"It is {kind}."
            recognise(file)
    except OSError as error:
        return f"It cannot be read: {error.strerror or type(error).__name__}."
    except AudioError:
        return "It is not audio in a format GenreKit reads."
    return None


def _files_below(root: Location) -> tuple[dict[str, Location], list[Skipped]]:
    """The usable files below `root` by their relative names, and the unusable ones.

    Hidden files and folders are left out.
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

    def skip(path: Path, why: str) -> None:
        others.append(Skipped(_printable(path.relative_to(root).as_posix()), None, why))

    def skip_folder(error: OSError) -> None:
        folder = Path(error.filename)
        if folder == root:
            raise error
        skip(folder, "It is a folder that this user may not read: change its permissions.")

    for folder, subfolders, files in os.walk(root, onerror=skip_folder, followlinks=True):
        here = Path(folder)
        above = {here.resolve(), *here.resolve().parents}
        for name in [*subfolders]:
            if name.startswith("."):
                subfolders.remove(name)
            elif (here / name).is_symlink() and (here / name).resolve() in above:
                subfolders.remove(name)
                skip(here / name, "It is a link to a folder that contains it: it was not followed.")
        for file in files:
            name = (here / file).relative_to(root).as_posix()
            if file.startswith("."):
                continue
            if name != _printable(name):  # neither a table nor JSON could hold it
                skip(here / file, "Its name is not text: rename it.")
            elif not (here / file).exists():
                skip(here / file, "It is a link that leads nowhere.")
            else:
                names.append(name)
    return names, others


def _printable(name: str) -> str:
    """`name` with a mark for each byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _track_ids(names: Sequence[str]) -> list[str]:
    """Names without suffix, except where two would be equal."""
    bare = [Path(name).with_suffix("").as_posix() for name in names]
    times = Counter(bare) + Counter(names)
    return [b if times[b] == 1 else name for b, name in zip(bare, names, strict=True)]
