"""Section of the mel scale page: one frequency on both rulers, its formulas and its curve."""

import numpy as np
import streamlit as st

from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import URL, chart, choice
from genrekit.app.mel import figures as views
from genrekit.audio.encode import wav_bytes
from genrekit.mel import tones
from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.system.records import read_toml
from genrekit.wording import numeral

__all__ = ["calculator"]


def calculator() -> None:
    page_heading("calculator")
    hz, formula = _frequency_inputs()
    _rulers(hz, formula)
    _formulas(hz)
    _curve(hz)
    _two_formulas()


def _frequency_inputs() -> tuple[float, MelFormula]:
    """Offer three ways to set one frequency, which the address keeps in hertz."""
    notes = {i: float(np.round(tones.note_frequency(i), 2)) for i in range(16, 136)}
    names = {i: f"{tones.nearest_note(f)[0]} · {f:.5g} Hz" for i, f in notes.items()}
    left, second, middle, right = st.columns([3, 3, 3, 4])
    hz = left.number_input(
        "Frequency, Hz", 0.0, 96_000.0, 440.0, 10.0, key="mel_hz", format="%.6g", **URL
    )
    with second:
        formula: MelFormula = choice("Mel formula", views.FORMULA_NAMES, "mel_formula")

    def from_mel() -> None:
        st.session_state.mel_hz = round(float(mel_to_hz(st.session_state.mel_of, formula)), 4)

    def from_note() -> None:
        st.session_state.mel_hz = notes[st.session_state.mel_note]

    st.session_state.mel_of = float(round(float(hz_to_mel(hz, formula)), 3))
    middle.number_input(
        "The same in mel",
        0.0,
        float(np.ceil(hz_to_mel(96_000, formula))),
        step=100.0 if formula == "htk" else 1.0,
        key="mel_of",
        on_change=from_mel,
        format="%.6g",
    )
    midi = int(np.clip(np.rint(69 + 12 * np.log2(max(hz, 1) / 440)), 16, 135))
    st.session_state.mel_note = midi
    right.select_slider(
        "…or drag along the notes",
        list(notes),
        format_func=names.__getitem__,
        key="mel_note",
        on_change=from_note,
    )
    return float(hz), formula


def _rulers(hz: float, formula: MelFormula) -> None:
    htk, slaney = float(hz_to_mel(hz, "htk")), float(hz_to_mel(hz, "slaney"))
    with st.container(horizontal=True):
        st.metric("hertz", numeral(hz, 6), border=True, width=165)
        st.metric("mel, HTK", f"{htk:,.2f}", border=True, width=165)
        st.metric("mel, Slaney", f"{slaney:,.3f}", border=True, width=165)
        st.metric("nearest note", views.note_label(hz), border=True, width=265)
    worth = float(mel_to_hz(hz_to_mel(hz, formula) + 1, formula)) - hz
    st.markdown(
        f"Here one more mel ({views.FORMULA_NAMES[formula]}) is **{worth:.2f} Hz** more. "
        "A *cent* is a hundredth of a semitone, the step from one piano key to the next."
    )
    if 20 <= hz <= 18_000:
        st.audio(
            wav_bytes(tones.melody([hz], tone_seconds=1.2), tones.SAMPLE_RATE),
            alt=f"A pure tone of {hz:.6g} Hz",
        )
    else:
        st.caption("No player here: hardly anyone hears tones below 20 Hz or above 18,000 Hz.")


def _formulas(hz: float) -> None:
    for column, formula in zip(st.columns(2), views.FORMULA_NAMES, strict=True):
        with column.container(border=True):
            st.markdown(f"**{views.FORMULA_NAMES[formula]}**, hertz to mel and back")
            st.latex(views.formula_latex(hz, formula))
            st.latex(views.inverse_latex(hz, formula))


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
