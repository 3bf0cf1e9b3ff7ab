"""Datasets on disk outlive the code: one that was written before the package had rooms."""

from pathlib import Path

from genrekit.dataset.dataset import Dataset

WRITTEN = Path(__file__).parent / "files" / "before_the_rooms.parquet"


def test_a_dataset_written_earlier_is_read_whole():
    dataset = Dataset.read(WRITTEN)
    assert dataset.sha256 == "780564a48e888c1212874f5a73d01d606f171f9b0b75757d3e834ca65b9d7bc2"
    assert dataset.features.shape == (6, 8, 5)
    assert dataset.genres == ("jazz", "metal")
    assert (dataset.params.sample_rate, dataset.params.n_mels) == (8000, 24)
    assert [record.artist for record in dataset.records] == ["jazz artist 0", "metal artist 0"]
    assert [record.segments for record in dataset.records] == [3, 3]
    (skipped,) = dataset.skipped
    assert (skipped.track, skipped.segment) == ("metal/broken", None)
    assert skipped.reason.startswith("It is not audio in a format GenreKit reads")
