"""Disk space of jobs: what is removed, what never is, and what crashes leave behind."""

import io
import os
import shutil
import signal
import time
import zipfile
from collections import namedtuple

import pytest
from page_tools import button, texts

from genrekit.app import session
from genrekit.app.jobs import storage
from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import JobRefused, Jobs
from genrekit.app.settings import Settings, settings

MEGABYTE = 1_000_000
RUN = [["demo-data", "audio"]]
STATE = ("job.json", "where", "server", "started", "stopped", "finished")


@pytest.fixture
def make_jobs(tmp_path):
    """A function that opens `Jobs` that start nothing: queued jobs stay queued."""
    opened = []

    def make(**settings):
        jobs = Jobs(Settings(jobs_folder=tmp_path / "jobs", **settings))
        jobs.close()
        opened.append(jobs)
        return jobs

    return make


def queue(jobs: Jobs, megabytes: float = 0, owner: str = "me", commands=RUN) -> Job:
    folder = jobs.new_folder()
    (folder / "audio").mkdir()
    (folder / "audio" / "song.wav").write_bytes(b"0" * round(megabytes * MEGABYTE))
    return jobs.add(folder, "dataset", "Test", commands, owner)


def finish(job: Job, age: float = 0.0) -> Job:
    """Make a job look finished, created so many seconds earlier."""
    (job.folder / "started").write_text("1")
    (job.folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    about = (job.folder / "job.json").read_text()
    (job.folder / "job.json").write_text(
        about.replace(f'"created": {job.created}', f'"created": {job.created - age}')
    )
    assert job.status == "done"
    return job


def there(*jobs: Job) -> list[bool]:
    return [job.folder.exists() for job in jobs]


def test_the_size_of_a_folder_excludes_links(tmp_path):
    (tmp_path / "in" / "side").mkdir(parents=True)
    (tmp_path / "in" / "one").write_bytes(b"0" * 1000)
    (tmp_path / "in" / "side" / "two").write_bytes(b"0" * 234)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "much").write_bytes(b"0" * 50_000)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "song").symlink_to(tmp_path / "out" / "much")
    assert 1234 <= storage.bytes_below(tmp_path / "in") < 5000


def test_the_oldest_results_are_removed_first(make_jobs):
    jobs = make_jobs(jobs_megabytes=5, job_megabytes=5)
    middle, oldest, newest = (
        finish(queue(jobs, 1.5, owner), age) for owner, age in (("a", 200), ("b", 300), ("c", 100))
    )
    fourth = queue(jobs, 1, "d")
    assert there(oldest, middle, newest, fourth) == [False, True, True, True]


def test_active_jobs_and_what_they_read_are_never_removed(make_jobs):
    jobs = make_jobs(jobs_megabytes=4, job_megabytes=4)
    music = finish(queue(jobs, 1.5, "a"), 500)
    idle = finish(queue(jobs, 1, "b"), 100)
    reading = queue(jobs, 0.5, "a", [["preprocess", f"../{music.id}/audio", "-o", "x.parquet"]])
    assert reading.status == "waiting"
    late = queue(jobs, 1.5, "c")
    assert there(music, idle, reading, late) == [True, False, True, True]


def test_jobs_are_refused_when_only_active_ones_are_left(make_jobs):
    jobs = make_jobs(jobs_megabytes=4, job_megabytes=4, jobs_per_visitor=5)
    small = finish(queue(jobs, 0.5, "b"), 100)
    waiting = queue(jobs, 3, "a")
    before = set(jobs.root.iterdir())
    with pytest.raises(JobRefused, match="has no room for more work now: try again later"):
        queue(jobs, 2, "c")
    assert there(small, waiting) == [True, True]
    assert set(jobs.root.iterdir()) == before, "what was refused has gone"


def test_one_visitor_cannot_take_the_space_of_others(make_jobs):
    jobs = make_jobs(jobs_megabytes=100, job_megabytes=2, jobs_per_visitor=5, job_keep_hours=6)
    finish(queue(jobs, 1.2))
    with pytest.raises(JobRefused, match="takes 1.0 MB, and there is room for 0.8 MB.* 6 hours"):
        queue(jobs, 1)
    assert jobs.room("me") == pytest.approx(0.8 * MEGABYTE, abs=1000)
    assert jobs.room("you") == 2 * MEGABYTE
    queue(jobs, 1, "you")


def test_one_address_cannot_take_the_space_of_others(make_jobs):
    jobs = make_jobs(jobs_megabytes=4.2, job_megabytes=1.5, jobs_per_visitor=5)

    def finished(owner: str, address: str) -> Job:
        folder = jobs.new_folder()
        (folder / "audio").write_bytes(b"0" * MEGABYTE)
        return finish(jobs.add(folder, "dataset", "Test", RUN, owner, address))

    kept = finished("you", "elsewhere")
    for owner in ("a", "b"):
        finished(owner, "there")
    with pytest.raises(JobRefused, match="or others on your network"):
        finished("c", "there")
    assert jobs.room("c", "there") < 0.1 * MEGABYTE < jobs.room("c", "elsewhere")
    assert there(kept) == [True]


def test_results_that_grew_too_large_are_removed_by_cleaning(make_jobs):
    jobs = make_jobs(jobs_megabytes=3.5, job_megabytes=3.5)
    old, new = finish(queue(jobs, 1, "a"), 200), finish(queue(jobs, 1, "b"), 100)
    (new.folder / "grown").write_bytes(b"0" * 2 * MEGABYTE)
    (new.folder / "events.jsonl").touch()  # as the job that writes does at its end
    jobs._clean()
    assert there(old, new) == [False, True]


