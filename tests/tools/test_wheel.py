"""The wheel, as people install it: its app, its models and its pages, far from the repository."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import soundfile

from genrekit.audio.synth.rendering import render

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution: it holds all that the build needs."""
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory):
    """An installation, in a folder of its own; packages of others are this Python's."""
    folder = tmp_path_factory.mktemp("installed")
    quiet = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    python("-m", "pip", "install", *quiet, "--target", folder, wheel)
    return folder


@pytest.fixture
def outside(place, tmp_path):
    """Options of a process in another folder, for which the repository is not there."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("GENREKIT_")}
    environment |= {"PYTHONPATH": str(place), "XDG_DATA_HOME": str(tmp_path / "data")}
    return {"cwd": tmp_path, "env": environment | {"OMP_NUM_THREADS": "1"}}


def python(*arguments, **options):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Every page is drawn, and a job runs in its process.
IN_THE_APP = """
import time
from streamlit.testing.v1 import AppTest
from genrekit.app import session
from genrekit.system.shipped import shipped_folder

pages = shipped_folder() / "pages"
at = AppTest.from_file(str(pages / "frame.py"), default_timeout=60).run()
for page in sorted(pages.glob("*/*.py")):
    at.switch_page(page.relative_to(pages).as_posix()).run()
    assert not at.exception, page
jobs = session.jobs()
command = "demo-data music --tracks 1 --seconds 2 --progress json".split()
job = jobs.add(jobs.new_folder(), "music", "demo", [command], "somebody")
while job.active:
    time.sleep(0.1)
jobs.close()
print(job.status, len(list(job.folder.glob("music/*/*.flac"))))
"""


def test_the_wheel_has_the_apps_files_and_no_scripts_that_made_them(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name.removeprefix("genrekit/shipped/") for name in names if "/shipped/" in name}
    models = {name.split("/")[1] for name in shipped if name.startswith("models/")}
    assert models == {"course-mlp", "everyday", "gtzan-cnn"}
    assert {"streamlit_app.py", ".streamlit/config.toml", "pages/frame.py"} <= shipped
    repositorys = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("pages/**/*") if p.is_file()}
    assert {n for n in repositorys if "__pycache__" not in n} <= shipped
    assert not [
        name for name in shipped if name.startswith(("models", "examples")) and ".py" in name
    ]
    code = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("genrekit/**/*") if p.is_file()}
    assert {name for name in code if "__pycache__" not in name} <= set(names)


def test_the_wheel_allows_other_versions_than_those_it_was_tested_with(wheel):
    with zipfile.ZipFile(wheel) as archive:
        about = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        needs = archive.read(about).decode().split("\n\n")[0].splitlines()
    needs = [line.split(": ")[1] for line in needs if line.startswith("Requires-Dist")]
    ours = (ROOT / "requirements.txt").read_text().splitlines()
    assert len([one for one in needs if "extra" not in one]) == sum("==" in line for line in ours)
    assert all("~=" in one for one in needs)


def test_the_commands_of_an_installation_need_no_file_of_the_repository(place, outside, tmp_path):
    assert "classify" in python("-m", "genrekit", "--help", **outside)
    soundfile.write(tmp_path / "song.wav", render("jazz", seed=1, seconds=8), 22050)
    said = python("-m", "genrekit", "classify", "song.wav", "--json", **outside)
    assert json.loads(said)[0]["file"] == "song.wav"
    code = "import genrekit; print(genrekit.__file__)"
    assert Path(python("-c", code, **outside).strip()).is_relative_to(place)


def test_the_app_of_an_installation_gets_ready(outside, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", port, "--headless", "--", "--logger.level", "error")
    command = [sys.executable, "-m", "genrekit", "app", *map(str, options)]
    with (tmp_path / "log.txt").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **outside)
    try:
        assert ready(port, server), (tmp_path / "log.txt").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/classify", timeout=10) as page:
            assert page.status == 200
    finally:
        server.terminate()
        server.wait(20)
    assert (tmp_path / "data" / "genrekit" / "jobs").is_dir()


def test_the_pages_and_jobs_of_an_installation_work(outside):
    outside["env"]["GENREKIT_LISTENERS"] = "0"
    assert python("-c", IN_THE_APP, **outside).split() == ["done", "12"]


def ready(port, server):
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            return (
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200
            )
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False
