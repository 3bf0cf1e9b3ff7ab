"""Inspecting folders: facts, problems, exact and near duplicates."""

import hashlib
import io
import json
import shutil
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
import soundfile
import soxr
from scipy import signal

from genrekit.audio.synth.rendering import render
from genrekit.dataset import file_check
from genrekit.dataset.duplicates import SIMILAR, fingerprint, linked, similar_pairs
from genrekit.dataset.inspection import Duplicate, FileFacts, Inspection, inspect_folder
from genrekit.errors import DatasetError, SettingsError

RATE = 22050


@cache
def song(style="jazz", seed=0, artist=0, seconds=10.0):
    return render(style, seed=seed, artist=artist, seconds=seconds)


def save(path, samples, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def inspect(folder, **options):
    *_, last = inspect_folder(folder, **({"workers": 1} | options))
    return last.inspection


def one_problem(tmp_path, samples, rate=RATE, **options):
    """What is wrong with one file that stands alone."""
    save(tmp_path / "a" / "x.wav", samples, rate, subtype="FLOAT")
    (file,) = inspect(tmp_path, **options).files
    return file.problem


def stereo(left, right):
    return np.stack([left, right], axis=1)


# -- facts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "container", "rate", "channels", "options"),
    [
        ("x.wav", "wav", 22050, 1, {"subtype": "PCM_24"}),
        ("x.flac", "flac", 44100, 2, {}),
        ("x.ogg", "ogg", 32000, 2, {}),
        ("x.mp3", "mp3", 44100, 1, {}),
        ("x.aiff", "aiff", 48000, 1, {}),
        ("really mp3.wav", "mp3", 22050, 1, {"format": "MP3"}),
    ],
)
def test_facts_of_a_file(tmp_path, name, container, rate, channels, options):
    one = soxr.resample(song(seconds=4.0), RATE, rate)
    samples = one if channels == 1 else stereo(one, 0.5 * one)
    path = save(tmp_path / "cool jazz" / "live" / name, samples, rate, **options)
    inspection = inspect(tmp_path)
    (file,) = inspection.files
    content = path.read_bytes()
    assert file == FileFacts(
        id=f"cool jazz/live/{path.stem}",
        path=f"cool jazz/live/{name}",
        genre="cool jazz",
        artist=None,
        container=container,
        seconds=pytest.approx(4.0, abs=0.06),  # an MP3 is padded to whole frames
        sample_rate=rate,
        channels=channels,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        problem=None,
    )
    assert inspection.containers == {container: 1}
    assert inspection.genres == {"cool jazz": 1}
    assert inspection.duplicates == ()


def test_only_the_start_of_a_long_file_is_checked(tmp_path, monkeypatch):
    heard = []
    original = file_check.decode

    def noting(*arguments):
        decoded = original(*arguments)
        heard.append(len(decoded.samples))
        return decoded

    monkeypatch.setattr(file_check, "decode", noting)
    save(tmp_path / "a" / "long.flac", np.tile(song(seconds=10.0), 5))
    (file,) = inspect(tmp_path).files
    assert file.seconds == 50
    assert heard == [30 * RATE]  # and decoded once


def test_a_whole_folder(demo_folder, tmp_path):
    folder = tmp_path / "demo"
    shutil.copytree(demo_folder, folder)
    genres = sorted(p.name for p in folder.iterdir() if p.is_dir())
    (folder / "notes.txt").write_text("mine")
    inspection = inspect(folder)
    assert inspection.genres == dict.fromkeys(genres, 4)
    assert inspection.containers == {"flac": 12}
    assert inspection.seconds == pytest.approx(12 * 3.5)
    assert [f.problem for f in inspection.files] == [None] * 12
    assert inspection.files[0].artist == f"{genres[0]} artist 0"
    assert [other.track for other in inspection.others] == ["notes.txt"]


def test_several_processes_give_the_same_result(demo_folder):
    assert inspect(demo_folder, workers=2) == inspect(demo_folder)


