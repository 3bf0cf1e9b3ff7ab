"""Jobs: every state, read from the folder alone."""

import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrekit.app.jobs import process as job_process
from genrekit.app.jobs import queue
from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import JobRefused, Jobs
from genrekit.app.jobs.walls import Walls
from genrekit.app.settings import Settings
from genrekit.model.bundle import load_model

QUICK = ["demo-data", "audio", "--tracks", "1", "--seconds", "1", "--progress", "json"]
SLOW = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
SHORT = ["demo-data", "audio", "--tracks", "60", "--seconds", "10", "--progress", "json"]
PATIENCE = 60.0

pytestmark = pytest.mark.usefixtures("warm_jobs")


@pytest.fixture
def make_jobs(tmp_path):
    """A function that opens `Jobs` on one folder, as a server does when it starts."""
    opened = []

    def make(**settings):
        jobs = Jobs(Settings(jobs_folder=tmp_path / "jobs", **settings))
        opened.append(jobs)
        return jobs

    yield make
    for jobs in opened:
        for job in jobs.all():
            jobs.cancel(job)
        jobs.close()


def add(jobs: Jobs, *commands: list[str], owner: str = "me") -> Job:
    return jobs.add(jobs.new_folder(), "dataset", "Test", commands or [QUICK], owner)


def wait(condition, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_commands_run_in_turn_and_their_events_are_kept(make_jobs):
    jobs = make_jobs()
    job = add(jobs, QUICK, ["preprocess", "audio", "-o", "data.parquet",
                            "--segment-seconds", "0.5", "--progress", "json"])  # fmt: skip
    wait(lambda: not job.active)
    assert job.status == "done", job.log()
    events = job.events()
    assert [e["name"] for e in events if e["type"] == "step"] == ["demo-data", "preprocess"]
    assert events[-1] == {"type": "exit", "status": 0}
    assert (job.folder / "data.parquet").is_file()
    assert jobs.get(job.id) == job
    assert job.seconds() > 0


def niceness(job: Job) -> int:
    """How much nicer the process of a running job is than this one."""
    process = int((job.folder / "started").read_text())
    return os.getpriority(os.PRIO_PROCESS, process) - os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(("command", "nice"), [(SHORT, 10), (SLOW, 15)])
def test_jobs_give_the_server_the_processors(make_jobs, command, nice):
    job = add(make_jobs(), command)
    wait(lambda: job.status == "running" and job.events())
    assert niceness(job) == nice
    group = Path(f"/proc/{(job.folder / 'started').read_text()}/autogroup")
    if Path("/proc/sys/kernel/sched_autogroup_enabled").is_file() and group.is_file():
        assert group.read_text().rstrip().endswith(f"nice {nice}")


def test_a_job_whose_visitor_is_gone_gives_way_until_he_is_back(make_jobs):
    jobs = make_jobs()
    job = add(jobs, SLOW)
    wait(lambda: job.status == "running" and job.events())
    jobs.note_present({"you"})
    os.utime(job.folder / "job.json")  # nothing but "seen" counts
    assert not job.alone
    jobs.note_present({"me"})
    os.utime(job.folder / "seen", (0, 0))
    assert job.alone
    wait(lambda: niceness(job) == 19)
    jobs.note_present({"me"})
    assert not job.alone
    if os.geteuid() == 0:
        wait(lambda: niceness(job) == 15)


def test_a_command_that_is_refused_fails_with_its_message_and_ends_the_job(make_jobs):
    jobs = make_jobs()
    job = add(jobs, ["preprocess", "nowhere", "-o", "x.parquet", "--progress", "json"], QUICK)
    wait(lambda: not job.active)
    assert job.status == "failed"
    messages = [e["message"] for e in job.events() if e["type"] == "error"]
    assert messages == ["nowhere is not a folder: name the folder that holds the genre folders."]
    assert not (job.folder / "audio").exists()


def test_options_that_do_not_parse_fail_the_job(make_jobs):
    jobs = make_jobs()
    job = add(jobs, ["preprocess", "--nonsense"])
    wait(lambda: not job.active)
    assert job.status == "failed"
    assert "usage" in job.log()


def test_cancelled_jobs_die_at_once_and_can_be_resumed(make_jobs):
    jobs = make_jobs()
    job = add(jobs, SLOW)
    wait(lambda: len(job.events()) > 2)
    jobs.cancel(job)
    assert job.status == "cancelled"
    wait(lambda: not alive(job))
    jobs.resume(job)
    wait(lambda: job.status == "running")


def same_tracks(folder: Path, each: int, seconds: float) -> None:
    """Two genres of `each` tracks, all the same file."""
    for genre, tone in (("high", 880), ("low", 110)):
        (folder / genre).mkdir(parents=True)
        first = folder / genre / "0.wav"
        sound = np.sin(np.arange(round(seconds * 22050)) * tone / 3500)
        soundfile.write(first, sound, 22050)
        for number in range(1, each):
            first.with_stem(str(number)).hardlink_to(first)


def test_a_killed_job_is_interrupted_and_can_be_resumed(make_jobs, tmp_path):
    jobs = make_jobs()
    same_tracks(tmp_path / "audio", 200, 1)
    command = ["preprocess", str(tmp_path / "audio"), "-o", "data.parquet", "--workers", "1"]
    job = add(jobs, [*command, "--segment-seconds", "1", "--progress", "json"])
    wait(lambda: sum("segments" in event for event in job.events()) > 5)
    os.kill(int((job.folder / "started").read_text()), signal.SIGKILL)
    wait(lambda: job.status != "running")
    assert job.status == "interrupted"
    finished = sum("segments" in event for event in job.events())
    assert finished > 5
    jobs.resume(job)
    wait(lambda: not job.active)
    assert job.status == "done", job.log()
    tracks = [event for event in job.events() if "segments" in event]
    assert sum(event["resumed"] for event in tracks) >= finished - 1


def test_a_restarted_server_finds_running_waiting_and_finished_jobs(make_jobs):
    first = make_jobs(jobs_per_visitor=3)
    done = add(first)
    wait(lambda: done.status == "done")
    running, waiting = add(first, SLOW), add(first, SLOW)
    wait(lambda: running.status == "running")
    first.close()
    second = make_jobs(jobs_per_visitor=3)
    states = {job.id: job.status for job in second.all()}
    assert states == {done.id: "done", running.id: "running", waiting.id: "waiting"}
    second.cancel(running)
    wait(lambda: waiting.status == "running")


def test_a_job_whose_server_was_killed_while_it_started_it_runs_once(make_jobs):
    """Its process holds the lock, but its id was not written yet."""
    first = make_jobs()
    first.close()
    job = add(first)
    with (job.folder / "lock").open("w") as lock, (job.folder / "events.jsonl").open("ab") as out:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "genrekit.app.jobs.run",
                str(job.folder),
                Walls(4000, 1000, False).to_text(),
            ],
            cwd=Path(__file__).parents[2],
            stdout=out,
            pass_fds=[lock.fileno()],
            start_new_session=True,
        )
    assert job.status == "running"
    second = make_jobs(jobs_at_once=2)
    other = add(second, owner="you")
    assert process.wait(PATIENCE) == 0
    wait(lambda: other.status == "done")
    assert job.status == "done"
    assert [event["type"] for event in job.events()].count("exit") == 1


