"""Thousands of addresses that nobody's page has written, each opened as a browser opens it.

An address holds the settings of its page and the ids of jobs, and anybody may send any. Every page
falls back to its defaults. An exception, the message that something went wrong on our side, or
more time than the limit is a failure. A case follows from its seed alone.
"""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from benchmarks.fuzz.kinds import OTHERS, Files

__all__ = ["CASES", "GARBAGE", "Page", "Report", "explore", "faults", "finished", "fuzz", "visit"]

CASES: Final = 2000
SECONDS: Final = 20.0
_PAGES: Final = Path(__file__).resolve().parents[2] / "pages"
_PROGRESS_EVERY: Final = 250

Query = Mapping[str, str | Sequence[str]]

GARBAGE: Final[tuple[str | tuple[str, ...], ...]] = (
    *("1e309", "-1e309", "inf", "-Infinity", "nan", "1e308", "-1", "0", "0.5", "1e-320", "-0.0"),
    *("99999999999999999999", "9" * 5000, "0x10", "1_000", "١٢٣", "½", "1,5", "true", "None"),
    *("", " ", "\0", "\x1b[2J", "\r\nSet-Cookie: a=b", "\ud7ff", "é" * 300, "🎵", "\u202etxt"),
    *("<script>alert(1)</script>", "$$x$$ :red[x] ![](//x)", "{{7*7}}", "%00", "a" * 20_000),
    *("../..", "../../../../etc/passwd", "x" * 22, "-" * 22, "[1,2]", '{"a":1}', "1;2", "1&2"),
    *(("1", "2"), ("inf", "nan"), ("", ""), ("a",) * 50),
)


@dataclass(frozen=True)
class Page:
    """A page, the keys of its address, and the options of those that choose among some."""

    script: str
    keys: tuple[str, ...]
    options: Mapping[str, Sequence[str]]


@dataclass
class Report:
    """The outcome of a run, with the time of each case in s."""

    failures: list[str] = field(default_factory=list)
    pages: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{count:6}  {page}" for page, count in sorted(self.pages.items())]
        lines.append(
            f"{len(self.seconds):6}  addresses, {len(self.failures)} failed; the slowest took "
            f"{max(self.seconds):.2f} s"
        )
        return "\n".join(lines + self.failures)


def fuzz(cases: int = CASES, seed: int = 0) -> Report:
    """Open random addresses on all pages; the case after `seed` has the next seed."""
    from genrekit.app import session

    report = Report()
    with _own_jobs():
        ids = [finished("dataset", OTHERS["parquet"].make()[0])]
        pages = explore(ids[0], deep=True)
        ids += [finished(kind, {}, status=2) for kind in session.KINDS]
        for number in range(seed, seed + cases):
            page, query = _address(pages, ids, number)
            start = time.monotonic()
            found = faults(visit(page.script, query))
            report.seconds.append(time.monotonic() - start)
            report.pages[page.script] += 1
            if report.seconds[-1] > SECONDS:
                found.append(f"It took {report.seconds[-1]:.0f} s.")
            if found:
                again = f"python -m benchmarks fuzz --kind address --seed {number} --cases 1"
                report.failures += [f"FAILED {page.script}: {found[0]:.300}", f"       {again}"]
            if (number - seed + 1) % _PROGRESS_EVERY == 0:
                print(f"{number - seed + 1} of {cases} addresses", flush=True)
    return report


