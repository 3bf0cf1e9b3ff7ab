"""The neuron page in a real browser: the drawing follows the sliders, and a link is enough."""

from typing import Any

TIMEOUT = 30_000


def open_neuron(page: Any, address: str) -> Any:
    page.goto(address)
    page.get_by_role("heading", name="A neuron", level=1).wait_for(timeout=TIMEOUT)
    drawing = page.get_by_role("img", name="A neuron:")
    drawing.wait_for(timeout=TIMEOUT)
    return drawing


def test_the_drawing_follows_the_sliders_and_a_link_holds_them(page: Any, app_url: str) -> None:
    drawing = open_neuron(page, f"{app_url}/neuron")
    page.get_by_text("0.610639233949222").wait_for(timeout=TIMEOUT)
    assert drawing.locator("line[data-weight]").count() == 3
    assert drawing.get_by_text("0.611").count() == 1

    slider = page.get_by_role("slider", name="Weight w2")
    slider.focus()
    slider.press("Home")
    negative = drawing.locator('line[data-weight="-3"]')
    negative.wait_for(timeout=TIMEOUT)
    assert negative.get_attribute("stroke-dasharray") != "none"
    positive = drawing.locator('line[data-weight="0.4"]')
    assert positive.get_attribute("stroke-dasharray") == "none"
    assert positive.get_attribute("stroke") != negative.get_attribute("stroke")
    assert float(negative.get_attribute("stroke-width")) > 3 * float(
        positive.get_attribute("stroke-width")
    )
    page.wait_for_function("location.search.includes('nr_w2=-3')", timeout=TIMEOUT)
    twin = page.context.new_page()
    open_neuron(twin, page.url).locator('line[data-weight="-3"]').wait_for(timeout=TIMEOUT)
    assert twin.get_by_text("0.341").count() >= 1  # sigmoid(0.2 - 0.9 + 0.04)

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="AND", exact=True).click()
    page.locator(".js-plotly-plot .heatmaplayer image").wait_for(timeout=TIMEOUT)
    assert drawing.locator("line[data-weight]").count() == 3  # two inputs and the bias
    wider = page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollWidth > window.innerWidth"
    )
    assert not wider
    assert page.problems == []
