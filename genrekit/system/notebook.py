"""Pictures of values in notebooks: a title, bars and a sentence, as HTML that needs no library."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

__all__ = ["Bar", "picture"]

_COLOUR: Final = "#0072b2"
_CELL: Final = "padding:0 .5em 0 0;text-align:left;border:0"


class Bar(NamedTuple):
    """A bar: its label, its length from 0 to 1, and its value in words."""

    label: str
    length: float
    text: str


def picture(title: str, bars: Sequence[Bar], note: str = "", strip: Sequence[float] = ()) -> str:
    """Return HTML of a title, of bars, of a strip of cells as strong as their values, and a note.

    All texts are escaped, since genres are named by whoever made a folder. The values of `strip`
    are from 0 to 1.
    """
    rows = "".join(
        f'<tr style="background:none"><td style="{_CELL}">{escape(bar.label)}</td>'
        f'<td style="{_CELL};width:12em"><div style="background:{_COLOUR};height:.7em;'
        f'width:{bar.length:.1%}"></div></td><td style="{_CELL}">{escape(bar.text)}</td></tr>'
        for bar in bars
    )
    cells = "".join(
        f'<div style="flex:1;height:1em;background:{_COLOUR};opacity:{value:.2f}"></div>'
        for value in strip
    )
    time = f'<div style="display:flex;width:24em" title="over time">{cells}</div>' if cells else ""
    return (
        f"<div><b>{escape(title)}</b>"
        f'<table style="border:0;margin:.3em 0">{rows}</table>{time}<div>{escape(note)}</div></div>'
    )
