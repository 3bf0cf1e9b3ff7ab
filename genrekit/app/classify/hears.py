"""The panel "What else it hears": the tags of a song in words, grouped by kind."""

from collections.abc import Sequence
from html import escape as escape_html
from typing import Any, Final

import streamlit as st

from genrekit.app.classify.inputs import ModelChoice
from genrekit.app.kit.widgets import escape
from genrekit.model.bundle import MODELS
from genrekit.model.tags import SoundsLike
from genrekit.model.verdicts import Verdict
from genrekit.system.records import read_toml
from genrekit.verdict.analysis import ModelFile
from genrekit.wording import counted

__all__ = ["in_words", "not_sure", "show"]

_WORDS: Final[dict[str, dict[str, str]]] = read_toml(__file__)
_NAMED: Final = 5


def show(verdict: Verdict, model: ModelChoice) -> None:
    """Show what stands out by kind of tag, and name the rest in one line."""
    tags = verdict.sounds_like
    st.markdown("### What else it hears")
    clear = [one for one in tags if one.clear]
    if clear:
        st.html(f'<div class="hears">{"".join(map(_group, _by_kind(clear)))}</div>')
    st.markdown(not_sure(tags))
    st.caption(
        "A tag is a word that many listeners gave to songs, such as *mellow* or *folk*. Alone its "
        "probability says little, so it is compared: the song's tag is clear where it is stronger "
        "than in 95% of the reference songs. The rows below the segments show each tag from "
        f"moment to moment. {escape(_reference(model))}"
    )


def in_words(tag: SoundsLike) -> str:
    """Say how strong a tag is, as "More like folk than 96% of the reference songs"."""
    share = min(99, int(100 * tag.stronger_than))
    return f"More {_WORDS['phrases'][tag.tag]} than {share}% of the reference songs"


def not_sure(tags: Sequence[SoundsLike]) -> str:
    """Name the strongest of the tags that are not clear, and count the others."""
    weak = [one.tag for one in tags if not one.clear]
    others = len(weak) - _NAMED
    return (
        f"**Not sure:** {', '.join(weak[:_NAMED])}"
        + (f", and {counted(others, 'weaker tag')}" if others > 0 else "")
        + "."
    )


def _by_kind(tags: Sequence[SoundsLike]) -> list[tuple[str, list[SoundsLike]]]:
    """Return the kinds' headings, each with its tags; a kind without any is left out."""
    groups = [(name, [t for t in tags if t.kind == kind]) for kind, name in _WORDS["kinds"].items()]
    return [(name, members) for name, members in groups if members]


def _group(group: tuple[str, list[SoundsLike]]) -> str:
    name, tags = group
    rows = "".join(
        f'<li>{escape_html(in_words(one))}<span class="scale"><i style="left: '
        f'{100 * one.stronger_than:.1f}%"></i></span></li>'
        for one in tags
    )
    return f"<section><h4>{name}</h4><ul>{rows}</ul></section>"


def _reference(model: ModelChoice) -> str:
    """Return what the model's card says of the reference songs.

    A model trained on the backbone of the one that ships has its reference songs too.
    """
    cards: list[dict[str, Any]] = [model.file.card(), ModelFile.at(MODELS / "everyday").card()]
    return next((str(card["reference"]) for card in cards if "reference" in card), "")
