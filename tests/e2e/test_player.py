"""The evidence player in a browser: one clock for the sound and all that moves with it."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from coded_sounds import KINDS, coded, free_format_mp3
from conftest import ROOT, _free_port, _note, _wait_until_healthy

from genrekit.audio.decoder import probe
from genrekit.verdict.playback import PLAYED, browser_type

# Eight segments of a second each; the third and the sixth disagree with the verdict.
SCRIPT = """
import numpy as np
import streamlit as st
from genrekit.app.classify.player import evidence_player
from genrekit.app.kit.media import media_url
from genrekit.audio.source import AudioInfo
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.model.tags import SoundsLike
from genrekit.model.verdicts import SegmentVerdict, Verdict
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.verdict.picture import Picture

query = st.query_params
seconds = 4.0 if st.checkbox("Other song") else float(query.get("seconds", 8))
hop = float(query.get("hop", 1))
wide = float(query.get("wide", hop))

@st.cache_data
def sound(seconds):
    if seconds > 60:
        return wav_bytes(np.zeros(int(3000 * seconds)), 3000)
    return wav_bytes(render(STYLES[0], seed=1, seconds=seconds), 22050)

def says(i):
    ska = 0.2 if i in (2, 5) else 0.71
    return {"ska": ska, "dub": 0.83 - ska, "pop": 0.17}

starts = np.arange(0, seconds - wide + 1e-6, hop)
picture = np.tile(np.linspace(0, 255, 512).astype(np.uint8), (64, 1))
if "floor" in query:
    picture[:] = 0
    picture[:8] = 255
st.button("Again")
place = st.tabs(["First", "Second"])[1] if "tab" in query else st.container()
content = b"FORM nothing that plays" * 99 if query.get("audio") == "broken" else sound(seconds)
TAGS = ("folk", "progressive rock", "sad") if "tags" in query else ()
def hears(i):
    return {tag: 0.99 if i % 3 == k else 0.3 for k, tag in enumerate(TAGS)}
segments = [
    SegmentVerdict(float(s), float(s + wide), says(i), hears(i)) for i, s in enumerate(starts)
]
tags = tuple(SoundsLike(tag, "style", 0.97 - 0.1 * i, i == 0) for i, tag in enumerate(TAGS))
result = SongResult(
    verdict=Verdict(
        query.get("verdict", "ska") or None, 0.7, says(0), tuple(segments), "", sounds_like=tags
    ),
    info=AudioInfo("wav", 22050, 1, seconds, "pcm_16"),
    seconds=seconds,
    rate=22050,
    cut=False,
    picture=Picture(picture, tuple(np.geomspace(60, 9000, 64).tolist())),
    mime="audio/wav",
)
why = Explanation("dub", np.array([[1, -1]], np.float32), "", (0,)) if "why" in query else None
with place:
  if not st.checkbox("Without"):
    url = None if query.get("audio") == "none" else media_url(content, "audio/wav", "player")
    versions, beats = {}, [2.0, 4.0, 7.0] if "beats" in query else []
    if "versions" in query:
        half = sound(seconds - 1 - st.checkbox("Other genre") / 2)
        versions = {"Only": media_url(half, "audio/wav", "player-0"), "Without": url}
    chosen = evidence_player(url, result, why, key="player", versions=versions, beats=beats)
    if chosen is not None:
        st.session_state.heard = [*st.session_state.get("heard", []), chosen]
