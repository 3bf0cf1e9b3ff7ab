"""Find the tracks below a folder of genre folders: `folder/<genre>/<track>`."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.dataset.dataset import Skipped
from genrekit.dataset.track_table import match_tracks, read_track_table
from genrekit.errors import DatasetError
from genrekit.system.files import plain_os_errors
from genrekit.system.remote import Location, LocationName, RemoteFile, local_copy, location

__all__ = ["Track", "find_tracks"]

_ARTIST_TABLE: Final = "tracks.csv"


@dataclass(frozen=True)
class Track:
    """An audio file; `name` is its path below the folder, `id` the same without the suffix."""

    id: str
    name: str
    path: Location
    genre: str
    artist: str | None = None


def find_tracks(
    folder: LocationName, artists: LocationName | None = None
) -> tuple[list[Track], list[Skipped]]:
    """Find the audio files below a folder of genre folders.

    Parameters
    ----------
    folder : path, or URL, of a folder with one sub-folder per genre
    artists : path of a CSV file with columns track and artist; by default ``tracks.csv`` in the
        folder, if it exists

    Returns
    -------
    tracks : list of Track, sorted by genre and id
    others : list of Skipped
        Files that are not audio by their names or are outside all genre folders, sorted.

    Raises
    ------
    DatasetError
        The folder cannot be read, or has no genre folder with audio.
    """
    root = location(folder)
    files, others = _files_below(root)
    audio = []
    for name in sorted(files):
        if Path(name).suffix.lower() not in AUDIO_SUFFIXES:
            if name != _ARTIST_TABLE:
                others.append(Skipped(name, None, "It is not an audio file by its name."))
        elif "/" not in name:
            others.append(Skipped(name, None, "It is outside all genre folders: move it."))
        else:
            audio.append(name)
    if not audio:
        raise DatasetError(
            f"{root} has no genre folders with audio: put the files of each genre into a folder "
            "named after the genre."
        )
    ids = _track_ids(audio)
    table = files.get(_ARTIST_TABLE) if artists is None else location(artists)
    artist_of = {}
    if table is not None:
        with local_copy(table) as local:
            artist_of = match_tracks(read_track_table(local, "artist"), ids)
    tracks = [
        Track(track, name, files[name], name.split("/")[0], artist_of.get(track))
        for track, name in zip(ids, audio, strict=True)
    ]
    others.sort(key=lambda other: other.track)
    return sorted(tracks, key=lambda track: (track.genre, track.id)), others


def _files_below(root: Location) -> tuple[dict[str, Location], list[Skipped]]:
    """The usable files below `root` by their relative names, and the unusable ones.

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

    def skip_folder(error: OSError) -> None:
        folder = Path(error.filename)
        if folder == root:
            raise error
        why = "It is a folder that this user may not read: change its permissions."
        others.append(Skipped(_printable(folder.relative_to(root).as_posix()), None, why))

    for folder, subfolders, files in os.walk(root, onerror=skip_folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in files:
            name = (Path(folder) / file).relative_to(root).as_posix()
            if file.startswith("."):
                continue
            if name == _printable(name):
                names.append(name)
            else:  # neither a table nor JSON could hold it
                others.append(Skipped(_printable(name), None, "Its name is not text: rename it."))
    return names, others


def _printable(name: str) -> str:
    """`name` with a mark for each byte that is not UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _track_ids(names: Sequence[str]) -> list[str]:
    """Names without suffix, except where two would be equal."""
    bare = [Path(name).with_suffix("").as_posix() for name in names]
    times = Counter(bare) + Counter(names)
    return [b if times[b] == 1 else name for b, name in zip(bare, names, strict=True)]
