"""GenreKit in the browser: page frame and navigation. Run with `streamlit run streamlit_app.py`."""

import os
from pathlib import Path

import streamlit as st

from genrekit.app.jobs import PATIENT_THREADS

# Before anything imports torch, which reads them once.
os.environ.update({**PATIENT_THREADS, **os.environ})

HERE = Path(__file__).parent

st.set_page_config(
    page_title="GenreKit",
    page_icon=str(HERE / "genrekit" / "app" / "icon.png"),
    layout="wide",
)

SECTIONS = {
    "Start": [
        st.Page("pages/start/home.py", title="Home", icon=":material/home:", default=True),
    ],
    "Learn": [
        st.Page(
            "pages/learn/mel_scale.py",
            title="Mel scale",
            icon=":material/hearing:",
            url_path="mel-scale",
        ),
        st.Page("pages/learn/neuron.py", title="Neuron", icon=":material/hub:", url_path="neuron"),
        st.Page(
            "pages/learn/backprop.py",
            title="Backprop playground",
            icon=":material/network_node:",
            url_path="backprop",
        ),
    ],
    "Build": [
        st.Page(
            "pages/build/dataset.py",
            title="Dataset",
            icon=":material/library_music:",
            url_path="dataset",
        ),
        st.Page(
            "pages/build/train.py",
            title="Train",
            icon=":material/model_training:",
            url_path="train",
        ),
    ],
    "Listen": [
        st.Page(
            "pages/listen/classify.py",
            title="Classify",
            icon=":material/graphic_eq:",
            url_path="classify",
        ),
    ],
}

st.navigation(SECTIONS).run()
