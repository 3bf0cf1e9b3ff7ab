"""The walls around jobs: hostile code, hostile files, and clocks that are set."""

import ctypes
import json
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from worker_jobs import NOTHING_REACHED, NOTHING_SEEN

from genrekit.app.jobs import process as job_process
from genrekit.app.jobs import storage
from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import Jobs
from genrekit.app.jobs.walls import SCRATCH, Walls
from genrekit.app.settings import Settings
from genrekit.dataset.formats import export_dataset


def landlock():
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 3


SLOW = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
IMPORT = ["import", "upload.npz", "-o", "data.parquet", "--progress", "json"]
PATIENCE = 240.0

pytestmark = [
    pytest.mark.usefixtures("warm_jobs"),
    pytest.mark.skipif(sys.platform != "linux", reason="Linux has the walls"),
]
filtered = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="no filter for it"
)
needs_landlock = pytest.mark.skipif(not landlock(), reason="a kernel without Landlock")


@pytest.fixture
def make_jobs(tmp_path):
    opened = []

    def make(**settings):
        opened.append(Jobs(Settings(jobs_folder=tmp_path / "jobs", **settings)))
        return opened[-1]

    yield make
    for jobs in opened:
        for job in jobs.all():
            jobs.cancel(job)
        jobs.close()


def add(jobs, *commands, **files):
    folder = jobs.new_folder()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return jobs.add(folder, "dataset", "Test", commands, "me")


