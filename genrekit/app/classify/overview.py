"""What the classify page shows of a verdict: at a glance, with its evidence, and put to the test.

Nothing expensive is computed before it is asked for: each of the closer looks does its work when
it is chosen.
"""

import shlex
from collections.abc import Sequence
from typing import Any, Final, Literal

import plotly.graph_objects as go
import streamlit as st

from genrekit.app.classify import inputs
from genrekit.app.classify.inputs import ModelChoice, Outcome
from genrekit.app.classify.player import evidence_player
from genrekit.app.kit.charts import GREY, figure, genre_colours
from genrekit.app.kit.widgets import chart, escape, show_error
from genrekit.audio.degradation import Degradation
from genrekit.model.evaluation import accuracy_interval
from genrekit.model.metrics import interval_in_words
from genrekit.model.neighbours import Nearest
from genrekit.model.verdicts import Verdict
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Explanation, SongResult, StressTest
from genrekit.verdict.report import (
    agreeing_segments,
    confidence_in_words,
    escape_formula,
    ranked,
    report,
    segment_rows,
    table_row,
    to_csv,
    to_json,
)
from genrekit.wording import agree, counted

__all__ = [
    "WHY",
    "ask_why",
    "choose_look",
    "show_comparison",
    "show_evidence",
    "show_reasons",
    "show_song",
    "show_stress",
    "show_table",
    "show_take_away",
]

WHY: Final = "Why"
STRESS: Final = "Stress test"
COMPARE: Final = "Compare models"
TAKE: Final = "Take it away"
LOOKS: Final = (WHY, STRESS, COMPARE, TAKE)
_SPREAD: Final = "spread over the song"
_AROUND: Final = "around the chosen segment"
_EXCERPT_SECONDS: Final = 12.0
_CARDS_IN_A_ROW: Final = 3
_OFF: Final = "off"
_LOW_PASS: Final = (_OFF, *"8000 5500 4000 3000 2000 1400 1000 700 500".split())
_NOISE: Final = (_OFF, *"40 30 20 15 10 5 0 -5 -10".split())


# -- several files ----------------------------------------------------------------------------


