"""The frame around every page: its title, its icon and the navigation."""

from pathlib import Path

import streamlit as st

from genrekit.app.host.memory import remember_visitor
from genrekit.app.kit import tour

HERE = Path(__file__).parent
KIT = HERE.parent / "genrekit" / "app" / "kit"
# Room for the longest title, and no more.
SIDEBAR_PIXELS = 240

remember_visitor()
st.set_page_config(
    page_title="GenreKit",
    page_icon=str(KIT / "icon.png"),
    layout="wide",
    initial_sidebar_state=SIDEBAR_PIXELS,
)
st.html(KIT / "style.css")
st.logo(KIT / "logo.svg", size="large", icon_image=KIT / "icon.svg")

SECTIONS = {
    "Start": [
        st.Page(HERE / "start/home.py", title="Home", icon=":material/home:", default=True),
        st.Page(
            HERE / "start/glossary.py",
            title="Glossary",
            icon=":material/dictionary:",
            url_path="glossary",
        ),
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

tour.sync()
presenting = tour.is_on(tour.PRESENT)
page = st.navigation(SECTIONS, position="hidden" if presenting else "sidebar")
if not presenting:
    tour.offer()
tour.begin(page.url_path)
page.run()
tour.end(page.url_path)
