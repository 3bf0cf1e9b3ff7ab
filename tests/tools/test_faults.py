"""Faults found by the fuzzer in reading files, each with a file that triggers it."""

import io
import struct
import zipfile

import numpy as np
import pytest
import soundfile

import benchmarks.fuzz.run as fuzz
from benchmarks.fuzz.kinds import check_sentence
from benchmarks.fuzz.mutate import anatomy
from genrekit.audio.decoder import decode, load_audio, probe
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.file_check import check_file
from genrekit.dataset.formats import export_dataset, import_dataset
from genrekit.dataset.inspection import Inspection
from genrekit.dataset.mel_archive import is_mel_file, read_mel_file
from genrekit.errors import AudioError, DatasetError, GenreKitError, ModelError
from genrekit.model.bundle import load_model


@pytest.fixture(scope="module")
def sources():
    return fuzz.make_sources()


def float_wav(samples, rate=8000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [1e13, 1e30, 1e38])
def test_samples_far_beyond_full_scale(channels, level, tmp_path):
    """Their powers overflowed: a verdict of NaN, and a dataset of NaN."""
    samples = np.zeros((32_000, channels), np.float32)
    samples[4000:] = level
    content = float_wav(samples)
    decoded = decode(content, 8000, None)
    assert not decoded.samples.any()
    silenced = "It contains samples far beyond full scale (first at 0.5 s): they became silence."
    assert decoded.note == silenced
    samples[4000:] = np.random.default_rng(0).uniform(-1, 1, (28_000, channels)) * 2e9
    assert np.isfinite(load_audio(float_wav(samples), 8000)).all()  # integers written as floats


def test_a_mix_that_overflows_or_cancels(tmp_path):
    samples = np.full((8000, 2), 3e38, np.float32)
    with pytest.raises(AudioError, match="far beyond full scale"):
        load_audio(float_wav(samples), 8000)
    samples[:, 1] *= -1
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav(samples))
    assert check_file(path, 0.5).problem.startswith("It contains samples far beyond full scale")


def test_a_sound_that_comes_after_the_last_whole_block(tmp_path):
    """The inspection found no frequency in the rest, and fell over."""
    samples = np.zeros(2048 * 4 + 500, np.float32)
    samples[-400:] = 0.5 * np.sin(np.arange(400))
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav(samples, 22050))
    assert check_file(path, 0.2).problem is None


def test_a_damaged_length_is_unknown(sources):
    """A Matroska file whose duration is negative."""
    (content,) = sources["webm"][0].values()
    at = content.index(b"\x44\x89\x88") + 3
    damaged = content[:at] + struct.pack(">d", -3214.0) + content[at + 8 :]
    assert probe(content).seconds == pytest.approx(3.2, abs=0.1)
    assert probe(damaged).seconds is None


class Watched(io.BytesIO):
    sought = 0

    def seek(self, offset, whence=0):
        self.sought = max(self.sought, offset)
        return super().seek(offset, whence)


def test_a_seek_beyond_any_file(sources, tmp_path, capfd):
    """A file on disk fared otherwise than its bytes, and PyAV printed a traceback."""
    (content,) = sources["wma"][0].values()
    sizes = [at for at, size, _ in anatomy("wma", content).numbers if size == 8]
    path = tmp_path / "a.wma"
    sought = 0
    for at in sizes[:8]:
        damaged = content[:at] + struct.pack("<Q", 2**61) + content[at + 8 :]
        path.write_bytes(damaged)
        outcomes = []
        for source in (path, damaged, watched := Watched(damaged)):
            try:
                outcomes.append(len(load_audio(source)))
            except AudioError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1] == outcomes[2]
        sought = max(sought, watched.sought)
    assert len(sizes) > 4
    assert sought < 2**40
    assert capfd.readouterr().err == ""


