"""The look "Why?": the evidence for a genre, and the most similar training segments."""

from typing import Final

import streamlit as st

from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.questions import ask
from genrekit.app.kit.glossary import setting
from genrekit.app.kit.widgets import choice, escape
from genrekit.model.neighbours import Nearest
from genrekit.model.verdicts import ranked
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.verdict.evidence import EVIDENCE_SHARE, MUTED_DB
from genrekit.wording import agree, counted

__all__ = ["explain", "show", "versions"]

_ONLY: Final = "Only the evidence"
_WITHOUT: Final = "Without the evidence"
_SPREAD: Final = "spread over the song"
_AROUND: Final = "around the chosen segment"


def explain(sound: Sound, result: SongResult, model: ModelChoice, segment: int) -> Explanation:
    """Let the visitor choose the genre and the part of the song, and explain it."""
    order = [genre for genre, _ in ranked(result.verdict.probabilities)]
    starts = result.starts
    left, right = st.columns(2)
    about = (sound.song.digest, model.file)
    if st.session_state.setdefault("explained", about) != about:
        # The genre was chosen for another song, or another model.
        st.session_state.update(explained=about, why_genre=order[0])
    genre = left.selectbox(options=order, **setting("classify", "why_genre"))
    around = None
    if len(starts) > analysis.EXPLAINED_SEGMENTS:
        label = f"{analysis.EXPLAINED_SEGMENTS} of the {len(starts)} segments are asked"
        with right:
            part = choice(label, [_SPREAD, _AROUND], "why_part")
        around = segment if part == _AROUND else None
    which = analysis.segments_to_explain(len(starts), around)
    with st.spinner("Turning parts of the song down, one after another, and asking again …"):
        return ask(analysis.explain, sound.song, model.file, genre or order[0], starts, which)


def versions(sound: Sound, model: ModelChoice, why: Explanation) -> dict[str, bytes]:
    """Return the song with only the evidence and without it, as WAV; nothing if there is none."""
    areas = why.areas
    if not areas.any():
        return {}
    with st.spinner("Taking the evidence out of the sound …"):
        sounds = ask(analysis.evidence_sounds, sound.song, model.file, areas.tobytes(), len(areas))
    return dict(zip((_ONLY, _WITHOUT), sounds, strict=True))


def show(
    sound: Sound, result: SongResult, model: ModelChoice, segment: int, why: Explanation
) -> None:
    """Show the evidence in words, then the most similar training segments."""
    asked, total = len(why.segments), len(result.verdict.segments)
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
    if why.areas.any():
        st.caption(f"{_how_heard(why, asked < total)} {_proof(model)}")
    st.markdown("### What it heard in training that sounds alike")
    with st.spinner("Comparing with the training segments …"):
        found = ask(analysis.nearest, sound.song, model.file, result.starts)
    if found is None:
        st.info(
            "This model does not carry the segments it was trained on, so there is nothing to "
            "compare with.",
            icon=":material/info:",
        )
        return
    _show_nearest(found, segment)


def _how_heard(why: Explanation, partly: bool) -> str:
    asked = " Where no segment was asked, there is no evidence." if partly else ""
    return (
        f"In the player, **{_ONLY}** keeps the {EVIDENCE_SHARE:.0%} of all areas that spoke most "
        f"for {escape(why.genre)}, and turns down the rest by {MUTED_DB:.0f} decibels; "
        f"**{_WITHOUT}** is the opposite. Both are as loud as the song, and sound as the model "
        f"hears it.{asked}"
    )


def _proof(model: ModelChoice) -> str:
    """Say how much the evidence proved for songs on which the model's card counts it."""
    measured = model.file.card().get("evidence")
    if not measured:
        return "Nobody has measured how much that proves for this model."
    kept, removed = measured["kept"], measured["removed"]
    return (
        f"How much that proves, counted on {counted(measured['songs'], 'song')}: with the evidence "
        f"alone, the likeliest genre stayed in {kept['evidence']:.0%} (with as many areas drawn at "
        f"random, in {kept['random']:.0%}); without it, it changed in {removed['evidence']:.0%} "
        f"({removed['random']:.0%} without random ones)."
    )


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
