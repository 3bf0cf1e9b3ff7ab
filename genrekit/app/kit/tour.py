"""The guided tour, whose stops are in `tour.toml`, and the presenter view.

Both are modes of a visit. The address keeps a mode for links and reloads, the session because a
page switch drops it from the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import streamlit as st

from genrekit.model.bundle import DEFAULT_MODEL
from genrekit.system.records import read_toml, record
from genrekit.wording import duration

__all__ = [
    "PRESENT",
    "STOPS",
    "TOUR",
    "Stop",
    "begin",
    "button",
    "end",
    "is_on",
    "offer",
    "stop_at",
    "switch",
    "sync",
]

TOUR: Final = "tour"
PRESENT: Final = "present"
_PAGES: Final = Path(__file__).resolve().parents[3] / "pages"


@dataclass(frozen=True)
class Stop:
    """One stop of the tour, a demonstration of ten minutes in all.

    Attributes
    ----------
    page : the page's script, below `pages`
    address : the page's path in the address
    show : instructions, and what there is to see
    action : label of the link that sets this up; empty if there is none
    query : settings of that link
    enter : settings that distinguish this stop from others on its page
    """

    page: str
    address: str
    title: str
    minutes: int
    show: str
    action: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    enter: Mapping[str, str] = field(default_factory=dict)


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


def begin(address: str) -> None:
    """Draw what stands above a page: the presenter's style, and the bar of the tour."""
    if is_on(PRESENT):
        st.html(Path(__file__).with_name("present.css"))
        label = "Leave presenter view"
        button(label, "close_fullscreen", PRESENT, False, key="leave_present", shortcut="Esc")
    number = stop_at(address, st.query_params.to_dict())
    if is_on(TOUR) and number is not None:
        _bar(number, STOPS[number])


def _bar(number: int, stop: Stop) -> None:
    with st.container(key="tour", gap="xsmall"):
        with st.container(key="tour_head", horizontal=True, vertical_alignment="center"):
            head = f"Stop {number + 1} of {len(STOPS)}: {stop.title}"
            length = duration(60 * stop.minutes)
            st.markdown(f":material/tour: **{head}** · {length}", width="stretch")
            if number:
                _link(STOPS[number - 1], "Back", ":material/arrow_back:")
            if number + 1 < len(STOPS):
                _link(STOPS[number + 1], "Next", ":material/arrow_forward:")
            button("Leave the tour", "close", TOUR, False, key="leave_tour", type="tertiary")
        if stop.action:  # above the text, which is about what it sets up
            st.page_link(
                stop.page,
                label=stop.action,
                icon=":material/tune:",
                query_params={**stop.query, **_modes()},
            )
        st.markdown(stop.show)


def end(address: str) -> None:
    """Draw the link to the next page below a page."""
    number = stop_at(address, st.query_params.to_dict())
    with st.container(key="way_on", horizontal=True, horizontal_alignment="right"):
        if number is None or number + 1 == len(STOPS):
            _link(STOPS[0], "Back to the start", ":material/home:")
        else:
            following = STOPS[number + 1]
            _link(following, f"Next: {following.title}", ":material/arrow_forward:")


def _link(stop: Stop, label: str, icon: str) -> None:
    st.page_link(stop.page, label=label, icon=icon, query_params={**stop.enter, **_modes()})