st.write(f"Chosen so far: {st.session_state.get('heard', [])}.")
"""


# Of each pixel of a canvas, row by row from the top, from 0 to 255 (ITU-R BT.709).
LIGHTNESS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) =>
    0.2126 * data[4 * i] + 0.7152 * data[4 * i + 1] + 0.0722 * data[4 * i + 2]);
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that is the player alone."""
    folder = tmp_path_factory.mktemp("player")
    script, log, port = folder / "player_app.py", folder / "server.log", _free_port()
    script.write_text(SCRIPT, encoding="utf-8")
    options = ["--server.headless", "true", "--server.port", str(port)]
    with log.open("ab") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(script), *options],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(address, server, log)
            yield address
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture
def visit(browser: Any, _context: Any, url: str) -> Iterator[Callable[..., Any]]:
    """A function that opens the player; whatever the console complains of fails the test."""
    contexts, tabs, problems = [], [], []

    def go(
        query: str = "",
        width: int = 1280,
        prepare: Callable[[Any], Any] = lambda tab: None,
        **options: Any,
    ) -> Any:
        context = _context
        if options:
            context = browser.new_context(**options)
            contexts.append(context)
        tab = context.new_page()
        tabs.append(tab)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.on("console", lambda message: _note(message, problems))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        prepare(tab)
        tab.goto(f"{url}/?{query}")
        if "tab" in query:
            sound(tab).wait_for(state="attached", timeout=60_000)
            tab.wait_for_timeout(500)
            tab.get_by_role("tab", name="Second").click()
        tab.locator(".cell").first.wait_for(timeout=60_000)
        if "audio" not in query:
            ready = (
                "a => new Promise(r => a.readyState > 2 ? r() : a.addEventListener('canplay', r))"
            )
            sound(tab).evaluate(ready)
        return tab

    yield go
    for one in (*tabs, *contexts):
        one.close()
    assert problems == []


def part(tab: Any, name: str) -> Any:
    return tab.locator(f'[data-part="{name}"]')


def sound(tab: Any) -> Any:
    return part(tab, "sound")


def now(tab: Any) -> float:
    return float(sound(tab).evaluate("audio => audio.currentTime"))


def wait_for(tab: Any, condition: str) -> None:
    """Until a condition on the sound, `audio`, holds."""
    sound(tab).evaluate(
        "(audio) => new Promise((done, fail) => { const until = performance.now() + 15000;"
        f"const look = () => ({condition}) ? done() : performance.now() > until ?"
        f" fail(new Error('never: {condition}')) : setTimeout(look, 10); look(); }})"
    )


def watch(tab: Any, milliseconds: int) -> list[list[float]]:
    """The sound's clock, and the time at which the cursor stands, in each frame for a while."""
    return list(
        sound(tab).evaluate(
            """(audio, long) => new Promise((done) => {
              const find = (name) => audio.getRootNode().querySelector(`[data-part="${name}"]`);
              const rows = [], until = performance.now() + long;
              const look = () => {
                const plot = find("plot").getBoundingClientRect();
                const cursor = find("cursor").getBoundingClientRect();
                const share = (cursor.left + cursor.width / 2 - plot.left) / plot.width;
                rows.push([audio.currentTime, share * 8]);
                if (performance.now() < until) requestAnimationFrame(look); else done(rows);
              };
              look();
            })""",
            milliseconds,
        )
    )


def test_the_cursor_moves_smoothly_with_the_sound(visit: Callable[..., Any]) -> None:
    tab = visit()
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 0.1")
    rows = watch(tab, 2000)
    assert rows[-1][0] - rows[0][0] > 1
    assert max(abs(clock - cursor) for clock, cursor in rows) < 0.15
    assert len({cursor for _, cursor in rows}) > 20
    tab.get_by_role("button", name="Pause").click()
    wait_for(tab, "audio.paused")


def test_versions_of_the_sound_change_in_step(visit: Callable[..., Any]) -> None:
    tab = visit("versions=1")
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 1")
    source = sound(tab).evaluate("audio => audio.src")
    before = now(tab)
    tab.get_by_role("radio", name="Only").check()
    wait_for(tab, f"!audio.paused && audio.currentTime > {before} + 0.3")
    assert now(tab) < before + 3
    only = sound(tab).evaluate("audio => audio.src")
    assert only != source
    assert tab.locator("audio").count() == 1, "one sound at a time"
    # Another genre has another sound under the same name.
    tab.get_by_text("Other genre").click()
    wait_for(tab, f'audio.src !== "{only}" && !audio.paused && audio.currentTime > {before} + 0.4')
    assert tab.get_by_role("radio", name="Only").is_checked()
    tab.get_by_role("button", name="Pause").click()
    moment = now(tab)
    tab.get_by_role("radio", name="Only").press("ArrowLeft")
    assert tab.get_by_role("radio", name="Whole song").is_checked()
    wait_for(tab, f'audio.src === "{source}" && audio.readyState > 2')
    assert now(tab) == pytest.approx(moment, abs=0.05)
    assert sound(tab).evaluate("audio => audio.paused")


