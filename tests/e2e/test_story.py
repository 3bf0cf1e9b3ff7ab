"""The home page in a real browser: one button plays, and five pictures are in step with it."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from axe_tools import barriers
from stage import SCREENS, assert_it_follows_the_hand, hold, messages, off_screen, small_text

from genrekit.app.kit import clips
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.verdict.analysis import ModelFile, Song, SongResult, activations, analyse

PATIENT_MS = 120_000
SONG = Song(next(clip for clip in clips.CLIPS if clip.name == "jazz").path.read_bytes(), 60.0)
MODEL = ModelFile.at(MODELS / DEFAULT_MODEL)
# What can be clicked, and the line of the moment in it: of the clip, or of three seconds.
PICTURES = {
    "the sound": ("[data-part=wave]", "--at"),
    "its picture": (".picture:has([data-part=mel])", "--at"),
    "the input": (".picture:has([data-part=seen])", "--near"),
    "a layer": (".layers .picture >> nth=2", "--near"),
    "the verdict": ("[data-part=strip]", "--at"),
}


@pytest.fixture(scope="module")
def result() -> SongResult:
    """What the core says of the clip."""
    return analyse(SONG, MODEL)


def open_home(page: Any, app_url: str, query: str = "") -> Any:
    """The story, once its verdict is there."""
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/?{query}")
    page.get_by_role("heading", name="Verdict of seconds 0 to 3").wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_timeout(300)
    return page.locator("[data-part=story]")


def line(page: Any, name: str) -> float:
    style = f"one => Number(getComputedStyle(one).getPropertyValue('{name}'))"
    place: float = page.locator("[data-part=story]").evaluate(style)
    return place


def second(page: Any) -> float:
    return float(page.locator("[data-part=clock]").inner_text().split(" / ")[0])


def until_it_sounds(page: Any) -> None:
    begun = second(page)
    page.locator(".playing").wait_for()
    while second(page) < begun + 0.2:
        page.wait_for_timeout(20)


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_the_whole_story_is_on_the_first_screen(
    page: Any, app_url: str, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    story = open_home(page, app_url, query)
    exhibit = [page.get_by_role("button", name="▶ Play"), page.locator(".verdicts")]
    if width > 390:
        exhibit += [page.locator(".bar"), story.locator("ol")]
    else:
        exhibit += [story.locator("li").nth(i) for i in range(4)]
    assert off_screen(page, exhibit) == []
    if query:
        assert small_text(page) == {}


@pytest.mark.parametrize("name", PICTURES)
def test_the_hand_seeks_in_every_picture_and_the_server_hears_nothing(
    page: Any, app_url: str, name: str
) -> None:
    sent = messages(page)
    story = open_home(page, app_url)
    before = len(sent)
    selector, clock = PICTURES[name]
    box = page.locator(selector).bounding_box()
    grip, way = (box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2), 0.6 * box["width"]
    assert_it_follows_the_hand(hold(page, grip, (way, 0), story))
    assert line(page, clock) == pytest.approx(0.8, abs=0.02)
    page.mouse.up()
    at = second(page)
    assert page.locator("[data-part=sound]").evaluate("one => one.currentTime") == pytest.approx(
        at, abs=0.06
    )
    page.wait_for_timeout(300)
    assert len(sent) == before
    assert page.problems == []


def test_keys_seek_and_play(page: Any, app_url: str) -> None:
    open_home(page, app_url)
    position = page.get_by_role("slider", name="Position in the clip")
    position.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert second(page) > 3
    page.get_by_role("heading", name=re.compile("Verdict of seconds [1-9]")).wait_for()
    assert position.get_attribute("aria-valuetext").endswith(" / 25.8 s")
    page.get_by_role("button", name="▶ Play").press("Enter")
    until_it_sounds(page)
    page.get_by_role("button", name="❚❚ Pause").press("Enter")
    page.get_by_role("button", name="▶ Play").wait_for()


def test_while_it_plays_all_follows_the_sound_and_nothing_is_asked_or_sent(
    page: Any, app_url: str, result: SongResult
) -> None:
    told: list[Any] = []
    page.on("websocket", lambda one: one.on("framereceived", lambda frame: told.append(frame)))
    sent = messages(page)
    open_home(page, app_url)
    page.locator("[data-part=strip]").click(position={"x": 1, "y": 5})
    before = len(sent), len(told)
    page.get_by_role("button", name="▶ Play").click()
    until_it_sounds(page)
    seen = set()
    for _ in range(12):
        page.wait_for_timeout(300)
        time, at, near, heading = page.locator("[data-part=story]").evaluate(MOMENT)
        segment = min(int(time / 3), len(result.verdict.segments) - 1)
        assert at == pytest.approx(time / result.seconds, abs=0.01)
        assert near == pytest.approx((time - 3 * segment) / 3, abs=0.1)
        assert heading == f"Verdict of seconds {3 * segment} to {3 * segment + 3}"
        seen.add(segment)
    assert len(seen) > 1
    assert (len(sent), len(told)) == before


# The sound's clock, the lines of the moment, and whose verdict is shown.
MOMENT = """story => {
  const part = (name) => story.querySelector(`[data-part=${name}]`);
  const at = (name) => Number(story.style.getPropertyValue(name));
  return [part("sound").currentTime, at("--at"), at("--near"), part("when").textContent];
}"""


@pytest.mark.parametrize("segment", [1, 7])
def test_both_verdicts_and_the_layers_are_the_cores(
    page: Any, app_url: str, result: SongResult, segment: int
) -> None:
    open_home(page, app_url)
    strip = page.locator("[data-part=strip]")
    begin = (3 * segment + 1.5) / result.seconds
    strip.click(position={"x": begin * strip.bounding_box()["width"], "y": 5})
    verdict = result.verdict
    odds = verdict.segments[segment].probabilities
    genre = max(odds, key=lambda name: odds[name])
    boxes = page.locator(".verdicts p").all_inner_texts()
    assert [box.split("\n") for box in boxes] == [
        ["Verdict of this moment", f"{genre} {odds[genre]:.0%}"],
        ["Verdict of the whole clip", f"{verdict.genre} {verdict.confidence:.0%}"],
    ]
    rows = page.locator("[data-part=bars] div")
    assert rows.first.inner_text().split() == [genre, f"{odds[genre]:.0%}"]
    inside = activations(SONG, MODEL)
    drawn = [page.locator("[data-part=seen]"), *page.locator(".layers canvas").all()]
    rows_of = [96, 63, 64, 64, 64, 20]
    for canvas, values, rows in zip(drawn, (inside.seen, *inside.layers), rows_of, strict=True):
        wanted = base64.b64encode(values[segment].tobytes()).decode()
        assert canvas.evaluate(SAME, [DRAWING.read_text("utf-8"), wanted, rows])


DRAWING = Path(clips.__file__).parents[1] / "browser" / "drawing.js"
# The same picture as bytes painted afresh.
SAME = """async (canvas, [code, text, rows]) => {
  const drawing = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const other = document.createElement("canvas");
  drawing.paint(other, drawing.decode(text, Uint8Array), rows);
  return canvas.toDataURL() === other.toDataURL();
}"""


def test_on_a_phone_the_verdict_stays_with_the_button(page: Any, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_home(page, app_url)
    page.get_by_role("button", name="▶ Play").click()
    until_it_sounds(page)
    page.mouse.move(200, 600)
    page.mouse.wheel(0, 400)
    page.wait_for_timeout(300)
    bars = page.locator("[data-part=bars]")
    assert off_screen(page, [bars, page.locator(".bar")]) == []
    button = page.get_by_role("button", name="❚❚ Pause")
    assert button.evaluate(ON_TOP)
    button.click()
    page.get_by_role("button", name="▶ Play").wait_for()


ON_TOP = """one => {
  const { x, y } = one.getBoundingClientRect();
  return one.getRootNode().elementFromPoint(x + 20, y + 20) === one;
}"""


def test_the_story_bars_nobody_and_says_what_is_shown(page: Any, app_url: str) -> None:
    open_home(page, app_url)
    assert barriers(page) == []
    labels = page.get_by_role("img").evaluate_all(
        "nodes => nodes.map((node) => node.getAttribute('aria-label') ?? '')"
    )
    for said in ("Sound wave of the clip", "Mel spectrogram", "63 filters for timbre", "jazz in"):
        assert any(said in label for label in labels), said


def test_who_wants_less_motion_sees_the_layers_whole(page: Any, app_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_home(page, app_url)
    page.get_by_role("button", name="▶ Play").click()
    until_it_sounds(page)
    layer = page.locator(".layers canvas").first
    assert layer.evaluate("one => getComputedStyle(one).maskImage") == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert "gradient" in layer.evaluate("one => getComputedStyle(one).maskImage")


def test_the_one_great_button_plays_and_the_evidence_is_a_click_away(
    page: Any, app_url: str, result: SongResult
) -> None:
    open_home(page, app_url)
    assert page.locator("[data-testid=stMain] [data-testid=stBaseButton-primary]").count() == 0
    page.get_by_role("button", name="See why it says so").click()
    page.get_by_text("segments, taken alone, say the same").wait_for()
    assert result.verdict.genre is not None
    title = re.compile(rf"\b{result.verdict.genre.capitalize()}$")
    page.get_by_role("heading", name=title).wait_for()
