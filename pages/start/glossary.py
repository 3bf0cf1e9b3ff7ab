"""The glossary: an index of every technical word of the app, and a search that knows others."""

from html import escape

import streamlit as st

from genrekit.app.kit.glossary import GROUPS, MENTIONS, Term, anchor, find, linked
from genrekit.app.kit.glossary_examples import PICTURES, picture, sound
from genrekit.app.kit.widgets import escape as literal
from genrekit.app.kit.widgets import plain_errors

FEW = 4


def entry(term: Term, shown: tuple[Term, ...], unfolded: bool) -> str:
    """Return a term that unfolds into its meaning, an example, and links to where it is met."""
    example = ""
    if term.example:
        draw = picture if term.example in PICTURES else sound
        example = f"<figure>{draw(term.example)}<figcaption>{term.example}</figcaption></figure>"
    places = (MENTIONS[key] for key in term.mentions)
    links = ", ".join(f'<a href="{place.link}">{escape(place.title)}</a>' for place in places)
    return (
        f"<details{' open' * unfolded}><summary>{escape(term.name)}</summary>"
        f'<p id="{anchor(term)}">{linked(term, shown)}</p>'
        f"{example}<p>{escape(term.here)}</p><p>On: {links}</p>"
        "</details>"
    )


def main() -> None:
    st.title("Glossary", anchor=False)
    wanted = st.text_input(
        "Look up a word, or choose one below",
        placeholder="loss, MFCC, pitch, volume, timbre …",
        type="search",
        live=True,
        key="word",
        bind="query-params",
    )
    found = find(wanted or "")
    if not found:
        st.info(
            f"No word here has “{literal(wanted or '')}” in it. Try a shorter piece of it.",
            icon=":material/search_off:",
        )
        return
    if wanted:
        entries = "".join(entry(term, found, i < FEW) for i, term in enumerate(found))
        st.html(f'<div class="glossary found">{entries}</div>')
        return
    groups = (
        f"<section><h2>{group}</h2>{''.join(entry(term, found, False) for term in terms)}</section>"
        for group, terms in GROUPS.items()
    )
    st.html(f'<div class="glossary">{"".join(groups)}</div>')


with plain_errors():
    main()
