"""The guided tour, whose stops are in `tour.toml`, and the presenter view.

Both are modes of a visit. The address keeps a mode for links and reloads, the session because a
page switch drops it from the address. At some stops the tour asks for a guess, and sets up what
answers it; the page that knows the outcome says so by `happened`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import streamlit as st

from genrekit.app.kit.clips import CLIPS
from genrekit.app.kit.component import component
from genrekit.app.kit.media import media_url
from genrekit.model.bundle import DEFAULT_MODEL
from genrekit.system.records import read_toml, record
from genrekit.system.shipped import shipped_folder

__all__ = [
    "PRESENT",
    "STOPS",
    "TOUR",
    "Stop",
    "around",
    "button",
    "happened",
    "is_on",
    "offer",
    "prose",
    "stop_at",
    "switch",
    "sync",
]

TOUR: Final = "tour"
PRESENT: Final = "present"
_PAGES: Final = shipped_folder() / "pages"
# In the session: the number of the stop shown, the place of its text, and by stop the guess and
# what came of it.
_AT: Final = "_stop"
_TEXT: Final = "_stop_text"
_GUESSES: Final = "_guesses"
# In the address.
_GUESS: Final = "guess"

_mount: Final = component("tour_bar")


@dataclass(frozen=True)
class Stop:
    """One stop of the tour, a demonstration of ten minutes in all.

    Attributes
    ----------
    page : the page's script, below `pages`
    address : the page's path in the address
    show : what to do, or the question to guess
    query : settings of the page
    enter : those of them that distinguish this stop from others on its page
    answers : what can be guessed: labels by outcome
    then : settings that answer the question
    said : what to say of a guess, with the fields guess, outcome and why
    clip : name of the bundled clip to hear before the guess, if any
    """

    page: str
    address: str
    title: str
    minutes: int
    show: str
    query: Mapping[str, str] = field(default_factory=dict)
    enter: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    then: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    clip: str = ""


def read_stops(tables: Mapping[str, Any]) -> tuple[Stop, ...]:
    """Return the stops in order.

    Raises
    ------
    ValueError
        Naming the stop that is incomplete, stands twice or names a page that is not there.
    """
    stops = tuple(
        record(Stop, table, table.get("title", f"Stop {number}"))
        for number, table in enumerate(tables["stops"], start=1)
    )
    for number, stop in enumerate(stops):
        if not (_PAGES / stop.page).is_file():
            raise ValueError(f"{stop.title}: there is no page {stop.page}.")
        if stop.title in [other.title for other in stops[:number]]:
            raise ValueError(f"{stop.title}: two stops have this title.")
    return stops


STOPS: Final = read_stops(read_toml(__file__, DEFAULT_MODEL=DEFAULT_MODEL))


def stop_at(address: str, query: Mapping[str, str]) -> int | None:
    """Return the index of the stop at a page with these settings, None if it is none."""
    here = None
    for number, stop in enumerate(STOPS):
        if stop.address == address and stop.enter.items() <= query.items():
            here = number
    return here


# -- the modes ----------------------------------------------------------------------------------


def sync() -> None:
    """Read the modes from the address, or write them there again after a page switch."""
    st.session_state.setdefault(_GUESSES, {})
    for mode in (TOUR, PRESENT):
        if mode in st.query_params:
            st.session_state[mode] = st.query_params[mode] == "1"
        if is_on(mode):
            st.query_params[mode] = "1"


def is_on(mode: str) -> bool:
    """Return True if this visit is in the mode."""
    return bool(st.session_state.get(mode))


def switch(mode: str, on: bool) -> None:
    """Enter or leave a mode, as a button's callback."""
    st.session_state[mode] = on
    if on:
        st.query_params[mode] = "1"
    else:
        st.query_params.pop(mode, None)


def button(label: str, icon: str, mode: str, on: bool = True, **more: Any) -> None:
    """Show a button that enters or leaves a mode; `more` are arguments of `st.button`."""
    st.button(label, icon=f":material/{icon}:", on_click=switch, args=(mode, on), **more)


def _modes() -> dict[str, str]:
    return {mode: "1" for mode in (TOUR, PRESENT) if is_on(mode)}


