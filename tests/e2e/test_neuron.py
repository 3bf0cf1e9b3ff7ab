"""The neuron page in a real browser: it follows the hand, and a link is enough."""

import re
from typing import Any

import pytest
from stage import (
    SCREENS,
    assert_it_follows_the_hand,
    centre,
    hold,
    messages,
    off_screen,
    thumb,
)

TIMEOUT = 30_000


def open_neuron(page: Any, address: str) -> Any:
    page.goto(address)
    page.get_by_role("heading", name="A neuron", level=1).wait_for(timeout=TIMEOUT)
    drawing = page.get_by_role("img", name="A neuron:")
    drawing.wait_for(timeout=TIMEOUT)
    page.wait_for_selector("[data-test-script-state=notRunning]")
    return drawing


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_the_neuron_is_on_the_first_screen(
    page: Any, app_url: str, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    drawing = open_neuron(page, f"{app_url}/neuron?{query}")
    exhibit = [drawing, *page.locator("[data-part=rows] input").all(), page.locator(".plane")]
    if width > 390:
        exhibit += [page.locator("[data-part=curve]"), page.locator("[data-part=sum]")]
    assert off_screen(page, exhibit) == []


def spot(part: Any, x: float, y: float) -> tuple[float, float]:
    """A place in a part, 0 to 1 from the left and from the top."""
    box = part.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def grip_and_way(page: Any, held: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where to press for what is held, and how far to move, px."""
    if held.startswith(("Input", "Weight")):
        return thumb(page.get_by_role("slider", name=held)), (60, 0)
    if held == "line":
        return centre(page.locator(".grip").first), (0, -60)
    part = page.locator({"map": "[data-part=over]", "curve": "[data-part=curve]"}[held])
    return spot(part, 0.6, 0.4), (70, 0)


@pytest.mark.parametrize(
    ("held", "name", "picture"),
    [
        ("Input x1", "x1", "network"),
        ("Weight w2", "w2", "map"),
        ("line", "w1", "map"),
        ("map", "x1", "network"),
        ("curve", "b", "map"),
    ],
)
def test_what_is_held_moves_the_picture_and_what_is_let_go_is_in_the_address(
    page: Any, app_url: str, held: str, name: str, picture: str
) -> None:
    sent = messages(page)
    open_neuron(page, f"{app_url}/neuron?nr_w1=1.5&nr_w2=-1")
    grip, way = grip_and_way(page, held)
    before = len(sent)
    moving = page.locator(f"[data-part={picture}]")
    assert_it_follows_the_hand(hold(page, grip, way, moving))
    assert len(sent) == before
    shown = page.locator("[data-part=sum]").inner_text()
    address = page.url
    page.mouse.up()
    page.wait_for_function("address => location.href !== address", arg=address)
    page.wait_for_selector("[data-test-script-state=notRunning]")
    assert len(sent) > before
    value = float(re.findall(rf"nr_{name}=([-.\d]+)", page.url)[0])
    # The core's numbers, which a screen reader hears, are those that the hand has left.
    answer = page.get_by_role("img", name="A neuron:").get_attribute("aria-label")
    total = re.findall(r"add up to ([-−.\d]+),", answer)[0]
    assert total.replace("-", "−") in shown
    other = page.context.new_page()
    open_neuron(other, page.url)
    assert other.locator("[data-part=sum]").inner_text() == shown
    slider = other.get_by_role("slider", name=re.compile(rf"\b{name}$"))
    assert float(slider.input_value()) == value
    assert page.problems == []


def test_the_drawing_follows_the_keyboard_and_a_link_holds_it(page: Any, app_url: str) -> None:
    drawing = open_neuron(page, f"{app_url}/neuron?nr_n=3")
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
    assert page.problems == []


def written(page: Any) -> list[str]:
    """The lines of the sum, as a Python program would have them."""
    lines = page.locator("[data-part=sum] p").all_inner_texts()
    return [line.strip().replace("−", "-").replace("·", "*") for line in lines]


def test_who_adds_up_what_is_shown_gets_what_is_shown(page: Any, app_url: str) -> None:
    address = "nr_n=3&nr_x1=1.95&nr_w1=2.95&nr_x2=-1.85&nr_w2=2.65&nr_x3=0.15&nr_w3=0.35"
    open_neuron(page, f"{app_url}/neuron?{address}&nr_bias=true&nr_b=-0.05")
    first, second, _ = written(page)
    exact = 1.95 * 2.95 - 1.85 * 2.65 + 0.15 * 0.35 - 0.05
    products, h = second.removeprefix("=").split("=")
    assert eval(first.removeprefix("h =")) == pytest.approx(exact, abs=1e-12)
    assert eval(products) == pytest.approx(exact, abs=1e-12)
    assert float(h) == pytest.approx(exact, abs=1e-12)


def test_a_tiny_answer_is_written_as_people_write_it(page: Any, app_url: str) -> None:
    values = "".join(f"&nr_x{i}=2&nr_w{i}=-3" for i in range(1, 6))
    open_neuron(page, f"{app_url}/neuron?nr_n=5{values}")
    assert written(page)[2].endswith("= 9.35762 × 10⁻¹⁴")


def test_examples_inputs_and_bias_change_it_at_once_and_it_fits_a_phone(
    page: Any, app_url: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    drawing = open_neuron(page, f"{app_url}/neuron")
    page.get_by_role("button", name="AND", exact=True).click()
    assert drawing.locator("line[data-weight]").count() == 3  # two inputs and the bias
    assert page.locator(".plane text").all_text_contents() == ["0.00", "0.00", "0.00", "1.00"]
    page.get_by_role("button", name="One input more").click()
    page.get_by_role("checkbox", name="Bias").uncheck()
    page.get_by_role("radio", name="tanh").check(force=True)
    assert drawing.locator("line[data-weight]").count() == 3  # three inputs
    page.wait_for_function("location.search.includes('nr_act=tanh')", timeout=TIMEOUT)
    assert all(part in page.url for part in ("nr_n=3", "nr_bias=False", "nr_x1=1"))
    wider = page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollWidth > window.innerWidth"
    )
    assert not wider
    assert page.problems == []
