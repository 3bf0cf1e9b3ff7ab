"""Drop in songs: what are they, how sure is the model, and how does it change over time?"""

import hashlib
import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from genrekit.app import visit
from genrekit.app.charts import figure, genre_colours
from genrekit.app.settings import settings
from genrekit.app.widgets import (
    chart,
    escape,
    page_header,
    plain_errors,
    show_error,
    wav_bytes,
)
from genrekit.errors import GenreKitError
from genrekit.model import DEFAULT_MODEL, MODELS, GenreModel, Verdict
from genrekit.synth import STYLES, render

EXAMPLE_SECONDS = 15.0


@st.cache_resource(max_entries=8, show_spinner="Waking the model …")
def load_model(where: str, changed: float) -> GenreModel:
    """`changed` makes a model that was trained again a new entry."""
    return GenreModel.load(where)


@st.cache_data(max_entries=64, ttl=3600, show_spinner="Listening …")
def judge(digest: str, _content: bytes, where: str, changed: float) -> Verdict:
    """Keyed by the file's SHA-256: Streamlit's own key would hash the bytes again."""
    model = load_model(where, changed)
    return model.classify_file(_content, 60 * settings().song_minutes)


@st.cache_data(max_entries=24, show_spinner="Composing …")
def example(style: str) -> bytes:
    return wav_bytes(render(style, seed=12345, seconds=EXAMPLE_SECONDS), 22050)


def models() -> dict[str, str]:
    """Where each model that may be chosen is, by the name that people see."""
    own = {f"Yours: {job.title}": str(job.folder / "model") for job in visit.owned("model")}
    shipped = sorted(path.parent.name for path in MODELS.glob("*/model.json"))
    return own | {f"Shipped: {name}": str(MODELS / name) for name in shipped}


def choose_sounds() -> list[tuple[str, bytes]]:
    """Names and contents of what is to be judged."""
    source = st.segmented_control(
        "What shall it hear?",
        ["Your files", "Microphone", "An example"],
        default="Your files",
        key="source",
        bind="query-params",
    )
    if source == "An example":
        style = st.selectbox("A short piece composed by a machine", STYLES, key="style",
                             bind="query-params")  # fmt: skip
        return [(f"{style} example", example(style))] if style else []
    if source == "Microphone":
        recording = st.audio_input("Record at least ten seconds of music")
        return [("Your recording", recording.getvalue())] if recording else []
    limit = settings()
    uploads = st.file_uploader(
        "Songs (wav, mp3, flac, ogg, opus, m4a, aac, wma, webm, aiff, au)",
        accept_multiple_files=True,
        help=f"Up to {limit.upload_megabytes:g} MB; the first {limit.song_minutes:g} minutes of "
        "each song are heard. Files stay in memory and are gone when you leave.",
    )
    return [(upload.name, upload.getvalue()) for upload in uploads]


def in_words(confidence: float) -> str:
    for least, words in ((0.9, "very sure"), (0.7, "fairly sure"), (0.5, "leaning")):
        if confidence >= least:
            return words
    return "guessing"


def show_verdict(name: str, content: bytes, verdict: Verdict) -> None:
    st.subheader(f":material/music_note: {escape(name)}", anchor=False)
    st.audio(content)
    if not verdict.probabilities:
        st.warning(f"No verdict. {escape(verdict.note)}", icon=":material/volume_off:")
        return
    if verdict.genre is None:
        st.warning(f"**Not sure.** {escape(verdict.note)}", icon=":material/help:")
    else:
        st.success(
            f"**{escape(verdict.genre.capitalize())}**, {in_words(verdict.confidence)} "
            f"({verdict.confidence:.0%}). {escape(verdict.note)}",
            icon=":material/graphic_eq:",
        )
    colours = genre_colours(list(verdict.probabilities))
    ranked = sorted(verdict.probabilities.items(), key=lambda item: item[1])
    left, right = st.columns([2, 3])
    with left:
        chart(
            figure(
                go.Bar(
                    x=[p for _, p in ranked],
                    y=[genre for genre, _ in ranked],
                    orientation="h",
                    marker_color=[colours[genre] for genre, _ in ranked],
                    text=[f"{p:.0%}" for _, p in ranked],
                ),
                x="probability",
                height=360,
            ).update_xaxes(range=[0, 1], tickformat=".0%"),
            "Probability of each genre: "
            + ", ".join(f"{genre} {p:.0%}" for genre, p in reversed(ranked)),
            key=f"bars-{name}",
        )
    with right:
        show_timeline(name, verdict)


def show_timeline(name: str, verdict: Verdict) -> None:
    """Every genre's probability over the song; the likeliest genre is the top row."""
    genres = sorted(verdict.probabilities, key=verdict.probabilities.__getitem__)
    table = np.array([[s.probabilities[genre] for s in verdict.segments] for genre in genres])
    agree = int((table.argmax(axis=0) == len(genres) - 1).sum())
    total = len(verdict.segments)
    timeline = figure(
        go.Heatmap(
            x=[segment.start for segment in verdict.segments] + [verdict.segments[-1].end],
            y=genres,
            z=table.astype(np.float32),
            zmin=0,
            zmax=1,
            colorscale="Blues",
            colorbar={"title": "probability", "tickformat": ".0%", "len": 0.8},
            hovertemplate="%{y} %{z:.0%}<br>from %{x:.0f} s<extra></extra>",
        ),
        x="time in the song (s)",
        height=360,
    )
    chart(
        timeline,
        f"Probability of each genre over the song, segment by segment; {agree} of {total} "
        "segments agree with the verdict.",
        key=f"timeline-{name}",
    )
    st.caption(f"{agree} of {total} segments, taken alone, say the same.")


def show_table(rows: list[dict[str, object]]) -> None:
    st.subheader("All files", anchor=False)
    st.dataframe(rows, hide_index=True)
    st.download_button(
        "These results as JSON",
        json.dumps(rows, indent=1, ensure_ascii=False),
        "verdicts.json",
        on_click="ignore",
        icon=":material/download:",
    )


page_header(
    "Classify a song",
    "The model listens to the whole song in segments of a few seconds, gives each a probability "
    "for every genre, and takes the mean. When that is too even, it says that it is not sure.",
    "a song that you know well, then the same song hummed into the microphone.",
)
with plain_errors():
    visit.sync()
    choices = models()
    names = list(choices)
    current = visit.current("model")
    own_first = current is not None and current.status == "done"
    default = 0 if own_first else next(
        (i for i, name in enumerate(names) if name.endswith(DEFAULT_MODEL)), 0
    )  # fmt: skip
    chosen = st.selectbox("Which model listens", names, index=default) if names else None
    if chosen is None:
        st.info("There is no model yet: train one first.")
        st.page_link("build/train.py", label="Train a classifier")
    else:
        where = choices[chosen]
        changed = (Path(where) / "model.json").stat().st_mtime
        rows: list[dict[str, object]] = []
        for number, (name, content) in enumerate(choose_sounds()):
            try:
                digest = hashlib.sha256(content).hexdigest()
                verdict = judge(digest, content, where, changed)
            except GenreKitError as error:
                show_error(f"{name}: {error}")
                rows.append({"file": name, "error": str(error)})
                continue
            if number == 0:
                show_verdict(name, content, verdict)
            rows.append(
                {
                    "file": name,
                    "genre": verdict.genre or "not sure",
                    "confidence": round(verdict.confidence, 4),
                    "note": verdict.note,
                }
            )
        if len(rows) > 1:
            show_table(rows)
