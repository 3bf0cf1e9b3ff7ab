"""The frame around every page: its title, its icon and the navigation."""

from pathlib import Path

import streamlit as st

from genrekit.app.host.memory import remember_visitor
from genrekit.app.kit import tour

HERE = Path(__file__).parent
KIT = Path(tour.__file__).parent
# Just wide enough for the longest title.
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


def page(script: str, title: str, icon: str, address: str = "") -> st.Page:
    return st.Page(
        HERE / script,
        title=title,
        icon=f":material/{icon}:",
        url_path=address or None,
        default=not address,
    )


SECTIONS = {
    "Start": [
        page("start/home.py", "Home", "home"),
        page("start/glossary.py", "Glossary", "dictionary", "glossary"),
        page("start/privacy.py", "Privacy", "shield", "privacy"),
    ],
    "Learn": [
        page("learn/mel_scale.py", "Mel scale", "hearing", "mel-scale"),
        page("learn/neuron.py", "Neuron", "hub", "neuron"),
        page("learn/backprop.py", "Backprop playground", "network_node", "backprop"),
    ],
    "Build": [
        page("build/dataset.py", "Dataset", "library_music", "dataset"),
        page("build/train.py", "Train", "model_training", "train"),
    ],
    "Listen": [page("listen/classify.py", "Classify", "graphic_eq", "classify")],
}

tour.sync()
presenting = tour.is_on(tour.PRESENT)
current = st.navigation(SECTIONS, position="hidden" if presenting else "sidebar")
if not presenting:
    tour.offer()
with tour.around(current.url_path):
    current.run()
