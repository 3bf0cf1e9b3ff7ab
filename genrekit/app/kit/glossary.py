"""The glossary: every technical word of the app, explained in `glossary.toml`.

Pages explain no words themselves: `page_words` shows those of a page, `tip` one beside a widget.
`setting` has the label and the explanation of a widget from `fields.toml`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from genrekit.app.kit import tour
from genrekit.app.kit.widgets import URL, page_header
from genrekit.system.records import read_toml, record
from genrekit.system.shipped import shipped_folder

__all__ = [
    *("FIELDS", "GROUPS", "HEADINGS", "MENTIONS", "TERMS", "Mention", "Term"),
    *("anchor", "find", "linked", "page_heading", "page_words", "setting", "tip"),
]

_PAGES: Final = shipped_folder() / "pages"


@dataclass(frozen=True)
class Mention:
    """A page that mentions terms, or a part of one, with the query that opens it."""

    title: str
    page: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def link(self) -> str:
        """The way to it from the glossary."""
        address = Path(self.page).stem.replace("_", "-")
        return f"{address}?{urlencode(self.query)}" if self.query else address


@dataclass(frozen=True)
class Term:
    """A word, its meaning, what it looks like here, and the keys of the pages that mention it.

    `also` are other forms of the word on these pages, `asked` everyday words that lead here, and
    `example` is one of the pictures and sounds in `glossary_examples.py`.
    """

    name: str
    says: str
    here: str
    mentions: tuple[str, ...]
    also: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    example: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A pattern that finds the word in a text, also in the plural; hip-hop has no hop."""
        forms = "|".join(re.escape(form) for form in (self.name.split(" (")[0], *self.also))
        return re.compile(rf"(?<!-)\b(?:{forms})(?:s|es)?\b", re.IGNORECASE)


def read_glossary(
    tables: Mapping[str, Any],
) -> tuple[dict[str, Mention], dict[str, tuple[Term, ...]]]:
    """Return the mentions by key and the terms by group.

    Raises
    ------
    ValueError
        Naming the entry that is incomplete, stands twice or names a page that is not there.
    """
    mentions = {key: record(Mention, table, key) for key, table in tables["pages"].items()}
    groups = {
        group: tuple(record(Term, entry, entry.get("name", group)) for entry in entries)
        for group, entries in tables["groups"].items()
    }
    for key, mention in mentions.items():
        if not (_PAGES / mention.page).is_file():
            raise ValueError(f"{key}: there is no page {mention.page}.")
    terms = [term for group in groups.values() for term in group]
    for term in terms:
        if not term.mentions or not mentions.keys() >= set(term.mentions):
            raise ValueError(f"{term.name}: mentions must be of {', '.join(mentions)}.")
    for name, count in Counter(map(anchor, terms)).items():
        if count > 1:
            raise ValueError(f"{name} is explained twice.")
    return mentions, groups


def anchor(term: Term) -> str:
    """Return the term's anchor on the glossary page, such as "learning-rate"."""
    return re.sub(r"[^a-z0-9]+", "-", term.name.split(" (")[0].lower())


MENTIONS, GROUPS = read_glossary(read_toml(__file__))
HEADINGS: Final = read_toml(str(Path(__file__).with_name("headings")))
FIELDS: Final = read_toml(str(Path(__file__).with_name("fields")))
TERMS: Final = tuple(term for group in GROUPS.values() for term in group)
_BY_NAME: Final = {term.name.split(" (")[0].lower(): term for term in TERMS}


def find(text: str) -> tuple[Term, ...]:
    """Return the terms that have `text` in their names, then those asked for so, then the rest.

    The rest have it in their explanation.
    """
    wanted = text.strip().lower()
    places = (
        [" ".join((term.name, *term.also)) for term in TERMS],
        [" ".join(term.asked) for term in TERMS],
        [term.says for term in TERMS],
    )
    found: dict[str, Term] = {}
    for texts in places:
        found |= {t.name: t for t, text in zip(TERMS, texts, strict=True) if wanted in text.lower()}
    return tuple(found.values())


@lru_cache(maxsize=500)
def linked(term: Term, shown: tuple[Term, ...]) -> str:
    """Return a term's meaning as HTML, with links to the other terms shown that it uses."""
    text = escape(term.says, quote=False)
    others = [other for other in shown if other is not term]
    for other in sorted(others, key=lambda other: -len(other.name)):
        place = other.pattern.search(re.sub(r"<a.*?</a>", lambda a: " " * len(a[0]), text))
        if place:
            link = f'<a href="#{anchor(other)}">{text[slice(*place.span())]}</a>'
            text = text[: place.start()] + link + text[place.end() :]
    return text


def tip(name: str, more: str = "") -> str:
    """Return a term's meaning for `help=` of a widget, then `more` about the setting."""
    return f"{_BY_NAME[name.lower()].says} {more}".strip()


def setting(mention: str, name: str, key: str = "") -> dict[str, Any]:
    """Return arguments of a widget: its label, its help and its key, kept in the address.

    Parameters
    ----------
    mention, name : of the page and of the setting, as in `fields.toml`
    key : the widget's key, where it is not `name`
    """
    field, about = FIELDS[mention][name], FIELDS[mention][name].get("help")
    if "word" in field:
        about = tip(field["word"], about or "")
    return {"label": field["label"], "help": about, "key": key or name, **URL}


def page_words(mention: str) -> None:
    """Show a button that explains every technical word of a page, given by its key."""
    words = tour.prose("words", width="content")
    with words.popover("Words on this page", icon=":material/dictionary:", type="tertiary"):
        # A link, not a page link: in a new tab the visitor's place on this page is not lost.
        whole = "[The whole glossary](glossary) opens in a new tab."
        st.markdown("\n\n".join((*_words(mention), whole)))


@cache
def _words(mention: str) -> list[str]:
    return [
        f"**[{term.name}](glossary?{urlencode({'word': term.name})}):** {term.says}"
        for term in TERMS
        if mention in term.mentions
    ]


def page_heading(mention: str) -> None:
    """Show a page's heading from `headings.toml`, and the button that explains its words."""
    page_header(**HEADINGS[mention], beside=lambda: page_words(mention))
