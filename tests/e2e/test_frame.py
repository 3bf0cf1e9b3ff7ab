"""What every page owes every visitor."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import run_server

from genrekit.app.kit.glossary import TERMS

PAGES = {
    "": "How does a machine hear music?",
    "glossary": "Glossary",
    "privacy": "Privacy",
    "mel-scale": "The mel scale",
    "neuron": "A neuron",
    "backprop": "",
    "dataset": "Prepare a dataset",
    "train": "Train a classifier",
    "classify": "Classify a song",
}


def test_every_page_is_looked_at() -> None:
    frame = (Path(__file__).parents[2] / "pages" / "frame.py").read_text(encoding="utf-8")
    addresses = re.findall(r'[ \[]page\("[^"]+", "[^"]+", "[^"]+"(?:, "([^"]+)")?\)', frame)
    assert sorted(addresses) == sorted(PAGES)
    assert len(re.findall(r"[ \[]page\(", frame)) - 1 == len(PAGES)


ALL_BYTES = 5_000_000
WARM_BYTES = 300_000


def test_pages_open_by_their_addresses_whole_light_and_alone(
    app_url: str, visitor: Callable[..., Any]
) -> None:
    page = visitor(viewport={"width": 390, "height": 844})
    outside = watch(page, app_url)
    first = []
    for address, title in PAGES.items():
        page.set_viewport_size({"width": 390, "height": 844})
        first.append(bytes_of(page, f"{app_url}/{address}"))
        assert title in page.get_by_role("heading", level=1).first.inner_text()
        assert page.get_by_text("Something went wrong").count() == 0
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            page.wait_for_function(FITS, arg=width)
    assert page.problems == []
    assert outside == []
    assert first[0] > 500_000
    assert sum(first) < ALL_BYTES, first
    page.close()
    page = page.context.new_page()
    again = {address: bytes_of(page, f"{app_url}/{address}") for address in PAGES}
    assert all(1_000 < size < WARM_BYTES for size in again.values()), again


# Nothing is cut off, as soon as the page has taken its new width in.
FITS = """width => {
    const main = document.querySelector("[data-testid=stMain]");
    return window.innerWidth === width && main.scrollWidth <= main.clientWidth;
}"""


def bytes_of(page: Any, address: str) -> int:
    """What comes over the network until a page stands: files and messages."""
    network = page.context.new_cdp_session(page)
    received: list[int] = []
    network.on("Network.loadingFinished", lambda e: received.append(int(e["encodedDataLength"])))
    network.on(
        "Network.webSocketFrameReceived",
        lambda e: received.append(3 * len(e["response"]["payloadData"]) // 4),  # base64
    )
    network.send("Network.enable")
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_load_state("networkidle")
    return sum(received)


def watch(page: Any, app_url: str) -> list[str]:
    """What the page asks of anybody but the app."""
    outside: list[str] = []
    own = (app_url, app_url.replace("http", "ws"), "blob:", "data:")

    def note(asked: Any) -> None:
        if not asked.url.startswith(own):
            outside.append(asked.url)

    page.on("request", note)
    page.on("websocket", note)
    return outside


def test_the_glossary_s_index_is_on_the_first_screen_and_unfolds(app_url: str, page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{app_url}/glossary")
    words = page.locator(".glossary summary")
    words.last.wait_for()
    bottoms = words.evaluate_all("all => all.map(one => one.getBoundingClientRect().bottom)")
    assert len(bottoms) == len(TERMS)
    assert max(bottoms) <= 800
    assert not page.get_by_text("Vibrations a second").is_visible()
    words.get_by_text("Mel", exact=True).press("Enter")
    page.get_by_text("A unit of how high a tone sounds").wait_for()
    page.locator("#mel").get_by_role("link", name="hertz").click()
    page.get_by_text("Vibrations a second").wait_for()
    page.get_by_label("Look up").fill("volume")
    page.locator("[open] #decibel").wait_for()
    sound = page.get_by_label("Sound: a tone, then 10 dB less")
    assert sound.evaluate(
        "one => { one.load(); one.muted = true; return one.play().then(() => 1); }"
    )
    page.locator("[open]").get_by_role("link", name="Sound to MFCC").first.click()
    page.get_by_role("heading", level=1, name="From sound to MFCC").wait_for()


def test_below_a_base_path_nothing_is_asked_for_outside_it(page: Any, tmp_path: Path) -> None:
    """Pages, scripts, pictures, sounds, and the links between pages."""
    links = "all => all.map(a => a.href || a.src)"
    can_play = "a => a.readyState > 2 || new Promise(r => a.addEventListener('canplay', r))"
    with run_server(tmp_path, "/music") as url:
        outside = watch(page, f"{url}/")
        page.goto(f"{url}/")
        page.get_by_role("heading", name="Verdict of seconds 0 to 3").wait_for()
        page.get_by_role("link", name="Classify").first.click()
        page.get_by_role("radio", name="An example").click()
        page.locator(".cell").first.wait_for()
        page.locator("audio").first.evaluate(can_play)
        assert page.url.startswith(f"{url}/classify?")
        page.reload()
        page.locator(".cell").first.wait_for()
        found = page.eval_on_selector_all("a[href], audio, img", links)
        assert [link for link in found if link and not link.startswith((url, "data:"))] == []
        page.goto("about:blank")
    assert outside == []
    assert page.problems == []


def test_the_watch_sees_who_is_asked_elsewhere(app_url: str, page: Any) -> None:
    outside = watch(page, app_url)
    page.goto("about:blank")  # the app's own pages are not allowed to ask
    elsewhere = "http://elsewhere.invalid"
    page.evaluate(f"fetch('{elsewhere}/x').catch(() => 0)")
    page.evaluate("new Image().src = 'http://elsewhere.invalid/y.png'")
    page.evaluate("new WebSocket('ws://elsewhere.invalid/z')")
    wanted = {f"{elsewhere}/x", f"{elsewhere}/y.png", "ws://elsewhere.invalid/z"}
    for _ in range(200):
        if wanted <= set(outside):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not seen: {wanted - set(outside)}")


def test_a_drawing_that_does_not_come_says_so_plainly(
    app_url: str, page: Any, drawings: str
) -> None:
    page.route(drawings, lambda script: script.abort())
    page.goto(f"{app_url}/neuron")
    alert = page.locator(".stBidiComponent").get_by_test_id("stAlertContentError")
    alert.wait_for()
    page.wait_for_function(
        "part => getComputedStyle(part).fontSize === '0px'", arg=alert.element_handle()
    )
    said = alert.evaluate("part => getComputedStyle(part, '::before').content")
    assert "Load the page again" in said
    assert not alert.get_by_test_id("stErrorElementStack").is_visible()
    page.unroute(drawings)
    page.reload()
    page.get_by_role("img", name="A neuron:").wait_for()
