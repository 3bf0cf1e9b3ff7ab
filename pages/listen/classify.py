"""Drop in songs: what are they, how sure is the model, why, and does it hold?"""

from bisect import bisect_right

import streamlit as st

from genrekit.app import session
from genrekit.app.classify import inputs
from genrekit.app.classify import overview as views
from genrekit.app.classify.inputs import ModelChoice, Outcome
from genrekit.app.kit.glossary import page_words
from genrekit.app.kit.widgets import first_step, page_header, plain_errors
from genrekit.verdict.analysis import SongResult


def nothing_yet() -> None:
    """What to do first, and what there will be to see."""
    st.info(
        "Nothing to hear yet. Drop in a song above, or choose **An example**: then there will be "
        "the verdict here, the song as a spectrogram with every segment's verdict to click "
        "through, and what spoke for it.",
        icon=":material/graphic_eq:",
    )


def song(one: Outcome, listener: ModelChoice, found: list[ModelChoice]) -> None:
    """Everything about one song; the closer look is computed when it is chosen."""
    heard = views.show_song(one, listener)
    if heard is None:
        return
    evidence = st.container()
    if not heard.verdict.probabilities:
        with evidence:
            views.show_evidence(one, heard, None)
        return
    look = views.choose_look()
    segment = chosen_segment(one, heard)
    why = views.ask_why(one, heard, listener, segment) if look == views.WHY else None
    with evidence:
        clicked = views.show_evidence(one, heard, why)
    if clicked is not None and clicked != segment:
        segment = clicked
        st.query_params["segment"] = str(clicked + 1)
        if why is not None:  # computed for the segment before
            st.rerun()
    if why is not None:
        views.show_reasons(one, heard, listener, segment, why)
    elif look == views.STRESS:
        views.show_stress(one, heard, listener, segment)
    elif look == views.COMPARE:
        views.show_comparison(one, heard, found)
    elif look == views.TAKE:
        views.show_take_away(one, listener)


def chosen_segment(one: Outcome, heard: SongResult) -> int:
    """The segment in the address, counted from 0; the first where it names none of this song.

    Under a model that cuts the song otherwise, the segment at the same moment.
    """
    starts = tuple(part.start for part in heard.verdict.segments)
    text = st.query_params.get("segment", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
    now = (one.sound.song.digest, starts)
    song, cut = st.session_state.get("segment_of", now)
    st.session_state["segment_of"] = now
    if (song, cut) != now:
        moment = cut[number - 1] if song == now[0] and 1 <= number <= len(cut) else 0.0
        number = bisect_right(starts, moment + 1e-6)
        st.query_params["segment"] = str(number)
    return number - 1 if 1 <= number <= len(starts) else 0


page_header(
    "Classify a song",
    "The model listens to the whole song in segments of a few seconds, gives each a probability "
    "for every genre, and takes the mean. Then you can see and hear what it went by, and put the "
    "verdict to the test.",
    "a song that you know well, then the same song hummed into the microphone.",
)
page_words("classify")
with plain_errors():
    session.sync()
    found = inputs.model_choices()
    if not found:
        st.info("There is no model yet: train one first.")
        first_step("build/train.py", "Train a classifier", ":material/model_training:")
    else:
        listener = inputs.choose_listener(found)
        sounds = inputs.choose_sounds()
        if not sounds:
            nothing_yet()
        else:
            results = inputs.hear_all(sounds, listener)
            one = views.show_table(results) if len(results) > 1 else results[0]
            song(one, listener, found)
