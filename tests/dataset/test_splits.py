"""Splits: their parts, and how far a score can be trusted."""

import dataclasses
import re

import numpy as np
import pytest

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import (
    COURSE_FRACTIONS,
    PARTS,
    by_artist,
    by_fold,
    by_segment,
    by_track,
    from_file,
    held_out_in_words,
    make_split,
)
from genrekit.errors import DatasetError, SettingsError

WAYS = [by_segment, by_track, by_artist]


@pytest.fixture(scope="module")
def data(make_dataset):
    return make_dataset(tracks=20, artists=10)


def without(dataset, *columns):
    return Dataset(**{**dataset.__dict__, **dict.fromkeys(columns)})


def parts_of(split):
    return [getattr(split, part) for part in PARTS]


def names(dataset, rows):
    return set(dataset.tracks[rows].tolist())


@pytest.mark.parametrize("fractions", [COURSE_FRACTIONS, (0.6, 0.2, 0.2), (0.5, 0, 0.5)])
@pytest.mark.parametrize("way", WAYS)
def test_parts_are_disjoint_complete_and_stratified(data, way, fractions):
    split = way(data, 1, fractions)
    rows = np.concatenate(parts_of(split))
    assert sorted(rows.tolist()) == list(range(len(data)))
    for genre in range(3):
        for part, wanted in zip(parts_of(split), fractions, strict=True):
            share = (data.labels[part] == genre).sum() / 80
            assert share == pytest.approx(wanted, abs=0.051)
    assert (len(split.test) > 0) == (fractions[2] > 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_seed_determines_the_split(data, way):
    one, same, other = way(data, 5), way(data, 5), way(data, 6)
    assert one.seed == 5
    for part in PARTS:
        assert (getattr(one, part) == getattr(same, part)).all()
    assert one.sha256 == same.sha256 != other.sha256
    assert set(one.train.tolist()) != set(other.train.tolist())


def test_by_segment_shares_tracks_and_says_so(data):
    split = by_segment(data)
    assert names(data, split.train) & names(data, split.valid)
    assert split.kind == "segment"
    assert split.shares_tracks is True
    assert split.worth.startswith("Flattering: segments of one song")
    unknown = by_segment(without(data, "tracks"))
    assert unknown.shares_tracks is None
    assert unknown.worth.startswith("Not to be trusted: tracks are unknown")


@pytest.mark.parametrize("seed", range(5))
def test_by_track_never_shares_a_track(data, seed):
    split = by_track(data, seed, (0.6, 0.2, 0.2))
    sets = [names(data, rows) for rows in parts_of(split)]
    assert sum(map(len, sets)) == len(set().union(*sets)) == 60
    assert split.shares_tracks is False
    assert split.worth.startswith("Fair: no track stands on both sides")
    # Artists, on the other hand, stand on both sides.
    assert set(data.artists[split.train]) & set(data.artists[split.valid])


@pytest.mark.parametrize("seed", range(5))
def test_by_artist_never_shares_an_artist(data, seed):
    split = by_artist(data, seed)
    assert not set(data.artists[split.train]) & set(data.artists[split.valid])
    assert not names(data, split.train) & names(data, split.valid)
    assert split.shares_tracks is False
    assert split.worth.startswith("Honest: no artist")


def test_one_artist_in_two_genres_stays_whole(make_dataset):
    data = make_dataset(tracks=10)
    artists = data.artists.copy()
    artists[(data.segments >= 0) & np.isin(data.tracks, ["a/a.000", "b/b.003"])] = "Both"
    data = Dataset(**{**data.__dict__, "artists": artists})
    for seed in range(10):
        split = by_artist(data, seed)
        sides = [("Both" in artists[rows]) for rows in (split.train, split.valid)]
        assert sides.count(True) == 1


def test_a_track_of_unknown_artist_counts_as_an_artist_of_its_own(make_dataset):
    data = make_dataset(tracks=10)
    artists = data.artists.copy()
    artists[data.labels == 0] = ""
    data = Dataset(**{**data.__dict__, "artists": artists})
    split = by_artist(data)
    assert not names(data, split.train) & names(data, split.valid)
    unknown = data.labels == 0
    assert unknown[split.train].sum() == pytest.approx(28, abs=4)  # not all on one side


def test_splits_by_unknown_columns(data):
    with pytest.raises(DatasetError, match="cannot be split by track: build it from the audio"):
        by_track(without(data, "tracks", "artists"))
    for bare in (without(data, "artists"), without(data, "tracks")):
        with pytest.raises(DatasetError, match=r"names no artists.*or split by track"):
            by_artist(bare)
    nameless = Dataset(**{**data.__dict__, "artists": np.full(len(data), "")})
    with pytest.raises(DatasetError, match="names no artists"):
        by_artist(nameless)


@pytest.mark.parametrize("fractions", [(1, 1, -1), (0.7, 0.2), (0.7, 0.2, 0.2), (0, 0, 0)])
def test_invalid_fractions(data, fractions):
    with pytest.raises(SettingsError, match="are no split: give train, valid and test, sum 1"):
        by_track(data, 0, fractions)


@pytest.mark.parametrize("way", WAYS)
def test_negative_seeds(data, way):
    with pytest.raises(SettingsError, match="seed is -1: use a whole number"):
        way(data, -1)


def test_too_little_to_split(make_dataset):
    data = make_dataset(genres=("a", "b"), tracks=1, segments=1)
    for fractions in ((1, 0, 0), (0, 1, 0)):
        with pytest.raises(DatasetError, match="nothing to train on or nothing to measure with"):
            by_segment(data, 0, fractions)


@pytest.mark.parametrize("way", WAYS)
def test_one_genre_cannot_be_split(make_dataset, way):
    with pytest.raises(DatasetError, match='only one genre .*"a".*needs at least two'):
        way(make_dataset(genres=("a",)))


def test_a_genre_without_rows_is_harmless(data):
    wider = Dataset(**{**data.__dict__, "genres": ("a", "b", "c", "empty")})
    split = by_track(wider)
    assert len(split.train) + len(split.valid) == len(data)


def test_what_is_measured(data):
    two, three = by_track(data), by_track(data, 0, (0.6, 0.2, 0.2))
    assert (two.measured_part, three.measured_part) == ("valid", "test")
    assert two.measured is two.valid
    assert three.measured is three.test


# -- from a file ------------------------------------------------------------------------------


def write(tmp_path, lines, header="track,part"):
    path = tmp_path / "split.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_from_file_by_id_and_by_last_part(data, tmp_path):
    path = write(
        tmp_path,
        ["a/a.000,train", "b.001, Train ", "c.002,valid", "a.003,TEST", "b.004,", "zz.1,train"],
    )
    split = from_file(data, path)
    assert names(data, split.train) == {"a/a.000", "b/b.001"}
    assert names(data, split.valid) == {"c/c.002"}
    assert names(data, split.test) == {"a/a.003"}
    assert len(split.train) == 8  # all segments of a track
    assert (split.kind, split.seed, split.shares_tracks) == ("file", None, False)
    assert split.worth.startswith("Fair: no track stands on both sides of the split.")


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        (["a.000,train", "a.001,validation"], 'names a part "validation": use train, valid or'),
        (["x,train", "y,test"], r"none of the dataset's tracks \(such as a/a.000\)"),
        ([], "none of the dataset's tracks"),
        (["a.000,train", "b.000,train"], "nothing to train on or nothing to measure with"),
        (["a.000,test", "b.000,valid"], "nothing to train on or nothing to measure with"),
    ],
)
def test_files_that_cannot_split(data, tmp_path, lines, match):
    with pytest.raises(DatasetError, match=match):
        from_file(data, write(tmp_path, lines))


