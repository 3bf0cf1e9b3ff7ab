"""Turn music into a dataset, and see what became of each file."""

import tempfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app import visit
from genrekit.app.charts import figure, genre_colours
from genrekit.app.job_panel import job_panel
from genrekit.app.jobs import Job
from genrekit.app.widgets import chart, page_header, plain_errors
from genrekit.dataset import Dataset
from genrekit.exchange import export_dataset
from genrekit.features import FeatureParams

SETTINGS = {field.name: field for field in fields(FeatureParams)}


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset …")
def read(path: str) -> Dataset:
    return Dataset.read(path)


def exported(path: str, suffix: str) -> bytes:
    """The dataset in another format; runs when its button is pressed."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"data{suffix}"
        export_dataset(Dataset.read(path), target)
        return target.read_bytes()


def number(name: str, label: str, step: float, about: str, **limits: float) -> float:
    """An input for a field of FeatureParams, with its default and, unless given, its limits."""
    meta = SETTINGS[name].metadata
    kind = type(SETTINGS[name].default)
    value: float = st.number_input(
        label,
        min_value=kind(limits.get("low", meta["low"])),
        max_value=kind(limits.get("high", meta["high"])),
        value=SETTINGS[name].default,
        step=kind(step),
        help=about,
        key=name,
        bind="query-params",
    )
    return value


def choose_params() -> FeatureParams:
    left, middle, right = st.columns(3)
    with left:
        seconds = number(
            "segment_seconds",
            "Segment length (seconds)",
            0.5,
            "Each track is cut into pieces of this length; each piece is one example.",
            low=0.5,
            high=10,
        )
        n_mfcc = number(
            "n_mfcc",
            "MFCCs per frame",
            1,
            "How many numbers describe the timbre of each instant. 13 is customary.",
            high=64,
        )
    with middle:
        n_fft = number(
            "n_fft",
            "Window (samples)",
            256,
            "How much sound one spectrum looks at. Longer tells pitches apart, shorter tells "
            "moments apart.",
            low=256,
            high=8192,
        )
        hop = number(
            "hop_length",
            "Hop (samples)",
            64,
            "The step from one spectrum to the next. Smaller means more frames.",
            low=64,
            high=4096,
        )
    params = FeatureParams(
        segment_seconds=seconds, n_mfcc=int(n_mfcc), n_fft=int(n_fft), hop_length=int(hop)
    )
    with right:
        frames, coefficients = params.shape
        st.metric("One segment becomes", f"{frames} × {coefficients} numbers")
        st.caption(
            f"{frames} frames, one every {1000 * params.hop_length / params.sample_rate:.0f} ms, "
            f"each with {coefficients} MFCCs: {frames * coefficients} numbers for the network."
        )
    return params


def start_demo_job(params: FeatureParams) -> None:
    defaults = FeatureParams()
    options = [
        word
        for name in ("segment_seconds", "n_mfcc", "n_fft", "hop_length")
        if getattr(params, name) != getattr(defaults, name)
        for word in ("--" + name.replace("_", "-"), str(getattr(params, name)))
    ]
    commands = [
        ["demo-data", "audio", "--progress", "json"],
        ["preprocess", "audio", "-o", "data.parquet", *options, "--progress", "json"],
    ]
    jobs = visit.jobs()
    job = jobs.add(jobs.new_folder(), "dataset", "Demo dataset", commands, visit.owner())
    visit.remember("dataset", job.id)
    st.rerun()


def show_result(job: Job) -> None:
    path = str(job.folder / "data.parquet")
    dataset = read(path)
    st.subheader("What you have now", anchor=False)
    tiles = st.columns(4)
    tiles[0].metric("Segments", len(dataset))
    tiles[1].metric("Tracks", len(dataset.records))
    tiles[2].metric("Genres", len(dataset.genres))
    tiles[3].metric("Left out", len(dataset.skipped))
    colours = genre_colours(dataset.genres)
    counts = dataset.counts()
    chart(
        figure(
            go.Bar(
                x=list(counts),
                y=list(counts.values()),
                marker_color=[colours[genre] for genre in counts],
                text=list(counts.values()),
            ),
            x="genre",
            y="segments",
        ),
        "Bars: segments of each genre. "
        + ", ".join(f"{genre} {count}" for genre, count in counts.items()),
        key="counts",
    )
    show_segment(dataset)
    show_skipped(dataset)
    show_downloads(job, path)
    st.page_link(
        "build/train.py",
        label="Next: train a classifier on it",
        icon=":material/arrow_forward:",
    )


def show_segment(dataset: Dataset) -> None:
    st.subheader("One segment, as the network sees it", anchor=False)
    left, right = st.columns(2)
    genre = left.selectbox("Genre", dataset.genres, key="genre", bind="query-params")
    rows = np.flatnonzero(dataset.labels == dataset.genres.index(genre or dataset.genres[0]))
    place = right.slider("Segment", 1, len(rows), 1, key="segment") if len(rows) > 1 else 1
    row = rows[place - 1]
    features = dataset.features[row].T
    seconds = np.arange(features.shape[1]) * dataset.params.hop_length / dataset.params.sample_rate
    # The first coefficient is loudness and dwarfs the rest.
    chart(
        figure(
            go.Heatmap(
                x=seconds.astype(np.float32),
                y=np.arange(1, len(features)),
                z=features[1:],
                colorscale="Viridis",
                colorbar_title="value",
            ),
            x="time in the segment (s)",
            y="MFCC (the first, loudness, left out)",
        ),
        f"Picture of the MFCCs of one {genre} segment over its time.",
        key="mfcc",
    )
    if dataset.tracks is not None:
        st.caption(f"Track {dataset.tracks[row]}, segment {int(dataset.segments[row]) + 1}.")


def show_skipped(dataset: Dataset) -> None:
    if not dataset.skipped:
        st.success("Nothing was left out.", icon=":material/check:")
        return
    with st.expander(f"{len(dataset.skipped)} files or segments were left out, and why"):
        st.dataframe(
            [
                {"track": s.track, "segment": "" if s.segment is None else str(s.segment + 1),
                 "why": s.reason}
                for s in dataset.skipped
            ],
            hide_index=True,
        )  # fmt: skip


def show_downloads(job: Job, path: str) -> None:
    st.subheader("Take it away", anchor=False)
    columns = st.columns(3)
    columns[0].download_button(
        "Parquet, with its card",
        Path(path).read_bytes,
        "data.parquet",
        on_click="ignore",
        icon=":material/download:",
    )
    columns[1].download_button(
        "NPZ for NumPy",
        lambda: exported(path, ".npz"),
        "features.npz",
        on_click="ignore",
        icon=":material/download:",
    )
    columns[2].download_button(
        "The course's JSON",
        lambda: exported(path, ".json"),
        "mfcc_data.json",
        on_click="ignore",
        icon=":material/download:",
    )


page_header(
    "Prepare a dataset",
    "A network cannot listen; it reads numbers. Here tracks are cut into segments, and each "
    "segment becomes a small table of numbers (its MFCCs) with the genre as its label.",
    "make the demo dataset: a machine composes 144 short tracks in twelve styles, in about "
    "fifteen seconds.",
)
with plain_errors():
    visit.sync()
    dataset_job = visit.current("dataset")
    busy = dataset_job is not None and dataset_job.active
    action = st.container()
    with st.expander("Settings: how the sound is cut up and measured"):
        params = choose_params()
    with action:
        wanted = st.button(
            "Make the demo dataset", type="primary", icon=":material/play_arrow:", disabled=busy
        )
    if wanted:
        start_demo_job(params)
    if dataset_job is not None:
        job_panel(dataset_job)
        if dataset_job.status == "done":
            show_result(dataset_job)
