"""Datasets and their Parquet files."""

import dataclasses
import hashlib
import json

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genrekit.dataset import parquet
from genrekit.dataset.dataset import Dataset, Skipped, TrackRecord, make_card
from genrekit.dataset.parquet import ParquetRows
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import atomic_write


def same(one, other):
    assert one.card == other.card
    for name in ("features", "labels", "tracks", "segments", "artists"):
        a, b = getattr(one, name), getattr(other, name)
        if a is None:
            assert b is None
        else:
            assert a.dtype.kind == b.dtype.kind
            np.testing.assert_array_equal(a, b)
    assert one.sha256 == other.sha256


@pytest.fixture
def full(make_dataset):
    made = make_dataset(genres=("a", "b"), tracks=3, segments=2)
    records = tuple(
        TrackRecord(track, f"{track}.wav", track[0], "Ann" if i else None, f"{i:064x}", 2)
        for i, track in enumerate(dict.fromkeys(made.tracks.tolist()))
    )
    skipped = (Skipped("a/bad.wav", None, "It is empty."), Skipped("a/a.001", 3, "It is silent."))
    return dataclasses.replace(made, records=records, skipped=skipped)


# -- in memory --------------------------------------------------------------------------------


def test_counts_length_and_card(full):
    assert len(full) == 12
    assert full.counts() == {"a": 6, "b": 6}
    card = json.loads(json.dumps(full.card))
    keys = {"format", "genres", "params", "track_seconds", "tracks", "skipped", "notes"}
    assert set(card) == keys
    assert card["genres"] == ["a", "b"]
    assert FeatureParams.from_dict(card["params"]) == full.params
    assert card["track_seconds"] == 30
    assert card["tracks"][1] == {
        "id": "a/a.001",
        "path": "a/a.001.wav",
        "genre": "a",
        "artist": "Ann",
        "sha256": f"{1:064x}",
        "segments": 2,
        "missing": "",
        "part": None,
    }
    assert card["skipped"][1] == {"track": "a/a.001", "segment": 3, "reason": "It is silent."}
    assert card == make_card(full.genres, full.params, 30.0, full.records, full.skipped)


def test_segment_numbers_are_counted_where_the_source_does_not_give_them(full):
    np.testing.assert_array_equal(full.segment_numbers(), full.segments)
    shuffled = np.random.default_rng(0).permutation(len(full))
    order = shuffled[np.argsort(full.segments[shuffled], kind="stable")]
    mixed = {name: getattr(full, name)[order] for name in ("features", "labels", "tracks")}
    uncounted = dataclasses.replace(full, segments=None, artists=None, **mixed)
    np.testing.assert_array_equal(uncounted.segment_numbers(), full.segments[order])
    with pytest.raises(DatasetError, match="does not know its tracks"):
        dataclasses.replace(full, tracks=None).segment_numbers()


def test_sha256_is_of_features_and_labels(full):
    expected = hashlib.sha256(full.features.tobytes() + full.labels.tobytes()).hexdigest()
    assert full.sha256 == expected
    features = full.features.copy()
    features[3, 2, 1] += 1
    assert dataclasses.replace(full, features=features).sha256 != expected
    swapped = dataclasses.replace(full, labels=full.labels[::-1].copy())
    assert swapped.sha256 != expected
    assert dataclasses.replace(full, skipped=()).sha256 == expected


