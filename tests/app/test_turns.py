"""Whose turn it is: a queue as numbers, whose clock is advanced by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from genrekit.app.jobs import length
from genrekit.app.jobs.job import Job
from genrekit.app.jobs.length import expected_seconds, is_short, progress, remaining_seconds
from genrekit.app.jobs.turns import MOST_OVERTAKES, Turn, in_turn, may_start, seconds_until


def short(name: str, created: float = 0.0, **more: float) -> Turn:
    return Turn(name, created, more.pop("seconds", 5.0), True, **more)


def long(name: str, created: float = 0.0, **more: float) -> Turn:
    return Turn(name, created, more.pop("seconds", 100.0), False, **more)


def names(turns) -> str:
    return "".join(turn.id for turn in turns)


def test_short_jobs_and_visitors_who_are_here_go_first():
    waiting = [long("a", 1), short("b", 2, alone=True), long("c", 3, alone=True), short("d", 4)]
    assert names(in_turn(waiting)) == "dabc"


def test_jobs_of_a_kind_go_in_order():
    assert names(in_turn([short("c", 3), short("a", 1), short("b", 2)])) == "abc"


def test_a_job_that_was_overtaken_often_enough_goes_first():
    patient = long("p", 1, alone=True, overtaken=MOST_OVERTAKES - 1, passed=MOST_OVERTAKES - 1)
    assert names(in_turn([patient, short("b", 2)])) == "bp"
    due = replace(patient, overtaken=MOST_OVERTAKES, passed=MOST_OVERTAKES)
    assert names(in_turn([due, short("b", 2)])) == "pb"


def of(address: str, owner: str, count: int, created: float = 0.0, **more: float) -> list[Turn]:
    """Short jobs of an owner at an address, asked for one after another."""
    return [
        short(f"{owner}{n}", created + n, owner=owner, address=address, **more)
        for n in range(count)
    ]


def ids(turns) -> list[str]:
    return [turn.id for turn in turns]


def test_addresses_take_turns_and_so_do_visitors_of_an_address():
    waiting = [*of("A", "a", 3), *of("A", "b", 2, 10), *of("B", "c", 2, 100)]
    assert ids(in_turn(waiting)) == ["a0", "c0", "b0", "c1", "a1", "b1", "a2"]


def test_whose_job_runs_comes_after_those_whose_does_not():
    waiting = [*of("A", "a", 2), *of("B", "c", 1, 100)]
    assert ids(in_turn(waiting, of("A", "b", 1))) == ["c0", "a0", "a1"]
    assert ids(in_turn(waiting[:2] + of("A", "b", 1, 100), of("A", "a", 1))) == ["b0", "a0", "a1"]


def test_many_patient_jobs_of_one_address_are_one_patient_job():
    """As soon as one of them has started, the others wait for their turn again."""
    patient = of("A", "a", 5, overtaken=MOST_OVERTAKES)
    newcomer = of("B", "c", 1, 100)
    assert ids(in_turn([*patient, *newcomer], of("A", "x", 1)))[0] == "c0"
    due = [replace(one, passed=MOST_OVERTAKES) for one in patient]
    assert ids(in_turn([*due, *newcomer], of("A", "x", 1)))[0] == "a0"


def test_one_place_more_is_for_short_jobs():
    assert may_start(long("a"), [], 1)
    assert not may_start(long("b"), [long("a")], 1)
    assert may_start(short("b"), [long("a")], 1)
    assert not may_start(short("c"), [long("a"), short("b")], 1)
    assert may_start(long("b"), [short("a")], 1), "short jobs do not keep a long one out"
    assert may_start(long("b"), [long("a"), short("c")], 2)


def test_a_place_is_kept_from_visitors_who_have_left_until_they_have_waited_long():
    left = short("c", alone=True)
    assert may_start(left, [], 1)
    assert not may_start(left, [short("a")], 1)
    assert may_start(replace(left, alone=False), [short("a")], 1)
    assert may_start(replace(left, overtaken=MOST_OVERTAKES), [short("a")], 1)
    assert may_start(left, [short("a")], 2)


@pytest.mark.parametrize("alone", [False, True])
def test_nobody_waits_for_ever(alone):
    """A short job comes every second, for hours, and each takes five: the long one starts soon."""
    waiting, running = [long("x", 0, alone=alone)], []
    overtakes = 0
    for second in range(10_000):
        waiting.append(short(f"s{second}", second + 1))
        running = [one for one in running if one.seconds > second]
        while turn := next((one for one in in_turn(waiting) if may_start(one, running, 1)), None):
            if turn.id == "x":
                assert overtakes <= MOST_OVERTAKES
                return
            overtakes += 1
            running.append(replace(turn, seconds=second + turn.seconds))
            waiting.remove(turn)
            waiting = [
                replace(one, overtaken=count, passed=count)
                for one in waiting
                for count in [one.overtaken + (one.created < turn.created)]
            ]
    pytest.fail("it never started")


def test_the_wait_is_what_the_queue_then_does():
    running = [long("r", seconds=30.0), short("q", seconds=4.0)]
    waiting = [long("a", 1, seconds=100.0), long("b", 2), short("c", 3), short("d", 4)]
    wait = {turn.id: seconds_until(turn.id, waiting, running, 1) for turn in waiting}
    assert wait == {"c": 4.0, "d": 9.0, "a": 30.0, "b": 130.0}


def job(folder: Path, *commands: list[str]) -> Job:
    return Job(folder, "dataset", "Test", tuple(map(tuple, commands)), "me", 0.0)


def test_the_demo_is_short_and_a_convolutional_network_is_long(tmp_path):
    (tmp_path / "data.parquet").write_bytes(bytes(4_000_000))
    demo = job(tmp_path, ["demo-data", "audio"], ["preprocess", "audio", "-o", "data.parquet"])
    assert is_short(demo)
    assert expected_seconds(demo) < 10

    def train(network: str, epochs: int) -> Job:
        options = ["--network", network, "--epochs", str(epochs)]
        return job(tmp_path, ["train", "data.parquet", "-o", "model", *options])

    assert is_short(train("mlp", 50))
    assert not is_short(train("cnn", 30))
    assert not is_short(train("mlp", 10_000))


def test_much_music_is_long_whatever_is_done_with_it(tmp_path):
    (tmp_path / "audio").mkdir()
    with (tmp_path / "audio" / "song.wav").open("wb") as file:
        file.truncate(10**9)
    assert not is_short(job(tmp_path, ["preprocess", "audio", "-o", "data.parquet"]))


def tracks(*at: tuple[int, float], total: int = 100) -> list[dict]:
    """The events of tracks: how many were done, and when."""
    return [{"type": "track", "done": n, "total": total, "time": time} for n, time in at]


def left(job: Job, pace: float = 1.0) -> float:
    return remaining_seconds(job, progress(job.events()), pace)


@pytest.fixture
def now(monkeypatch):
    """A function that sets the clock."""
    times = [0.0]
    monkeypatch.setattr(length.time, "time", lambda: times[0])
    return lambda time: times.__setitem__(0, time)


def test_progress_is_of_the_present_command(now):
    now(30.0)
    first = [{"type": "step", "step": 0}, *tracks((1, 0.0), (100, 20.0))]
    assert progress(first) == (100, 100, "tracks", 99 / 30, 0)
    second = [*first, {"type": "step", "step": 1}]
    assert progress(second) == (0, 0, "", 0.0, 1)
    # What came before, and the wait for the first one, tell nothing about its speed.
    assert progress([*second, *tracks((1, 25.0))]) == (1, 100, "tracks", 0.0, 1)
    assert progress([*second, *tracks((1, 25.0), (11, 30.0))]).speed == 2.0


def test_a_speed_is_that_of_late_and_of_a_hung_job_less_and_less(now):
    resumed = tracks(*((n, 0.0) for n in range(1, 901)), total=1000)
    slow = tracks(*((900 + n, n) for n in range(1, 61)), total=1000)
    now(60.0)
    assert progress([*resumed, *slow]).speed == pytest.approx(1.0, rel=0.05)
    now(600.0)
    assert progress([*resumed, *slow]).speed < 0.1
    now(0.0)  # set back
    assert progress([*resumed, *slow]).speed == pytest.approx(1.0, rel=0.05)


def test_epochs_count_if_the_network_has_any():
    def learn(recipe: str) -> list[dict]:
        epochs = [{"type": "epoch", "epoch": n, "time": n / 10} for n in (1, 2)]
        return [{"type": "start", "epochs": 50, "recipe": recipe}, *epochs]

    at = progress(learn("course"))
    assert (at.done, at.total, at.unit) == (2, 50, "epochs")
    assert at.speed > 0
    assert progress(learn("fit")) == (0, 0, "", 0.0, 0)


def test_an_examination_follows_the_last_epoch(tmp_path, now, monkeypatch):
    events = [{"type": "start", "epochs": 3, "recipe": "course"}]
    events += [{"type": "epoch", "epoch": n, "time": float(n)} for n in (1, 2, 3)]
    monkeypatch.setattr(Job, "events", lambda self: events)
    now(3.0)
    learnt = job(tmp_path, ["train", "data.parquet"])
    assert left(learnt) == length._EXAM_SECONDS > 1
    events.pop()
    assert left(learnt, pace=3.0) == 2 + 3 * length._EXAM_SECONDS


def test_what_is_left_is_what_a_visitor_then_waits(tmp_path, now, monkeypatch):
    demo = job(tmp_path, ["demo-data", "audio"], ["preprocess", "audio", "-o", "data.parquet"])
    monkeypatch.setattr(Job, "seconds", lambda self: length.time.time())
    events = [{"type": "step", "step": 0}]
    monkeypatch.setattr(Job, "events", lambda self: events)
    expected = expected_seconds(demo)
    now(1.0)
    assert left(demo) == expected - 1
    assert left(demo, pace=3.0) == 3 * expected - 1
    now(100.0)
    assert left(demo) == 25, "it is late, and does not end in a second"
    events += tracks((1, 96.0), (9, 100.0), total=19)
    assert left(demo) == 5
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "song.wav").write_bytes(bytes(20_000_000))
    assert left(demo) == 8, "what it has composed is then preprocessed"
    assert left(demo, pace=2.0) == 11
    now(101.0)
    events += [{"type": "step", "step": 1}, *tracks((1, 100.0), (2, 101.0), total=2)]
    assert left(demo) == 1