def show_table(results: Sequence[Outcome]) -> Outcome:
    """All files in a table, to sort, to take away, and to choose one from."""
    judged = sum(one.verdict is not None and bool(one.verdict.probabilities) for one in results)
    st.header(f"{counted(len(results), 'file')}, {judged} judged", anchor=False)
    rows = [_row(one) for one in results]
    first = next((i for i, one in enumerate(results) if _is_judged(one)), 0)
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
        key="files-" + "-".join(one.sound.song.digest[:6] for one in results),
        alt="The files and their verdicts; choose a row to see its evidence below.",
    )
    csv_place, json_place, _ = st.columns([1, 1, 2])
    csv_place.download_button(
        "All as CSV",
        lambda: to_csv(rows),
        "verdicts.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    json_place.download_button(
        "All as JSON",
        lambda: _json(results),
        "verdicts.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    chosen = picked.selection.rows if picked else []
    index = chosen[0] if chosen and chosen[0] < len(results) else first
    st.caption("Choose a row to see its evidence below; a click on a heading sorts.")
    refused = [one for one in results if isinstance(one.outcome, str)]
    if refused:
        with st.expander(f"Why {len(refused)} cannot be used", icon=":material/warning:"):
            for one in refused:
                st.markdown(f"**{escape(one.sound.name)}**: {escape(str(one.outcome))}")
    return results[index]


def _row(one: Outcome) -> dict[str, Any]:
    if isinstance(one.outcome, str):
        return table_row(one.sound.name, one.outcome)
    return table_row(one.sound.name, one.outcome.verdict, one.outcome.seconds)


def _is_judged(one: Outcome) -> bool:
    return one.verdict is not None and bool(one.verdict.probabilities)


def _visible(row: dict[str, Any]) -> dict[str, Any]:
    """The columns that are shown; the grid has a CSV export of its own, so names are harmless."""
    names = ("file", "verdict", "confidence", "second", "segments", "agreeing", "seconds", "note")
    shown = {name: row.get(name) for name in names}
    if "confidence" in row:
        shown["confidence"] = round(100 * row["confidence"])
    return shown | {"file": escape_formula(row["file"])}


def _json(results: Sequence[Outcome]) -> str:
    return to_json([report(one.sound.name, one.verdict or str(one.outcome)) for one in results])


# -- one song at a glance ---------------------------------------------------------------------


def show_song(one: Outcome, listener: ModelChoice) -> SongResult | None:
    """Name, facts and verdict; what was heard, or None where the file could not be used."""
    st.header(f":material/music_note: {escape(one.sound.name)}", anchor=False)
    if isinstance(one.outcome, str):
        show_error(one.outcome)
        st.caption("Nothing can be said of this file. Choose another one above.")
        return None
    heard = one.outcome
    st.caption(_facts(heard))
    if one.sound.composed_as:
        st.markdown(_composed_as(one.sound.composed_as, heard.verdict))
    if heard.verdict.probabilities:
        _show_verdict(heard.verdict, listener)
    else:
        st.warning(f"No verdict. {escape(heard.verdict.note)}", icon=":material/volume_off:")
    return heard


def _composed_as(style: str, verdict: Verdict) -> str:
    """What a piece of ours was meant to be, beside what the model hears."""
    meant = f"Composed as **{escape(style.lower())}**"
    if not verdict.probabilities:
        return f"{meant}."
    if verdict.genre is None:
        return f"{meant}; the model is not sure what it hears."
    return f"{meant}; the model hears **{escape(verdict.genre)}**."


def _facts(heard: SongResult) -> str:
    info = heard.info
    channels = {1: "mono", 2: "stereo"}.get(info.channels, counted(info.channels, "channel"))
    length = "the first " * heard.cut + clock(heard.seconds)
    return (
        f"{info.container.upper()} · {info.sample_rate / 1000:g} kHz · {channels} · heard: {length}"
    )


def clock(seconds: float) -> str:
    """A time as people write it: 3:07, or 8.5 s below a minute."""
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def _show_verdict(verdict: Verdict, listener: ModelChoice) -> None:
    order = ranked(verdict.probabilities)
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
        runners = ", ".join(f"{escape(genre)} {p:.0%}" for genre, p in order[1:3])
        st.markdown(f"Then: {runners}.")
        agreeing = agreeing_segments(verdict)
        st.markdown(
            f"**{agreeing} of {len(verdict.segments)}** "
            f"{agree(len(verdict.segments), 'segment', 'segments')}, taken alone, "
            f"{agree(agreeing, 'says', 'say')} the same: {escape(order[0][0])}."
        )
        st.caption(worth(listener))
    with right:
        _show_bars(order)


def _show_bars(order: Sequence[tuple[str, float]]) -> None:
    colours = genre_colours([genre for genre, _ in order])
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
        "Probability of each genre: " + ", ".join(f"{genre} {p:.0%}" for genre, p in order),
        key="bars",
    )


def worth(listener: ModelChoice) -> str:
    """In a sentence or two, what this model was measured at, and what that is worth."""
    card = listener.file.card()
    measured, split = card.get("measured"), card.get("split")
    if not measured or not split:
        return "Nobody has measured how often this model is right."
    of: Literal["track", "segment"] = "track" if measured.get("tracks") else "segment"
    score = (
        f"{measured[f'{of}_accuracy']:.0%} of {counted(measured[f'{of}s'], f'held-out {of}')} "
        "(95% interval "
        f"{interval_in_words(accuracy_interval(measured, of))})"
    )
    kind = {"file": "a list of tracks"}.get(split["kind"], split["kind"])
    whose = " of the dataset that it learned from" if listener.own else ""
    return (
        f"How far to trust it: this model was right on {score}{whose} (split by {kind}). "
        f"{escape(split['worth'])}"
    )


# -- the evidence -----------------------------------------------------------------------------


def show_evidence(one: Outcome, heard: SongResult, why: Explanation | None) -> int | None:
    """The player, and what the chosen segment says; which one that is."""
    verdict, song = heard.verdict, one.sound.song
    if heard.mime is None:
        with st.spinner("Making the sound playable …"):
            content, mime = inputs.rendering(song, heard.rate), "audio/wav"
    else:
        content, mime = song.content, heard.mime
    clicked = evidence_player(
        content,
        mime,
        picture=heard.picture.values,
        seconds=heard.seconds,
        band_hz=heard.picture.band_hz,
        segments=verdict.segments,
        verdict=verdict.genre,
        colours=genre_colours(list(verdict.probabilities)),
        why=None if why is None else why.values,
        explained=None if why is None else why.genre,
        key=f"player-{song.digest[:16]}",
    )
    if heard.mime is None:
        st.caption(
            "Browsers cannot be relied on to play this kind of file, so what you hear here is "
            f"what the model heard: mono, {heard.rate / 1000:g} kHz."
        )
    return clicked


