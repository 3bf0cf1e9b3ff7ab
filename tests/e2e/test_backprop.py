"""The playground in a real browser: smooth, obedient, replayed without traffic, private."""

import os
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

TIMEOUT = 30_000


class View:
    """The live network of one browser page."""

    def __init__(self, page: Any, url: str, query: str = "") -> None:
        self.page = page
        self.received: list[int] = []
        self.sent: list[int] = []
        page.on("websocket", self._count)
        page.goto(f"{url}/backprop{query}")
        self.root = page.locator('[data-part="view"]')
        self.root.wait_for(timeout=TIMEOUT)

    def _count(self, socket: Any) -> None:
        socket.on("framereceived", lambda data: self.received.append(len(data)))
        socket.on("framesent", lambda data: self.sent.append(len(data)))

    def part(self, name: str) -> Any:
        return self.page.locator(f'[data-part="{name}"]')

    def number(self, name: str) -> int:
        return int(self.root.get_attribute(f"data-{name}") or 0)

    @property
    def training(self) -> bool:
        return self.root.get_attribute("data-training") == "true"

    def error(self) -> float:
        return float(self.part("place").inner_text().rsplit(" ", 1)[1].replace("−", "-"))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def until(self, holds: Callable[[], object], seconds: float = 20) -> float:
        """Seconds until `holds`."""
        start = time.monotonic()
        while not holds():
            assert time.monotonic() - start < seconds, "it never came true"
            self.page.wait_for_timeout(15)
        return time.monotonic() - start


