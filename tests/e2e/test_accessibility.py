"""Nobody is barred: axe-core looks at every page and its main states, in light and in dark."""

from typing import Any

from axe_tools import STREAMLITS_OWN, barriers

PATIENT_MS = 120_000
# A page's address, and a text that stands on it when it is all there.
STATES = {
    "": "How does a machine hear music?",
    "glossary": "Backpropagation",
    "glossary?word=band": "Mel band (filter bank)",
    "privacy": "Songs and recordings",
    "neuron?tour=1&present=1": "What do 0.5 and 0.5 give?",
    "classify?tour=1": "which genre will the model hear?",
    "mel-scale": "Which step sounds larger?",
    "mel-scale?mel_view=Two+rulers&mel_list=440": "Download the table (CSV)",
    "mel-scale?mel_view=Filter+bank": "Look at band",
    "mel-scale?mel_view=Sound+to+MFCC": "The sum below",
    "neuron?nr_n=5&nr_bias=true": "The dashed line is where the sum is 0",
    "backprop?bp_epochs=1&bp_speed=slow+motion": "Its activation function bends the sum",
    "dataset": "Once there is a dataset",
    "train": "First prepare a dataset",
    "classify": "Songs: wav, mp3",
    "classify?source=Live": "What is playing?",
    "classify?source=An+example&look=Why?": "What it heard in training that sounds alike",
    "classify?source=An+example&look=Stress+test": "Nothing is changed yet",
    "classify?source=An+example&look=Rhythm+and+key&parts=true": "A voice is in both",
}


def open_page(page: Any, app_url: str, address: str, text: str) -> None:
    page.set_default_timeout(PATIENT_MS)
    page.goto(f"{app_url}/{address}")
    page.get_by_text(text).first.wait_for()
    page.wait_for_selector("[data-test-script-state=notRunning]")


def test_no_page_bars_anybody(app_url: str, page: Any) -> None:
    found = []
    for address, text in STATES.items():
        open_page(page, app_url, address, text)
        found += [f"/{address}: {one}" for one in barriers(page)]
    assert found == []


def test_choices_and_sliders_stand_out_from_the_page(app_url: str, page: Any) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        open_page(page, app_url, "mel-scale", STATES["mel-scale"])
        ring = page.get_by_test_id("stRadioOption").first.locator("> div > div").first
        colour = ring.evaluate("one => getComputedStyle(one).borderColor")
        assert float(colour.rstrip(")").split()[-1]) >= 0.5, scheme
    open_page(page, app_url, "neuron", "The decision")
    weight = page.get_by_role("slider", name="w1")
    weight.wait_for()
    assert weight.evaluate(LIGHT) > 0.2, "browsers draw white beside a colour that is too dark"


LIGHT = """one => {
  const paper = document.createElement("canvas").getContext("2d");
  paper.fillStyle = getComputedStyle(one).accentColor;
  paper.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...paper.getImageData(0, 0, 1, 1).data].map((c) => (c / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


def test_a_drawing_that_is_not_there_yet_bars_nobody(
    app_url: str, page: Any, drawings: str
) -> None:
    page.route(drawings, lambda on_its_way: None)
    found = []
    for address in ("", "neuron?nr_n=5&nr_bias=true"):
        open_page(page, app_url, address, STATES[address])
        found += [f"/{address}: {one}" for one in barriers(page)]
    page.unroute(drawings)
    assert found == []


def test_barriers_are_seen_exceptions_are_needed_and_words_need_no_mouse(
    app_url: str, page: Any
) -> None:
    open_page(page, app_url, "train", STATES["train"])
    page.get_by_role("button", name="Words on this page").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The share that was right").wait_for()
    assert barriers(page) == []
    page.keyboard.press("Escape")
    page.get_by_text("The share that was right").wait_for(state="hidden")
    page.evaluate(
        """document.querySelector('[data-testid=stMain] h1').insertAdjacentHTML('afterend',
        '<h4>too deep</h4><img src="data:,"><p style="color: #888; background: #999">faint</p>')"""
    )
    found = {one.split()[1] for one in barriers(page, ignored=())}
    assert found - {rule for rule, _ in STREAMLITS_OWN} >= {
        *("heading-order", "image-alt", "color-contrast"),
    }
    assert found >= {rule for rule, _ in STREAMLITS_OWN}