def choose_look() -> str | None:
    """Which closer look is wanted, if any."""
    return st.segmented_control(
        "Look closer",
        LOOKS,
        key="look",
        bind="query-params",
        help="Each is computed when you choose it.",
    )


# -- why --------------------------------------------------------------------------------------


def ask_why(one: Outcome, heard: SongResult, listener: ModelChoice, segment: int) -> Explanation:
    """Let the visitor choose the genre and the part, and compute."""
    order = [genre for genre, _ in ranked(heard.verdict.probabilities)]
    starts = tuple(part.start for part in heard.verdict.segments)
    left, right = st.columns(2)
    about = (one.sound.song.digest, listener.file)
    if st.session_state.setdefault("explained", about) != about:
        # The genre was chosen for another song, or another model.
        st.session_state.update(explained=about, why_genre=order[0])
    genre = left.selectbox(
        "What spoke for …",
        order,
        index=0,
        key="why_genre",
        bind="query-params",
        help="Choose another genre to see why it was not that.",
    )
    around = None
    if len(starts) > analysis.EXPLAINED_SEGMENTS:
        part = right.segmented_control(
            f"{analysis.EXPLAINED_SEGMENTS} of the {len(starts)} segments are asked",
            [_SPREAD, _AROUND],
            default=_SPREAD,
            required=True,
            key="why_part",
            bind="query-params",
        )
        around = segment if part == _AROUND else None
    which = analysis.segments_to_explain(len(starts), around)
    with st.spinner("Turning parts of the song down, one after another, and asking again …"):
        return inputs.explain(one.sound.song, listener.file, genre or order[0], starts, which)


def show_reasons(
    one: Outcome, heard: SongResult, listener: ModelChoice, segment: int, why: Explanation
) -> None:
    """The map in words, then the training segments that sound alike."""
    asked, total = len(why.segments), len(heard.verdict.segments)
    st.markdown(f":material/search_insights: **{escape(why.sentence)}**")
    verb = agree(asked, "was", "were")
    part = "" if asked == total else f" {asked} of the {total} segments {verb} asked."
    st.caption(
        "How this is found: each segment is divided into 8 ranges of pitch and 6 moments. One "
        "such place at a time is turned down by 20 decibels, and the model is asked again. Where "
        f"the odds for {escape(why.genre)} fall, the place spoke for it; where they rise, against "
        "it. This is called occlusion; *Show what decided* below the player turns it on and off in "
        "the picture. It tells what "
        f"the model answers to, not why music is what it is.{part}"
    )
    st.markdown("### What it heard in training that sounds alike")
    starts = tuple(part.start for part in heard.verdict.segments)
    with st.spinner("Comparing with the training segments …"):
        found = inputs.nearest(one.sound.song, listener.file, starts)
    if found is None:
        st.info(
            "This model does not carry the segments it was trained on, so there is nothing to "
            "compare with.",
            icon=":material/info:",
        )
        return
    _show_nearest(found, segment)


def _show_nearest(found: Nearest, segment: int) -> None:
    if found.trained_on is not None:
        st.warning(escape(found.note), icon=":material/content_copy:")
    else:
        st.info(escape(found.note), icon=":material/info:")
    if segment >= len(found.segments):
        return
    st.markdown(f"Nearest to segment **{segment + 1}**:")
    st.dataframe(
        [
            {
                "track": match.track,
                "genre": match.genre,
                "from, s": round(match.start, 1),
                "distance": round(match.distance, 2),
                "nearer than": match.percentile / 100,
            }
            for match in found.segments[segment]
        ],
        hide_index=True,
        column_config={"nearer than": st.column_config.NumberColumn(format="percent")},
        alt="The training segments nearest to the chosen segment.",
    )
    st.caption(
        "Before its last step the network has turned a segment into a short row of numbers; "
        "segments whose rows are close sound alike to it. *Nearer than* is the share of all pairs "
        "of training tracks that lie farther apart. Whether the song is one of the training "
        "recordings is decided by comparing the sound itself over time. Measured on GTZAN, of 445 "
        "uploads of training clips (MP3 from 64 kbit/s, resampled, cut, shifted) it missed none, "
        "of 516 clips that the models had not met it took none for one they had. Training music is "
        "not part of GenreKit, so it cannot be played."
    )


# -- stress -----------------------------------------------------------------------------------


