"""The pictures of the documentation, and of every page.

`python docs/make_screenshots.py [FOLDER]` writes those that the README shows (here, unless a folder
is named). `python docs/make_screenshots.py --all FOLDER` writes every page in its main states, at
full length, on a wide screen and on a phone, light and dark; words after the folder choose shots
whose names begin so. Needs what the browser tests need: Chromium and requirements-dev.txt; for the
film, which is made where no names are given, FFmpeg as well.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from conftest import run_server  # noqa: E402

from benchmarks.load.chromium import CHROMIUM, FLAGS  # noqa: E402

PATIENT_MS = 300_000
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
HEIGHT = 900
SETTLE_MS = 1500
# The film of the playground: what is on it, how many pictures, and how far apart.
STAGE = {"x": 285, "y": 130, "width": 755, "height": 540}
PICTURES = 80
APART_MS = 100


@dataclass(frozen=True)
class Shot:
    """A page in one state: where it is found, a text that tells it is there, a button to press and
    the text that tells that it has done its work.

    `{made}` in the address is the dataset, the model and the leak meter that were made. `readme` is
    the height of the README's picture, 0 where it shows none.
    """

    name: str
    address: str
    ready: str
    press: str = ""
    then: str = ""
    readme: int = 0


SHOTS = (
    Shot("home", "", "Likeliest genre over time", readme=900),
    Shot("home-tour", "?tour=1", "Stop 1 of"),
    Shot("home-presenter", "?present=1", "Likeliest genre over time"),
    Shot("glossary", "glossary", "Look up"),
    Shot("mel-scale", "mel-scale?mel_view=Two+rulers", "Play the tone", readme=900),
    Shot("mel-list", "mel-scale?mel_view=Two+rulers&mel_list=440", "CSV"),
    Shot("mel-ear-test", "mel-scale", "sounds larger"),
    Shot("mel-staircases", "mel-scale?mel_view=Ear+test&mel_test=Staircases", "climbs more evenly"),
    Shot("mel-filter-bank", "mel-scale?mel_view=Filter+bank", "n_fft"),
    Shot("mfcc", "mel-scale?mel_view=Sound+to+MFCC", "The sum below", readme=1300),
    Shot("neuron", "neuron", "The decision", readme=900),
    Shot("neuron-and", "neuron", "The decision", press="AND"),
    Shot("backprop", "backprop?bp_speed=flat+out", "Ask it", "Train", "Replay", readme=800),
    Shot("backprop-slow", "backprop?bp_speed=slow+motion", "bends the sum"),
    Shot("backprop-proof", "backprop?bp_look=Prove+the+gradient", "They agree"),
    Shot("backprop-take", "backprop?bp_look=Take+away", "The script"),
    Shot("dataset-empty", "dataset", "Make the demo dataset"),
    Shot("dataset-segment", "dataset?{made}", "Download"),
    Shot("dataset-genres", "dataset?{made}&view=Average+of+each+genre", "Download"),
    Shot("dataset", "dataset?{made}&view=Map+of+all+segments", "Download", readme=1450),
    Shot("dataset-zip", "dataset?music_source=A+zip+file", "A zip with one folder"),
    Shot("train-empty", "train", "First prepare a dataset"),
    Shot("train", "train?{made}", "Which genres get mixed up", readme=1660),
    Shot("classify-empty", "classify", "Songs: wav, mp3"),
    Shot("classify", "classify?source=An+example", "taken alone, say the same", readme=1440),
    Shot("classify-composed", "classify?source=An+example&example=Freshly+composed", "Take"),
    Shot("classify-why", "classify?source=An+example&look=Why?", "Nearest to segment"),
    Shot(
        "classify-stress",
        "classify?source=An+example&look=Stress+test",
        "Make the sound worse, step by step",
    ),
    Shot("classify-compare", "classify?source=An+example&look=Compare+models", "agree"),
    Shot("classify-take", "classify?source=An+example&look=Download", "command line"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs")
    parser.add_argument("names", nargs="*", help="only shots whose names begin so")
    parser.add_argument("--all", action="store_true", help="every shot, width and colour scheme")
    options = parser.parse_args()
    every: bool = options.all
    wanted = tuple(options.names or [""])
    widths, schemes = (WIDTHS, SCHEMES) if every else (WIDTHS[:1], SCHEMES[:1])
    options.folder.mkdir(parents=True, exist_ok=True)
    made = ""
    with (
        tempfile.TemporaryDirectory() as place,
        run_server(Path(place)) as url,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for shot in SHOTS:
            if not (every or shot.readme) or not shot.name.startswith(wanted):
                continue
            if "{made}" in shot.address and not made:
                made = make(browser, url)
            for width in widths:
                page = open_page(browser, width)
                show(page, f"{url}/{shot.address.format(made=made)}", shot, full=every)
                for scheme in schemes:
                    page.emulate_media(color_scheme=scheme)
                    settle(page)
                    name = f"{shot.name}-{width}-{scheme}" if every else shot.name
                    page.screenshot(path=options.folder / f"{name}.png")
                page.context.close()
        if not (every or options.names):
            film(browser, url, options.folder / "film.webp")
        browser.close()


def film(browser: Browser, url: str, path: Path) -> None:
    """Write a film of the playground while its network learns."""
    page = open_page(browser, motion="no-preference")
    page.goto(f"{url}/backprop")
    page.get_by_text("Ask it").first.wait_for()
    settle(page)
    with tempfile.TemporaryDirectory() as folder:
        page.get_by_role("button", name="Train", exact=True).click()
        for number in range(PICTURES):
            page.screenshot(path=Path(folder, f"{number:03}.png"), clip=STAGE)
            page.wait_for_timeout(APART_MS)
        pictures = ["-framerate", "8", "-i", f"{folder}/%03d.png"]
        shape = ["-loop", "0", "-quality", "80", "-vcodec", "libwebp_anim"]
        command = ["ffmpeg", "-y", "-loglevel", "error", *pictures, *shape, str(path)]
        subprocess.run(command, check=True)
    page.context.close()


def show(page: Page, address: str, shot: Shot, *, full: bool) -> None:
    """Bring a page into the state of a shot, on a screen as tall as the picture is to be."""
    page.goto(address)
    page.get_by_text(shot.ready).first.wait_for()
    if shot.press:
        page.get_by_role("button", name=shot.press, exact=True).click()
    if shot.then:
        page.get_by_text(shot.then).first.wait_for()
    for _ in range(2):  # on a taller screen the page may grow
        settle(page)
        height = full_height(page) if full else shot.readme
        page.set_viewport_size({"width": page.viewport_size["width"], "height": height})


def open_page(browser: Browser, width: int = WIDTHS[0], motion: str = "reduce") -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT}, reduced_motion=motion
    )
    context.set_default_timeout(PATIENT_MS)
    return context.new_page()


def settle(page: Page) -> None:
    page.wait_for_selector("[data-test-script-state=notRunning]")
    page.wait_for_timeout(SETTLE_MS)


def full_height(page: Page) -> int:
    """Streamlit scrolls inside of the page, so a picture of all of it needs a taller screen."""
    main = page.get_by_test_id("stMain")
    return max(HEIGHT, int(main.evaluate("main => main.scrollHeight")))


def make(browser: Browser, url: str) -> str:
    """Make the demo dataset, a model and a leak meter, as a newcomer would; their ids."""
    page = open_page(browser)
    page.goto(f"{url}/dataset")
    page.get_by_role("button", name="Make the demo dataset").click()
    page.get_by_role("heading", name="Download").wait_for()
    page.goto(f"{url}/train?{urlsplit(page.url).query}&epochs=15")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("heading", name="Which genres get mixed up").wait_for()
    page.get_by_role("button", name="Change").click()
    page.get_by_role("button", name="Leak meter: every split").click()
    page.get_by_text("had met in training").wait_for()
    made = urlsplit(page.url).query
    page.context.close()
    return made


if __name__ == "__main__":
    main()
