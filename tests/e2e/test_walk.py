"""The home page and the tour in a real browser: from the first look to a verdict."""

from typing import Any

import pytest

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


def test_the_whole_tour_from_home_to_a_verdict_by_next(home: Any) -> None:
    home.get_by_role("button", name="Take the ten-minute tour").click()
    for number, stop in enumerate(STOPS, start=1):
        home.get_by_text(f"Stop {number} of 8: {stop.title}").wait_for()
        rest(home)
        assert "tour=1" in home.url
        if stop.action:
            home.get_by_role("link", name=stop.action).click()
            rest(home)
            home.get_by_text(f"Stop {number} of 8: {stop.title}").wait_for()
        if number < len(STOPS):
            home.get_by_role("link", name=f"Next: {STOPS[number].title}").click()
    home.get_by_text("segments, taken alone, say the same").wait_for()
    home.get_by_text("What it heard in training that sounds alike").wait_for()
    home.get_by_role("link", name="Back", exact=True).click()
    home.get_by_text("Stop 7 of 8").wait_for()
    home.get_by_role("button", name="Leave the tour").click()
    home.get_by_text("Stop 7 of 8").wait_for(state="detached")
    rest(home)
    assert "tour" not in home.url


def test_the_presenter_view_survives_a_page_switch_and_is_left_with_escape(home: Any) -> None:
    size = "() => parseFloat(getComputedStyle(document.documentElement).fontSize)"
    usual = home.evaluate(size)
    home.get_by_role("button", name="Presenter view").click()
    home.get_by_role("button", name="Leave presenter view").wait_for()
    home.get_by_test_id("stSidebar").wait_for(state="hidden")
    assert home.evaluate(size) > 1.25 * usual
    home.get_by_role("link", name="Next: The mel scale").click()
    home.get_by_role("heading", level=1, name="The mel scale").wait_for()
    rest(home)
    assert "present=1" in home.url
    assert not home.get_by_test_id("stSidebar").is_visible()
    home.keyboard.press("Escape")
    home.get_by_test_id("stSidebar").wait_for()
    assert "present" not in home.url
    assert home.evaluate(size) == usual
