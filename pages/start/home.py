"""What GenreKit is, told with one clip of music, and where to begin."""

import streamlit as st

from genrekit.app.home.story import story
from genrekit.app.kit import tour
from genrekit.app.kit.clips import CLIPS
from genrekit.app.kit.widgets import plain_errors

# The page, its link, its icon, and what there is to do.
STEPS = (
    (
        "learn/mel_scale.py",
        "Hear how ears measure pitch",
        ":material/hearing:",
        "The mel scale, and a sound followed down to the numbers a machine keeps.",
    ),
    (
        "learn/neuron.py",
        "Take a neuron apart",
        ":material/hub:",
        "It multiplies, adds and bends: move its weights and see the arithmetic.",
    ),
    (
        "learn/backprop.py",
        "Watch a network learn",
        ":material/network_node:",
        "A small network learns to add, error by error. Look inside every step.",
    ),
    (
        "build/dataset.py",
        "Prepare a dataset",
        ":material/library_music:",
        "Music cut into segments and turned into numbers, every file accounted for.",
    ),
    (
        "build/train.py",
        "Train a classifier",
        ":material/model_training:",
        "A network of your own, and how far to trust its score.",
    ),
    (
        "listen/classify.py",
        "Classify a song",
        ":material/graphic_eq:",
        "Drop in a song: what is it, how sure is the machine, and why?",
    ),
)


def begin() -> None:
    """The two ways in: a verdict at once, or one thing after another."""
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "See a verdict and its evidence", type="primary", icon=":material/graphic_eq:"
        ):
            st.switch_page("listen/classify.py", query_params=clip.query)
        st.button(
            "Take the ten-minute tour",
            icon=":material/tour:",
            on_click=tour.switch,
            args=(tour.TOUR, True),
        )


def steps() -> None:
    """One card for each page."""
    for row in (STEPS[:3], STEPS[3:]):
        for column, (page, label, icon, about) in zip(st.columns(3), row, strict=True):
            with column.container(border=True, height="stretch", gap="xxsmall"):
                st.page_link(page, label=f"**{label}**", icon=icon)
                st.caption(about)


clip = next(clip for clip in CLIPS if clip.name == "jazz")
st.title("How does a machine hear music?", anchor=False)
st.markdown(
    "Sound becomes a picture, the picture becomes numbers, and the numbers become a verdict. Here "
    "is one clip."
)
begin()
with plain_errors():
    story(clip)
st.header("Now do it yourself, step by step", anchor=False)
steps()
