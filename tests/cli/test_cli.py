"""The command line: every command, its output, its exit status, and never a traceback."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit import __version__
from genrekit.cli import commands, options
from genrekit.cli.main import main
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.formats import export_dataset
from genrekit.features.extraction import FeatureParams
from genrekit.features.presets import PRESETS
from genrekit.model.backbone import EVERYDAY_PARAMS
from genrekit.model.bundle import GenreModel, load_model
from genrekit.training.params import TrainParams

COMMANDS = ["demo-data", "preprocess", "export", "import", "train", "evaluate", "classify"]
SMALL = shlex.split(
    "--sample-rate 8000 --segment-seconds 1 --n-fft 512 --hop-length 256 --n-mels 24 --n-mfcc 7"
)


@pytest.fixture
def run(capsys):
    """Run one command in this process: status, standard output, standard error."""

    def command(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return command


def objects(text):
    """One JSON object a line, strictly, without the time each was written at."""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    times = [line.pop("time") for line in lines]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 3600
    return lines


@pytest.fixture(scope="module")
def song(demo_folder):
    return sorted(demo_folder.glob("*/*.flac"))[0]


# -- the chain --------------------------------------------------------------------------------


def test_the_whole_chain_in_separate_processes(tmp_path, run_python):
    def command(*arguments):
        done = run_python("-m", "genrekit", *arguments)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    music, data, model = tmp_path / "music", tmp_path / "d.parquet", tmp_path / "model"
    out = command("demo-data", music, "--tracks", 2, "--seconds", 6)
    assert out == f"24 tracks in 12 genres are in {music}.\n"
    assert len(list(music.glob("*/*.flac"))) == 24
    out = command("preprocess", music, "-o", data, "--workers", 2)
    assert out == f"48 segments of 130x13 from 24 tracks are in {data}.\n"
    out = command("train", data, "-o", model, "--epochs", 2)
    said = f"The model is in {model}. Measured on valid, split by track, "
    assert re.match(re.escape(said) + r"\d+% of the segments, \d+ of \d+ tracks: ", out)
    assert re.search(r"tracks right \(95% interval 0\.\d{3} to [01]\.\d{3}\), ", out)
    assert out.endswith("Fair: no track stands on both sides of the split.\n")
    out = command("classify", "--json", "--model", model, *sorted(music.glob("*/*.00000.flac")))
    verdicts = json.loads(out)
    assert len(verdicts) == 12
    assert all(len(v["segments"]) == 2 for v in verdicts)


def test_evaluate_a_model(run, demo_bundle, demo_file, demo_model):
    status, out, _ = run("evaluate", demo_bundle, demo_file, "--json")
    assert status == 0
    result = json.loads(out, parse_constant=pytest.fail)
    assert set(result) == {
        "part",
        "segments",
        "segment_accuracy",
        "tracks",
        "track_accuracy",
        "calibration_error",
        "genres",
        "precision",
        "segment_interval",
        "track_interval",
        "recall",
        "confusion",
        "reliability",
        "left_out",
        "worth",
    }
    measured = demo_model.card["measured"]
    assert result["segment_accuracy"] == measured["segment_accuracy"]
    assert result["part"] == "valid"
    assert result["worth"].startswith("Fair")
    status, out, _ = run("evaluate", demo_bundle, demo_file, "--split", "segment")
    assert status == 0
    shares = r"[01]\.\d{3} of \d+ {} right \(95% interval [01]\.\d{3} to [01]\.\d{3}\)"
    both = f"{shares.replace('{}', 'tracks')}, {shares.replace('{}', 'segments')}"
    assert re.search(f"^Measured on valid: {both}", out)
    assert re.search(r"recall ([01]\.\d{3} of \d+|unknown)", out)
    assert "nan" not in out
    assert "Flattering: the model was trained on another split" in out
    assert out.count("precision") == len(demo_model.genres)


# -- demo-data, preprocess --------------------------------------------------------------------


def test_demo_data_reports_progress(run, tmp_path, monkeypatch):
    from genrekit.audio.synth import chart

    monkeypatch.setattr(chart, "STYLES", chart.STYLES[:2])
    status, out, err = run(
        "demo-data", tmp_path / "m", "--tracks", 1, "--seconds", 0.5, "--progress", "json"
    )
    lines = objects(out)
    assert status == 0
    assert err == ""
    assert lines[-1]["type"] == "done"
    assert {line["type"] for line in lines[:-1]} == {"track"}
    assert set(lines[0]) == {"type", "done", "total", "path"}
    assert Path(lines[0]["path"]).is_file()


def test_preprocess_reports_progress(run, demo_folder, tmp_path, demo_file):
    folder = tmp_path / "m"
    shutil.copytree(demo_folder, folder)
    genre = next(p.name for p in sorted(folder.iterdir()) if p.is_dir())
    (folder / genre / "aaa.wav").write_text("no music")
    output = tmp_path / "d.parquet"
    status, out, err = run("preprocess", folder, "-o", output, "--progress", "json", *SMALL)
    assert status == 1  # a file failed
    assert err == ""
    *tracks, done = objects(out)
    assert len(tracks) == 13
    assert tracks[0] == {
        "type": "track",
        "done": 1,
        "total": 13,
        "track": f"{genre}/aaa",
        "genre": genre,
        "segments": 0,
        "failed": True,
        "resumed": False,
        "skipped": [
            {"track": f"{genre}/aaa", "segment": None, "reason": tracks[0]["skipped"][0]["reason"]}
        ],
        "missing": "",
        "notes": [
            {
                "kind": "files without a row",
                "sentence": "1 file has no row in tracks.csv.",
                "names": [f"{genre}/aaa.wav"],
            }
        ],
    }
    assert tracks[-1]["segments"] == 36
    assert done["type"] == "done"
    assert "; 1 file failed" in done["message"]
    np.testing.assert_array_equal(Dataset.read(output).features, Dataset.read(demo_file).features)


def test_an_incomplete_file_is_a_warning_unless_asked_otherwise(run, tmp_path, demo_folder):
    folder = tmp_path / "Data" / "genres"
    shutil.copytree(demo_folder, folder)
    path = next(path for path in sorted(folder.rglob("*.flac")))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    command = ("preprocess", tmp_path / "Data", "-o", tmp_path / "d.parquet", *SMALL)
    status, out, err = run(*command)
    assert status == 0
    assert 'note: The genre folders were found in "genres".' in err
    assert re.search(
        r"warning: .*: Only the first \S+ of \S+ s are there; the rest is missing.", err
    )
    assert "; 1 file incomplete" in out
    status, out, err = run(*command, "--only-whole")
    assert status == 1
    assert "; 1 file failed" in out


def test_preprocess_reports_what_it_leaves_out(run, demo_folder, tmp_path):
    status, out, err = run(
        "preprocess", demo_folder, "-o", tmp_path / "d.parquet", *SMALL, "--segment-seconds", 2
    )
    assert status == 0
    assert out.startswith("12 segments of 63x7 from 12 tracks are in ")
    assert out.endswith("; 12 segments left out.\n")
    assert len(err.splitlines()) == 12
    assert re.match(r"left out \w+/\w+\.00000, segment 2: The track ends 1\.50 s into it", err)
    quiet = run(
        "preprocess", demo_folder, "-o", tmp_path / "e.parquet", *SMALL, "--progress", "none"
    )
    assert quiet[0] == 0
    assert quiet[2] == ""


def test_track_seconds_zero_means_the_whole_track(run, demo_folder, tmp_path):
    for seconds, rows in (("0", 36), ("2", 24)):
        output = tmp_path / f"{seconds}.parquet"
        run("preprocess", demo_folder, "-o", output, *SMALL, "--track-seconds", seconds)
        assert len(Dataset.read(output)) == rows


def test_every_feature_setting_is_an_option():
    parser = options.parser()
    given = parser.parse_args(["preprocess", "x", "-o", "y"])
    assert commands._feature_params(given) == FeatureParams()
    given = parser.parse_args(
        shlex.split("preprocess x -o y --kind log_mel --mel-formula htk --n-fft 1024") + SMALL[:2]
    )
    assert commands._feature_params(given) == FeatureParams(
        kind="log_mel", mel_formula="htk", n_fft=1024, sample_rate=8000
    )


@pytest.mark.parametrize("command", ["preprocess", "import"])
def test_a_preset_sets_every_feature_and_options_change_some(command):
    words = [command, "x", "-o", "y", "--preset", "everyday"]
    given = options.parser().parse_args(words)
    assert commands._feature_params(given) == PRESETS["everyday"] == EVERYDAY_PARAMS
    given = options.parser().parse_args([*words, "--n-mels", "64", "--no-center"])
    changed = dataclasses.replace(EVERYDAY_PARAMS, n_mels=64, center=False)
    assert commands._feature_params(given) == changed


def test_train_has_the_courses_defaults():
    given = options.parser().parse_args(["train", "x", "-o", "y"])
    assert given.split == "track"
    params = TrainParams()
    assert commands._train_params(given) == TrainParams()
    for name in ("network", "seed", "keep", "normalise"):
        assert getattr(given, name) == getattr(params, name), name


# -- train ------------------------------------------------------------------------------------


def test_train_reports_progress(run, demo_file, tmp_path):
    status, out, err = run(
        "train", demo_file, "-o", tmp_path / "m", "--epochs", 3, "--progress", "json",
        "--split", "artist", "--learning-rate", "1e-3", "--normalise", "--seed", 5,
        "--keep", "best",
    )  # fmt: skip
    assert status == 0
    assert err == ""
    start, *epochs, done = objects(out)
    assert start["type"] == "start"
    assert start["epochs"] == 3
    assert start["train"] + start["valid"] + start["test"] == 36
    assert start["worth"].startswith("Honest")
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert set(epochs[0]) == {
        "type", "epoch", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "seconds"
    }  # fmt: skip
    assert done["type"] == "done"
    model = load_model(tmp_path / "m")
    assert done["measured"] == json.loads(json.dumps(model.card["measured"]))
    assert model.card["split"]["kind"] == "artist"
    assert model.card["split"]["seed"] == 5
    assert model.card["training"]["keep"] == "best"
    assert model.card["training"]["normalise"] is True


def test_train_prints_one_line_per_epoch(run, demo_file, tmp_path):
    status, _, err = run("train", demo_file, "-o", tmp_path / "m", "--epochs", 2)
    assert status == 0
    number = r"\d+\.\d{4}"
    line = rf"epoch +\d  train loss {number} acc {number}  valid loss {number} acc {number}  .* s"
    assert all(re.fullmatch(line, text) for text in err.splitlines())
    assert len(err.splitlines()) == 2


def test_an_interrupt_that_comes_while_the_model_is_saved_does_not_lose_it(
    run, demo_file, tmp_path, monkeypatch
):
    save = GenreModel.save

    def interrupted(model, folder):
        signal.raise_signal(signal.SIGINT)
        save(model, folder)

    monkeypatch.setattr(GenreModel, "save", interrupted)
    run("train", demo_file, "-o", tmp_path / "model", "--epochs", "1")
    assert load_model(tmp_path / "model").card["training"]["epochs_run"] == 1


def test_epochs_without_validation_print_no_figures_for_it(run, demo_file, tmp_path):
    tracks = sorted({record.id for record in Dataset.read(demo_file).records})
    parts = ["test" if i % 3 == 0 else "train" for i in range(len(tracks))]
    lines = [f"{track},{part}" for track, part in zip(tracks, parts, strict=True)]
    (tmp_path / "split.csv").write_text("\n".join(["track,part", *lines]))
    split = tmp_path / "split.csv"
    status, out, err = run(
        "train", demo_file, "-o", tmp_path / "m", "--epochs", 1, "--split", split
    )
    assert status == 0, err
    assert re.fullmatch(r"epoch +1  train loss [\d.]+ acc [\d.]+  [\d.]+ s", err.strip())
    assert "nan" not in out


def test_an_unwritable_output_is_reported_before_training(run, demo_file, tmp_path, monkeypatch):
    from genrekit.training import loop

    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained in vain"))
    (tmp_path / "file").touch()
    status, _, err = run("train", demo_file, "-o", tmp_path / "file" / "m")
    assert status == 2
    assert "cannot be written" in err


# -- classify ---------------------------------------------------------------------------------


def test_classify_as_json(run, demo_bundle, demo_folder, tmp_path):
    songs = sorted(demo_folder.glob("*/*.flac"))[:2]
    bad = tmp_path / "größe 'x'.wav"
    bad.write_text("no music")
    missing = tmp_path / "none.wav"
    status, out, err = run(
        "classify", "--model", demo_bundle, "--json", songs[0], bad, missing, songs[1]
    )
    assert status == 1
    assert err == ""
    results = json.loads(out, parse_constant=pytest.fail)
    assert [r["file"] for r in results] == [str(f) for f in (songs[0], bad, missing, songs[1])]
    for result in (results[0], results[3]):
        assert list(result) == [
            *("file", "genre", "confidence", "probabilities", "segments", "note", "novelty"),
            *("candidates", "sounds_like"),
        ]
        assert result["novelty"] is None or 0 <= result["novelty"] <= 1
        assert set(result["probabilities"]) == {p.parent.name for p in demo_folder.glob("*/*.flac")}
        assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert [list(s) for s in result["segments"]] == [
            ["start", "end", "probabilities", "sounds_like"]
        ] * 3
        assert [(s["start"], s["end"]) for s in result["segments"]] == [(0, 1), (1, 2), (2, 3)]
        assert result["confidence"] == max(result["probabilities"].values())
    for result in (results[1], results[2]):
        assert list(result) == ["file", "error"]
        assert result["error"].endswith(".")


def test_classify_in_words(run, demo_bundle, song, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.ones(100), 8000)
    status, out, _ = run(
        "classify", "--model", demo_bundle, song, tmp_path / "short.wav", tmp_path / "none.wav"
    )
    assert status == 1
    lines = out.splitlines()
    sure = r"[\w-]+ \d+%( \(then [\w-]+ \d+%(, [\w-]+ \d+%)?\))?\."
    assert re.fullmatch(rf"{re.escape(str(song))}: ({sure}|not sure\. .*)", lines[0])
    assert ": not sure. Only 0.0 s long: at least 1 s of music are needed." in lines[1]
    assert ": failed. There is no such file: check the name and the folder." in lines[2]


def test_classify_returns_zero_on_success(run, demo_bundle, song):
    assert run("classify", "--model", demo_bundle, song)[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
@pytest.mark.parametrize("option", ["--json", None])
def test_a_file_name_that_is_not_valid_text(demo_bundle, song, tmp_path, option):
    odd = os.fsencode(tmp_path) + b"/bad\xff.flac"
    shutil.copy(song, odd)
    arguments = [sys.executable, "-m", "genrekit", "classify", "--model", str(demo_bundle), odd]
    done = subprocess.run(
        [*arguments, *([option] if option else [])],
        capture_output=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\\udcff.flac" in done.stdout
    if option:
        assert os.fsencode(json.loads(done.stdout)[0]["file"]) == odd


# -- export, import ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_export_and_import(run, demo_file, demo, tmp_path, suffix):
    file, back = tmp_path / f"x{suffix}", tmp_path / "back.parquet"
    assert run("export", demo_file, "-o", file) == (0, f"36 segments are in {file}.\n", "")
    status, out, _ = run("import", file, "-o", back, *SMALL)
    assert status == 0
    assert ("Tracks are unknown" in out) == (suffix == ".json")
    assert Dataset.read(back).sha256 == demo.sha256


# -- help, usage ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    status, out, _ = run(command, "--help")
    assert status == 0
    assert out.startswith(f"usage: genrekit {command}")
    assert "None" not in out


def test_help_names_every_command_and_the_exit_status(run):
    status, out, _ = run("--help")
    assert status == 0
    assert run()[:2] == (0, out)
    assert all(command in out for command in COMMANDS)
    assert "Exit status: 0 all went well" in out
    assert run("--version")[:2] == (0, f"genrekit {__version__}\n")


@pytest.mark.parametrize(
    "line",
    [
        "sing",
        "preprocess",
        "preprocess x",
        "preprocess x -o y --n-fft many",
        "preprocess x -o y --workers two",
        "train x",
        "train x -o y --keep first",
        "classify",
        "evaluate x",
        "demo-data x --tracks 1.5",
        "demo-data x --progress loud",
    ],
)
def test_usage_errors(run, line):
    status, out, err = run(*shlex.split(line))
    assert status == 2
    assert out == ""
    assert err.startswith("usage: genrekit")


REFUSED = [
    ("preprocess {none} -o {tmp}/d.parquet", "is not a folder"),
    ("preprocess {tmp} -o {tmp}/d.parquet", "no genre folders with audio"),
    ("preprocess {music} -o {tmp}", "is a folder: name a file"),
    ("preprocess {music} -o {none}/d.parquet", "make it first"),
    ("preprocess {music} -o {tmp}/d.parquet --n-fft 4", "n_fft is 4"),
    (
        "preprocess {music} -o {tmp}/d.parquet --segment-seconds nan",
        "segment_seconds is not a number",
    ),
    ("preprocess {music} -o {tmp}/d.parquet --kind chroma", 'features "chroma"'),
    ("preprocess {music} -o {tmp}/d.parquet --track-seconds 1", "1 s of each track cannot be used"),
    ("preprocess {music} -o {tmp}/d.parquet --track-seconds inf", "track_seconds is infinite"),
    ("preprocess {music} -o {tmp}/d.parquet --track-seconds nan", "track_seconds is not a number"),
    (
        "preprocess {music} -o {tmp}/d.parquet --workers 0",
        "workers is 0: use a whole number of at least 1",
    ),
    ("preprocess {music} -o {tmp}/d.parquet --artists {none}", "no such file"),
    ("demo-data {file}", "cannot be written"),
    ("demo-data {file}/x", "cannot be written"),
    ("demo-data {tmp}/m --tracks 0", "tracks_per_style is 0"),
    ("demo-data {tmp}/m --seconds nan", "seconds is not a number"),
    ("demo-data {tmp}/m --seed -1", "seed is -1"),
    ("export {none} -o {tmp}/x.json", "no such file"),
    ("export {file} -o {tmp}/x.json", "not a readable Parquet file"),
    ("export {data} -o {tmp}/x.csv", "must end in .json or .npz"),
    ("export {data} -o {none}/x.json", "cannot be written"),
    ("import {none}.json -o {tmp}/d.parquet", "no such file"),
    ("import {file} -o {tmp}/d.parquet", "must end in .json, .npz or .parquet"),
    ("import {json} -o {tmp}/d.parquet", "state the parameters"),
    ("train {none} -o {tmp}/m", "no such file"),
    ("train {file} -o {tmp}/m", "not a readable Parquet file"),
    ("train {data} -o {file}", "cannot be written"),
    ("train {data} -o {tmp}/m --split album", 'Unknown split "album"'),
    ("train {data} -o {tmp}/m --split {none}.csv", "no such file"),
    ("train {data} -o {tmp}/m --epochs 0", "epochs is 0"),
    ("train {data} -o {tmp}/m --learning-rate nan", "learning_rate is not a number"),
    ("train {data} -o {tmp}/m --network resnet", 'network "resnet"'),
    ("train {data} -o {tmp}/m --seed -1", "seed is -1"),
    ("train {one} -o {tmp}/m", "only one genre"),
    ("evaluate {none} {data}", "There is no model"),
    ("evaluate {model} {none}", "no such file"),
    ("evaluate {model} {data} --split x", 'Unknown split "x"'),
    ("evaluate course-mlp {data}", "were not computed like the model's"),
    ("classify --model {none} {song}", "There is no model"),
    ("classify --model {tmp} {song}", "There is no model"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory, demo_folder, demo_file, demo_bundle, demo, song):
    folder = tmp_path_factory.mktemp("places")
    (folder / "file").write_text("text")
    export_dataset(demo, folder / "course.json")
    rows = demo.labels == 0
    one = Dataset(
        demo.features[rows], demo.labels[rows], demo.genres, demo.params, demo.tracks[rows]
    )
    one.write(folder / "one.parquet")
    return {
        "none": folder / "none",
        "file": folder / "file",
        "json": folder / "course.json",
        "one": folder / "one.parquet",
        "music": demo_folder,
        "data": demo_file,
        "model": demo_bundle,
        "song": song,
    }


@pytest.mark.parametrize(("line", "match"), REFUSED)
def test_refused_commands(run, places, tmp_path, line, match):
    status, out, err = run(*shlex.split(line.format(**places, tmp=tmp_path)))
    assert status == 2
    assert out == ""
    assert err.startswith("genrekit: ")
    assert match in err
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert not any(p.suffix in (".parquet", ".json", ".npz") for p in tmp_path.iterdir())


def test_refused_commands_emit_an_error_event(run, places, tmp_path):
    status, out, err = run(
        "preprocess", places["none"], "-o", tmp_path / "d.parquet", "--progress", "json"
    )
    assert status == 2
    (line,) = objects(out)
    assert line == {"type": "error", "message": err.removeprefix("genrekit: ").strip()}


# -- being stopped ----------------------------------------------------------------------------


def test_stopped_by_the_keyboard(run, monkeypatch, tmp_path, demo_folder):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "build_dataset", stop)
    status, out, err = run("preprocess", demo_folder, "-o", tmp_path / "d.parquet")
    assert (status, out) == (130, "")
    assert err == "genrekit: stopped; what was finished is kept.\n"


def test_a_closed_output_pipe(tmp_path):
    # Enough lines to fill the pipe after its reader has closed it.
    command = [sys.executable, "-m", "genrekit", "demo-data", str(tmp_path / "m")]
    process = subprocess.Popen(
        [*command, "--tracks", "2", "--seconds", "0.2", "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_full_disk_while_composing(tmp_path, run_python):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from genrekit.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = run_python("-c", code, "demo-data", tmp_path / "m", "--tracks", 1, "--seconds", 5)
    assert done.returncode == 2
    assert done.stderr.startswith(f"genrekit: {tmp_path / 'm'} cannot be written: the disk may be")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.flac"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_song_through_a_pipe(run, demo_bundle, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    status, out, _ = run("classify", "--model", demo_bundle, pipe)
    assert status == 1
    assert "save it as a file first" in out
