"""CSV tables about tracks: a column `track` and one more.

A table may name a track by its id (its path below the folder, without suffix) or by the last part
of its id. If no name matches exactly, then case, the encoding of accents, surrounding spaces, the
file's suffix, the kind of slash and folders further up are ignored.
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

__all__ = ["loosely", "match_tracks", "read_track_table", "unused_rows"]

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


def match_tracks(
    table: Mapping[str, str], ids: Iterable[str], files: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the table's entries by track id, for the tracks it names.

    A name without an exact match counts for the tracks it matches loosely, unless the table has
    contradictory entries for them. `files` has the file of each track, with its suffix.
    """
    entries = {
        track: {table[name] for name in names}
        for track, names in _partners(table, ids, files or {}).items()
    }
    return {track: found.pop() for track, found in entries.items() if len(found) == 1}


def unused_rows(
    table: Mapping[str, str], ids: Iterable[str], files: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names in a table that match no track, in its order; see `match_tracks`."""
    used = set().union(*_partners(table, ids, files).values())
    return tuple(name for name in table if name not in used)


def _partners(
    table: Mapping[str, str], ids: Iterable[str], files: Mapping[str, str]
) -> dict[str, set[str]]:
    """The names in the table of each track that it names."""
    partners = {}
    loose = []
    for track in ids:
        exact = [name for name in (track, track.rsplit("/", 1)[-1]) if name in table]
        if exact:
            partners[track] = {exact[0]}
        else:
            loose.append(track)
    exactly = {name for names in partners.values() for name in names}
    rows: dict[tuple[str, ...], set[str]] = {}
    for name in table.keys() - exactly:
        for path in _paths(name):
            # A bare name matches anywhere; a path by two parts at least.
            for size in range(min(2, len(path)), len(path) + 1):
                rows.setdefault(path[-size:], set()).add(name)
    for track in loose:
        paths = {*_paths(track), *_paths(files.get(track, track))}
        tails = {path[-size:] for path in paths for size in range(1, len(path) + 1)}
        for tail in sorted(tails, key=lambda tail: (-len(tail), tail)):
            if tail in rows:
                partners[track] = rows[tail]
                break
    return partners


def _paths(name: str) -> set[tuple[str, ...]]:
    """The parts of a path, with and without suffix, normalised for comparison."""
    whole = loosely(name.replace("\\", "/"))
    return {
        tuple(part for part in path.split("/") if part not in ("", "."))
        for path in (whole, _SUFFIX.sub("", whole))
    } - {()}


def loosely(name: str) -> str:
    """Normalise a name for comparison: lower case, composed accents."""
    return unicodedata.normalize("NFC", name.strip().casefold())