def changed(full, **changes):
    return dataclasses.replace(full, **changes)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: {"features": d.features[:0], "labels": d.labels[:0]}, "has no segments"),
        (lambda d: {"features": d.features[:, :, :5]}, r"Segments of shape \(32, 5\) do not fit"),
        (lambda d: {"params": FeatureParams()}, r"which give \(130, 13\)"),
        (lambda d: {"features": d.features[0]}, "do not fit the parameters"),
        (lambda d: {"features": d.features.astype(np.float64)}, "features are float64"),
        (lambda d: {"labels": d.labels[:5]}, "12 segments but 5 labels"),
        (lambda d: {"labels": d.labels + 0.5}, "labels are not whole numbers"),
        (lambda d: {"labels": d.labels - 1}, "label is outside 0 to 1"),
        (lambda d: {"labels": d.labels + 1}, "label is outside 0 to 1"),
        (lambda d: {"genres": ("a", "a")}, "Two genres share a name"),
        (lambda d: {"genres": ()}, "label is outside"),
        (lambda d: {"tracks": d.tracks[:3]}, "12 segments but 3 tracks"),
        (lambda d: {"tracks": np.arange(12)}, "tracks are not text"),
        (lambda d: {"segments": d.segments[1:]}, "12 segments but 11 segments"),
        (lambda d: {"segments": d.tracks}, "segments are not whole numbers"),
        (lambda d: {"artists": d.segments}, "artists are not text"),
        (lambda d: {"features": np.full_like(d.features, np.nan)}, "NaN or infinite"),
        (lambda d: {"features": np.full_like(d.features, np.inf)}, "NaN or infinite"),
    ],
)
def test_parts_that_do_not_fit(full, change, match):
    with pytest.raises(DatasetError, match=match):
        dataclasses.replace(full, **change(full))


# -- on disk ----------------------------------------------------------------------------------


def test_a_written_dataset_is_read_back(full, tmp_path):
    full.write(tmp_path / "d.parquet")
    same(Dataset.read(tmp_path / "d.parquet"), full)
    same(Dataset.read(str(tmp_path / "d.parquet")), full)
    assert list(tmp_path.iterdir()) == [tmp_path / "d.parquet"]


def test_unknown_columns_stay_unknown(full, tmp_path):
    bare = dataclasses.replace(
        full, tracks=None, segments=None, artists=None, track_seconds=None, records=(), skipped=()
    )
    bare.write(tmp_path / "d.parquet")
    same(Dataset.read(tmp_path / "d.parquet"), bare)


def test_some_artists_unknown(full, tmp_path):
    artists = full.artists.copy()
    artists[::2] = ""
    partly = dataclasses.replace(full, artists=artists)
    partly.write(tmp_path / "d.parquet")
    same(Dataset.read(tmp_path / "d.parquet"), partly)


def test_names_of_any_characters(full, tmp_path):
    tracks = np.array([f"Größe 🎵 'x' \"{i}\"\n" for i in range(12)])
    odd = dataclasses.replace(full, genres=("Drum & Bass / –", "東京"), tracks=tracks)
    odd.write(tmp_path / "d.parquet")
    same(Dataset.read(tmp_path / "d.parquet"), odd)


def test_group_by_group(full, tmp_path, monkeypatch):
    full.write(tmp_path / "one.parquet")
    monkeypatch.setattr(parquet, "_ROWS_PER_GROUP", 5)
    full.write(tmp_path / "many.parquet")
    assert pq.ParquetFile(tmp_path / "one.parquet").num_row_groups == 1
    assert pq.ParquetFile(tmp_path / "many.parquet").num_row_groups == 3
    same(Dataset.read(tmp_path / "many.parquet"), full)


def test_reading_in_batches(full, tmp_path, monkeypatch):
    full.write(tmp_path / "d.parquet")
    monkeypatch.setattr(parquet, "_ROWS_PER_READ", 5)
    same(Dataset.read(tmp_path / "d.parquet"), full)


def test_writing_and_reading_import_no_more_than_they_need(full, tmp_path, run_python):
    full.write(tmp_path / "d.parquet")
    done = run_python(
        "-c",
        "import sys; from genrekit.dataset.dataset import Dataset;"
        "Dataset.read(sys.argv[1]).write(sys.argv[1]);"
        "print(sorted({'pandas', 'pyarrow.compute', 'pyarrow.parquet'} & set(sys.modules)))",
        str(tmp_path / "d.parquet"),
    )
    assert done.stdout.strip() == "['pyarrow.parquet']", done.stderr