def test_invalid_files(data, tmp_path):
    with pytest.raises(DatasetError, match="needs the columns track and part"):
        from_file(data, write(tmp_path, [], header="track,set"))
    with pytest.raises(DatasetError, match="there is no such file"):
        from_file(data, tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="does not know its tracks"):
        from_file(without(data, "tracks"), write(tmp_path, ["a.000,train"]))


# -- by name ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_by_name(data, way):
    kind = way.__name__.removeprefix("by_")
    assert make_split(data, kind, 3).sha256 == way(data, 3).sha256
    assert make_split(data, kind, 3).kind == kind


def test_by_the_name_of_a_file(data, tmp_path):
    path = write(tmp_path, ["a.000,train", "b.001,train", "c.002,valid"])
    assert make_split(data, str(path)).sha256 == from_file(data, path).sha256
    with pytest.raises(SettingsError, match='split "album": use segment, track, artist, folder or'):
        make_split(data, "album")


# -- tables with other columns ----------------------------------------------------------------


@pytest.fixture
def folds(data, tmp_path):
    """A table that puts track i into fold i % 3, and leaves every seventh out."""
    path = tmp_path / "folds.csv"
    tracks = sorted(set(data.tracks.tolist()))
    rows = [f"{t},{'' if i % 7 == 6 else i % 3 + 1}" for i, t in enumerate(tracks)]
    path.write_text("\n".join(["track,fold", *rows]))
    return path


