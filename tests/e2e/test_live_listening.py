"""Live listening in a real browser, whose microphone plays a file."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from axe_tools import barriers
from stage import SCREENS, off_screen

from benchmarks.load.chromium import CHROMIUM, FLAGS
from genrekit.app.kit.clips import FOLDER

PATIENT_MS = 60_000
PLAYED_SECONDS = 10
# Notes what the page asks of the microphone, and what it gets.
WATCH = """
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.asked = [];
window.tracks = [];
navigator.mediaDevices.getUserMedia = async (wishes) => {
  window.asked.push(wishes.audio);
  const stream = await get(wishes);
  window.tracks.push(...stream.getTracks());
  return stream;
};
"""
# How often a node looks different within two seconds.
CHANGES = """node => new Promise((done) => {
  const begun = performance.now();
  let shown = null, found = 0;
  requestAnimationFrame(function look(now) {
    const looks = node.toDataURL();
    if (looks !== shown) [shown, found] = [looks, found + 1];
    if (now - begun > 2000) done(found / 2);
    else requestAnimationFrame(look);
  });
})"""


@pytest.fixture
def microphone(browser: Any, _first_visit: None) -> Iterator[Callable[..., Any]]:
    """A function that opens a page in a browser with these flags."""
    opened = []

    def start(*flags: str) -> Any:
        opened.append(browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags]))
        return opened[-1].new_page()

    yield start
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def two_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jazz and then classical music, ten seconds of each."""
    pieces = []
    for name in ("jazz", "classical"):
        samples, rate = soundfile.read(FOLDER / f"{name}.ogg")
        pieces.append(samples[: PLAYED_SECONDS * rate].mean(axis=1))
    file = tmp_path_factory.mktemp("music") / "two.wav"
    soundfile.write(file, np.concatenate(pieces), rate)
    return file


def open_page(page: Any, app_url: str, query: str = "") -> Any:
    """Open the page; return its part for live listening."""
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/classify?source=Live&{query}")
    view = page.locator("[data-part=view]:not([inert])")
    view.wait_for()
    return view


def start(view: Any) -> None:
    view.get_by_role("button", name="Start listening").click()


def says(view: Any, text: str | re.Pattern[str]) -> None:
    view.locator("[data-part=message]").get_by_text(text).wait_for()


def sounds_sent(page: Any) -> list[int]:
    """The sizes of the sounds that the page sends from now on, in bytes."""
    sent: list[int] = []

    def note(request: Any) -> None:
        if request.method == "POST" and request.url.endswith("/live"):
            sent.append(len(request.post_data_buffer or b""))

    page.on("request", note)
    return sent


def test_the_verdict_follows_the_music_until_it_is_told_to_stop(
    app_url: str, microphone: Callable[..., Any], two_pieces: Path
) -> None:
    page = microphone(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={two_pieces}",
    )
    page.add_init_script(WATCH)
    sent = sounds_sent(page)
    view = open_page(page, app_url)
    assert sent == [], "nothing is sent before anybody has said so"
    start(view)
    title = view.locator("[data-part=title]")
    title.get_by_text("Jazz").wait_for()
    assert view.locator("[data-part=odds] li").first.inner_text().startswith("jazz")
    assert re.match(r"(Very|Fairly) sure: \d+%", view.locator("[data-part=sure]").inner_text())
    title.get_by_text("Classical").wait_for()
    title.get_by_text("Jazz").wait_for()
    wishes = ("echoCancellation", "noiseSuppression", "autoGainControl")
    assert page.evaluate("asked") == [dict.fromkeys(wishes, False)]
    assert view.locator("canvas").evaluate(CHANGES) > 15, "pictures a second"
    view.get_by_role("button", name="Stop").click()
    says(view, "Stopped. Nothing was kept.")
    assert page.evaluate("tracks.map((one) => one.readyState)") == ["ended"]
    page.wait_for_timeout(300)  # what was under way
    before = len(sent)
    page.wait_for_timeout(1500)
    assert len(sent) == before > 20
    # It can begin again, and ends with the page.
    start(view)
    says(view, re.compile("^Listening"))
    page.get_by_role("link", name="Glossary").click()
    page.wait_for_function("tracks.length === 2 && tracks[1].readyState === 'ended'")


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_all_of_it_is_on_the_first_screen(
    app_url: str, page: Any, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    view = open_page(page, app_url, query)
    button, picture = view.get_by_role("button"), view.locator("canvas")
    assert off_screen(page, [button, picture]) == []
    start(view)
    view.locator("[data-part=odds] li").first.wait_for()
    parts = [view.locator(f"[data-part={name}]") for name in ("title", "sure", "note", "odds")]
    shown = [part for part in parts if part.inner_text()]
    assert off_screen(page, [button, picture, *shown]) == []
    assert page.problems == []


def test_it_is_two_clicks_from_home(app_url: str, page: Any) -> None:
    page.set_default_timeout(PATIENT_MS)
    page.goto(app_url)
    page.get_by_role("button", name="Let it listen").click()
    start(page.locator("[data-part=view]:not([inert])"))
    page.locator("[data-part=odds] li").first.wait_for()
    assert page.problems == []


def test_nobody_is_barred_from_listening(app_url: str, page: Any) -> None:
    view = open_page(page, app_url)
    view.get_by_role("button").press("Enter")
    view.locator("[data-part=odds] li").first.wait_for()
    assert barriers(page) == []


def test_a_model_is_changed_without_stopping(app_url: str, page: Any) -> None:
    view = open_page(page, app_url, "listener=Built-in:+course-mlp")
    start(view)
    view.locator("[data-part=odds] li").first.wait_for()
    assert not view.get_by_text("Also hears").is_visible()
    page.get_by_role("button", name="Change").click()
    page.get_by_role("combobox").click()
    page.get_by_role("option", name="Built-in: everyday").click()
    page.get_by_text("Built-in: everyday", exact=True).first.wait_for()
    view.get_by_role("button", name="Stop").wait_for()
    says(view, re.compile("^Listening"))
    assert page.problems == []


def test_a_lost_connection_and_a_queue_are_told(app_url: str, page: Any) -> None:
    page.route("**/live", lambda route: route.abort())
    view = open_page(page, app_url)
    start(view)
    says(view, "Connection lost")
    sent = sounds_sent(page)
    page.unroute("**/live")
    page.route("**/live", lambda route: route.fulfill(json={"place": "You are number 2 in line."}))
    says(view, "You are number 2 in line.")
    page.wait_for_timeout(3000)
    assert len(sent) > 1
    assert set(sent) == {0}, "who waits sends no sound"
    page.unroute("**/live")
    view.locator("[data-part=odds] li").first.wait_for()
    page.route("**/live", lambda route: route.fulfill(json={"ended": "Others are waiting."}))
    says(view, "Others are waiting.")
    view.get_by_role("button", name="Start listening").wait_for()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "There is no microphone."),
        (
            ("--use-fake-device-for-media-stream", "--deny-permission-prompts"),
            "doesn't allow this page",
        ),
    ],
)
def test_no_microphone_or_no_permission_is_one_sentence(
    app_url: str, microphone: Callable[..., Any], flags: tuple[str, ...], sentence: str
) -> None:
    page = microphone(*flags)
    sent = sounds_sent(page)
    view = open_page(page, app_url)
    start(view)
    says(view, sentence)
    view.get_by_role("button", name="Start listening").wait_for()
    assert sent == []


def test_an_insecure_page_says_what_is_missing(app_url: str, page: Any) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    view = open_page(page, app_url)
    start(view)
    says(view, "https://")
    assert page.problems == []
