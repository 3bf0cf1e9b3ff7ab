"""Building datasets: in order, atomically, resumably, with files of all kinds."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit.audio.decoder import load_audio
from genrekit.dataset import build as module
from genrekit.dataset import build as parts
from genrekit.dataset import parquet
from genrekit.dataset.build import TRACK_SECONDS, build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.folder import find_tracks
from genrekit.errors import DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams, mfcc, split_segments
from genrekit.system import processes

RATE = 8000
REPOSITORY = Path(__file__).resolve().parents[2]


def write(path, samples=None, seconds=2.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if samples is None:
        rng = np.random.default_rng(len(path.name) + sum(path.name.encode()))
        samples = rng.normal(0, 0.1, round(seconds * RATE))
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture
def music(tmp_path):
    """Two genres of three tracks of noise, each two seconds long."""
    folder = tmp_path / "music"
    for genre in ("rock", "jazz"):
        for i in range(3):
            write(folder / genre / f"{genre}.{i}.wav")
    return folder


@pytest.fixture
def output(tmp_path):
    return tmp_path / "data.parquet"


@pytest.fixture
def build(small, output):
    def run(folder, path=output, **options):
        return list(build_dataset(folder, path, small, **{"workers": 1} | options))

    return run


@pytest.fixture
def computed(monkeypatch):
    """The names of the files whose features are computed, in order."""
    names = []
    original = module.track_features

    def noting(path, *rest, **more):
        names.append(path.name)
        return original(path, *rest, **more)

    monkeypatch.setattr(module, "track_features", noting)
    return names


# -- what comes out ---------------------------------------------------------------------------


def test_rows_are_the_features_of_the_tracks_in_order(music, build, output, small):
    steps = build(music)
    data = Dataset.read(output)
    assert data.genres == ("jazz", "rock")
    ids = [f"{g}/{g}.{i}" for g in ("jazz", "rock") for i in range(3)]
    assert data.tracks.tolist() == [track for track in ids for _ in range(2)]
    assert data.segments.tolist() == [0, 1] * 6
    assert data.labels.tolist() == [0] * 6 + [1] * 6
    assert data.artists is None
    assert data.params == small
    assert data.track_seconds == TRACK_SECONDS == 30
    for i, track in enumerate(ids):
        segments = split_segments(load_audio(music / f"{track}.wav", RATE), small)
        np.testing.assert_array_equal(data.features[2 * i : 2 * i + 2], mfcc(segments, small))
    assert [(s.done, s.total, s.track, s.genre) for s in steps] == [
        (i, 6, track, track[:4]) for i, track in enumerate(ids, 1)
    ]
    assert [s.segments for s in steps] == [2, 4, 6, 8, 10, 12]
    assert not any(s.failed or s.resumed or s.skipped for s in steps)


def test_the_card_lists_the_source_of_every_row(music, build, output):
    (music / "tracks.csv").write_text("track,artist\njazz.1,Ann\nrock/rock.2,Bob\n")
    build(music, track_seconds=1.5)
    data = Dataset.read(output)
    assert data.track_seconds == 1.5
    assert [record.artist for record in data.records] == [None, "Ann", None, None, None, "Bob"]
    record = data.records[1]
    assert (record.id, record.path, record.genre) == ("jazz/jazz.1", "jazz/jazz.1.wav", "jazz")
    content = (music / record.path).read_bytes()
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    assert record.segments == 1
    assert data.artists.tolist() == ["", "Ann", "", "", "", "Bob"]
    reasons = {(s.track, s.segment): s.reason for s in data.skipped}
    assert reasons["jazz/jazz.0", 1] == "The track ends 0.50 s into it, before its 1 s are full."


def test_only_the_start_of_a_track_is_used(music, build, output):
    build(music, track_seconds=1)
    one = Dataset.read(output)
    build(music, track_seconds=None)
    every = Dataset.read(output)
    assert len(one) == 6
    assert len(every) == 12
    np.testing.assert_array_equal(one.features, every.features[::2])
    assert every.track_seconds is None


def test_artists_from_a_table_elsewhere(music, build, output, tmp_path):
    (music / "tracks.csv").write_text("track,artist\njazz.1,Wrong\n")
    table = tmp_path / "who.csv"
    table.write_text("track,artist\njazz.0,Ann\n")
    build(music, artists=table)
    assert Dataset.read(output).artists.tolist()[:3] == ["Ann", "Ann", ""]
    with pytest.raises(DatasetError, match="no such file"):
        build(music, artists=tmp_path / "none.csv")


def test_the_demo_music_and_its_artists(demo, demo_folder):
    assert len(demo) == 36
    assert len(set(demo.artists.tolist())) == 6
    assert {record.path for record in demo.records} == {
        path.relative_to(demo_folder).as_posix() for path in demo_folder.glob("*/*.flac")
    }


# -- what is left out -------------------------------------------------------------------------


def test_left_out_files_and_segments_have_reasons(demo_folder, tmp_path, build, output):
    folder = tmp_path / "demo"
    shutil.copytree(demo_folder, folder)
    genre = sorted(p.name for p in folder.iterdir() if p.is_dir())[0]
    good = sorted((folder / genre).glob("*.flac"))[0]
    (folder / genre / "corrupt.flac").write_bytes(good.read_bytes()[:2000] + bytes(500))
    (folder / genre / "empty.mp3").touch()
    (folder / genre / "liar.wav").write_text("no music")
    write(folder / genre / "short.wav", seconds=0.4)
    write(folder / genre / "silent.wav", np.zeros(3 * RATE))
    half = np.random.default_rng(0).normal(0, 0.1, 3 * RATE)
    half[RATE : 2 * RATE] = 0
    write(folder / genre / "pause.wav", half)
    (folder / genre / "notes.txt").write_text("text")
    write(folder / "stray.wav")
    (folder / "readme.md").write_text("text")
    (folder / genre / ".hidden.wav").write_text("x")
    (folder / ".git").mkdir()
    write(folder / ".git" / "x.wav")
    steps = build(folder)

    data = Dataset.read(output)
    files = {s.track: s.reason for s in data.skipped if s.segment is None}
    assert set(files) == {
        f"{genre}/corrupt",
        f"{genre}/empty",
        f"{genre}/liar",
        f"{genre}/short",
        f"{genre}/silent",
        f"{genre}/notes.txt",
        "stray.wav",
        "readme.md",
    }
    assert "damaged or incomplete" in files[f"{genre}/corrupt"]
    assert files[f"{genre}/empty"].startswith("It is empty")
    assert "use wav, flac" in files[f"{genre}/liar"]
    assert files[f"{genre}/short"].startswith("It lasts 0.40 s, less than one segment of 1 s")
    assert files[f"{genre}/silent"] == "It is silent."
    assert files[f"{genre}/notes.txt"] == "It is not audio in a format GenreKit reads."
    assert files["stray.wav"] == "It is outside all genre folders: move it."
    pauses = [s for s in data.skipped if s.track == f"{genre}/pause"]
    assert [(s.segment, s.reason) for s in pauses] == [(1, "It is silent.")]
    assert data.segments[data.tracks == f"{genre}/pause"].tolist() == [0, 2]
    assert sum(s.failed for s in steps) == 5
    assert len(data) == 36 + 2
    told = [skip for step in steps for skip in step.skipped]
    assert [s for s in data.skipped if s.track not in files or "/" in s.track] == [
        s for s in data.skipped if s in told or s.track.endswith("notes.txt")
    ]


def test_files_that_differ_only_by_suffix(tmp_path, build, output):
    folder = tmp_path / "m"
    for name in ("x.wav", "x.flac", "x.wav.aiff", "y.wav"):
        write(folder / "rock" / name)
    build(folder)
    assert [record.id for record in Dataset.read(output).records] == [
        "rock/x.flac",
        "rock/x.wav",
        "rock/x.wav.aiff",
        "rock/y",
    ]


def test_folders_in_genre_folders(tmp_path, build, output):
    folder = tmp_path / "m"
    write(folder / "rock" / "album" / "one.wav")
    write(folder / "jazz" / "CD 1" / "It's a 'song'.wav")
    build(folder)
    data = Dataset.read(output)
    assert data.genres == ("jazz", "rock")
    assert [r.id for r in data.records] == ["jazz/CD 1/It's a 'song'", "rock/album/one"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_a_name_that_is_not_text(music, build, output):
    odd = os.fsencode(music) + b"/rock/bad\xff.wav"
    shutil.copy(music / "rock" / "rock.0.wav", odd)
    build(music)
    data = Dataset.read(output)
    assert len(data) == 12
    assert [(s.track, s.reason) for s in data.skipped] == [
        ("rock/bad\ufffd.wav", "Its name is not text: rename it.")
    ]


def test_one_genre_is_a_dataset(tmp_path, build, output):
    write(tmp_path / "m" / "rock" / "x.wav")
    build(tmp_path / "m")
    assert Dataset.read(output).genres == ("rock",)


@pytest.mark.parametrize("genre", ["blues", "latin", "ska"])  # before, between and after
def test_a_genre_without_a_good_file_is_left_out(music, build, output, tmp_path, genre):
    build(music, tmp_path / "two.parquet")
    expected = Dataset.read(tmp_path / "two.parquet")
    (music / genre).mkdir()
    (music / genre / "bad.wav").write_text("no")
    build(music)
    data = Dataset.read(output)
    assert data.genres == ("jazz", "rock")
    assert data.sha256 == expected.sha256
    assert data.records == expected.records
    assert [s.track for s in data.skipped] == [f"{genre}/bad"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.parquet", "music", "two.parquet"]


# -- folders and settings that cannot be used -------------------------------------------------


def test_folders_without_genres(tmp_path, output, small):
    empty = tmp_path / "empty"
    empty.mkdir()
    flat = tmp_path / "flat"
    write(flat / "x.wav")
    texts = tmp_path / "texts"
    (texts / "rock").mkdir(parents=True)
    (texts / "rock" / "a.txt").touch()
    for folder in (empty, flat, texts):
        with pytest.raises(DatasetError, match="no genre folders with audio: put the files of"):
            build_dataset(folder, output, small)
    for folder in (tmp_path / "none", flat / "x.wav"):
        with pytest.raises(DatasetError, match="is not a folder: name the folder that holds"):
            build_dataset(folder, output, small)


def test_no_segment_at_all(tmp_path, build, output):
    write(tmp_path / "m" / "rock" / "x.wav", seconds=0.2)
    (tmp_path / "m" / "rock" / "y.wav").touch()
    with pytest.raises(DatasetError, match=r"Not one segment could be made from 2 files. rock/y, "):
        build(tmp_path / "m")
    assert not output.exists()


def test_unreadable_folders(music, build, output, monkeypatch):
    scandir = os.scandir
    withheld = {str(music / "rock")}

    def refusing(path):
        if str(path) in withheld:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    build(music)
    data = Dataset.read(output)
    assert data.genres == ("jazz",)
    assert [(s.track, s.segment) for s in data.skipped] == [("rock", None)]
    assert "this user may not read: change its permissions" in data.skipped[0].reason
    withheld.add(str(music))
    with pytest.raises(DatasetError, match="permission denied; change its permissions"):
        build(music)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"track_seconds": 0.5}, "0.5 s of each track cannot be used"),
        ({"track_seconds": float("nan")}, "track_seconds is not a number: use a finite number"),
        ({"track_seconds": float("inf")}, "track_seconds is infinite"),
        ({"workers": 0}, "workers is 0: use a whole number of at least 1"),
        ({"workers": -1}, "workers is -1"),
    ],
)
def test_settings_are_refused_at_the_call(music, output, small, options, match):
    with pytest.raises(SettingsError, match=match):
        build_dataset(music, output, small, **options)


def test_outputs_are_refused_at_the_call(music, tmp_path, small):
    with pytest.raises(DatasetError, match=r"is a folder: name a file, such as .*data.parquet"):
        build_dataset(music, tmp_path, small)
    with pytest.raises(DatasetError, match="is not a folder: make it first, or name another"):
        build_dataset(music, tmp_path / "no" / "d.parquet", small)


# -- order, repetition, workers ---------------------------------------------------------------


def test_tracks_are_sorted(music, monkeypatch):
    expected = find_tracks(music)
    walk = os.walk

    def reversed_walk(*args, **kwargs):
        for folder, subfolders, files in walk(*args, **kwargs):
            subfolders.reverse()
            yield folder, subfolders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", reversed_walk)
    assert find_tracks(music) == expected
    ids = [track.id for track in expected[0]]
    assert ids == sorted(ids)


@pytest.fixture(params=[False, True], ids=["copied", "fresh"])
def threads(request, monkeypatch):
    """Whether another thread runs, beside which no process may be copied."""
    if not request.param:  # but for those that tests before have left behind
        monkeypatch.setattr(threading, "active_count", lambda: 1)
        yield
        return
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    yield
    done.set()
    other.join()


@pytest.mark.usefixtures("threads")
def test_two_workers_write_the_same_bytes_as_one(music, build, tmp_path):
    (music / "rock" / "bad.wav").write_text("no music")
    one = build(music, tmp_path / "1.parquet")
    two = build(music, tmp_path / "2.parquet", workers=2)
    assert one == two
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_an_output_in_the_folder_of_the_music(music, build, tmp_path):
    inside = music / "data.parquet"
    build(music, tmp_path / "outside.parquet")
    first = (tmp_path / "outside.parquet").read_bytes()
    build(music, inside)
    assert inside.read_bytes() == first
    steps = build_dataset(music, inside, Dataset.read(inside).params, workers=1)
    next(steps)
    steps.close()  # parts lie among the music now
    build(music, inside)
    assert inside.read_bytes() == first


# -- going on ---------------------------------------------------------------------------------


def test_an_interrupted_run_is_resumed(music, build, output, small, computed, tmp_path):
    steps = build_dataset(music, output, small, workers=1)
    for _ in range(4):
        next(steps)
    steps.close()
    assert not output.exists()
    assert computed == ["jazz.0.wav", "jazz.1.wav", "jazz.2.wav", "rock.0.wav"]
    computed.clear()
    steps = build(music)
    assert computed == ["rock.1.wav", "rock.2.wav"]
    assert [s.resumed for s in steps] == [True] * 4 + [False] * 2
    assert [s.segments for s in steps] == [2, 4, 6, 8, 10, 12]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.parquet", "music"]
    build(music, tmp_path / "whole.parquet")
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_two_workers_stop_cleanly_and_resume(music, build, output, small, tmp_path):
    steps = build_dataset(music, output, small, workers=2)
    next(steps)
    next(steps)
    steps.close()
    steps = build(music, workers=2)
    assert sum(s.resumed for s in steps) >= 2
    build(music, tmp_path / "whole.parquet")
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def interrupted(music, output, small, after=6):
    steps = build_dataset(music, output, small, workers=1)
    for _ in range(after):
        next(steps)
    steps.close()


def test_a_changed_file_is_computed_again(music, build, output, small, computed):
    interrupted(music, output, small)
    computed.clear()
    write(music / "jazz" / "jazz.1.wav", seconds=3)
    build(music)
    assert computed == ["jazz.1.wav"]
    data = Dataset.read(output)
    assert (data.tracks == "jazz/jazz.1").sum() == 3


def test_a_file_changed_in_place_is_computed_again(music, build, output, small, computed):
    interrupted(music, output, small)
    computed.clear()
    path = music / "jazz" / "jazz.1.wav"
    size, before = path.stat().st_size, path.stat().st_mtime_ns
    write(path, np.random.default_rng(9).normal(0, 0.1, 2 * RATE))
    os.utime(path, ns=(before + 10**9, before + 10**9))  # at whatever resolution clocks have here
    assert path.stat().st_size == size
    build(music)
    assert computed == ["jazz.1.wav"]


def test_other_settings_are_computed_again(music, output, small, computed):
    interrupted(music, output, small)
    computed.clear()
    list(build_dataset(music, output, small, track_seconds=1, workers=1))
    assert len(computed) == 6
    assert len(Dataset.read(output)) == 6


def test_failed_files_are_tried_again(music, build, output, small, computed):
    bad = music / "jazz" / "a.wav"
    bad.write_text("no music")
    interrupted(music, output, small)
    computed.clear()
    write(bad)
    build(music)
    assert computed == ["a.wav", "rock.2.wav"]
    assert len(Dataset.read(output)) == 14


def kept(output):
    """How many parts lie beside the output."""
    files = output.with_name(output.name + ".parts").glob("*.parts")
    return sum(len(list(parts.parts_in(file))) for file in files)


def cut(content):
    return content[: len(content) // 2]


def flip(at):
    def flipped(content):
        content = bytearray(content)
        content[int(at * len(content)) if isinstance(at, float) else at] ^= 255
        return bytes(content)

    return flipped


@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (lambda content: b"", 6),
        (lambda content: b"PK\x03\x04" * 20, 6),
        (lambda content: bytes(len(content)), 6),
        (cut, 3),
        (lambda content: content[:-1], 1),
        (flip(0), 1),  # the checksum
        (flip(8), 1),  # the key
        (flip(31), 6),  # a size, past the end: what follows cannot be found
        (flip(24), 6),  # a size, within the file
        (flip(100), 1),  # a number
        (flip(0.5), 1),
        (flip(-1), 1),
    ],
)
def test_damaged_parts_are_computed_again(
    music, build, output, small, computed, tmp_path, damage, lost
):
    build(music, tmp_path / "whole.parquet")
    interrupted(music, output, small)
    computed.clear()
    (file,) = (output.parent / "data.parquet.parts").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    steps = build(music)
    assert len(computed) == [s.resumed for s in steps].count(False) == lost
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_a_part_that_cannot_be_read_back(music, build, output, monkeypatch):
    monkeypatch.setattr(parts, "read_part", lambda *_: None)
    with pytest.raises(DatasetError, match="A part in .* was damaged: run again"):
        build(music)
    assert not output.exists()


def test_the_partial_output_of_a_killed_run_is_removed(music, build, output, small):
    interrupted(music, output, small)
    half = output.parent / "data.parquet.parts" / "1.joined"
    half.write_bytes(b"half")
    steps = build_dataset(music, output, small, workers=1)
    next(steps)
    assert not half.exists()
    assert list(half.parent.glob("*.joined"))
    steps.close()
    assert not list(half.parent.glob("*.joined"))


def test_a_file_that_changes_while_others_are_read(music, build, output, small):
    steps = build_dataset(music, output, small, workers=1)
    next(steps)
    next(steps)
    os.utime(music / "jazz" / "jazz.0.wav", (1, 1))
    (music / "jazz" / "jazz.1.wav").unlink()
    list(steps)
    assert len(Dataset.read(output)) == 12


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_killed_run_is_resumed_to_the_same_bytes(demo_folder, tmp_path, workers):
    output = tmp_path / "killed.parquet"
    command = [sys.executable, "-m", "genrekit", "preprocess", demo_folder, "-o"]
    options = ["--workers", workers, "--progress", "json", "--sample-rate", "8000"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [*command, output, *options], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    )
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.stdout.read()  # for ever, if a worker outlived it and held the other end
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    assert not output.exists()
    assert not list(tmp_path.glob(".*"))
    assert kept(output) >= 2
    again = subprocess.run(
        [*command, output, *options], capture_output=True, cwd=tmp_path, env=environment
    )
    assert again.returncode == 0
    assert again.stdout.count(b'"resumed": true') >= 2
    params = FeatureParams(sample_rate=8000)
    list(build_dataset(demo_folder, tmp_path / "whole.parquet", params, workers=1))
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not (tmp_path / "killed.parquet.parts").exists()


# -- when the machine fails -------------------------------------------------------------------


def no_space(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_keeps_the_old_file_and_the_parts(music, build, output, small, monkeypatch):
    build(music)
    before = output.read_bytes()
    import pyarrow.parquet as pq

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", no_space)
        with pytest.raises(DatasetError, match=r"data.parquet cannot be written: the disk is full"):
            build(music, track_seconds=1)
    assert output.read_bytes() == before
    assert kept(output) == 6
    assert [p.suffix for p in (output.parent / "data.parquet.parts").iterdir()] == [".parts"]
    assert sorted(p.name for p in output.parent.iterdir()) == [
        "data.parquet",
        "data.parquet.parts",
        "music",
    ]
    steps = build(music, track_seconds=1)
    assert all(s.resumed for s in steps)
    assert len(Dataset.read(output)) == 6


def test_a_disk_that_fills_up_with_parts(music, build, output, small, monkeypatch):
    calls = []
    write = module.append_part

    def third_fails(task, track):
        calls.append(1)
        at = write(task, track)
        if len(calls) == 3:
            os.truncate(at.file, at.start + 100)
            no_space()
        return at

    with monkeypatch.context() as patch:
        patch.setattr(module, "append_part", third_fails)
        with pytest.raises(DatasetError, match="the disk is full; free some space and run again"):
            build(music)
    assert kept(output) == 2
    assert not output.exists()
    steps = build(music)
    assert [s.resumed for s in steps] == [True] * 2 + [False] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_limit_on_the_size_of_files(music, tmp_path):
    # A real failed write, not a patched one: no file may grow as large as the output.
    params = FeatureParams(sample_rate=8000, segment_seconds=1, n_fft=512, hop_length=64)
    list(build_dataset(music, tmp_path / "whole.parquet", params, workers=1))
    limit = (tmp_path / "whole.parquet").stat().st_size - 100
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "from genrekit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    output = tmp_path / "limited.parquet"
    command = [sys.executable, "-c", code, "preprocess", music, "-o", output, "--workers", "1"]
    small = ["--sample-rate", "8000", "--segment-seconds", "1", "--n-fft", "512"]
    done = subprocess.run(
        [*command, *small, "--hop-length", "64"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"genrekit: {output} cannot be written: ")
    assert "Traceback" not in done.stderr
    assert not output.exists()
    assert kept(output) == 6
    assert not list(tmp_path.glob(".*"))


def killing_make_part(task, params, track_seconds):
    """What a decoder that crashes does to its process. Workers import it from here."""
    if task.path.name == "rock.0.wav":
        os._exit(1)
    return original_make_part(task, params, track_seconds)


original_make_part = module.make_part


@pytest.mark.usefixtures("threads")
def test_a_file_that_kills_its_process_fails_alone(music, build, output, monkeypatch):
    monkeypatch.setattr(module, "make_part", killing_make_part)
    steps = build(music, workers=2)
    failed = [s for s in steps if s.failed]
    assert [s.track for s in failed] == ["rock/rock.0"]
    assert failed[0].skipped[0].reason == (
        "Reading it made the decoder crash: convert it to wav or remove it."
    )
    data = Dataset.read(output)
    assert len(data) == 10
    assert [r.id for r in data.records] == [s.track for s in steps if not s.failed]


def test_no_more_workers_than_tracks(music, build, monkeypatch):
    asked = []
    original = processes._processes

    def noting(workers):
        asked.append(workers)
        return original(1)

    monkeypatch.setattr(processes, "_processes", noting)
    build(music, workers=10_000)
    assert asked == [6]


def test_a_file_that_disappears_before_it_is_read(music, build, output, small):
    steps = build_dataset(music, output, small, workers=1)
    (music / "jazz" / "jazz.0.wav").unlink()
    steps = list(steps)
    assert steps[0].failed
    assert "no such file" in steps[0].skipped[0].reason
    assert len(Dataset.read(output)) == 10


def test_parts_are_joined_group_by_group(tmp_path, build, output, small, monkeypatch):
    import tracemalloc

    # 1200 segments, 1.1 MB in all, of which the parts are joined in groups of 60 kB.
    for i in range(20):
        write(tmp_path / "m" / ("rock", "jazz")[i % 2] / f"{i}.wav", seconds=60)
    monkeypatch.setattr(parquet, "_ROWS_PER_GROUP", 64)
    build(tmp_path / "m", tmp_path / "warm.parquet", track_seconds=1)
    steps = build_dataset(tmp_path / "m", output, small, track_seconds=None, workers=1)
    for _ in range(20):
        next(steps)
    tracemalloc.start()
    try:
        list(steps)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(Dataset.read(output)) == 1200
    assert peak < 0.5e6
