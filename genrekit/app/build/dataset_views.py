"""Views of a dataset: its counts, its segments as pictures and sounds, and its map."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app.kit.charts import figure, genre_colours, genre_symbol
from genrekit.app.kit.sounds import play_segment
from genrekit.app.kit.widgets import chart, escape, list_skipped
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.projection import SegmentMap, genre_averages, segment_map
from genrekit.wording import counted

__all__ = [
    "read",
    "show_averages",
    "show_card",
    "show_counts",
    "show_map",
    "show_segment",
    "show_size",
    "show_skipped",
]

# Enough to see the shape of the cloud, few enough to travel and to draw quickly.
_POINTS: Final = 3000


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset …")
def read(path: str) -> Dataset:
    """Read the dataset of a finished job; visitors share it."""
    return Dataset.read(path)


@st.cache_data(max_entries=8, show_spinner="Drawing the map …")
def _map(path: str) -> SegmentMap:
    return segment_map(read(path))


@st.cache_data(max_entries=8, show_spinner=False)
def _averages(path: str) -> np.ndarray:
    return genre_averages(read(path))


def show_size(dataset: Dataset) -> None:
    tracks = len(dataset.records) if dataset.tracks is not None else None
    with st.container(key="size", horizontal=True):
        st.metric("Segments", f"{len(dataset):,}", width="content")
        st.metric("Tracks", "unknown" if tracks is None else f"{tracks:,}", width="content")
        st.metric("Genres", len(dataset.genres), width="content")
        st.metric("Left out", len(dataset.skipped), width="content")


def show_counts(dataset: Dataset) -> None:
    counts = dataset.counts()
    chart(
        figure(
            go.Bar(
                x=list(counts),
                y=list(counts.values()),
                marker_color=list(genre_colours(list(counts)).values()),
                text=list(counts.values()),
                textposition="outside",
                cliponaxis=False,
            ),
            x="genre",
            y="segments",
        ),
        f"Bars: segments of each genre. {', '.join(f'{g} {n}' for g, n in counts.items())}",
        key="counts",
    )


def show_segment(dataset: Dataset, audio: Path | None) -> None:
    """Show a segment's features as a picture, and play it where its audio is at hand."""
    left, right = st.columns(2)
    genre = left.selectbox("Genre", dataset.genres, key="genre", bind="query-params")
    rows = np.flatnonzero(dataset.labels == dataset.genres.index(genre or dataset.genres[0]))
    if not len(rows):
        st.info("No segment of this genre was kept.")
        return
    # A widget's range belongs to its key: genres of different size must not share one.
    place = 1
    if len(rows) > 1:
        place = right.slider("Segment", 1, len(rows), 1, key=f"segment-{genre}")
    draw_segment(dataset, int(rows[place - 1]), audio, key="segment")


def draw_segment(dataset: Dataset, row: int, audio: Path | None, key: str) -> None:
    """Draw one row, and show its place in its track and its sound."""
    params = dataset.params
    features = dataset.features[row].T
    seconds = np.arange(features.shape[1]) * params.hop_length / params.sample_rate
    kind, first = ("MFCC", 1) if params.kind == "mfcc" else ("mel band", 0)
    genre = dataset.genres[dataset.labels[row]]
    chart(
        figure(
            # The first MFCC is loudness and dwarfs the rest.
            go.Heatmap(
                x=seconds.astype(np.float32),
                y=np.arange(first, len(features)),
                z=features[first:],
                colorscale="Viridis",
                colorbar_title="value",
            ),
            x="time in the segment (s)",
            y=f"{kind} number",
        ),
        f"Picture of the {kind}s of one {genre} segment over its time.",
        key=f"{key}-picture",
    )
    where = escape(genre)
    if dataset.tracks is not None and dataset.segments is not None:
        where = (
            f"Track {escape(str(dataset.tracks[row]))}, segment {int(dataset.segments[row]) + 1}"
        )
    st.caption(f"{where}." + (" MFCC 0, the loudness, is left out." if first else ""))
    play_segment(dataset, row, audio)


