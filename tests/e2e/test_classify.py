"""The classify page in a real browser: files, segments, closer looks, and what cannot be used."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
import soundfile
from stage import SCREENS, off_screen

from genrekit.audio.synth.rendering import render

PATIENT_MS = 180_000


def coded(samples: np.ndarray, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 22050, format=kind)
    return file.getvalue()


def open_page(page: Any, app_url: str, query: str = "") -> None:
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/classify?{query}")
    page.get_by_role("heading", name="Classify a song").wait_for()
    rest(page)


def rest(page: Any) -> None:
    page.wait_for_selector("[data-test-script-state=notRunning]")


def send(page: Any, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "audio/wav", "buffer": content} for name, content in files]
    )


def says(page: Any, text: str) -> None:
    page.get_by_text(text).first.wait_for()


def test_good_files_are_judged_and_a_bad_one_does_not_stop_them(app_url: str, page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    open_page(page, app_url)
    send(
        page,
        ("note.txt", b"not music at all"),
        ("song <b>.ogg", coded(render("jazz", seed=5, seconds=7), "OGG")),
        ("../../second.aiff", coded(render("metal", seed=5, seconds=4), "AIFF")),
    )
    page.get_by_role("heading", name="3 files, 2 judged").wait_for()
    page.get_by_text("Why 1 can't be used").click()
    reasons = page.get_by_test_id("stPopoverBody")
    reasons.get_by_text("It is not audio in a format GenreKit reads").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="song <b>.ogg").wait_for()
    says(page, "segments, taken alone, say the same")
    with page.expect_download() as download:
        page.get_by_role("button", name="All as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        *("file", "note.txt", "song <b>.ogg", "second.aiff"),
    ]
    sound = page.locator("[data-part=sound]")
    assert sound.evaluate("audio => audio.error") is None
    outside = [url for url in requests if not url.startswith((app_url, "blob:", "data:"))]
    assert outside == []
    assert page.problems == []


@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_the_verdict_and_its_evidence_are_on_the_first_screen(
    app_url: str, page: Any, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    open_page(page, app_url, query)
    drop = page.get_by_test_id("stFileUploaderDropzone")
    assert off_screen(page, [drop]) == []
    send(page, ("song.ogg", coded(render("jazz", seed=5, seconds=20), "OGG")))
    player = page.locator("[data-part=player]:not([inert])")
    player.wait_for()
    assert not drop.is_visible(), "what was chosen is one line"
    stage = page.locator(".st-key-heard, .st-key-stage h2, .st-key-stage ul").all()
    seen = [*stage, player.locator("[data-part=play]"), player.locator("[data-part=picture]")]
    if width > 390:
        seen.append(player.locator("[data-part=cells]"))
    assert len(stage) == 3
    assert off_screen(page, seen) == []
    assert page.problems == []


# A file let go over the page's title: over nothing that takes files by itself.
DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  const bytes = Uint8Array.from(atob(text), (s) => s.charCodeAt(0));
  dataTransfer.items.add(new File([bytes], name));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer });
    document.querySelector("h1").dispatchEvent(event);
  }
}"""


@pytest.mark.parametrize("query", ["", "source=An+example", "source=Microphone"])
def test_a_song_dropped_anywhere_is_judged(app_url: str, page: Any, query: str) -> None:
    open_page(page, app_url, query)
    page.locator("[data-part=veil]:not([inert])").wait_for(state="attached")
    for name, style in (("one.wav", "metal"), ("two.wav", "reggae")):
        song = base64.b64encode(coded(render(style, seed=8, seconds=4))).decode()
        page.evaluate(DROP, [name, song])
        page.get_by_role("heading", name=name).wait_for()
        page.locator(".st-key-stage h2").wait_for()
        rest(page)
    page.get_by_role("heading", name="2 files, 2 judged").wait_for()
    assert not page.get_by_test_id("stFileUploaderDropzone").is_visible()
    page.get_by_role("button", name="Change").click()
    page.get_by_test_id("stFileUploaderDropzone").wait_for()
    assert page.problems == []


def test_the_microphone_is_heard(app_url: str, page: Any) -> None:
    open_page(page, app_url, "source=Microphone")
    page.get_by_role("button", name="Record").click()
    says(page, "00:04")
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_role("heading", name="Recording").wait_for()
    says(page, "segment")
    sound = page.wait_for_selector("[data-part=sound]", state="attached")
    page.wait_for_function("audio => audio.duration > 0", arg=sound)
    assert sound.evaluate("audio => audio.duration") > 3
    assert page.problems == []


def test_a_segment_is_chosen_in_the_picture_and_the_link_keeps_it(
    app_url: str, page: Any, drawings: str
) -> None:
    page.route(drawings, lambda on_its_way: None)
    open_page(page, app_url, "source=An+example&example=Freshly+composed&style=reggae&take=3")
    page.get_by_role("heading", name="reggae-3.wav").wait_for()
    # Nothing that is pressed too early is lost: until its script is there it cannot be pressed.
    assert page.locator("[data-part=player]").evaluate("part => part.inert")
    page.unroute(drawings)  # now it comes
    page.locator("[data-part=player]:not([inert])").wait_for()
    strip = page.locator("[data-part=strip]")
    box = strip.bounding_box()
    strip.click(position={"x": 0.7 * box["width"], "y": 0.5 * box["height"]})
    page.wait_for_url(re.compile("segment=4"))
    page.get_by_text("Stress test", exact=True).click()
    says(page, "Nothing is changed yet")
    address = page.url
    other = page.context.new_page()
    other.set_default_timeout(PATIENT_MS)
    other.goto(address)
    other.get_by_role("heading", name="reggae-3.wav").wait_for()
    says(other, "Nothing is changed yet")
    assert "segment=4" in other.url
    assert page.problems == []


def test_a_clip_is_judged_and_played_from_its_link_alone(app_url: str, page: Any) -> None:
    open_page(page, app_url, "source=An+example&example=Reggae")
    page.get_by_role("heading", name="reggae.ogg").wait_for()
    says(page, "segments, taken alone, say the same")
    sound = page.locator("[data-part=sound]")
    assert sound.evaluate("audio => audio.error") is None
    page.get_by_role("button", name="Change").click()
    says(page, "Composed for GenreKit, played by a synthesiser")
    page.get_by_text("Hip hop", exact=True).click()
    page.get_by_role("heading", name="hiphop.ogg").wait_for()
    page.wait_for_url(re.compile(r"example=Hip(\+|%20)hop"))
    assert page.problems == []


def test_every_closer_look_at_a_song(app_url: str, page: Any) -> None:
    open_page(page, app_url, "source=An+example&look=Why?")
    says(page, "What it heard in training that sounds alike")
    decided = page.get_by_label("Show what decided")
    decided.wait_for()
    assert decided.is_checked()
    page.get_by_text("Compare models", exact=True).click()
    says(page, "Each figure is worth what its split is worth")
    says(page, "Built-in: course-mlp")
    page.get_by_text("Stress test", exact=True).click()
    says(page, "Nothing is changed yet")
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.get_by_role("slider", name="Level (dB)").press("Home")
    page.get_by_text(re.compile("It holds|It flips")).first.wait_for()
    page.get_by_test_id("stAudio").nth(1).wait_for()
    page.get_by_role("button", name="All back to zero").click()
    says(page, "Nothing is changed yet")
    assert page.problems == []