def wait(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def messages(job):
    return [event["message"] for event in job.events() if event["type"] == "error"]


HIJACKED = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
import worker_jobs as hostile
from genrekit.app.jobs import run
answers = os.dup(1)
run.genrekit = lambda _: os.write(answers, json.dumps(eval(sys.argv[3])).encode()) and 0
run._emit = lambda _: None
run.main(*sys.argv[1:3])
"""


@pytest.fixture
def hijacked(tmp_path, run_python):
    """A function that tells what hostile code gets in the process of a job."""

    def get(deed, **walls):
        folder = tmp_path / "job"
        folder.mkdir()
        about = {"kind": "", "title": "", "commands": [["import"]], "owner": "", "created": 0.0}
        (folder / "job.json").write_text(json.dumps(about | {"folder": ""}))
        limits = {"memory_megabytes": 4000, "disk_megabytes": 10, "confined": True} | walls
        given = (folder, Walls(**limits).to_text(), deed, Path(__file__).parents[1])
        done = run_python("-c", HIJACKED, *given, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return get


@filtered
def test_a_hijacked_job_reaches_no_network_no_program_and_no_other_process(hijacked):
    assert hijacked("hostile.reach_out(os.getppid())") == NOTHING_REACHED


@needs_landlock
def test_a_hijacked_job_changes_only_its_own_folder(hijacked, tmp_path):
    (tmp_path / "there").write_text("kept")
    found = hijacked(f"Path('mine').write_text('written') and hostile.change('{tmp_path}')")
    assert set(found.values()) == {"PermissionError"}
    assert (tmp_path / "there").read_text() == "kept"
    assert (tmp_path / "job" / "mine").read_text() == "written"


@needs_landlock
def test_a_hijacked_job_does_not_reach_into_the_server(hijacked):
    assert hijacked("hostile.spy(os.getppid())") == NOTHING_SEEN


@needs_landlock
def test_a_hijacked_job_reads_only_its_code_its_folder_and_its_input(hijacked, tmp_path):
    for name in ("input", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_text("of a visitor")
    places = [str(tmp_path / name) for name in ("job", "input/data", "other/data", "other", ".")]
    found = hijacked(f"hostile.read(*{places})", readable=(str(tmp_path / "input"),))
    assert found == ["done", "done", *["PermissionError"] * 3]


def test_the_input_of_a_job_is_what_its_commands_name(make_jobs, monkeypatch):
    jobs = make_jobs(mode="public")
    folder = jobs.new_folder()
    command = [
        "train",
        f"../{'x' * 22}/data.parquet",
        "--about",
        "../../secrets",
        "..",
        "--progress",
        "json",
    ]
    job = Job(folder, "model", "", (tuple(command),), "me", 0.0)
    models, *inputs = jobs._walls(job).readable
    assert Path(models, "everyday").is_dir()
    assert inputs == [str(jobs.root / ("x" * 22))]


def test_a_job_has_limits(hijacked, tmp_path):
    found = hijacked("{**hostile.limits(), 'large': hostile.outcome_of_large(11_000_000)}")
    assert found["data"][0] == 4000e6
    assert found["file"][0] == 10e6
    assert found["large"] == "OSError"
    assert found["core"][0] == 0
    assert found["oom"].strip() == "1000"
    assert found["folder"] == str(tmp_path / "job" / SCRATCH)


def test_memory_beyond_the_limit_is_refused(hijacked):
    found = hijacked("[hostile.allocate(100_000_000), hostile.allocate(5_000_000_000)]")
    assert found == ["done", "MemoryError"]


def test_jobs_are_confined_in_public_and_have_none_of_the_servers_secrets(make_jobs, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_COOKIE_SECRET", "a secret")
    asked = []
    start = job_process.start
    monkeypatch.setattr(job_process, "start", lambda *given: asked.append(given) or start(*given))
    for mode in ("local", "public"):
        jobs = make_jobs(mode=mode, jobs_per_visitor=9)
        job = add(jobs, SLOW)
        wait(lambda job=job: job.events())
        process = int((job.folder / "started").read_text())
        status = Path(f"/proc/{process}/status").read_text()
        assert ("Seccomp:\t2" in status) is (mode == "public")
        jobs.cancel(job)
        jobs.close()
    (local, ours), (public, theirs) = asked
    assert not ours.confined
    assert theirs.confined
    assert "STREAMLIT_SERVER_COOKIE_SECRET" in job_process._environment(local, ours)
    assert "a secret" not in job_process._environment(public, theirs).values()


def test_what_strangers_send_is_inspected_prepared_and_imported_in_public(
    make_jobs, demo, demo_folder, tmp_path
):
    jobs = make_jobs(mode="public", jobs_per_visitor=9)
    music = jobs.new_folder()
    shutil.copytree(demo_folder, music / "audio")
    audio = f"../{music.name}/audio"
    prepare = ["preprocess", audio, "-o", "data.parquet", "--segment-seconds", "1"]
    look = ["inspect", audio, "-o", "inspection.json"]
    first = add(jobs, [*prepare, "--progress", "json"], [*look, "--progress", "json"])
    wait(lambda: not first.active)
    assert first.status == "done", first.log()
    data = f"../{first.id}/data.parquet"
    quick = ["--network", "mlp", "--epochs", "1", "--progress", "json"]
    export_dataset(demo, tmp_path / "data.npz")
    others = [
        add(jobs, ["train", data, "-o", "model", *quick]),
        add(jobs, ["leak-meter", data, "-o", "leak.json", *quick]),
        add(jobs, IMPORT, **{"upload.npz": (tmp_path / "data.npz").read_bytes()}),
    ]
    for job in others:
        wait(lambda job=job: not job.active)
        assert job.status == "done", job.log()


def test_a_job_that_fills_the_disk_is_ended_in_a_sentence(make_jobs):
    jobs = make_jobs(job_megabytes=1)
    job = add(jobs, SLOW)
    wait(lambda: job.status == "failed")
    assert messages(job) == [
        "This took more than the 1 MB of disk space that a visitor has: give it less at a time."
    ]
    job_process.wait_until_unlocked(job)
    assert storage.bytes_below(job.folder) < 30e6
    jobs.resume(job)
    wait(lambda: job.status == "failed" and messages(job))


def test_a_clock_that_is_set_back_gives_a_job_no_more_time(make_jobs):
    jobs = make_jobs(job_minutes=0.05)
    job = add(jobs, SLOW)
    wait(lambda: job.status == "running" and job.events())
    later = time.time() + 3600
    os.utime(job.folder / "started", (later, later))
    wait(lambda: job.status == "timed out")


@pytest.mark.parametrize(
    ("number", "says"),
    [(signal.SIGKILL, "The system ended this, most"), (signal.SIGSEGV, "This crashed, over")],
)
def test_a_killed_job_says_why(make_jobs, number, says):
    job = add(make_jobs(), SLOW)
    wait(lambda: job.status == "running" and job.events())
    os.kill(int((job.folder / "started").read_text()), number)
    wait(lambda: messages(job))
    assert messages(job)[0].startswith(says)
    assert job.status == "interrupted"


@pytest.mark.parametrize("name", ["upload.npz", "upload.json", "upload.parquet"])
def test_a_refused_import_says_why(make_jobs, name):
    command = ["import", name, "-o", "data.parquet", "--progress", "json"]
    job = add(make_jobs(), command, **{name: b"no dataset"})
    wait(lambda: not job.active)
    assert job.status == "failed"
    assert messages(job)[0].startswith(name)


def test_every_command_of_a_page_can_say_what_is_wrong():
    """A command that knows no --progress json fails without a sentence."""
    from genrekit.cli.options import parser

    for name in ("demo-data", "inspect", "preprocess", "import", "import-model"):
        given = [name, "in"] if name == "demo-data" else [name, "in", "-o", "out"]
        assert parser().parse_args([*given, "--progress", "json"]).progress == "json"


def test_a_confined_job_starts_no_processes():
    command = ["preprocess", "audio", "-o", "data.parquet"]
    assert Walls(1, 1, confined=True).fitted(command) == [*command, "--workers", "1"]
    assert Walls(1, 1, confined=False).fitted(command) == command
    assert Walls(1, 1, confined=True).fitted(["train", "x"]) == ["train", "x"]
