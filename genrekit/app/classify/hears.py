"""The panel "What else it hears": the tags of a song in words, grouped by kind."""

from collections.abc import Sequence
from html import escape as escape_html
from typing import Any, Final

import streamlit as st

from genrekit.app.classify.inputs import ModelChoice
from genrekit.app.kit.widgets import escape
from genrekit.model.bundle import MODELS
from genrekit.model.tags import CLEAR, SoundsLike
from genrekit.model.verdicts import Verdict
from genrekit.system.records import read_toml
from genrekit.verdict.analysis import ModelFile
from genrekit.wording import counted

__all__ = ["not_sure", "show"]

_WORDS: Final[dict[str, dict[str, str]]] = read_toml(__file__)
_NAMED: Final = 5


def show(verdict: Verdict, model: ModelChoice) -> None:
    """Show what stands out by kind of tag, and name the rest in one line."""
    tags = verdict.sounds_like
    st.markdown("### What else it hears")
    clear = [one for one in tags if one.clear]
    if not clear:
        st.markdown("Nothing stands out clearly.")
    else:
        st.html(f'<div class="hears">{"".join(map(_group, _by_kind(clear)))}</div>')
    st.markdown(not_sure(tags))
    st.caption(
        "A tag is a word that many listeners gave to songs. It is clear, and listed above, where "
        f"it is stronger than in {CLEAR:.0%} of the reference songs. {_worth(model)}"
    )


def not_sure(tags: Sequence[SoundsLike]) -> str:
    """Name the strongest of the tags that are not clear, and count the others."""
    weak = [one.tag for one in tags if not one.clear]
    others = counted(len(weak[_NAMED:]), "weaker tag")
    return f"**Not sure:** {', '.join(weak[:_NAMED])}, and {others}."


def _by_kind(tags: Sequence[SoundsLike]) -> list[tuple[str, list[SoundsLike]]]:
    """Return the kinds' headings, each with its tags; a kind without any is left out."""
    groups = [(name, [t for t in tags if t.kind == kind]) for kind, name in _WORDS["kinds"].items()]
    return [(name, members) for name, members in groups if members]


def _group(group: tuple[str, list[SoundsLike]]) -> str:
    name, tags = group
    return f"<section><h4>{name}</h4><ul>{''.join(map(_row, tags))}</ul></section>"


def _row(tag: SoundsLike) -> str:
    """Say how strong a tag is, with a dot on a scale from 0 to 100%."""
    phrase = escape_html(_WORDS["phrases"][tag.tag])
    share = min(99, int(100 * tag.stronger_than))
    return (
        f"<li>More <strong>{phrase}</strong> than {share}% of the reference songs"
        f'<span class="scale"><i style="left: {share}%"></i></span></li>'
    )


def _worth(model: ModelChoice) -> str:
    """Say what the card knows of the reference songs, and how far clear tags held.

    A model trained on the backbone of the one that ships has its tags and reference songs.
    """
    card: dict[str, Any] = ModelFile.at(MODELS / "everyday").card() | model.file.card()
    said = [escape(card["reference"])] if "reference" in card else []
    if "tags" in card:
        halves, songs = card["tags"]["halves"], counted(card["tags"]["songs"], "song")
        said.append(
            f"How far to trust it: of the tags that were clear in one half of {songs}, "
            f"{halves['top_tenth']:.0%} were among the strongest tenth in the other half as well."
        )
    return " ".join(said)
