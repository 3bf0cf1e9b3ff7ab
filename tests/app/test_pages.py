"""Home, dataset and train, run without a browser."""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
import pytest
from page_tools import button, texts

from genrekit.app import session
from genrekit.app.jobs.job import Job
from genrekit.cli import commands, options
from genrekit.features.presets import PRESETS
from genrekit.model.bundle import load_model
from genrekit.training.params import TrainParams


@pytest.fixture
def dataset_job(app, make_dataset):
    """A finished dataset job, as the dataset page leaves it."""
    folder = session.jobs().new_folder()
    make_dataset().write(folder / "data.parquet")
    return finished(folder, "dataset", "Demo dataset")


def finished(folder: Path, kind: str, title: str) -> Job:
    """A job that looks as if it had run: nothing is left for the scheduler to do."""
    (folder / "started").write_text("0")
    (folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    job = session.jobs().add(folder, kind, title, [], "me")
    assert job.status == "done"
    return job


def wait(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_home_leads_to_every_other_page(app):
    at = app("start/home.py")
    links = {link.page for link in at.get("page_link")}
    assert len(links) == 6


def test_dataset_page_starts_the_demo_job_with_the_chosen_settings(app):
    at = app("build/dataset.py", n_mfcc="20", hop_length="256")
    assert at.metric[0].value == "259 × 20 numbers"
    button(at, "Make the demo dataset").click().run()
    (job,) = session.jobs().all()
    assert job.commands[0][:2] == ("demo-data", "audio")
    assert job.commands[1] == (
        *("preprocess", "audio", "-o", "data.parquet"),
        *("--n-mfcc", "20", "--hop-length", "256", "--progress", "json"),
    )
    assert at.session_state["dataset"] == job.id
    assert button(at, "Make the demo dataset").disabled, "one at a time"


def test_dataset_page_prepares_the_features_of_a_preset(app):
    at = app("build/dataset.py", preset="Everyday")
    assert at.metric[0].value == "188 × 96 numbers"
    assert not at.number_input, "none of its settings can be changed"
    button(at, "Make the demo dataset").click().run()
    (job,) = session.jobs().all()
    assert job.commands[1] == (
        *("preprocess", "audio", "-o", "data.parquet"),
        *("--preset", "everyday", "--progress", "json"),
    )


def test_a_job_waits_its_turn_is_cancelled_and_resumed_from_its_page(app):
    slow = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
    jobs = session.jobs()
    first = jobs.add(jobs.new_folder(), "dataset", "First", [slow], "you")
    wait(lambda: first.status == "running")
    mine = jobs.add(jobs.new_folder(), "dataset", "Mine", [slow], "me")
    at = app("build/dataset.py", dataset=mine.id)
    assert re.search(r"\(about \d+ minutes.*; it is next\)", texts(at))
    button(at, "Cancel").click().run()
    assert (first.active, mine.status) == (True, "cancelled")
    assert "Cancelled" in texts(at)
    button(at, "Resume").click().run()
    assert mine.status == "waiting"
    assert "it is next" in texts(at)


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
    job = session.jobs().get(at.session_state["model"])
    wait(lambda: not job.active)
    assert job.status == "done", job.log()
    at.run()
    assert not at.exception
    assert "Fair: no track stands on both sides" in texts(at)
    assert "Held out: 30% of the segments, 9 of 30 tracks." in texts(at)
    assert "of 9 held-out tracks right (95% interval" in texts(at)
    assert "of 36 held-out segments right (95% interval" in texts(at)
    assert "It has" in texts(at) or "It is" in texts(at)
    model = load_model(job.folder / "model")
    score = model.card["measured"]["track_accuracy"]
    assert [header.value for header in at.header] == [
        job.title,
        f"{score:.0%}",
        "Which genres get mixed up (confusion matrix)",
    ]
    (use,) = (link for link in at.get("page_link") if link.proto.label == "Use it")
    assert use.proto.query_string == f"model={job.id}"


def test_train_page_folds_its_inputs_for_what_is_newest(app, dataset_job, make_dataset):
    hides = "<style>.st-key-inputs { display: none; }</style>"

    def hidden(at) -> bool:
        return hides in [one.proto.body for one in at.get("html")]

    at = app("build/train.py", dataset=dataset_job.id)
    assert not hidden(at)
    button(at, "Leak meter: every split").click().run()
    assert hidden(at)
    button(at, "Change").click().run()
    assert not hidden(at)
    button(at, "Train").click().run()
    assert hidden(at)
    assert next(header.value for header in at.header).startswith("Classifier on demo dataset")
    folder = session.jobs().new_folder()
    make_dataset(tracks=5).write(folder / "data.parquet")
    at.query_params["dataset"] = finished(folder, "dataset", "Newer").id
    at.run()
    assert not hidden(at), "there is nothing yet of the newer dataset"


@pytest.mark.parametrize(("kept", "options"), [("best", {}), ("last", {"best": "false"})])
def test_train_page_says_which_epoch_a_stop_keeps(app, dataset_job, kept, options):
    slow = {"network": "cnn", "epochs_cnn": "200"}  # it is not done when the button is pressed
    at = app("build/train.py", dataset=dataset_job.id, **slow, **options)
    button(at, "Train").click().run()
    job = session.jobs().get(at.session_state["model"])
    wait(lambda: any(event["type"] == "epoch" for event in job.events()))
    at.run()
    assert at.header[1].value.endswith("%"), "the newest score"
    assert "of the held-out segments right after epoch" in texts(at)
    names = [chart.proto.id.rpartition("-")[2] for chart in at.get("plotly_chart")]
    assert names == ["accuracy", "loss"]
    button(at, f"Stop and keep the {kept} epoch").click().run()
    wait(lambda: not job.active)
    training = load_model(job.folder / "model").card["training"]
    assert training["keep"] == kept
    assert training["epochs_run"] < 200


@pytest.mark.parametrize(("method", "label"), [("svm", "Support vector"), ("knn", "Nearest")])
def test_train_page_fits_a_classifier_without_a_network(app, dataset_job, method, label):
    at = app("build/train.py", dataset=dataset_job.id)
    at.radio(key="network").set_value("classical").run()
    at.radio(key="method").set_value(method).run()
    assert "It is fitted at once" in texts(at)
    assert not at.slider
    assert not at.toggle
    button(at, "Train").click().run()
    job = session.jobs().get(at.session_state["model"])
    wait(lambda: not job.active)
    assert job.status == "done", job.log()
    at.run()
    assert not at.exception
    assert "**Fitted in " in texts(at)
    assert [chart.proto.id.rpartition("-")[2] for chart in at.get("plotly_chart")] == ["confusion"]
    assert f"**{label}" in texts(at)
    assert "fitted to 84 of 84 training segments" in texts(at)
    assert load_model(job.folder / "model").network_name == method


def test_train_page_says_where_to_get_the_features_that_everyday_needs(app, dataset_job):
    at = app("build/train.py", dataset=dataset_job.id)
    at.radio(key="network").set_value("everyday").run()
    assert "This network needs features of its own" in texts(at)
    links = {link.proto.query_string for link in at.get("page_link")}
    assert "preset=Everyday" in links
    assert not any(b.label == "Train" for b in at.button)
    at.radio(key="network").set_value("mlp").run()
    assert "needs features of its own" not in texts(at)
    assert button(at, "Train")


def test_train_page_tells_datasets_of_one_title_apart(app, dataset_job, make_dataset):
    folder = session.jobs().new_folder()
    make_dataset(tracks=5).write(folder / "data.parquet")
    other = finished(folder, "dataset", "Demo dataset")
    at = app("build/train.py", dataset=dataset_job.id)
    at.session_state["datasets"] = [dataset_job.id, other.id]
    at.run()
    shown = {"Demo dataset (1 of 2)": "60 segments", "Demo dataset (2 of 2)": "120 segments"}
    for label, segments in shown.items():
        (box,) = (box for box in at.selectbox if box.label == "Dataset")
        assert box.options == list(shown), "the newest first"
        box.select(label).run()
        assert segments in texts(at)


def test_train_page_offers_everyday_first_where_the_features_are_its_own(app, make_dataset):
    plain = make_dataset(tracks=3, segments=1)
    params = PRESETS["everyday"]
    spectra = np.random.default_rng(0).normal(-30, 10, (len(plain), *params.shape))
    folder = session.jobs().new_folder()
    data = dataclasses.replace(plain, features=spectra.astype(np.float32), params=params)
    data.write(folder / "data.parquet")
    job = finished(folder, "dataset", "Everyday")
    at = app("build/train.py", dataset=job.id)
    assert at.radio(key="network").value == "everyday"
    assert not any("one scale" in toggle.label for toggle in at.toggle), "it has no normalise"
    button(at, "Train").click().run()
    (command,) = session.jobs().get(at.session_state["model"]).commands
    expected = TrainParams(
        "everyday", "head", epochs=40, batch_size=64, learning_rate=3e-3, keep="best"
    )
    assert commands._train_params(options.parser().parse_args(command)) == expected


def test_train_page_offers_the_artist_split_only_where_artists_are_known(app, make_dataset):
    folder = session.jobs().new_folder()
    known = make_dataset()
    without = type(known)(**{**known.__dict__, "artists": None})
    without.write(folder / "data.parquet")
    job = finished(folder, "dataset", "Without artists")
    at = app("build/train.py", dataset=job.id)
    assert len(at.radio[0].options) == 2