def show_stress(one: Outcome, heard: SongResult, listener: ModelChoice, segment: int) -> None:
    """Sliders that make the sound worse, and whether the verdict holds."""
    stress = _stress_sliders()
    with st.spinner("Listening under stress …"):
        test = inputs.stress_test(one.sound.song, listener.file, stress)
    _say_whether_it_holds(test, stress == Degradation())
    if test.seconds < heard.seconds - 0.1:
        st.caption(
            f"Tested on {clock(test.seconds)} from {clock(test.start)} on, both before and after."
        )
    if test.before.probabilities and test.after.probabilities:
        _show_before_after(test)
    parts = heard.verdict.segments
    start = max(0.0, min(parts[segment].start, heard.seconds - _EXCERPT_SECONDS))
    end = min(heard.seconds, start + _EXCERPT_SECONDS)
    before, after = st.columns(2)
    for place, title, what in ((before, "Before", Degradation()), (after, "After", stress)):
        place.markdown(f"**{title}**: {clock(start)} to {clock(end)}, with the chosen segment")
        with place, st.spinner("Making the sound …"):
            sound = inputs.excerpt(one.sound.song, heard.rate, start, _EXCERPT_SECONDS, what)
        place.audio(sound, alt=f"The sound {title.lower()} the stress")


def _stress_sliders() -> Degradation:
    st.caption("Make the sound worse, step by step, and watch whether the verdict holds.")
    one, two = st.columns(2), st.columns(2)
    level = one[0].slider(
        "Level, dB",
        -40,
        12,
        0,
        key="level",
        bind="query-params",
        help="A quieter or louder recording; above full level it is clipped.",
    )
    low_pass = one[1].select_slider(
        "Nothing above, Hz",
        _LOW_PASS,
        _OFF,
        key="low_pass",
        bind="query-params",
        help="A low-pass filter: what lies above is taken away.",
    )
    noise = two[0].select_slider(
        "Noise: the music is louder by, dB",
        _NOISE,
        _OFF,
        key="noise",
        bind="query-params",
        help="Pink noise, like rain or a fan. At 0 dB it is as loud as the music.",
    )
    phone = two[1].slider(
        "Like through a phone",
        0.0,
        1.0,
        0.0,
        0.1,
        key="phone",
        bind="query-params",
        help="A small room's echo, a small microphone and loudspeaker, levelled, a little noise.",
    )
    st.button("All back to zero", icon=":material/restart_alt:", on_click=_calm)
    return Degradation(
        level_db=float(level),
        low_pass_hz=None if low_pass == _OFF else float(low_pass),
        noise_db=None if noise == _OFF else float(noise),
        phone=float(phone),
    )


def _calm() -> None:
    st.session_state.update(level=0, low_pass=_OFF, noise=_OFF, phone=0.0)


def _say_whether_it_holds(test: StressTest, untouched: bool) -> None:
    before, after = _named(test.before), _named(test.after)
    if untouched:
        st.info(f"Nothing is changed yet: {before}. Move a slider.", icon=":material/arrow_upward:")
    elif test.holds:
        st.success(f"**It holds.** Before and after: {after}.", icon=":material/check_circle:")
    else:
        note = "" if test.after.probabilities else f" {escape(test.after.note)}"
        st.warning(f"**It flips.** Before: {before}; after: {after}.{note}", icon=":material/sync:")


def _named(verdict: Verdict) -> str:
    if verdict.genre is None:
        return "not sure" if verdict.probabilities else "no verdict"
    return f"{escape(verdict.genre)} ({verdict.confidence:.0%})"


def _show_before_after(test: StressTest) -> None:
    order = [genre for genre, _ in ranked(test.before.probabilities)]
    colours = genre_colours(order)
    before = [test.before.probabilities[genre] for genre in order]
    after = [test.after.probabilities[genre] for genre in order]
    chart(
        figure(
            go.Bar(
                name="before",
                x=before,
                y=order,
                orientation="h",
                marker={"color": GREY, "pattern": {"shape": "/", "solidity": 0.25}},
                hovertemplate="%{y} before: %{x:.1%}<extra></extra>",
            ),
            go.Bar(
                name="after",
                x=after,
                y=order,
                orientation="h",
                marker_color=[colours[genre] for genre in order],
                text=[_changed(p, q) for p, q in zip(before, after, strict=True)],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y} after: %{x:.1%}<extra></extra>",
            ),
            x="probability; in brackets the change in points",
            height=110 + 34 * len(order),
            barmode="group",
        )
        .update_xaxes(range=[0, 1.2], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
        .update_yaxes(autorange="reversed"),
        "Probability of each genre before and after: "
        + ", ".join(
            f"{genre} {p:.0%} and {q:.0%}" for genre, p, q in zip(order, before, after, strict=True)
        ),
        key="before-after",
    )


