"""Worker processes: what a bad file costs. What goes wrong is in worker_jobs.py."""

import contextlib
import ctypes
import logging
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import worker_jobs as jobs

import genrekit
from genrekit.errors import AudioError, GenreKitError
from genrekit.isolation.handle import Handle
from genrekit.isolation.pool import WorkerBusy, WorkerFault, WorkerLost, Workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def landlock():
    return ctypes.CDLL(None).syscall(444, None, 0, 1) >= 3


ROOT = Path(genrekit.__file__).parents[1]
SECONDS = 60.0  # however busy the machine is, nothing here takes as long
MEGABYTES = 300
UNABLE = "cannot listen to songs at the moment"


@pytest.fixture(scope="module")
def pool():
    workers = Workers(2, SECONDS, MEGABYTES, jobs.warm, types=[jobs.Fact])
    assert workers.ready(60)
    yield workers
    workers.close()


@pytest.fixture
def make():
    """A function that makes another pool."""
    made = []

    def new(count=1, seconds=SECONDS, megabytes=MEGABYTES, warm=None, **options):
        made.append(Workers(count, seconds, megabytes, warm, **options))
        return made[-1]

    yield new
    for workers in made:
        workers.close()


def whole_again(workers, count=2):
    """Return whether the pool has all its processes, and each answers."""
    assert workers.ready(60)
    assert len(workers.processes) == count
    for number in range(8):
        assert workers.call(jobs.process, about=str(number)) in workers.processes
    return True


def is_gone(process):
    """Return whether a process neither runs nor is a zombie."""
    return not Path(f"/proc/{process}").exists()


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def asleep():
    """The processes that sleep because a test has asked them to."""
    notes = []
    for folder in Path(tempfile.gettempdir()).glob("genrekit-worker-*"):
        with contextlib.suppress(OSError):  # it may be going
            notes += [note.read_text() for note in folder.rglob("asleep")]
    return [int(process) for process in notes if process]


@contextmanager
def calling(workers, *call):
    """A call in progress, for which the end of the test does not wait."""
    with ThreadPoolExecutor(1) as threads:
        try:
            yield threads.submit(workers.call, *call)
        finally:
            workers.close()


# -- calls ------------------------------------------------------------------------------------


def test_arguments_and_results_pass_through(pool):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = pool.call(jobs.echo, 1, "two", jobs.Fact("a", 0.5), array, named=b"\0")
    assert result["values"][:3] == (1, "two", jobs.Fact("a", 0.5))
    np.testing.assert_array_equal(result["values"][3], array)
    assert result["named"] == {"named": b"\0"}


def test_calls_run_in_another_warm_process(pool):
    assert pool.call(jobs.process) != os.getpid()
    assert pool.call(jobs.remember, "a")[0] == "warm"


def test_a_process_without_calls_rests_and_a_busy_one_does_not(make):
    busy, idle = make(rest=jobs.rest, rest_after=100.0), make(rest=jobs.rest, rest_after=0.1)
    assert busy.call(jobs.remember, "a") == ["a"]
    assert busy.call(jobs.remember, "b") == ["a", "b"]
    idle.call(jobs.remember, "a")

    def rested():
        time.sleep(0.3)
        return idle.call(jobs.remember, "b")[:1] == ["rested"]

    wait_for(rested)


def test_processes_give_way_as_far_as_they_should(make):
    assert make(niceness=4).call(jobs.niceness) == min(19, jobs.niceness() + 4)


def test_threads_that_wait_do_not_wake_each_other(make, monkeypatch):
    looks = []
    take = Workers._take

    def counted(self, number):
        looks.append(number)
        return take(self, number)

    monkeypatch.setattr(Workers, "_take", counted)
    assert make(count=2).ready(60)
    looks.clear()
    time.sleep(1.5)
    assert len(looks) < 20  # a few a second; thousands if each look woke the other thread


def test_an_upload_of_a_hundred_megabytes_arrives_whole(make):
    content = np.random.default_rng(0).bytes(100_000_000)
    workers = make(megabytes=600, seconds=30)
    assert workers.call(jobs.total, content, np.ones(3)) == len(content) + 3
    assert workers.call(jobs.give, 40_000_000) == bytes(40_000_000)