def test_progress(tmp_path):
    save(tmp_path / "a" / "1.wav", song(seconds=4.0))
    save(tmp_path / "b" / "2.wav", np.zeros(4 * RATE))
    steps = list(inspect_folder(tmp_path, workers=1))
    assert [(s.done, s.total, s.track) for s in steps] == [
        (1, 2, "a/1"),
        (2, 2, "b/2"),
        (2, 2, None),
    ]
    assert [s.problem is None for s in steps] == [True, False, True]
    assert [s.inspection is None for s in steps] == [True, True, False]


def test_folders_that_cannot_be_inspected(tmp_path):
    with pytest.raises(DatasetError, match="is not a folder"):
        inspect_folder(tmp_path / "none")
    with pytest.raises(DatasetError, match="no genre folders with audio"):
        inspect_folder(tmp_path)
    with pytest.raises(SettingsError, match="workers is 0"):
        inspect_folder(tmp_path, workers=0)
    with pytest.raises(SettingsError, match="segment_seconds is 0"):
        inspect_folder(tmp_path, segment_seconds=0)


# -- problems ---------------------------------------------------------------------------------


def test_bad_files_do_not_stop_the_inspection(tmp_path):
    save(tmp_path / "a" / "good.wav", song(seconds=8.0))
    whole = save(tmp_path / "a" / "whole.wav", song(seed=1, seconds=8.0)).read_bytes()
    (tmp_path / "a" / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a" / "empty.mp3").touch()
    (tmp_path / "a" / "also empty.mp3").touch()
    (tmp_path / "a" / "text.ogg").write_text("no sound at all")
    files = {file.id: file for file in inspect(tmp_path).files}
    assert files["a/good"].problem is files["a/whole"].problem is None
    assert files["a/cut"].problem.startswith("Only the first 4 of 8 s are there")
    assert files["a/cut"].missing == "Only the first 4 of 8 s are there; the rest is missing."
    assert files["a/cut"].container == "wav"
    assert "empty (0 bytes)" in files["a/empty"].problem
    assert "not audio in a format" in files["a/text"].problem
    assert files["a/cut"].seconds == pytest.approx(4, abs=0.01)
    for name in ("a/empty", "a/text"):
        assert files[name].seconds is None
    assert inspect(tmp_path).duplicates == ()  # not even of the two empty ones
    assert inspect(tmp_path).seconds == pytest.approx(20, abs=0.01)


def test_a_file_that_vanishes(tmp_path):
    path = save(tmp_path / "a" / "x.wav", song(seconds=4.0))
    steps = inspect_folder(tmp_path, workers=1)
    path.unlink()
    *_, last = steps
    (file,) = last.inspection.files
    assert "There is no such file" in file.problem
    assert (file.seconds, file.bytes, file.sha256) == (None, None, None)


def test_silence(tmp_path):
    hiss = np.random.default_rng(0).uniform(-5e-5, 5e-5, 4 * RATE)
    assert "It is silent" in one_problem(tmp_path, hiss)


def test_quiet_music_is_not_a_problem(tmp_path):
    assert one_problem(tmp_path, 0.001 * song(seconds=4.0)) is None


def test_shorter_than_a_segment(tmp_path):
    samples = song(seconds=4.0)[: int(2.5 * RATE)]
    why = "It lasts 2.50 s, less than one segment of 3 s"
    assert why in one_problem(tmp_path, samples)
    assert one_problem(tmp_path, samples, segment_seconds=2.5) is None


@pytest.mark.parametrize(("gain", "clipped"), [(1.1, False), (4.0, True)])
def test_clipping(tmp_path, gain, clipped):
    samples = np.clip(gain * song("metal", seconds=4.0), -1, 1)
    share = np.mean(np.abs(samples) == 1)
    assert (share > 0.01) == clipped
    problem = one_problem(tmp_path, samples)
    assert problem == (
        f"It is clipped ({share:.1%} of it at full scale): look for a cleaner copy."
        if clipped
        else None
    )


def test_clipping_of_one_channel(tmp_path):
    clipped = np.clip(6 * song("metal", seconds=4.0), -1, 1)
    assert "It is clipped" in one_problem(tmp_path, stereo(clipped, 0.2 * song(seconds=4.0)))


def test_channels_that_cancel(tmp_path):
    left, other = song(seconds=4.0), song(seed=5, seconds=4.0)
    says = (
        "Its channels cancel each other out, so only the loudest was heard: turn one upside down."
    )
    assert one_problem(tmp_path, stereo(left, -left)) == says
    assert one_problem(tmp_path, stereo(left, -0.8 * left)) == says
    assert one_problem(tmp_path, stereo(left, other)) is None
    assert one_problem(tmp_path, stereo(left, left)) is None


def test_one_channel_only(tmp_path):
    left = song(seconds=4.0)
    only = "Only one of its 2 channels has sound"
    assert only in one_problem(tmp_path, stereo(left, 0 * left))
    assert only in one_problem(tmp_path, stereo(0.001 * left, left))
    assert one_problem(tmp_path, stereo(0.1 * left, left)) is None


def test_low_bandwidth(tmp_path):
    narrow = soxr.resample(soxr.resample(song("metal"), RATE, 8000), 8000, 44100)
    assert "nothing above 3.9 kHz" in one_problem(tmp_path, narrow, 44100)
    half = soxr.resample(soxr.resample(song("metal"), RATE, 16000), 16000, 44100)
    assert one_problem(tmp_path, half, 44100) is None


def test_much_shorter_than_the_others(tmp_path):
    for i in range(4):
        save(tmp_path / "a" / f"{i}.wav", song(seed=i, seconds=10.0))
    save(tmp_path / "a" / "short.wav", song(seed=9, seconds=4.5))
    save(tmp_path / "b" / "half.wav", song(seed=8, seconds=5.5))
    problems = {file.id: file.problem for file in inspect(tmp_path).files}
    assert "It lasts 4.5 s, less than half of the 10.0 s used of most" in problems.pop("a/short")
    assert set(problems.values()) == {None}


def test_length_beyond_30_s_does_not_count(tmp_path):
    for i in range(3):
        save(tmp_path / "a" / f"{i}.flac", np.tile(song(seed=i), 7))
    save(tmp_path / "a" / "short.flac", song(seed=9, seconds=16.0))
    assert {file.problem for file in inspect(tmp_path).files} == {None}


# -- duplicates -------------------------------------------------------------------------------


def test_exact_duplicates(tmp_path):
    save(tmp_path / "a" / "1.wav", song(seconds=3.5))  # too short for a near one
    save(tmp_path / "a" / "2.wav", song(seed=1, seconds=3.5))
    for copy in ("a/3.wav", "b/1.wav"):
        (tmp_path / "b").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "a" / "1.wav", tmp_path / copy)
    shutil.copy(tmp_path / "a" / "2.wav", tmp_path / "a" / "4.wav")
    assert inspect(tmp_path).duplicates == (
        Duplicate(("a/1", "a/3", "b/1"), "exact", 1.0, True),
        Duplicate(("a/2", "a/4"), "exact", 1.0, False),
    )


