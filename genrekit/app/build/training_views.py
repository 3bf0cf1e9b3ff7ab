"""Views of training: the learning curves, the exam, and the leak meter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from genrekit.app import song_workers
from genrekit.app.build.dataset_views import draw_segment, read
from genrekit.app.jobs.job import Job
from genrekit.app.kit.charts import BLUE, GREEN, GREY, ORANGE, VERMILION, figure
from genrekit.app.kit.job_panel import Events, show_origin, show_state
from genrekit.app.kit.sounds import audio_folder, play_segment
from genrekit.app.kit.widgets import chart, download, escape
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import make_split
from genrekit.model.evaluation import accuracy_interval
from genrekit.model.metrics import GEOMETRIC, interval_in_words, mean_by_group
from genrekit.model.packed import pack_model
from genrekit.system.memory import rows_at_once
from genrekit.training.commentary import narrate
from genrekit.verdict.analysis import ModelFile, segment_probabilities
from genrekit.wording import counted

__all__ = ["show_curves", "show_exam", "show_leak", "show_run"]

Event = dict[str, Any]
# Both curves, one below the other, are on a laptop's first screen.
_CURVE_PIXELS: Final = 220
_INTERVAL: Final = (
    "With other music held out, of the same kind, the score would be another. The true one lies in "
    "this interval with 95%: the fewer the tracks, the wider it is."
)
Probabilities = NDArray[np.floating[Any]]
_GTZAN: Final = frozenset("blues classical country disco hiphop jazz metal pop reggae rock".split())
# The course's report after five epochs: segments, split by segment.
_COURSE_ACCURACY: Final = 0.579
_PUBLISHED: Final = (
    "Published on GTZAN: the course's network 58% of segments, split by segment (flattering); "
    "the best network without pretraining whose split could be confirmed 57.6% of tracks, on "
    "the fault-filtered split by artist (honest)."
)


# -- while it trains --------------------------------------------------------------------------


def show_run(job: Job, events: Events) -> None:
    """Show a run without a model yet: the newest score, its state, its curves, a commentary."""
    left, right = st.columns([2, 3])
    epochs, start = _learned(events)
    fitted = start.get("recipe") == "fit"
    with left:
        if epochs and not fitted:
            _show_newest(epochs[-1], start)
        show_state(job, events)
    if epochs and not fitted:
        with right:
            for name in ("accuracy", "loss"):
                _draw_curve(name, epochs, start["genres"])
        st.markdown(_said(epochs, start))
    if start:
        _show_worth(start)
    show_origin(job)


def show_curves(events: Events) -> None:
    """Show how a finished run went: its curves with a commentary, or how a fit went."""
    epochs, start = _learned(events)
    if not epochs:
        return
    if start.get("recipe") == "fit":
        st.markdown(_fit_in_words(epochs[-1]))
    else:
        with st.expander("Learning curves"):
            st.markdown(_said(epochs, start))
            for place, name in zip(st.columns(2), ("accuracy", "loss"), strict=True):
                with place:
                    _draw_curve(name, epochs, start["genres"])
    _show_worth(start)


def _said(epochs: Events, start: Event) -> str:
    return narrate(epochs, steady=start.get("recipe") != "robust")


def _show_worth(start: Event) -> None:
    """Say what a score on the held-out music is worth, and how much is held out."""
    st.caption(
        f"The held-out score is worth what the split is worth. {start['worth']} "
        f"Held out: {start['held_out']}."
    )
    if set(start["genres"]) == _GTZAN:
        st.caption(_PUBLISHED)


def _learned(events: Events) -> tuple[Events, Event]:
    """Return the epochs so far, and the event that began them, {} before it."""
    epochs = [event for event in events if event["type"] == "epoch"]
    start: Event = next((event for event in events if event["type"] == "start"), {})
    return epochs, start


def _show_newest(epoch: Event, start: Event) -> None:
    """Show the score after an epoch, large."""
    held_out = epoch["valid_accuracy"]
    with st.container(key="stage"):
        st.header("—" if held_out is None else f"{held_out:.0%}", anchor=False)
    st.markdown(
        f"of the held-out segments right after epoch {epoch['epoch']} "
        f"(guessing: {1 / len(start['genres']):.0%})"
    )


def _fit_in_words(fit: Event) -> str:
    known = f"{fit['train_accuracy']:.0%} of the segments that it was fitted to"
    if fit["valid_accuracy"] is not None:
        known = f"{fit['valid_accuracy']:.0%} of the held-out segments right, and {known}"
    return f"**Fitted in {fit['seconds']:.1f} s.** It gets {known}."


def _draw_curve(name: str, epochs: Events, genres: Sequence[str]) -> None:
    last = epochs[-1]
    unit = "share of segments right" if name == "accuracy" else "loss (cross-entropy, nats)"
    curve = figure(*_lines(epochs, name), x="epoch", y=unit, height=_CURVE_PIXELS)
    said = f"{last[f'train_{name}']:.2f}"
    if name == "accuracy":
        curve.update_yaxes(range=[0, 1.02], tickformat=".0%")
        levels = {"guessing": 1 / len(genres)}
        if set(genres) == _GTZAN:
            levels["the course, split by segment"] = _COURSE_ACCURACY
        for level_name, level in levels.items():
            curve.add_hline(
                level,
                line={"color": GREY, "dash": "dot"},
                annotation={"text": f"{level_name} ({level:.0%})", "font": {"size": 11}},
            )
        valid = last["valid_accuracy"]
        held_out = "unknown" if valid is None else f"{valid:.0%}"
        said = f"{last['train_accuracy']:.0%}, held out {held_out}"
    alt = f"{name.capitalize()} by epoch; after epoch {last['epoch']}: training {said}."
    chart(curve, alt, key=name)


def _lines(epochs: Events, name: str) -> list[go.Scatter]:
    parts = (("training", "train", BLUE, "solid"), ("held out", "valid", ORANGE, "dash"))
    return [
        go.Scatter(
            x=[event["epoch"] for event in epochs],
            y=[event[f"{part}_{name}"] for event in epochs],
            name=label,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 3},
        )
        for label, part, colour, dash in parts
    ]


# -- the exam ---------------------------------------------------------------------------------


@st.cache_data(max_entries=8, show_spinner="Marking the exam …")
def _exam(model: ModelFile, data_path: str) -> tuple[NDArray[np.int64], Probabilities]:
    """Return the held-out rows, and their probabilities, shape (rows, genres)."""
    dataset, split = read(data_path), model.card()["split"]
    rows = make_split(dataset, split["kind"], split["seed"]).measured
    step = rows_at_once(dataset.params.shape)
    parts = (dataset.features[rows[at : at + step]] for at in range(0, len(rows), step))
    answers = [song_workers.ask(segment_probabilities, part, model, about="") for part in parts]
    return rows, np.concatenate(answers)


def show_exam(job: Job, model: Path, card: dict[str, Any], source: Job | None) -> None:
    """Show the score and its worth, the confusion matrix with sounds, and the worst mistakes.

    The sounds and the mistakes are those of the dataset `source`, while it is kept.
    """
    measured = card["measured"]
    left, right = st.columns([2, 3])
    with left:
        _show_score(job, model, measured, card["split"])
    with right:
        picked = _show_confusion(measured)
    if source is not None:
        _show_music(measured, picked, model, card, source)
    _show_per_genre(measured)


def _show_score(job: Job, model: Path, measured: dict[str, Any], split: dict[str, Any]) -> None:
    """Show the share of tracks right, or of segments where tracks are unknown, and its worth."""
    units: list[Literal["track", "segment"]] = ["track", "segment"]
    of, *others = units if measured["tracks"] else units[1:]
    with st.container(key="scored", horizontal=True, vertical_alignment="center"):
        with st.container(key="stage", width="content"):
            st.header(f"{measured[f'{of}_accuracy']:.0%}", anchor=False, width="content")
        st.page_link(
            "listen/classify.py",
            label="Use it",
            icon=":material/graphic_eq:",
            query_params={"model": job.id},
            width="content",
        )
        download(st, "Download", lambda: pack_model(model), "my-model.zip")
    st.markdown(
        f"of {_right(measured, of)}. Guessing would give {1 / len(measured['genres']):.0%}.",
        help=_INTERVAL,
    )
    said = [f"{measured['segment_accuracy']:.0%} of {_right(measured, of)}." for of in others]
    st.caption(" ".join([*said, escape(split["worth"])]))


def _right(measured: dict[str, Any], of: Literal["track", "segment"]) -> str:
    interval = interval_in_words(accuracy_interval(measured, of))
    return f"{measured[f'{of}s']} held-out {of}s right (95% interval {interval})"


def _show_music(
    measured: dict[str, Any], picked: int | None, model: Path, card: dict[str, Any], source: Job
) -> None:
    """Play the tracks of the cell that was picked, and show the worst mistakes."""
    data, audio = source.folder / "data.parquet", audio_folder(source)
    rows, probabilities = _exam(ModelFile.at(model), str(data))
    dataset = read(str(data))
    if dataset.tracks is not None:
        labels, tracks = dataset.labels[rows], dataset.tracks[rows]
        geometric = card["training"]["network"] in GEOMETRIC
        judged, truth, names = mean_by_group(probabilities, labels, tracks, geometric)
        cells = truth * len(dataset.genres) + judged.argmax(axis=1)
        _play_cell(measured, picked, names, cells, dataset, audio)
    _show_mistakes(rows, probabilities, dataset, audio)


def _show_confusion(measured: dict[str, Any]) -> int | None:
    """Draw the confusion matrix; return the number of the cell that was clicked."""
    genres, matrix = measured["genres"], np.array(measured["confusion"])
    unit = "tracks" if measured["tracks"] else "segments"
    with st.container(key="mixed_up"):
        st.header("Which genres get mixed up (confusion matrix)", anchor=False)
    picked = chart(
        figure(
            go.Heatmap(
                x=genres,
                y=genres,
                z=matrix,
                text=matrix,
                texttemplate="%{text}",
                colorscale="Blues",
                showscale=False,
                hoverinfo="skip",
            ),
            # A heat map cannot be clicked; unseen points over its cells can.
            go.Scatter(
                x=genres * len(genres),
                y=np.repeat(genres, len(genres)),
                hovertext=[str(count) for count in matrix.ravel()],
                mode="markers",
                marker={"size": 26, "opacity": 0, "symbol": "square"},
                showlegend=False,
                hovertemplate="truth %{y}, verdict %{x}: %{hovertext}<extra></extra>",
            ),
            x=f"verdict (counts of {unit})",
            y="truth",
            height=104 + 18 * len(genres),
            margin={"l": 8, "r": 8, "t": 0, "b": 8},
        )
        .update_xaxes(range=[-0.5, len(genres) - 0.5])
        .update_yaxes(range=[len(genres) - 0.5, -0.5], dtick=1),
        f"Confusion matrix of {unit}: rows are the true genres, columns the verdicts.",
        key="confusion",
        on_select="rerun",
        selection_mode="points",
    )
    points = picked.selection.points if picked else []
    return points[0]["point_index"] if points else None


def _play_cell(
    measured: dict[str, Any],
    picked: int | None,
    names: NDArray[np.str_],
    cells: NDArray[np.int64],
    dataset: Dataset,
    audio: Path | None,
) -> None:
    """Play tracks of one cell of the confusion matrix; `cells` has the cell of each track."""
    genres = measured["genres"]
    titles = [f"{truth} taken for {verdict}" for truth in genres for verdict in genres]
    listed = st.selectbox(
        "Choose a cell to hear its tracks, in the table or here",
        np.flatnonzero(measured["confusion"]).tolist(),
        index=None,
        format_func=titles.__getitem__,
        placeholder="True genre and verdict",
    )
    chosen = listed if picked is None else picked
    if chosen is None:
        return
    found = names[cells == chosen]
    said = f"{titles[chosen]}: {counted(len(found), 'track')}."
    st.markdown(f"**{escape(said)}**")
    for name in found[:4]:
        row = int(np.flatnonzero(dataset.tracks == name)[0])
        st.caption(escape(str(name)))
        play_segment(dataset, row, audio)


def _show_per_genre(measured: dict[str, Any]) -> None:
    with st.expander("Genre by genre: precision and recall"):
        unit = "tracks" if measured["tracks"] else "segments"
        st.caption(
            "Recall: of the genre's music, the share that was recognised. Precision: of what was "
            "called by the genre's name, the share that is. Of a few "
            f"{unit} either says little."
        )
        matrix = np.array(measured["confusion"])
        st.dataframe(
            {
                "genre": measured["genres"],
                f"{unit} of it": matrix.sum(axis=1),
                "recall": measured["recall"],
                f"{unit} called so": matrix.sum(axis=0),
                "precision": measured["precision"],
            },
            hide_index=True,
            column_config={
                name: st.column_config.ProgressColumn(
                    name, min_value=0, max_value=1, format="percent"
                )
                for name in ("precision", "recall")
            },
        )


def _show_mistakes(
    rows: NDArray[np.int64], probabilities: Probabilities, dataset: Dataset, audio: Path | None
) -> None:
    labels = dataset.labels[rows]
    said = probabilities.argmax(axis=1)
    sure = probabilities.max(axis=1)
    wrong = np.flatnonzero(said != labels)
    worst = wrong[np.argsort(-sure[wrong])][:5]
    with st.expander("Its most confident mistakes"):
        if not len(worst):
            st.markdown("It made none on the held-out segments.")
            return
        titles = [
            escape(f"{dataset.genres[labels[i]]} taken for {dataset.genres[said[i]]}")
            + f" ({sure[i]:.0%} sure)"
            for i in worst
        ]
        which = st.radio("Which one", range(len(worst)), format_func=titles.__getitem__)
        draw_segment(dataset, int(rows[worst[which or 0]]), audio, key="mistake")


# -- the leak meter ---------------------------------------------------------------------------


def show_leak(bars: Sequence[dict[str, Any]], sentence: str) -> None:
    """Show three bars and one sentence."""
    colours = {"segment": VERMILION, "track": ORANGE, "artist": GREEN}
    worth = {"segment": "flattering", "track": "fair", "artist": "honest"}
    scores = np.array([bar["accuracy"] for bar in bars])
    low, high = np.array([bar["interval"] for bar in bars]).T
    chart(
        figure(
            go.Bar(
                x=[
                    f"by {bar['split']}<br>({worth[bar['split']]})<br>{bar['accuracy']:.0%}"
                    for bar in bars
                ],
                y=scores,
                marker_color=[colours[bar["split"]] for bar in bars],
                error_y={"array": high - scores, "arrayminus": scores - low},
            ),
            x="how the music was held out",
            y="share of held-out segments right",
        ).update_yaxes(range=[0, 1.05], tickformat=".0%"),
        "Bars: "
        + ", ".join(
            f"split by {bar['split']} {bar['accuracy']:.0%}, 95% interval "
            f"{interval_in_words(bar['interval'])}"
            for bar in bars
        ),
        key="leak",
    )
    st.caption("The lines over the bars: where the true scores lie with 95%.")
    st.markdown(f"**{sentence}**")
    for bar in bars:
        segments = counted(bar["segments"], "segment")
        st.caption(escape(f"By {bar['split']}: {segments}. {bar['worth']}"))