def test_errors_raised_on_purpose_come_back_as_themselves(pool):
    with pytest.raises(AudioError, match=r"^It is empty: copy it again\.$"):
        pool.call(jobs.raise_audio, "It is empty: copy it again.")
    with pytest.raises(GenreKitError, match="^the root$") as caught:
        pool.call(jobs.raise_root)
    assert type(caught.value) is GenreKitError
    # A kind that only the worker knows comes back as the nearest that the server knows.
    with pytest.raises(AudioError, match="does not know") as caught:
        pool.call(jobs.raise_own)
    assert type(caught.value) is AudioError


def test_messages_of_a_worker_are_one_line_of_limited_length(pool):
    with pytest.raises(AudioError) as caught:
        pool.call(jobs.raise_audio, "a\n\x1b[31m" + "b" * 100_000)
    assert str(caught.value).startswith("a  [31mb")
    assert len(str(caught.value)) == 1000


def test_other_errors_become_plain_and_are_logged_without_their_text(pool, caplog):
    with caplog.at_level(logging.ERROR), pytest.raises(WorkerFault) as caught:
        pool.call(jobs.raise_secret)
    assert "ValueError" in caplog.text
    for text in (str(caught.value), caplog.text):
        assert "secret" not in text
        assert "/home" not in text
    with pytest.raises(WorkerFault, match="on our side"):
        pool.call(jobs.unsendable)
    assert whole_again(pool)


def test_a_function_without_a_name_is_a_programming_error(pool):
    with pytest.raises(ValueError, match="cannot be found by its name"):
        pool.call(lambda: 1)


def test_a_pool_without_processes_works_in_this_one():
    workers = Workers(0, 1, 1)
    assert workers.call(jobs.process, owner="a", about="b") == os.getpid()
    assert workers.ready(0)
    with pytest.raises(AudioError, match="as it is"):
        workers.call(jobs.raise_audio, "as it is")
    workers.close()


# -- bad files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deed",
    [jobs.crash, jobs.end, jobs.shout, jobs.half_an_answer, jobs.huge_answer, jobs.odd_error],
)
def test_a_crash_costs_one_process_and_says_so_plainly(pool, deed):
    before = set(pool.processes)
    with pytest.raises(WorkerLost, match="made the decoder crash"):
        pool.call(deed)
    assert whole_again(pool)
    # The other one was not touched.
    assert len(before & set(pool.processes)) == 1
    assert sum(map(is_gone, before)) == 1


@pytest.mark.parametrize("deed", [jobs.spin, jobs.hold_the_interpreter])
def test_a_call_that_hangs_is_ended_at_the_limit(make, deed):
    workers = make(seconds=1.0)
    start = time.monotonic()
    with pytest.raises(WorkerLost, match="longer than 1 s"):
        workers.call(deed)  # by itself it would never end
    assert time.monotonic() - start >= 1
    assert workers.ready(60)


@pytest.mark.parametrize("deed", [jobs.balloon, jobs.balloon_unseen])
def test_a_call_that_fills_the_memory_is_ended(make, deed):
    workers = make(count=2, seconds=60, megabytes=150)
    with pytest.raises(WorkerLost, match="more than 150 MB of memory"):
        workers.call(deed, 3000)
    assert whole_again(workers)


def test_memory_within_the_limit_may_be_used(pool):
    assert pool.call(jobs.balloon, 100) == 100


def test_a_killed_process_is_noticed_by_its_caller(make):
    workers = make(count=2, seconds=60)
    with calling(workers, jobs.sleep, 50) as asked:
        wait_for(asleep)
        os.kill(asleep()[0], signal.SIGKILL)
        with pytest.raises(WorkerLost, match="crash"):
            asked.result(30)  # long before it has slept enough
        assert whole_again(workers)


def test_others_are_not_disturbed(make):
    workers = make(count=2, seconds=3)
    assert workers.ready(60)
    stop = threading.Event()
    times = []

    def good():
        while not stop.is_set():
            assert workers.call(jobs.echo, 1, owner="good")["values"] == (1,)
            times.append(time.monotonic())

    with ThreadPoolExecutor(1) as threads:
        others = threads.submit(good)
        for deed in (jobs.spin, jobs.crash):
            with pytest.raises(WorkerLost):
                workers.call(deed, owner="bad")
        stop.set()
        others.result(10)
    assert len(times) > 3  # while a bad one was waited for


