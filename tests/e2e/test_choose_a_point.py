"""Points of charts can be chosen, seen and heard."""

import re
from typing import Any

PATIENT_MS = 180_000
# Where the first point, or the first cell, of a chart's first trace stands on the page.
FIRST_POINT = """chart => {
    const plot = chart.querySelector(".js-plotly-plot");
    const { x, y } = plot._fullData[0];
    const { xaxis, yaxis } = plot._fullLayout;
    const box = plot.getBoundingClientRect();
    return [box.x + xaxis._offset + xaxis.d2p(x[0]), box.y + yaxis._offset + yaxis.d2p(y[0])];
}"""


def click_first_point(page: Any, chart: Any) -> None:
    chart.scroll_into_view_if_needed()
    chart.locator(".nsewdrag").first.wait_for(state="attached")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    x, y = chart.evaluate(FIRST_POINT)
    page.mouse.move(x, y)
    page.wait_for_timeout(300)  # Plotly looks for what is below the pointer now and then
    page.mouse.click(x, y)


def test_points_of_the_map_and_cells_of_the_matrix_can_be_heard(app_url: str, page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 2400})
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/dataset")
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("heading", name="What you have now").wait_for()
    page.get_by_text("Map of all segments").click()
    page.get_by_text("Choose a point to see and hear its segment").wait_for()
    chart = page.get_by_test_id("stPlotlyChart").last
    click_first_point(page, chart)
    page.get_by_text("MFCC 0, the loudness, is left out").wait_for()
    page.locator("audio").first.wait_for()

    page.goto(page.url.replace("/dataset", "/train") + "&epochs=200")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop early, keep the model").click()
    page.get_by_role("heading", name="What is taken for what").wait_for()
    chart = page.get_by_test_id("stPlotlyChart").nth(2)
    click_first_point(page, chart)
    page.get_by_text(re.compile(r"taken for .+: \d+ track")).wait_for()
    assert page.get_by_text("Something went wrong").count() == 0
    # A sound that is replaced before it was fetched is gone; nobody misses it.
    assert [problem for problem in page.problems if "/media/" not in problem] == []
