"""The fuzzer: that it knows the formats, repeats itself, notices every sort of failure, and finds
none; and each fault that it has found."""

import io
import os
import random
import re
import struct
import tempfile
import time
import warnings
import zipfile
from functools import partial

import numpy as np
import pytest
import soundfile

import benchmarks.__main__ as command
from benchmarks import fuzz
from benchmarks.fuzz import Limits, Outcome, Report, harmed, run
from benchmarks.fuzz_kinds import AUDIO, KINDS, OTHERS, Kind, check_sentence
from benchmarks.mutate import anatomy, mend, mutated
from genrekit.audio import load_audio, probe
from genrekit.checks import hear
from genrekit.dataset import Dataset
from genrekit.errors import AudioError, DatasetError, GenreKitError, ModelError
from genrekit.exchange import export_dataset, import_dataset
from genrekit.inspection import Inspection
from genrekit.melfile import is_mel_file, read_mel_file
from genrekit.model import GenreModel


@pytest.fixture(scope="module")
def sources():
    return fuzz.make_sources()


def test_a_short_run_finds_nothing(sources):
    tasks = [(kind, seed) for seed in range(50, 62) for kind in AUDIO]
    tasks += [(kind, seed) for seed in range(50, 58) for kind in OTHERS]
    report = Report(list(run(tasks, KINDS, sources)))
    assert [outcome.message for outcome in report.failures] == []
    assert sorted((o.kind, o.seed) for o in report.outcomes) == sorted(tasks)
    endings = [outcome.ending for outcome in report.outcomes]
    assert 30 < endings.count("result") < 180  # the harm is neither nothing nor too much


# -- the harm ---------------------------------------------------------------------------------

CHECKED = [("flac", "song.flac"), ("ogg", "song.ogg"), ("opus", "song.opus"), ("zip", "upload.zip")]


@pytest.mark.parametrize(("kind", "name"), CHECKED)
def test_checksums_are_those_that_others_write(kind, name, sources):
    for files in sources[kind]:
        whole = files[name]
        assert mend(kind, whole) == whole
        if kind == "flac":
            wrong = bytearray(whole)
            wrong[-1] ^= 255  # the last frame's checksum
        else:
            mark, offset = (b"OggS", 22) if kind != "zip" else (b"PK\x01\x02", 16)
            wrong = bytearray(whole)
            wrong[whole.rindex(mark) + offset] ^= 255
        assert mend(kind, bytes(wrong)) == whole != bytes(wrong)


@pytest.mark.parametrize("kind", [*AUDIO, "zip", "parquet"])
def test_the_parts_of_a_format_are_known(kind, sources):
    for files in sources[kind]:
        (content,) = files.values()
        found = anatomy(kind, content)
        assert len(found.numbers) > 4
        assert all(0 <= at <= len(content) - size for at, size, _ in found.numbers)
        assert all(0 <= start < end <= len(content) for start, end in found.pieces)
        ends = sorted({place for piece in found.pieces for place in piece})
        assert (ends[0] <= 8 and ends[-1] > 0.9 * len(content)) or len(found.pieces) == 400
        unknown = anatomy("unknown", content)
        assert found != unknown  # else its structure was not made out


def test_the_parts_of_a_wav_file():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100, np.float32), 8000, format="WAV", subtype="PCM_16")
    found = anatomy("wav", file.getvalue())
    assert found.pieces == ((0, 12), (12, 36), (36, 244))
    assert {(4, 4, "little"), (16, 4, "little"), (22, 2, "little"), (24, 4, "little")} <= {
        *found.numbers
    }


def test_a_case_follows_from_its_seed(sources):
    for kind in KINDS:
        made = [harmed(kind, KINDS[kind], sources, seed) for seed in (1, 2, 3, 1)]
        assert made[0] == made[3]
        assert made[0] != made[1] or made[1] != made[2]
    others = [files for kind in AUDIO for files in sources[kind][0].values()]
    once, again = (mutated(others[0], "wav", others, random.Random(4)) for _ in range(2))
    assert once == again != others[0]


def test_sources_are_the_same_each_time(sources):
    for kind in ("wav", "aiff", "ogg", "opus", "m4a", "webm", "zip", "npz", "mel"):
        assert list(KINDS[kind].make()) == list(sources[kind])


def test_most_sound_files_still_say_what_they_are(sources):
    kept = 0
    for seed in range(40):
        (content,) = harmed("flac", KINDS["flac"], sources, seed).values()
        kept += content.startswith(b"fLaC")
    assert 25 < kept < 40