def test_an_idle_process_that_dies_costs_nothing(make):
    workers = make()
    assert workers.ready(60)
    for _ in range(3):
        old = workers.processes[0]
        os.kill(old, signal.SIGKILL)
        new = workers.call(jobs.process)
        assert new != old
        assert is_gone(old)


def test_a_process_that_keeps_too_much_memory_is_replaced_between_calls(make):
    workers = make(seconds=60)
    small = workers.call(jobs.grow, 1)
    assert workers.call(jobs.process) == small
    assert workers.call(jobs.grow, 215) == small  # above four fifths of 300
    assert workers.call(jobs.process) != small


def test_a_call_that_does_not_fit_into_memory_is_not_tried_forever(make):
    workers = make(megabytes=100)
    with pytest.raises(WorkerLost, match="memory"):
        workers.call(jobs.total, bytes(200_000_000), np.ones(3))
    assert workers.call(jobs.echo)


def test_a_call_that_kills_processes_before_it_arrives_is_not_tried_forever(make):
    workers = make(megabytes=600, warm=jobs.die_when_called)
    with pytest.raises(WorkerLost, match="ended before it began"):
        workers.call(jobs.total, bytes(50_000_000), np.ones(3))


def test_a_process_that_sends_unasked_is_replaced(make):
    workers = make()
    old = workers.call(jobs.speak_soon, 0.1)
    wait_for(lambda: is_gone(old), 5)
    assert workers.call(jobs.process) != old


def test_output_of_libraries_is_discarded(pool, capfd):
    assert pool.call(jobs.chatter) in pool.processes
    assert whole_again(pool)
    assert capfd.readouterr() == ("", "")


def test_no_process_lives_forever(make, monkeypatch):
    monkeypatch.setattr("genrekit.isolation.pool._CALLS_A_LIFE", 2)
    workers = make()
    seen = [workers.call(jobs.process) for _ in range(5)]
    assert seen == [seen[0], seen[0], seen[2], seen[2], seen[4]]
    assert len(set(seen)) == 3