def show_averages(dataset: Dataset, path: str) -> None:
    """Show how each genre differs from the average, coefficient by coefficient."""
    table = _averages(path)
    limit = float(np.nanmax(np.abs(table)))
    chart(
        figure(
            go.Heatmap(
                x=np.arange(table.shape[1]),
                y=list(dataset.genres),
                z=table.astype(np.float32),
                zmin=-limit,
                zmax=limit,
                colorscale="RdBu",
                colorbar_title="standard<br>deviations",
                hovertemplate="%{y}, coefficient %{x}: %{z:+.2f}<extra></extra>",
            ),
            x="coefficient number",
            height=120 + 26 * len(dataset.genres),
        ),
        "Average features of each genre, as distance from the average of all.",
        key="averages",
    )
    st.caption(
        "Blue: higher than in the average segment; red: lower. Rows that look alike are genres "
        "that the network will find hard to tell apart."
    )


def show_map(dataset: Dataset, path: str, audio: Path | None) -> None:
    """Show segments as points; choosing one shows and plays it."""
    points, explained = _map(path)
    rows = np.arange(len(dataset))
    if len(rows) > _POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _POINTS, replace=False))
        st.caption(f"A random {_POINTS:,} of the {len(dataset):,} segments are drawn.")
    picked = chart(
        figure(
            *_clouds(dataset, points, rows),
            x=f"first principal component ({explained[0]:.0%} of the variance)",
            y=f"second ({explained[1]:.0%})",
            height=400,
        ),
        "Map of the segments, coloured by genre: alike segments lie near each other.",
        key="map",
        on_select="rerun",
        selection_mode="points",
    )
    chosen = picked.selection.points if picked else []
    if chosen:
        mine = rows[dataset.labels[rows] == chosen[0]["curve_number"]]
        draw_segment(dataset, int(mine[chosen[0]["point_index"]]), audio, key="picked")
    else:
        st.caption(
            "Choose a point to see and hear its segment; **One segment** above does the same "
            "without a mouse."
        )


def _clouds(dataset: Dataset, points: Any, rows: Any) -> list[go.Scattergl]:
    """Return one trace for each genre, in order, with its rows in order."""
    clouds = []
    for i, (genre, colour) in enumerate(genre_colours(dataset.genres).items()):
        mine = rows[dataset.labels[rows] == i]
        symbol = genre_symbol(colour)
        clouds.append(
            go.Scattergl(
                x=points[mine, 0],
                y=points[mine, 1],
                mode="markers",
                name=genre,
                marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
                hovertemplate=f"{genre}<extra></extra>",
            )
        )
    return clouds


def show_skipped(dataset: Dataset) -> None:
    """List what was left out, and the tracks of which something is missing."""
    missing = {record.id: record.missing for record in dataset.records if record.missing}
    if missing:
        with st.expander(
            f"{counted(len(missing), 'track')} used in part", icon=":material/warning:"
        ):
            rows = {"track": list(missing), "what is missing": list(missing.values())}
            st.dataframe(rows, hide_index=True)
    if dataset.skipped:
        list_skipped(dataset.skipped)
    elif not missing:
        st.success("Nothing was left out.", icon=":material/check:")


def show_card(dataset: Dataset) -> None:
    """Show the metadata in the file: parameters, and every track with its hash."""
    with st.expander("The dataset's card: what travels inside the file"):
        params, seconds = dataset.params, dataset.track_seconds
        used = f"The first {seconds:g} s" if seconds else "All"
        st.markdown(
            f"{counted(params.frames, 'frame')} of {counted(params.coefficients, 'number')} in a "
            f"segment of {params.segment_seconds:g} s, at {params.sample_rate} Hz, window "
            f"{params.n_fft}, hop {params.hop_length}, {counted(params.n_mels, 'mel band')} "
            f"({params.mel_formula}). {used} of each track {'were' if seconds else 'was'} used."
        )
        records = dataset.records
        st.dataframe(
            {
                "track": [record.id for record in records],
                "genre": [record.genre for record in records],
                "artist": [record.artist or "" for record in records],
                "segments": [record.segments for record in records],
                "hash (SHA-256)": [record.sha256[:16] + "…" for record in records],
            },
            hide_index=True,
        )
