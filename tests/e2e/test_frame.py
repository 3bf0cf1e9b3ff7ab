"""What every page owes every visitor."""

from typing import Any

import pytest

PAGES = {
    "": "How does a machine hear music?",
    "mel-scale": "The mel scale",
    "neuron": "A neuron",
    "backprop": "",
    "dataset": "Prepare a dataset",
    "train": "Train a classifier",
    "classify": "Classify a song",
}


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_opens_by_its_address_without_errors_or_requests_outside(
    app_url: str, page: Any, address: str, width: int
) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{app_url}/{address}")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.get_by_role("heading", level=1).first.wait_for()
    assert PAGES[address] in page.get_by_role("heading", level=1).first.inner_text()
    assert page.problems == []
    assert page.get_by_text("Something went wrong").count() == 0
    assert [url for url in requests if not url.startswith((app_url, "blob:", "data:"))] == []
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), "nothing is cut off"
