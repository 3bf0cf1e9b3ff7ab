"""The home page and the tour in a real browser: from the first look to a verdict."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from stage import SCREENS, small_text

from genrekit.app.kit.tour import STOPS

PATIENT_MS = 120_000


@pytest.fixture
def home(app_url: str, page: Any) -> Any:
    """The home page, whose story has its verdict; requests that leave the host are noted."""
    outside: list[str] = []
    own = (app_url, "blob:", "data:")
    page.on("request", lambda r: None if r.url.startswith(own) else outside.append(r.url))
    page.set_default_timeout(PATIENT_MS)
    page.goto(app_url)
    page.get_by_role("heading", name="Verdict of seconds 0 to 3").wait_for()
    yield page
    assert outside == []
    assert page.problems == []


def rest(page: Any) -> None:
    page.wait_for_timeout(200)
    page.wait_for_selector("[data-test-script-state=notRunning]")


def stands(page: Any, number: int) -> None:
    page.locator(".st-key-tour_place").get_by_text(f"{number} of {len(STOPS)}").wait_for()
    rest(page)


def test_the_whole_tour_by_keyboard_alone_with_its_guesses(home: Any) -> None:
    home.get_by_role("button", name="Take the ten-minute tour").press("Enter")
    said = home.locator(".st-key-tour_text")
    keys = ["ArrowRight", "PageDown"]
    for number, stop in enumerate(STOPS, start=1):
        stands(home, number)
        assert "tour=1" in home.url
        said.get_by_text(stop.show).wait_for()
        assert set(stop.query) - WIDGETS <= set(parse_qs(urlsplit(home.url).query)), "set up"
        if stop.answers:  # focus is on the bar
            home.keyboard.press("Tab")
            home.keyboard.press("Tab" if stop.clip else "Shift")
            assert home.evaluate(FOCUS) == next(iter(stop.answers.values()))
            home.keyboard.press("Enter")
            said.get_by_text(f"You said {next(iter(stop.answers.values()))}. It ").wait_for()
        if number < len(STOPS):
            home.keyboard.press(keys[number % 2])
    home.get_by_text("What it heard in training that sounds alike").wait_for()
    rest(home)
    home.keyboard.press("PageUp")
    stands(home, len(STOPS) - 1)
    home.keyboard.press("ArrowLeft")
    stands(home, len(STOPS) - 2)
    home.get_by_role("button", name="Leave the tour").press("Enter")
    home.locator(".st-key-tour_place").wait_for(state="detached")
    rest(home)
    assert "tour" not in home.url


# Settings that leave the address when they are the default.
WIDGETS = {"mel_view", "listener", "bp_q1", "bp_q2", "view", "epochs", "mel_test", "mel_clip"}
FOCUS = "document.activeElement.textContent.trim()"


def test_keys_that_a_control_needs_do_not_turn_the_page(app_url: str, page: Any) -> None:
    page.goto(f"{app_url}/neuron?tour=1")
    stands(page, 4)
    slider = page.get_by_role("slider", name="x1")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.search.includes('nr_x1=0.5')")
    page.keyboard.press("PageDown")
    stands(page, 5)
    page.goto(f"{app_url}/mel-scale?tour=1&mel_view=Two+rulers")
    stands(page, 2)
    page.get_by_label("Hertz", exact=True).click()  # no longer inert
    for key in ("ArrowLeft", "PageUp", "PageDown"):
        page.keyboard.press(key)
    rest(page)
    stands(page, 2)


@pytest.mark.parametrize("query", ["", "present=1"])
def test_the_bar_is_slim_stays_and_moves_nothing_off_the_screen(
    app_url: str, page: Any, query: str
) -> None:
    screens = [(width, height) for width, height, its in SCREENS if its == query]
    for number, stop in enumerate(STOPS, start=1):
        tops: dict[int, float] = {}
        for tour in ("", "&tour=1"):
            page.set_viewport_size({"width": 1280, "height": 800})
            page.goto(f"{app_url}/{stop.address}?{urlencode(stop.query)}&{query}{tour}")
            page.get_by_role("heading", level=1).first.wait_for()
            rest(page)
            for width, height in screens:
                page.set_viewport_size({"width": width, "height": height})
                most = max(200, tops.get(width, 0)) + 1
                page.wait_for_function(f"most => ({TOP})() <= most", arg=most)
                tops[width] = page.evaluate(TOP)
                if tour:
                    bar_stays(page, number, width, height, presented=bool(query))


def bar_stays(page: Any, number: int, width: int, height: int, *, presented: bool) -> None:
    bar = page.locator(".st-key-tour_bar")
    lines = 2 if width < 400 else 1
    text = page.locator(".st-key-tour_text p").bounding_box()
    assert text["height"] < (40 if presented else 27), (number, text)
    assert bar.bounding_box()["height"] <= 42 * lines * (1.5 if presented else 1), number
    page.mouse.move(width / 2, height / 2)
    page.mouse.wheel(0, 3000)
    page.wait_for_timeout(200)
    assert bar.bounding_box()["y"] == 0
    stands(page, number)


# Of the page's first line, before anything is scrolled.
TOP = """() => {
  document.querySelector("[data-testid=stMain]").scrollTop = 0;
  return document.querySelector("[data-testid=stMain] h1").getBoundingClientRect().top;
}"""


def test_the_presenter_view_survives_a_page_switch_and_is_left_with_escape(home: Any) -> None:
    size = "() => parseFloat(getComputedStyle(document.documentElement).fontSize)"
    usual = home.evaluate(size)
    home.get_by_role("button", name="Ten-minute tour", exact=True).click()
    home.get_by_role("button", name="Presenter view").click()
    home.get_by_role("button", name="Leave presenter view").wait_for()
    home.get_by_test_id("stSidebar").wait_for(state="hidden")
    assert home.evaluate(size) == 1.5 * usual
    home.keyboard.press("PageDown")
    home.get_by_role("heading", level=1, name="The mel scale").wait_for()
    rest(home)
    assert "present=1" in home.url
    assert not home.get_by_test_id("stSidebar").is_visible()
    home.keyboard.press("Escape")
    home.get_by_test_id("stSidebar").wait_for()
    assert "present" not in home.url
    assert home.evaluate(size) == usual


def test_the_presenter_view_is_read_from_the_last_row(app_url: str, page: Any) -> None:
    page.set_default_timeout(PATIENT_MS)
    page.set_viewport_size({"width": 1920, "height": 1080})
    for address in PRESENTED:
        page.goto(f"{app_url}/{address}present=1&tour=1")
        page.get_by_role("heading", level=1).first.wait_for()
        rest(page)
        page.wait_for_timeout(1000)
        rest(page)
        assert small_text(page) == {}, address
        assert page.get_by_test_id("stCaptionContainer").locator("visible=true").count() == 0
        leave = page.get_by_role("button", name="Leave presenter view")
        bar = page.locator(".st-key-tour_bar").bounding_box()
        box = leave.bounding_box()
        assert box["y"] + box["height"] <= bar["y"] + bar["height"], "it covers nothing else"
        assert leave.evaluate(ON_TOP)


PRESENTED = (
    *("?", "glossary?", "privacy?", "neuron?", "backprop?", "dataset?", "train?"),
    *("mel-scale?", "mel-scale?mel_test=Staircases&", "mel-scale?mel_view=Two+rulers&"),
    *("mel-scale?mel_view=Filter+bank&", "mel-scale?mel_view=Sound+to+MFCC&"),
    "classify?source=An+example&",
)
ON_TOP = """one => {
  const { x, y, width, height } = one.getBoundingClientRect();
  return one.contains(document.elementFromPoint(x + width / 2, y + height / 2));
}"""
