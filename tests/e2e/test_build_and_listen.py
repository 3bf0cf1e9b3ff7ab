"""From nothing to a verdict in a real browser."""

from typing import Any

PATIENT_MS = 180_000


def test_a_newcomer_makes_a_dataset_a_model_and_hears_its_verdict(app_url: str, page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(app_url)
    page.get_by_role("link", name="Prepare a dataset").click()
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("heading", name="Download").wait_for(timeout=PATIENT_MS)
    page.get_by_text("Nothing was left out.").wait_for()

    page.get_by_role("link", name="Next: Train a classifier").click()
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("heading", name="Which genres get mixed up").wait_for(timeout=PATIENT_MS)
    address = page.url

    page.get_by_role("link", name="Next: Classify a song").click()
    page.get_by_role("radio", name="An example").click()
    page.get_by_text("segments, taken alone, say the same").wait_for(timeout=PATIENT_MS)
    page.get_by_role("button", name="Change").click()
    model = page.get_by_role("combobox", name="Model")
    assert "Yours: Classifier on demo dataset" in (model.input_value() or model.inner_text())
    assert page.problems == []
    outside = [url for url in requests if not url.startswith((app_url, "blob:", "data:"))]
    assert outside == []

    # The link alone brings the result back, in a browser that knows nothing.
    other = page.context.browser.new_context().new_page()
    other.goto(address)
    other.get_by_role("heading", name="Which genres get mixed up").wait_for(timeout=PATIENT_MS)
    other.context.close()