def test_the_picture_covers_what_is_not_heard(visit: Callable[..., Any]) -> None:
    tab = visit("versions=1&why=1")
    covered = """canvas => [0.25, 0.75].map((at) => canvas.getContext("2d").getImageData(
        at * canvas.width, canvas.height / 2, 1, 1).data.join() === "128,128,128,235")"""
    for version, expected in (
        ("Whole song", [False, False]),
        ("Only", [False, True]),
        ("Without", [True, False]),
    ):
        tab.get_by_role("radio", name=version).check()
        assert part(tab, "why").evaluate(covered) == expected


def test_beats_stand_at_their_times(visit: Callable[..., Any]) -> None:
    tab = visit("beats=1")
    picture = part(tab, "picture").bounding_box()
    boxes = [beat.bounding_box() for beat in tab.locator(".beat:not(.under)").all()]
    shares = [(b["x"] + b["width"] / 2 - picture["x"]) / picture["width"] for b in boxes]
    assert shares == pytest.approx([2 / 8, 4 / 8, 7 / 8], abs=0.004)
    foot = picture["y"] + picture["height"]
    assert all(foot - 14 <= box["y"] <= foot for box in boxes)
    assert visit().locator(".beat").count() == 0


def test_a_segment_plays_alone_and_then_on(visit: Callable[..., Any]) -> None:
    tab = visit()
    tab.locator('[data-segment="2"]').click()
    wait_for(tab, "!audio.paused")
    assert 2 <= now(tab) < 2.9
    assert part(tab, "words").inner_text() == "2 to 3 s: dub 63%, then ska 20% (margin 43 points)"
    assert "Disagrees with the verdict, ska" in part(tab, "stand").inner_text()
    wait_for(tab, "audio.paused && audio.currentTime > 2.5")
    assert now(tab) == pytest.approx(3, abs=0.05)
    # It still speaks of the segment that was heard, not of the one that begins here.
    assert part(tab, "words").inner_text().startswith("2 to 3 s")
    tab.get_by_text("Chosen so far: [2].").wait_for()
    tab.get_by_role("button", name="Play on").click()
    wait_for(tab, "audio.currentTime > 3.4")
    words = part(tab, "readout").inner_text()
    assert words == (
        "3 to 4 s: ska 71%, then pop 17% (margin 54 points) ✓ Agrees with the verdict, ska."
    )


def test_overlapping_segments_are_each_heard_in_full(visit: Callable[..., Any]) -> None:
    tab = visit("hop=1&wide=2")
    tab.locator('[data-segment="3"]').click()
    wait_for(tab, "audio.paused && audio.currentTime > 4")
    assert now(tab) == pytest.approx(5, abs=0.05)
    assert part(tab, "words").inner_text().startswith("3 to 5 s: ska")


def test_the_picture_seeks_and_the_pointer_reads(visit: Callable[..., Any]) -> None:
    tab = visit()
    box = part(tab, "picture").bounding_box()
    part(tab, "picture").click(position={"x": box["width"] * 0.7, "y": 20})
    assert now(tab) == pytest.approx(5.6, abs=0.05)
    assert sound(tab).evaluate("audio => audio.paused")
    part(tab, "picture").hover(position={"x": box["width"] * 0.3, "y": box["height"] / 2})
    # Halfway up 64 bands from 60 Hz to 9 kHz, evenly in octaves.
    assert part(tab, "tip").inner_text() == "2.4 s, 735 Hz"
    assert part(tab, "words").inner_text().startswith("2 to 3 s")


def test_the_keyboard_does_all_of_it(visit: Callable[..., Any]) -> None:
    tab = visit()
    strip = tab.get_by_role("slider", name="Segment of the song")
    strip.focus()
    outline = strip.evaluate(
        "e => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth"
    )
    assert outline == "solid3px"
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowLeft")
    assert strip.get_attribute("aria-valuenow") == "3"
    assert strip.get_attribute("aria-valuetext").startswith("2 to 3 s: dub 63%")
    assert now(tab) == pytest.approx(2, abs=0.01)
    # A run of keys is one choice.
    tab.get_by_text("Chosen so far: [2].").wait_for()
    strip.press("Space")
    wait_for(tab, "!audio.paused && audio.currentTime > 2.1")
    strip.press("Space")
    wait_for(tab, "audio.paused")
    tab.keyboard.press("End")
    assert strip.get_attribute("aria-valuenow") == "8"
    tab.keyboard.press("Enter")
    wait_for(tab, "!audio.paused")
    tab.get_by_role("button", name="Next that disagrees").press("Enter")
    assert strip.get_attribute("aria-valuenow") == "3"


