"""Two rulers of the mel scale page, hertz and mel: for a tone to drag, or for steps to compare."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import streamlit as st

from genrekit.app.kit.charts import BLUE, ORANGE
from genrekit.app.kit.component import component, into_address
from genrekit.app.mel.figures import FORMULA_NAMES
from genrekit.mel.number_list import parse_numbers
from genrekit.mel.scale import MelFormula, hz_to_mel, mel_to_hz
from genrekit.mel.tones import nearest_note

__all__ = ["step_rulers", "tone_rulers"]

_START_HZ: Final = 440.0
_TOP_HZ: Final = 96_000.0
_mount: Final = component("rulers")


def tone_rulers() -> float:
    """Show the tone of the address on both rulers, with a calculator, and return it in Hz."""
    given, _, _ = parse_numbers(st.query_params.get("mel_hz", ""), "hz")
    hz = min(given[0], _TOP_HZ) if given else _START_HZ
    name = st.query_params.get("mel_formula", "").lower()
    formula: MelFormula = "slaney" if name == "slaney" else "htk"
    htk, slaney = float(hz_to_mel(hz, "htk")), float(hz_to_mel(hz, "slaney"))
    note, cents = nearest_note(hz)
    mel = hz_to_mel(hz, formula)
    values = {"hz": hz, "formula": formula}
    _mount(
        key="mel_rulers",
        data={
            "values": values,
            "core": {
                "htk": htk,
                "slaney": slaney,
                "name": str(note),
                "cents": float(np.nan_to_num(cents)),
                "worth": float(mel_to_hz(mel + 1, formula)) - hz,
            },
            "label": f"A tone of {hz:.6g} Hz on a hertz ruler and on a mel ruler "
            f"({FORMULA_NAMES[formula]}), where it is {mel:.2f} mel.",
        },
        on_settings_change=into_address("mel_rulers", "mel_", values),
    )
    return hz


def step_rulers(steps: Mapping[str, tuple[float, ...]], label: str) -> None:
    """Show named steps, each the frequencies (Hz) where one ends and the next begins."""
    _mount(
        key="mel_steps",
        data={
            "values": {
                "hz": max(max(frequencies) for frequencies in steps.values()),
                "formula": "htk",
            },
            "marks": steps,
            "colours": (BLUE, ORANGE),
            "label": label,
        },
    )
