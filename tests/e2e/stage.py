"""What an exhibit owes its visitors: it is on the first screen, and it follows the hand."""

from collections.abc import Sequence
from statistics import median
from typing import Any

# Width and height of a laptop, of a projector in presenter view, and of a phone, with the query.
SCREENS = ((1280, 800, ""), (1920, 1080, "present=1"), (390, 844, ""))
HELD_MS = 50
# Read from the last row, on a projector of 1920 x 1080.
LARGE_PX = 24

# Notes how long after each move of the pointer a picture looks different, in `window.held`. What
# is seen is what the frame before has drawn, so that no figure is too small.
_WATCH = """node => {
  const look = () => (node instanceof HTMLCanvasElement ? node.toDataURL() : node.outerHTML);
  const held = (window.held = []);
  let shown = look(), since = null;
  window.addEventListener("pointermove", (event) => { since ??= event.timeStamp; }, true);
  requestAnimationFrame(function watch() {
    if (since !== null && look() !== shown) {
      shown = look();
      held.push(performance.now() - since);
      since = null;
    }
    if (held === window.held) requestAnimationFrame(watch);
  });
}"""
_SMALL = """least => {
  const found = {};
  const left = "style, script, canvas, sub, sup, tspan[dy], .katex";
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.shadowRoot) look(node.shadowRoot);
      const one = node.parentElement;
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim() || one.closest(left)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const seen = range.getBoundingClientRect(), clipped = one.closest("[style*=clip]");
      const shown = one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
      if (clipped || !shown || Math.min(seen.width, seen.height) < 2) continue;
      const long = ({ width, height }) => Math.max(width, height);  // also of a text on end
      const drawn = one.getBBox && long(one.getBoundingClientRect()) / long(one.getBBox());
      const size = parseFloat(getComputedStyle(one).fontSize) * (drawn || one.currentCSSZoom);
      if (size < least - (drawn ? 1 : 0.1)) (found[size.toFixed(1)] ??= []).push(node.data.trim());
    }
  };
  look(document.querySelector("[data-testid=stMain]"));
  return found;
}"""
_LOOKS, _LOOK_MS = 25, 200
_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def off_screen(page: Any, parts: Sequence[Any]) -> list[str]:
    """The parts, locators, that are not wholly on the screen before anybody scrolls.

    A page that is drawn again lacks a part for a moment: each has some seconds to be there.
    """
    found = _off_screen(page, parts)
    for _ in range(_LOOKS):
        if not found:
            break
        page.wait_for_timeout(_LOOK_MS)
        found = _off_screen(page, parts)
    return found


def _off_screen(page: Any, parts: Sequence[Any]) -> list[str]:
    screen = page.viewport_size
    found = []
    for part in parts:
        box = part.bounding_box() or {"x": -1, "y": -1, "width": 0, "height": 0}
        right, bottom = box["x"] + box["width"], box["y"] + box["height"]
        if min(box["x"], box["y"]) < 0 or right > screen["width"] or bottom > screen["height"]:
            found.append(f"{part}: {box}")
    return found


def small_text(page: Any) -> dict[str, list[str]]:
    """The visible texts of less than `LARGE_PX`, by size; not what stands above or below a line."""
    found: dict[str, list[str]] = page.evaluate(_SMALL, LARGE_PX)
    return found


def messages(page: Any) -> list[Any]:
    """What the page tells the server from now on; ask before it is opened."""
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    return sent


def hold(
    page: Any, grip: tuple[float, float], by: tuple[float, float], picture: Any, moves: int = 24
) -> list[float]:
    """Press at `grip` and move on `by`, px, without letting go: each change of `picture`, in ms.

    A change is measured from the pointer's move to the frame after the one that shows it.
    """
    picture.evaluate(_WATCH)
    page.mouse.move(*grip)
    page.mouse.down()
    for i in range(1, moves + 1):
        page.mouse.move(*(start + i * way / moves for start, way in zip(grip, by, strict=True)))
        page.evaluate(_TWO_FRAMES)
    times: list[float] = page.evaluate("window.held")
    return times


def assert_it_follows_the_hand(times: Sequence[float], moves: int = 24) -> None:
    """Half of the moves or more have changed the picture, within `HELD_MS` in the median."""
    assert len(times) >= moves / 2, f"{len(times)} changes in {moves} moves: {times}"
    assert median(times) <= HELD_MS, times


def centre(part: Any) -> tuple[float, float]:
    """The middle of a part, a locator."""
    box = part.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def thumb(slider: Any) -> tuple[float, float]:
    """The middle of the thumb of a native slider, a locator, which is as wide as it is high."""
    box = slider.bounding_box()
    share = slider.evaluate("one => (one.value - one.min) / (one.max - one.min)")
    size = box["height"]
    return box["x"] + size / 2 + share * (box["width"] - size), box["y"] + size / 2
