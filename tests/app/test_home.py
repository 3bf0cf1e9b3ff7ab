"""The home page's story: its pictures are those of the clip, its verdict is the model's."""

import json
import threading
from concurrent.futures import Future

import numpy as np
import pytest
from page_tools import texts

from genrekit.app import settled
from genrekit.app.home import story
from genrekit.app.kit.clips import CLIPS
from genrekit.errors import AudioError
from genrekit.isolation.pool import WorkerBusy
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel
from genrekit.verdict.analysis import ModelFile, Song, analyse

PARAMS = story.PARAMS


def tone(hz, seconds=4.0):
    time = np.arange(int(seconds * PARAMS.sample_rate)) / PARAMS.sample_rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_the_pictures_have_the_shapes_they_promise():
    drawn = story.pictures(tone(440), PARAMS)
    assert {name: (values.shape, values.dtype.name) for name, values in drawn.items()} == {
        "wave": ((story.COLUMNS, 2), "int8"),
        "mel": ((story.BANDS, story.COLUMNS), "uint8"),
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


def test_the_verdict_is_the_default_models():
    clip = next(clip for clip in CLIPS if clip.name == "jazz")
    result = analyse(Song(clip.path.read_bytes(), 60.0), ModelFile.at(MODELS / DEFAULT_MODEL))
    answer = Future()
    answer.set_result(result)
    told = story._verdict(answer)
    assert told["genre"] == result.verdict.genre
    assert told["probabilities"] == result.verdict.probabilities
    assert told["colours"].keys() == result.verdict.probabilities.keys()
    assert len(told["segments"]) == len(result.verdict.segments)
    start, end, values = told["segments"][0]
    assert (start, end) == (result.verdict.segments[0].start, result.verdict.segments[0].end)
    assert 0.9 < sum(values) < 1 + 1e-6
    json.dumps(told, allow_nan=False)


def test_the_network_that_is_drawn_is_the_one_that_gives_the_verdict():
    import torch

    model = GenreModel.load(DEFAULT_MODEL)
    backbone, seen = model.network.backbone, [(1, *reversed(model.params.shape))]

    def note(module, inputs, output):
        seen.append((output.shape[1], 1, output.shape[2] if output.ndim == 3 else 1))

    for part in (*backbone.time, backbone.dense):
        part.register_forward_hook(note)
    fired = sum(part.filter.out_channels for part in backbone.front)
    seen.append((fired, 1, model.params.frames))
    with torch.inference_mode():
        model.network.eval()(torch.zeros(1, *model.params.shape))
    assert tuple(seen) == story.PATH
    assert model.params == story.PARAMS
    assert len(model.genres) == story.GENRES
    assert 2.5 < model.params.segment_seconds < 3.5  # "three seconds of the picture"


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
    assert "Sound becomes a picture" in texts(at)
    assert len(at.get("page_link")) == 6 + 1  # the pages, and the way on


def test_the_first_look_is_small():
    """The pictures are sent in few bytes."""
    clip = next(clip for clip in CLIPS if clip.name == "jazz")
    assert sum(map(len, story._cached_pictures(clip).values())) < 30_000


def test_one_click_leads_to_a_verdict_on_an_example(app):
    at = app("start/home.py")
    next(b for b in at.button if b.label == "See a verdict and its evidence").click().run()
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
