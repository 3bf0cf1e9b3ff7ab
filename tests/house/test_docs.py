"""The guides are true: their code runs and prints what they say, their commands and links exist.

A fenced block is read by its first words:

- ``python`` is run, block after block of a guide, in a folder with some music. A ``text`` block
  that follows it directly is what it prints, with ``...`` for anything.
- ``python`` that begins with a comment that is a path is that file, and ``diff`` that begins with
  ``---`` and a path changes that file, in a copy of the project.
- ``shell`` and blocks without a word hold commands: those of GenreKit have to be understood, and
  those that need nothing from elsewhere are run.
"""

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
from test_imports import APP_FLOORS, FLOORS

from genrekit.app.kit.tour import STOPS
from genrekit.audio.synth.demo import write_demo_dataset
from genrekit.audio.synth.rendering import render
from genrekit.cli.main import main
from genrekit.cli.options import parser

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("", "[!.]*/", "docs/*/")
PAGES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}*.md"))
EXTEND = ROOT / "docs" / "extend.md"
CHANGED = ("genrekit", "pages", "tests")  # what the examples of extending change

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w/]+\.py)\n")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its word, its text, where it begins, and the file that it is or changes."""

    word: str
    text: str
    line: int
    follows: bool  # directly upon the block before it
    path: str


def blocks(guide: Path) -> Iterator[Block]:
    content = guide.read_text(encoding="utf-8")
    end = 0
    for found in FENCE.finditer(content):
        word, text = found.groups()
        path = ""
        if word == "diff":
            path = text.split("\n", 1)[0].removeprefix("--- ")
        elif word == "python" and (named := FILE.match(text)):
            path = named[1]
        follows = bool(end) and not content[end : found.start()].strip()
        yield Block(word, text, content.count("\n", 0, found.start()) + 1, follows, path)
        end = found.end()


def run(guide: Path) -> None:
    """Run a guide's Python in the current folder, and compare what it prints."""
    names = {"__name__": "guide"}
    said = ""
    for block in blocks(guide):
        if block.word == "python" and not block.path:
            code = compile("\n" * block.line + block.text, guide.name, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, names)
            said = output.getvalue()
        elif block.word == "text" and block.follows:
            same = doctest.OutputChecker().check_output(block.text, said, doctest.ELLIPSIS)
            assert same, f"{guide.name}, line {block.line}, prints:\n{said}"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def runnable(guide: Path) -> bool:
    return any(block.word == "python" and not block.path for block in blocks(guide))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with what the guides take for granted: a folder of music, and a song."""
    folder = tmp_path_factory.mktemp("desk")
    music = write_demo_dataset(
        folder / "music", tracks_per_style=3, seconds=6, styles=("classical", "jazz")
    )
    list(music)
    soundfile.write(folder / "song.mp3", render("jazz", seed=99, seconds=9), 22050, format="MP3")
    return folder


@pytest.mark.parametrize("guide", [page for page in PAGES if runnable(page)], ids=name)
def test_the_python_of_a_guide_does_what_it_says(guide, desk, monkeypatch):
    monkeypatch.chdir(desk)
    run(guide)


def test_a_guide_that_says_something_else_is_found_out(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("```python\nprint(1.5)\n```\n\n```text\n1.4\n```\n")
    with pytest.raises(AssertionError, match=r"line 5, prints:\n *1.5"):
        run(guide)


def test_the_examples_of_extending_pass_their_own_tests(tmp_path):
    for path in ROOT.iterdir():
        if path.name in CHANGED:
            compiled = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, tmp_path / path.name, ignore=compiled)
        elif not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    tests = []
    for block in blocks(EXTEND):
        if block.word == "diff":
            change(tmp_path / block.path, block.text)
        elif block.path:
            (tmp_path / block.path).write_text(block.text, encoding="utf-8")
            tests += [block.path] * block.path.startswith("tests/")
    assert len(tests) >= 5
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def change(path: Path, diff: str) -> None:
    """Change a file as each hunk of a diff without line numbers says: its old lines are unique."""
    content = path.read_text(encoding="utf-8")
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert content.count(old) == 1, f"{path.name} has changed; docs/extend.md knows:\n{old}"
        content = content.replace(old, new)
    path.write_text(content, encoding="utf-8")


def commands(page: Path) -> list[list[str]]:
    """The commands of a guide, as words."""
    text = "".join(block.text for block in blocks(page) if block.word in ("", "shell"))
    lines = (re.split(" # | > ", line)[0] for line in text.replace("\\\n", " ").splitlines())
    words = (shlex.split(line, comments=True) for line in lines)
    return [command for command in words if command]


def of_genrekit(page: Path) -> list[list[str]]:
    """The arguments of a guide's GenreKit commands."""
    starts = (["python", "-m", "genrekit"], ["genrekit"])
    return [
        command[len(start) :]
        for command in commands(page)
        for start in starts
        if command[: len(start)] == start
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_are_understood(page):
    for arguments in of_genrekit(page):
        parser().parse_args(arguments)  # exits where it does not understand
    for command in commands(page):
        if command[0] == "python" and command[1].endswith(".py"):
            assert (ROOT / command[1]).is_file(), command


def needs_nothing(arguments: list[str]) -> bool:
    """Return whether a command needs neither another machine nor files of one's own."""
    elsewhere = any("://" in word or word.startswith(("MEL", "TRACKS")) for word in arguments)
    return arguments[0] != "app" and not elsewhere


@pytest.mark.tools
@pytest.mark.parametrize("page", [page for page in PAGES if of_genrekit(page)], ids=name)
def test_commands_do_their_work(page, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    for arguments in filter(needs_nothing, of_genrekit(page)):
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out, arguments


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https:", "mailto:")):
            continue
        place, _, part = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name} links to {link}"
        if part:
            assert part in headings(target), f"{page.name} links to {link}"


def headings(page: Path) -> set[str]:
    """The headings of a page, as GitHub writes them in addresses."""
    lines = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    titles = [line.lstrip("#").strip().lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def test_the_table_of_rooms_is_complete():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `([\w/]+)/` \|", text, re.MULTILINE))
    package = ROOT / "genrekit"
    rooms = {path.parent.relative_to(package).as_posix() for path in package.glob("**/__init__.py")}
    assert named == rooms - {".", "app"}


@pytest.mark.parametrize(
    ("number", "floors"), list(enumerate([FLOORS, APP_FLOORS])), ids=["core", "app"]
)
def test_the_floors_are_drawn_as_they_are(number, floors):
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = [block for block in re.findall(r"```text\n(.*?)```", text, re.S) if " 1  " in block]
    lines = re.findall(r"^ (\d)  (.*)$", drawing[number], re.MULTILINE)
    rooms = set().union(*floors)
    drawn = {
        int(floor): {"ground"} if "errors" in words else set(re.findall(r"\w+", words)) & rooms
        for floor, words in lines
    }
    assert drawn == dict(enumerate(floors, 1))


def test_the_list_of_files_is_up_to_date():
    make = runpy.run_path(str(ROOT / "docs" / "make_file_list.py"))
    page = make["PAGE"].read_text(encoding="utf-8")
    assert page == make["with_list"](page), "run python docs/make_file_list.py"


def test_the_demonstration_is_the_tour():
    text = (ROOT / "docs" / "demonstrate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE)
    assert [(int(minutes), title) for minutes, title in rows] == [
        (stop.minutes, stop.title) for stop in STOPS
    ]
    assert sum(stop.minutes for stop in STOPS) == 10
