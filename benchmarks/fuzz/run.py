"""Thousands of damaged files, each read as the app reads it: at worst they may be refused.

Every case ends with a result or a `GenreKitError` of one plain sentence. A crash of the process,
another exception, a warning, a printed word, a file left behind or left open, more time or more
memory than the limits: each of these is a failure. As a decoder can take its process down with
it, cases run in child processes. What a case is follows from its kind and its seed alone, so that
one command repeats it.
"""

import contextlib
import gc
import math
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, process_time
from typing import Any, Literal

from benchmarks.fuzz.kinds import (
    AUDIO,
    KINDS,
    OTHERS,
    Files,
    FlawError,
    Kind,
    Sources,
    check_sentence,
)
from genrekit.errors import GenreKitError

CASES = 11_000
CASES_OF_ONE_KIND = 1000
GROUPS = {"audio": list(AUDIO), "other": list(OTHERS)}
_AUDIO_SHARE = 10 / 11
_PROGRESS_EVERY = 500
# What libmpg123 says of damaged MP3 on the error output: libsndfile does not let it be silenced.
_CHATTER = re.compile(r"(?m)^(Note: |Warning: |\[src/libmpg123/|\t?mpg123).*$")


@dataclass(frozen=True)
class Limits:
    """Of one case: processor time and time in s, and memory in MB above what stood there.

    `address_mb` is what the process may ask the system for, used or not.
    """

    processor_seconds: int = 20
    seconds: float = 240.0
    memory_mb: int = 512
    address_mb: int = 2048


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case, with processor time in s and additional memory in MB."""

    kind: str
    seed: int
    ending: Literal["result", "refused", "failed"]
    message: str = ""
    seconds: float = 0.0
    memory_mb: float = 0.0

    @property
    def command(self) -> str:
        """The command that repeats the case."""
        return f"python -m benchmarks fuzz --kind {self.kind} --seed {self.seed} --cases 1"


@dataclass
class Report:
    """All outcomes."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failures(self) -> list[Outcome]:
        """The cases that neither gave a result nor were refused."""
        return [outcome for outcome in self.outcomes if outcome.ending == "failed"]

    def __str__(self) -> str:
        of_kind: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in self.outcomes:
            of_kind[outcome.kind].append(outcome)
        head = f"{'':<12}{'cases':>8}{'results':>9}{'refused':>9}{'failed':>8}"
        lines = [head + f"{'slowest':>11}{'most memory':>14}"]
        lines += [_line(kind, of_kind[kind]) for kind in sorted(of_kind, key=list(KINDS).index)]
        lines += [_line("all", self.outcomes), "", "refused, by reason"]
        reasons = Counter(_reason(o.message) for o in self.outcomes if o.ending == "refused")
        lines += [f"{count:8}  {reason}" for reason, count in reasons.most_common()]
        for outcome in self.failures:
            lines += ["", f"FAILED {outcome.message}", f"       {outcome.command}"]
        return "\n".join(lines)


def _line(name: str, outcomes: Sequence[Outcome]) -> str:
    endings = Counter(outcome.ending for outcome in outcomes)
    slowest = max(outcome.seconds for outcome in outcomes)
    memory = max(outcome.memory_mb for outcome in outcomes)
    counts = f"{len(outcomes):8}{endings['result']:9}{endings['refused']:9}{endings['failed']:8}"
    return f"{name:<12}{counts}{slowest:9.2f} s{memory:11.0f} MB"


def _reason(message: str) -> str:
    """Return a message without the parts that differ from case to case."""
    message = re.sub(r'".*"', '"…"', message)
    message = re.sub(r"(?:/[^\s:]*)+", "…", message)
    return re.sub(r"[-+]?\d[\d.,:]*(e[-+]?\d+)?", "#", message)


# -- the cases --------------------------------------------------------------------------------


def fuzz(
    cases: int | None = None,
    seed: int = 0,
    kind: str | None = None,
    workers: int | None = None,
    keep: Path | None = None,
) -> Report:
    """Run cases and report the outcome of each.

    Parameters
    ----------
    cases : int or None; None means 11,000, or 1000 of one kind
    seed : of each kind's first case; the others' follow
    kind : of `KINDS`, or "audio" or "other", or None for all, ten elevenths of them audio
    workers : processes; None means one for each processor
    keep : folder for the files of the cases that failed
    """
    tasks = _tasks(cases, seed, kind)
    chosen = {name: KINDS[name] for name, _ in tasks}
    report = Report()
    workers = min(workers or os.cpu_count() or 1, len(tasks))
    sources = make_sources()
    for outcome in run(tasks, chosen, sources, workers):
        report.outcomes.append(outcome)
        if outcome.ending == "failed":
            _say(f"FAILED {outcome.message}\n       {outcome.command}")
            if keep:
                folder = keep / f"{outcome.kind}-{outcome.seed}"
                write(harmed(outcome.kind, KINDS[outcome.kind], sources, outcome.seed), folder)
        if len(report.outcomes) % _PROGRESS_EVERY == 0:
            _say(f"{len(report.outcomes)} of {len(tasks)} cases")
    return report


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_sources() -> dict[str, Sequence[Files]]:
    """Return the sources of all kinds, since mutations borrow pieces of other kinds."""
    return {name: kind.make() for name, kind in KINDS.items()}


