"""Live listening: the verdict on what a visitor's microphone has heard in the last ten seconds."""

from typing import Any, Final

import streamlit as st

from genrekit.app import session, song_workers
from genrekit.app.classify.inputs import PAGE, ModelChoice
from genrekit.app.classify.listener import HEARD_SECONDS, Listener, Samples, places
from genrekit.app.classify.overview import MOST_TAGS, in_words, odds
from genrekit.app.classify.places import TURN_SECONDS, Place
from genrekit.app.kit.component import component
from genrekit.app.kit.inputs import offer_change
from genrekit.app.kit.widgets import escape
from genrekit.app.settings import settings
from genrekit.app.visitors import Visitor
from genrekit.model.verdicts import Verdict, clear_tags
from genrekit.verdict import analysis
from genrekit.verdict.report import candidates_in_words
from genrekit.wording import counted

__all__ = ["listen", "show"]

_TENS: Final = 10

_mount: Final = component("live")


def show(model: ModelChoice) -> None:
    """Show the stage on which a model listens to the visitor's microphone."""
    if "live" not in st.session_state:
        st.session_state["live"] = Listener(
            session.browser(st.context.cookies), model.file, session.visitor().address
        )
    listener: Listener = st.session_state["live"]
    listener.model = model.file
    with st.container(key="heard", horizontal=True, vertical_alignment="center"):
        st.header("Live", anchor=False, width="content")
        st.caption(escape(model.label), width="stretch")
        offer_change(PAGE)
    _mount(key="live_stage", data={"token": listener.token})


def listen(listener: Listener, samples: Samples, rate: int) -> dict[str, Any]:
    """Return what to show of the sound heard last, or the listener's place in the queue.

    Parameters
    ----------
    listener : Listener
    samples : ndarray, int16, shape (n,), mono, those that are new; none may be
    rate : int, Hz

    Raises
    ------
    GenreKitError
        As `song_workers.ask`.
    """
    place = places().ask(listener.token, listener.address)
    if place is None:
        had = f"Others are waiting, and you have had {TURN_SECONDS:.0f} s."
        return {"ended": f"{had} Start again to get in line."}
    if place.number:
        return {"place": _in_line(place)}
    heard = listener.hear(samples, rate)
    verdict = song_workers.ask(
        *(analysis.judge_samples, heard, rate, listener.model),
        about=listener.token,
        visitor=Visitor(listener.token, listener.address),
    )
    return _shown(verdict, len(heard) / rate)


def _in_line(place: Place) -> str:
    longest = _TENS * (1 + int(place.seconds / _TENS))
    return (
        f"{counted(settings().live_places, 'person is', 'people are')} listening already. You are "
        f"number {place.number} in line, and your turn comes within {longest} s."
    )


def _shown(verdict: Verdict, seconds: float) -> dict[str, Any]:
    """Return a verdict as the stage of a song shows it."""
    title, sure, note = in_words(verdict)
    if not verdict.probabilities:
        title = "Listening …" if seconds < HEARD_SECONDS else "No verdict"
    tags = ", ".join(clear_tags(verdict, MOST_TAGS))
    return {
        "title": title,
        "sure": sure,
        "note": note,
        "odds": odds(verdict),
        "said": f"{candidates_in_words(verdict)} {tags and f'Also hears: {tags}.'}".strip(),
    }