def test_a_rerun_neither_stops_the_sound_nor_sends_it_again(visit: Callable[..., Any]) -> None:
    tab = visit()
    fetched: list[str] = []
    tab.on(
        "request", lambda request: fetched.append(request.url) if "/media/" in request.url else None
    )
    with tab.expect_websocket() as socket:
        tab.reload()
    tab.locator(".cell").first.wait_for()
    sizes: list[int] = []
    socket.value.on("framereceived", lambda payload: sizes.append(len(payload)))
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 0.2")
    tab.wait_for_timeout(300)
    before = len(fetched)
    sizes.clear()
    tab.get_by_role("button", name="Again").click()
    tab.wait_for_timeout(1500)
    assert not sound(tab).evaluate("audio => audio.paused")
    assert now(tab) > 1.2
    assert len(fetched) == before
    # The picture alone is 32 kB: a block that did not change is named, not sent.
    assert 0 < sum(sizes) < 8_000


def test_the_sound_ends_with_its_place(visit: Callable[..., Any]) -> None:
    tab = visit()
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 0.1")
    audio = sound(tab).element_handle()
    tab.get_by_text("Without").click()
    part(tab, "player").wait_for(state="detached")
    assert audio.evaluate("audio => audio.paused")


def test_a_sound_that_cannot_be_played_leaves_the_evidence(visit: Callable[..., Any]) -> None:
    tab = visit("audio=broken")
    part(tab, "message").wait_for()
    said = "Your browser cannot play this kind of file; the verdict does not suffer."
    assert part(tab, "message").inner_text() == said
    assert part(tab, "play").is_disabled()
    tab.locator('[data-segment="5"]').click()
    assert watch(tab, 100)[-1][1] == pytest.approx(5, abs=0.02)
    assert part(tab, "words").inner_text().startswith("5 to 6 s: dub")
    tab.get_by_text("Chosen so far: [5].").wait_for()


def test_without_any_sound_the_evidence_is_there(visit: Callable[..., Any]) -> None:
    tab = visit("audio=none")
    assert "The sound is not to be had here" in part(tab, "message").inner_text()
    tab.get_by_role("slider").press("ArrowRight")
    assert part(tab, "words").inner_text().startswith("1 to 2 s")


def test_a_sound_that_comes_late_is_asked_for_again(visit: Callable[..., Any]) -> None:
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.method)
        if len(asked) <= 4:
            route.fulfill(status=200, content_type="text/html", body="<p>Not yet")
        else:
            route.continue_()

    tab = visit(prepare=lambda tab: tab.route("**/media/*.wav", answer))
    assert len(asked) > 4
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 0.1")
    assert part(tab, "message").is_hidden()


def test_another_song_in_its_place_starts_afresh(visit: Callable[..., Any]) -> None:
    tab = visit()
    tab.locator('[data-segment="5"]').click()
    wait_for(tab, "!audio.paused")
    tab.get_by_text("Other song").click()
    tab.get_by_text("0:00.0 / 0:04.0").wait_for()
    assert sound(tab).evaluate("audio => audio.paused")
    assert tab.locator(".cell").count() == 4
    assert part(tab, "span").is_hidden()


def test_it_draws_itself_once_its_tab_is_opened(visit: Callable[..., Any]) -> None:
    tab = visit("tab=1")
    assert tab.locator('[data-segment="7"]').bounding_box()["width"] > 20
    assert part(tab, "words").inner_text().startswith("0 to 1 s")


