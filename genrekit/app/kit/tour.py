"""The way through the pages: a guided tour, the link at the end of each page, a presenter view.

Tour and presenter view are modes of a visit. A mode stands in the address, so that a link or a
reload keeps it, and in the session, because a page switch drops it from the address.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import streamlit as st

from genrekit.model.bundle import DEFAULT_MODEL
from genrekit.wording import duration

__all__ = [
    "PRESENT",
    "STOPS",
    "TOUR",
    "Stop",
    "begin",
    "end",
    "is_on",
    "offer",
    "stop_at",
    "switch",
    "sync",
]

TOUR: Final = "tour"
PRESENT: Final = "present"


@dataclass(frozen=True)
class Stop:
    """One stop of the tour, a demonstration of ten minutes in all.

    Attributes
    ----------
    page : str, the page's script, as page links name it
    address : str, the page's place in the address
    title : str
    minutes : int
    show : str, what to do and what to see then
    action : str, what the link does that sets this up; empty where nothing needs it
    query : the settings that this link brings
    enter : those that tell this stop from others on its page
    later : those of what follows this stop on its page, from where the way on is the same
    """

    page: str
    address: str
    title: str
    minutes: int
    show: str
    action: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    enter: Mapping[str, str] = field(default_factory=dict)
    later: Mapping[str, str] = field(default_factory=dict)


STOPS: Final = (
    Stop(
        "start/home.py",
        "",
        "Home",
        1,
        "Press **Play the clip** and follow the line: a wave becomes a picture, the picture "
        "becomes numbers, and the numbers become bars that change with the music.",
    ),
    Stop(
        "learn/mel_scale.py",
        "mel-scale",
        "The mel scale",
        1,
        "Play both staircases. One climbs in equal steps of hertz, the other in equal steps of "
        "mel. Which of them sounds even?",
        "Open the staircases",
        {"mel_view": "Ear test", "mel_test": "Staircases"},
    ),
    Stop(
        "learn/mel_scale.py",
        "mel-scale",
        "From sound to MFCC",
        1,
        "Play the four steps below the pictures, one after another. At the last one the melody "
        "is gone and the tone colour stays: that is what the numbers keep.",
        "Take a piece in the classical style",
        {"mel_view": "Sound to MFCC", "mel_clip": "Music: classical"},
        {"mel_view": "Sound to MFCC"},
        {"mel_view": "Trace a number"},
    ),
    Stop(
        "learn/neuron.py",
        "neuron",
        "A neuron",
        1,
        "This one fires only when both inputs are on. Move one input to 0: the sum falls below "
        "zero, and the answer from 1 to 0.",
        "Make it an AND",
        {
            "nr_n": "2",
            "nr_x1": "1.0",
            "nr_x2": "1.0",
            "nr_w1": "1.0",
            "nr_w2": "1.0",
            "nr_bias": "true",
            "nr_b": "-1.5",
            "nr_act": "step",
        },
    ),
    Stop(
        "learn/backprop.py",
        "backprop",
        "A network that learns",
        2,
        "Watch the error fall: it is learning to add. Then ask it for 0.9 + 0.9, far from "
        "anything it has seen, and it is wrong.",
        "Ask for 0.9 + 0.9",
        {"bp_q1": "0.9", "bp_q2": "0.9"},
    ),
    Stop(
        "build/dataset.py",
        "dataset",
        "Prepare a dataset",
        1,
        "Press **Make the demo dataset**. In about six seconds 144 pieces are composed, cut "
        "up and measured. On the map, choose a point to hear it.",
        "Show the map when it is made",
        {"view": "Map of all segments"},
    ),
    Stop(
        "build/train.py",
        "train",
        "Train a classifier",
        1,
        "Press **Train** and watch both curves. Then press **Leak meter**: the same network gets "
        "three different scores, and only two of them are worth anything.",
        "Set fifteen epochs",
        {"epochs": "15"},
    ),
    Stop(
        "listen/classify.py",
        "classify",
        "Classify a song",
        2,
        "See the verdict, how sure it is, and which places of the music spoke for it. Then drop "
        "in a song of your own, and let the model that you have trained hear it, too.",
        "Let the shipped model hear an example, and ask why",
        {"listener": f"Shipped: {DEFAULT_MODEL}", "source": "An example", "look": "Why"},
    ),
)


def stop_at(address: str, query: Mapping[str, str]) -> int | None:
    """The number, from 0, of the stop that a page with these settings is, if it is one."""
    here = [
        number
        for number, stop in enumerate(STOPS)
        if stop.address == address
        and (_holds(stop.enter, query) or (stop.later and _holds(stop.later, query)))
    ]
    return here[-1] if here else None


def _holds(settings: Mapping[str, str], query: Mapping[str, str]) -> bool:
    return all(query.get(name) == value for name, value in settings.items())


# -- the modes ----------------------------------------------------------------------------------


def sync() -> None:
    """Take the modes from the address, or write them there again after a page switch."""
    for mode in (TOUR, PRESENT):
        if mode in st.query_params:
            st.session_state[mode] = st.query_params[mode] == "1"
        if is_on(mode):
            st.query_params[mode] = "1"


def is_on(mode: str) -> bool:
    """Whether this visit is in the mode."""
    return bool(st.session_state.get(mode))


def switch(mode: str, on: bool) -> None:
    """Enter or leave a mode; for a button's callback."""
    st.session_state[mode] = on
    if on:
        st.query_params[mode] = "1"
    else:
        st.query_params.pop(mode, None)


