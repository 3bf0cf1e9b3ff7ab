"""Drop in songs: what are they, how sure is the model, why, and does it hold?"""

from bisect import bisect_right

import streamlit as st

from genrekit.app import session
from genrekit.app.classify import (
    compare,
    download,
    hears,
    inputs,
    live,
    overview,
    questions,
    rhythm,
    stress,
    why,
)
from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.questions import Outcome
from genrekit.app.kit import tour
from genrekit.app.kit.glossary import page_heading, setting
from genrekit.app.kit.widgets import first_step, plain_errors
from genrekit.model.verdicts import confidence_in_words
from genrekit.verdict.analysis import SongResult

LOOKS = "Why?", "Stress test", "Rhythm and key", "Compare models", "Download"
WHY, STRESS, RHYTHM, COMPARE, TAKE = LOOKS


def song(outcome: Outcome, model: ModelChoice, models: list[ModelChoice]) -> None:
    """Show one song; a closer look is computed when it is chosen."""
    overview.show_stage(outcome, model)
    sound, result = outcome.sound, outcome.result
    if result is None:
        return
    if not outcome.is_judged:
        overview.show_evidence(sound, result, None)
        return
    verdict = result.verdict
    how = f"{confidence_in_words(verdict.confidence)}, {verdict.confidence:.0%}"
    tour.happened(verdict.genre or "not sure", how)
    beside, player = st.container(), st.container()
    look = st.segmented_control(options=LOOKS, **setting("classify", "look"))
    segment = chosen_segment(sound, result)
    explanation, found, versions = None, None, {}
    if look == WHY:
        explanation = why.explain(sound, result, model, segment)
        versions = why.versions(sound, model, explanation)
    elif look == RHYTHM:
        found = rhythm.find(sound)
        versions = rhythm.versions(sound, found) if found else {}
    with player:
        beats = found.beats if found else ()
        clicked = overview.show_evidence(sound, result, explanation, versions, beats)
    if clicked is not None and clicked != segment:
        segment = clicked
        st.query_params["segment"] = str(clicked + 1)
        if explanation is not None:  # computed for the segment before
            st.rerun()
    if explanation is not None:
        why.show(sound, result, model, segment, explanation)
    elif found is not None:
        rhythm.show(sound, model, result.verdict, found, versions)
    elif look == STRESS:
        stress.show(sound, result, model, segment)
    elif look == COMPARE:
        compare.show(sound, models)
    elif look == TAKE:
        download.show(outcome, model)
    with beside:
        overview.offer_built_in(sound, model, models)
    overview.show_trust(result, model)
    if result.verdict.sounds_like:
        hears.show(result.verdict, model)


def chosen_segment(sound: Sound, result: SongResult) -> int:
    """Return the segment in the address, from 0; the first where the song has no such segment.

    When another model divides the song otherwise, return the segment at the same moment.
    """
    starts = result.starts
    text = st.query_params.get("segment", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    now = (sound.song.digest, starts)
    song, cut = st.session_state.get("segment_of", now)
    st.session_state["segment_of"] = now
    if (song, cut) != now:
        moment = cut[number - 1] if song == now[0] and 1 <= number <= len(cut) else 0.0
        number = bisect_right(starts, moment + 1e-6)
        st.query_params["segment"] = str(number)
    return number - 1 if 1 <= number <= len(starts) else 0


page_heading("classify")
with plain_errors():
    session.sync()
    models = inputs.model_choices()
    if not models:
        st.info("There is no model yet. Train one first.")
        first_step("build/train.py", "Train a classifier", ":material/model_training:")
    else:
        model, sounds = inputs.choose(models)
        if sounds is None:
            live.show(model)
        elif sounds:
            outcomes = questions.classify(sounds, model)
            song(overview.show_table(outcomes), model, models)
        else:
            st.caption("You'll see the verdict, the song's spectrogram and the evidence.")