def npz_of(arrays, path):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def odd_header(text):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    "member", [odd_header("{" * 3000), odd_header("[" * 900), odd_header("("), b"no array", b""]
)
@pytest.mark.parametrize("name", ["track", "level"])
def test_npz_files_with_invalid_headers(name, member, tmp_path, small):
    parts = {
        "level": npy(np.zeros((2, 24, 40), np.uint8)),
        "dynamic_range_db": npy(np.full(2, 60, np.float32)),
        "track": npy(np.array(["a", "b"])),
        "genre": npy(np.array(["x", "y"])),
        "features": npy(np.zeros((2, 3, 4), np.float32)),
        "labels": npy(np.zeros(2, int)),
        "card": npy(np.array("{}")),
    }
    params = type(small)(**{**small.to_dict(), "ref": "max"})
    path = tmp_path / "data.npz"
    npz_of(parts, path)
    read_mel_file(path, params)
    npz_of(parts | {name: member, "features": member}, path)
    assert is_mel_file(path)
    with pytest.raises(DatasetError, match="is damaged, or is no|do not fit each other"):
        read_mel_file(path, params)
    npz_of(parts | {"card": member}, path)
    with pytest.raises(DatasetError, match="is damaged, or is not an NPZ|card is damaged"):
        import_dataset(path)


def test_a_mel_file_with_an_impossible_dynamic_range(tmp_path, small):
    params = type(small)(**{**small.to_dict(), "ref": "max"})
    path = tmp_path / "data.npz"
    for value in (-1.0, 1e38, np.nan, np.inf):
        np.savez(
            path,
            level=np.zeros((1, 24, 40), np.uint8),
            dynamic_range_db=np.array([value], np.float32),
            track=np.array(["a"]),
            genre=np.array(["x"]),
        )
        with pytest.raises(DatasetError, match="do not fit each other"):
            read_mel_file(path, params)


def test_an_encrypted_npz(demo, tmp_path):
    path = tmp_path / "data.npz"
    export_dataset(demo, path)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="is damaged, or is not an NPZ file"):
        import_dataset(path)


def test_a_parquet_file_with_a_damaged_footer(demo_file, tmp_path):
    """Arrow's own words, of two lines, came through as if the disk were at fault."""
    content = demo_file.read_bytes()
    path = tmp_path / "data.parquet"
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for at in range(start, start + 60):
        path.write_bytes(content[:at] + b"\x0f" + content[at + 1 :])
        message = ""
        try:
            Dataset.read(path)
        except DatasetError as error:
            message = str(error)
        assert "thrift" not in message
        check_sentence(message or "None.")
    with pytest.raises(DatasetError, match="there is no such file"):
        Dataset.read(tmp_path / "none.parquet")


@pytest.mark.parametrize("value", ["a\nb", "x" * 9999, "\u202eb", [[1]], 2, None])
def test_unknown_formats(value, demo_bundle, demo_file, tmp_path):
    """Whatever a file says of its format, the error is one sentence."""
    import json
    import shutil

    model = tmp_path / "model"
    shutil.copytree(demo_bundle, model)
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(card | {"format": value}))
    tries = {
        ModelError: lambda: load_model(model),
        DatasetError: lambda: Inspection.from_dict({"format": value}),
        GenreKitError: lambda: Dataset.from_card({"format": value}),
    }
    for error, function in tries.items():
        with pytest.raises(error, match="this GenreKit reads 1") as caught:
            function()
        check_sentence(str(caught.value))


def many_channels(count):
    """Matroska with float samples in more channels than 8, each of another level."""
    import av

    planar = np.tile(np.linspace(0, 0.5, count, dtype=np.float32)[:, np.newaxis], 22050)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=22050, layout=f"{count} channels")
        packed = np.rint(planar.T * 32767).astype(np.int16).reshape(1, -1)
        layout = f"{count} channels"
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = 22050
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("count", [9, 16, 32])
def test_more_than_eight_channels_by_ffmpeg(count):
    """PyAV reads beyond the end of their list: the process crashed, or read what is no sound."""
    samples = load_audio(many_channels(count), 22050)
    assert probe(many_channels(count)).channels == count
    assert len(samples) == 22050
    np.testing.assert_allclose(samples, 0.25, atol=1e-4)


def test_invalid_code_points(demo, tmp_path):
    """NumPy takes any number for a letter; what was imported could not be read back."""
    path = tmp_path / "data.npz"
    export_dataset(demo, path)
    with np.load(path) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    tracks = parts["tracks"].copy()
    for number in (0x110000, 0x9C3B002F, 0xD800):
        tracks.view(np.uint32)[0] = number
        np.savez(path, **(parts | {"tracks": tracks}))
        with pytest.raises(DatasetError, match="is damaged, or is not an NPZ file"):
            import_dataset(path)
