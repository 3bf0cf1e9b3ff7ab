"""The backprop playground: a network that learns, and that can be inspected on the way."""

import streamlit as st

from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import choice, plain_errors
from genrekit.app.playground.names import LOOKS
from genrekit.app.playground.network_view import network_view
from genrekit.app.playground.panels import panel
from genrekit.app.playground.settings import settings_panel
from genrekit.app.playground.state import Playground, playground


def film(state: Playground) -> None:
    """Show the film: a fragment, which runs again when the browser asks for something."""
    if state.refresh:
        state.refresh = False
        st.rerun()
    with plain_errors(), state.lock:
        network_view(state)


def main() -> None:
    page_heading("backprop")
    left, right = st.columns([4, 1], gap="medium")
    with right:
        settings, rate, epochs = settings_panel()
    look = choice("Look closer", LOOKS, "bp_look")
    state = playground(settings, rate, epochs)
    with left:
        st.fragment(film)(state)
    if look != LOOKS[0]:
        with state.lock:
            run = state.run_shown()
        panel(look, run)


with plain_errors():
    main()
