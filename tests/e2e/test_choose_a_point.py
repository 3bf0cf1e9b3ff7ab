"""Points of charts can be chosen, seen and heard."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrekit.cli.main import main as genrekit

PATIENT_MS = 180_000


@pytest.fixture
def made(keep: Callable[..., str], demo_folder: Path, demo_file: Path) -> tuple[str, str]:
    """The ids of a dataset and of a model trained on it, as if a visitor had made them."""

    def copy(folder: Path) -> None:
        shutil.copytree(demo_folder, folder / "audio")
        shutil.copy(demo_file, folder / "data.parquet")

    def train(folder: Path) -> None:
        options = ["--epochs", "3", "--normalise", "--progress", "json"]
        assert genrekit(["train", str(demo_file), "-o", str(folder / "model"), *options]) == 0

    dataset = keep("dataset", ["preprocess", "audio", "-o", "data.parquet"], copy)
    return dataset, keep("model", ["train", f"../{dataset}/data.parquet", "-o", "model"], train)


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


def test_points_of_the_map_and_cells_of_the_matrix_can_be_heard(
    app_url: str, page: Any, made: tuple[str, str]
) -> None:
    dataset, model = made
    page.set_viewport_size({"width": 1280, "height": 2400})
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/dataset?dataset={dataset}")
    page.get_by_text("Map of all segments").click()
    page.get_by_text("Choose a point to see and hear its segment").wait_for()
    chart = page.locator("[data-testid=stPlotlyChart][aria-label^='Map of the segments']")
    click_first_point(page, chart)
    page.get_by_text("MFCC 0, the loudness, is left out").wait_for()
    page.locator("audio").first.wait_for()

    page.goto(f"{app_url}/train?dataset={dataset}&model={model}")
    chart = page.locator("[data-testid=stPlotlyChart][aria-label^='Confusion matrix']")
    chart.wait_for()
    click_first_point(page, chart)
    page.get_by_text(re.compile(r"taken for .+: \d+ track")).wait_for()
    assert page.get_by_text("Something went wrong").count() == 0
    assert page.problems == []
