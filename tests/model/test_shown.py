"""Models and verdicts as notebooks and terminals show them, and as plain values."""

import dataclasses
import json

import pytest

from genrekit.audio.synth.rendering import render
from genrekit.model.bundle import load_model
from genrekit.model.verdicts import SegmentVerdict, Verdict

SEGMENT = SegmentVerdict(0.0, 3.0, {"jazz": 0.8, "rock & roll": 0.15, "pop": 0.05})
SURE = Verdict("jazz", 0.93, {"jazz": 0.93, "rock & roll": 0.05, "pop": 0.02}, (SEGMENT,) * 2, "")


def test_a_verdict_is_shown_in_three_lines():
    assert repr(SURE).split("\n") == [
        "Verdict: jazz, very sure (93%)",
        "jazz 93%, rock & roll 5%, pop 2%",
        "Judged by 2 segments.",
    ]
    unsure = dataclasses.replace(SURE, genre=None, note="No genre stands out.")
    assert repr(unsure).startswith("Verdict: not sure\njazz 93%")
    assert repr(Verdict(None, 0.0, {}, (), "Silence.")) == "No verdict\nSilence."


def test_a_notebook_shows_its_outcomes_and_its_segments():
    shown = SURE._repr_html_()
    assert "rock &amp; roll" in shown
    assert shown.count("width:93.0%") == 1
    assert shown.count("opacity:0.80") == 2
    assert Verdict(None, 0.0, {}, (), "Silence.")._repr_html_().count("<td") == 0


def test_a_verdict_becomes_plain_values():
    values = json.loads(json.dumps(SURE.to_dict()))
    assert values["genre"] == "jazz"
    assert values["segments"][1]["probabilities"] == SEGMENT.probabilities


@pytest.mark.parametrize("name", ["everyday", "gtzan-cnn", "course-mlp"])
def test_a_model_is_shown_in_three_lines_with_its_figures(name):
    model = load_model(name)
    first, second, third = repr(model).split("\n")
    assert first.startswith(f"GenreModel {model.network_name}: ")
    assert "jazz, " in second
    assert third.partition("%")[0] == (f"{100 * model.card['measured']['track_accuracy']:.0f}")
    assert model._repr_html_().count("found") >= 10


def test_a_model_that_was_never_measured_says_so(demo_model):
    assert repr(dataclasses.replace(demo_model, card={})).endswith("\nNot measured.")
    assert "Not measured." in dataclasses.replace(demo_model, card={})._repr_html_()
    assert "% found" in demo_model._repr_html_()


def test_a_file_and_its_samples_are_judged_alike(demo_model, tmp_path):
    import soundfile

    song = render("jazz", seed=1, seconds=3.5, sample_rate=8000)
    soundfile.write(tmp_path / "song.wav", song, 8000, subtype="FLOAT")
    of_file = demo_model.classify(tmp_path / "song.wav")
    assert of_file == demo_model.classify(str(tmp_path / "song.wav"))
    assert of_file == demo_model.classify(song, sample_rate=8000)
