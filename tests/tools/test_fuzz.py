"""The fuzzer: that it knows the formats, repeats itself, notices every sort of failure, and finds
none. What it has found is in test_faults.py."""

import io
import os
import random
import re
import tempfile
import time
import warnings
from functools import partial

import numpy as np
import pytest
import soundfile

import benchmarks.__main__ as command
import benchmarks.fuzz.run as fuzz
from benchmarks.fuzz.kinds import AUDIO, KINDS, OTHERS, Kind
from benchmarks.fuzz.mutate import anatomy, mend, mutated
from benchmarks.fuzz.run import Limits, Outcome, Report, harmed, run
from genrekit.errors import GenreKitError

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def sources():
    return fuzz.make_sources()


def test_a_short_run_finds_nothing(sources):
    tasks = [(kind, seed) for seed in range(50, 62) for kind in AUDIO]
    tasks += [(kind, seed) for seed in range(50, 58) for kind in OTHERS]
    report = Report(list(run(tasks, KINDS, sources)))
    assert [outcome.message for outcome in report.failures] == []
    assert sorted((o.kind, o.seed) for o in report.outcomes) == sorted(tasks)
    endings = [outcome.ending for outcome in report.outcomes]
    assert 30 < endings.count("result") < 180  # the harm is neither nothing nor too much


# -- the harm ---------------------------------------------------------------------------------

CHECKED = [("flac", "song.flac"), ("ogg", "song.ogg"), ("opus", "song.opus"), ("zip", "upload.zip")]


@pytest.mark.parametrize(("kind", "name"), CHECKED)
def test_checksums_are_those_that_others_write(kind, name, sources):
    for files in sources[kind]:
        whole = files[name]
        assert mend(kind, whole) == whole
        if kind == "flac":
            wrong = bytearray(whole)
            wrong[-1] ^= 255  # the last frame's checksum
        else:
            mark, offset = (b"OggS", 22) if kind != "zip" else (b"PK\x01\x02", 16)
            wrong = bytearray(whole)
            wrong[whole.rindex(mark) + offset] ^= 255
        assert mend(kind, bytes(wrong)) == whole != bytes(wrong)


@pytest.mark.parametrize("kind", [*(kind for kind in AUDIO if kind != "rare"), "zip", "parquet"])
def test_the_parts_of_a_format_are_known(kind, sources):
    for files in sources[kind]:
        (content,) = files.values()
        found = anatomy(kind, content)
        assert len(found.numbers) > 4
        assert all(0 <= at <= len(content) - size for at, size, _ in found.numbers)
        assert all(0 <= start < end <= len(content) for start, end in found.pieces)
        ends = sorted({place for piece in found.pieces for place in piece})
        assert (ends[0] <= 8 and ends[-1] > 0.9 * len(content)) or len(found.pieces) == 400
        unknown = anatomy("unknown", content)
        assert found != unknown  # else its structure was not made out


def test_the_parts_of_a_wav_file():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100, np.float32), 8000, format="WAV", subtype="PCM_16")
    found = anatomy("wav", file.getvalue())
    assert found.pieces == ((0, 12), (12, 36), (36, 244))
    assert {(4, 4, "little"), (16, 4, "little"), (22, 2, "little"), (24, 4, "little")} <= {
        *found.numbers
    }


def test_a_case_follows_from_its_seed(sources):
    for kind in KINDS:
        made = [harmed(kind, KINDS[kind], sources, seed) for seed in (1, 2, 3, 1)]
        assert made[0] == made[3]
        assert made[0] != made[1] or made[1] != made[2]
    others = [files for kind in AUDIO for files in sources[kind][0].values()]
    once, again = (mutated(others[0], "wav", others, random.Random(4)) for _ in range(2))
    assert once == again != others[0]


def test_sources_are_the_same_each_time(sources):
    for kind in ("wav", "aiff", "ogg", "opus", "m4a", "webm", "zip", "npz", "mel"):
        assert list(KINDS[kind].make()) == list(sources[kind])


def test_most_sound_files_still_say_what_they_are(sources):
    kept = 0
    for seed in range(40):
        (content,) = harmed("flac", KINDS["flac"], sources, seed).values()
        kept += content.startswith(b"fLaC")
    assert 25 < kept < 40


# -- what counts as a failure -----------------------------------------------------------------

LIMITS = Limits(processor_seconds=1, seconds=10.0, memory_mb=100, address_mb=1000)


def misbehave(folder, out):
    """Do what the file says."""
    path = folder / "x"
    match path.read_text():
        case "sound":
            pass
        case "refuse":
            raise GenreKitError("It is no good: choose another.")
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(1000)
        case "raise":
            raise ZeroDivisionError("by zero")
        case "leave":
            raise SystemExit(1)
        case "ramble":
            raise GenreKitError("Two\nlines.")
        case "warn":
            warnings.warn("beware", UserWarning, stacklevel=1)
        case "print":
            os.write(2, b"oops\n")
        case "chatter":
            os.write(2, b"Note: Trying to resync...\n[src/libmpg123/x.c:1] error: bad\n")
        case "swell":
            np.ones(30_000_000).sum()
        case "burst":
            np.ones(10**10)
        case "litter":
            (out / "left").touch()
            raise GenreKitError("It is no good: choose another.")
        case "temporary":
            tempfile.mkstemp()
        case "alter":
            path.unlink()
        case "open":
            os.dup(0)


