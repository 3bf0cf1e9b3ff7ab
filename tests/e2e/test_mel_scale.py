"""The mel scale page in a real browser: links, sliders, guesses, sound, a phone's width."""

import io
import re
import wave
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from page_tools import SECTIONS
from stage import SCREENS, assert_it_follows_the_hand, hold, messages, off_screen, thumb

TIMEOUT = 30_000


def open_section(page: Any, app_url: str, section: str, title: str, **settings: str) -> None:
    query = "".join(f"&{key}={quote(value)}" for key, value in settings.items())
    page.goto(f"{app_url}/mel-scale?mel_view={quote(section)}{query}")
    page.get_by_role("heading", name=title, level=1).wait_for(timeout=TIMEOUT)
    settle(page)


def settle(page: Any) -> None:
    """Wait until the script has been at rest for 0.3 s."""
    page.wait_for_function(
        """() => {
            const app = document.querySelector('[data-testid="stApp"]');
            const rests = app && app.dataset.testScriptState === "notRunning"
                && !document.querySelector('[data-testid="stSkeleton"]');
            if (!rests) { window.restingSince = undefined; return false; }
            window.restingSince ??= performance.now();
            return performance.now() - window.restingSince > 300;
        }""",
        timeout=TIMEOUT,
    )


def until(page: Any, holds: Callable[[], bool]) -> None:
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came true")


def recorded(page: Any, source: str) -> tuple[np.ndarray, int]:
    """The samples of a sound on the page, in [-1, 1], and their rate in Hz."""
    data = page.request.get(page.url.split("/mel")[0] + source)
    assert data.ok
    with wave.open(io.BytesIO(data.body())) as sound:
        frames = sound.readframes(sound.getnframes())
        return np.frombuffer(frames, "<i2") / 32768, sound.getframerate()


# What is on the first screen of each section, after the button or text that comes last.
FIRST = {
    "Ear test": ("▶ Step B", ["[data-part=sounds]", "[data-testid=stRadio]"]),
    "Two rulers": ("▶ Play the tone", ["[data-part=rulers]", "[data-part=hz]", "[data-part=htk]"]),
    "Filter bank": (
        "",
        [".js-plotly-plot", "[data-testid=stSlider]:has([aria-label='Look at band'])"],
    ),
    "Sound to MFCC": ("▶ 4 · 13 MFCCs", ["[data-part=play]", ".picture"]),
}


