"""Preprocessing on a Dask cluster: the bytes of one machine, whatever happens to the workers."""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from genrekit.cli.main import main
from genrekit.dataset import build
from genrekit.dataset.build import Task, build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.errors import DatasetError, SettingsError
from genrekit.system import cluster

REPOSITORY = Path(__file__).resolve().parents[2]
RATE = 8000
SMALL = shlex.split(
    "--sample-rate 8000 --segment-seconds 1 --n-fft 512 --hop-length 256 --n-mels 24 --n-mfcc 7"
)
if "CI" in os.environ:
    import distributed
else:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Two genres of 20 tracks of noise, and a file that is no audio."""
    folder = tmp_path_factory.mktemp("cluster") / "music"
    rng = np.random.default_rng(0)
    for genre in ("jazz", "rock"):
        (folder / genre).mkdir(parents=True)
        for i in range(20):
            soundfile.write(folder / genre / f"{i:02}.wav", rng.normal(0, 0.1, 3 * RATE), RATE)
    (folder / "rock" / "bad.wav").write_text("no music")
    return folder


@pytest.fixture(scope="module")
def whole(music, small, tmp_path_factory):
    """The dataset that one machine makes."""
    path = tmp_path_factory.mktemp("one") / "data.parquet"
    list(build_dataset(music, path, small, workers=1))
    return path


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """A cluster of two processes on this machine."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=tmp_path_factory.mktemp("scratch"),
        silence_logs=logging.CRITICAL,
    ) as local:
        yield local


def process_ids(local):
    with distributed.Client(local, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def slowly(task, params, track_seconds):
    """Take long enough for each track that others wait."""
    time.sleep(0.05)
    return build.read_track(task, params, track_seconds)


def deadly(task, params, track_seconds):
    """Do to a process what a crashing decoder does."""
    if task.path.parts[-2:] == ("jazz", "07.wav"):
        os._exit(1)
    return build.read_track(task, params, track_seconds)


def test_a_worker_is_killed_and_the_bytes_are_those_of_one_machine(
    music, whole, workers, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(build, "read_track_elsewhere", slowly)
    output = tmp_path / "data.parquet"
    before = process_ids(workers)
    steps = build_dataset(music, output, small, scheduler=workers.scheduler_address)
    done = [next(steps) for _ in range(5)]
    os.kill(before[0], signal.SIGKILL)
    done += steps
    assert output.read_bytes() == whole.read_bytes()
    assert Counter(step.track for step in done).most_common(1)[0][1] == 1
    assert [step.done for step in done] == list(range(1, 42))
    assert [step.track for step in done if step.failed] == ["rock/bad"]
    assert not output.with_name("data.parquet.parts").exists()


def test_a_file_that_kills_every_worker_costs_that_file_only(
    music, workers, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(build, "read_track_elsewhere", deadly)
    monkeypatch.setattr(workers.scheduler, "allowed_failures", 0)
    output = tmp_path / "data.parquet"
    steps = list(build_dataset(music, output, small, scheduler=workers.scheduler_address))
    reasons = {step.track: step.skipped[0].reason for step in steps if step.failed}
    assert set(reasons) == {"jazz/07", "rock/bad"}
    assert reasons["jazz/07"].startswith("Reading it made the decoder crash")
    assert len(Dataset.read(output)) == 39 * 3


def test_finished_work_of_a_stopped_run_is_not_repeated(music, whole, workers, small, tmp_path):
    output = tmp_path / "data.parquet"
    steps = build_dataset(music, output, small, scheduler=workers.scheduler_address)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(steps)
        next(steps)
        steps.close()
    assert not output.exists()
    again = list(build_dataset(music, output, small, workers=1))
    assert sum(step.resumed for step in again) >= 2
    assert output.read_bytes() == whole.read_bytes()


def test_interrupted_from_the_keyboard(music, workers, tmp_path):
    output = tmp_path / "data.parquet"
    command = [sys.executable, "-m", "genrekit", "preprocess", music, "-o", output, *SMALL]
    options = ["--backend", "dask", "--scheduler", workers.scheduler_address]
    process = subprocess.Popen(
        [*command, *options, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        text=True,
    )
    assert '"done": 1' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if process.returncode == 1:  # it was quicker than we
        assert '"done": 41' in out
        return
    assert process.returncode == 130
    assert err == "genrekit: stopped; what was finished is kept.\n"


def test_a_lost_scheduler(music, small, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "read_track_elsewhere", slowly)
    local = distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
        protocol="tcp",
    )
    output = tmp_path / "data.parquet"
    with local:
        steps = build_dataset(music, output, small, scheduler=local.scheduler_address)
        next(steps)
        local.close()
        with pytest.raises(DatasetError, match="The cluster's scheduler is lost .* is kept"):
            list(steps)
    assert output.with_name("data.parquet.parts").exists()


# -- what cannot work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1", "", "tcp://"]
)
def test_no_scheduler_at_the_address(music, tmp_path, monkeypatch, capsys, address):
    monkeypatch.setattr(cluster, "_PATIENCE", 0.5)
    options = ["--backend", "dask", "--scheduler", address]
    assert main(["preprocess", str(music), "-o", str(tmp_path / "d.parquet"), *options]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"genrekit: No Dask scheduler answers at {address} (")
    assert len(err.splitlines()) == 1


def test_a_cluster_without_workers(music, small, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_PATIENCE", 2)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as local,
        pytest.raises(DatasetError, match=r"has no workers: start some with `dask worker "),
    ):
        address = local.scheduler_address
        list(build_dataset(music, tmp_path / "d.parquet", small, scheduler=address))


def test_without_dask(music, small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    steps = build_dataset(music, tmp_path / "d.parquet", small, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"Dask is not installed: pip install -r requirements-"):
        next(steps)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--backend", "dask"], "give both or neither"),
        (["--scheduler", "tcp://127.0.0.1:1"], "give both or neither"),
        (
            ["--backend", "dask", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
            "leave it to the cluster",
        ),
    ],
)
def test_options_that_contradict_each_other(music, tmp_path, capsys, options, match):
    assert main(["preprocess", str(music), "-o", str(tmp_path / "d.parquet"), *options]) == 2
    assert match in capsys.readouterr().err


def test_a_worker_that_does_not_see_the_folder(music, small, tmp_path):
    task = Task(tmp_path / "no" / "x.wav", tmp_path / "no", b"", tmp_path, "run")
    with pytest.raises(DatasetError, match="is not a folder on the worker .*: mount it there"):
        build.read_track_elsewhere(task, small, None)
    seen = task._replace(root=music)
    assert "no such file" in build.read_track_elsewhere(seen, small, None)


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (ModuleNotFoundError("No module named 'genrekit'"), DatasetError, "named 'genrekit'"),
        (RuntimeError("Error during deserialization of it"), DatasetError, "lacks a package"),
        (RuntimeError("some other fault"), RuntimeError, "some other fault"),
    ],
)
def test_a_cluster_without_genrekit(error, expected, said, monkeypatch):
    class Future:
        released = False

        def result(self):
            raise error

        def release(self):
            self.released = True

    future = Future()
    monkeypatch.setattr(distributed, "as_completed", lambda futures, _: iter(futures))
    client = SimpleNamespace(submit=lambda *_, **__: future, loop=None)
    with pytest.raises(expected, match=said):
        list(cluster._results(client, len, ["x"], [0]))
    assert future.released
