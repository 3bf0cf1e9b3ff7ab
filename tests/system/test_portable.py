"""What runs where POSIX does not: simulated, as the functions and modules of POSIX are hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import genrekit
from genrekit.audio.synth.rendering import render
from genrekit.isolation import confine
from genrekit.system.portable import POSIX, kill_group, try_lock

PACKAGE = Path(genrekit.__file__).parent
ROOMS = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.stem not in ("__init__", "__main__") and path.parts[-2] != "shipped"
)
# Third parties are imported first: they have substitutes of their own.
WITHOUT_POSIX = """
import asyncio, importlib, logging, os, select, signal, subprocess, sys, tempfile, types
import fcntl as real
import distributed, librosa, loky, pandas, plotly, scipy.signal, sklearn.svm, streamlit
import streamlit.web.cli, torch, uvicorn
for module in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[module] = None
for name in ("killpg", "getpgrp", "nice", "setpriority", "getpriority", "O_DIRECTORY", "O_PATH",
             "sysconf", "readv", "set_blocking", "getuid", "setsid"):
    delattr(os, name)
for name in ("SIGKILL", "pthread_kill"):
    delattr(signal, name)
del select.poll

def locking(file, mode, count):
    try:
        real.flock(file, real.LOCK_EX | real.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(13, "locked") from None

sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
"""


@pytest.fixture
def without_posix(tmp_path):
    """A function that runs code in a Python that has no more of POSIX than Windows has."""

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_POSIX + code],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_every_module_can_be_imported_without_posix(without_posix):
    assert without_posix(f"for name in {ROOMS}: importlib.import_module(name)\nprint('all')")


def test_a_song_is_classified_without_posix(without_posix, tmp_path):
    soundfile.write(tmp_path / "song.wav", render("jazz", seed=1, seconds=8), 22050)
    code = "from genrekit.__main__ import run; sys.argv[1:] = ['classify', 'song.wav', '--json']"
    said = without_posix(f"{code}\nassert run() == 0")
    assert json.loads(said)[0]["file"] == "song.wav"


def test_a_job_is_locked_without_posix_while_its_process_lives(without_posix, tmp_path):
    code = """
import time
from pathlib import Path
from genrekit.app.jobs import process
from genrekit.app.jobs.job import Job, is_locked, read_job
from genrekit.app.jobs.walls import Walls
folder = Path("job"); folder.mkdir()
job = Job(folder, "music", "", (), "", time.time())
once = subprocess.Popen
def popen(command, *, pass_fds, start_new_session, **more):
    assert pass_fds == ()
    return once([sys.executable, "-c", "import time; time.sleep(60)"], **more)
process.subprocess = types.SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL)
walls = Walls(1000, 1000, confined=False)
assert process.start(job, walls) and not process.start(job, walls)
assert is_locked(folder / "lock") and process.is_ours(job)
process.give_way(job)
process.kill(job)
process.wait_until_unlocked(job)
assert not is_locked(folder / "lock")
"""
    without_posix(code)


def test_songs_are_heard_in_the_server_without_posix(without_posix):
    code = """
from genrekit.app import song_workers
from genrekit.isolation.confine import shortcoming
assert song_workers._listeners() == 0
print(shortcoming())
"""
    said = without_posix(code)
    assert said.startswith("On this system the server itself reads visitors' files")
    assert "people you trust" in said


@pytest.mark.skipif(sys.platform != "linux", reason="confinement is Linux's")
@pytest.mark.parametrize("version", [-1, 0, 1, 7])
def test_nothing_is_lacking_on_linux_with_landlock(monkeypatch, version):
    monkeypatch.setattr(confine.libc, "call", lambda *given: version)
    assert ("without Landlock" in confine.shortcoming()) is (version < 1)


def test_elsewhere_the_lack_is_named(monkeypatch):
    monkeypatch.setattr(confine.sys, "platform", "darwin")
    assert "can reach the network" in confine.shortcoming() or not POSIX


def test_a_lock_holds_until_the_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert try_lock(first.fileno())
        assert not try_lock(second.fileno())
        assert not try_lock(second.fileno(), shared=True)
        first.close()
        assert try_lock(second.fileno())


@pytest.mark.skipif(not POSIX, reason="there are neither groups nor niceness")
def test_a_group_is_killed_whole_and_niceness_is_lowered():
    code = "import os, subprocess, sys, time; from genrekit.system.portable import nice; nice(3);"
    code += "print(os.nice(0), flush=True); subprocess.run(['sleep', '60'])"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
    ) as process:
        assert int(process.stdout.readline()) == os.nice(0) + 3
        kill_group(process.pid)
        assert process.wait(10) < 0
        assert process.stdout.read() == b""  # its child has gone as well
