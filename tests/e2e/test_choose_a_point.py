"""Points of charts can be chosen, seen and heard."""

import re
from typing import Any

import pytest

PATIENT_MS = 180_000


def click_until(page: Any, chart: Any, appears: Any) -> None:
    """Click over a chart's plane until what should follow a hit appears."""
    plane = chart.locator(".nsewdrag").first.bounding_box()
    for down in range(2, 19):
        for right in range(2, 19, 2):
            page.mouse.click(
                plane["x"] + plane["width"] * right / 20, plane["y"] + plane["height"] * down / 20
            )
            page.wait_for_timeout(150)
            if appears.count() and _stays(page, appears):
                return
    pytest.fail("no click hit a point")


def _stays(page: Any, what: Any) -> bool:
    """Whether it is there still when the page rests: a click beside may have followed the hit."""
    page.wait_for_timeout(1000)
    page.wait_for_selector("[data-test-script-state=notRunning]")
    return bool(what.count())


def test_points_of_the_map_and_cells_of_the_matrix_can_be_heard(app_url: str, page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 2400})
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/dataset")
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("heading", name="What you have now").wait_for()
    page.get_by_text("Map of all segments").click()
    page.get_by_text("Choose a point to see and hear its segment").wait_for()
    chart = page.get_by_test_id("stPlotlyChart").last
    click_until(page, chart, page.get_by_text("MFCC 0, the loudness, is left out"))
    page.locator("audio").first.wait_for()

    page.goto(page.url.replace("/dataset", "/train") + "&epochs=200")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop early, keep the model").click()
    page.get_by_role("heading", name="What is taken for what").wait_for()
    chart = page.get_by_test_id("stPlotlyChart").nth(2)
    click_until(page, chart, page.get_by_text(re.compile(r"taken for .+: \d+ track")))
    assert page.get_by_text("Something went wrong").count() == 0
    # A sound that is replaced before it was fetched is gone; nobody misses it.
    assert [problem for problem in page.problems if "/media/" not in problem] == []
