"""A verdict at a glance: the table of several files, and one song with its player."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st

from genrekit.app.classify.download import download, verdicts_json
from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.player import evidence_player
from genrekit.app.classify.questions import Outcome, ask
from genrekit.app.kit.charts import figure, outcome_colours
from genrekit.app.kit.media import media_url
from genrekit.app.kit.widgets import chart, escape, show_error
from genrekit.model.evaluation import accuracy_interval
from genrekit.model.metrics import interval_in_words
from genrekit.model.verdicts import NOTICEABLE, Verdict, confidence_in_words
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.verdict.report import (
    agreeing_segments,
    candidates_in_words,
    escape_formula,
    ranked,
    table_row,
    to_csv,
)
from genrekit.wording import agree, counted

__all__ = ["clock", "show_evidence", "show_song", "show_table", "worth"]

# -- several files ----------------------------------------------------------------------------


def show_table(outcomes: Sequence[Outcome]) -> Outcome:
    """Show all files in a table to sort, to download, and to choose one from."""
    judged = sum(one.is_judged for one in outcomes)
    st.header(f"{counted(len(outcomes), 'file')}, {judged} judged", anchor=False)
    rows = [_row(one) for one in outcomes]
    first = next((i for i, one in enumerate(outcomes) if one.is_judged), 0)
    picked = st.dataframe(
        [_visible(row) for row in rows],
        hide_index=True,
        column_config={
            "confidence": st.column_config.NumberColumn(format="%d%%"),
            "seconds": st.column_config.NumberColumn("length, s"),
            "note": st.column_config.TextColumn(width="large"),
        },
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [first]}},
        placeholder="",
        key="files-" + "-".join(one.sound.song.digest[:6] for one in outcomes),
        alt="The files and their verdicts; choose a row to see its evidence below.",
    )
    left, middle, _ = st.columns([1, 1, 2])
    download(left, "All as CSV", lambda: to_csv(rows), "verdicts.csv")
    download(middle, "All as JSON", lambda: verdicts_json(outcomes), "verdicts.json")
    chosen = picked.selection.rows if picked else []
    index = chosen[0] if chosen and chosen[0] < len(outcomes) else first
    st.caption("Choose a row to see its evidence below; a click on a heading sorts.")
    refused = [one for one in outcomes if one.problem]
    if refused:
        with st.expander(f"Why {len(refused)} cannot be used", icon=":material/warning:"):
            for one in refused:
                st.markdown(f"**{escape(one.sound.name)}**: {escape(one.problem)}")
    return outcomes[index]


def _row(outcome: Outcome) -> dict[str, Any]:
    if outcome.result is None:
        return table_row(outcome.sound.name, outcome.problem)
    return table_row(outcome.sound.name, outcome.result.verdict, outcome.result.seconds)


def _visible(row: dict[str, Any]) -> dict[str, Any]:
    """Choose the columns to show. The grid has a CSV export of its own, so names are escaped."""
    names = "file verdict confidence second candidates segments agreeing seconds note"
    shown = {name: row.get(name) for name in names.split()}
    if "confidence" in row:
        shown["confidence"] = round(100 * row["confidence"])
    return shown | {"file": escape_formula(row["file"])}


# -- one song ---------------------------------------------------------------------------------


def show_song(outcome: Outcome, model: ModelChoice) -> None:
    """Show a song's name, its facts and its verdict, or why it cannot be used."""
    sound, result = outcome.sound, outcome.result
    st.header(f":material/music_note: {escape(sound.name)}", anchor=False)
    if result is None:
        show_error(outcome.problem)
        st.caption("Nothing can be said of this file. Choose another one above.")
        return
    st.caption(_facts(result))
    if sound.composed_as:
        st.markdown(_composed_as(sound.composed_as, result.verdict))
    if outcome.is_judged:
        _show_verdict(result.verdict, model)
    else:
        st.warning(f"No verdict. {escape(result.verdict.note)}", icon=":material/volume_off:")


def _composed_as(style: str, verdict: Verdict) -> str:
    """Say in which genre a piece was written, beside the model's verdict."""
    meant = f"Composed as **{escape(style.lower())}**"
    if not verdict.probabilities:
        return f"{meant}."
    if verdict.genre is None:
        return f"{meant}; the model is not sure what it hears."
    return f"{meant}; the model hears **{escape(verdict.genre)}**."


def _facts(result: SongResult) -> str:
    info = result.info
    channels = {1: "mono", 2: "stereo"}.get(info.channels, counted(info.channels, "channel"))
    length = "the first " * result.cut + clock(result.seconds)
    return (
        f"{info.container.upper()} · {info.sample_rate / 1000:g} kHz · {channels} · heard: {length}"
    )