# Play some of each sound, muted, all at once: whether a browser can tells no header.
PLAY = """(sounds) => Promise.all(sounds.map(async ([base64, mime]) => {
  const audio = new Audio(`data:${mime};base64,${base64}`);
  audio.muted = true;
  const heard = new Promise((done) => {
    audio.ontimeupdate = () => audio.currentTime && done(true);
  });
  const failed = new Promise((done) => { audio.onerror = () => done(false); });
  audio.play().catch(() => {});
  return Promise.race([heard, failed]);
}))"""


def test_what_is_announced_as_playable_plays(browser: Any) -> None:
    """And what is rendered as WAV instead would be refused, so that nobody stays without."""
    tab = browser.new_page()
    files = {kind: coded(*kind) for kind in KINDS} | {("mp3", "free format"): free_format_mp3()}
    mimes = {kind: browser_type(content, probe(content)) for kind, content in files.items()}
    sounds = [
        [base64.b64encode(content).decode(), PLAYED.get(container, ("audio/x",))[0]]
        for (container, _), content in files.items()
    ]
    plays = dict(zip(files, tab.evaluate(PLAY, sounds), strict=True))
    tab.close()
    assert [kind for kind, mime in mimes.items() if mime and not plays[kind]] == []
    # Other browsers may not play 32-bit PCM.
    unannounced = [kind for kind, mime in mimes.items() if not mime and plays[kind]]
    assert unannounced == [("wav", "pcm_s32le")]


def test_low_notes_stand_below_and_louder_is_brighter(visit: Callable[..., Any]) -> None:
    steps = part(visit(), "spectrogram").evaluate(LIGHTNESS)[:512]
    assert all(a <= b + 0.6 for a, b in pairwise(steps))
    assert steps[-1] - steps[0] > 180
    tab = visit("floor=1")
    floor = part(tab, "spectrogram").evaluate(LIGHTNESS)
    assert max(floor[: 512 * 56]) < min(floor[512 * 56 :])
    labels = part(tab, "scale").locator("text").all_text_contents()
    assert [t for t in labels if "Hz" in t] == [
        "5 kHz", "2 kHz", "1 kHz", "500 Hz", "200 Hz", "100 Hz"
    ]  # fmt: skip
    assert part(tab, "picture").get_attribute("aria-label") == (
        "Spectrogram of 8 s; 6 of 8 segments say ska."
    )


def test_reasons_are_told_apart_without_colour(visit: Callable[..., Any]) -> None:
    tab = visit("why=1")
    assert tab.get_by_label("Show what decided").is_checked()
    # Strengths along a row: even on the left, which spoke for it; striped on the right.
    left, right = part(tab, "why").evaluate(
        """canvas => [0.1, 0.6].map((at) => { const row = canvas.getContext("2d")
          .getImageData(canvas.width * at, 9, canvas.width * 0.3, 1).data;
          return new Set(row.filter((_, i) => i % 4 === 3)).size; })"""
    )
    assert (left, right) == (1, 2)
    legend = part(tab, "meaning").inner_text()
    assert "filled: spoke for dub" in legend, "whatever the verdict is"
    assert "striped: spoke against it" in legend


def test_a_resting_pointer_does_not_hold_the_readout(visit: Callable[..., Any]) -> None:
    tab = visit()
    tab.locator('[data-segment="0"]').hover()
    assert part(tab, "words").inner_text().startswith("0 to 1 s")
    tab.get_by_role("slider").press("Space")
    wait_for(tab, "audio.currentTime > 3.1")
    assert part(tab, "words").inner_text().startswith("3 to 4 s")


def column(tab: Any) -> tuple[float, float]:
    """Where the marked column of the tags begins and ends, in seconds of the plot's eight."""
    plot, marked = part(tab, "plot").bounding_box(), tab.locator(".column").bounding_box()
    left = marked["x"] - plot["x"]
    return 8 * left / plot["width"], 8 * (left + marked["width"]) / plot["width"]


