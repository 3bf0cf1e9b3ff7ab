"""The frame around every page: its title, its icon and the navigation."""

from pathlib import Path

import streamlit as st

from genrekit.app.memory import settle
from genrekit.app.server import wait_for_imports

HERE = Path(__file__).parent

st.set_page_config(
    page_title="GenreKit",
    page_icon=str(HERE.parent / "genrekit" / "app" / "icon.png"),
    layout="wide",
)

SECTIONS = {
    "Start": [
        st.Page(HERE / "start/home.py", title="Home", icon=":material/home:", default=True),
    ],
    "Learn": [
        st.Page(
            HERE / "learn/mel_scale.py",
            title="Mel scale",
            icon=":material/hearing:",
            url_path="mel-scale",
        ),
        st.Page(HERE / "learn/neuron.py", title="Neuron", icon=":material/hub:", url_path="neuron"),
        st.Page(
            HERE / "learn/backprop.py",
            title="Backprop playground",
            icon=":material/network_node:",
            url_path="backprop",
        ),
    ],
    "Build": [
        st.Page(
            HERE / "build/dataset.py",
            title="Dataset",
            icon=":material/library_music:",
            url_path="dataset",
        ),
        st.Page(
            HERE / "build/train.py",
            title="Train",
            icon=":material/model_training:",
            url_path="train",
        ),
    ],
    "Listen": [
        st.Page(
            HERE / "listen/classify.py",
            title="Classify",
            icon=":material/graphic_eq:",
            url_path="classify",
        ),
    ],
}

page = st.navigation(SECTIONS)
wait_for_imports(page.url_path)
page.run()
settle()
