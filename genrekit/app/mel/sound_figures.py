"""Figures of the mel scale page: one sound on its way to MFCCs."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from genrekit.app.kit import charts
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import CellTrace

__all__ = ["cell_map", "signed", "stages_figure", "sum_latex", "trace_figure"]

Array = NDArray[np.floating[Any]]

_SPECTRUM_ROWS: Final = 256
_ROWS_BETWEEN_TICKS: Final = 9
_AXIS_HZ: Final = (100, 200, 500, 1000, 2000, 5000, 10000)


def signed(value: float, digits: int = 3) -> str:
    """Format a number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def sum_latex(trace: CellTrace) -> str:
    """Write out the first products of an MFCC and their sum."""
    level, weight = trace.log_mel, trace.dct
    terms = [rf"({level[m]:.2f})({weight[m]:.4f})" for m in range(min(2, len(level)))]
    dots = r"\\&\quad+\dots" if len(level) > 2 else ""
    return (
        rf"\begin{{aligned}}c_{{{trace.coefficient}}}&={'+'.join(terms)}{dots}\\"
        rf"&={trace.total:.3f}\end{{aligned}}"
    )


def stages_figure(
    samples: Array,
    spectrum_db: Array,
    mel_db: Array,
    mfcc: Array,
    params: FeatureParams,
    centres: NDArray[np.float64],
) -> go.Figure:
    """Draw waveform, spectrogram, mel spectrogram and MFCCs over one time axis.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    spectrum_db, mel_db, mfcc : ndarray, shape (frames, rows); dB, dB, and the MFCCs themselves
    centres : ndarray, shape (n_mels,), Hz
    """
    chart = charts.panels(
        (
            "1 · Waveform (air pressure)",
            "2 · Spectrogram (Hz)",
            "3 · Mel spectrogram (Hz, in mel bands)",
            "4 · MFCCs (number of the coefficient)",
        ),
        height=760,
        shared_xaxes=True,
        vertical_spacing=0.055,
        row_heights=[0.16, 0.28, 0.28, 0.28],
    )
    hop = params.hop_length / params.sample_rate
    x, y = _envelope(samples, params.sample_rate)
    line = {"color": charts.BLUE, "width": 1}
    chart.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", row=1, col=1)
    pooled, top = _pooled(spectrum_db, params)
    rows = pooled.shape[1]
    _add_levels(chart, 2, pooled, hop, (np.arange(rows) + 0.5) * top / rows, " Hz")
    _add_levels(chart, 3, mel_db, hop, np.arange(1, mel_db.shape[1] + 1), "")
    chart.update_yaxes(**_band_ticks(centres), row=3, col=1)
    _add_mfcc(chart, mfcc, 4, hop)
    chart.update_xaxes(range=[0, len(samples) / params.sample_rate])
    chart.update_xaxes(title_text="time, s", row=4, col=1)
    return chart


def _band_ticks(centres: NDArray[np.float64]) -> dict[str, list[Any]]:
    """Label round frequencies at their position among the bands, at a distance to each other."""
    ticks: dict[float, str] = {}
    for f in _AXIS_HZ:
        position = float(np.interp(f, centres, np.arange(1, len(centres) + 1)))
        if f <= centres[-1] and position - max(ticks, default=-np.inf) >= _ROWS_BETWEEN_TICKS:
            ticks[position] = str(f)
    return {"tickvals": list(ticks), "ticktext": list(ticks.values())}


