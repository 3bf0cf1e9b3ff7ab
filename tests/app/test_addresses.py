"""Addresses that no page has written: every widget takes garbage with grace."""

from urllib.parse import urlencode

import pytest

from benchmarks.fuzz.addresses import (
    GARBAGE,
    Page,
    _address,
    explore,
    faults,
    finished,
    visit,
)
from genrekit.app.kit import widgets

# What broke a page once, and what it would take to break it otherwise.
TRIED = ("1e309", "-inf", "nan", "1e308", "-1", "9" * 5000, "", "\0", "../..", ("1", "inf"))


@pytest.fixture
def dataset(app, make_dataset, tmp_path):
    """The id of a finished dataset."""
    path = tmp_path / "data.parquet"
    make_dataset().write(path)
    return finished("dataset", {path.name: path.read_bytes()})


def test_every_key_of_every_page_takes_garbage(dataset):
    pages = {page.script: page for page in explore(dataset, deep=False)}
    assert {"n_fft", "hop_length", "view"} <= set(pages["build/dataset.py"].keys)
    assert {"epochs", "split", "seed"} <= set(pages["build/train.py"].keys)
    assert {"bp_n", "bp_seed", "bp_batch"} <= set(pages["learn/backprop.py"].keys)
    assert {"mel_low", "mel_fmax", "nr_x1"} <= {key for p in pages.values() for key in p.keys}
    for page in pages.values():
        for garbage in TRIED:
            found = faults(visit(page.script, dict.fromkeys(page.keys, garbage)))
            assert not found, f"{page.script}, {garbage!r}"


def test_sections_take_garbage_in_all_other_keys(dataset):
    (page,) = explore_only("learn/mel_scale.py", dataset)
    for section in page.options["mel_view"]:
        query = dict.fromkeys(page.keys, "1e309") | {"mel_view": section}
        assert not faults(visit(page.script, query)), section


def explore_only(script, dataset):
    return [page for page in explore(dataset, deep=False) if page.script == script]


@pytest.mark.parametrize("text", ["1e309", "-inf", "nan", "twenty", "-3", ["1", "inf"]])
def test_a_number_that_cannot_be_used_leaves_the_default(app, text):
    at = app("build/dataset.py", n_mfcc=text)
    assert at.number_input(key="n_mfcc").value == 13
    assert not at.error
    at.number_input(key="n_mfcc").set_value(20).run()
    assert at.number_input(key="n_mfcc").value == 20


def test_the_id_of_a_job_of_another_kind_is_passed_over(app):
    model = finished("model", {}, status=2)
    at = app("build/dataset.py", dataset=model, music=model, leak="../..")
    assert not at.error
    assert "dataset" not in at.session_state


def test_an_address_follows_from_its_seed():
    pages = [Page("start/home.py", ("a", "b", "c"), {"a": ("x", "y")})]
    drawn = [_address(pages, ["id"], seed)[1] for seed in range(100)]
    assert drawn == [_address(pages, ["id"], seed)[1] for seed in range(100)]
    assert any(query.get("a") in ("x", "y") for query in drawn), "what the page offers"
    assert any(query.get("b") in GARBAGE for query in drawn)
    assert any("id" in query.values() for query in drawn)
    for query in drawn:
        urlencode(query, doseq=True)  # it can be sent


def test_a_failure_is_noticed(app, monkeypatch):
    monkeypatch.setattr(widgets, "_is_infinite", lambda text: False)
    assert faults(visit("build/dataset.py", {"n_mfcc": "1e309"}))