def test_a_server_that_holds_the_queue_does_not_block_the_others(make_jobs, monkeypatch):
    """Such as one that is suspended, or waits for its disk."""
    monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.1)
    monkeypatch.setattr(queue, "_HASTY_SECONDS", 0.1)
    jobs = make_jobs()
    jobs.close()
    waiting = add(jobs)
    with (jobs.root / "queue.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        other = make_jobs()
        folder = other.new_folder()
        for ask in (
            lambda: other.add(folder, "dataset", "Test", [QUICK], "me"),
            lambda: other.cancel(waiting),
        ):
            with pytest.raises(JobRefused, match="too busy to take this: try again in a minute"):
                ask()
        assert not folder.exists()
        make_jobs().shut_down()
        assert other.alive
    other._wake.set()
    wait(lambda: waiting.status == "done")


def test_a_job_that_cannot_start_fails_and_blocks_no_other(make_jobs, monkeypatch):
    jobs = make_jobs(jobs_per_visitor=2)
    jobs.close()
    bad, good = add(jobs), add(jobs)
    start = subprocess.Popen

    def refuse(command, **options):
        if str(bad.folder) in command:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return start(command, **options)

    with monkeypatch.context() as patch:
        patch.setattr(job_process.subprocess, "Popen", refuse)
        jobs = make_jobs(jobs_per_visitor=2)
        wait(lambda: bad.status == "failed" and good.status == "done")
        messages = [event["message"] for event in bad.events() if event["type"] == "error"]
        assert messages == ["The server could not start this: try again in a few minutes."]
    jobs.resume(bad)
    wait(lambda: bad.status == "done")


def test_scheduling_survives_a_faulty_job(make_jobs, monkeypatch):
    jobs = make_jobs()
    jobs.close()
    job, odd = add(jobs, owner="me"), add(jobs, owner="you")
    (odd.folder / "started").touch()
    (odd.folder / "events.jsonl").write_text('{"type": "exit"}\n')
    assert odd.status == "failed"
    tries = []

    def fail(_):
        tries.append(True)
        raise ValueError("no such thing")

    monkeypatch.setattr(Jobs, "_clean", fail)
    monkeypatch.setattr(queue, "_CLEAN_SECONDS", -1)
    jobs = make_jobs()
    wait(lambda: job.status == "done")
    assert tries
    assert jobs.alive


def test_jobs_wait_in_order_with_their_place_and_their_time(make_jobs):
    jobs = make_jobs(jobs_at_once=1, jobs_per_visitor=5)
    first, second, third = add(jobs, SLOW), add(jobs, SLOW), add(jobs, SLOW)
    wait(lambda: first.status == "running")
    assert (second.status, third.status) == ("waiting", "waiting")
    (before, soon), (two, late) = map(jobs.place_in_queue, (second, third))
    assert (before, two) == (0, 1)
    assert 100 < soon < late
    jobs.cancel(first)
    wait(lambda: second.status == "running")
    assert third.status == "waiting"


def test_a_short_job_runs_beside_a_long_one(make_jobs):
    jobs = make_jobs(jobs_at_once=1, jobs_per_visitor=5)
    long, waiting = add(jobs, SLOW), add(jobs, SLOW)
    short = add(jobs)
    wait(lambda: short.status == "done")
    assert (long.status, waiting.status) == ("running", "waiting")


def test_visitors_have_a_quota_and_the_queue_a_limit(make_jobs):
    jobs = make_jobs(jobs_per_visitor=1, jobs_waiting=2)
    mine = add(jobs, SLOW)
    wait(lambda: mine.status == "running")
    with pytest.raises(JobRefused, match="You have 1 job under way already: wait"):
        add(jobs)
    add(jobs, owner="you")
    add(jobs, owner="they")
    with pytest.raises(JobRefused, match="The server has 3 jobs to do already, and takes no more"):
        add(jobs, owner="who")
    assert len(list(jobs.root.glob("*/"))) == 3, "a refused job leaves no folder behind"


def test_an_address_may_fill_half_of_the_queue(make_jobs):
    """Whoever throws the cookie away is another visitor, at the same address."""
    jobs = make_jobs(jobs_per_visitor=1, jobs_waiting=4)
    jobs.close()

    def ask(owner: str, address: str) -> Job:
        return jobs.add(jobs.new_folder(), "dataset", "Test", [SLOW], owner, address)

    mine = [ask(f"new visitor {n}", "there") for n in range(3)]
    with pytest.raises(JobRefused, match="Your network has 3 jobs under way already"):
        ask("another new visitor", "there")
    theirs = ask("you", "elsewhere")
    assert jobs.place_in_queue(theirs)[0] == 1, "and turns go by address"
    for job in mine:
        jobs.cancel(job)
    with pytest.raises(JobRefused, match="You have 1 job under way"):
        ask("you", "there")


def test_short_jobs_one_after_another_are_limited_by_address(make_jobs, monkeypatch):
    monkeypatch.setattr(queue, "STARTS_OF_ADDRESS", (0.001, 3.0))
    jobs = make_jobs()
    jobs.close()

    def ask(address: str) -> Job:
        job = jobs.add(jobs.new_folder(), "dataset", "Test", [QUICK], "a name", address)
        jobs.cancel(job)
        return job

    for _ in range(3):
        job = ask("there")
    for again in (lambda: ask("there"), lambda: jobs.resume(job)):
        with pytest.raises(JobRefused, match="Many jobs were started from your network") as refused:
            again()
        assert refused.value.reason == "rate of address"
    ask("elsewhere")


def test_a_job_of_an_older_server_has_no_address(make_jobs):
    jobs = make_jobs()
    jobs.close()
    job = add(jobs)
    about = json.loads((job.folder / "job.json").read_text())
    del about["address"]
    (job.folder / "job.json").write_text(json.dumps(about))
    assert jobs.get(job.id) == job


def test_jobs_that_can_start_are_accepted_without_a_queue(make_jobs):
    jobs = make_jobs(jobs_waiting=0, jobs_at_once=2)
    add(jobs, SLOW, owner="you")
    add(jobs, SLOW, owner="they")
    with pytest.raises(JobRefused, match="The server has 2 jobs to do already"):
        add(jobs, owner="who")


def test_a_job_over_its_time_is_stopped(make_jobs):
    jobs = make_jobs(job_minutes=0.03)
    job = add(jobs, SLOW)
    wait(lambda: job.status == "timed out")
    wait(lambda: not alive(job))


def test_expired_jobs_are_removed_but_not_active_ones(make_jobs):
    jobs = make_jobs(job_keep_hours=1)
    old, new = add(jobs), add(jobs)
    wait(lambda: not old.active and not new.active)
    never_begun = jobs.new_folder()
    for path in (never_begun, *old.folder.rglob("*"), old.folder):
        os.utime(path, (0, 0))
    jobs._clean()
    assert jobs.get(old.id) is None
    assert not never_begun.exists()
    assert jobs.get(new.id) == new


@pytest.mark.parametrize("job_id", ["", "../..", "a" * 22 + "/..", "x", "." * 22, "é" * 22])
def test_an_invalid_id_finds_no_job(make_jobs, job_id):
    assert make_jobs().get(job_id) is None


def test_no_id_leads_out_of_the_jobs_folder(make_jobs, tmp_path):
    jobs = make_jobs()
    about = {"kind": "model", "title": "x", "commands": [], "owner": "me", "created": 0.0}
    inside, outside = jobs.new_folder(), tmp_path / "elsewhere"
    outside.mkdir()
    for folder in (inside, outside):
        (folder / "job.json").write_text(json.dumps(about))
    assert jobs.get(inside.name) is not None
    for job_id in ("../elsewhere", str(outside), f"{inside.name}/../../elsewhere"):
        assert jobs.get(job_id) is None


def test_ids_cannot_be_guessed_and_folders_are_the_servers_alone(make_jobs):
    jobs = make_jobs()
    folders = [jobs.new_folder() for _ in range(100)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (jobs.root, *folders)} == {0o700}
    # Of 64 signs that may stand at a place about 50 do; only the last has fewer.
    places = list(zip(*(folder.name for folder in folders), strict=True))
    assert min(len(set(signs)) for signs in places[:21]) > 30


def test_resuming_counts_against_the_quota(make_jobs):
    jobs = make_jobs(jobs_per_visitor=1)
    first = add(jobs, SLOW)
    jobs.cancel(first)
    add(jobs, SLOW)
    with pytest.raises(JobRefused, match="under way already"):
        jobs.resume(first)
    assert first.status == "cancelled"


def test_a_stopping_server_accepts_no_new_jobs(make_jobs):
    jobs = make_jobs()
    job = add(jobs)
    wait(lambda: not job.active)
    jobs.shut_down()
    for ask in (jobs.new_folder, lambda: jobs.resume(job)):
        with pytest.raises(JobRefused, match="is being restarted"):
            ask()


def test_cancelling_kills_all_processes_of_a_job(make_jobs, tmp_path):
    jobs = make_jobs()
    same_tracks(tmp_path / "audio", 300, 6)
    prepare = ["preprocess", str(tmp_path / "audio"), "-o", "data.parquet", "--workers", "2"]
    job = add(jobs, [*prepare, "--progress", "json"])
    wait(lambda: any("segments" in event for event in job.events()))
    group = int((job.folder / "started").read_text())
    jobs.cancel(job)
    assert job.status == "cancelled", "it was at work still"

    def ended():
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait(ended)


def test_a_reused_process_id_is_not_killed(make_jobs):
    jobs = make_jobs()
    jobs.close()
    job = add(jobs)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        (job.folder / "started").write_text(str(other.pid))
        (job.folder / "where").write_text(job_process._here())
        (job.folder / "lock").touch()
        job_process.kill(job)
        time.sleep(0.2)
        lives = other.poll() is None
        other.kill()
    assert lives


def test_lines_that_are_not_events_are_skipped(make_jobs):
    jobs = make_jobs()
    job = add(jobs)
    wait(lambda: not job.active)
    with (job.folder / "events.jsonl").open("a") as file:
        file.write('warning: noise\n{"no": "type"}\n[1]\n{"type": "half')
    assert job.events()[-1]["type"] == "exit"


def alive(job: Job) -> bool:
    try:
        os.kill(int((job.folder / "started").read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_settings_come_from_the_environment():
    settings = Settings.from_environment({"GENREKIT_JOBS_AT_ONCE": "3"})
    assert settings.jobs_at_once == 3


@pytest.mark.parametrize("value", ["0", "x", "1.5", "nan", "-1", "1000"])
def test_a_wrong_setting_is_refused_by_name(value):
    from genrekit.errors import SettingsError

    with pytest.raises(SettingsError, match=r"GENREKIT_JOBS_AT_ONCE is .*: use a number from 1"):
        Settings.from_environment({"GENREKIT_JOBS_AT_ONCE": value})


def test_training_stopped_early_keeps_the_model(make_jobs, demo_file):
    jobs = make_jobs()
    train = ["train", str(demo_file), "-o", "model", "--epochs", "10000", "--progress", "json"]
    job = add(jobs, train)
    wait(lambda: sum(event["type"] == "epoch" for event in job.events()) > 3)

    def stopped() -> bool:
        jobs.stop_early(job)  # as often as somebody presses the button
        return not job.active

    wait(stopped)
    assert job.status == "done", job.log()
    epochs = [event for event in job.events() if event["type"] == "epoch"]
    card = load_model(job.folder / "model").card
    assert card["training"]["kept_epoch"] == len(epochs) < 10000
