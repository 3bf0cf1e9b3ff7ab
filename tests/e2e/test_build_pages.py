"""The dataset and train pages in a real browser: what is on the first screen, and what moves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from stage import SCREENS, off_screen

from genrekit.dataset.dataset import Dataset

PATIENT_MS = 180_000
SIZE = "one => parseFloat(getComputedStyle(one).fontSize)"


@pytest.fixture(scope="module")
def dataset(keep: Callable[..., str], make_dataset: Callable[..., Dataset]) -> str:
    """The query of a dataset of 3,200 segments, which takes a while to learn."""
    invented = make_dataset(genres=tuple("abcdefgh"), tracks=40, segments=10)
    command = ["preprocess", "audio", "-o", "data.parquet"]
    name = keep("dataset", command, lambda folder: invented.write(folder / "data.parquet"))
    return f"dataset={name}"


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_a_run_and_then_its_result_are_on_the_first_screen(
    app_url: str, page: Any, dataset: str, width: int, height: int, query: str
) -> None:
    page.set_default_timeout(PATIENT_MS)
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{app_url}/train?{dataset}&epochs=200&{query}")
    train = page.get_by_role("button", name="Train", exact=True)
    train.click()
    stop = page.get_by_role("button", name="Stop and keep the best epoch")
    stop.wait_for()
    score = page.locator(".st-key-stage h2")
    curves = page.locator(".js-plotly-plot")
    curves.nth(1).wait_for()
    change = page.get_by_role("button", name="Change")
    progress = page.get_by_test_id("stProgress")
    wide = [curves.nth(1), page.get_by_text("loss on held-out music")] if width > 390 else []
    seen = [change, score, progress, stop, curves.first, *wide]
    assert off_screen(page, seen) == []
    assert not train.is_visible(), "what was chosen is one line"

    said = page.get_by_text("of the held-out segments right after epoch")
    text = said.inner_text()
    page.wait_for_function(
        "text => !document.body.innerText.includes(text)", arg=text, timeout=PATIENT_MS
    )
    stop.click()
    mixed_up = page.get_by_role("heading", name="Which genres get mixed up (confusion matrix)")
    mixed_up.wait_for()
    curves.first.wait_for()
    use = page.get_by_role("link", name="Use it")
    assert off_screen(page, [change, score, use, mixed_up, curves.first]) == []
    use.click()
    page.get_by_role("heading", name="Classify a song").wait_for()
    assert page.problems == []


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_a_dataset_is_on_the_first_screen(
    app_url: str, page: Any, dataset: str, width: int, height: int, query: str
) -> None:
    page.set_default_timeout(PATIENT_MS)
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{app_url}/dataset?{dataset}&{query}")
    picture = page.locator(".js-plotly-plot").first
    picture.wait_for()
    made = page.locator(".st-key-made, .st-key-size").all()
    controls = [*made, page.get_by_role("radio", name="One segment")]
    # A phone's first screen ends within the picture.
    assert off_screen(page, [*controls, picture] if width > 390 else controls) == []
    figure, label = (page.get_by_test_id(f"stMetric{one}").first for one in ("Value", "Label"))
    assert figure.evaluate(SIZE) > 1.5 * label.evaluate(SIZE)
    assert not page.get_by_role("button", name="Make the demo dataset").is_visible()
    assert page.problems == []


def test_a_folder_of_hundreds_of_files_is_taken_in_and_let_go(
    app_url: str, page: Any, tmp_path: Path
) -> None:
    """The browser names the files once, and not in each of its messages."""
    rng = np.random.default_rng(0)
    for number in range(200):
        genre = tmp_path / "music" / ("jazz", "metal")[number % 2]
        genre.mkdir(parents=True, exist_ok=True)
        soundfile.write(genre / f"{number}.wav", rng.uniform(-0.5, 0.5, 4000), 8000)
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(len(data))))
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/dataset?music_source=A+folder")
    page.locator("input[type=file]").set_input_files(tmp_path / "music")
    page.get_by_test_id("stMetric").filter(has_text="Files").get_by_text("200").wait_for()
    assert page.get_by_test_id("stFileUploaderFile").count() == 0
    assert max(sent) > 50_000
    assert sent[-1] < 5_000
    assert page.problems == []
