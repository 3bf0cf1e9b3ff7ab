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


def metrics(page: Any) -> list[str]:
    return [text.strip() for text in page.get_by_test_id("stMetricValue").all_inner_texts()]


def recorded(page: Any, index: int) -> tuple[np.ndarray, int]:
    """The samples a player on the page would play, in [-1, 1], and their rate in Hz."""
    source = page.locator("audio").nth(index).get_attribute("src")
    data = page.request.get(source if "://" in source else page.url.split("/mel")[0] + source)
    assert data.ok
    with wave.open(io.BytesIO(data.body())) as sound:
        frames = sound.readframes(sound.getnframes())
        return np.frombuffer(frames, "<i2") / 32768, sound.getframerate()


def test_a_typed_frequency_changes_everything_and_the_link_keeps_it(
    page: Any, app_url: str
) -> None:
    open_section(page, app_url, "Calculator", "The mel scale")
    assert metrics(page)[:2] == ["440", "549.64"]
    slider = page.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    until(page, lambda: metrics(page)[0] == "466.16" and metrics(page)[3].startswith("A♯4"))
    box = page.get_by_label("Frequency, Hz")
    box.fill("1000")
    box.press("Enter")
    until(page, lambda: metrics(page)[1] == "999.99")
    until(page, lambda: "mel_hz=1000" in page.url)
    mel = page.get_by_label("The same in mel")
    mel.fill("2000")
    mel.press("Enter")
    until(page, lambda: metrics(page)[1] == "2,000.00")
    hertz = pytest.approx(700 * (10 ** (2000 / 2595) - 1), abs=0.01)
    until(page, lambda: float(metrics(page)[0].replace(",", "")) == hertz)
    settle(page)
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_test_id("stMetricValue").first.wait_for(timeout=TIMEOUT)
    settle(other)
    until(other, lambda: metrics(other) == metrics(page))
    assert page.problems == []


def test_a_pasted_list_is_in_the_link_and_comes_down_as_csv(page: Any, app_url: str) -> None:
    open_section(page, app_url, "List", "Convert a list")
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


def test_four_stages_can_be_played_and_differ(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Sound to MFCC", "From sound to MFCC", mel_clip="Rising tone")
    until(page, lambda: page.locator("audio").count() == 4)
    stages = [recorded(page, index)[0] for index in range(4)]
    assert len({len(stage) for stage in stages}) == 1
    assert all(0.05 < np.abs(stage).max() <= 0.81 for stage in stages)
    assert len({stage.tobytes() for stage in stages}) == 4
    assert page.locator(".js-plotly-plot .heatmaplayer").count() == 3
    assert page.problems == []


def test_the_ear_test_plays_quietly_and_answers_after_the_guess(page: Any, app_url: str) -> None:
    open_section(page, app_url, "Ear test", "Trust your ears")
    assert page.locator("audio").count() == 2
    assert page.locator("audio[autoplay]").count() == 0
    for index in (0, 1):
        samples, rate = recorded(page, index)
        assert np.abs(samples).max() <= 10 ** (-12 / 20) + 1e-4
        assert np.abs(samples[: rate // 1000]).max() < 0.01
        assert np.abs(samples[-rate // 1000 :]).max() < 0.01
    player = page.locator("audio").first
    player.evaluate("player => { player.muted = true; return player.play(); }")
    until(page, lambda: player.evaluate("player => player.currentTime > 0.1"))

    assert page.get_by_text("Both steps are").count() == 0
    page.get_by_text("Step A", exact=True).last.click()
    page.get_by_text("Both steps are").wait_for(timeout=TIMEOUT)
    page.locator(".js-plotly-plot").wait_for(timeout=TIMEOUT)
    assert "Step" not in page.url  # a guess is nobody else's business
    assert page.problems == []


def test_every_section_fits_a_phone(page: Any, app_url: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    open_section(page, app_url, "Calculator", "The mel scale")
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
