"""The inputs of a page: they leave it to their result, and a button brings them back.

They stand in a container with the key `INPUTS` and stay on the page, unseen, so that nothing in
them is lost.
"""

from collections.abc import Hashable
from typing import Final

import streamlit as st

__all__ = ["INPUTS", "fold", "offer_change", "unfold"]

INPUTS: Final = "inputs"


def fold(page: str, result: Hashable | None) -> None:
    """Hide the inputs of a page once they have a result, until the visitor asks for them.

    Parameters
    ----------
    page : a name for the page, which remembers its own state
    result : what tells one result from the next, or None while there is none
    """
    shown, is_open = f"{page}_result", _is_open(page)
    if is_open not in st.session_state or st.session_state[shown] != result:
        st.session_state.update({shown: result, is_open: result is None})
    if not st.session_state[is_open]:
        st.html(f"<style>.st-key-{INPUTS} {{ display: none; }}</style>")


def unfold(page: str) -> None:
    """Show the inputs of a page again, as a callback."""
    st.session_state[_is_open(page)] = True


def offer_change(page: str) -> None:
    """Show the button that brings the inputs back, below `fold`."""
    st.button(
        "Change",
        icon=":material/tune:",
        key="change",
        disabled=st.session_state[_is_open(page)],
        on_click=unfold,
        args=(page,),
    )


def _is_open(page: str) -> str:
    return f"{page}_inputs_open"
