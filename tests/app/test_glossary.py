"""The glossary explains every technical word of every page, and only there."""

import ast
import base64
import html
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

import numpy as np
import pytest

from genrekit.app.kit.glossary import (
    FIELDS,
    GROUPS,
    HEADINGS,
    MENTIONS,
    TERMS,
    anchor,
    find,
    linked,
    read_glossary,
    tip,
)
from genrekit.app.kit.glossary_examples import PICTURES, SOUNDS, picture
from genrekit.mel import tones

ROOT = Path(__file__).parents[2]
WORDS = "Words on this page"
# The files whose sentences each place shows; after a colon, the functions of the file.
SOURCES = {
    "ear": ["app/mel/ear_test.py", "app/mel/ear_test.toml", "app/browser/ear_test.js"],
    "calculator": [
        "app/mel/calculator.py",
        "app/mel/calculator.toml",
        "app/mel/rulers.py",
        "app/mel/number_list.py",
        "app/mel/figures.py:curve_figure",
        "app/browser/rulers.html",
        "app/browser/rulers.js",
    ],
    "bank": ["app/mel/filter_bank.py", "app/mel/figures.py:bank_figure"],
    "sound": [
        "app/mel/sound.py:sound_to_mfcc,_cell,_trace,_trace_steps,_products_table",
        "app/mel/sound.toml",
        "app/mel/sound_figures.py:trace_figure",
        "app/browser/stages.html",
        "app/browser/stages.js",
    ],
    "neuron": [
        "learn/neuron.toml",
        "app/neuron/view.py",
        "app/browser/neuron_view.html",
        "app/browser/neuron_view.js",
    ],
    "backprop": [
        "learn/backprop.py",
        "app/browser/network_view.html",
        "app/browser/network_view.js",
        "app/browser/formulas.js",
        "app/playground/settings.py",
        "app/playground/settings.toml",
        "app/playground/panels.py",
    ],
    "dataset": ["build/dataset.py", "app/build/dataset_views.py", "app/build/music_source.py"],
    "train": [
        "build/train.py",
        "build/train.toml",
        "app/build/training_views.py",
        "app/build/dataset_views.py:draw_segment",
        "training/commentary.py",
    ],
    "classify": [
        "listen/classify.py",
        "app/classify/inputs.py",
        "app/classify/questions.py",
        "app/classify/overview.py",
        "app/classify/hears.py",
        "app/classify/hears.toml",
        "app/classify/why.py",
        "app/classify/rhythm.py",
        "app/classify/stress.py",
        "app/classify/compare.py",
        "app/classify/download.py",
        "app/browser/evidence_player.html",
        "app/browser/evidence_player.js",
    ],
}


@cache
def visible(place: str) -> str:
    """The sentences of a place: its heading, and the strings of its files, less docstrings."""
    heading = list(HEADINGS.get(place, {}).values())
    for field in FIELDS.get(place, {}).values():
        heading += filter(is_sentence, field.values())
    return "\n".join([*heading, *(s for source in SOURCES[place] for s in sentences(source))])


