"""The glossary: a search over every technical word of the app."""

import streamlit as st

from genrekit.app.kit.glossary import GROUPS, MENTIONS, Term, anchor, find
from genrekit.app.kit.widgets import escape, page_header, plain_errors


def show(term: Term) -> None:
    """Show a term with its meaning, what it looks like here, and a link to a page with it."""
    with st.container(border=True, gap="xsmall"):
        st.subheader(term.name, anchor=anchor(term))
        st.markdown(term.says)
        st.caption(f"**Here:** {term.here}")
        mention = MENTIONS[term.mentions[0]]
        st.page_link(
            mention.page,
            label=mention.title,
            query_params=mention.query,
            icon=":material/arrow_forward:",
        )


def main() -> None:
    page_header(
        "Glossary",
        "Every technical word of these pages, in a sentence or two, in the order in which you "
        "meet them. Each page has a button, **Words on this page**, with those that it uses.",
        "look up a word that a friend would ask you about.",
    )
    wanted = st.text_input(
        "Look up",
        placeholder="loss, segment, MFCC …",
        type="search",
        live=True,
        key="word",
        bind="query-params",
    )
    found = find(wanted or "")
    if not found:
        st.info(
            f"No word here has “{escape(wanted or '')}” in it. Try a shorter piece of it.",
            icon=":material/search_off:",
        )
    for group, terms in GROUPS.items():
        shown = [term for term in terms if term in found]
        if shown:
            st.header(group, anchor=False)
        for term in shown:
            show(term)


with plain_errors():
    main()