def test_a_result_that_is_still_read_does_not_expire(make_jobs):
    jobs = make_jobs(job_keep_hours=1)
    music, other = finish(queue(jobs, 0, "a")), finish(queue(jobs, 0, "b"))
    queue(jobs, 0, "a", [["preprocess", f"../{music.id}/audio"]])
    for job in (music, other):
        for path in (*job.folder.rglob("*"), job.folder):
            os.utime(path, (0, 0))
    jobs._clean()
    assert there(music, other) == [True, False]


def test_a_nearly_full_disk_accepts_no_new_jobs(make_jobs, monkeypatch):
    jobs = make_jobs(free_megabytes=100)
    job = finish(queue(jobs))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 99 * MEGABYTE))
    for ask in (jobs.new_folder, lambda: jobs.resume(job)):
        with pytest.raises(JobRefused, match="disk is nearly full"):
            ask()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 101 * MEGABYTE))
    queue(jobs)


def test_leftovers_of_a_crash_are_removed_at_the_start(make_jobs):
    jobs = make_jobs()
    job, working = finish(queue(jobs)), queue(jobs, owner="you")
    parts = job.folder / "data.parquet.parts"
    parts.mkdir()
    keep = [parts / "1-2.parts", job.folder / "audio" / "song.new", job.folder / "audio" / "a.tmp"]
    leave = [
        job.folder / ".data.parquet.4711.tmp",
        job.folder / "audio" / ".jazz.00001.flac.4711.part",
        *(job.folder / f".{name}.4711.tmp" for name in STATE),
        jobs.root / ".trial.4711.140000.tmp",
        working.folder / ".inspection.json.12.tmp",
    ]
    for path in (*keep, *leave):
        path.touch()
    half_made = job.folder / ".download-x1y2"
    half_made.mkdir()
    (half_made / "data.json").touch()
    (job.folder / ".upload-x1y2" / "jazz").mkdir(parents=True)
    fresh, abandoned, foreign = jobs.new_folder(), jobs.new_folder(), jobs.root / "lost+found"
    foreign.mkdir()
    (abandoned / ".upload-abc").mkdir()
    writing, trying = job.folder / ".model.json.4712.tmp", jobs.root / ".trial.1.1.tmp"
    writing.touch()
    trying.touch()
    minutes_ago = time.time() - 120
    leave += [half_made / "data.json", half_made]
    leave += [job.folder / ".upload-x1y2" / "jazz", job.folder / ".upload-x1y2"]
    for path in leave:
        os.utime(path, (minutes_ago, minutes_ago))
    for path in (abandoned / ".upload-abc", abandoned, foreign):
        os.utime(path, (0, 0))
    make_jobs()
    assert [path for path in leave if path.exists()] == []
    assert [path for path in (*keep, fresh, foreign, writing, trying) if not path.exists()] == []
    assert not abandoned.exists()


def test_folders_of_running_jobs_are_skipped(tmp_path):
    job = tmp_path / ("r" * 22)
    job.mkdir()
    file = job / ".data.parquet.1.tmp"
    file.touch()
    os.utime(file, (0, 0))
    ids = frozenset({job.name})
    assert storage.remove_leftovers(tmp_path, ids, ids) == 0
    assert file.exists()
    assert storage.remove_leftovers(tmp_path, frozenset(), ids) == 1
    assert not file.exists()


def test_targets_of_links_are_not_touched(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "jobs"
    file = outside / ".data.parquet.1.tmp"
    job, link = root / ("j" * 22), root / ("k" * 22)
    outside.mkdir()
    job.mkdir(parents=True)
    file.touch()
    for one in (link, job / ".upload-x"):
        one.symlink_to(outside, target_is_directory=True)
    for one in (file, outside, job / ".upload-x"):
        os.utime(one, (0, 0), follow_symlinks=False)
    storage.remove_leftovers(root, frozenset(), frozenset({job.name, link.name}))
    assert file.exists()
    assert not (job / ".upload-x").is_symlink()


@pytest.mark.parametrize("source", ["A folder", "Single files"])
def test_every_input_enforces_the_upload_limit(app, monkeypatch, source):
    monkeypatch.setenv("GENREKIT_UPLOAD_MEGABYTES", "0.1")
    settings.cache_clear()
    at = app("build/dataset.py", music_source=source)
    for field in at.text_input:
        field.input("jazz")
    at.file_uploader[0].set_value([("jazz/a.wav", bytes(150_000), "audio/wav")]).run()
    if source == "Single files":
        button(at, "Add them").click().run()
    assert "0.1 MB are the most that can be taken" in texts(at)
    assert [path.name for path in session.jobs().root.iterdir()] == ["queue.lock"]


def test_no_more_is_unpacked_than_a_visitor_may_keep(app, monkeypatch):
    monkeypatch.setenv("GENREKIT_JOB_MEGABYTES", "1")
    settings.cache_clear()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jazz/a.wav", b"abcdefghijklmnop" * 40 + os.urandom(1_200_000))
    at = app("build/dataset.py", music_source="A zip file")
    at.file_uploader[0].set_value(("my.zip", packed.getvalue(), "application/zip")).run()
    assert "The files are too large, over 1 MB unpacked" in texts(at)


def test_a_job_whose_folder_is_removed_ends(tmp_path):
    jobs = Jobs(Settings(jobs_folder=tmp_path / "jobs"))
    slow = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
    job = jobs.add(jobs.new_folder(), "dataset", "Test", [slow], "me")
    deadline = time.monotonic() + 60
    while not any(event["type"] == "track" for event in job.events()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process = int((job.folder / "started").read_text())
    jobs.close()
    job.folder.rename(tmp_path / "gone")
    try:
        while process_lives(process):
            assert time.monotonic() < deadline + 20
            time.sleep(0.1)
    finally:
        if process_lives(process):
            os.killpg(process, signal.SIGKILL)


def process_lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
