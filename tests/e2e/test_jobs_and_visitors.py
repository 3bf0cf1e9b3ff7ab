"""Visitors do not meet, and wait their turn."""

from collections.abc import Callable
from typing import Any

PATIENT_MS = 180_000


def make_demo(page: Any, url: str) -> None:
    page.goto(f"{url}/dataset")
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("button", name="Cancel").wait_for(timeout=PATIENT_MS)


def test_two_visitors_wait_their_turn_and_see_their_own(
    app_url: str, visitor: Callable[..., Any]
) -> None:
    first, beside, second = visitor(), visitor(), visitor()
    make_demo(first, app_url)
    make_demo(beside, app_url)  # a short job, for which there is one more place
    make_demo(second, app_url)
    second.get_by_text("it is next").wait_for(timeout=PATIENT_MS)
    assert first.url != second.url
    second.get_by_role("button", name="Cancel").click()
    second.get_by_text("Cancelled").wait_for(timeout=PATIENT_MS)
    assert first.get_by_text("Cancelled").count() == 0
    first.get_by_role("button", name="Cancel").click()
    first.get_by_text("Cancelled").wait_for(timeout=PATIENT_MS)
