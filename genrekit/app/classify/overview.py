"""A verdict at a glance: the table of several files, and one song with its player."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape as escape_html
from types import MappingProxyType
from typing import Any, Final, Literal

import streamlit as st

from genrekit.app.classify.download import verdicts_json
from genrekit.app.classify.inputs import PAGE, ModelChoice, Sound
from genrekit.app.classify.player import evidence_player
from genrekit.app.classify.questions import Outcome, ask, classify
from genrekit.app.kit.charts import outcome_colours
from genrekit.app.kit.inputs import offer_change
from genrekit.app.kit.media import media_url
from genrekit.app.kit.widgets import download, escape, show_error
from genrekit.audio.synth.demo import COMPOSED
from genrekit.model.evaluation import accuracy_interval
from genrekit.model.metrics import interval_in_words
from genrekit.model.verdicts import (
    NOTICEABLE,
    Verdict,
    clear_tags,
    confidence_in_words,
    noticeable,
    ranked,
)
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.verdict.report import (
    agreeing_segments,
    candidates_in_words,
    escape_formula,
    table_row,
    to_csv,
)
from genrekit.wording import agree, counted

__all__ = [
    "MOST_TAGS",
    "clock",
    "in_words",
    "odds",
    "offer_built_in",
    "show_evidence",
    "show_stage",
    "show_table",
    "show_trust",
    "worth",
]

_BARS: Final = 4
MOST_TAGS: Final = 4
# Of the table of files: as Streamlit draws it, and how many are seen without scrolling.
_HEAD_PIXELS: Final = 38
_ROW_PIXELS: Final = 35
_ROWS: Final = 3

# -- several files ----------------------------------------------------------------------------


def show_table(outcomes: Sequence[Outcome]) -> Outcome:
    """Show several files in a table to sort, to download, and to choose one from."""
    first = _newest(outcomes)
    if len(outcomes) == 1:
        return outcomes[0]
    judged = sum(one.is_judged for one in outcomes)
    rows = [_row(one) for one in outcomes]
    refused = [one for one in outcomes if one.problem]
    with st.container(key="files", horizontal=True, vertical_alignment="center"):
        st.header(f"{counted(len(outcomes), 'file')}, {judged} judged", anchor=False)
        if refused:
            with st.popover(f"Why {len(refused)} can't be used", icon=":material/warning:"):
                for one in refused:
                    st.markdown(f"**{escape(one.sound.name)}**: {escape(one.problem)}")
        download(st, "All as CSV", lambda: to_csv(rows), "verdicts.csv")
        download(st, "All as JSON", lambda: verdicts_json(outcomes), "verdicts.json")
    picked = st.dataframe(
        [_visible(row) for row in rows],
        height=_HEAD_PIXELS + _ROW_PIXELS * min(len(rows), _ROWS),
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
    chosen = picked.selection.rows if picked else []
    return outcomes[chosen[0] if chosen and chosen[0] < len(outcomes) else first]


def _newest(outcomes: Sequence[Outcome]) -> int:
    """Return the index of the first judged file of those that came last, else of all."""
    files = [one.sound.song.digest for one in outcomes]
    before, new = st.session_state.get("files_of", ([], files))
    if files != before:
        new = [file for file in files if file not in before] or new
        st.session_state["files_of"] = files, new
    judged = [i for i, one in enumerate(outcomes) if one.is_judged]
    return next((i for i in judged if files[i] in new), next(iter(judged), 0))


def _row(outcome: Outcome) -> dict[str, Any]:
    if outcome.result is None:
        return table_row(outcome.sound.name, outcome.problem)
    return table_row(outcome.sound.name, outcome.result.verdict, outcome.result.seconds)


def _visible(row: dict[str, Any]) -> dict[str, Any]:
    """Choose the columns to show. The grid has a CSV export of its own, so names are escaped.

    The reason why a file cannot be used stands in place of a verdict, where a phone shows it.
    """
    names = "file verdict confidence second candidates segments agreeing seconds note"
    shown = {name: row.get(name) for name in names.split()}
    if "confidence" in row:
        shown["confidence"] = round(100 * row["confidence"])
    shown["verdict"] = row.get("verdict") or row.get("note")
    return shown | {"file": escape_formula(row["file"])}


# -- one song ---------------------------------------------------------------------------------


def show_stage(outcome: Outcome, model: ModelChoice) -> None:
    """Show a song's name, its facts and its verdict, large, or why it cannot be used."""
    sound, result = outcome.sound, outcome.result
    with st.container(key="heard", horizontal=True, vertical_alignment="center"):
        st.header(escape(sound.name), anchor=False, width="content")
        heard_by = "" if model.own else f" · {escape(model.label)}"
        st.caption("" if result is None else _facts(result) + heard_by, width="stretch")
        offer_change(PAGE)
    if result is None:
        show_error(outcome.problem)
        st.caption("This file can't be classified. Try another.")
    elif outcome.is_judged:
        with st.container(key="stage"):
            _show_verdict(sound, result.verdict)
    else:
        st.warning(f"No verdict. {escape(result.verdict.note)}", icon=":material/volume_off:")


