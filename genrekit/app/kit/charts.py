"""One look for every chart: one template, and for each genre the same colour everywhere.

The palette is that of Okabe and Ito (2008), told apart with every common colour blindness; its
light colours are darkened until each stands out on white as well as on the dark theme's
background, at a contrast of 3 or more. Streamlit's theme adds text and grid in light or dark.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go
import plotly.io as pio

__all__ = [
    "CONFIG",
    "GREY",
    "NEGATIVE",
    "PALETTE",
    "POSITIVE",
    "dressed",
    "figure",
    "genre_colours",
    "genre_symbol",
]

BLUE: Final = "#0072B2"
ORANGE: Final = "#BE8300"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#C86FA1"
SKY: Final = "#2F95CF"
YELLOW: Final = "#969000"
GREY: Final = "#7F8C99"

PALETTE: Final = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, GREY)
POSITIVE: Final = BLUE
NEGATIVE: Final = VERMILION

# Found by search for the largest least distance between any two, in OKLab, as people with normal
# sight, without red and without green cones see them, at a contrast of 3 on both backgrounds.
_GENRES: Final = {
    "blues": "#2462ED",
    "classical": "#7094B6",
    "country": "#536B51",
    "disco": "#F95783",
    "hiphop": "#9B35BA",
    "jazz": "#C4831D",
    "metal": "#7F618C",
    "pop": "#B474EE",
    "reggae": "#49986C",
    "rock": "#C52C05",
    "ambient": "#9071CA",
    "bossanova": "#297614",
    "chiptune": "#CF0671",
    "drumandbass": "#867E42",
}
_OTHERS: Final = (*_GENRES.values(), "#C43EAA", "#D36EA5")
# Seven, so that no two colours that look somewhat alike share one.
_SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star")

CONFIG: Final[dict[str, Any]] = {"displaylogo": False, "displayModeBar": False, "responsive": True}

_LARGE_FONT: Final = 18
_LARGER: Final = 1.3

pio.templates["genrekit"] = go.layout.Template(
    layout={
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "colorway": PALETTE,
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "xaxis": {"exponentformat": "power"},
        "yaxis": {"exponentformat": "power"},
    }
)


def figure(*traces: Any, x: str = "", y: str = "", height: int = 320, **layout: Any) -> go.Figure:
    """A figure with axis titles `x` and `y` (with their units) in the common look."""
    chart = go.Figure(data=list(traces))
    chart.update_layout(
        height=height,
        # Streamlit's theme would overrule margins in the template.
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        xaxis_title=x,
        yaxis_title=y,
        **layout,
    )
    return chart


def dressed(chart: go.Figure, *, large: bool) -> go.Figure:
    """The chart in the common template; where `large`, with letters for the back of a room."""
    chart.update_layout(template="genrekit")
    return _enlarged(chart) if large else chart


def _enlarged(chart: go.Figure) -> go.Figure:
    large = {"size": _LARGE_FONT}
    chart.update_layout(
        font=large,
        legend_font=large,
        hoverlabel_font=large,
        height=None if chart.layout.height is None else round(_LARGER * chart.layout.height),
    )
    for update in (chart.update_xaxes, chart.update_yaxes):
        update(tickfont=large, title_font=large)
    return chart.update_annotations(font=large)


def genre_colours(genres: Sequence[str]) -> dict[str, str]:
    """A colour for each genre: its own for the known ones, and for others one by their name.

    "hip-hop" and "Hip hop" are "hiphop". Where others would share a colour, as long as there
    are free ones, the later in the alphabet moves on to the next.
    """
    plain = {genre: "".join(filter(str.isalnum, genre.lower())) for genre in genres}
    colours = {genre: _GENRES[name] for genre, name in plain.items() if name in _GENRES}
    for genre in sorted(set(genres) - colours.keys()):
        start = zlib.crc32(plain[genre].encode()) % len(_OTHERS)
        order = _OTHERS[start:] + _OTHERS[:start]
        free = (colour for colour in order if colour not in colours.values())
        colours[genre] = next(free, order[0])
    return {genre: colours[genre] for genre in genres}


def genre_symbol(colour: str) -> str:
    """The symbol that goes with one of `genre_colours`, so that it is not told by colour alone."""
    return _SYMBOLS[_OTHERS.index(colour) % len(_SYMBOLS)]
