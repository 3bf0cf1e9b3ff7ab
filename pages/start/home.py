"""What GenreKit is, told with one clip of music, and where to begin."""

from pathlib import Path

import streamlit as st

from genrekit.app.classify.inputs import LIVE
from genrekit.app.home.story import story
from genrekit.app.kit import tour
from genrekit.app.kit.clips import CLIPS
from genrekit.app.kit.widgets import plain_errors
from genrekit.app.settings import settings
from genrekit.system.records import read_toml

CARDS = read_toml(str(Path(__file__).with_name("cards")))["card"]


def ways_in() -> None:
    """Offer the ways on from the story: what its verdict rests on, the microphone, the tour."""
    with st.container(horizontal=True, gap="small"):
        if st.button("See why it says so", icon=":material/graphic_eq:"):
            st.switch_page("listen/classify.py", query_params=clip.query)
        if settings().live_places and st.button("Let it listen", icon=":material/mic:"):
            st.switch_page("listen/classify.py", query_params={"source": LIVE})
        tour.button("Take the ten-minute tour", "tour", tour.TOUR, disabled=tour.is_on(tour.TOUR))


def cards() -> None:
    """Show a card for each page."""
    for row in (CARDS[:3], CARDS[3:]):
        for column, card in zip(st.columns(3), row, strict=True):
            with column.container(border=True, height="stretch", gap="xxsmall"):
                st.page_link(card["page"], label=f"**{card['label']}**", icon=card["icon"])
                st.caption(card["about"])


clip = next(clip for clip in CLIPS if clip.name == "jazz")
st.title("How does a machine hear music?", anchor=False)
tour.prose("heading").markdown("Press play, and follow one clip from its sound to a verdict.")
with plain_errors():
    story(clip)
with tour.prose("ways_on"):
    ways_in()
    st.header("Now do it yourself, step by step", anchor=False)
    cards()
