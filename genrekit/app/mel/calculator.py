"""Section of the mel scale page: one frequency on both rulers, its formulas and its curve."""

import numpy as np
import streamlit as st

from genrekit.app.kit.glossary import page_words
from genrekit.app.kit.widgets import URL, chart, choice, page_header
from genrekit.app.mel import figures as views
from genrekit.audio.encode import wav_bytes
from genrekit.mel import tones
from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.wording import numeral

__all__ = ["calculator"]


def calculator() -> None:
    page_header(
        "The mel scale",
        "A **hertz** (Hz) counts vibrations a second; a **mel** counts how high a tone sounds. "
        "Below, one tone stands on both rulers: equal steps up the mel ruler are heard as about "
        "equal steps, while equal steps in hertz shrink as you go up.",
        "drag the tone from left to right and watch how many hertz one mel is worth.",
    )
    page_words("calculator")
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
    with st.expander("Why is 1000 Hz 1000 mel in one formula and 15 in the other?"):
        st.markdown(
            "They are two rulers for nearly the same curve, as centimetres and inches are for "
            "one length. **HTK** (O'Shaughnessy's formula of 1987, used by textbooks and the HTK "
            "and Kaldi toolkits) is scaled so that 1000 Hz is 1000 mel. **Slaney** (the "
            "Auditory Toolbox of 1998, the default of the librosa library) counts 15 steps up to "
            "1000 Hz, evenly spaced in hertz, and then 27 steps for every factor of 6.4. Neither "
            "is wrong, but their numbers must never be mixed. The curves above share the height "
            "of 1000 Hz so that their shapes can be compared."
        )
    with st.expander("And is it 2595 or 1127?"):
        st.markdown(
            "Both: it is one formula, written with two logarithms. 2595 goes with the logarithm "
            "to base 10, 1127 with the natural one, because changing the base divides by ln 10:"
        )
        st.latex(views.constants_latex())
        st.latex(r"2595\,\log_{10}\!\left(1+\tfrac{f}{700}\right)")
        st.latex(r"\approx 1127\,\ln\!\left(1+\tfrac{f}{700}\right)")
        st.markdown(
            "Rounding makes the only difference, less than one part in 50,000. It is also why "
            "1000 Hz comes out as 999.99 mel; some write 1127.01 instead, which makes it 1000.00."
        )
