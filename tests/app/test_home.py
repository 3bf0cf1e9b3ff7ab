"""The home page's story: its pictures are those of the clip, its verdict is the model's."""

import base64
import json
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from page_tools import exhibit, texts

from genrekit.app import settled
from genrekit.app.home import story
from genrekit.app.kit import component
from genrekit.app.kit.clips import CLIPS
from genrekit.errors import AudioError
from genrekit.isolation.pool import WorkerBusy
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, load_model
from genrekit.verdict.analysis import ModelFile, Song, activations, analyse

PARAMS = story.PARAMS
CLIP = next(clip for clip in CLIPS if clip.name == "jazz")


def tone(hz, seconds=4.0):
    time = np.arange(int(seconds * PARAMS.sample_rate)) / PARAMS.sample_rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_the_pictures_have_the_shapes_they_promise():
    drawn = story.pictures(tone(440), PARAMS)
    assert {name: (values.shape, values.dtype.name) for name, values in drawn.items()} == {
        "wave": ((story.COLUMNS, 2), "int8"),
        "mel": ((PARAMS.n_mels, story.COLUMNS), "uint8"),
    }


def test_a_tone_is_one_bright_row_and_a_higher_one_a_higher_row():
    rows = []
    for hz in (220, 880, 3520):
        mel = story.pictures(tone(hz), PARAMS)["mel"]
        middle = mel[:, 20:-20]
        rows.append(int(middle.mean(axis=1).argmax()))
        assert (middle.argmax(axis=0) == rows[-1]).all()
    assert rows == sorted(set(rows))


def test_a_crescendo_grows_in_the_wave():
    sound = tone(440) * np.linspace(0, 1, len(tone(440)), dtype=np.float32)
    low, high = story.pictures(sound, PARAMS)["wave"].T.astype(int)
    assert high[-1] == 127
    assert low[-1] < -120
    assert (np.diff(high) >= -1).all()
    assert abs(high[100] - 64) < 3


@pytest.fixture(scope="module")
def heard():
    """What the default model says of the clip, and what its layers put out."""
    song, model = Song(CLIP.path.read_bytes(), 60.0), ModelFile.at(MODELS / DEFAULT_MODEL)
    return analyse(song, model), activations(song, model)


def answered(heard):
    answer = Future()
    answer.set_result(heard)
    return answer


def test_the_verdict_is_the_default_models(heard):
    verdict = heard[0].verdict
    told = story._verdict(answered(heard))
    assert (told["genre"], told["confidence"]) == (verdict.genre, verdict.confidence)
    assert told["colours"].keys() == verdict.probabilities.keys()
    assert told["segments"] == [[s.start, s.end, s.probabilities] for s in verdict.segments]
    json.dumps(told, allow_nan=False)


def test_the_layers_that_light_up_are_those_of_the_network_that_gives_the_verdict(heard):
    told, inside = story._verdict(answered(heard)), heard[1]
    assert base64.b64decode(told["seen"]) == inside.seen.tobytes()
    sent = [(units, base64.b64decode(values)) for units, values in told["layers"]]
    assert sent == [(layer.shape[1], layer.tobytes()) for layer in inside.layers]
    assert {len(layer) for layer in inside.layers} == {len(told["segments"])}


def test_what_the_page_says_of_the_model_is_true():
    html = Path(component.__file__).parents[1] / "browser" / "story.html"
    words = html.read_text("utf-8")
    assert load_model(DEFAULT_MODEL).params == PARAMS
    assert f"{PARAMS.sample_rate:,} measurements a second" in words
    assert PARAMS.segment_seconds == 3
    assert "Three seconds of the picture" in words


def test_the_story_is_sent_again_only_with_the_verdict(app, monkeypatch, heard):
    """A fragment asks for the answer; it draws nothing, and is gone once there is one."""
    answer, again = Future(), []
    monkeypatch.setattr(story, "_asked", lambda clip: answer)
    monkeypatch.setattr(story.st, "rerun", lambda: again.append(True))
    at = app("start/home.py")
    assert exhibit(at, "story")["verdict"] is None
    story._wait_for.__wrapped__(answer)
    assert not again
    answer.set_result(heard)
    story._wait_for.__wrapped__(answer)
    assert again == [True]
    monkeypatch.setattr(story, "_wait_for", lambda answer: pytest.fail("there is an answer"))
    at.run()
    assert not at.exception
    assert exhibit(at, "story")["verdict"]["genre"] == heard[0].verdict.genre


@pytest.mark.parametrize(
    "failure", [WorkerBusy("Too many."), ValueError("secret"), AudioError("No sound.")]
)
def test_a_model_that_cannot_answer_is_reported_plainly(failure):
    answer = Future()
    answer.set_exception(failure)
    (problem,) = story._verdict(answer).values()
    assert "Reload the page" in problem
    assert "secret" not in problem


def test_home_shows_the_rest_where_no_model_can_be_asked(app):
    at = app("start/home.py")
    assert not at.error
    assert "follow one clip from its sound to a verdict" in texts(at)
    assert len(at.get("page_link")) == 6 + 1  # the pages, and the way on


def test_the_first_look_is_small():
    """The pictures are sent in few bytes."""
    pictures = story._cached_pictures(CLIP)["pictures"]
    assert sum(map(len, pictures.values())) < 30_000


def test_what_joins_with_the_verdict_is_compact(heard):
    assert len(json.dumps(story._verdict(answered(heard)))) < 130_000


def test_one_click_leads_to_a_verdict_on_an_example(app):
    at = app("start/home.py")
    next(b for b in at.button if b.label == "See why it says so").click().run()
    assert not at.exception
    assert at.title[0].value == "Classify a song"
    assert at.query_params["source"] == "An example"
    assert "segments, taken alone, say the same" in texts(at)


def test_the_model_is_not_asked_in_the_servers_first_moments(monkeypatch):
    event, asked = threading.Event(), threading.Event()
    monkeypatch.setattr(settled, "_settled", event)
    assert settled.when_settled(asked.set)
    assert not asked.wait(0.1)
    event.set()
    assert asked.wait(10)


def test_nobody_is_asked_where_no_server_runs(monkeypatch):
    monkeypatch.setattr(settled, "_settled", None)
    assert not settled.when_settled(lambda: pytest.fail("asked"))
