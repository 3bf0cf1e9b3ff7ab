"""Two ways to the same result, timed in turns.

Other programs slow both sides alike for as long as they run, so each time of one side is set
against the time of the other taken next to it, and the medians are reported. A pair whose
results disagree ends everything: a faster wrong answer is worth nothing.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# One way: seconds taken, and the result.
Way = Callable[[], tuple[float, Any]]


class DisagreementError(Exception):
    """The two ways gave different results."""


@dataclass(frozen=True)
class Figures:
    """The times of each pair in s, and what the check found."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    agreement: str
    goal: float | None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Return their time over ours, for each pair."""
        return tuple(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    def __str__(self) -> str:
        def line(label: str, values: Sequence[float], unit: str) -> str:
            low, high = min(values), max(values)
            return f"  {label:<22}{median(values):9.3f}{unit}   ({low:.3f} to {high:.3f})"

        reached = ""
        if self.goal is not None:
            verdict = "reached" if median(self.ratios) >= self.goal else "MISSED"
            reached = f"   goal {self.goal:g}: {verdict}"
        pairs = "1 pair" if len(self.ours) == 1 else f"{len(self.ours)} pairs"
        return "\n".join(
            [
                f"{self.name}  (median of {pairs}, least and most)",
                line("GenreKit", self.ours, " s"),
                line("straightforward way", self.theirs, " s"),
                line("times faster", self.ratios, "x ") + reached,
                f"  same result            {self.agreement}",
            ]
        )


def compare(
    name: str,
    ours: Way,
    theirs: Way,
    check: Callable[[Any, Any], str],
    *,
    runs: int = 5,
    warm_up: bool = False,
    goal: float | None = None,
) -> Figures:
    """Time both ways in turns; which one starts changes from pair to pair.

    Parameters
    ----------
    check : function of both results
        Says how well they agree.
    runs : int, >= 1, pairs
    warm_up : bool
        Run an unmeasured pair first.

    Raises
    ------
    DisagreementError
        From `check`.
    """
    pairs, agreement = [], ""
    for run in range(-warm_up, runs):
        if run % 2:
            b, a = theirs(), ours()
        else:
            a, b = ours(), theirs()
        agreement = check(a[1], b[1])
        if run >= 0:
            pairs.append((a[0], b[0]))
    mine, other = zip(*pairs, strict=True)
    return Figures(name, mine, other, agreement, goal)


def within(difference: float, limit: float, what: str) -> str:
    """Return in words how far apart results are.

    Raises
    ------
    DisagreementError
        Farther than `limit`, or not a number.
    """
    if not difference <= limit:
        raise DisagreementError(f"{what} differ by {difference:.3g}, more than {limit:g}.")
    return f"{what} differ by {difference:.2g} at most (limit {limit:g})"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds taken, and the result of `work`."""
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def python(*arguments: str, numba_cache: Path) -> str:
    """Return the output of ``python ARGUMENTS`` in a fresh process.

    Raises
    ------
    RuntimeError
        It failed; the message is what it wrote to standard error.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"NUMBA_CACHE_DIR": str(numba_cache)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def seconds_said(output: str) -> float:
    """Return the time that a child process measured, from its last line of JSON."""
    return float(json.loads(output.strip().splitlines()[-1])["seconds"])


def machine() -> str:
    """Describe the machine."""
    packages = "numpy scipy numba librosa soundfile torch pyarrow".split()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    # More waiting work than cores before anything has begun: the figures will be poor.
    load = f"; load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores, {processor()}{load}; Python {platform.python_version()} on "
        f"{platform.system()}; {versions}"
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's maker and model from Linux, or else from Python."""
    try:
        lines = cpuinfo.read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
