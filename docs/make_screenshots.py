"""The pictures of the documentation: `python docs/make_screenshots.py [FOLDER]`.

Starts the app, walks through it as a newcomer would, and writes a picture of each page. Needs
what the browser tests need: Chromium and requirements-dev.txt.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from conftest import CHROMIUM, FLAGS, run_server  # noqa: E402

PATIENT_MS = 180_000


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        run_server(Path(place)) as url,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENT_MS)

        def shoot(name: str, height: int = 900) -> None:
            page.set_viewport_size({"width": 1280, "height": height})
            page.wait_for_selector("[data-test-script-state=notRunning]")
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"{name}.png")

        page.goto(url)
        shoot("home")
        for name, address in (
            ("mel-scale", "mel-scale"),
            ("mfcc", "mel-scale?mel_view=Sound+to+MFCC"),
            ("neuron", "neuron"),
        ):
            page.goto(f"{url}/{address}")
            page.get_by_role("heading", level=1).wait_for()
            shoot(name, 1300 if name == "mfcc" else 900)
        learn_backprop(page, url)
        shoot("backprop", 1350)
        page.goto(f"{url}/dataset")
        page.get_by_role("button", name="Make the demo dataset").click()
        page.get_by_role("heading", name="What you have now").wait_for()
        page.get_by_text("Map of all segments").click()
        shoot("dataset", 1500)
        page.get_by_role("link", name="Next: train a classifier on it").click()
        page.get_by_role("button", name="Train", exact=True).click()
        page.get_by_role("heading", name="What is taken for what").wait_for()
        shoot("train", 1700)
        page.get_by_role("link", name="Next: let it classify a song").click()
        page.get_by_role("radio", name="An example").click()
        page.get_by_text("segments, taken alone, say the same").wait_for()
        shoot("classify", 1400)
        browser.close()


def learn_backprop(page: Page, url: str) -> None:
    page.goto(f"{url}/backprop")
    page.get_by_text("epoch 20.").wait_for()
    page.get_by_role("button", name="Pause").click()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
