"""Train a classifier on a dataset, watch it learn, and be told what its score is worth."""

import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app import visit
from genrekit.app.charts import BLUE, GREY, ORANGE, figure
from genrekit.app.job_panel import job_panel
from genrekit.app.jobs import Job
from genrekit.app.widgets import chart, page_header, plain_errors
from genrekit.dataset import Dataset
from genrekit.training import TrainParams

SPLITS = {
    "track": "By track: no song stands on both sides (fair)",
    "artist": "By artist: no artist stands on both sides (the honest test)",
    "segment": "By segment, as the course does: songs stand on both sides (flattering)",
}


@st.cache_data(max_entries=16, show_spinner=False)
def about(path: str) -> dict[str, Any]:
    """What the page says of a dataset, without keeping its rows."""
    dataset = Dataset.read(path)
    return {
        "segments": len(dataset),
        "tracks": len(dataset.records),
        "genres": len(dataset.genres),
        "artists": dataset.artists is not None and bool((dataset.artists != "").any()),
    }


def choose(facts: dict[str, Any]) -> tuple[TrainParams, str]:
    defaults = TrainParams()
    left, right = st.columns(2)
    splits = [name for name in SPLITS if name != "artist" or facts["artists"]]
    with left:
        split = st.radio(
            "How to hold out 30 % for the exam",
            splits,
            format_func=SPLITS.__getitem__,
            key="split",
            bind="query-params",
        )
    with right:
        epochs = st.slider(
            "Epochs (rounds through the data)", 1, 200, defaults.epochs, key="epochs",
            bind="query-params",
        )  # fmt: skip
        with st.expander("More settings"):
            rate = st.select_slider(
                "Learning rate (how far each step goes)",
                [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3],
                defaults.learning_rate,
                format_func=lambda value: f"{value:g}",
                key="rate",
                bind="query-params",
            )
            batch = st.select_slider(
                "Batch size (examples per step)",
                [8, 16, 32, 64, 128],
                defaults.batch_size,
                key="batch",
                bind="query-params",
            )
            seed = st.number_input("Seed", 0, 10_000, 0, key="seed", bind="query-params")
            best = st.toggle("Keep the best epoch, not the last", key="best", bind="query-params")
    params = TrainParams(
        epochs=epochs,
        batch_size=batch,
        learning_rate=rate,
        seed=int(seed),
        keep="best" if best else "last",
    )
    return params, split or "track"


def start(dataset: Job, params: TrainParams, split: str) -> None:
    command = ["train", f"../{dataset.id}/data.parquet", "-o", "model", "--network"]
    command += [params.network, "--split", split, "--epochs", str(params.epochs)]
    command += ["--batch-size", str(params.batch_size), "--seed", str(params.seed)]
    command += ["--learning-rate", f"{params.learning_rate:g}", "--keep", params.keep]
    jobs = visit.jobs()
    folder = jobs.new_folder()
    title = f"Classifier on {dataset.title.lower()}, split by {split}"
    commands = [[*command, "--progress", "json"]]
    visit.remember("model", jobs.add(folder, "model", title, commands, visit.owner()).id)
    st.rerun()


def curves(job: Job) -> None:
    """Loss and accuracy of each epoch so far; refreshed by the fragment below."""
    events = job.events()
    epochs = [event for event in events if event["type"] == "epoch"]
    if not epochs:
        return
    x = [event["epoch"] for event in epochs]
    genres = len(next(event for event in events if event["type"] == "start")["genres"])

    def lines(name: str) -> list[go.Scatter]:
        parts = (("training", "train", BLUE, "solid"), ("held out", "valid", ORANGE, "dash"))
        return [
            go.Scatter(
                x=x,
                y=[event[f"{part}_{name}"] for event in epochs],
                name=label,
                mode="lines",
                line={"color": colour, "dash": dash, "width": 3},
            )
            for label, part, colour, dash in parts
        ]

    left, right = st.columns(2)
    accuracy = figure(*lines("accuracy"), x="epoch", y="share of segments right")
    accuracy.update_yaxes(range=[0, 1], tickformat=".0%")
    accuracy.add_hline(
        1 / genres, line={"color": GREY, "dash": "dot"}, annotation_text="chance (guessing)"
    )
    last = epochs[-1]
    with left:
        chart(
            accuracy,
            f"Accuracy by epoch; after epoch {last['epoch']}: training "
            f"{last['train_accuracy']:.0%}, held out {last['valid_accuracy']:.0%}.",
            key="accuracy",
        )
    with right:
        chart(
            figure(*lines("loss"), x="epoch", y="loss (cross-entropy, nats)"),
            f"Loss by epoch; after epoch {last['epoch']}: training {last['train_loss']:.2f}, "
            f"held out {last['valid_loss']:.2f}.",
            key="loss",
        )
    st.markdown(narrate(epochs))


