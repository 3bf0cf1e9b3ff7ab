"""Figures of the mel scale page: the curve and the filter bank."""

from typing import Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from genrekit.app.kit import charts
from genrekit.features.trace import BankReport
from genrekit.mel.scale import MelFormula, hz_to_mel

__all__ = [
    "FORMULA_NAMES",
    "bank_figure",
    "curve_figure",
]

FORMULA_NAMES: Final[dict[MelFormula, str]] = {"htk": "HTK", "slaney": "Slaney"}
_BIN_DOTS: Final = 400
_AXIS_HZ: Final = {20: "20", 100: "100", 500: "500", 1000: "1k", 5000: "5k", 20_000: "20k"}


# -- the curve ----------------------------------------------------------------------------------


def curve_figure(hz: float, *, logarithmic: bool) -> go.Figure:
    """Draw both formulas over frequency, each on its own axis, and mark one frequency."""
    top = max(8000.0, min(1.25 * hz, 96_000.0))
    f = np.geomspace(20, top, 300) if logarithmic else np.linspace(0, top, 300)
    chart = charts.figure(x="frequency, Hz", y="mel (HTK)", height=400)
    styles: tuple[tuple[MelFormula, str, str, str], ...] = (
        ("htk", charts.BLUE, "solid", "y"),
        ("slaney", charts.ORANGE, "dash", "y2"),
    )
    for formula, colour, dash, axis in styles:
        chart.add_scatter(
            x=f.astype(np.float32),
            y=hz_to_mel(f, formula).astype(np.float32),
            mode="lines",
            name=FORMULA_NAMES[formula],
            line={"color": colour, "width": 3, "dash": dash},
            yaxis=axis,
            hovertemplate="%{x:.0f} Hz is %{y:.2f} mel<extra></extra>",
        )
    height = float(hz_to_mel(hz, "htk"))
    chart.add_scatter(
        x=[hz, hz, float(f[0])],
        y=[0, height, height],
        mode="lines",
        line={"color": charts.GREY, "dash": "dot", "width": 1.5},
        showlegend=False,
        hoverinfo="skip",
    )
    chart.add_scatter(
        x=[hz],
        y=[height],
        mode="markers+text",
        showlegend=False,
        text=[f"  {hz:.6g} Hz = {height:.1f} mel"],
        textposition="bottom right" if hz < top / 2 and not logarithmic else "top left",
        marker={"color": charts.VERMILION, "size": 13, "symbol": "diamond"},
        hovertemplate=f"{hz:.6g} Hz is {height:.2f} mel<extra></extra>",
    )
    chart.add_scatter(
        x=[hz],
        y=[float(hz_to_mel(hz, "slaney"))],
        yaxis="y2",
        mode="markers",
        showlegend=False,
        marker={"color": charts.ORANGE, "size": 10, "symbol": "square"},
        hovertemplate=f"{hz:.6g} Hz is %{{y:.3f}} mel (Slaney)<extra></extra>",
    )
    # 1000 Hz stands at the same height on both rulers: 1000 mel left, 15 mel right.
    highest = 1.08 * float(hz_to_mel(top, "htk"))
    chart.update_layout(
        yaxis={"range": [0, highest]},
        yaxis2={
            "title": "mel (Slaney)",
            "overlaying": "y",
            "side": "right",
            "range": [0, highest * 15 / 1000],
            "showgrid": False,
        },
        xaxis={"type": "log" if logarithmic else "linear"},
    )
    if logarithmic:
        chart.update_xaxes(tickvals=list(_AXIS_HZ), ticktext=list(_AXIS_HZ.values()))
    return chart


# -- the filter bank ----------------------------------------------------------------------------


def bank_figure(report: BankReport, *, chosen: int, zoom: tuple[float, float]) -> go.Figure:
    """Draw the triangles, empty and chosen ones marked, and the FFT bins below them."""
    chart = charts.figure(x="frequency, Hz", y="weight of the band", height=300)
    bands = np.arange(len(report.peaks))
    full = np.setdiff1d(bands, report.empty)
    _add_triangles(chart, report, full[full % 2 == 0], "bands", charts.BLUE, "solid", 1.5)
    _add_triangles(chart, report, full[full % 2 == 1], "", charts.SKY, "solid", 1.5)
    _add_triangles(chart, report, report.empty, "empty bands", charts.VERMILION, "dot", 2.5)
    one = bands[[chosen]]
    _add_triangles(chart, report, one, f"band {chosen + 1}", charts.ORANGE, "solid", 4)
    inside = (report.frequencies >= zoom[0]) & (report.frequencies <= zoom[1])
    band, column = np.nonzero(report.bands * inside)
    if len(band) <= _BIN_DOTS:
        chart.add_scatter(
            x=report.frequencies[column].astype(np.float32),
            y=report.bands[band, column].astype(np.float32),
            mode="markers",
            name="FFT bins caught",
            marker={"color": charts.GREEN, "size": 7, "line": {"color": "white", "width": 1}},
            customdata=(band + 1).astype(np.int16),
            hovertemplate="bin at %{x:.1f} Hz, weight %{y:.4f} in band %{customdata}"
            "<extra></extra>",
        )
    chart.update_xaxes(range=zoom, tickformat=",d")
    chart.update_yaxes(range=[0, 1.08 * _tallest(report, zoom)])
    return chart


def _tallest(report: BankReport, zoom: tuple[float, float]) -> float:
    shown = (report.edges[2:] > zoom[0]) & (report.edges[:-2] < zoom[1])
    return float(report.peaks[shown].max() if shown.any() else report.peaks.max())


def _add_triangles(
    chart: go.Figure,
    report: BankReport,
    bands: NDArray[np.intp],
    name: str,
    colour: str,
    dash: str,
    width: float,
) -> None:
    """Draw all triangles of one style in one trace, separated by gaps."""
    if not bands.size:
        return
    gap, zero = np.full(len(bands), np.nan), np.zeros(len(bands))
    x = np.stack([*(report.edges[bands + i] for i in range(3)), gap], axis=1).ravel()
    y = np.stack([zero, report.peaks[bands], zero, gap], axis=1).ravel()
    chart.add_scatter(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        mode="lines",
        name=name,
        showlegend=bool(name),
        line={"color": colour, "dash": dash, "width": width},
        hoverinfo="skip",
    )