# -- what counts as a failure -----------------------------------------------------------------

LIMITS = Limits(processor_seconds=1, seconds=10.0, memory_mb=100, address_mb=1000)


def misbehave(folder, out):
    """Do what the file says."""
    path = folder / "x"
    match path.read_text():
        case "sound":
            pass
        case "refuse":
            raise GenreKitError("It is no good: choose another.")
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(1000)
        case "raise":
            raise ZeroDivisionError("by zero")
        case "leave":
            raise SystemExit(1)
        case "ramble":
            raise GenreKitError("Two\nlines.")
        case "warn":
            warnings.warn("beware", UserWarning, stacklevel=1)
        case "print":
            os.write(2, b"oops\n")
        case "chatter":
            os.write(2, b"Note: Trying to resync...\n[src/libmpg123/x.c:1] error: bad\n")
        case "swell":
            np.ones(30_000_000).sum()
        case "burst":
            np.ones(10**10)
        case "litter":
            (out / "left").touch()
            raise GenreKitError("It is no good: choose another.")
        case "temporary":
            tempfile.mkstemp()
        case "alter":
            path.unlink()
        case "open":
            os.dup(0)


def as_named(word, files, sources, dice):
    return {"x": word.encode()}


ENDINGS = {
    "sound": "",
    "refuse": "It is no good: choose another.",
    "abort": "ended by SIGABRT",
    "exit": "ended with status 3",
    "spin": "no end after 1 s of processor time",
    "sleep": "no end after 10 s$",
    "raise": r"ZeroDivisionError: by zero \(",
    "leave": "SystemExit",
    "ramble": r"Not one plain sentence: 'Two\\nlines",
    "warn": "a warning, UserWarning: beware",
    "print": r"it printed 'oops'",
    "chatter": "",
    "swell": r"It took 2\d\d MB of memory",
    "burst": "MemoryError",
    "litter": "refused, and left behind: left",
    "temporary": "result, and left behind: tmp",
    "alter": "other files than before",
    "open": "left open: ",
}


def test_every_failure_is_noticed():
    kinds = {w: Kind(list, partial(as_named, w), misbehave) for w in ENDINGS}
    sound = {word: [{"x": b"sound"}] for word in ENDINGS}
    tasks = [(word, seed) for seed, word in enumerate(ENDINGS)] + [("sound", 99)]
    outcomes = {o.seed: o for o in run(tasks, kinds, sound, 2, LIMITS)}
    assert len(outcomes) == len(tasks)
    for seed, (word, match) in enumerate(ENDINGS.items()):
        outcome = outcomes[seed]
        ending = {"sound": "result", "chatter": "result", "refuse": "refused"}.get(word, "failed")
        assert (outcome.ending, outcome.kind) == (ending, word)
        assert re.search(match, outcome.message), outcome.message
        if ending == "failed":
            assert outcome.message.startswith(f"{word} {seed}: ")
            assert outcome.command.endswith(f"fuzz --kind {word} --seed {seed} --cases 1")
    assert outcomes[99].ending == "result"


def test_a_reader_that_refuses_sound_files_is_a_failure_of_the_fuzzer():
    kinds = {"x": Kind(list, partial(as_named, "x"), misbehave)}
    with pytest.raises(RuntimeError, match="A sound file was not read. x: x -1: ZeroDivision"):
        list(run([("x", 0)], kinds, {"x": [{"x": b"raise"}]}))


# -- the command ------------------------------------------------------------------------------


def test_the_report():
    report = Report(
        [
            Outcome("wav", 0, "result", "", 0.5, 7.0),
            Outcome("wav", 1, "refused", "It can be read only up to 0.3 s: copy it.", 0.1, 9.0),
            Outcome("zip", 0, "refused", '"a.wav" has 2,000 faults: pack anew.', 1.5, 3.0),
            Outcome("zip", 1, "refused", '"b.wav" has 17 faults: pack anew.', 0.1, 1.0),
        ]
    )
    text = str(report)
    for line in (
        "wav                2        1        1       0     0.50 s          9 MB",
        "zip                2        0        2       0     1.50 s          3 MB",
        "all                4        1        3       0     1.50 s          9 MB",
        '       2  "…" has # faults: pack anew.',
        "       1  It can be read only up to # s: copy it.",
    ):
        assert line in text.splitlines()
    failed = Outcome("zip", 2, "failed", "zip 2: it printed 'x'")
    text = str(Report([*report.outcomes, failed]))
    assert "FAILED zip 2: it printed 'x'" in text
    assert "python -m benchmarks fuzz --kind zip --seed 2 --cases 1" in text


