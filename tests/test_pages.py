"""Home, dataset, train and classify, run without a browser."""

import gc
import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from page_tools import button, texts
from streamlit.testing.v1 import AppTest

from genrekit.app import visit
from genrekit.app.jobs import Job
from genrekit.features import FeatureParams
from genrekit.model import GenreModel
from genrekit.splits import by_segment
from genrekit.synth import render
from genrekit.training import TrainParams, train


@pytest.fixture
def dataset_job(app, make_dataset):
    """A finished dataset job, as the dataset page leaves it."""
    folder = visit.jobs().new_folder()
    make_dataset().write(folder / "data.parquet")
    return finished(folder, "dataset", "Demo dataset")


def finished(folder: Path, kind: str, title: str) -> Job:
    """A job that looks as if it had run: nothing is left for the scheduler to do."""
    (folder / "started").write_text("0")
    (folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    job = visit.jobs().add(folder, kind, title, [], "me")
    assert job.status == "done"
    return job


def test_home_leads_to_every_other_page(app):
    at = app("start/home.py")
    links = {link.page for link in at.get("page_link")}
    assert len(links) == 6


def test_dataset_page_starts_the_demo_job_with_the_chosen_settings(app):
    at = app("build/dataset.py", n_mfcc="20", hop_length="256")
    assert at.metric[0].value == "259 × 20 numbers"
    button(at, "Make the demo dataset").click().run()
    (job,) = visit.jobs().all()
    assert job.commands[0][:2] == ("demo-data", "audio")
    assert job.commands[1] == (
        *("preprocess", "audio", "-o", "data.parquet"),
        *("--n-mfcc", "20", "--hop-length", "256", "--progress", "json"),
    )
    assert at.session_state["dataset"] == job.id
    assert button(at, "Make the demo dataset").disabled, "one at a time"


def test_dataset_page_shows_what_a_job_made(app, dataset_job):
    at = app("build/dataset.py", dataset=dataset_job.id)
    values = {metric.label: metric.value for metric in at.metric}
    assert values["Segments"] == "120"
    assert values["Genres"] == "3"
    assert "Nothing was left out." in texts(at)
    assert [b.label for b in at.get("download_button")] == [
        "Parquet, with its card",
        "NPZ for NumPy",
        "The course's JSON",
    ]


def test_a_job_id_that_is_unknown_or_hostile_is_passed_over(app):
    for job_id in ("x" * 22, "../../../../etc", "é"):
        at = app("build/dataset.py", dataset=job_id)
        assert not at.error
        assert "dataset" not in at.session_state


def test_train_page_without_a_dataset_says_where_to_get_one(app):
    at = app("build/train.py")
    assert "First prepare a dataset" in texts(at)


def test_train_page_trains_and_shows_the_exam(app, dataset_job):
    at = app("build/train.py", dataset=dataset_job.id, epochs="5")
    assert "120 segments, 0 tracks, 3 genres" in texts(at)
    button(at, "Train").click().run()
    job = visit.jobs().get(at.session_state["model"])
    deadline = time.monotonic() + 60
    while job.active and time.monotonic() < deadline:
        at.run()
        time.sleep(0.2)
    assert job.status == "done", job.log()
    at.run()
    assert not at.exception
    assert "Fair: no track stands on both sides" in texts(at)
    assert "It has" in texts(at) or "It is" in texts(at)
    GenreModel.load(job.folder / "model")


def test_train_page_offers_the_artist_split_only_where_artists_are_known(app, make_dataset):
    folder = visit.jobs().new_folder()
    known = make_dataset()
    without = type(known)(**{**known.__dict__, "artists": None})
    without.write(folder / "data.parquet")
    job = finished(folder, "dataset", "Without artists")
    at = app("build/train.py", dataset=job.id)
    assert len(at.radio[0].options) == 2


@pytest.fixture
def own_model(app, make_dataset):
    """A finished model job whose model takes 3 s segments at 22050 Hz."""
    folder = visit.jobs().new_folder()
    params = FeatureParams()
    rng = np.random.default_rng(0)
    data = make_dataset(genres=("jazz", "metal"), tracks=5, segments=2)
    features = rng.normal(size=(len(data), *params.shape)).astype(np.float32)
    data = type(data)(**{**data.__dict__, "features": features, "params": params})
    training = train(data, by_segment(data), TrainParams(epochs=1, device="cpu"))
    list(training)
    training.model().save(folder / "model")
    return finished(folder, "model", "Mine")


def wav(samples, rate=22050) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader[0].set_value([(name, content, "audio/wav") for name, content in files])
    return at.run()


def test_classify_page_answers_as_the_library_does(app, own_model):
    content = wav(render("jazz", seed=1, seconds=7))
    at = upload(app("listen/classify.py", model=own_model.id), ("my *song*.wav", content))
    assert not at.exception
    verdict = GenreModel.load(own_model.folder / "model").classify_file(content)
    assert len(verdict.segments) == 2
    shown = texts(at)
    assert f"{verdict.confidence:.0%}" in shown
    assert (verdict.genre or "Not sure").lower() in shown.lower()
    assert at.subheader[0].value.endswith(r"my \*song\*\.wav")
    assert "of 2 segments, taken alone, say the same" in shown


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.wav", b"", "It is empty"),
        ("text.mp3", b"hello, hello, hello", "It is not audio in a format"),
        ("cut.flac", b"fLaC" + bytes(40), "it is damaged or incomplete"),
        ("short.wav", wav(np.full(2000, 0.1)), "at least 3 s of music are needed"),
        ("silent.wav", wav(np.zeros(100_000)), "Silence"),
        ("nan.wav", wav(np.full(100_000, np.nan)), "samples that are not numbers"),
    ],
)
def test_classify_page_answers_bad_input_in_plain_words(app, own_model, name, content, says):
    good = ("good.wav", wav(render("jazz", seed=1, seconds=4)))
    at = app("listen/classify.py", model=own_model.id)
    upload(at, (name, content), good)
    assert not at.exception
    assert says in texts(at)
    table = at.dataframe[0].value
    assert list(table["file"]) == [name, "good.wav"], "one bad file does not stop the rest"


def test_classify_page_hears_a_composed_example_without_any_file(app, own_model):
    at = app("listen/classify.py", model=own_model.id, source="An example")
    assert not at.exception
    assert "segments, taken alone" in texts(at)


def test_an_unexpected_failure_shows_no_traceback(app, own_model, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(GenreModel, "classify_file", fail)
    content = wav(render("jazz", seed=2, seconds=4))
    at = upload(app("listen/classify.py", model=own_model.id), ("a.wav", content))
    assert "Something went wrong on our side" in texts(at)
    assert "secret" not in texts(at)


def test_after_a_visit_the_libraries_are_no_garbage_collectors_business(app):
    app("learn/neuron.py")
    frozen = gc.get_freeze_count()
    assert frozen > 100_000
    app("learn/neuron.py")
    # The second visit imports nothing, so nothing more is exempted.
    assert gc.get_freeze_count() <= frozen