def _changed(before: float, after: float) -> str:
    points = round(100 * (after - before))
    return f"{after:.0%} ({points:+d})" if points else f"{after:.0%}"


# -- other models -----------------------------------------------------------------------------


def show_comparison(one: Outcome, heard: SongResult, found: Sequence[ModelChoice]) -> None:
    """Every model on the same song, with what each was measured at."""
    place = st.empty()
    verdicts: list[Verdict | str] = []
    for number, listener in enumerate(found):
        place.progress(number / len(found), f"Asking {escape(listener.label)}")
        verdicts.append(inputs.judge(one.sound.song, listener.file))
    place.empty()
    st.markdown(_agreement(verdicts))
    for first in range(0, len(found), _CARDS_IN_A_ROW):
        some = list(zip(found, verdicts, strict=True))[first : first + _CARDS_IN_A_ROW]
        for column, (listener, verdict) in zip(st.columns(_CARDS_IN_A_ROW), some, strict=False):
            with column.container(border=True, height="stretch"):
                _show_opinion(listener, verdict)
    if len(found) == 1:
        st.page_link(
            "build/train.py",
            label="There is only one model here: train another to compare it with",
            icon=":material/model_training:",
        )
    st.caption(
        "Each figure is worth what its split is worth, and models that were measured on different "
        "music cannot be ranked by their figures."
    )


def _agreement(verdicts: Sequence[Verdict | str]) -> str:
    genres = [v.genre for v in verdicts if not isinstance(v, str) and v.genre is not None]
    if not genres:
        return "No model is sure."
    if len(verdicts) == 1:
        return f"One model was asked; it says **{escape(genres[0])}**."
    most = max(sorted(set(genres)), key=genres.count)
    count = genres.count(most)
    if count == 1:
        return f"{len(verdicts)} models were asked, and no two say the same."
    if count == len(verdicts):
        return f"**All {count} models agree: {escape(most)}.**"
    return f"**{count} of {len(verdicts)} models agree: {escape(most)}.**"


def _show_opinion(listener: ModelChoice, verdict: Verdict | str) -> None:
    st.markdown(f"**{escape(listener.label)}**")
    if isinstance(verdict, str):
        show_error(verdict)
        return
    if verdict.probabilities:
        order = ranked(verdict.probabilities)
        name = verdict.genre.capitalize() if verdict.genre else "Not sure"
        st.markdown(f"### {escape(name)}")
        agreeing = agreeing_segments(verdict)
        st.markdown(
            f"{escape(order[0][0])} {verdict.confidence:.0%}, then {escape(order[1][0])} "
            f"{order[1][1]:.0%}. {agreeing} of {counted(len(verdict.segments), 'segment')} "
            f"{agree(agreeing, 'agrees', 'agree')}."
        )
    else:
        st.markdown("### No verdict")
    if verdict.note:
        st.markdown(escape(verdict.note))
    st.caption(worth(listener))
    about = str(listener.file.card().get("about", ""))
    if about:
        with st.expander("About this model"):
            st.markdown(escape(about))


# -- taking it away ---------------------------------------------------------------------------


def show_take_away(one: Outcome, listener: ModelChoice) -> None:
    """The result as a file, the sound where it was made here, and the command that repeats it."""
    columns = st.columns(3)
    columns[0].download_button(
        "This verdict as JSON",
        lambda: _json([one]),
        "verdict.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    columns[1].download_button(
        "Its segments as CSV",
        lambda: to_csv(segment_rows(one.verdict) if one.verdict else []),
        "segments.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    if one.sound.given:
        kind = one.sound.name.rpartition(".")[2]
        columns[2].download_button(
            f"The sound as {kind.upper()}",
            one.sound.song.content,
            one.sound.name,
            f"audio/{kind}",
            on_click="ignore",
            icon=":material/download:",
            width="stretch",
        )
    st.markdown("The same verdict from the command line:")
    st.code(command(one.sound.name, listener), language="shell")
    if listener.own:
        st.caption("`my-model` is the folder in the zip that the train page offers for download.")
    st.caption("The address of this page holds its settings; files you sent are not part of it.")


def command(name: str, listener: ModelChoice) -> str:
    """The command that judges a file of this name with this model."""
    file = f"./{name}" if name.startswith("-") else name
    model = "my-model" if listener.own else listener.name
    return shlex.join(["python", "-m", "genrekit", "classify", file, "--model", model])
