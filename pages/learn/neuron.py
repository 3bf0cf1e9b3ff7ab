"""One artificial neuron, which moves by hand."""

import streamlit as st

from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import plain_errors
from genrekit.app.neuron.view import neuron_view
from genrekit.system.records import read_toml

with plain_errors():
    page_heading("neuron")
    TABLES = read_toml(__file__)
    neuron_view(TABLES["examples"], TABLES["activations"])
    st.caption(TABLES["decision"])