def offer_built_in(sound: Sound, model: ModelChoice, models: Sequence[ModelChoice]) -> None:
    """Offer the built-in model beside one that knows composed pieces alone."""
    if not (model.own and str(model.file.card().get("about", "")).startswith(COMPOSED)):
        return
    built_in = next(one for one in models if not one.own)
    other = classify([sound], built_in)[0].result
    verdict = None if other is None else other.verdict
    heard = (
        "is not sure"
        if verdict is None or verdict.genre is None
        else (f"hears **{escape(verdict.genre)}** ({verdict.confidence:.0%})")
    )
    with st.container(key="beside", horizontal=True, vertical_alignment="center"):
        st.markdown(
            "This model knows only composed pieces, and is often wrong about real songs. "
            f"The built-in model {heard}.",
            width="stretch",
        )
        st.button(
            "Use the built-in model",
            on_click=st.session_state.update,
            kwargs={"listener": built_in.label},
        )


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


def _show_verdict(sound: Sound, verdict: Verdict) -> None:
    left, right = st.columns([2, 3], vertical_alignment="center")
    title, sure, note = in_words(verdict)
    with left:
        st.header(escape(title), anchor=False)
        said = [f"**{sure}**" if sure else "", escape(note)]
        if sound.composed_as:
            said.append(_composed_as(sound.composed_as, verdict))
        st.markdown(" ".join(filter(None, said)))
    with right:
        st.html(_bars(verdict))
        said = [escape(candidates_in_words(verdict))]
        if tags := clear_tags(verdict, MOST_TAGS):
            said.append(f"Also hears: **{escape(', '.join(tags))}**.")
        st.markdown(" ".join(filter(None, said)))


def in_words(verdict: Verdict) -> tuple[str, str, str]:
    """Return a verdict's title, how sure it is (empty where it is not), and its note."""
    if verdict.genre is None:
        return "Not sure", "", verdict.note
    word = confidence_in_words(verdict.confidence).capitalize()
    return verdict.genre.capitalize(), f"{word}: {verdict.confidence:.0%}.", verdict.note


def odds(verdict: Verdict) -> list[tuple[str, float, str]]:
    """Return the likeliest outcomes, and what is left for all others: name, probability, colour."""
    order = ranked(verdict.outcomes)
    shown = noticeable(verdict.outcomes)[:_BARS]
    colours = outcome_colours([name for name, _ in order])
    rows = [(name, p, colours[name]) for name, p in shown]
    others, rest = len(order) - len(shown), max(0.0, 1 - sum(p for _, p in shown))
    if others and rest >= NOTICEABLE:
        rows.append((counted(others, "other"), rest, "currentColor"))
    return rows


def _bars(verdict: Verdict) -> str:
    items = "".join(
        f"<li><span>{escape_html(name)}</span>"
        f'<i style="width: {100 * p:.1f}%; background: {colour}"></i><b>{p:.0%}</b></li>'
        for name, p, colour in odds(verdict)
    )
    return f'<ul class="odds" aria-label="Probability of each genre">{items}</ul>'


# -- how far to trust it ------------------------------------------------------------------------


def show_trust(result: SongResult, model: ModelChoice) -> None:
    """Say how far the segments agree, and how often the model was right elsewhere."""
    verdict = result.verdict
    best, agreeing, total = (
        ranked(verdict.outcomes)[0][0],
        agreeing_segments(verdict),
        len(verdict.segments),
    )
    st.markdown("### How far to trust it")
    st.markdown(
        f"**{agreeing} of {total}** {agree(total, 'segment', 'segments')}, taken alone, "
        f"{agree(agreeing, 'says', 'say')} the same: {escape(best)}."
    )
    st.caption(" ".join([worth(model), *_reliability(verdict, model)]))


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
    return f"This model was right on {score}{whose} (split by {kind}). {escape(split['worth'])}"


# -- the evidence -----------------------------------------------------------------------------


def show_evidence(
    sound: Sound,
    result: SongResult,
    why: Explanation | None,
    versions: Mapping[str, bytes] = MappingProxyType({}),
    beats: Sequence[float] = (),
) -> int | None:
    """Show the player; return the segment that was clicked, if any.

    `versions` are WAV files of other versions of the sound, by name; `beats` are times in s.
    """
    song, mime = sound.song, result.mime
    if mime is None:
        with st.spinner("Making the sound playable …"):
            content = ask(analysis.wav_rendering, song, result.rate)
    else:
        content = song.content
    key = f"player-{song.digest[:16]}"
    url = media_url(content, mime or "audio/wav", key)
    others = {
        name: media_url(wav, "audio/wav", f"{key}-{number}")
        for number, (name, wav) in enumerate(versions.items())
    }
    clicked = evidence_player(url, result, why, key=key, versions=others, beats=beats)
    if mime is None:
        st.caption(
            "Not every browser plays this kind of file, so you hear what the model heard: mono, "
            f"{result.rate / 1000:g} kHz."
        )
    return clicked
