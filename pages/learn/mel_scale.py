"""The mel scale: convert, see, hear, and follow a sound until it is an MFCC."""

import streamlit as st

from genrekit.app.kit.widgets import plain_errors
from genrekit.app.mel.calculator import calculator
from genrekit.app.mel.ear_test import ear_test
from genrekit.app.mel.filter_bank import filter_bank
from genrekit.app.mel.number_list import number_list
from genrekit.app.mel.sound import sound_to_mfcc, trace

SECTIONS = {
    "calculator": ("Calculator", calculator),
    "list": ("List", number_list),
    "ear": ("Ear test", ear_test),
    "bank": ("Filter bank", filter_bank),
    "sound": ("Sound to MFCC", sound_to_mfcc),
    "trace": ("Trace a number", trace),
}

with plain_errors():
    section = st.segmented_control(
        "Section of this page",
        list(SECTIONS),
        default="calculator",
        required=True,
        wrap=True,
        format_func=lambda name: SECTIONS[name][0],
        key="mel_view",
        bind="query-params",
        label_visibility="collapsed",
    )
    SECTIONS[section][1]()
