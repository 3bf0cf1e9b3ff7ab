"""Tables of tracks."""

import unicodedata

import pytest

from genrekit.dataset.track_table import match_tracks, read_track_table
from genrekit.errors import DatasetError


def table(tmp_path, content, column="artist"):
    path = tmp_path / "tracks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_track_table(path, column)


@pytest.mark.parametrize(
    "content",
    [
        "track,artist\na/1,Ann\na/2,Bob\n",
        "artist,track\nAnn,a/1\nBob,a/2\n",
        "year,track,artist\r\n1999,a/1,Ann\r\n2000,a/2,Bob\r\n",
        "\ufefftrack,artist\na/1,Ann\na/2,Bob\n",  # as spreadsheets write it
        'track,artist\na/1,Ann\n\n,nobody\n"a/2","Bob"\n',
    ],
)
def test_the_column_by_track(tmp_path, content):
    assert table(tmp_path, content) == {"a/1": "Ann", "a/2": "Bob"}


def test_quotes_commas_and_letters_of_all_kinds(tmp_path):
    content = 'track,artist\na/1,"Simon, Garfunkel"\na/2,"""Weird Al"""\na/3,Björk – 東京\n'
    assert table(tmp_path, content) == {
        "a/1": "Simon, Garfunkel",
        "a/2": '"Weird Al"',
        "a/3": "Björk – 東京",
    }


def test_a_short_line_has_no_entry(tmp_path):
    assert table(tmp_path, "track,artist\na/1\na/2,\n") == {"a/1": "", "a/2": ""}


@pytest.mark.parametrize("content", ["", "track\na\n", "artist\nAnn\n", "name;artist\n1;2\n"])
def test_missing_columns(tmp_path, content):
    with pytest.raises(DatasetError, match="needs the columns track and artist, named"):
        table(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "track,artist\na,Bj\xf6rk\n".encode("latin-1"),
        "track,artist\na,b\n".encode("utf-16"),
        b"track,artist\na," + b"x" * 200_000 + b"\n",
    ],
)
def test_what_is_no_table(tmp_path, content):
    with pytest.raises(DatasetError, match="not a CSV file in UTF-8: export it again"):
        table(tmp_path, content)


def test_places_that_hold_no_file(tmp_path):
    with pytest.raises(DatasetError, match="there is no such file"):
        read_track_table(tmp_path / "none.csv", "artist")
    with pytest.raises(DatasetError, match="it is a folder; name a file"):
        read_track_table(tmp_path, "artist")


def test_tracks_match_by_id_and_by_the_last_part_of_it():
    ids = ["rock/one", "rock/two", "jazz/two", "jazz/sub/three"]
    entries = {"rock/one": "A", "two": "B", "three": "C", "four": "D", "jazz/two": "E"}
    assert match_tracks(entries, ids) == {
        "rock/one": "A",
        "rock/two": "B",
        "jazz/two": "E",  # the whole id comes first
        "jazz/sub/three": "C",
    }


@pytest.mark.parametrize(
    "name",
    ["JAZZ/Été.01", "été.01", "  jazz/été.01 ", "jazz/été.01.mp3", "ÉTÉ.01.FLAC", "decomposed"],
)
def test_a_name_that_fits_nobody_exactly_is_taken_loosely(name):
    name = unicodedata.normalize("NFD", "jazz/été.01") if name == "decomposed" else name
    assert match_tracks({name: "A"}, ["jazz/été.01", "jazz/été.02"]) == {"jazz/été.01": "A"}


def test_an_exact_name_belongs_to_its_track_alone():
    assert match_tracks({"a/One": "A"}, ["a/One", "a/one"]) == {"a/One": "A"}
    assert match_tracks({"a/One": "A", "a/one": "B"}, ["a/One", "a/one"]) == {
        "a/One": "A",
        "a/one": "B",
    }


def test_of_names_that_are_alike_but_say_different_things_none_is_taken():
    assert match_tracks({"A/ONE": "A", "A/One": "B"}, ["a/one"]) == {}
    assert match_tracks({"A/ONE": "A", "A/One": "A"}, ["a/one"]) == {"a/one": "A"}
    assert match_tracks({"one.mp3": "A", "one.wav": "B"}, ["a/one"]) == {}


@pytest.mark.parametrize("header", ["Track,Artist", "TRACK, artist "])
def test_the_first_line_may_be_in_capitals(tmp_path, header):
    assert table(tmp_path, f"{header}\na/1,Ann\n") == {"a/1": "Ann"}