def as_named(word, files, sources, dice):
    return {"x": word.encode()}


ENDINGS = {
    "sound": "",
    "refuse": "It is no good: choose another.",
    "abort": "ended by SIGABRT",
    "exit": "ended with status 3",
    "spin": "no end after 1 s of processor time",
    "sleep": "no end after 10 s$",
    "raise": r"ZeroDivisionError: by zero \(",
    "leave": "SystemExit",
    "ramble": r"Not one plain sentence: 'Two\\nlines",
    "warn": "a warning, UserWarning: beware",
    "print": r"it printed 'oops'",
    "chatter": "",
    "swell": r"It took 2\d\d MB of memory",
    "burst": "MemoryError",
    "litter": "refused, and left behind: left",
    "temporary": "result, and left behind: tmp",
    "alter": "other files than before",
    "open": "left open: ",
}


def test_every_failure_is_noticed():
    kinds = {w: Kind(list, partial(as_named, w), misbehave) for w in ENDINGS}
    sound = {word: [{"x": b"sound"}] for word in ENDINGS}
    tasks = [(word, seed) for seed, word in enumerate(ENDINGS)] + [("sound", 99)]
    outcomes = {o.seed: o for o in run(tasks, kinds, sound, 2, LIMITS)}
    assert len(outcomes) == len(tasks)
    for seed, (word, match) in enumerate(ENDINGS.items()):
        outcome = outcomes[seed]
        ending = {"sound": "result", "chatter": "result", "refuse": "refused"}.get(word, "failed")
        assert (outcome.ending, outcome.kind) == (ending, word)
        assert re.search(match, outcome.message), outcome.message
        if ending == "failed":
            assert outcome.message.startswith(f"{word} {seed}: ")
            assert outcome.command.endswith(f"fuzz --kind {word} --seed {seed} --cases 1")
    assert outcomes[99].ending == "result"


def test_a_reader_that_refuses_sound_files_is_a_failure_of_the_fuzzer():
    kinds = {"x": Kind(list, partial(as_named, "x"), misbehave)}
    with pytest.raises(RuntimeError, match="A sound file was not read. x: x -1: ZeroDivision"):
        list(run([("x", 0)], kinds, {"x": [{"x": b"raise"}]}))


# -- the command ------------------------------------------------------------------------------


def test_the_report():
    report = Report(
        [
            Outcome("wav", 0, "result", "", 0.5, 7.0),
            Outcome("wav", 1, "refused", "It can be read only up to 0.3 s: copy it.", 0.1, 9.0),
            Outcome("zip", 0, "refused", '"a.wav" has 2,000 faults: pack anew.', 1.5, 3.0),
            Outcome("zip", 1, "refused", '"b.wav" has 17 faults: pack anew.', 0.1, 1.0),
        ]
    )
    text = str(report)
    for line in (
        "wav                2        1        1       0     0.50 s          9 MB",
        "zip                2        0        2       0     1.50 s          3 MB",
        "all                4        1        3       0     1.50 s          9 MB",
        '       2  "…" has # faults: pack anew.',
        "       1  It can be read only up to # s: copy it.",
    ):
        assert line in text.splitlines()
    failed = Outcome("zip", 2, "failed", "zip 2: it printed 'x'")
    text = str(Report([*report.outcomes, failed]))
    assert "FAILED zip 2: it printed 'x'" in text
    assert "python -m benchmarks fuzz --kind zip --seed 2 --cases 1" in text


@pytest.mark.parametrize("ending", ["result", "refused", "failed"])
def test_the_command(monkeypatch, capsys, tmp_path, ending):
    asked = []

    def without_processes(tasks, kinds, sources, workers):
        asked.append((tasks, list(kinds), workers))
        yield from (Outcome(kind, seed, ending, "It is no good.") for kind, seed in tasks)

    monkeypatch.setattr(fuzz, "run", without_processes)
    options = ["--kind", "table", "--seed", "7", "--cases", "2", "--workers", "3"]
    status = command.main(["fuzz", *options, "--keep", str(tmp_path)])
    assert status == (1 if ending == "failed" else 0)
    assert asked == [([("table", 7), ("table", 8)], ["table"], 2)]
    assert "table              2" in capsys.readouterr().out
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == (["table-7", "table-8"] if ending == "failed" else [])


def test_how_cases_are_shared_out():
    tasks = fuzz._tasks(None, 5, None)
    kinds = [kind for kind, _ in tasks]
    assert len(set(tasks)) == len(tasks) == 11_000
    assert sum(kind in AUDIO for kind in kinds) == 10_000
    assert all(kinds.count(kind) in (833, 834) for kind in AUDIO)
    assert all(kinds.count(kind) == 100 for kind in OTHERS)
    assert min(seed for _, seed in tasks) == 5
    assert fuzz._tasks(3, 0, "audio") == [("wav", 0), ("flac", 0), ("mp3", 0)]
    assert len(fuzz._tasks(None, 0, "zip")) == 1000


@pytest.mark.parametrize("arguments", [["--kind", "nonsense"], ["mlp"], ["--cases", "0"]])
def test_what_the_command_refuses(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        command.main(["fuzz", *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err
