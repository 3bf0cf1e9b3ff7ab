"""CSV tables that say something about tracks: a column `track` and one more.

A table may name a track by its id (its path below the folder, without suffix) or by the last
part of its id, as lists made elsewhere do.
"""

import csv
import os
from collections.abc import Iterable, Mapping

from genrekit.errors import DatasetError
from genrekit.files import plain_os_errors
from genrekit.remote import local_path

__all__ = ["match_tracks", "read_track_table"]


def read_track_table(path: str | os.PathLike[str], column: str) -> dict[str, str]:
    """The column `column` by the column track.

    Raises
    ------
    DatasetError
        The file cannot be read, or lacks a column.
    """
    path = local_path(path)
    with plain_os_errors("read", path):
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                if not {"track", column} <= set(reader.fieldnames or ()):
                    raise DatasetError(
                        f"{path} needs the columns track and {column} named in its first line."
                    )
                return {row["track"]: row[column] or "" for row in reader if row["track"]}
        except (UnicodeDecodeError, csv.Error):
            raise DatasetError(f"{path} is not a CSV file in UTF-8: export it again.") from None


def match_tracks(table: Mapping[str, str], ids: Iterable[str]) -> dict[str, str]:
    """The table's entries by track id, for the tracks it names."""
    matched = {}
    for track in ids:
        for name in (track, track.rsplit("/", 1)[-1]):
            if name in table:
                matched[track] = table[name]
                break
    return matched