def offer() -> None:
    """Show the buttons for both modes below the navigation."""
    with st.sidebar.container(gap=None):
        button("Ten-minute tour", "tour", TOUR, type="tertiary", disabled=is_on(TOUR))
        button(
            "Presenter view",
            "present_to_all",
            PRESENT,
            type="tertiary",
            help="Larger type and nothing around the page, for a projector. Escape leaves it.",
        )


# -- around a page --------------------------------------------------------------------------------


@contextmanager
def around(address: str) -> Iterator[None]:
    """Draw what surrounds a page: the presenter's style, the bar above, the way on below."""
    number = stop_at(address, st.query_params.to_dict())
    st.session_state[_AT] = number if is_on(TOUR) else None
    if is_on(PRESENT):
        st.html(Path(__file__).with_name("present.css"))
    if is_on(PRESENT) or st.session_state[_AT] is not None:
        with st.container(
            key="tour_bar", horizontal=True, vertical_alignment="center", gap="xsmall"
        ):
            if st.session_state[_AT] is not None:
                _stop(st.session_state[_AT])
            if is_on(PRESENT):
                label = "Leave presenter view"
                button(
                    label, "close_fullscreen", PRESENT, False, key="leave_present", shortcut="Esc"
                )
    yield
    _way_on(number)


def prose(name: str, **more: Any) -> Any:
    """Return a container for text about an exhibit, which the presenter view leaves out."""
    return st.container(key=f"prose_{name}", **more)


def happened(outcome: str, why: str) -> None:
    """Tell the tour how a page has answered the guess that it was set up for, and why."""
    number, guesses = st.session_state.get(_AT), st.session_state.get(_GUESSES, {})
    if number is not None and number in guesses and "outcome" not in guesses[number]:
        guesses[number] |= {"outcome": outcome, "why": why}
        st.session_state[_TEXT].markdown(_says(number))  # the rest of the page may take its time


def _stop(number: int) -> None:
    """Draw the bar's part about a stop."""
    stop, guesses = STOPS[number], st.session_state[_GUESSES]
    if number not in guesses and st.query_params.get(_GUESS) in stop.answers:
        guesses[number] = {"guess": stop.answers[st.query_params[_GUESS]]}
    guessing = bool(stop.answers) and number not in guesses
    with st.container(key="tour_place", width="content"):
        st.markdown(f":material/tour: **{number + 1} of {len(STOPS)}**")
    with st.container(key="tour_text", width="stretch"):
        st.session_state[_TEXT] = st.empty()
        st.session_state[_TEXT].markdown(_says(number))
    with st.container(key="tour_answers", horizontal=True, gap="xsmall", width="content"):
        clip = next((c for c in CLIPS if guessing and c.name == stop.clip), None)
        sound = clip and media_url(clip.path.read_bytes(), "audio/ogg", "tour")
        _mount(key="tour_keys", data={"stop": f"{number} {guessing}", "sound": sound})
        for outcome, label in stop.answers.items() if guessing else ():
            query = {**stop.query, **stop.then, _GUESS: outcome, **_modes()}
            st.page_link(stop.page, label=label, query_params=query)
    if number:
        _link(STOPS[number - 1], "Back", ":material/arrow_back:", "tour_back")
    if number + 1 < len(STOPS):
        _link(STOPS[number + 1], "Next", ":material/arrow_forward:", "tour_next")
    button("Leave the tour", "close", TOUR, False, key="leave_tour", type="tertiary")


def _says(number: int) -> str:
    stop, guess = STOPS[number], st.session_state[_GUESSES].get(number)
    if guess is None:
        return stop.show
    if "outcome" not in guess:
        return f"You said {guess['guess']}."
    outcome = stop.answers.get(guess["outcome"], guess["outcome"])
    return stop.said.format(**guess | {"outcome": outcome})


def _way_on(number: int | None) -> None:
    with st.container(key="way_on", horizontal=True, horizontal_alignment="right"):
        if number is None or number + 1 == len(STOPS):
            _link(STOPS[0], "Back to the start", ":material/home:")
        else:
            following = STOPS[number + 1]
            _link(following, f"Next: {following.title}", ":material/arrow_forward:")


def _link(stop: Stop, label: str, icon: str, key: str = "") -> None:
    """Link to a stop, which the tour sets up."""
    query = {**(stop.query if is_on(TOUR) else stop.enter), **_modes()}
    with st.container(key=key or None, width="content"):
        st.page_link(stop.page, label=label, icon=icon, query_params=query)