def _envelope(samples: Array, sample_rate: int, columns: int = 800) -> tuple[Array, Array]:
    """Return times and values of the lowest and highest sample of each of `columns` pieces."""
    step = max(1, len(samples) // columns)
    pieces = samples[: len(samples) // step * step].reshape(-1, step)
    y = np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1).ravel()
    x = np.repeat(np.arange(len(pieces)) * step / sample_rate, 2)
    return x.astype(np.float32), y.astype(np.float32)


def _pooled(spectrum_db: Array, params: FeatureParams) -> tuple[Array, float]:
    """Reduce a spectrogram to about 256 rows by maximum; return it with its upper end in Hz."""
    bins = spectrum_db.shape[1]
    step = max(1, bins // _SPECTRUM_ROWS)
    rows = bins // step
    pooled = spectrum_db[:, : rows * step].reshape(len(spectrum_db), rows, step).max(axis=2)
    return pooled, rows * step * params.sample_rate / params.n_fft


def _add_levels(chart: go.Figure, row: int, db: Array, hop: float, y: Array, unit: str) -> None:
    """Draw levels as whole decibels above the floor, one byte a cell."""
    floor = float(db.max()) - 80
    chart.add_heatmap(
        z=np.clip(np.rint(db.T - floor), 0, 80).astype(np.uint8),
        x0=0,
        dx=hop,
        y=y.astype(np.float32),
        colorscale="Viridis",
        showscale=False,
        hovertemplate="%{x:.2f} s, %{y:.0f}" + unit + ", %{z} dB above the floor<extra></extra>",
        row=row,
        col=1,
    )


def _add_mfcc(chart: go.Figure, mfcc: Array, row: int | None, hop: float) -> None:
    """Draw MFCCs, each row relative to its own mean: coefficient 0 would drown the others."""
    spread = np.maximum(mfcc.std(axis=0), 1e-6)
    chart.add_heatmap(
        z=np.clip((mfcc - mfcc.mean(axis=0)) / spread, -3, 3).T.astype(np.float32),
        customdata=np.round(mfcc.T, 1).astype(np.float32),
        x0=0,
        dx=hop,
        zmid=0,
        colorscale="PuOr",
        showscale=False,
        hovertemplate="%{x:.2f} s, coefficient %{y}: %{customdata:.1f}<extra></extra>",
        row=row,
        col=row and 1,
    )


def cell_map(mfcc: Array, params: FeatureParams, frame: int, coefficient: int) -> go.Figure:
    """Draw all MFCCs of a clip, shape (frames, n_mfcc), and mark one of them."""
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    chart = charts.figure(x="time, s", y="coefficient", height=210, margin=margin, showlegend=False)
    hop = params.hop_length / params.sample_rate
    _add_mfcc(chart, mfcc, None, hop)
    for width, colour in ((7, "white"), (3, "black")):
        ring = {"symbol": "circle-open", "size": 18, "color": colour, "line": {"width": width}}
        chart.add_scatter(
            x=[frame * hop], y=[coefficient], mode="markers", marker=ring, hoverinfo="skip"
        )
    chart.update_xaxes(range=[-hop / 2, (len(mfcc) - 0.5) * hop])
    chart.update_yaxes(range=[-0.8, mfcc.shape[1] - 0.2])
    return chart


# -- one cell -----------------------------------------------------------------------------------


def trace_figure(trace: CellTrace, params: FeatureParams) -> go.Figure:
    """Draw the five steps from the frame to the products, one below the other."""
    chart = charts.panels(
        (
            "1 · The frame, faded in and out by a window",
            "2 · Its spectrum",
            "3 · The mel bands' levels",
            f"4 · The DCT row of coefficient {trace.coefficient}",
            "5 · Level × weight, band by band",
        ),
        height=1080,
        vertical_spacing=0.095,
    )
    time = (np.arange(len(trace.samples)) - len(trace.samples) / 2) / params.sample_rate
    ms = (1000 * (time + trace.seconds)).astype(np.float32)
    spectrum_db = 10 * np.log10(np.maximum(trace.power, 1e-10))
    frequencies = trace.frequencies.astype(np.float32)
    for row, x, y, colour, width, name in (
        (1, ms, trace.samples, charts.GREY, 1, "frame"),
        (1, ms, trace.samples * trace.window, charts.BLUE, 1.5, "windowed"),
        (2, frequencies, spectrum_db, charts.BLUE, 1, None),
    ):
        line = {"color": colour, "width": width}
        chart.add_scatter(x=x, y=y, line=line, name=name, row=row, col=1)
    band = np.arange(1, len(trace.log_mel) + 1, dtype=np.float32)
    raised = trace.log_mel <= trace.floor_db + 1e-3
    bars = {"color": np.where(raised, charts.GREY, charts.BLUE), "line": {"width": 0}}
    chart.add_bar(x=band, y=trace.log_mel, marker=bars, row=3, col=1)
    _add_signed_bars(chart, band, trace.dct, 4)
    _add_signed_bars(chart, band, trace.products.astype(np.float32), 5)
    for row, x_title, y_title in (
        (1, "time, ms", "pressure"),
        (2, "frequency, Hz", "dB"),
        (3, "", "dB"),
        (4, "", "weight"),
        (5, "mel band", "product"),
    ):
        chart.update_xaxes(title_text=x_title, row=row, col=1)
        chart.update_yaxes(title_text=y_title, row=row, col=1)
    return chart.update_layout(bargap=0.1)


def _add_signed_bars(chart: go.Figure, x: Array, y: Array, row: int) -> None:
    """Draw bars with their sign in direction and colour."""
    colours = np.where(y >= 0, charts.POSITIVE, charts.NEGATIVE)
    chart.add_bar(
        x=x,
        y=y,
        marker={"color": colours, "line": {"width": 0}},
        hovertemplate="band %{x}: %{y:.4f}<extra></extra>",
        row=row,
        col=1,
    )
