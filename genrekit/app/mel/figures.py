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
    """Draw both formulas over frequency, as shares of 1000 Hz's mel, and mark one frequency."""
    top = max(8000.0, min(1.25 * hz, 96_000.0))
    f = np.geomspace(20, top, 300) if logarithmic else np.linspace(0, top, 300)
    chart = charts.figure(x="frequency, Hz", y="mel, where 1000 Hz is 1", height=400)
    styles: tuple[tuple[MelFormula, str, str], ...] = (
        ("htk", charts.BLUE, "solid"),
        ("slaney", charts.ORANGE, "dash"),
    )
    for formula, colour, dash in styles:
        line = {"mode": "lines", "line": {"color": colour, "width": 3, "dash": dash}}
        point = {"mode": "markers", "marker": {"color": colour, "size": 13}, "showlegend": False}
        for x, look in ((f, line), (np.array([hz]), point)):
            mel = hz_to_mel(x, formula)
            chart.add_scatter(
                x=x.astype(np.float32),
                y=(mel / hz_to_mel(1000, formula)).astype(np.float32),
                customdata=mel.astype(np.float32),
                name=FORMULA_NAMES[formula],
                hovertemplate="%{x:.6g} Hz is %{customdata:.2f} mel<extra></extra>",
                **look,
            )
    if logarithmic:
        ticks = {"tickvals": list(_AXIS_HZ), "ticktext": list(_AXIS_HZ.values())}
        return chart.update_xaxes(type="log", **ticks)
    return chart.update_xaxes(tickformat=",d")


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