def clock(seconds: float) -> str:
    """Write a time as 3:07 min, or 8.5 s below a minute."""
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def _show_verdict(verdict: Verdict, model: ModelChoice) -> None:
    order = ranked(verdict.outcomes)
    left, right = st.columns([2, 3], vertical_alignment="center")
    with left.container(border=True):
        if verdict.genre is None:
            st.header(":material/help: Not sure", anchor=False)
            st.markdown(escape(verdict.note))
        else:
            st.header(f":material/graphic_eq: {escape(verdict.genre.capitalize())}", anchor=False)
            st.markdown(
                f"**{confidence_in_words(verdict.confidence).capitalize()}: "
                f"{verdict.confidence:.0%}.** {escape(verdict.note)}"
            )
        runners = [f"{escape(name)} {p:.0%}" for name, p in order[1:3] if p >= NOTICEABLE]
        if runners:
            st.markdown(f"Then: {', '.join(runners)}.")
        if promise := candidates_in_words(verdict):
            st.markdown(escape(promise))
        agreeing = agreeing_segments(verdict)
        st.markdown(
            f"**{agreeing} of {len(verdict.segments)}** "
            f"{agree(len(verdict.segments), 'segment', 'segments')}, taken alone, "
            f"{agree(agreeing, 'says', 'say')} the same: {escape(order[0][0])}."
        )
        st.caption(" ".join([worth(model), *_reliability(verdict, model)]))
    with right:
        _show_bars(order)


def _show_bars(order: Sequence[tuple[str, float]]) -> None:
    colours = outcome_colours([genre for genre, _ in order])
    chart(
        figure(
            go.Bar(
                x=[p for _, p in order],
                y=[genre for genre, _ in order],
                orientation="h",
                marker_color=[colours[genre] for genre, _ in order],
                text=[f"{p:.0%}" for _, p in order],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            ),
            x="probability",
            height=90 + 25 * len(order),
        )
        .update_xaxes(range=[0, 1.1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
        .update_yaxes(autorange="reversed"),
        "Probability of each genre: " + ", ".join(f"{name} {p:.0%}" for name, p in order),
        key="bars",
    )


def _reliability(verdict: Verdict, model: ModelChoice) -> list[str]:
    """Say how often the verdict's word and its candidates held on songs whose genre is known."""
    word, said, held = confidence_in_words(verdict.confidence), [], []
    for on, counts in _counted(model.file.card()):
        if verdict.genre is not None and word in counts["words"]:
            right, songs = counts["words"][word]
            said.append(f"{right} of {songs} {on}")
        if verdict.candidates and counts["held"] is not None:
            mean = f"{counts['candidates']:.1f} on average"
            held.append(f"{counts['held']} of {counts['songs']} {on} ({mean})")
    sentences = []
    if said:
        sentences.append(f"When “{word}”, it was right about {' and '.join(said)}.")
    if held:
        sentences.append(f"Its candidates held the right genre of {' and '.join(held)}.")
    return sentences


def _counted(card: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each `Reliability` on a card as plain values, with the songs that it was counted on."""
    measured = card.get("measured", {})
    if "reliability" in measured:
        yield f"held-out {_unit(measured)}s", measured["reliability"]
    for other in card.get("also_measured", ()):
        yield other["on"], other["reliability"]


def _unit(measured: dict[str, Any]) -> Literal["track", "segment"]:
    return "track" if measured.get("tracks") else "segment"


def worth(model: ModelChoice) -> str:
    """Say in a sentence or two how accurate the model was, and what that figure is worth."""
    card = model.file.card()
    measured, split = card.get("measured"), card.get("split")
    if not measured or not split:
        return "Nobody has measured how often this model is right."
    of = _unit(measured)
    score = (
        f"{measured[f'{of}_accuracy']:.0%} of {counted(measured[f'{of}s'], f'held-out {of}')} "
        "(95% interval "
        f"{interval_in_words(accuracy_interval(measured, of))})"
    )
    kind = {"file": "a list of tracks"}.get(split["kind"], split["kind"])
    whose = " of the dataset that it learned from" if model.own else ""
    return (
        f"How far to trust it: this model was right on {score}{whose} (split by {kind}). "
        f"{escape(split['worth'])}"
    )


# -- the evidence -----------------------------------------------------------------------------


def show_evidence(sound: Sound, result: SongResult, why: Explanation | None) -> int | None:
    """Show the player; return the segment that was clicked, if any."""
    song, mime = sound.song, result.mime
    if mime is None:
        with st.spinner("Making the sound playable …"):
            content = ask(analysis.wav_rendering, song, result.rate)
    else:
        content = song.content
    key = f"player-{song.digest[:16]}"
    url = media_url(content, mime or "audio/wav", key)
    clicked = evidence_player(url, result, why, key=key)
    if mime is None:
        st.caption(
            "Browsers cannot be relied on to play this kind of file, so what you hear here is "
            f"what the model heard: mono, {result.rate / 1000:g} kHz."
        )
    return clicked
