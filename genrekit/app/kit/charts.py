"""The common style of all charts, and the colour of each genre.

The palette is that of Okabe and Ito (2008), distinguishable with every common colour blindness.
Its light colours are darkened to a contrast of at least 3 on white and on the dark theme's
background. Streamlit's theme adds text and grid in light or dark.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import plotly.graph_objects as go
import plotly.io as pio
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from genrekit.model.verdicts import NO_MUSIC
from genrekit.system.records import read_toml

__all__ = [
    "CONFIG",
    "GREY",
    "NEGATIVE",
    "PALETTE",
    "POSITIVE",
    "add_contour",
    "dressed",
    "figure",
    "genre_colours",
    "genre_symbol",
    "mark",
    "outcome_colours",
    "panels",
    "plane",
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

_GENRES: Final[dict[str, str]] = read_toml(__file__)["genres"]
_OTHERS: Final = (*_GENRES.values(), "#C43EAA", "#D36EA5")
# Seven, so that no two similar colours share one.
_SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star")

CONFIG: Final[dict[str, Any]] = {"displaylogo": False, "displayModeBar": False, "responsive": True}

_LARGE_FONT: Final = 24
_LARGER: Final = 1.3
_LARGER_MARKERS: Final = 1.7
# Pixels of a row with a number in it, and of the axis below the rows.
_LARGE_ROW: Final = 29
_LARGE_AXIS: Final = 220

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


# Streamlit's theme would overrule margins in the template.
_MARGIN: Final = {"l": 8, "r": 8, "t": 28, "b": 8}


def figure(*traces: Any, x: str = "", y: str = "", height: int = 320, **layout: Any) -> go.Figure:
    """Return a figure with axis titles `x` and `y` (with their units) in the common style."""
    layout = {"height": height, "margin": _MARGIN, "xaxis_title": x, "yaxis_title": y, **layout}
    return go.Figure(list(traces), layout)


def panels(titles: Sequence[str], *, height: int, **grid: Any) -> go.Figure:
    """Return an empty figure of charts in a grid, by default one below the other.

    Parameters
    ----------
    titles : one for each chart
    **grid : arguments of `plotly.subplots.make_subplots`
    """
    chart = make_subplots(**{"rows": len(titles), "subplot_titles": titles, **grid})
    chart.update_layout(height=height, margin=_MARGIN, showlegend=False)
    if "cols" not in grid:
        chart.update_annotations(x=0, xanchor="left", font={"size": 14})
    return chart


def plane(
    axis: NDArray[Any], z: Any, name: str, *, x: str, y: str, hover: str, **more: Any
) -> go.Figure:
    """Return a heat map of `z`, shape (size, size), over two inputs that share an axis.

    `name` stands at the colour bar, `hover` is the template of a point's label, and `more` are
    further arguments of `figure`.
    """
    short = axis.astype("float32")
    heat = go.Heatmap(
        x=short,
        y=short,
        z=z.astype("float32"),
        colorscale="Cividis",
        colorbar={
            "title": {"text": name, "side": "top"},
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "thickness": 12,
        },
        hovertemplate=hover + "<extra></extra>",
    )
    chart = figure(heat, x=x, y=y, showlegend=False, **more)
    chart.update_xaxes(constrain="domain")
    return chart.update_yaxes(scaleanchor="x", constrain="domain", constraintoward="top")


def add_contour(
    chart: go.Figure, axis: NDArray[Any], z: Any, level: float, dash: str, **contours: Any
) -> None:
    """Draw the line where `z` is `level` on a plane."""
    short = axis.astype("float32")
    chart.add_contour(
        x=short,
        y=short,
        z=z.astype("float32"),
        contours={"start": level, "end": level, "size": 1, "coloring": "none", **contours},
        line={"color": "white", "dash": dash, "width": 2},
        showscale=False,
        hoverinfo="skip",
    )


def mark(chart: go.Figure, x: Sequence[float], y: Sequence[float], hover: str, **look: Any) -> None:
    """Add points to a chart; `hover` is the template of their labels, `look` their marker."""
    chart.add_scatter(
        x=x, y=y, mode="markers", marker=look, hovertemplate=hover + "<extra></extra>"
    )


def dressed(chart: go.Figure, *, large: bool) -> go.Figure:
    """Apply the common template; `large` enlarges type and markers for the back of a room."""
    chart.update_layout(template="genrekit")
    if not large:
        return chart
    font = {"size": _LARGE_FONT}
    chart.update_layout(font=font, legend_font=font, hoverlabel_font=font)
    if chart.layout.height is not None:
        chart.update_layout(height=round(_LARGER * chart.layout.height))
    for update in (chart.update_xaxes, chart.update_yaxes):
        update(tickfont=font, title_font=font)
    for heat in chart.select_traces({"type": "heatmap"}):
        if heat.text is not None:
            heat.textfont = font
            chart.layout.height = max(chart.layout.height, _LARGE_ROW * len(heat.y) + _LARGE_AXIS)
    for trace in chart.select_traces({"mode": "markers"}):
        if trace.marker.size is not None:
            trace.marker.size *= _LARGER_MARKERS
    chart.update_traces(textfont=font, constraintext="none", selector={"type": "bar"})
    return chart.update_annotations(font=font)


def genre_colours(genres: Sequence[str]) -> dict[str, str]:
    """Return a colour for each genre: fixed for known genres, by a hash of the name for others.

    "hip-hop" and "Hip hop" are "hiphop". Of others that would share a colour, the later in the
    alphabet takes the next free one.
    """
    plain = {genre: "".join(filter(str.isalnum, genre.lower())) for genre in genres}
    colours = {genre: _GENRES[name] for genre, name in plain.items() if name in _GENRES}
    for genre in sorted(set(genres) - colours.keys()):
        start = zlib.crc32(plain[genre].encode()) % len(_OTHERS)
        order = _OTHERS[start:] + _OTHERS[:start]
        free = (colour for colour in order if colour not in colours.values())
        colours[genre] = next(free, order[0])
    return {genre: colours[genre] for genre in genres}


def outcome_colours(outcomes: Sequence[str]) -> dict[str, str]:
    """Return `genre_colours`, and grey for `NO_MUSIC`."""
    return genre_colours(outcomes) | {NO_MUSIC: GREY}


def genre_symbol(colour: str) -> str:
    """Return the marker symbol of one of `genre_colours`, for those who cannot see the colour."""
    return _SYMBOLS[_OTHERS.index(colour) % len(_SYMBOLS)]
