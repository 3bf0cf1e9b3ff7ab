"""Section of the mel scale page: one tone on both rulers, lists of numbers and the curve."""

import streamlit as st

from genrekit.app.kit import tour
from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import chart, choice
from genrekit.app.mel import figures as views
from genrekit.app.mel.number_list import number_list
from genrekit.app.mel.rulers import tone_rulers
from genrekit.mel.scale import hz_to_mel
from genrekit.system.records import read_toml

__all__ = ["calculator"]


def calculator() -> None:
    page_heading("calculator")
    hz = tone_rulers()
    with st.expander("Convert a list of numbers", expanded="mel_list" in st.query_params):
        number_list()
    with st.expander("Both formulas as curves"):
        _curve(hz)
    with tour.prose("formulas"):
        _two_formulas()


def _curve(hz: float) -> None:
    axis = choice(
        "Frequency axis",
        ["linear", "logarithmic"],
        "mel_axis",
        help="Logarithmic: every octave, a doubling of the frequency, is equally wide.",
    )
    chart(
        views.curve_figure(hz, logarithmic=axis == "logarithmic"),
        alt=f"Mel over frequency, {axis} axis. Both formulas rise steeply at first and flatten "
        f"towards high frequencies; {hz:.6g} Hz is marked at {float(hz_to_mel(hz)):.1f} mel.",
        key="mel_curve",
    )


def _two_formulas() -> None:
    for entry in read_toml(__file__)["questions"]:
        with st.expander(entry["question"]):
            for part in entry["answer"]:
                for draw, text in part.items():
                    getattr(st, draw)(text)
