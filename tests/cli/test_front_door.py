"""What people try first on the command line: folders of songs, tables, models, completion."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

from genrekit.cli import commands, open_app
from genrekit.cli.inputs import dataset_of, songs
from genrekit.cli.main import main
from genrekit.cli.options import parser
from genrekit.dataset.dataset import Dataset
from genrekit.errors import DatasetError
from genrekit.features.presets import PRESETS
from genrekit.model.bundle import load_model


@pytest.fixture
def run(capsys):
    """Run one command in this process: status, standard output, standard error."""

    def command(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return command


def test_a_folder_stands_for_its_songs(tmp_path):
    names = ("b.mp3", "a.WAV", "deep/c.flac", "notes.txt", ".hidden.mp3", ".trash/d.mp3")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    odd = tmp_path / "notes.txt"
    found = songs([odd, tmp_path])
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        *("notes.txt", "a.WAV", "b.mp3", "deep/c.flac")
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty holds no sound files"):
        songs([tmp_path / "empty"])


def test_a_table_of_a_folders_verdicts(run, demo_bundle, demo_folder):
    genre = sorted(demo_folder.iterdir())[0]
    status, out, _ = run("classify", genre, "--csv", "--model", demo_bundle)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0
    assert len(rows) == 4
    _, listed, _ = run("classify", genre, "--json", "--model", demo_bundle)
    for row, verdict in zip(rows, json.loads(listed), strict=True):
        assert row["file"] == verdict["file"]
        assert row["verdict"] == (verdict["genre"] or "not sure")
        assert float(row["seconds"]) == pytest.approx(3, abs=0.1)
    status, _, err = run("classify", genre, "--csv", "--json", "--model", demo_bundle)
    assert status == 2
    assert "give --json or --csv" in err


def test_a_model_is_measured_on_a_folder_as_on_its_dataset(
    run, demo_bundle, demo_folder, demo_file, tmp_path
):
    model = load_model(demo_bundle)
    with dataset_of(demo_folder, model.params) as made:
        assert made.sha256 == Dataset.read(demo_file).sha256
    other = tmp_path / "other"
    shutil.copytree(demo_folder, other)
    shutil.rmtree(sorted(p for p in other.iterdir() if p.is_dir())[0])
    status, out, err = run("evaluate", demo_bundle, other, "--json")
    assert status == 0, err
    measured = json.loads(out)
    assert "The model was trained on" in measured["worth"]
    _, out, _ = run("evaluate", demo_bundle, other)
    assert out.count("precision") == measured["tracks"]
    assert "unknown" not in out
    assert not list(tmp_path.glob("*.parquet*"))


def test_features_like_those_of_a_model(demo_bundle, demo_model):
    given = parser().parse_args(["preprocess", "x", "-o", "y", "--like", str(demo_bundle)])
    assert commands._feature_params(given) == demo_model.params
    given = parser().parse_args(["preprocess", "x", "-o", "y", "--like", "everyday"])
    assert commands._feature_params(given) == PRESETS["everyday"]


def test_the_models_that_ship_are_listed_with_what_each_is_for(run):
    status, out, _ = run("models")
    assert status == 0
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert set(lines) == {"course-mlp", "everyday (the default)", "gtzan-cnn"}
    assert "songs that people bring" in lines["everyday (the default)"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_completed(run, shell):
    status, out, _ = run("completion", shell)
    assert status == 0
    for name in ("classify", "leak-meter", "models"):
        assert name in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_a_command(run, tmp_path):
    (tmp_path / "completion").write_text(run("completion", "bash")[1])
    script = "source ./completion; COMP_WORDS=(genrekit cla); COMP_CWORD=1; _shtab_genrekit"
    script += "; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["classify"]


def test_the_app_is_opened_by_streamlit_with_what_was_asked_for(run, monkeypatch):
    called = []
    monkeypatch.setattr(
        open_app.runpy, "run_module", lambda name, run_name: called.append([name, *sys.argv])
    )
    monkeypatch.setattr(sys, "argv", [])
    assert run("app")[0] == 0
    options = ("--port", 80, "--host", "::1", "--headless", "--", "--server.baseUrlPath", "music")
    assert run("app", *options)[0] == 0
    (name, program, verb, script, *none), (*_, port, host, headless, path, music) = called
    assert (name, program, verb, none) == ("streamlit", "streamlit", "run", [])
    assert script.endswith("streamlit_app.py")
    assert (port, host) == ("--server.port=80", "--server.address=::1")
    assert headless == "--server.headless=True"
    assert (path, music) == ("--server.baseUrlPath", "music")
