"""The playground in a real browser: small steps, obedient, replayed without traffic."""

import re
import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 60_000


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

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT / 1000
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            self.page.wait_for_timeout(15)


def test_it_trains_in_small_steps_pauses_and_replays_alone(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_epochs=500")
    view.until(lambda: view.number("seen") > 2000)
    first, received = view.number("updates"), len(view.received)
    view.until(lambda: view.number("updates") >= first + 10)
    # Each step is drawn from one small message, not from the page anew.
    assert max(view.received[received:]) < 60_000
    view.press("Pause")
    view.until(lambda: not view.training)
    page.wait_for_selector("[data-test-script-state=notRunning]")
    seen = view.number("seen")

    # Once paused nobody asks the server for anything, and neither does the replay.
    sent, received = len(view.sent), len(view.received)
    now = view.part("place").inner_text()
    view.part("play").click()
    view.until(lambda: re.match("Then.*error .*[0-9]$", view.part("place").inner_text()))
    early = view.error()
    view.until(lambda: view.error() < early)
    view.part("scrub").press("Home")
    assert "0 examples" in view.part("place").inner_text()
    view.part("now").click()
    assert view.part("place").inner_text() == now
    assert view.number("seen") == seen
    assert (len(view.sent), len(view.received)) == (sent, received)
    assert page.problems == []


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
    assert 100 < view.number("snapshots") <= 800
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


def test_a_link_opens_the_same_network(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_layers=2&bp_h1=3&bp_h2=6&bp_act=tanh&bp_log=true&bp_q1=0.2")
    page.get_by_role("slider", name="Units in hidden layer 2").press("ArrowRight")
    view.until(lambda: view.part("network").locator("circle").count() == 2 + 3 + 7 + 1)
    page.wait_for_function("location.search.includes('bp_h2=7')", timeout=TIMEOUT)
    query = page.url.split("?")[1]
    twin = View(page.context.new_page(), app_url, f"?{query}")
    twin.until(lambda: twin.part("network").locator("circle").count() == 2 + 3 + 7 + 1)
    activation = twin.page.get_by_test_id("stSelectbox").filter(has_text="Activation function")
    assert activation.locator("input").input_value() == "tanh"
    assert twin.page.get_by_label("Ask it: a").input_value() == "0.20"