def narrate(epochs: list[dict[str, Any]]) -> str:
    """What the curves say, in plain words."""
    losses = np.array([event["valid_loss"] for event in epochs], dtype=float)
    best = int(losses.argmin())
    since = len(losses) - 1 - best
    if since >= 5:
        return (
            f"**It is memorising.** The loss on held-out music was lowest in epoch {best + 1} and "
            f"has been worse for {since} epochs, while the training loss still falls."
        )
    if len(epochs) < 3:
        return "**It has only begun.** Give it a few epochs."
    return "**It is still learning.** The loss on held-out music falls."


def show_result(job: Job) -> None:
    card = json.loads((job.folder / "model" / "model.json").read_text())["card"]
    measured = card["measured"]
    st.subheader("The exam", anchor=False)
    tiles = st.columns(3)
    if measured["tracks"]:
        tiles[0].metric(
            f"Tracks right (of {measured['tracks']} held out)",
            f"{measured['track_accuracy']:.0%}",
        )
    tiles[1].metric(
        f"Segments right (of {measured['segments']})", f"{measured['segment_accuracy']:.0%}"
    )
    tiles[2].metric("Guessing would give", f"{1 / len(measured['genres']):.0%}")
    st.info(card["split"]["worth"], icon=":material/gavel:")
    genres = measured["genres"]
    matrix = np.array(measured["confusion"])
    chart(
        figure(
            go.Heatmap(
                x=genres,
                y=genres,
                z=matrix,
                text=matrix,
                texttemplate="%{text}",
                colorscale="Blues",
                showscale=False,
                hovertemplate="truth %{y}, verdict %{x}: %{z}<extra></extra>",
            ),
            x="verdict",
            y="truth",
            height=460,
        ).update_yaxes(autorange="reversed"),
        "Confusion matrix: rows are the true genres, columns the verdicts.",
        key="confusion",
    )
    st.page_link(
        "pages/listen/classify.py",
        label="Next: let it classify a song",
        icon=":material/arrow_forward:",
    )


page_header(
    "Train a classifier",
    "A network with about a million weights looks at segments whose genre it is told, and turns "
    "its weights a little after each batch. The music held out is its exam.",
    "train once by track and once by segment, and compare the two scores: same network, same "
    "music.",
)
with plain_errors():
    visit.sync()
    dataset_job = visit.current("dataset")
    if dataset_job is None or dataset_job.status != "done":
        st.info("First prepare a dataset: the demo one takes about fifteen seconds.")
        st.page_link(
            "pages/build/dataset.py", label="Prepare a dataset", icon=":material/library_music:"
        )
    else:
        facts = about(str(dataset_job.folder / "data.parquet"))
        st.markdown(
            f"**{dataset_job.title}**: {facts['segments']} segments of {facts['tracks']} tracks "
            f"in {facts['genres']} genres."
        )
        params, split = choose(facts)
        model_job = visit.current("model")
        busy = model_job is not None and model_job.active
        if st.button("Train", type="primary", icon=":material/play_arrow:", disabled=busy):
            start(dataset_job, params, split)
    model_job = visit.current("model")
    if model_job is not None:
        job_panel(model_job)
        st.fragment(run_every=1.0 if model_job.active else None)(curves)(model_job)
        if model_job.status == "done":
            show_result(model_job)
