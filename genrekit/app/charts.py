"""One look for every chart. Streamlit's theme adds the light or dark background.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness.
"""

from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go

__all__ = ["CONFIG", "GREY", "NEGATIVE", "PALETTE", "POSITIVE", "figure", "genre_colours"]

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
SKY: Final = "#56B4E9"
YELLOW: Final = "#B8A800"
GREY: Final = "#7F8C99"

PALETTE: Final = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, GREY)
POSITIVE: Final = BLUE
NEGATIVE: Final = VERMILION

# Dark enough on white and light enough on black alike, for up to twelve genres.
_GENRES: Final = (*PALETTE, "#8C564B", "#7B68EE", "#2CA6A4", "#C0392B")

CONFIG: Final[dict[str, Any]] = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def figure(*traces: Any, x: str = "", y: str = "", height: int = 320, **layout: Any) -> go.Figure:
    """A figure with axis titles `x` and `y` (with their units) and the common margins."""
    chart = go.Figure(data=list(traces))
    chart.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hovermode="closest",
        colorway=PALETTE,
        xaxis_title=x,
        yaxis_title=y,
        **layout,
    )
    return chart


def genre_colours(genres: Sequence[str]) -> dict[str, str]:
    """A colour for each genre, the same one wherever the same list of genres is shown."""
    ordered = sorted(genres)
    return {genre: _GENRES[i % len(_GENRES)] for i, genre in enumerate(ordered)}