def _modes() -> dict[str, str]:
    return {mode: "1" for mode in (TOUR, PRESENT) if is_on(mode)}


def offer() -> None:
    """The ways into both modes, below the navigation."""
    with st.sidebar.container(gap=None):
        st.button(
            "Ten-minute tour",
            icon=":material/tour:",
            type="tertiary",
            on_click=switch,
            args=(TOUR, True),
            disabled=is_on(TOUR),
        )
        st.button(
            "Presenter view",
            icon=":material/present_to_all:",
            type="tertiary",
            on_click=switch,
            args=(PRESENT, True),
            help="Larger type and nothing around the page, for a projector. Escape leaves it.",
        )


# -- what the frame draws around a page -----------------------------------------------------------


def begin(address: str) -> None:
    """Above a page: the presenter's look, and the tour's bar."""
    if is_on(PRESENT):
        st.html(Path(__file__).with_name("present.css"))
        st.button(
            "Leave presenter view",
            icon=":material/close_fullscreen:",
            key="leave_present",
            shortcut="Esc",
            on_click=switch,
            args=(PRESENT, False),
        )
    number = _current(address)
    if is_on(TOUR) and number is not None:
        _bar(number, STOPS[number])


def _current(address: str) -> int | None:
    return stop_at(address, st.query_params.to_dict())


def _bar(number: int, stop: Stop) -> None:
    with st.container(key="tour", gap="xsmall"):
        with st.container(key="tour_head", horizontal=True, vertical_alignment="center"):
            length = duration(60 * stop.minutes)
            st.markdown(
                f":material/tour: **Stop {number + 1} of {len(STOPS)}: {stop.title}** · {length}",
                width="stretch",
            )
            if number:
                _link(STOPS[number - 1], "Back", ":material/arrow_back:")
            if number + 1 < len(STOPS):
                _link(STOPS[number + 1], "Next", ":material/arrow_forward:")
            st.button(
                "Leave the tour",
                key="leave_tour",
                icon=":material/close:",
                type="tertiary",
                on_click=switch,
                args=(TOUR, False),
            )
        if stop.action:  # above the text, which speaks of what it sets up
            st.page_link(
                stop.page,
                label=stop.action,
                icon=":material/tune:",
                query_params={**stop.query, **_modes()},
            )
        st.markdown(stop.show)


def end(address: str) -> None:
    """Below a page: the way on."""
    number = _current(address)
    with st.container(key="way_on", horizontal=True, horizontal_alignment="right"):
        if number is None or number + 1 == len(STOPS):
            _link(STOPS[0], "Back to the start", ":material/home:")
        else:
            after = STOPS[number + 1]
            _link(after, f"Next: {after.title}", ":material/arrow_forward:")


def _link(stop: Stop, label: str, icon: str) -> None:
    st.page_link(stop.page, label=label, icon=icon, query_params={**stop.enter, **_modes()})