def sentences(source: str) -> list[str]:
    path, _, functions = source.partition(":")
    page = ROOT / "pages" / path
    file = page if page.exists() else ROOT / "genrekit" / path
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".js":
        found = re.findall(r'"([^"\n]*)"|`([^`]*)`', text)
        return [plain(a or b) for a, b in found if is_sentence(plain(a or b))]
    if file.suffix == ".html":
        return [plain(text)]
    if file.suffix == ".toml":
        return [one for one in strings(tomllib.loads(text)) if is_sentence(one)]
    tree = ast.parse(text)
    names = functions.split(",") if functions else None
    parts = [n for n in tree.body if names is None or defines(n) in names]
    assert names is None or len(parts) == len(names), "each function is there"
    docstrings = {
        id(node.body[0].value)
        for part in [tree, *parts]
        for node in ast.walk(part)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    constants = [
        plain(node.value)
        for part in parts
        for node in ast.walk(part)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings
    ]
    return [constant for constant in constants if is_sentence(constant)]


def strings(value: Any) -> list[str]:
    """Every text in a table of tables and lists, keys included."""
    if isinstance(value, dict | list):
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        return [text for one in inner for text in strings(one)]
    return [value] if isinstance(value, str) else []


def defines(node: ast.stmt) -> str | None:
    target = getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else getattr(node, "name", None)


def plain(text: str) -> str:
    """Without HTML's tags, and without what JavaScript puts in."""
    return re.sub(r"<[^>]*>|\$\{[^}]*\}", " ", text)


def is_sentence(text: str) -> bool:
    """Whether it is for people: not a key, a colour or a formula."""
    return bool(re.search(r"[a-z] |[A-Z][a-z]|^[A-Z]{3}", text)) and "\\" not in text


@pytest.mark.parametrize("place", MENTIONS)
def test_a_page_explains_the_technical_words_it_uses_and_no_others(place):
    used = {term.name for term in TERMS if term.pattern.search(visible(place))}
    assert {term.name for term in TERMS if place in term.mentions} == used


def test_the_words_that_newcomers_stumble_over_are_in_it():
    for word in (
        "segment, track, mel, MFCC, spectrogram, FFT, frame, hop, mel band, filter bank, neuron, "
        "weight, bias, activation, sigmoid, loss, error, gradient, backpropagation, learning rate, "
        "epoch, batch, training set, validation, test set, held out, split, leak, overfitting, "
        "accuracy, confidence, probability, calibration, confusion matrix, margin, occlusion, "
        "nearest segment, dropout, regularisation, bundle, model card, decibel, phase, log-mel"
    ).split(", "):
        if word != "training set":
            assert find(word), word


def test_each_term_is_explained_once_and_by_whole_sentences():
    names = [anchor(term) for term in TERMS]
    assert len(set(names)) == len(names)
    for term in TERMS:
        for text in (term.says, term.here):
            assert text[0].isupper() or text[0] in "“0123456789"
            assert text.endswith("."), text
            assert len(text) < 300, "a sentence or two"
            assert "!" not in text
            assert not re.search(r"\d %|ize\b|color|neighbor", text), "the house's spelling"


TERM = {"name": "Loss (the)", "says": "A number.", "here": "A curve.", "mentions": ["train"]}


@pytest.mark.parametrize(
    ("page", "term", "message"),
    [
        ("build/train.py", {"says": "A number."}, "Error has no here"),
        ("build/train.py", {**TERM, "mentions": ["trian"]}, "Error: mentions must be of train"),
        ("build/train.py", {**TERM, "mentions": []}, "Error: mentions must be of train"),
        ("build/train.py", {**TERM, "name": "Loss"}, "loss is explained twice"),
        ("build/trian.py", TERM, "train: there is no page build/trian.py"),
    ],
)
def test_a_mistake_in_the_glossary_names_its_entry(page, term, message):
    pages = {"train": {"title": "Train", "page": page}}
    terms = [TERM, {"name": "Error", **{k: v for k, v in term.items() if v != TERM["name"]}}]
    with pytest.raises(ValueError, match=message):
        read_glossary({"pages": pages, "groups": {"Learning": terms}})


@pytest.mark.parametrize("place", MENTIONS)
def test_the_words_of_a_page_keep_to_the_house_s_style(place):
    odd = r"\d %|\w!(?!=)|\b(?:color|analyze|normalize|behavior|favorite|dialog|please|simply)\b"
    assert re.findall(odd, visible(place)) == []


def test_no_other_file_defines_a_word_again():
    files = [*ROOT.glob("pages/**/*.py"), *ROOT.glob("genrekit/app/**/*.py")]
    others = {file: file.read_text(encoding="utf-8") for file in files}
    del others[ROOT / "genrekit" / "app" / "kit" / "glossary.py"]
    together = {file: re.sub(r'"\s*f?"', "", text) for file, text in others.items()}
    for term in TERMS:
        first = term.says.split(". ")[0]
        assert [file.name for file, text in together.items() if first in text] == []


def test_finding_prefers_the_word_itself():
    assert find("LOSS")[0].name == "Loss"
    assert find("overfitting")[0].name == "Memorising (overfitting)"
    assert find("") == TERMS
    assert find("no such word") == ()
    assert tip("Hop", "More.").startswith("The step from one frame")
    assert tip("Hop", "More.").endswith(" More.")
    with pytest.raises(KeyError):
        tip("Hopp")


def test_a_heading_is_complete():
    assert set(HEADINGS) <= set(MENTIONS)
    assert set(FIELDS) <= set(HEADINGS)
    for heading in HEADINGS.values():
        assert set(heading) == {"title", "see"}
        assert len(heading["see"]) <= 120, "one line"


@pytest.mark.parametrize("place", MENTIONS)
def test_a_page_has_the_button_with_its_words(app, place):
    where = MENTIONS[place]
    at = app(where.page, **where.query)
    assert not at.exception
    (button,) = (block for block in at.get("popover") if block.proto.popover.label == WORDS)
    link = re.compile(r"\*\*\[(.*?)\]\(glossary\?word=(.*?)\):\*\* ")
    (text,) = (m.value for m in button.markdown)
    explained = {name: find(unquote_plus(word))[0].name for name, word in link.findall(text)}
    assert explained == {term.name: term.name for term in TERMS if place in term.mentions}


# An everyday word, and the terms that it leads to.
EVERYDAY = {
    "pitch": "Hertz (Hz), Mel, Octave, Semitone (and cent)",
    "volume": "Decibel (dB)",
    "loudness": "Decibel (dB)",
    "noise": "Noise",
    "timbre": "MFCC",
    "tone colour": "MFCC",
    "beat": "Spectrogram",
    "song": "Track",
    "mood": "Tag",
    "sure": "Probability (confidence)",
    "mistake": "Error, Loss",
    "softmax": "Probability (confidence)",
}


@pytest.mark.parametrize("word", EVERYDAY)
def test_an_everyday_word_leads_to_its_terms(word):
    names = [term.name for term in find(word)]
    assert set(names[:4]) >= set(EVERYDAY[word].split(", "))


def test_every_picture_and_sound_is_computed_and_used_once():
    examples = [term.example for term in TERMS if term.example]
    assert sorted(examples) == sorted([*PICTURES, *SOUNDS])
    for name in PICTURES:
        data = re.search(r"base64,([^\"]+)", picture(name)).group(1)
        drawing = ElementTree.fromstring(base64.b64decode(data))
        assert len(drawing) >= 1
        numbers = [float(n) for n in re.findall(r"[\d.]+", drawing[0].get("points", "0"))]
        assert max(numbers) <= 240
    for name, make in SOUNDS.items():
        samples = make()
        assert 0.5 < len(samples) / tones.SAMPLE_RATE < 4, name
        assert np.abs(samples).max() < 10 ** (-11.9 / 20), "quiet"
    octave = SOUNDS["a tone and its octave"]()
    half = np.abs(np.fft.rfft(octave[len(octave) // 2 :]))
    assert half.argmax() * tones.SAMPLE_RATE / (len(octave) / 2) == pytest.approx(880, rel=0.01)


def test_a_meaning_links_the_terms_that_it_uses():
    mel, hertz = (next(t for t in TERMS if t.name.startswith(name)) for name in ("Mel", "Hertz"))
    assert 'one <a href="#hertz">hertz</a> more is not' in linked(mel, (mel, hertz))
    assert linked(mel, (mel,)) == mel.says
    for term in TERMS:
        assert re.sub("<[^>]*>", "", linked(term, TERMS)) == html.escape(term.says, quote=False)
        assert linked(term, TERMS).count("<a") == linked(term, TERMS).count("</a>")


def test_a_place_s_link_is_its_page_s_address():
    frame = (ROOT / "pages" / "frame.py").read_text(encoding="utf-8")
    for mention in MENTIONS.values():
        address = mention.link.split("?")[0]
        assert re.search(rf'page\("{mention.page}", "[^"]+", "\w+", "{address}"\)', frame)


def test_the_glossary_page_shows_all_and_finds_some(app):
    at = app("start/glossary.py")
    (shown,) = pages_html(at)
    assert re.findall("<h2>(.*?)</h2>", shown) == list(GROUPS)
    assert [html.unescape(name) for name in SUMMARY.findall(shown)] == [t.name for t in TERMS]
    assert " open" not in shown
    assert shown.count("<audio") == len(SOUNDS)
    assert shown.count("<img") == len(PICTURES)
    (shown,) = pages_html(app("start/glossary.py", word="epoch"))
    assert SUMMARY.findall(shown)[0] == "Epoch"
    assert shown.startswith('<div class="glossary found"><details open><summary>Epoch')
    at = app("start/glossary.py", word="<b>*x*")
    assert not at.exception
    assert pages_html(at) == []
    assert "Try a shorter piece" in at.info[0].value
    assert "<b>" not in at.info[0].value


SUMMARY = re.compile("<summary>(.*?)</summary>")


def pages_html(at):
    return [one.proto.body for one in at.get("html") if "<details" in one.proto.body]