def busy() -> float:
    """How many tasks share each core of this machine, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def updates_a_second(view: View) -> float:
    first, start = view.number("updates"), time.monotonic()
    view.page.wait_for_timeout(1000)
    return (view.number("updates") - first) / (time.monotonic() - start)


def seconds_to_pause(view: View) -> float:
    """Train if at rest, then pause and wait for it."""
    if not view.training:
        view.press("Train")
        view.until(lambda: view.training)
    view.press("Pause")
    return view.until(lambda: not view.training)


def test_it_trains_smoothly_stops_at_once_and_replays_alone(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_epochs=500")
    view.until(lambda: view.number("seen") > 2000)
    first, seen, received = view.number("updates"), view.number("seen"), len(view.received)
    # The best second counts, and others' work on the machine is not the playground's.
    assert any(updates_a_second(view) * busy() >= 5 for _ in range(8))
    updates = view.number("updates") - first
    assert sum(view.received[received:]) / updates < 60_000
    assert max(view.received[received:]) < 60_000
    assert view.number("seen") > seen + 3000

    assert any(seconds_to_pause(view) < 0.5 * busy() for _ in range(4))
    seen = view.number("seen")
    page.wait_for_timeout(700)
    assert view.number("seen") == seen

    # Once paused nobody asks the server for anything, and neither does the replay.
    sent, received = len(view.sent), len(view.received)
    now = view.part("place").inner_text()
    view.part("play").click()
    view.until(lambda: re.match("Then.*error .*[0-9]$", view.part("place").inner_text()))
    early = view.error()
    page.wait_for_timeout(1200)
    view.part("scrub").press("Home")
    assert "0 examples" in view.part("place").inner_text()
    view.part("now").click()
    assert view.part("place").inner_text() == now
    assert early > view.error()
    assert (len(view.sent), len(view.received)) == (sent, received)
    assert page.problems == []


def test_one_example_one_epoch_and_reset(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.press("Pause")
    view.until(lambda: not view.training)
    view.press("Reset")
    view.until(lambda: view.number("seen") == 0)
    view.press("One example")
    view.until(lambda: view.number("seen") == 1)
    view.press("One epoch")
    view.until(lambda: view.number("seen") == 1000)
    assert abs(view.error() - 0.0515) < 1e-3


# How far the dot lies from the curve, in pixels; null where there is no dot.
OFF_THE_CURVE = """(svg) => {
  const dot = svg.querySelector("circle.point"), ends = [...svg.querySelector(".train").points];
  if (!dot) return null;
  const [x, y] = ["cx", "cy"].map((name) => Number(dot.getAttribute(name)));
  return Math.min(...ends.map((p, i) => {
    const q = ends[Math.max(0, i - 1)], dx = p.x - q.x, dy = p.y - q.y;
    const along = ((x - q.x) * dx + (y - q.y) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    return Math.hypot(x - q.x - t * dx, y - q.y - t * dy);
  }));
}"""


def test_the_dot_stays_on_the_curve(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_epochs=1000&bp_n=20&bp_log=true&bp_speed=flat+out")
    view.until(lambda: view.number("seen") == 20_000 and not view.training)
    assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2
    assert 100 < view.number("frames") <= 800
    for key in ("PageDown", "PageDown", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        view.part("scrub").press(key)
        assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2
    # Before the first epoch has ended there is no point to stand on.
    view.part("scrub").press("Home")
    assert view.part("curve").evaluate(OFF_THE_CURVE) is None
    view.press("Reset")
    view.until(lambda: view.number("seen") == 0)
    for name, seen in (("One epoch", 20), ("One epoch", 40), ("One example", 41)):
        view.press(name)
        view.until(lambda seen=seen: view.number("seen") == seen)
    assert "error of this epoch so far" in view.part("place").inner_text()
    assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2


def test_a_weight_can_be_edited_and_chosen(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_look=Slow+motion")
    view.press("Pause")
    view.until(lambda: not view.training)
    answer = page.get_by_text(re.compile("^It answers"))
    before = answer.inner_text()
    view.part("pick").select_option(label="h2 → answer")
    page.get_by_text("The chosen weight: h2 → answer").wait_for(timeout=TIMEOUT)
    view.part("value").fill("5.5")
    view.part("value").press("Enter")
    view.until(lambda: "weight 5.500" in view.part("readout").inner_text())
    view.until(lambda: answer.inner_text() != before)
    page.wait_for_function("location.search.includes('bp_weight')", timeout=TIMEOUT)
    assert page.problems == []


def test_a_link_opens_the_same_network(page: Any, app_url: str, browser: Any) -> None:
    view = View(page, app_url, "?bp_layers=2&bp_h1=3&bp_h2=6&bp_act=tanh&bp_log=true&bp_q1=0.2")
    page.get_by_role("slider", name="Units in hidden layer 2").press("ArrowRight")
    view.until(lambda: view.part("network").locator("circle").count() == 2 + 3 + 7 + 1)
    page.wait_for_function("location.search.includes('bp_h2=7')", timeout=TIMEOUT)
    other = browser.new_context()
    twin = View(other.new_page(), page.url.split("/backprop")[0], "?" + page.url.split("?")[1])
    twin.until(lambda: twin.part("network").locator("circle").count() == 2 + 3 + 7 + 1)
    activation = twin.page.get_by_test_id("stSelectbox").filter(has_text="Activation function")
    assert activation.locator("input").input_value() == "tanh"
    assert twin.page.get_by_label("Ask it: a").input_value() == "0.20"
    other.close()


def test_two_people_train_apart(page: Any, app_url: str, browser: Any) -> None:
    other = browser.new_context()
    mine = View(page, app_url, "?bp_epochs=500")
    yours = View(other.new_page(), app_url, "?bp_epochs=500&bp_h1=3&bp_speed=1+epoch+a+second")
    for view in (mine, yours):
        view.until(lambda view=view: view.number("seen") > 500)
    mine.press("Pause")
    mine.until(lambda: not mine.training)
    stopped, going = mine.number("seen"), yours.number("seen")
    yours.until(lambda: yours.number("seen") > going + 300)
    assert yours.training
    assert mine.number("seen") == stopped
    assert mine.part("network").locator("circle").count() == 8
    assert yours.part("network").locator("circle").count() == 6
    other.close()


def test_trouble_is_told_on_a_phone(page: Any, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    view = View(page, app_url)
    page.get_by_role("button", name="Experiments").click()
    page.get_by_role("button", name="Too fast").click()
    page.get_by_text("until the computer could not hold them").wait_for(timeout=TIMEOUT)
    view.until(lambda: not view.training)
    wider = page.evaluate(
        "document.querySelector('[data-testid=stMain]').scrollWidth > window.innerWidth"
    )
    assert not wider
    assert page.problems == []