def _tasks(cases: int | None, seed: int, kind: str | None) -> list[tuple[str, int]]:
    """Return (kind, seed) of each case, the kinds in turns."""
    cases = cases or (CASES if kind is None else CASES_OF_ONE_KIND)
    if kind is not None:
        return _in_turns(GROUPS.get(kind, [kind]), cases, seed)
    sound = round(cases * _AUDIO_SHARE)
    others = _in_turns(GROUPS["other"], cases - sound, seed)
    return others + _in_turns(GROUPS["audio"], sound, seed)


def _in_turns(names: Sequence[str], cases: int, seed: int) -> list[tuple[str, int]]:
    return [(names[i % len(names)], seed + i // len(names)) for i in range(cases)]


def harmed(name: str, kind: Kind, sources: Sources, seed: int) -> Files:
    """Return the files of a case."""
    dice = random.Random(f"{name} {seed}")
    return kind.harm(dice.choice(sources[name]), sources, dice)


def write(files: Files, folder: Path) -> None:
    """Write files, whose names may contain slashes, below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# -- one case ---------------------------------------------------------------------------------


def run_case(
    name: str, kind: Kind, files: Files, seed: int, folder: Path, limits: Limits | None = None
) -> Outcome:
    """Feed files to their readers in this process, which a decoder may crash.

    Parameters
    ----------
    folder : for the case's files; what is in it is removed
    """
    limits = limits or Limits()
    for part in ("in", "out", "tmp"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    write(files, folder / "in")
    tempfile.tempdir = str(folder / "tmp")
    opened = _open_files()
    before, start = _memory_reset(), process_time()
    ending, message = _fed(kind, folder)
    seconds, memory = process_time() - start, _memory_peak() - before
    if ending != "failed":
        flaw = _left_behind(folder, files, ending) or _left_open(opened)
        if memory > limits.memory_mb:
            flaw = f"It took {memory:.0f} MB of memory"
        if flaw:
            ending, message = "failed", flaw
    if ending == "failed":
        message = f"{name} {seed}: {message}"
    return Outcome(name, seed, ending, message, seconds, memory)


def _fed(kind: Kind, folder: Path) -> tuple[Any, str]:
    """Return the outcome and the message of a case, according to its readers."""
    ending, message = "result", ""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        try:
            kind.feed(folder / "in", folder / "out")
        except GenreKitError as error:
            ending, message = "refused", str(error)
        except BaseException as error:
            return "failed", f"{type(error).__name__}: {error!s:.300} ({_place(error)})"
    if noted:
        first = noted[0]
        place = f"{Path(first.filename).name}:{first.lineno}"
        return "failed", f"a warning, {first.category.__name__}: {first.message} ({place})"
    if ending == "refused":
        try:
            check_sentence(message)
        except FlawError as flaw:
            return "failed", str(flaw)
    return ending, message


def _place(error: BaseException) -> str:
    """Return the innermost line of GenreKit in an exception's traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "genrekit" in f.filename), frames[-1])
    return f"{Path(ours.filename).name}:{ours.lineno}"


def _left_behind(folder: Path, files: Files, ending: str) -> str:
    """Return the files that a case left behind, or changed in its input."""
    for part in ("tmp", *(["out"] if ending == "refused" else [])):
        left = sorted(path.name for path in (folder / part).rglob("*"))
        if left:
            return f"{ending}, and left behind: {', '.join(left[:5])}"
    there = {p.relative_to(folder / "in").as_posix() for p in (folder / "in").rglob("*")}
    if {name for name in there if not (folder / "in" / name).is_dir()} != set(files):
        return "there are other files than before where it was read from"
    return ""


def _left_open(before: set[str]) -> str:
    if not _open_files() - before:
        return ""
    gc.collect()
    left = _open_files() - before
    return f"left open: {', '.join(sorted(left))}" if left else ""


def _open_files() -> set[str]:
    names = set()
    with contextlib.suppress(OSError):
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                names.add(f"{link.name} {link.readlink()}")
    return {name for name in names if "/fd" not in name}


def _memory_reset() -> float:
    """Resident memory in MB; its peak is counted from here on, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _memory_peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


# -- child processes --------------------------------------------------------------------------


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    """New processes import this module, not the script that the program began with.

    Streamlit's page tests leave a page behind as that script, and it would be run again.
    """
    before = sys.modules["__main__"]
    sys.modules["__main__"] = sys.modules[__name__]
    try:
        yield
    finally:
        sys.modules["__main__"] = before


class _Child:
    """A process that runs cases, one at a time."""

    def __init__(self, kinds: Mapping[str, Kind], sources: Sources, limits: Limits) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, kinds, sources, limits)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        with _no_script():
            self.process.start()
        theirs.close()
        self.task: tuple[str, int] | None = None
        self.started = 0.0

    def give(self, task: tuple[str, int]) -> None:
        self.task, self.started = task, monotonic()
        with contextlib.suppress(OSError):  # it has died; reading will tell
            self.pipe.send(task)

    def end(self, patience: float = 0.0) -> int | None:
        """Return the exit status; the process is killed unless it ends within `patience` s."""
        self.process.join(patience)
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode


def run(
    tasks: Sequence[tuple[str, int]],
    kinds: Mapping[str, Kind],
    sources: Sources,
    workers: int = 1,
    limits: Limits | None = None,
) -> Iterator[Outcome]:
    """The outcomes of cases, as they end; a child that dies is replaced.

    Parameters
    ----------
    tasks : (kind, seed) of each
    """
    limits = limits or Limits()
    waiting = list(reversed(tasks))
    children = [_Child(kinds, sources, limits) for _ in range(workers)]
    try:
        for child in children:
            child.give(waiting.pop())
        while any(child.task for child in children):
            busy = {child.pipe: child for child in children if child.task}
            ready = {busy[pipe] for pipe in connection.wait(list(busy), 1.0)}  # type: ignore[index]
            late = {c for c in busy.values() if monotonic() - c.started > limits.seconds}
            for child in ready | late:
                outcome = _received(child, child in ready, limits)
                if outcome is None:  # it has only started to work
                    continue
                yield outcome
                if not child.process.is_alive():
                    children.remove(child)
                    child = _Child(kinds, sources, limits)
                    children.append(child)
                child.task = None
                if waiting:
                    child.give(waiting.pop())
    finally:
        for child in children:
            child.end()


def _received(child: _Child, ready: bool, limits: Limits) -> Outcome | None:
    """Return a child's outcome, or that of its crash; None where it reports that it is ready."""
    assert child.task is not None
    if ready:
        with contextlib.suppress(EOFError, ConnectionError):
            said = child.pipe.recv()
            if isinstance(said, str):
                raise RuntimeError(said)
            if said is None:
                child.started = monotonic()
            return said
    status = child.end(patience=60.0 if ready else 0.0)
    what = f"no end after {limits.seconds:g} s"
    if ready and status is not None and status < 0:
        what = f"the process was ended by {signal.Signals(-status).name}"
    elif ready:
        what = f"the process ended with status {status}"
    if status == -signal.SIGXCPU:
        what = f"no end after {limits.processor_seconds} s of processor time"
    name, seed = child.task
    return Outcome(name, seed, "failed", f"{name} {seed}: {what}", limits.processor_seconds)


def _work(pipe: Connection, kinds: Mapping[str, Kind], sources: Sources, limits: Limits) -> None:
    """Run valid files first, which loads every library, then cases."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(EOFError, KeyboardInterrupt):
        folder = Path(name)
        with _Printed(folder / "printed") as printed:
            for kind in kinds:
                outcome = run_case(kind, kinds[kind], sources[kind][0], -1, folder / "case", limits)
                if outcome.ending != "result":
                    pipe.send(f"A sound file was not read. {kind}: {outcome.message}")
                    return
            _limit(resource.RLIMIT_AS, int(_status("VmSize") + limits.address_mb) << 20)
            pipe.send(None)
            while True:
                kind, seed = pipe.recv()
                _limit(resource.RLIMIT_CPU, math.ceil(process_time()) + limits.processor_seconds)
                files = harmed(kind, kinds[kind], sources, seed)
                printed.clear()
                outcome = run_case(kind, kinds[kind], files, seed, folder / "case", limits)
                text = _CHATTER.sub("", printed.clear()).strip()
                if text and outcome.ending != "failed":
                    message = f"{kind} {seed}: it printed {text!r:.300}"
                    outcome = Outcome(kind, seed, "failed", message)
                pipe.send(outcome)


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


class _Printed:
    """A file that receives everything that the process and its libraries print."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Printed":
        self._file = self._path.open("ab+")
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor in (1, 2):
            os.dup2(self._file.fileno(), descriptor)
        return self

    def __exit__(self, *problem: object) -> None:
        self._file.close()

    def clear(self) -> str:
        """Return what was printed since the last call."""
        sys.stdout.flush()
        sys.stderr.flush()
        text = self._path.read_bytes().decode("utf-8", "replace")
        self._file.truncate(0)
        return text
