"""The page that turns music into a dataset, and shows it."""

import tempfile
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from genrekit.app import session
from genrekit.app.build import dataset_views as views
from genrekit.app.build import music_source
from genrekit.app.jobs.job import Job
from genrekit.app.kit.glossary import page_heading, setting
from genrekit.app.kit.inputs import INPUTS, fold, offer_change
from genrekit.app.kit.job_panel import job_panel, show_origin
from genrekit.app.kit.sounds import audio_folder
from genrekit.app.kit.widgets import choice, download, escape, number_input, plain_errors
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.formats import export_dataset
from genrekit.features.extraction import FeatureParams
from genrekit.features.presets import PRESETS
from genrekit.system.records import read_toml
from genrekit.wording import counted

PAGE = "dataset"
DESCRIBED = read_toml(__file__)["presets"]
SETTINGS = {field.name: field for field in fields(FeatureParams)}


def number(name: str, step: float, **limits: float) -> Any:
    """An input for a field of FeatureParams, with its default and limits unless given."""
    default, limits = SETTINGS[name].default, {**SETTINGS[name].metadata, **limits}
    low, high, step = (type(default)(value) for value in (limits["low"], limits["high"], step))
    return number_input(
        st, min_value=low, max_value=high, value=default, step=step, **setting("dataset", name)
    )


def choose_preset() -> str:
    labels = {name: preset["label"] for name, preset in DESCRIBED.items()}
    preset: str = choice("Features", labels, "preset")
    st.caption(DESCRIBED[preset]["about"])
    return preset


def choose_params(preset: str) -> FeatureParams:
    """Let the visitor change the settings of a preset; the course's alone have any to change."""
    if preset != "course":
        show_shape(PRESETS[preset])
        return PRESETS[preset]
    left, middle, right = st.columns(3)
    with left:
        seconds = number("segment_seconds", 0.5, low=0.5, high=10)
        n_mfcc = number("n_mfcc", 1, high=64)
    with middle:
        n_fft = number("n_fft", 256, low=256, high=8192)
        hop = number("hop_length", 64, low=64, high=4096)
    params = FeatureParams(segment_seconds=seconds, n_mfcc=n_mfcc, n_fft=n_fft, hop_length=hop)
    with right:
        show_shape(params)
    return params


def show_shape(params: FeatureParams) -> None:
    frames, coefficients = params.shape
    what = "MFCC" if params.kind == "mfcc" else "mel band"
    st.metric("One segment becomes", f"{frames} × {counted(coefficients, 'number')}")
    st.caption(
        f"{counted(frames, 'frame')}, one every "
        f"{1000 * params.hop_length / params.sample_rate:.0f} ms, each with "
        f"{counted(coefficients, what)}: {counted(frames * coefficients, 'number')}, "
        f"{4 * frames * coefficients / 1000:.1f} kB. Of each track the first 30 s are used."
    )


def options(preset: str, params: FeatureParams) -> list[str]:
    """Return the options of the command line that differ from the defaults."""
    defaults = PRESETS[preset]
    return ["--preset", preset] * (preset != "course") + [
        word
        for name in ("segment_seconds", "n_mfcc", "n_fft", "hop_length")
        if getattr(params, name) != getattr(defaults, name)
        for word in ("--" + name.replace("_", "-"), str(getattr(params, name)))
    ]


def start(preset: str, params: FeatureParams, source: Job | None) -> None:
    """Queue the job: on the visitor's music, or on demo music composed first."""
    folder = "audio" if source is None else f"../{source.id}/audio"
    features = options(preset, params)
    listed = music_source.left_out(source) if source else None
    if source and listed:
        features += ["--leave-out", f"../{source.id}/{listed.name}"]
    last = ["preprocess", folder, "-o", "data.parquet", *features, "--progress", "json"]
    commands = [last] if source else [["demo-data", "audio", "--progress", "json"], last]
    title = f"Dataset of {source.title.replace('Your ', 'your ')}" if source else "Demo dataset"
    title += "" if preset == "course" else f", features: {DESCRIBED[preset]['label']}"
    session.start("dataset", title, commands)


def show_title(job: Job) -> None:
    """Show in a line what was made, the way on, and the button that brings the inputs back."""
    with st.container(key="made", horizontal=True, vertical_alignment="center"):
        st.header(escape(job.title), anchor=False, width="stretch")
        if job.status == "done":
            st.page_link("build/train.py", label="Train on it", icon=":material/model_training:")
        offer_change(PAGE)


def show_result(job: Job) -> None:
    path = str(job.folder / "data.parquet")
    dataset = views.read(path)
    audio = audio_folder(job)
    views.show_size(dataset)
    kinds = ["One segment", "Average of each genre", "Map of all segments"]
    view = choice("Show", kinds, "view", label_visibility="collapsed")
    if view == "Average of each genre":
        views.show_averages(dataset, path)
    elif view == "Map of all segments":
        views.show_map(dataset, path, audio)
    else:
        views.show_segment(dataset, audio)
    views.show_counts(dataset)
    views.show_skipped(dataset)
    views.show_card(dataset)
    show_downloads(path)
    show_origin(job)


def show_downloads(path: str) -> None:
    st.header("Download", anchor=False)
    files = {
        "Parquet, with its card": "data.parquet",
        "NPZ for NumPy": "features.npz",
        "The course's JSON": "mfcc_data.json",
    }
    for column, (label, name) in zip(st.columns(3), files.items(), strict=True):
        download(column, label, partial(exported, path, Path(name).suffix), name)


def exported(path: str, suffix: str) -> bytes:
    """Return the dataset as a file of this kind; called when its button is pressed."""
    if suffix == ".parquet":
        return Path(path).read_bytes()
    # In the job's folder, so that it is removed even if the server dies meanwhile.
    with tempfile.TemporaryDirectory(prefix=".download-", dir=Path(path).parent) as folder:
        target = Path(folder) / f"data{suffix}"
        export_dataset(Dataset.read(path), target)
        return target.read_bytes()


def choose_inputs(busy: bool) -> None:
    """Let the visitor choose music and features, and start."""
    source, music_job = music_source.choose_source()
    usable = source == music_source.DEMO
    if music_job is not None:
        usable = music_source.show_preview(music_job)
    preset = choose_preset()
    action = st.container()
    with st.expander("Settings: how the sound is cut up and measured"):
        params = choose_params(preset)
    label = "Make the demo dataset" if source == music_source.DEMO else "Make the dataset"
    icon = ":material/play_arrow:"
    if usable and action.button(label, type="primary", icon=icon, disabled=busy):
        start(preset, params, music_job)


def newest(job: Job | None) -> str | None:
    """Return the id of a dataset's job, None while the visitor's music is newer."""
    music = session.current("music")
    if job is None or (music is not None and music.created > job.created):
        return None
    return job.id


page_heading("dataset")
with plain_errors():
    session.sync()
    dataset_job = session.current("dataset")
    with st.container(key=INPUTS), plain_errors():
        choose_inputs(busy=dataset_job is not None and dataset_job.active)
    fold(PAGE, newest(dataset_job))
    if dataset_job is None:
        st.caption("Once there is a dataset, you can explore, play and download it here.")
    else:
        show_title(dataset_job)
        if dataset_job.status == "done":
            show_result(dataset_job)
        else:
            job_panel(dataset_job)