def test_the_tags_move_in_step_with_the_sound(visit: Callable[..., Any]) -> None:
    tab = visit("tags=1")
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 2.2")
    assert now(tab) < 3
    assert column(tab) == pytest.approx((2, 3), abs=0.03)
    assert part(tab, "heard").inner_text() == "Tags that stand out: sad."
    tab.get_by_role("button", name="Pause").click()
    heat, cursor = part(tab, "heat").bounding_box(), part(tab, "cursor").bounding_box()
    assert heat["width"] == pytest.approx(part(tab, "picture").bounding_box()["width"], abs=1)
    assert cursor["y"] + cursor["height"] >= heat["y"] + heat["height"] - 1
    # Each tag's darkest cells are where it is strongest.
    opacity = "cells => cells.map(cell => Number(cell.getAttribute('fill-opacity')))"
    cells = tab.locator(".heat").evaluate_all(opacity)
    assert len(cells) == 3 * 8
    for row in range(3):
        strong = [i for i in range(8) if cells[8 * row + i] > 0.9]
        assert strong == list(range(row, 8, 3))


def test_a_click_on_the_tags_chooses_the_segment(visit: Callable[..., Any]) -> None:
    tab = visit("tags=1")
    box = part(tab, "tags").bounding_box()
    part(tab, "tags").click(position={"x": 0.69 * box["width"], "y": 35})
    wait_for(tab, "!audio.paused")
    assert 5 <= now(tab) < 5.9
    tab.get_by_text("Chosen so far: [5].").wait_for()
    part(tab, "tags").hover(position={"x": 0.2 * box["width"], "y": 35})
    assert part(tab, "tip").inner_text() == "1.6 s, progressive rock: above 99%"
    assert part(tab, "words").inner_text().startswith("1 to 2 s")


def test_the_tags_are_there_without_eyes_and_without_a_mouse(visit: Callable[..., Any]) -> None:
    tab = visit("tags=1")
    said = "Tags over time: folk most at 0 s, progressive rock most at 1 s, sad most at 2 s."
    assert tab.get_by_role("img", name=said).count() == 1
    strip = tab.get_by_role("slider", name="Segment of the song")
    strip.focus()
    tab.keyboard.press("ArrowRight")
    heard = "Tags that stand out: progressive rock."
    assert strip.get_attribute("aria-valuetext").endswith(heard)
    assert column(tab) == pytest.approx((1, 2), abs=0.03)


def test_without_tags_there_are_no_rows(visit: Callable[..., Any]) -> None:
    tab = visit()
    assert part(tab, "tags").is_hidden()
    assert part(tab, "heard").is_hidden()
    assert tab.get_by_text("reference songs").count() == 0


def test_not_sure_has_nothing_to_disagree_with(visit: Callable[..., Any]) -> None:
    tab = visit("verdict=")
    assert part(tab, "stand").inner_text() == "The song as a whole: not sure."
    assert tab.locator(".mark").count() == 0


def test_a_phone_shows_it_whole(visit: Callable[..., Any]) -> None:
    tab = visit("why=1&tags=1", width=390, has_touch=True, color_scheme="dark")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.locator('[data-segment="2"]').tap()
    wait_for(tab, "!audio.paused")
    right = part(tab, "player").evaluate(
        "e => Math.max(...[...e.querySelectorAll('*')].map(n => n.getBoundingClientRect().right))"
    )
    assert right <= 390
    for button in part(tab, "player").locator("button:visible").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44


def test_a_long_song_can_be_zoomed(visit: Callable[..., Any]) -> None:
    tab = visit("seconds=900&hop=3", width=390)
    assert tab.locator(".cell").count() == 300
    zoom_in = tab.get_by_role("button", name="Zoom in")
    while zoom_in.is_enabled():
        zoom_in.click()
    cell = tab.locator('[data-segment="2"] .back')
    assert cell.bounding_box()["width"] >= 28
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert part(tab, "words").inner_text().startswith("0:00 to 0:03")
    strip = tab.get_by_role("slider")
    strip.focus()
    tab.keyboard.press("End")
    box = part(tab, "cursor").bounding_box()
    assert 0 < box["x"] < 390
    assert part(tab, "words").inner_text().startswith("14:57 to 15:00")


def test_who_wants_less_motion_gets_steps(visit: Callable[..., Any]) -> None:
    tab = visit(reduced_motion="reduce")
    part(tab, "play").click()
    wait_for(tab, "audio.currentTime > 0.6")
    places = {round(cursor, 2) for _, cursor in watch(tab, 1200)}
    assert places <= {0.5, 1.0, 1.5, 2.0, 2.5, 3.0}
    assert len(places) >= 2
