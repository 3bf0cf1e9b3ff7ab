"""The time until pages are visible in Chromium: after a start, a switch, and a change."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.load.chromium import CHROMIUM, FLAGS
from benchmarks.load.crowd import PAGES, verdict
from benchmarks.load.server import Server, running

PAINT_GOAL = 2.0
SWITCH_GOAL = 0.2
VERDICT_GOAL = 5.0
ROUNDS = 4
# Parts of the mel page, which the server draws; each asks another question than the one before.
TESTS = ("Staircases", "Test 2", "Staircases", "Test 1")
_PATIENCE_MS = 60_000.0
# Whether the script has ended, and its heading and what stands below it can be seen.
_THERE = """() =>
  document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning" &&
  document.querySelector('[data-testid="stMain"]').innerText.length > 100 &&
  [...document.querySelectorAll("h1")].some((heading) => heading.checkVisibility())"""
# Seconds from a click until the page shows something else and its script has ended.
_CLICK = """(target) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error("nothing happened: " + target.outerHTML)), 60000);
  const main = () => document.querySelector('[data-testid="stMain"]').innerText;
  const app = () => document.querySelector('[data-testid="stApp"]');
  const before = main();
  const begun = performance.now();
  const look = () => main() !== before && app().dataset.testScriptState === "notRunning"
    ? resolve((performance.now() - begun) / 1000) : requestAnimationFrame(look);
  target.click();
  look();
})"""


@dataclass
class Paints:
    """Seconds: of each page's first paint on a server that has just begun to answer, of the first
    verdict there once the page is up, of every page switch, and of every changed widget."""

    first: dict[str, float] = field(default_factory=dict)
    verdict: float = 0.0
    switches: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        lines = ["in Chromium, alone", "  first paint as a deep link, since the server answers"]
        for page, seconds in self.first.items():
            said = f"goal {PAINT_GOAL:g} s, {verdict(seconds <= PAINT_GOAL)}"
            lines.append(f"    {page or 'home':<24}{seconds:6.2f} s; {said}")
        said = f"goal {VERDICT_GOAL:g} s, {verdict(self.verdict <= VERDICT_GOAL)}"
        lines.append(f"  first verdict, since the page is up: {self.verdict:.2f} s; {said}")
        for name, times in (("page switch", self.switches), ("changed widget", self.changes)):
            middle = median(times)
            said = f"goal {1000 * SWITCH_GOAL:g} ms, {verdict(middle <= SWITCH_GOAL)}"
            lines.append(f"  {name}, median of {len(times)}: {1000 * middle:.0f} ms; {said}")
        return "\n".join(lines)


def paints() -> Paints | None:
    """Measure with a fresh server for each page; None without Chromium or Playwright."""
    if CHROMIUM is None or find_spec("playwright") is None:
        return None
    found = Paints()
    with _chromium() as browser:
        for page in PAGES:
            with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
                tab, found.first[page] = _first_paint(browser, server, page)
                if page == "neuron":
                    _click_about(tab, server, found)
                if page == "classify":
                    found.verdict = _first_verdict(tab)
                tab.context.close()
    return found


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def _first_paint(browser: Any, server: Server, page: str) -> tuple[Any, float]:
    begun = perf_counter()
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    tab.set_default_timeout(_PATIENCE_MS)
    tab.goto(f"{server.url}/{page}", wait_until="commit")
    tab.wait_for_function(_THERE, polling="raf")
    return tab, perf_counter() - begun


def _first_verdict(tab: Any) -> float:
    begun = perf_counter()
    tab.get_by_role("radio", name="An example").click()
    tab.locator(".st-key-stage h2").wait_for()
    return perf_counter() - begun


def _click_about(tab: Any, server: Server, found: Paints) -> None:
    server.wait_until_ready()
    for number in range(ROUNDS + 1):
        for page in (*PAGES[1:], ""):
            link = tab.locator(f'[data-testid="stSidebarNav"] a[href$="/{page}"]')
            seconds = link.evaluate(_CLICK)
            if number:  # the first time the browser fetches what it needs
                found.switches.append(seconds)
            if page == "mel-scale":
                tests = [tab.get_by_role("radio", name=name, exact=True) for name in TESTS]
                times = [test.evaluate(_CLICK) for test in tests]
                found.changes += times if number else []
