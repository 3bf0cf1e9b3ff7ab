"""NPZ, JSON and Parquet files that would take more memory or disk than there is."""

import io
import json
import resource
import shutil
import zipfile

import numpy as np
import pytest

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.formats import import_dataset
from genrekit.dataset.mel_archive import read_mel_file
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams

LEFT = 10_000_000  # bytes


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("genrekit.system.memory.free_memory", lambda: LEFT)


def npy(array, shape=None):
    """An array in NumPy's format, perhaps with another shape in its header than it has."""
    file = io.BytesIO()
    np.save(file, array)
    if shape is None:
        return file.getvalue()
    head = io.BytesIO()
    about = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(head, about)
    return head.getvalue() + array.tobytes()


def write_npz(path, members, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)


def members(demo, rows=None):
    rows = len(demo) if rows is None else rows
    return {
        "card": npy(np.array(json.dumps(demo.card))),
        "features": npy(np.zeros((rows, *demo.params.shape), np.float32)),
        "labels": npy(np.arange(rows) % 3),
    }


def test_an_npz_is_measured_before_it_is_unpacked(demo, tmp_path, little_memory, monkeypatch):
    path = tmp_path / "zeros.npz"
    write_npz(path, members(demo, rows=20_000))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(np.lib.format, "read_array", lambda *_, **__: pytest.fail("unpacked"))
    with pytest.raises(DatasetError, match=r"^zeros.npz would take \d+ MB of memory, and 10 MB"):
        import_dataset(path)


def test_one_that_fits_is_read(demo, tmp_path, little_memory):
    path = tmp_path / "data.npz"
    write_npz(path, members(demo))
    assert len(import_dataset(path)) == len(demo)


def test_a_directory_that_lies_about_a_size_is_found_out(demo, tmp_path):
    path = tmp_path / "data.npz"
    features = npy(np.zeros((2, *demo.params.shape), np.float32))
    write_npz(path, {**members(demo, rows=2), "features": features + bytes(8)})
    with pytest.raises(DatasetError, match="damaged"):
        import_dataset(path)


def test_a_header_that_lies_about_a_size_is_found_out(demo, tmp_path, little_memory):
    path = tmp_path / "data.npz"
    array = np.zeros(2 * 4, np.float32)
    write_npz(path, {**members(demo, rows=2), "features": npy(array, (10**9, 10**9, 4))})
    with pytest.raises(DatasetError, match="damaged"):
        import_dataset(path)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_unpacks_a_block_of_any_size_at_once_is_refused(demo, tmp_path, packing):
    path = tmp_path / "data.npz"
    write_npz(path, members(demo), packing)
    with pytest.raises(DatasetError, match="damaged"):
        import_dataset(path)


def test_mel_spectrograms_are_measured_too(tmp_path, little_memory):
    path = tmp_path / "mel.npz"
    names = np.array(["a", "b"])
    arrays = {"level": np.zeros((2, 64, 20_000), np.uint8), "track": names, "genre": names}
    arrays["dynamic_range_db"] = np.ones(2, np.float32)
    write_npz(path, {name: npy(array) for name, array in arrays.items()})
    with pytest.raises(DatasetError, match="would take 15 MB of memory"):
        read_mel_file(path, FeatureParams(n_mels=64, ref="max"))


@pytest.mark.parametrize("sign", [b"[],", b"0,", b"{},"])
def test_a_json_file_of_many_small_things_is_refused_before_it_is_parsed(
    tmp_path, little_memory, monkeypatch, sign
):
    path = tmp_path / "data.json"
    path.write_bytes(b'{"mapping": ["a"], "labels": [0], "mfcc": [' + sign * 300_000 + b"0]}")
    monkeypatch.setattr("orjson.loads", lambda _: pytest.fail("parsed"))
    with pytest.raises(DatasetError, match=r"data.json would take \d+ MB of memory"):
        import_dataset(path)


def test_a_dataset_that_does_not_fit_on_the_disk_is_not_begun(
    demo, demo_file, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match="the disk is full"):
        demo.write(tmp_path / "data.parquet")
    with pytest.raises(DatasetError, match="the disk is full"):
        Dataset.read(demo_file, mapped=True)
    assert not any(tmp_path.iterdir())


def test_a_dataset_larger_than_files_may_be_is_not_begun(demo, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DatasetError, match="larger than is allowed here; give it less"):
            demo.write(tmp_path / "data.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not any(tmp_path.iterdir())