def test_each_fold_is_held_out_once_and_nothing_of_it_trained_on(data, folds):
    rounds = [by_fold(data, folds, "fold", fold) for fold in "123"]
    for split in rounds:
        assert split.measured_part == "test"
        assert not len(split.valid)
        assert not names(data, split.train) & names(data, split.test)
        assert split.shares_tracks is False
    held_out = np.concatenate([split.test for split in rounds])
    tracks = sorted(set(data.tracks.tolist()))
    named = {t for i, t in enumerate(tracks) if i % 7 != 6}
    assert len(set(held_out.tolist())) == len(held_out)
    assert names(data, held_out) == named
    assert all(names(data, np.r_[s.train, s.test]) == named for s in rounds)


def test_an_unknown_fold(data, folds):
    with pytest.raises(DatasetError, match='has no fold "4": it has 1, 2, 3'):
        by_fold(data, folds, "fold", "4")


def test_capitals_do_not_matter_in_the_names_of_folds_parts_tracks_and_columns(data, tmp_path):
    """A table whose every name is written in another way than it is asked for."""
    tracks = sorted(set(data.tracks.tolist()))
    path = tmp_path / "Folds.CSV"
    lines = [f"{t.upper()},{'Left' if i % 2 else 'RIGHT'},TRAIN" for i, t in enumerate(tracks)]
    lines[1] = lines[1].replace("TRAIN", "Test")
    path.write_text("\n".join(["Track,Fold,Part", *lines]))
    for name in ("left", "Left", " LEFT "):
        split = by_fold(data, path, "fold", name)
        assert names(data, split.test) == set(tracks[1::2])
        assert names(data, split.train) == set(tracks[::2])
    assert names(data, make_split(data, str(path)).test) == {tracks[1]}


def test_spellings_of_an_artist_are_one_artist(data):
    """Else the same voice stands on both sides of a split that is called honest."""
    loud = data.segments % 2 == 0
    twice = np.where(loud, np.char.upper(data.artists), data.artists)
    split = by_artist(dataclasses.replace(data, artists=twice), seed=1)
    assert not set(data.artists[split.train]) & set(data.artists[split.valid])
    assert len(split.valid)
    assert len(split.train)


def test_artists_of_one_spelling_are_split_as_before(data):
    other = dataclasses.replace(data, artists=np.char.upper(data.artists))
    assert by_artist(other, seed=2).sha256 == by_artist(data, seed=2).sha256


def test_the_column_of_a_table_can_be_named(data, tmp_path):
    tracks = sorted(set(data.tracks.tolist()))
    path = tmp_path / "c:d.csv"
    lines = [f"{t},{'test' if i % 2 else 'train'},train" for i, t in enumerate(tracks)]
    path.write_text("\n".join(["track,mine,part", *lines]))
    split = make_split(data, f"{path}:mine")
    assert names(data, split.test) == set(tracks[1::2])
    assert split.sha256 == from_file(data, path, "mine").sha256
    with pytest.raises(DatasetError, match="needs the columns track and yours"):
        make_split(data, f"{path}:yours")
    with pytest.raises(DatasetError, match="nothing to measure"):
        make_split(data, str(path))  # the column part trains on everything


def test_the_held_out_share_is_the_true_one(make_dataset):
    twelve = make_dataset(tracks=12)
    assert held_out_in_words(twelve, by_track(twelve)) == "33% of the segments, 12 of 36 tracks"
    four = make_dataset(tracks=4)
    assert held_out_in_words(four, by_track(four)) == "25% of the segments, 3 of 12 tracks"
    said = held_out_in_words(twelve, by_segment(twelve))
    assert re.fullmatch(r"(29|30|31)% of the segments, from \d+ of 36 tracks", said)
    bare = without(twelve, "tracks", "artists")
    assert re.fullmatch(r"(29|30|31)% of the segments", held_out_in_words(bare, by_segment(bare)))