def test_exact_and_near_copies_form_one_group(tmp_path):
    save(tmp_path / "a" / "1.wav", song())
    save(tmp_path / "b" / "1.mp3", song())
    shutil.copy(tmp_path / "b" / "1.mp3", tmp_path / "a" / "2.mp3")
    save(tmp_path / "c" / "1.wav", song(seed=1))
    (group,) = inspect(tmp_path).duplicates
    assert (group.tracks, group.kind) == (("a/1", "a/2", "b/1"), "near")
    assert group.across_genres
    assert SIMILAR < group.similarity < 1


def encoded(samples, rate=RATE, **options):
    file = io.BytesIO()
    if options["format"] in ("MP3", "OGG"):
        options["compression_level"] = 0.99  # the lowest quality
    soundfile.write(file, samples, rate, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def filtered(kind, hz):
    return lambda x: (signal.lfilter(*signal.butter(1, hz, kind, fs=RATE), x), RATE)


CHANGES = {
    "quieter, 16 bit": lambda x: encoded(0.02 * x, format="WAV", subtype="PCM_16"),
    "louder, clipped": lambda x: (np.clip(2 * x, -1, 1), RATE),
    "low MP3": lambda x: encoded(x, format="MP3"),
    "low Vorbis": lambda x: encoded(x, format="OGG"),
    "less treble": filtered("low", 2000),
    "less bass": filtered("high", 200),
    "8 kHz": lambda x: (soxr.resample(x, RATE, 8000), 8000),
    "44.1 kHz": lambda x: (soxr.resample(x, RATE, 44100), 44100),
    "0.35 s later": lambda x: (x[int(0.35 * RATE) :], RATE),
    "2 s later": lambda x: (x[2 * RATE :], RATE),
    "after 1.5 s of silence": lambda x: (np.pad(x, (int(1.5 * RATE), 0)), RATE),
    "shorter": lambda x: (x[: int(8.5 * RATE)], RATE),
    "all at once": lambda x: encoded(
        soxr.resample(0.2 * x[int(1.27 * RATE) :], RATE, 16000), 16000, format="MP3"
    ),
}


def similarity(a, b, rate_b=RATE):
    pairs = similar_pairs([fingerprint(a, RATE), fingerprint(b, rate_b)], 1e-3)
    return pairs[0][2] if pairs else 0.0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("style", ["ambient", "metal", "reggae"])
def test_a_changed_copy_is_similar(style, change):
    changed, rate = CHANGES[change](song(style))
    assert similarity(song(style), changed.astype(np.float32), rate) > SIMILAR


def test_near_duplicates_in_a_folder(tmp_path):
    save(tmp_path / "a" / "1.flac", song())
    save(tmp_path / "a" / "2.flac", song(seed=1))
    save(tmp_path / "b" / "1.ogg", stereo(*2 * [0.3 * song()[RATE:]]))
    (group,) = inspect(tmp_path).duplicates
    assert (group.tracks, group.kind, group.across_genres) == (("a/1", "b/1"), "near", True)


@pytest.mark.parametrize("style", ["ambient", "disco", "hip-hop", "reggae"])
def test_songs_of_one_artist_are_not_similar(style):
    prints = [fingerprint(song(style, seed), RATE) for seed in range(8)]
    assert all(part is not None for part in prints)
    assert similar_pairs(prints, SIMILAR - 0.05) == []


def test_another_lag_is_not_found():
    assert similarity(song(), song()[4 * RATE :]) < SIMILAR


def naive_similarity(x, y, lags=22, overlap=38):
    """The formula of the module's head, written with loops."""
    best = -1.0
    for a, b in ((x, y), (y, x)):
        for lag in range(lags):
            pairs = [(a[t + lag], b[t]) for t in range(0, len(b), 2) if t + lag < len(a)]
            if len(pairs) >= overlap:
                p, q = (np.concatenate(part).astype(float) for part in zip(*pairs, strict=True))
                best = max(best, p @ q / np.sqrt((p @ p) * (q @ q)))
    return best


def test_all_pairs_equal_a_naive_loop(monkeypatch):
    monkeypatch.setattr("genrekit.dataset.duplicates._TRACKS_AT_ONCE", 3)
    rng = np.random.default_rng(1)
    base = rng.normal(size=(120, 12))
    prints = [
        (base[start : start + rows] + rng.normal(size=(rows, 12))).astype(np.float32)
        for start, rows in [(0, 120), (7, 90), (1, 76), (20, 80), (0, 119), (0, 74), (14, 97)]
    ]
    prints.insert(2, None)
    found = {(i, j): s for i, j, s in similar_pairs(prints, 0.2)}
    known = [i for i, part in enumerate(prints) if part is not None]
    expected = {
        (i, j): naive_similarity(prints[i], prints[j]) for i in known for j in known if i < j
    }
    expected = {pair: value for pair, value in expected.items() if value >= 0.2}
    assert 5 < len(expected) < 21
    assert found == pytest.approx(expected, abs=1e-6)


def test_sounds_without_a_fingerprint():
    time = np.arange(10 * RATE, dtype=np.float32) / RATE
    assert fingerprint(np.zeros(10 * RATE, np.float32), RATE) is None
    assert fingerprint(np.sin(2 * np.pi * 440 * time), RATE) is None
    assert fingerprint(song()[: RATE // 5], RATE) is None
    assert similar_pairs([None, None]) == []
    assert similar_pairs([]) == []


def test_a_fingerprint_ignores_the_level():
    loud, quiet = fingerprint(song(), RATE), fingerprint(0.01 * song(), RATE)
    assert loud.shape == (97, 12)
    np.testing.assert_allclose(loud, quiet, atol=0.02)
    assert fingerprint(np.tile(song(), 4), RATE).shape == (297, 12)


def test_linked():
    pairs = [(0, 4, 0.9), (2, 3, 1.0), (4, 7, 0.8), (0, 7, 0.95), (3, 9, 0.85), (5, 6, 0.99)]
    assert linked(pairs) == [([0, 4, 7], 0.8), ([2, 3, 9], 0.85), ([5, 6], 0.99)]
    assert linked([(1, 2, 0.9), (3, 4, 0.8), (2, 3, 0.7)]) == [([1, 2, 3, 4], 0.7)]
    assert linked([]) == []


# -- on disk ----------------------------------------------------------------------------------


@pytest.fixture
def inspection(tmp_path):
    folder = tmp_path / "müsic"
    save(folder / "a" / "1.wav", song())
    save(folder / "b" / "1.mp3", song())
    (folder / "b" / "2.wav").touch()
    (folder / "b" / "cover.jpg").touch()
    return inspect(folder)


def test_json_and_back(inspection, tmp_path):
    path = tmp_path / "inspection.json"
    inspection.write(path)
    assert Inspection.read(path) == inspection
    assert inspection.duplicates
    assert inspection.others
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values == inspection.to_dict()
    assert values["files"][0] == asdict(inspection.files[0])
    assert Inspection.from_dict(values) == inspection
    assert Inspection.from_dict(values) != replace(inspection, duplicates=())


def damage(values, way):
    match way:
        case "no files":
            del values["files"]
        case "a field more":
            values["files"][0]["mood"] = "sad"
        case "a field less":
            del values["files"][0]["genre"]
        case "text for a number":
            values["files"][0]["seconds"] = "long"
        case "a list for the whole":
            values = [values]
        case "no list":
            values["others"] = 3
    return values


@pytest.mark.parametrize(
    "way",
    [
        "no files",
        "a field more",
        "a field less",
        "text for a number",
        "a list for the whole",
        "no list",
    ],
)
def test_damaged_values(inspection, way):
    with pytest.raises(DatasetError, match="inspection is damaged"):
        Inspection.from_dict(damage(inspection.to_dict(), way))


def test_files_that_are_not_inspections(inspection, tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(DatasetError, match="no such file"):
        Inspection.read(path)
    path.write_bytes(b"\xff{}")
    with pytest.raises(DatasetError, match="not an inspection in JSON"):
        Inspection.read(path)
    path.write_text(json.dumps(inspection.to_dict() | {"format": 9}))
    with pytest.raises(DatasetError, match="has format 9, this GenreKit reads 1"):
        Inspection.read(path)
    with pytest.raises(DatasetError, match="cannot be written"):
        inspection.write(tmp_path / "none" / "x.json")