@pytest.mark.parametrize("section", FIRST)
@pytest.mark.parametrize(("width", "height", "query"), SCREENS)
def test_each_section_begins_on_the_first_screen(
    page: Any, app_url: str, section: str, width: int, height: int, query: str
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    mode = dict([query.split("=")]) if query else {}
    open_section(page, app_url, section, SECTIONS[section], **mode)
    last, parts = FIRST[section]
    if last:
        page.get_by_role("button", name=last).wait_for(timeout=TIMEOUT)
    boxes = [box for part in parts for box in page.locator(part).all()]
    assert len(boxes) >= len(parts)
    assert off_screen(page, boxes) == []


@pytest.mark.parametrize("ruler", ["hertz", "mel"])
def test_the_tone_follows_the_hand_and_the_core_has_the_last_word(
    page: Any, app_url: str, ruler: str
) -> None:
    sent = messages(page)
    open_section(page, app_url, "Two rulers", "Two rulers")
    slider = page.get_by_role("slider", name=f"The tone on the {ruler} ruler")
    slider.wait_for(timeout=TIMEOUT)
    before = len(sent)
    rulers = page.locator("[data-part=rulers]")
    assert_it_follows_the_hand(hold(page, thumb(slider), (260, 0), rulers))
    assert len(sent) == before
    shown = page.locator("[data-part=htk]").input_value()
    page.mouse.up()
    page.wait_for_function("location.search.includes('mel_hz')")
    settle(page)
    assert len(sent) > before
    hz = float(re.findall(r"mel_hz=([\d.]+)", page.url)[0])
    assert float(shown) == pytest.approx(2595 * np.log10(1 + hz / 700), abs=0.006)
    assert page.locator("[data-part=htk]").input_value() == shown
    label = page.get_by_role("img", name="on a hertz ruler").get_attribute("aria-label")
    assert f"where it is {float(shown):.2f} mel" in label
    other = page.context.new_page()
    open_section(other, app_url, "Two rulers", "Two rulers", mel_hz=str(hz))
    until(other, lambda: other.locator("[data-part=htk]").input_value() == shown)
    assert page.problems == []


# Notes the levels and frequencies that tones are told to take.
HEAR = """() => {
  window.heard = [];
  const set = AudioParam.prototype.setTargetAtTime;
  AudioParam.prototype.setTargetAtTime = function (value, ...when) {
    window.heard.push(value);
    return set.call(this, value, ...when);
  };
}"""


def test_the_tone_sounds_quietly_while_it_is_held_and_no_longer(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Two rulers", "Two rulers")
    page.evaluate(HEAR)
    slider = page.get_by_role("slider", name="The tone on the hertz ruler")
    hold(page, thumb(slider), (100, 0), page.locator("[data-part=rulers]"), moves=5)
    level, *frequencies = page.evaluate("window.heard")
    assert 0 < level <= 10 ** (-12 / 20)
    assert all(440 < hz < 2000 for hz in frequencies)
    assert len(frequencies) >= 3
    page.mouse.up()
    assert page.evaluate("window.heard").pop() == 0, "it fades out"
    page.locator("[data-part=hz]").fill("19000")
    page.evaluate("window.heard = []")
    page.get_by_role("button", name="▶ Play the tone").click()
    assert page.evaluate("window.heard") == [], "hardly anyone would hear that"
    assert page.problems == []


def test_the_calculator_works_both_ways_and_the_link_keeps_it(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Two rulers", "Two rulers")
    boxes = {name: page.locator(f"[data-part={name}]") for name in ("hz", "htk", "slaney")}

    def values() -> list[str]:
        return [box.input_value() for box in boxes.values()]

    until(page, lambda: values() == ["440", "549.64", "6.6"])
    slider = page.get_by_role("slider", name="The tone on the hertz ruler")
    slider.focus()
    slider.press("ArrowRight")
    until(page, lambda: values()[0] == "466.16")
    assert page.get_by_text("A♯4.", exact=True).count() == 1
    boxes["hz"].fill("1000")
    assert values() == ["1000", "999.99", "15"], "at once"
    boxes["hz"].fill("440.123456789")
    boxes["hz"].press("Enter")
    until(page, lambda: "mel_hz=440.1235" in page.url)
    settle(page)
    boxes["htk"].fill("2000")
    assert float(values()[0]) == pytest.approx(700 * (10 ** (2000 / 2595) - 1), abs=0.001)
    boxes["slaney"].fill("42")
    boxes["slaney"].press("Enter")
    assert float(values()[0]) == pytest.approx(6400, abs=0.001)
    page.get_by_role("radio", name="Slaney").check()
    until(page, lambda: "mel_hz=6400" in page.url and "mel_formula=slaney" in page.url)
    assert page.get_by_text("one mel (Slaney) is worth 455 Hz").count() == 1
    settle(page)
    shown = values()
    page.reload()
    until(page, lambda: values() == shown)
    assert page.problems == []


def test_a_pasted_list_is_in_the_link_and_comes_down_as_csv(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Two rulers", "Two rulers")
    page.get_by_text("Convert a list of numbers").click()
    area = page.get_by_role("textbox", name=re.compile("Up to"))
    area.fill("440; 1000 nonsense")
    area.press("Control+Enter")
    page.get_by_text("1 entry was left out").wait_for(timeout=TIMEOUT)
    until(page, lambda: "mel_list=440" in page.url)
    # The button comes after the sentence: before the run has ended it may still be the old one.
    page.wait_for_selector("[data-test-script-state=notRunning]")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table").click()
    lines = download.value.path().read_text().splitlines()
    assert download.value.suggested_filename == "mel.csv"
    assert lines[0] == "hz,mel_htk,mel_slaney,note,cents"
    assert lines[1].startswith("440,549.63")
    page.reload()
    page.get_by_text("1 entry was left out").wait_for(timeout=TIMEOUT)
    assert page.problems == []


def test_four_steps_share_one_transport_and_differ(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Sound to MFCC", "From sound to MFCC", mel_clip="Rising tone")
    audio = page.locator("audio")
    until(page, lambda: audio.count() == 1 and bool(audio.get_attribute("src")))
    audio.evaluate("one => { one.muted = true; }")
    steps = []
    for name in ("Waveform", "Spectrogram", "128 mel bands", "13 MFCCs"):
        button = page.get_by_role("button", name=name)
        button.click()
        until(page, lambda button=button: button.get_attribute("aria-pressed") == "true")
        until(page, lambda: audio.evaluate("one => one.currentTime > 0.1 && !one.paused"))
        page.get_by_role("button", name="Pause").click()
        steps.append(recorded(page, audio.get_attribute("src"))[0])
    assert len({len(step) for step in steps}) == 1
    assert all(0.05 < np.abs(step).max() <= 0.81 for step in steps)
    assert len({step.tobytes() for step in steps}) == 4
    assert "mel_step=3" in page.url
    assert page.problems == []


def place(picture: Any, x: float, y: float) -> dict[str, float]:
    box = picture.bounding_box()
    return {"x": x * box["width"], "y": y * box["height"]}


def test_a_click_seeks_in_all_pictures_and_traces_a_cell(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Sound to MFCC", "From sound to MFCC")
    pictures = page.locator(".picture")
    until(page, lambda: pictures.count() == 4)
    pictures.nth(1).click(position=place(pictures.nth(1), 0.4, 0.5))
    until(page, lambda: page.get_by_text("2.0 / 5.0 s").count() == 1)
    assert page.locator("audio").evaluate("one => one.currentTime") == pytest.approx(2, abs=0.05)
    line = "one => parseFloat(getComputedStyle(one, '::after').left) / one.clientWidth"
    shares = [picture.evaluate(line) for picture in pictures.all()]
    assert shares == pytest.approx([0.4] * 4, abs=0.01)

    # The third row from the top, of thirteen, is coefficient 10.
    pictures.nth(3).click(position=place(pictures.nth(3), 0.8, 2.5 / 13))
    page.get_by_text("coefficient 10 looks for").wait_for(timeout=TIMEOUT)
    until(page, lambda: "mel_coefficient=10" in page.url)
    moment = float(re.findall(r"mel_moment=([\d.]+)", page.url)[0])
    assert moment == pytest.approx(4, abs=0.03)
    sums = page.get_by_test_id("stMetricValue").all_inner_texts()
    assert sums[0] == sums[1]
    assert page.locator(".picture b").evaluate(
        "ring => parseFloat(ring.style.left) / 100"
    ) == pytest.approx(0.8, abs=0.01)
    assert page.problems == []


def test_the_ear_test_plays_quietly_and_answers_after_the_guess(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Ear test", "The mel scale")
    sounds = page.locator("[data-part=sounds] button")
    until(page, lambda: sounds.count() == 2)
    player = page.locator("audio")
    assert player.count() == 1
    assert not player.get_attribute("src"), "nothing plays by itself"
    for source in sounds.evaluate_all("all => all.map((one) => one.dataset.url)"):
        samples, rate = recorded(page, source)
        assert np.abs(samples).max() <= 10 ** (-12 / 20) + 1e-4
        assert np.abs(samples[: rate // 1000]).max() < 0.01
        assert np.abs(samples[-rate // 1000 :]).max() < 0.01
    player.evaluate("player => { player.muted = true; }")
    sounds.first.click()
    until(page, lambda: player.evaluate("player => player.currentTime > 0.1"))
    first = player.get_attribute("src")
    sounds.last.click()
    assert player.get_attribute("src") != first, "one at a time"

    assert page.get_by_text("Both steps are").count() == 0
    page.get_by_text("Step A", exact=True).last.click()
    page.get_by_text("Both steps are").wait_for(timeout=TIMEOUT)
    page.get_by_text("A: 226 mel").wait_for(timeout=TIMEOUT)
    assert page.get_by_text("A: 200 Hz").is_visible()
    assert page.get_by_text("B: 200 Hz").is_visible()
    assert not page.get_by_role("button", name="Play the tone").is_visible()
    assert "Step" not in page.url  # a guess is nobody else's business
    assert page.problems == []


def test_every_section_fits_a_phone(page: Any, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_section(page, app_url, "Ear test", "The mel scale")
    main = page.get_by_test_id("stMain")
    sections = page.get_by_role("radiogroup", name="Section of this page")
    for section, title in SECTIONS.items():
        sections.get_by_text(section).click()
        page.get_by_role("heading", name=title, level=1).wait_for(timeout=TIMEOUT)
        settle(page)
        assert main.evaluate("box => box.scrollWidth <= box.clientWidth"), section
        for chart in page.locator(".js-plotly-plot").all():
            box = chart.bounding_box()
            assert box["x"] >= 0, section
            assert box["x"] + box["width"] <= 391, section
    assert page.problems == []
