"""A dataset used as people use arrays and tables: rows, parts, pandas, and how it is shown."""

import dataclasses

import numpy as np
import pytest

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import by_artist, by_track
from genrekit.errors import DatasetError


def test_a_number_gives_a_segment_with_what_is_known_of_it(demo):
    one = demo[13]
    assert np.array_equal(one.features, demo.features[13])
    assert (one.genre, one.track) == (demo.genres[demo.labels[13]], demo.tracks[13])
    assert (one.number, one.artist) == (demo.segments[13], demo.artists[13])
    assert demo[-1].track == demo.tracks[-1]
    assert demo[np.int64(0)].track == demo.tracks[0]
    with pytest.raises(IndexError):
        demo[len(demo)]


def test_it_yields_each_segment_once(demo):
    segments = list(demo)
    assert len(segments) == len(demo)
    assert [one.genre for one in segments] == [demo.genres[label] for label in demo.labels]


def test_of_what_is_unknown_a_segment_says_so(make_dataset):
    bare = dataclasses.replace(make_dataset(), tracks=None, segments=None, artists=None)
    assert (bare[0].track, bare[0].number, bare[0].artist) == (None, None, None)
    assert len(bare[:5]) == 5


@pytest.mark.parametrize("kind", ["slice", "mask", "series", "numbers", "list"])
def test_rows_are_chosen_as_in_an_array(demo, kind):
    mask = demo.labels == 1
    numbers = np.flatnonzero(mask)
    rows = {
        "slice": slice(numbers[0], numbers[-1] + 1),
        "mask": mask,
        "series": demo.to_pandas().genre == demo.genres[1],
        "numbers": numbers,
        "list": mask.tolist(),
    }[kind]
    part = demo[rows]
    assert isinstance(part, Dataset)
    assert np.array_equal(part.features, demo.features[mask])
    assert part.counts() == {demo.genres[0]: 0, demo.genres[1]: 12, demo.genres[2]: 0}
    assert {record.genre for record in part.records} == {demo.genres[1]}


def test_a_part_of_a_split_is_a_dataset_that_can_be_written_and_split(demo, tmp_path):
    part = demo[by_track(demo).train]
    assert sum(record.segments for record in part.records) == len(part)
    part.write(tmp_path / "part.parquet")
    back = Dataset.read(tmp_path / "part.parquet")
    assert back.sha256 == part.sha256
    assert len(by_artist(back).train) < len(back)


def test_segments_keep_their_numbers_when_others_go(make_dataset):
    counted = dataclasses.replace(make_dataset(segments=4), segments=None)
    assert counted[2:6].segments.tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("rows", [[], slice(0, 0), np.zeros(36, bool)], ids=str)
def test_no_rows_are_no_dataset(demo, rows):
    with pytest.raises(DatasetError, match="No segment is chosen"):
        demo[rows]


def test_a_table_has_a_row_for_each_segment(demo):
    table = demo.to_pandas()
    assert list(table.columns[:5]) == ["genre", "track", "segment", "start", "artist"]
    assert table.genre.value_counts().to_dict() == demo.counts()
    np.testing.assert_allclose(table.mfcc1_mean, demo.features[:, :, 0].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(table.mfcc7_std, demo.features[:, :, 6].std(axis=1), rtol=1e-4)
    assert len(table.columns) == 5 + 2 * 7
    assert table.start[1] == demo.params.segment_step
    bare = dataclasses.replace(demo, tracks=None, segments=None, artists=None)
    assert list(bare.to_pandas().columns[:2]) == ["genre", "mfcc1_mean"]


def test_it_is_shown_in_three_lines(demo, make_dataset):
    first, second, third = repr(demo).split("\n")
    assert first == "Dataset: 36 segments, 3 genres, 12 tracks, 6 artists"
    assert second.startswith(f"{demo.genres[0]} 12, ")
    assert third == "mfcc of 1 s at 8,000 Hz: 32 frames of 7 coefficients"
    many = make_dataset(genres=[f"a genre\nof number {i}" for i in range(99)], tracks=1, segments=1)
    assert repr(many).count("\n") == 2
    assert len(repr(many)) < 300
    unknown = dataclasses.replace(demo, tracks=None, segments=None, artists=None)
    assert repr(unknown).startswith("Dataset: 36 segments, 3 genres, tracks unknown\n")


def test_a_notebook_shows_bars_and_no_foreign_html(make_dataset):
    shown = make_dataset(genres=("<script>", "b", "c"))._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert shown.count("width:100.0%") == 3
