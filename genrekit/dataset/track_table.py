"""CSV tables about tracks: a column `track` and one more.

A table may name a track by its id (its path below the folder, without suffix) or by the last part
of its id. If no name matches exactly, then case, the encoding of accents, surrounding spaces and
the file's suffix are ignored.
"""

import csv
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from genrekit.errors import DatasetError
from genrekit.system.files import plain_os_errors
from genrekit.system.remote import local_path

__all__ = ["loosely", "match_tracks", "read_track_table"]

_SUFFIX: Final = re.compile(r"\.[a-z][a-z0-9]{1,3}$")


def read_track_table(path: str | os.PathLike[str], column: str) -> dict[str, str]:
    """Return the entries of `column` by those of the column track, or raise DatasetError."""
    path = local_path(path)
    with plain_os_errors("read", path):
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                names = list(reader.fieldnames or ())
                # An exact match takes precedence.
                columns = {loosely(name): name for name in reversed(names)}
                columns |= {name: name for name in names}
                wanted = [
                    columns.get(name, columns.get(loosely(name))) for name in ("track", column)
                ]
                if None in wanted:
                    raise DatasetError(
                        f"{path} needs the columns track and {column}, named in its first line."
                    )
                track, entry = wanted
                return {row[track]: row[entry] or "" for row in reader if row[track]}
        except (UnicodeDecodeError, csv.Error):
            raise DatasetError(f"{path} is not a CSV file in UTF-8: export it again.") from None


def match_tracks(table: Mapping[str, str], ids: Iterable[str]) -> dict[str, str]:
    """Return the table's entries by track id, for the tracks it names.

    A name without an exact match counts for the tracks it matches loosely, unless the table has
    contradictory entries for them.
    """
    tracks = {track: (track, track.rsplit("/", 1)[-1]) for track in ids}
    exactly = {
        track: name for track, names in tracks.items() for name in names[::-1] if name in table
    }
    entries: dict[str, set[str]] = {}
    for name in table.keys() - exactly.values():
        key = loosely(name)
        for alike in {key, _SUFFIX.sub("", key)}:
            entries.setdefault(alike, set()).add(table[name])
    matched = {track: table[name] for track, name in exactly.items()}
    for track in tracks.keys() - exactly.keys():
        keys = map(loosely, tracks[track])
        found = next((entries[key] for key in keys if key in entries), set())
        if len(found) == 1:
            matched[track] = next(iter(found))
    return matched


def loosely(name: str) -> str:
    """Normalise a name for comparison: lower case, composed accents."""
    return unicodedata.normalize("NFC", name.strip().casefold())
