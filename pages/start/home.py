"""What GenreKit is, and where to begin."""

import streamlit as st

st.title("How does a machine hear music?", anchor=False)
st.markdown(
    "A song is a long list of numbers. Here you can watch a machine turn them into pictures, "
    "learn from the pictures, and say what kind of music it hears, with its evidence."
)

STEPS = (
    (
        "1 · How ears measure pitch",
        "The mel scale turns frequencies into steps that sound equal. Hear it, and follow a "
        "sound down to the handful of numbers a machine keeps.",
        "learn/mel_scale.py",
        "Open the mel scale",
        ":material/hearing:",
    ),
    (
        "2 · One neuron",
        "A neuron multiplies, adds and bends. Move its weights and see the arithmetic.",
        "learn/neuron.py",
        "Open the neuron",
        ":material/hub:",
    ),
    (
        "3 · A network that learns",
        "Watch a small network learn to add, error by error, and look inside each step.",
        "learn/backprop.py",
        "Open the playground",
        ":material/network_node:",
    ),
    (
        "4 · A dataset",
        "Cut music into segments and turn each one into numbers, with every file accounted for.",
        "build/dataset.py",
        "Prepare a dataset",
        ":material/library_music:",
    ),
    (
        "5 · Your own classifier",
        "Train a network to tell genres apart, and learn how far to trust its score.",
        "build/train.py",
        "Train a classifier",
        ":material/model_training:",
    ),
    (
        "6 · A verdict",
        "Drop in a song: what is it, how sure is the machine, and why?",
        "listen/classify.py",
        "Classify a song",
        ":material/graphic_eq:",
    ),
)

for row in (STEPS[:3], STEPS[3:]):
    for column, (title, about, page, label, icon) in zip(st.columns(3), row, strict=True):
        with column.container(border=True, height="stretch"):
            st.subheader(title, anchor=False)
            st.markdown(about)
            st.page_link(page, label=label, icon=icon)
