"""A running app and a browser, for the tests that need both.

Without Chromium or Playwright they are skipped; where the environment variable CI is set they
fail instead, so that no build passes by not looking.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import soundfile

from benchmarks.load.chromium import CHROMIUM, FLAGS
from genrekit.app.jobs.queue import Jobs
from genrekit.app.settings import Settings
from genrekit.audio.synth.rendering import render
from genrekit.music import compiled

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
# Streamlit looks for its endpoints below the page's path first, and means nothing by it.
HARMLESS = ("/_stcore/health", "/_stcore/host-config")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; the browser tests must run in CI")
    pytest.skip(reason)


@contextmanager
def run_server(folder: Path, base: str = "") -> Iterator[str]:
    """The app, started on a port of its own, with its jobs and its log in `folder`.

    Parameters
    ----------
    base : where its addresses begin, such as "/music"
    """
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    options = ["--server.headless", "true", "--server.port", str(port)]
    options += ["--server.baseUrlPath", base]
    settings = {"GENREKIT_JOBS_FOLDER": str(folder / "jobs")}
    log = folder / "server.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}{base}"
            _wait_until_healthy(url, server, log)
            yield url
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(10)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the app keeps its log and, below `jobs`, its jobs."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def app_url(app_folder: Path) -> Iterator[str]:
    """The address of the app, started for this session; nothing is left for it to compile."""
    if not compiled.kept().is_dir():
        subprocess.run([sys.executable, "-m", compiled.__name__], cwd=ROOT, check=True)
    with run_server(app_folder) as url:
        yield url


@pytest.fixture(scope="session")
def keep(app_folder: Path) -> Callable[..., str]:
    """A function that keeps a job of the app as done, as if a visitor had made it.

    It takes the kind, the command and what writes the results into the job's folder, and returns
    the job's id.
    """

    def add(kind: str, command: Sequence[str], write: Callable[[Path], object]) -> str:
        jobs = Jobs(Settings(jobs_folder=app_folder / "jobs"))
        folder = jobs.new_folder()
        with (folder / "events.jsonl").open("w") as events, redirect_stdout(events):
            write(folder)
            print('{"type": "exit", "status": 0}')
        (folder / "started").write_text("0")
        assert jobs.add(folder, kind, "Made for a test", [list(command)], "me").status == "done"
        jobs.close()
        return folder.name

    return add


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"The app did not start:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def _context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One Chromium for the session, which finds no other machine; its microphone hears music.

    It has a profile, for only there are scripts kept as compiled. A page opens a fifth sooner so.
    """
    if CHROMIUM is None:
        _missing("Chromium is not installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("Playwright is not installed")
    folder = tmp_path_factory.mktemp("chromium")
    music = folder / "music.wav"
    soundfile.write(music, render("reggae", seed=1, seconds=10), 22050)
    microphone = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={music}",
    ]
    alone = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            args=[*FLAGS, *alone, *microphone],
            viewport={"width": 1280, "height": 900},
        )
        yield context
        context.close()


@pytest.fixture(scope="session")
def browser(_context: Any) -> Any:
    """The session's Chromium: a new context in it has never seen the app."""
    return _context.browser


@pytest.fixture(scope="session")
def compute(browser: Any) -> Iterator[Callable[[str, Any], Any]]:
    """A function that evaluates JavaScript about the value `given`, without a server.

    `m` has what the app's modules of arithmetic and formulas export.
    """

    def serve(route: Any) -> None:
        name = Path(urlsplit(route.request.url).path).name
        if name:
            route.fulfill(path=ROOT / "genrekit" / "app" / "browser" / name)
        else:
            route.fulfill(body="", content_type="text/html")

    tab = browser.new_page()
    tab.route("http://modules.invalid/**", serve)
    tab.goto("http://modules.invalid/")
    script = """async ([expression, given]) => {
      const files = ["arithmetic", "network_maths", "formulas"];
      const m = Object.assign({}, ...await Promise.all(files.map((name) => import(`/${name}.js`))));
      return new Function("m", "given", `return ${expression}`)(m, given);
    }"""
    yield lambda expression, given: tab.evaluate(script, [expression, given])
    tab.close()


@pytest.fixture(scope="session")
def _first_visit(_context: Any, app_url: str) -> None:
    """The first visit to a fresh server imports everything: no test should wait for that.

    It is a deep link, which Streamlit answers with "Page not found" when it takes the app for
    one of its old kind; it does so for the first visit only.
    """
    tab = _context.new_page()
    tab.goto(f"{app_url}/neuron", timeout=1000 * START_SECONDS)
    tab.get_by_role("heading", name="A neuron").wait_for(timeout=1000 * START_SECONDS)
    assert tab.get_by_text("Page not found").count() == 0
    tab.close()


@pytest.fixture
def page(_context: Any, _first_visit: None) -> Iterator[Any]:
    """The page of a new visitor, of 1280 x 900; the errors it met are in `page.problems`.

    Scripts, as read and compiled, are what is left of the visitors before.
    """
    tab = _watched(_context.new_page())
    yield tab
    _shows_no_lost_file(tab)
    tab.evaluate("() => { try { localStorage.clear(); } catch { /* no page was opened */ } }")
    for one in _context.pages[1:]:  # the first keeps the browser open
        one.close()
    _context.clear_cookies()
    _context.clear_permissions()


@pytest.fixture(scope="session")
def drawings() -> str:
    """Where the scripts of the app's drawings come from, for `page.route`."""
    return "**/_stcore/bidi-components/**"


@pytest.fixture
def visitor(browser: Any, _first_visit: None) -> Iterator[Callable[..., Any]]:
    """A function that opens a page in a browser of its own, which has never seen the app."""
    tabs = []

    def come(**options: Any) -> Any:
        tabs.append(_watched(browser.new_context(**options).new_page()))
        return tabs[-1]

    yield come
    for tab in tabs:
        _shows_no_lost_file(tab)
        tab.context.close()


def _watched(tab: Any) -> Any:
    problems: list[str] = []
    lost: list[str] = []

    def note(message: Any) -> None:
        # Sounds may be gone once a visitor has moved on; the page that shows one must find it.
        _note(message, lost if "/media/" in message.location.get("url", "") else problems)

    tab.on("console", note)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.problems, tab.lost = problems, lost
    return tab


def _shows_no_lost_file(tab: Any) -> None:
    for message in [] if tab.is_closed() else tab.lost:
        file = message.rsplit("/", 1)[1]
        assert not tab.locator(f"[src$='{file}']").count(), message


def _note(message: Any, problems: list[str]) -> None:
    address = message.location.get("url", "")
    if message.type == "error" and not address.endswith(HARMLESS):
        problems.append(f"{message.text} {address}")