def test_rows_are_buffered_to_a_full_group(full, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ROWS_PER_GROUP", 4)
    written = []
    original = pq.ParquetWriter.write_table
    monkeypatch.setattr(
        pq.ParquetWriter,
        "write_table",
        lambda self, table, **k: (written.append(len(table)), original(self, table, **k)),
    )
    path = tmp_path / "d.parquet"
    with (
        atomic_write(path) as temporary,
        ParquetRows.writing(temporary, full.params, full.genres) as rows,
    ):
        for i in range(0, 12, 3):
            part = slice(i, i + 3)
            rows.add(full.features[part], full.labels[part], full.tracks[part], None, None)
            assert not path.exists()
        rows.card = full.card
    assert written == [6, 6]
    np.testing.assert_array_equal(Dataset.read(path).features, full.features)


def test_pandas_reads_it(full, tmp_path):
    full.write(tmp_path / "d.parquet")
    table = pandas.read_parquet(tmp_path / "d.parquet")
    assert list(table.columns) == ["features", "label", "genre", "track", "segment", "artist"]
    assert table["genre"].tolist() == [full.genres[label] for label in full.labels]
    assert table["label"].tolist() == full.labels.tolist()
    assert table["track"].tolist() == full.tracks.tolist()
    assert table["segment"].tolist() == full.segments.tolist()
    features = np.stack(table["features"]).reshape(-1, *full.params.shape)
    np.testing.assert_array_equal(features, full.features)
    assert features.dtype == np.float32


def test_the_card_is_in_the_metadata(full, tmp_path):
    full.write(tmp_path / "d.parquet")
    file = pq.ParquetFile(tmp_path / "d.parquet")
    assert json.loads(file.metadata.metadata[b"genrekit"]) == full.card
    field = file.schema_arrow.field("features")
    assert json.loads(field.metadata[b"shape"]) == [32, 7]
    assert not field.nullable


def test_writing_is_deterministic(full, tmp_path):
    full.write(tmp_path / "1.parquet")
    full.write(tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


# -- bad files --------------------------------------------------------------------------------


def rewrite(path, card=None, table=None, key=b"genrekit"):
    """The file with another card or another table."""
    old = pq.read_table(path)
    table = old if table is None else table(old)
    text = old.schema.metadata and old.schema.metadata.get(b"genrekit")
    if text is None:
        text = pq.ParquetFile(path).metadata.metadata[b"genrekit"]
    if card is not None:
        text = card(json.loads(text))
        text = text if isinstance(text, bytes) else json.dumps(text).encode()
    pq.write_table(table.replace_schema_metadata({key: text}), path)


@pytest.mark.parametrize(
    ("card", "match"),
    [
        (lambda c: c | {"format": 2}, "has format 2, this GenreKit reads 1: update GenreKit"),
        (lambda c: {k: v for k, v in c.items() if k != "genres"}, "card is damaged"),
        (lambda c: c | {"tracks": [{"id": 3}]}, "card is damaged"),
        (lambda c: c | {"tracks": 5}, "card is damaged"),
        (lambda c: c | {"skipped": ["x"]}, "card is damaged"),
        (lambda c: c | {"genres": ["a"]}, "label is outside"),
        (lambda c: {k: v for k, v in c.items() if k != "params"}, "not a GenreKit dataset"),
        (lambda c: c | {"params": None}, "not a readable Parquet file"),
        (lambda c: c | {"params": c["params"] | {"n_mfcc": 6}}, "not a readable Parquet file"),
        (lambda c: c | {"params": c["params"] | {"sample_rate": -1}}, "not a readable Parquet"),
        (
            lambda c: c | {"params": c["params"] | {"segment_seconds": 60, "hop_length": 16}},
            "not a readable Parquet file",
        ),
        (lambda c: [], "not a readable Parquet file"),
        (lambda c: None, "not a readable Parquet file"),
        (lambda c: b"{not json", "not a readable Parquet file"),
        (lambda c: b"\xff\xfe", "not a readable Parquet file"),
    ],
)
def test_damaged_cards(full, tmp_path, card, match):
    path = tmp_path / "d.parquet"
    full.write(path)
    rewrite(path, card)
    with pytest.raises(DatasetError, match=match):
        Dataset.read(path)


def test_a_card_cannot_ask_for_much_memory(full, tmp_path):
    import tracemalloc

    path = tmp_path / "d.parquet"
    full.write(path)
    rewrite(path, lambda c: c | {"params": c["params"] | {"segment_seconds": 60, "hop_length": 9}})
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="not a readable Parquet file"):
            Dataset.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def ragged(table):
    rows = table.column("features").to_pylist()
    rows[0], rows[1] = rows[0][:-1], [*rows[1], 0.0]
    return table.set_column(0, "features", pa.array(rows, pa.list_(pa.float32())))


def holes(table):
    rows = table.column("features").to_pylist()
    rows[0] = None
    return table.set_column(0, "features", pa.array(rows, pa.list_(pa.float32())))


def words(table):
    labels = pa.array(["one"] * len(table))
    return table.set_column(1, "label", labels)


@pytest.mark.parametrize(
    "table",
    [
        holes,
        words,
        lambda t: t.drop_columns(["label"]),
        lambda t: t.drop_columns(["features"]),
        lambda t: t.set_column(1, "label", pa.array([None] * len(t), pa.int32())),
        lambda t: t.slice(0, 0),
    ],
)
def test_damaged_tables(full, tmp_path, table):
    path = tmp_path / "d.parquet"
    full.write(path)
    rewrite(path, table=table)
    with pytest.raises(DatasetError):
        Dataset.read(path)


def test_ragged_rows_are_refused(full, tmp_path):
    path = tmp_path / "d.parquet"
    full.write(path)
    rewrite(path, table=ragged)
    with pytest.raises(DatasetError, match="not a readable Parquet file"):
        Dataset.read(path)


def test_other_parquet_files(tmp_path):
    path = tmp_path / "theirs.parquet"
    pandas.DataFrame({"a": [1, 2]}).to_parquet(path)
    with pytest.raises(DatasetError, match="a Parquet file but not a GenreKit dataset: make one"):
        Dataset.read(path)


@pytest.mark.parametrize("kept", [0, 3, 100, 0.5, 0.99])
def test_cut_short(full, tmp_path, kept):
    path = tmp_path / "d.parquet"
    full.write(path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if kept >= 1 else int(kept * len(content))])
    with pytest.raises(DatasetError, match=r"d.parquet is not a readable Parquet file"):
        Dataset.read(path)


def test_no_other_error_escapes_from_a_mutated_file(full, tmp_path):
    path = tmp_path / "d.parquet"
    full.write(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        mutated = bytearray(content)
        for at in rng.integers(len(content) // 2, len(content), 6):
            mutated[at] = rng.integers(256)
        path.write_bytes(bytes(mutated))
        try:
            Dataset.read(path)
        except DatasetError:
            refused += 1
    assert refused > 20


def test_paths_without_a_file(full, tmp_path):
    with pytest.raises(DatasetError, match="cannot be read: there is no such file"):
        Dataset.read(tmp_path / "none.parquet")
    with pytest.raises(DatasetError, match="cannot be read: it is a folder; name a file"):
        Dataset.read(tmp_path)
    with pytest.raises(DatasetError, match="cannot be written: it is a folder"):
        full.write(tmp_path)
    with pytest.raises(DatasetError, match="cannot be written: there is no such file or folder"):
        full.write(tmp_path / "no" / "d.parquet")


def test_a_full_disk_keeps_the_old_file(full, tmp_path, monkeypatch):
    path = tmp_path / "d.parquet"
    full.write(path)
    before = path.read_bytes()

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", refuse)
    with pytest.raises(DatasetError, match="disk is full; free some space and run again"):
        full.write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
