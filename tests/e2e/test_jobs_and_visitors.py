"""Jobs outlive pages, browsers and servers, and visitors do not meet."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import run_server

PATIENT_MS = 180_000


def make_demo(page: Any, url: str) -> None:
    page.goto(f"{url}/dataset")
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("button", name="Cancel").wait_for()


def test_a_job_goes_on_when_browser_and_server_are_gone(browser: Any, tmp_path: Path) -> None:
    with run_server(tmp_path) as url:
        page = browser.new_context().new_page()
        make_demo(page, url)
        page.get_by_text("tracks ·").wait_for(timeout=PATIENT_MS)
        address = page.url
        page.context.close()
    port = int(url.rsplit(":", 1)[1])
    with run_server(tmp_path, port):
        page = browser.new_context().new_page()
        page.goto(address)
        page.get_by_role("heading", name="What you have now").wait_for(timeout=PATIENT_MS)
        assert page.get_by_text("Resume").count() == 0
        page.context.close()


def test_two_visitors_wait_their_turn_and_see_their_own(
    app_url: str, visitor: Callable[..., Any]
) -> None:
    first, second = visitor(), visitor()
    make_demo(first, app_url)
    make_demo(second, app_url)
    second.get_by_text("it is next").wait_for(timeout=PATIENT_MS)
    assert first.url != second.url
    second.get_by_role("button", name="Cancel").click()
    second.get_by_text("Cancelled").wait_for(timeout=PATIENT_MS)
    second.get_by_role("button", name="Resume").click()
    first.get_by_role("heading", name="What you have now").wait_for(timeout=PATIENT_MS)
    second.get_by_role("heading", name="What you have now").wait_for(timeout=PATIENT_MS)