def test_nothing_is_left_after_many_deaths(make, tmp_path, monkeypatch):
    """No file descriptors, threads, zombies or folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    workers = make()
    assert workers.ready(60)

    def count():
        assert workers.ready(60)
        folders = len(list(tmp_path.iterdir()))
        children = Path(f"/proc/self/task/{workers._threads[0].native_id}/children").read_text()
        return (
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208
            threading.active_count(),
            folders,
            len(children.split()),
        )

    with pytest.raises(WorkerLost):
        workers.call(jobs.crash)
    before = count()
    for deed in (jobs.crash, jobs.end, jobs.crash):
        with pytest.raises(WorkerLost):
            workers.call(deed)
    assert count() == before
    assert before[2:] == (1, 1)


def test_folders_of_a_killed_server_go_when_the_next_one_starts(make, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    of_the_dead = tmp_path / "genrekit-worker-dead"
    of_somebody_else = tmp_path / "somebody"
    for folder in (of_the_dead, of_somebody_else):
        folder.mkdir()
        (folder / "x").touch()
    first = make()
    assert first.ready(60)
    assert not of_the_dead.exists()
    assert (of_somebody_else / "x").exists()
    # A second pool leaves the first one's folder alone.
    assert make().ready(60)
    assert Path(first.call(jobs.limits)["here"]).is_dir()
    assert len(list(tmp_path.iterdir())) == 3


# -- what a process may do --------------------------------------------------------------------


def test_a_process_has_limits_and_a_clean_environment(pool, monkeypatch):
    found = pool.call(jobs.limits)
    assert found["core"] == (0, 0)
    assert found["file"] == (1 << 20, 1 << 20)
    assert found["files"] == (128, 128)
    assert found["data"] == (300_000_000, 300_000_000)
    assert found["oom"].strip() == "1000"
    assert found["environment"]["OMP_NUM_THREADS"] == "1"
    assert not found["streamlit"]


def test_the_servers_secrets_are_not_in_its_processes(make, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_COOKIE_SECRET", "do not tell")
    found = make().call(jobs.limits)
    assert "do not tell" not in str(found["environment"])


def test_its_files_are_small_private_and_gone_when_it_dies(make):
    workers = make()
    path = Path(workers.call(jobs.write_file, 1000))
    folder = Path(workers.call(jobs.limits)["folder"])
    assert path.stat().st_size == 1000
    assert path.is_relative_to(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(WorkerFault):
        workers.call(jobs.write_file, 2 << 20)
    with pytest.raises(WorkerLost):
        workers.call(jobs.crash)
    assert workers.ready(60)
    assert not folder.exists()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no filter for it")
def test_a_process_reaches_no_network_no_program_and_no_other_process(pool):
    assert pool.call(jobs.reach_out, os.getpid()) == jobs.NOTHING_REACHED


# By the kernel's tables, for x86_64 and aarch64.
CALLS = {
    "connect": (42, 203),
    "socketpair": (53, 199),
    "execveat": (322, 281),
    "tgkill": (234, 131),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "shmget": (29, 194),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "utimensat": (280, 88),
    "prlimit64": (302, 261),
}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no filter for it")
def test_the_kernel_refuses_forbidden_calls_under_any_number(pool):
    column = ("x86_64", "aarch64").index(platform.machine())
    asked = {name: numbers[column] for name, numbers in CALLS.items()}
    found = pool.call(jobs.kernel_says, asked | {"socket, as x32": 0x40000029, "clone3": 435})
    # Its flags cannot be looked at: who is told that it is not there takes clone.
    assert found.pop("clone3") == "ENOSYS"
    assert found == dict.fromkeys(found, "EPERM")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no filter for it")
def test_a_thread_started_before_is_confined_too(make):
    assert make(warm=jobs.warm_thread).call(jobs.ask_thread) == "PermissionError"


@pytest.mark.skipif(not landlock(), reason="a kernel without Landlock")
def test_a_process_does_not_reach_into_the_server(pool):
    assert pool.call(jobs.spy, os.getpid()) == jobs.NOTHING_SEEN


@pytest.mark.skipif(not landlock(), reason="a kernel without Landlock")
def test_a_process_reads_only_its_code_and_what_it_was_given(make, tmp_path):
    for name in ("given", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("private")
    one = tmp_path / "one"
    one.write_text("given")
    closed = [tmp_path, tmp_path / "other", tmp_path / "other" / "file", ROOT, ROOT / "README.md"]
    closed += [*map(Path, ("/etc/passwd", "/proc/1/environ", "/var/lib", "/home", "/", "/tmp"))]
    opened = [tmp_path / "given", tmp_path / "given" / "file", one, Path("/proc/self/environ")]
    opened += [Path(genrekit.__file__), Path(pytest.__file__), Path(os.__file__)]
    workers = make(readable=[tmp_path / "given", one, tmp_path / "missing"])
    assert workers.call(jobs.read, *map(str, opened)) == ["done"] * len(opened)
    assert set(workers.call(jobs.read, *map(str, closed))) == {"PermissionError"}


@pytest.mark.skipif(not landlock(), reason="a kernel without Landlock")
def test_a_process_changes_no_files_of_others(pool, tmp_path):
    (tmp_path / "there").write_text("kept")
    found = pool.call(jobs.change, str(tmp_path))
    assert set(found.values()) == {"PermissionError"}
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "kept"


# -- taking turns -----------------------------------------------------------------------------


def queued(workers):
    return len(workers._waiting)


def in_order(workers, wanted):
    """The order in which one process, busy at first, takes calls of (owner, word, address)."""
    with ThreadPoolExecutor(len(wanted) + 1) as threads:
        first = threads.submit(workers.call, jobs.sleep, 0.5)
        wait_for(asleep)
        for number, (owner, word, *address) in enumerate(wanted, start=1):
            where = {"address": address[0]} if address else {}
            threads.submit(workers.call, jobs.nap, word, owner=owner, **where)
            wait_for(lambda n=number: queued(workers) == n)
        first.result()
    return workers.call(jobs.remember, "end")[:-1]


def test_owners_take_turns(make, monkeypatch):
    monkeypatch.setattr("genrekit.isolation.pool._LEAST_SECONDS", 10.0)
    workers = make(waiting=40)
    assert workers.ready(60)
    wanted = [("many", f"m{n}") for n in range(5)] + [("one", "o"), ("two", "t0"), ("two", "t1")]
    order = in_order(workers, wanted)
    assert order == ["m0", "o", "t0", "m1", "t1", "m2", "m3", "m4"]


def test_addresses_take_turns_and_owners_within_them(make, monkeypatch):
    monkeypatch.setattr("genrekit.isolation.pool._LEAST_SECONDS", 10.0)
    workers = make(waiting=40)
    assert workers.ready(60)
    senders = [(f"sender {n}", f"s{n}{part}", "there") for n in range(4) for part in "ab"]
    victims = [("victim", "v0", "elsewhere"), ("victim", "v1", "elsewhere")]
    order = in_order(workers, senders + victims)
    assert order[:5] == ["s0a", "v0", "s1a", "s2a", "v1"]
    assert order[5:] == ["s3a", "s0b", "s1b", "s2b", "s3b"]


USED_MORE = [("known", 0.0), ("new", 0.0), ("known", 0.0), ("victim", 0.0)]
CAME_FIRST = [("known", 0.0), ("victim", 4.0)]


@pytest.mark.parametrize(
    ("calls", "order"),
    [(USED_MORE, ["victim", "known", "known", "new"]), (CAME_FIRST, ["known", "victim"])],
)
def test_whoever_has_used_less_comes_first_unless_much_later(make, calls, order):
    workers = make(waiting=40)
    assert workers.ready(60)
    workers.call(jobs.nap, "", owner="victim", address="victim")
    workers.call(jobs.sleep, 1.5, owner="known", address="known")  # counts for both
    workers.call(jobs.remember, "")
    with ThreadPoolExecutor(5) as threads:
        busy = threads.submit(workers.call, jobs.sleep, 2.0 + sum(later for _, later in calls))
        wait_for(asleep)
        for number, (who, later) in enumerate(calls, start=1):
            time.sleep(later)
            threads.submit(workers.call, jobs.nap, who, owner=who, address=who)
            wait_for(lambda n=number: queued(workers) == n)
        busy.result()
    words = workers.call(jobs.remember, "end")[:-1]
    assert [word for word in words if word] == order


def test_the_last_free_process_is_for_addresses_whose_calls_are_short(make, monkeypatch):
    workers = make(count=2, waiting=40)
    assert workers.ready(60)

    def both_taken() -> bool:
        """Whether a call of an address whose calls are long begins beside another."""
        with ThreadPoolExecutor(2) as threads:
            for n in range(2):
                threads.submit(workers.call, jobs.sleep, 2.5, owner=str(n), address="long")
            wait_for(asleep)
            time.sleep(1.5)  # a process looks once a second
            taken = not queued(workers)
            if not taken:
                workers.call(jobs.nap, "", owner="v", address="short")
                assert queued(workers) == 1, "the free process was for this one"
        return taken

    assert both_taken(), "nobody else was here"
    workers.call(jobs.nap, "", owner="v", address="short")
    assert not both_taken()
    monkeypatch.setattr(workers, "_short_until", 0.0)
    assert both_taken(), "nobody else was here lately"


def test_an_address_may_fill_half_of_the_queue(make):
    workers = make(waiting=8)
    assert workers.ready(60)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(workers.call, jobs.sleep, 0.7)]
        wait_for(asleep)

        def ask(n, address):
            asked.append(threads.submit(workers.call, jobs.sleep, 0, owner=str(n), address=address))
            wait_for(lambda: queued(workers) == n + 1)

        for n in range(4):
            ask(n, "there")
        with pytest.raises(WorkerBusy, match="Your network has many sounds waiting"):
            workers.call(jobs.sleep, 0, owner="another", address="there")
        ask(4, "elsewhere")
        for one in asked:
            one.result(10)
    assert not workers._waiting


def test_a_full_queue_refuses_the_next_call(make):
    workers = make(waiting=4)
    assert workers.ready(60)
    with ThreadPoolExecutor(5) as threads:
        asked = [threads.submit(workers.call, jobs.sleep, 0.7)]
        wait_for(asleep)
        for n in range(4):
            asked.append(threads.submit(workers.call, jobs.sleep, 0, owner=str(n)))
            wait_for(lambda n=n: queued(workers) == n + 1)
        with pytest.raises(WorkerBusy, match="Many people are listening right now: try again"):
            workers.call(jobs.sleep, 0, owner="late")
        # Of four that may wait an owner may have one, and is told so.
        with pytest.raises(WorkerBusy, match="You have sounds waiting to be heard"):
            workers.call(jobs.sleep, 0, owner="3")
        for one in asked:
            one.result(10)


def test_nobody_waits_forever(make):
    workers = make(patience=0.3)
    assert workers.ready(60)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(workers.call, jobs.sleep, 1.5)
        wait_for(asleep)
        start = time.monotonic()
        with pytest.raises(WorkerBusy, match="try again in a moment"):
            workers.call(jobs.process)
        assert time.monotonic() - start >= 0.3
        # Patience is for waiting: a call that is under way is not given up.
        assert asked.result(10)
    assert not workers._waiting
    assert workers.call(jobs.process)


def test_calls_about_the_same_subject_go_to_the_same_process(make):
    workers = make(count=2)
    assert workers.ready(60)
    homes = {}
    for song in "abcdefgh" * 3:
        homes.setdefault(song, set()).add(workers.call(jobs.process, about=song))
        assert workers.ready(10)
    assert all(len(processes) == 1 for processes in homes.values())
    assert len(set.union(*homes.values())) == 2


def test_a_call_does_not_wait_for_its_own_process_while_another_is_free(make):
    workers = make(count=2)
    assert workers.ready(60)
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(workers.call, jobs.sleep, 1.5, about="song")
        wait_for(asleep)
        other = workers.call(jobs.process, about="song")
        assert other != busy.result()


# -- starting and stopping --------------------------------------------------------------------


def test_creating_a_pool_does_not_wait(make):
    workers = make(count=2, warm=jobs.slow_warm)
    wait_for(lambda: len(workers.processes) == 2)
    assert not workers.ready(0)


def test_close_ends_everything_at_once(make):
    workers = make(count=2, seconds=60)
    assert workers.ready(60)
    processes = workers.processes
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(workers.call, jobs.sleep, 50) for _ in range(3)]
        wait_for(lambda: workers._waiting and not workers._idle)
        workers.close()  # the sleepers are not waited for
        for one in asked:
            with pytest.raises(WorkerBusy, match="being stopped"):
                one.result(10)
    assert all(map(is_gone, processes))
    assert workers.processes == []
    with pytest.raises(WorkerBusy, match="being stopped"):
        workers.call(jobs.process)
    workers.close()


def test_close_while_the_processes_get_ready(make):
    workers = make(count=2, warm=jobs.slow_warm)
    wait_for(lambda: len(workers.processes) == 2)
    processes = workers.processes
    workers.close()
    assert all(map(is_gone, processes))


def test_a_process_that_fails_to_start_is_logged_and_retried(make, caplog, monkeypatch):
    monkeypatch.setattr("genrekit.isolation.pool._RETRY_SECONDS", (0.1, 0.1))
    workers = make(warm=jobs.broken_warm, patience=0.2)
    with pytest.raises(WorkerBusy):
        workers.call(jobs.process)
    wait_for(lambda: caplog.text.count("did not get ready: fault RuntimeError") >= 2)
    assert "secret" not in caplog.text


@pytest.mark.parametrize("warm", [jobs.crash, jobs.end, jobs.shout, jobs.broken_warm])
def test_a_call_ends_though_processes_die_while_they_start(make, warm):
    workers = make(count=2, warm=warm, patience=0.2)
    with calling(workers, jobs.process) as asked, pytest.raises(WorkerBusy, match=UNABLE):
        asked.result(30)


def test_a_call_ends_though_every_process_is_killed_at_once(make, monkeypatch):
    monkeypatch.setattr("genrekit.isolation.pool._RETRY_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(Handle, "begin", lambda process: process.kill())
    workers = make(patience=0.2)
    with calling(workers, jobs.process) as asked, pytest.raises(WorkerBusy, match=UNABLE):
        asked.result(30)


def test_a_requeued_call_does_not_wait_forever(make, monkeypatch):
    """Its patience ends while a process has it; back in the queue, it must be withdrawn."""
    workers = make(seconds=60, patience=0.05)
    assert workers.ready(60)
    (first,) = workers.processes
    os.kill(first, signal.SIGSTOP)  # it does not take the call in
    tired = threading.Event()
    withdraw = workers._withdraw

    def lose_patience(call):
        gone = withdraw(call)
        tired.set()
        return gone

    monkeypatch.setattr(workers, "_withdraw", lose_patience)
    workers._about["warm"] = "worker_jobs:broken_warm"
    with calling(workers, jobs.process) as asked:
        assert tired.wait(30)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(WorkerBusy, match=UNABLE):
            asked.result(30)
        assert not workers._waiting


def test_calls_are_refused_until_there_is_a_folder_for_temporary_files(make, monkeypatch, tmp_path):
    monkeypatch.setattr("genrekit.isolation.pool._RETRY_SECONDS", (0.01, 0.01))

    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.gettempdir", nowhere)
        workers = make(patience=0.2)
        with pytest.raises(WorkerBusy, match=UNABLE):
            workers.call(jobs.process)
    assert workers.ready(60)
    assert workers.call(jobs.process)


def test_a_process_that_cannot_be_killed_delays_nothing(make, monkeypatch):
    """As one that hangs in the kernel, waiting for a disk."""
    workers = make()
    assert workers.ready(60)
    (stuck,) = workers._processes.values()
    reap = subprocess.Popen.wait

    def wait(process, timeout=None):
        if process is stuck._process:
            assert timeout is not None, "that would be for ever"
            raise subprocess.TimeoutExpired("", timeout)
        return reap(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    with pytest.raises(WorkerLost):
        workers.call(jobs.crash)
    assert workers.call(jobs.process) != stuck.id
    workers.close()
    reap(stuck._process)


@pytest.mark.parametrize("deed", ["sleep, 60", "hold_the_interpreter", "process"])
def test_processes_die_with_the_server(run_python, deed):
    """Even a process that hangs must not outlive a server that is killed."""
    code = f"""