@pytest.mark.parametrize("ending", ["result", "refused", "failed"])
def test_the_command(monkeypatch, capsys, tmp_path, ending):
    asked = []

    def without_processes(tasks, kinds, sources, workers):
        asked.append((tasks, list(kinds), workers))
        yield from (Outcome(kind, seed, ending, "It is no good.") for kind, seed in tasks)

    monkeypatch.setattr(fuzz, "run", without_processes)
    options = ["--kind", "table", "--seed", "7", "--cases", "2", "--workers", "3"]
    status = command.main(["fuzz", *options, "--keep", str(tmp_path)])
    assert status == (1 if ending == "failed" else 0)
    assert asked == [([("table", 7), ("table", 8)], ["table"], 2)]
    assert "table              2" in capsys.readouterr().out
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == (["table-7", "table-8"] if ending == "failed" else [])


def test_how_cases_are_shared_out():
    tasks = fuzz._tasks(None, 5, None)
    kinds = [kind for kind, _ in tasks]
    assert len(set(tasks)) == len(tasks) == 11_000
    assert sum(kind in AUDIO for kind in kinds) == 10_000
    assert all(kinds.count(kind) in (909, 910) for kind in AUDIO)
    assert all(kinds.count(kind) == 100 for kind in OTHERS)
    assert min(seed for _, seed in tasks) == 5
    assert fuzz._tasks(3, 0, "audio") == [("wav", 0), ("flac", 0), ("mp3", 0)]
    assert len(fuzz._tasks(None, 0, "zip")) == 1000


@pytest.mark.parametrize("arguments", [["--kind", "nonsense"], ["mlp"], ["--cases", "0"]])
def test_what_the_command_refuses(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        command.main(["fuzz", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err


# -- faults that were found -------------------------------------------------------------------


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
    with pytest.raises(AudioError, match=r"^It contains samples far beyond .* \(first at 0.5 s\)"):
        load_audio(content, 8000)
    samples[4000:] = np.random.default_rng(0).uniform(-1, 1, (28_000, channels)) * 2e9
    assert np.isfinite(load_audio(float_wav(samples), 8000)).all()  # integers written as floats


def test_a_mix_that_overflows_or_cancels(tmp_path):
    samples = np.full((8000, 2), 3e38, np.float32)
    with pytest.raises(AudioError, match="far beyond full scale|that are not numbers"):
        load_audio(float_wav(samples), 8000)
    samples[:, 1] *= -1
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav(samples))
    assert hear(path, 0.5).problem.startswith("It contains samples far beyond full scale")


def test_a_sound_that_comes_after_the_last_whole_block(tmp_path):
    """The inspection found no frequency in the rest, and fell over."""
    samples = np.zeros(2048 * 4 + 500, np.float32)
    samples[-400:] = 0.5 * np.sin(np.arange(400))
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav(samples, 22050))
    assert hear(path, 0.2).problem is None


def test_a_damaged_length_is_no_length(sources):
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


def test_a_place_that_no_file_reaches(sources, tmp_path, capfd):
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
def test_npz_files_whose_headers_are_no_literals(name, member, tmp_path, small):
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
    with pytest.raises(DatasetError, match="is damaged, or is no NPZ|card is damaged"):
        import_dataset(path)


def test_a_mel_file_of_an_impossible_dynamic_range(tmp_path, small):
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


def test_an_npz_that_is_locked(demo, tmp_path):
    path = tmp_path / "data.npz"
    export_dataset(demo, path)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="is damaged, or is no NPZ file"):
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
def test_formats_of_another_world(value, demo_bundle, demo_file, tmp_path):
    """Whatever a file says of its format, the error is one sentence."""
    import json
    import shutil

    model = tmp_path / "model"
    shutil.copytree(demo_bundle, model)
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(card | {"format": value}))
    tries = {
        ModelError: lambda: GenreModel.load(model),
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


def test_letters_beyond_the_last_one(demo, tmp_path):
    """NumPy takes any number for a letter; what was imported could not be read back."""
    path = tmp_path / "data.npz"
    export_dataset(demo, path)
    with np.load(path) as arrays:
        parts = {name: arrays[name] for name in arrays.files}
    tracks = parts["tracks"].copy()
    for number in (0x110000, 0x9C3B002F, 0xD800):
        tracks.view(np.uint32)[0] = number
        np.savez(path, **(parts | {"tracks": tracks}))
        with pytest.raises(DatasetError, match="is damaged, or is no NPZ file"):
            import_dataset(path)
