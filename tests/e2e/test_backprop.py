"""The playground in a real browser: a film that waits, plays alone, and is the core's run."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from stage import (
    SCREENS,
    assert_it_follows_the_hand,
    centre,
    hold,
    messages,
    off_screen,
)

from genrekit.teaching.inspect_run import ask
from genrekit.teaching.run import Run, Weight
from genrekit.teaching.settings import RunSettings

TIMEOUT = 60_000


class View:
    """The film of one browser page."""

    def __init__(self, page: Any, url: str, query: str = "") -> None:
        self.page = page
        self.sent = messages(page)
        self.received: list[int] = []
        page.on("websocket", self._measure)
        page.goto(f"{url}/backprop{query}")
        self.root = page.locator('[data-part="view"][data-pictures]')
        self.root.wait_for(timeout=TIMEOUT)
        page.wait_for_selector("[data-test-script-state=notRunning]", timeout=TIMEOUT)

    def _measure(self, socket: Any) -> None:
        socket.on("framereceived", lambda data: self.received.append(len(data)))

    @property
    def messages(self) -> tuple[int, int]:
        """How many went and came."""
        return len(self.sent), len(self.received)

    def part(self, name: str) -> Any:
        return self.page.locator(f'[data-part="{name}"]')

    def says(self, name: str) -> str:
        return self.root.get_attribute(f"data-{name}") or ""

    def number(self, name: str) -> float:
        return float(self.says(name))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT / 1000
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            self.page.wait_for_timeout(15)

    def whole(self) -> None:
        """Play until the browser has all of the film."""
        self.press("Train")
        self.until(lambda: self.says("whole") == "true")

    def is_the_core(self, run: Run, question: tuple[float, float] = (0.3, 0.1)) -> None:
        """The moment shown has the numbers of the core's run."""
        then = run.at(int(self.number("seen")))
        assert self.number("answer") == pytest.approx(ask(then, question).answer, rel=1e-9)
        if then.seen:
            assert self.number("error") == pytest.approx(then.moment().mse, rel=1e-9)


# Frames a second of the page at rest and pictures a second of the film, for a second each, three
# times in turn; and how soon after the first press the film moves, in milliseconds.
PICTURES = """async (view) => {
  const button = view.querySelector('[data-part="train"]'), found = { rest: [], film: [] };
  const second = async () => {
    const from = performance.now(), before = Number(view.dataset.pictures);
    let frames = 0, now = from;
    for (; now - from < 1000; frames++) {
      now = await new Promise(requestAnimationFrame);
      if (Number(view.dataset.position) > 0) found.moved ??= now - from;
    }
    const pictures = Number(view.dataset.pictures) - before;
    return [frames, pictures].map((count) => (1000 * count) / (now - from));
  };
  for (let i = 0; i < 3; i++) {
    found.rest.push((await second())[0]);
    button.click();
    found.film.push((await second())[1]);
    button.click();
  }
  return found;
}"""


