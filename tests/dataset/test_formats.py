"""Export to and import from the course's JSON and NPZ."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.formats import export_dataset, import_dataset
from genrekit.errors import DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams


def rounded_trip(dataset, path, params=None):
    export_dataset(dataset, path)
    return import_dataset(path, params)


# -- the course's JSON ------------------------------------------------------------------------


def test_json_is_the_courses(demo, tmp_path):
    path = tmp_path / "data.json"
    export_dataset(demo, path)
    content = json.loads(path.read_text())
    assert set(content) == {"mapping", "mfcc", "labels"}
    assert content["mapping"] == list(demo.genres)
    assert content["labels"] == demo.labels.tolist()
    assert np.shape(content["mfcc"]) == demo.features.shape
    np.testing.assert_array_equal(np.array(content["mfcc"], np.float32), demo.features)


def test_json_round_trip(demo, tmp_path):
    back = rounded_trip(demo, tmp_path / "data.json", demo.params)
    np.testing.assert_array_equal(back.features, demo.features)
    np.testing.assert_array_equal(back.labels, demo.labels)
    assert back.genres == demo.genres
    assert back.params == demo.params
    assert back.tracks is back.segments is back.artists is None
    assert back.features.dtype == np.float32
    assert back.labels.dtype == np.int64
    assert back.sha256 == demo.sha256


def test_a_file_as_the_course_writes_it(tmp_path):
    # Written by the standard library, indented, double precision, mapping unsorted, 130 x 13.
    features = np.random.default_rng(0).normal(size=(4, 130, 13)) * 100
    content = {"mapping": ["rock", "blues"], "mfcc": features.tolist(), "labels": [0, 0, 1, 1]}
    path = tmp_path / "data_10.json"
    path.write_text(json.dumps(content, indent=4))
    data = import_dataset(path)
    assert data.genres == ("rock", "blues")
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.params == FeatureParams()
    np.testing.assert_allclose(data.features, features, rtol=1e-6)


def course(tmp_path, mapping, labels, encoding="utf-8", bad=None):
    """A file as scripts in Python write it, and the features in it."""
    features = np.random.default_rng(0).normal(size=(len(labels), 130, 13))
    if bad is not None:
        segment, value = bad
        features[segment, 7, 5] = value
    path = tmp_path / "data.json"
    content = {"mapping": mapping, "mfcc": features.tolist(), "labels": labels}
    path.write_text(json.dumps(content), encoding=encoding)
    return path, features


@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN"), (np.inf, "an infinite"), (-np.inf, "an infinite")]
)
def test_what_is_no_number_is_named_with_its_segment(tmp_path, value, what):
    path, _ = course(tmp_path, ["a", "b"], [0, 0, 1, 1], bad=(2, value))
    with pytest.raises(DatasetError, match=rf"holds {what}.* in segment 3 \(mfcc\[2\]\), as"):
        import_dataset(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_not_matter(tmp_path, encoding):
    path, features = course(tmp_path, ["a", "b"], [0, 0, 1, 1], encoding)
    np.testing.assert_allclose(import_dataset(path).features, features, rtol=1e-6)


@pytest.mark.parametrize(
    ("mapping", "genres"),
    [
        (["genres\\blues", "genres\\jazz"], ("blues", "jazz")),
        (["C:\\a\\blues\\", "C:\\b\\jazz"], ("blues", "jazz")),
        (["Data/genres/blues", "Data/genres/jazz"], ("blues", "jazz")),
        (["R&B/Soul", "rock"], ("R&B/Soul", "rock")),
    ],
)
def test_the_paths_of_folders_become_genres(tmp_path, mapping, genres):
    path, _ = course(tmp_path, mapping, [0, 1])
    assert import_dataset(path).genres == genres


def test_a_genre_without_a_name_is_refused(tmp_path):
    path, _ = course(tmp_path, ["a", ""], [0, 1])
    with pytest.raises(DatasetError, match="A genre has no name: give it one"):
        import_dataset(path)


def test_a_genre_without_segments_is_left_out_with_a_line(tmp_path):
    path, _ = course(tmp_path, ["blues", "jazz", "rock"], [0, 2, 2])
    dataset = import_dataset(path)
    assert dataset.genres == ("blues", "rock")
    assert dataset.labels.tolist() == [0, 1, 1]
    (note,) = dataset.notes
    assert note.sentence == "1 genre had no segments and was left out."
    assert note.names == ("jazz",)


def test_the_parameters_of_json_are_the_readers_claim(demo, tmp_path):
    export_dataset(demo, tmp_path / "data.json")
    with pytest.raises(DatasetError, match=r"do not fit the parameters.*state the parameters"):
        import_dataset(tmp_path / "data.json")
    claimed = dataclasses.replace(demo.params, mel_formula="htk")
    assert import_dataset(tmp_path / "data.json", claimed).params == claimed


def good():
    return {
        "mapping": ["a", "b"],
        "mfcc": np.zeros((2, 130, 13)).tolist(),
        "labels": [0, 1],
    }


def ragged(depth):
    rows = np.ones((2, 130, 13)).tolist()
    if depth == 1:
        rows[1] = rows[1][:-1]
    else:
        rows[1][5] = rows[1][5][:-1]
    return rows


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mapping": None}, "does not have"),
        ({"mapping": "ab"}, "does not have"),
        ({"mapping": ["a", "a"]}, "Two genres share a name"),
        ({"mapping": ["a"]}, "label is outside 0 to 0"),
        ({"mfcc": ragged(1)}, "does not have one frames-by-coefficients table"),
        ({"mfcc": ragged(2)}, "does not have"),
        ({"mfcc": np.zeros((2, 130)).tolist()}, "does not have"),
        ({"mfcc": np.zeros((2, 130, 14)).tolist()}, "do not fit the parameters"),
        ({"mfcc": np.zeros((3, 130, 13)).tolist()}, "3 segments but 2 labels"),
        ({"mfcc": []}, "does not have"),
        ({"mfcc": {}}, "does not have"),
        ({"mfcc": None}, "does not have"),
        ({"mfcc": [[["x"] * 13] * 130] * 2}, "does not have"),
        ({"mfcc": [[[None] * 13] * 130] * 2}, "holds (NaN|an infinite number) in segment 1"),
        ({"mfcc": [[[1e300] * 13] * 130] * 2}, "holds (NaN|an infinite number) in segment 1"),
        ({"labels": [0, 2]}, "label is outside 0 to 1"),
        ({"labels": [-1, 0]}, "label is outside 0 to 1"),
        ({"labels": [0]}, "2 segments but 1 label"),
        ({"labels": [0.0, 1.0]}, "does not have"),
        ({"labels": ["a", "b"]}, "does not have"),
        ({"labels": [True, False]}, "does not have"),
        ({"labels": [[0], [1]]}, "2 segments but 2 labels|does not hold"),
        ({"labels": [0, 10**30]}, "does not have|not valid JSON"),
    ],
)
def test_json_of_another_shape(tmp_path, change, match):
    path = tmp_path / "data.json"
    path.write_text(json.dumps(good() | change))
    with pytest.raises(DatasetError, match=match):
        import_dataset(path)


@pytest.mark.parametrize("missing", ["mapping", "mfcc", "labels"])
def test_incomplete_json(tmp_path, missing):
    path = tmp_path / "data.json"
    path.write_text(json.dumps({k: v for k, v in good().items() if k != missing}))
    with pytest.raises(DatasetError, match=r"data.json lacks mapping, mfcc or labels"):
        import_dataset(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not valid JSON"),
        (b'{"mapping": ["a"', "not valid JSON"),
        (b'{"mfcc": [[[NaN]]]}', "lacks mapping, mfcc or labels"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "lacks mapping"),
        (b"null", "lacks mapping"),
        (b"3", "lacks mapping"),
        (b'"mapping"', "lacks mapping"),
    ],
)
def test_invalid_json(tmp_path, content, match):
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=match):
        import_dataset(path)


# -- NPZ --------------------------------------------------------------------------------------


def test_npz_round_trip(demo, demo_file, tmp_path):
    back = rounded_trip(demo, tmp_path / "data.npz")
    back.write(tmp_path / "back.parquet")
    assert back.card == demo.card
    demo.write(tmp_path / "direct.parquet")
    assert (tmp_path / "back.parquet").read_bytes() == (tmp_path / "direct.parquet").read_bytes()
    again = Dataset.read(tmp_path / "back.parquet")
    np.testing.assert_array_equal(again.features, demo.features)
    assert again.artists.tolist() == demo.artists.tolist()


def test_npz_is_readable_with_numpy_alone(demo, tmp_path):
    export_dataset(demo, tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["features"], demo.features)
        np.testing.assert_array_equal(arrays["labels"], demo.labels)
        assert arrays["genres"].tolist() == list(demo.genres)
        assert arrays["tracks"].tolist() == demo.tracks.tolist()
        assert json.loads(str(arrays["card"])) == demo.card


def test_npz_of_a_dataset_without_tracks(demo, tmp_path):
    bare = Dataset(demo.features, demo.labels, demo.genres, demo.params)
    back = rounded_trip(bare, tmp_path / "data.npz")
    assert back.tracks is back.segments is back.artists is None
    assert back.card == bare.card


def test_npz_knows_its_own_parameters(demo, tmp_path):
    export_dataset(demo, tmp_path / "data.npz")
    assert import_dataset(tmp_path / "data.npz", FeatureParams()).params == demo.params


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("something was unpickled",))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"card": None}, "is damaged, or is not an NPZ file of GenreKit"),
        ({"features": None}, "card is damaged|is damaged"),
        ({"labels": None}, "card is damaged|is damaged"),
        ({"card": "{"}, "is damaged"),
        ({"card": "[]"}, "card is damaged"),
        ({"card": np.array([1, 2])}, "is damaged"),
        ({"card": np.array(Evil(), dtype=object)}, "is damaged"),
        ({"features": np.array([Evil()], dtype=object)}, "is damaged"),
        ({"tracks": np.array([Evil()] * 36, dtype=object)}, "is damaged"),
        ({"features": np.zeros((36, 32, 7), np.float64)}, "features are float64"),
        ({"features": np.full((36, 32, 7), np.nan, np.float32)}, "NaN or infinite"),
        ({"features": np.zeros((36, 7, 32), np.float32)}, "do not fit the parameters"),
        ({"features": np.zeros((36, 32), np.float32)}, "do not fit the parameters"),
        ({"features": np.float32(3)}, "is damaged|do not fit"),
        ({"labels": np.zeros(36)}, "labels are not whole numbers"),
        ({"labels": np.full(36, 3)}, "label is outside 0 to 2"),
        ({"labels": np.zeros(35, int)}, "36 segments but 35 labels"),
        ({"tracks": np.arange(36)}, "tracks are not text"),
        ({"segments": np.zeros(36)}, "segments are not whole numbers"),
    ],
)
def test_npz_of_another_shape(demo, tmp_path, change, match):
    path = tmp_path / "data.npz"
    export_dataset(demo, path)
    with np.load(path) as arrays:
        content = dict(arrays) | change
    np.savez(path, **{k: v for k, v in content.items() if v is not None}, allow_pickle=True)
    with pytest.raises(DatasetError, match=match):
        import_dataset(path)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name + ".npy", content)
    return file.getvalue()


ABSURD = npy(np.zeros(3)).replace(b"(3,), ", b"(9999999999999,), ", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 and no more",
        b"Dear reader,",
        npy(np.zeros(3)),
        archive(),
        archive(card=npy(np.array("{}"))),
        archive(card=b"no array"),
        archive(card=b"\x93NUMPY\x01\x00\x10\x00{'descr': 1+1}  "),
        archive(card=ABSURD, features=ABSURD),
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00.",
    ],
)
def test_invalid_npz(tmp_path, content):
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="damaged"):
        import_dataset(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_other_error_escapes_from_a_mutated_npz(demo, tmp_path, save):
    path = tmp_path / "data.npz"
    small = Dataset(demo.features[::12], demo.labels[::12], demo.genres, demo.params)
    export_dataset(small, path)
    with np.load(path) as arrays:
        save(path, **arrays)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        mutated = bytearray(content)
        for at in rng.integers(0, len(content), 8):
            mutated[at] = rng.integers(256)
        if rng.random() < 0.3:
            del mutated[rng.integers(len(mutated)) :]
        path.write_bytes(bytes(mutated))
        try:
            import_dataset(path)
        except DatasetError:
            refused += 1
    assert refused > 50


# -- both -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data.csv", "data", "json", ".json"])
def test_suffixes(demo, tmp_path, name):
    with pytest.raises(SettingsError, match=r"must end in .json or .npz: rename it"):
        export_dataset(demo, tmp_path / name)
    with pytest.raises(SettingsError, match=r"must end in .json, .npz or .parquet: rename it"):
        import_dataset(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_parquet_can_be_imported_as_well(demo, demo_file):
    back = import_dataset(demo_file, FeatureParams())
    assert back.card == demo.card
    assert back.sha256 == demo.sha256


def test_suffixes_in_capitals(demo, tmp_path):
    assert len(rounded_trip(demo, tmp_path / "DATA.NPZ")) == len(demo)
    assert len(rounded_trip(demo, tmp_path / "DATA.JSON", demo.params)) == len(demo)


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_paths_without_a_file(demo, tmp_path, suffix):
    with pytest.raises(DatasetError, match="cannot be read: there is no such file"):
        import_dataset(tmp_path / f"none{suffix}")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(DatasetError, match="it is a folder; name a file"):
        import_dataset(folder)
    with pytest.raises(DatasetError, match="cannot be written"):
        export_dataset(demo, folder)
    with pytest.raises(DatasetError, match="cannot be written: there is no such file or folder"):
        export_dataset(demo, tmp_path / "no" / f"x{suffix}")
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()) == []