import sys, threading, time, os, signal
sys.path.insert(0, "tests")
import worker_jobs as jobs
from genrekit.isolation.pool import Workers
workers = Workers(1, 60, 600)
workers.ready(60)
threading.Thread(target=workers.call, args=[jobs.{deed.replace(", ", ", ")}], daemon=True).start()
time.sleep(0.5)
print(*workers.processes, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = run_python("-c", code)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (process,) = map(int, done.stdout.split())
    # Its new parent may take a moment to notice.
    wait_for(lambda: is_gone(process) or "Z" in state(process), 5)


def state(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "gone"


def test_a_server_that_exits_leaves_no_process(run_python):
    code = """
import sys
sys.path.insert(0, "tests")
import worker_jobs as jobs
from genrekit.isolation.pool import Workers
workers = Workers(1, 60, 600)
print(workers.call(jobs.process), flush=True)
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: state(int(done.stdout)) in ("gone", "Z"), 5)


def test_the_servers_script_is_not_run_again(tmp_path):
    """Streamlit makes the page the main module, which spawning would run again."""
    script = tmp_path / "page.py"
    tests = Path(__file__).parents[1]
    script.write_text(
        f"import sys; sys.path[:0] = [{str(tests)!r}, {str(tests.parent)!r}]\n"
        "print('run')\n"
        "import worker_jobs as jobs\n"
        "from genrekit.isolation.pool import Workers\n"
        "print(Workers(1, 60, 600).call(jobs.echo, 1)['values'])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "run\n(1,)\n", done.stderr


def test_a_call_costs_little(pool):
    """The limit is 5 ms; the fastest of many counts, as the machine may be busy."""
    times = []
    for _ in range(50):
        start = time.perf_counter()
        pool.call(jobs.echo, 1)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02