def visit(script: str, query: Query) -> Any:
    """Open a page at an address, as a link from elsewhere does."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(_PAGES / "frame.py"), default_timeout=60)
    app.run()  # only then does it know the pages by their scripts
    app.query_params.update(
        {key: value if isinstance(value, str) else list(value) for key, value in query.items()}
    )
    return app.switch_page(script).run()


def faults(app: Any) -> list[str]:
    """Return what went wrong on our side."""
    ours = [one.value for one in app.error if "on our side" in one.value]
    return [one.message for one in app.exception] + ours


def explore(dataset: str, *, deep: bool) -> list[Page]:
    """Find the keys that pages read from their addresses, in the states that links lead to.

    They are recorded where Streamlit looks them up: a new widget is found without being listed.
    What components read is not looked up by name; links to them have it.

    Parameters
    ----------
    dataset : the id of a finished one, which the build pages need to show all they have
    deep : also in every state that a visitor's choices lead to
    """
    scripts = sorted(p.relative_to(_PAGES).as_posix() for p in _PAGES.glob("*/*.py"))
    return [_explored(script, dataset, deep) for script in scripts]


def _explored(script: str, dataset: str, deep: bool) -> Page:
    from genrekit.app.kit.glossary import MENTIONS
    from genrekit.app.kit.tour import STOPS

    links = [dict(one.query) for one in (*STOPS, *MENTIONS.values()) if one.page == script]
    given = {"dataset": dataset} if script.startswith("build/") else {}
    waiting = [given, *({**given, **link} for link in links)]
    options: dict[str, Sequence[str]] = {}
    with _recorded() as keys:
        while waiting:
            query = waiting.pop()
            for key, names in _choices(visit(script, query)).items():
                if key not in options:
                    options[key] = names
                    waiting += [{**query, key: name} for name in names if deep]
    return Page(script, tuple(sorted(keys.union(*links))), options)


def _choices(app: Any) -> dict[str, Sequence[str]]:
    kinds = (app.selectbox, app.radio, app.button_group, app.select_slider)
    widgets = (widget for kind in kinds for widget in kind)
    return {w.proto.query_param_key: w.options for w in widgets if w.proto.query_param_key}


@contextmanager
def _recorded() -> Iterator[set[str]]:
    """Record the keys that are bound to widgets or looked up."""
    from streamlit.runtime.state.query_params import QueryParams

    keys: set[str] = set()
    bind, get = QueryParams.bind_widget, QueryParams.__getitem__

    def binds(self: Any, param_key: str, *more: Any, **named: Any) -> None:
        keys.add(param_key)
        bind(self, param_key, *more, **named)

    def gets(self: Any, key: str) -> str:
        keys.add(key)
        return get(self, key)

    with patch.multiple(QueryParams, bind_widget=binds, __getitem__=gets):
        yield keys


def _address(pages: Sequence[Page], ids: Sequence[str], seed: int) -> tuple[Page, Query]:
    """Draw an address: some of a page's keys with garbage, some with what it offers."""
    dice = random.Random(f"address {seed}")
    page = dice.choice(pages)
    some = dice.sample(page.keys, dice.randint(1, len(page.keys)))
    query: dict[str, str | Sequence[str]] = {}
    for key in some:
        valid = list(page.options.get(key, ())) if dice.random() < 0.5 else []
        query[key] = dice.choice(valid or [*GARBAGE, *ids])
    if dice.random() < 0.1:
        query[dice.choice(["embed", "EMBED", "", "__proto__", "a" * 500])] = "true"
    return page, query


@contextmanager
def _own_jobs() -> Iterator[None]:
    """Keep the jobs of this process in a folder of its own, and its songs in this process."""
    from genrekit.app import session
    from genrekit.app.settings import settings

    with tempfile.TemporaryDirectory() as folder:
        chosen = {"GENREKIT_JOBS_FOLDER": folder, "GENREKIT_LISTENERS": "0"}
        with patch.dict(os.environ, chosen):
            settings.cache_clear()
            session.jobs.clear()
            try:
                yield
            finally:
                session.jobs().close()
                session.jobs.clear()
                settings.cache_clear()


def finished(kind: str, files: Files, status: int = 0) -> str:
    """Return the id of a job that looks as if it had run and made these files."""
    from genrekit.app import session

    folder = session.jobs().new_folder()
    ended = {"started": b"0", "events.jsonl": b'{"type": "exit", "status": %d}\n' % status}
    for name, content in {**files, **ended}.items():
        (folder / name).write_bytes(content)
    commands = [["import", "upload.npz", "-o", "data.parquet"]]
    return session.jobs().add(folder, kind, f"Some {kind}", commands, "nobody").id