def test_it_waits_and_then_plays_at_once_and_smoothly(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    page.wait_for_timeout(500)
    assert view.number("seen") == 0  # it waits for the visitor
    measured = view.root.evaluate(PICTURES)
    assert measured["moved"] < 300
    # Where others keep the machine busy, most of what it manages for a page at rest.
    assert max(measured["film"]) >= min(50, 0.85 * min(measured["rest"])), measured


def test_train_asks_for_the_whole_film_and_plays_it_without_the_server(
    page: Any, app_url: str
) -> None:
    view = View(page, app_url)
    sent, received = view.messages
    view.press("Train")
    view.until(lambda: view.says("whole") == "true")
    assert view.says("playing") == "true"
    assert view.number("seen") < 50_000
    assert len(view.sent) == sent + 1
    assert sum(view.received[received:]) < 300_000
    now = view.messages
    view.until(lambda: view.says("playing") == "false")
    assert view.number("seen") == 50_000
    assert view.messages == now

    # From here on the film needs nobody: not to pause, to scrub, to step or to replay.
    view.press("Replay")
    view.until(lambda: 10_000 < view.number("seen") < 40_000)
    view.press("Pause")
    late = view.number("seen")
    view.press("Back")
    assert view.number("seen") < late
    view.press("One epoch")
    assert view.number("seen") % 1000 == 0
    view.press("Play backwards")
    view.until(lambda: view.number("seen") < late - 1000)
    view.press("Pause")
    view.part("scrub").press("Home")
    assert "0 examples" in view.part("place").inner_text()
    for seen in range(1, 11):
        view.press("One example")
        assert view.number("seen") == seen
    view.part("curve").click(position={"x": 150, "y": 60})
    assert view.number("seen") > 10_000
    view.press("Start over")
    assert view.number("seen") == 0
    assert view.messages == now
    assert page.problems == []


@pytest.mark.parametrize("speed", ["1 epoch a second", "flat out"])
def test_other_speeds_need_no_other_film(page: Any, app_url: str, speed: str) -> None:
    view = View(page, app_url)
    view.whole()
    view.press("Pause")
    page.get_by_label("Speed").select_option(speed)
    page.wait_for_function("location.search.includes('bp_speed')", timeout=TIMEOUT)
    page.wait_for_selector("[data-test-script-state=notRunning]", timeout=TIMEOUT)
    sent, start = len(view.sent), view.number("seen")
    view.press("Continue")
    view.until(lambda: view.number("seen") > start + 2000)
    assert len(view.sent) == sent


def test_a_long_run_comes_in_stretches_and_does_not_stop(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_epochs=150&bp_speed=flat+out")
    view.press("Train")
    for examples in range(30_000, 150_001, 30_000):
        view.until(lambda least=examples: view.number("seen") >= least)
    assert view.number("seen") == 150_000
    assert view.says("playing") == "false"
    run = Run(RunSettings(), epochs=150)
    run.advance(10**6)
    view.is_the_core(run)


def test_every_number_is_the_cores(page: Any, app_url: str) -> None:
    run = Run(RunSettings())
    run.advance(10**6)
    view = View(page, app_url)
    view.is_the_core(run)
    view.whole()
    view.press("Pause")
    for key in ("PageUp", "PageUp", "ArrowRight", "PageUp", "End"):
        view.part("scrub").press(key)
        view.is_the_core(run)
    assert view.number("seen") == 50_000
    assert "It answers 0.3" in view.part("answer").inner_text()
    # A step between two moments of the film is asked for, and is the core's too.
    view.part("scrub").press("Home")
    for _ in range(3):
        view.part("scrub").press("PageUp")
    before = view.number("seen")
    view.press("One example")
    view.until(lambda: view.number("seen") == before + 1)
    view.is_the_core(run)


# How far the dot lies from the curve, in pixels; null where there is no dot.
OFF_THE_CURVE = """(svg) => {
  const dot = svg.querySelector("circle.point"), ends = [...svg.querySelector(".train").points];
  if (dot.style.display === "none") return null;
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
    view.press("Train")
    view.until(lambda: view.number("seen") == 20_000 and view.says("playing") == "false")
    assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2
    for key in ("PageDown", "PageDown", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        view.part("scrub").press(key)
        assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2
    # Before the first epoch has ended there is no point to stand on.
    view.part("scrub").press("Home")
    assert view.part("curve").evaluate(OFF_THE_CURVE) is None
    for name, seen in (("One epoch", 20), ("One epoch", 40), ("One example", 41)):
        view.press(name)
        view.until(lambda seen=seen: view.number("seen") == seen)
    assert "error of this epoch so far" in view.part("place").inner_text()
    assert view.part("curve").evaluate(OFF_THE_CURVE) < 0.2


# What is held, where, and the way that it is moved, px.
HELD = {
    "line": (lambda view: line_middle(view), (0, -48)),
    "input": (lambda view: centre(view.part("network").locator(".unit.input").first), (0, -144)),
    "map": (lambda view: centre(view.part("over")), (72, -72)),
}


def line_middle(view: View) -> tuple[float, float]:
    """The middle of the first weight's line."""
    x, y = view.part("network").evaluate(
        """(svg) => {
          const line = svg.querySelector(".hit"), box = line.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        }"""
    )
    return x, y


@pytest.mark.parametrize("held", HELD)
def test_the_picture_answers_while_a_control_is_held(page: Any, app_url: str, held: str) -> None:
    view = View(page, app_url)
    view.part("scrub").press("ArrowRight")
    take, seen = view.number("take"), view.number("seen")
    where, way = HELD[held]
    before = len(view.sent)
    picture = view.part("units" if held == "line" else "network")
    assert_it_follows_the_hand(hold(page, where(view), way, picture))
    assert len(view.sent) == before
    answer = view.number("answer")
    page.mouse.up()
    if held == "line":
        view.until(lambda: view.number("take") == take + 1)
        edited = Run(RunSettings()).at(0)
        edited.advance(int(seen))
        value = float(view.part("value").input_value())
        edited.set_weight(Weight(0, 0, 0), value)
        assert view.number("answer") == pytest.approx(answer, rel=1e-9)
        assert view.number("answer") == pytest.approx(ask(edited, (0.3, 0.1)).answer, abs=1e-4)
    else:
        page.wait_for_function("location.search.includes('bp_q1')", timeout=TIMEOUT)
        question = [float(page.get_by_label(f"Ask it: {n}").input_value()) for n in "ab"]
        run = Run(RunSettings())
        run.advance(10**6)
        view.is_the_core(run, (question[0], question[1]))


def test_a_weight_can_be_edited_and_chosen(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.whole()
    view.press("Pause")
    cut = int(view.number("seen"))
    page.locator('[data-view="bp_weight"]').select_option(label="h2 → answer")
    page.wait_for_function("location.search.includes('bp_weight')", timeout=TIMEOUT)
    view.part("value").fill("5.5")
    view.part("value").press("Enter")
    view.until(lambda: view.says("take") == "2")
    assert "weight 5.5" in view.part("readout").inner_text()
    assert view.number("seen") == cut
    run = Run(RunSettings())
    run.advance(10**6)
    edited = run.at(cut)
    edited.set_weight(Weight(1, 1, 0), 5.5)
    edited.advance(10**6)
    view.is_the_core(edited)
    view.press("Continue")
    view.until(lambda: view.number("seen") > cut + 1000)
    view.press("Pause")
    view.is_the_core(edited)
    # What came before the cut is still in the film, and what would have come is a thin line.
    view.part("scrub").press("Home")
    view.is_the_core(run)
    assert view.part("curve").locator(".earlier").count() == 1
    # To start over is to start without the change.
    view.press("Start over")
    view.until(lambda: view.says("take") == "3")
    assert page.problems == []


def test_a_new_rate_cuts_the_film_at_the_moment_shown(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.whole()
    view.press("Pause")
    cut = int(view.number("seen"))
    rate = page.get_by_role("slider", name="Learning rate")
    rate.press("ArrowRight")
    view.until(lambda: view.says("take") == "2")
    run = Run(RunSettings())
    run.advance(cut)
    run.learning_rate = 0.3
    run.advance(10**6)
    assert view.number("seen") == cut
    view.press("Continue")
    view.until(lambda: view.number("seen") > cut + 2000)
    view.press("Pause")
    view.is_the_core(run)


def test_slow_motion_writes_the_formulas_numbers_beside_the_lines(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_weight=b+%E2%86%92+h3")
    page.get_by_label("Speed").select_option("slow motion")
    formulas = view.part("formulas")
    formulas.wait_for(timeout=TIMEOUT)
    lines = view.part("network").locator(".weight.chosen")
    assert lines.count() == 2
    shown = formulas.inner_text()
    for line in lines.all_text_contents():
        assert line in shown
    view.press("Train")
    dot = view.part("network").locator(".pulses circle").first
    before = dot.get_attribute("cx")
    view.until(lambda: dot.get_attribute("cx") != before)
    view.press("Pause")
    for stage, says in (
        ("2 Loss", "half its square"),
        ("3 Backward", "times the delta"),
        ("4 Update", "against its gradient"),
    ):
        view.press(stage)
        view.until(lambda says=says: says in formulas.inner_text())
    # The stage and the speed are in the address.
    page.wait_for_function("location.search.includes('bp_stage=4')", timeout=TIMEOUT)
    assert "bp_speed=slow+motion" in page.url
    assert page.problems == []


def brightness(view: View) -> float:
    return float(
        view.part("map").evaluate(
            """(canvas) => { const { data } = canvas.getContext("2d").getImageData(0, 0, 41, 41);
            return data.reduce((a, b) => a + b, 0) / data.length; }"""
        )
    )


def test_the_maps_scale_stays_so_that_a_finished_map_looks_finished(
    page: Any, app_url: str
) -> None:
    view = View(page, app_url, "?bp_reach=0.0")
    early, legend = brightness(view), view.part("high").inner_text()
    view.whole()
    view.part("scrub").press("End")
    assert brightness(view) < 0.75 * early
    assert view.part("high").inner_text() == legend


def test_experiments_close_their_menu_and_say_no_nan(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.whole()
    page.get_by_label("Experiments").select_option("Too fast")
    view.part("told").get_by_text("Too fast").wait_for(timeout=TIMEOUT)
    view.until(lambda: view.says("whole") == "true" and view.says("playing") == "false")
    assert "could not hold them" in view.part("findings").inner_text()
    said = page.locator('[data-part="view"]').inner_text()
    assert not re.search(r"\b(nan|inf|infinity)\b|e[+]\d\d", said, re.IGNORECASE), said
    placed = "all => all.map(one => one.getAttribute('transform'))"
    places = page.locator("g.weight").evaluate_all(placed)
    assert len({place.rpartition(",")[0] for place in places}) > 2, (
        "side by side where they are wide"
    )
    # A run of another task does not share the axis.
    assert view.part("curve").locator(".earlier").count() == 0
    assert page.problems == []


def test_a_guess_is_kept_and_the_gap_is_shown(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_speed=flat+out")
    guess = view.part("guess")
    assert "will it get 0.9 + 0.9 right?" in guess.inner_text()
    guess.get_by_role("button", name="Yes").click()
    assert "You guessed that it will get 0.9 + 0.9 right" in guess.inner_text()
    view.press("Train")
    guess.get_by_text("You guessed that it would be right").wait_for(timeout=TIMEOUT)
    assert "1.8 is right" in guess.inner_text()
    guess.get_by_role("button", name="Ask it").click()
    assert "it is guessing" in view.part("answer").inner_text()
    page.wait_for_function("location.search.includes('bp_q2=0.9')", timeout=TIMEOUT)


def test_it_is_as_it_was_after_another_page(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.whole()
    view.press("Pause")
    seen = view.number("seen")
    page.get_by_role("link", name="Neuron").click()
    page.get_by_role("heading", name="A neuron").wait_for(timeout=TIMEOUT)
    page.get_by_role("link", name="Backprop playground").click()
    view.root.wait_for(timeout=TIMEOUT)
    view.until(lambda: view.number("seen") == seen)


def test_what_is_taken_away_is_the_moment_shown(page: Any, app_url: str) -> None:
    view = View(page, app_url)
    view.whole()
    view.press("Pause")
    seen = int(view.number("seen"))
    page.get_by_role("radio", name="Take away").click()
    page.get_by_text("The script", exact=True).click()
    page.get_by_text(f"run.advance({seen})").wait_for(timeout=TIMEOUT)
    view.press("One epoch")
    seen = int(view.number("seen"))
    page.get_by_text(f"run.advance({seen})").wait_for(timeout=TIMEOUT)


def test_a_link_opens_the_same_network(page: Any, app_url: str) -> None:
    view = View(page, app_url, "?bp_layers=2&bp_h1=3&bp_h2=6&bp_act=tanh&bp_log=true&bp_q1=0.2")
    page.get_by_role("slider", name="Units in hidden layer 2").press("ArrowRight")
    circles = view.part("network").locator(".unit circle")
    view.until(lambda: circles.count() == 2 + 3 + 7 + 1)
    page.wait_for_function("location.search.includes('bp_h2=7')", timeout=TIMEOUT)
    query = page.url.split("?")[1]
    twin = View(page.context.new_page(), app_url, f"?{query}")
    circles = twin.part("network").locator(".unit circle")
    twin.until(lambda: circles.count() == 2 + 3 + 7 + 1)
    activation = twin.page.get_by_test_id("stSelectbox").filter(has_text="Activation function")
    assert activation.locator("input").input_value() == "tanh"
    assert float(twin.page.get_by_label("Ask it: a").input_value()) == 0.2


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_the_exhibit_and_its_control_are_on_the_first_screen(
    page: Any, app_url: str, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    view = View(page, app_url, f"?{query}")
    parts = ["train", "network", "answer", "scrub"]
    if width > 390:
        parts += ["map", "curve", "question", "guess"]
    assert off_screen(page, [view.part(part) for part in parts]) == []
    if query:
        assert min(letters(page)) > 23.9  # 24, but for widths in whole pixels
    elif width == 390:  # next come the map and the curve
        assert view.part("map").bounding_box()["y"] < height + 130


def letters(page: Any) -> list[float]:
    """The sizes of all texts of the exhibit, in pixels of the screen."""
    sizes: list[float] = page.locator('[data-part="view"]').evaluate(
        """(view) => {
          const walk = document.createTreeWalker(view, NodeFilter.SHOW_TEXT), sizes = [];
          for (let text; (text = walk.nextNode()); ) {
            const node = text.parentElement, box = node.getBoundingClientRect();
            if (!text.data.trim() || !box.height || node instanceof HTMLOptionElement) continue;
            const svg = node.ownerSVGElement;
            const drawn = svg ? svg.getScreenCTM().a : node.currentCSSZoom;
            sizes.push(parseFloat(getComputedStyle(node).fontSize) * drawn);
          }
          return sizes;
        }"""
    )
    return sizes
