"""Drawings of one sound on its way to MFCCs. They take what the core computed."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from genrekit.app.kit import charts
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import CellTrace

__all__ = ["cell_map", "signed", "stages_figure", "sum_latex", "trace_figure"]

Array = NDArray[np.floating[Any]]

_SPECTRUM_ROWS: Final = 256
_ROWS_BETWEEN_TICKS: Final = 9
_AXIS_HZ: Final = (100, 200, 500, 1000, 2000, 5000, 10000)


def signed(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def sum_latex(trace: CellTrace) -> str:
    """The first products, the sum, and the MFCC."""
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
    """Waveform, spectrogram, mel spectrogram and MFCCs over one time axis.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    spectrum_db, mel_db, mfcc : ndarray, shape (frames, rows); dB, dB, and the MFCCs themselves
    centres : ndarray, shape (n_mels,), Hz
    """
    chart = make_subplots(
        rows=4,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.055,
        row_heights=[0.16, 0.28, 0.28, 0.28],
        subplot_titles=(
            "1 · Waveform (air pressure)",
            "2 · Spectrogram (Hz)",
            "3 · Mel spectrogram (Hz, in mel bands)",
            "4 · MFCCs (number of the coefficient)",
        ),
    )
    hop = params.hop_length / params.sample_rate
    chart.add_scatter(
        **_envelope(samples, params.sample_rate),
        mode="lines",
        line={"color": charts.BLUE, "width": 1},
        hoverinfo="skip",
        row=1,
        col=1,
    )
    pooled, top = _pooled(spectrum_db, params)
    rows = pooled.shape[1]
    _add_levels(chart, pooled, 2, hop, y=(np.arange(rows) + 0.5) * top / rows, unit=" Hz")
    _add_levels(chart, mel_db, 3, hop, y=np.arange(1, mel_db.shape[1] + 1), unit="")
    chart.update_yaxes(**_band_ticks(centres), row=3, col=1)
    _add_mfcc(chart, mfcc, 4, hop)
    chart.update_xaxes(range=[0, len(samples) / params.sample_rate])
    chart.update_xaxes(title_text="time, s", row=4, col=1)
    chart.update_layout(height=760, margin={"l": 8, "r": 8, "t": 28, "b": 8}, showlegend=False)
    chart.update_annotations(x=0, xanchor="left", font={"size": 14})
    return chart


def _band_ticks(centres: NDArray[np.float64]) -> dict[str, list[Any]]:
    """Round frequencies at their place among the bands, none too near the one below."""
    places: list[float] = []
    labels: list[str] = []
    for f in _AXIS_HZ:
        place = float(np.interp(f, centres, np.arange(1, len(centres) + 1)))
        if f <= centres[-1] and (not places or place - places[-1] >= _ROWS_BETWEEN_TICKS):
            places.append(place)
            labels.append(str(f))
    return {"tickvals": places, "ticktext": labels}


def _envelope(samples: Array, sample_rate: int, columns: int = 800) -> dict[str, Array]:
    """The lowest and highest sample of each of `columns` pieces: what one would see anyway."""
    step = max(1, len(samples) // columns)
    pieces = samples[: len(samples) // step * step].reshape(-1, step)
    y = np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1).ravel()
    x = np.repeat(np.arange(len(pieces)) * step / sample_rate, 2)
    return {"x": x.astype(np.float32), "y": y.astype(np.float32)}


def _pooled(spectrum_db: Array, params: FeatureParams) -> tuple[Array, float]:
    """At most 256 rows, each the loudest of its bins, and the top of the last one in Hz."""
    bins = spectrum_db.shape[1]
    step = max(1, bins // _SPECTRUM_ROWS)
    rows = bins // step
    pooled = spectrum_db[:, : rows * step].reshape(len(spectrum_db), rows, step).max(axis=2)
    return pooled, rows * step * params.sample_rate / params.n_fft


def _add_levels(chart: go.Figure, db: Array, row: int, hop: float, y: Array, unit: str) -> None:
    """A heat map of levels: whole decibels above the floor, one byte a cell."""
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


def _add_mfcc(chart: go.Figure, mfcc: Array, row: int, hop: float) -> None:
    """MFCCs, each row relative to its own mean: coefficient 0 would drown the others."""
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
        col=1,
    )


def cell_map(mfcc: Array, params: FeatureParams, frame: int, coefficient: int) -> go.Figure:
    """All MFCCs of a clip, shape (frames, n_mfcc), with one of them marked."""
    chart = make_subplots(rows=1, cols=1)
    hop = params.hop_length / params.sample_rate
    _add_mfcc(chart, mfcc, 1, hop)
    for width, colour in ((7, "white"), (3, "black")):
        chart.add_scatter(
            x=[frame * hop],
            y=[coefficient],
            mode="markers",
            marker={
                "symbol": "circle-open",
                "size": 18,
                "color": colour,
                "line": {"width": width},
            },
            hoverinfo="skip",
        )
    chart.update_layout(
        height=210,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=False,
        xaxis_title="time, s",
        yaxis_title="coefficient",
    )
    chart.update_xaxes(range=[-hop / 2, (len(mfcc) - 0.5) * hop])
    chart.update_yaxes(range=[-0.8, mfcc.shape[1] - 0.2])
    return chart


# -- one cell -----------------------------------------------------------------------------------


def trace_figure(trace: CellTrace, params: FeatureParams) -> go.Figure:
    """The five steps from the frame to the products, one below the other."""
    chart = make_subplots(
        rows=5,
        cols=1,
        vertical_spacing=0.095,
        subplot_titles=(
            "1 · The frame, faded in and out by a window",
            "2 · Its spectrum",
            "3 · The mel bands' levels",
            f"4 · The DCT row of coefficient {trace.coefficient}",
            "5 · Level × weight, band by band",
        ),
    )
    time = (np.arange(len(trace.samples)) - len(trace.samples) / 2) / params.sample_rate
    time_ms = (1000 * (time + trace.seconds)).astype(np.float32)
    chart.add_scatter(
        x=time_ms,
        y=trace.samples,
        line={"color": charts.GREY, "width": 1},
        name="frame",
        row=1,
        col=1,
    )
    chart.add_scatter(
        x=time_ms,
        y=trace.samples * trace.window,
        line={"color": charts.BLUE, "width": 1.5},
        name="windowed",
        row=1,
        col=1,
    )
    spectrum_db = 10 * np.log10(np.maximum(trace.power, 1e-10))
    chart.add_scatter(
        x=trace.frequencies.astype(np.float32),
        y=spectrum_db,
        line={"color": charts.BLUE, "width": 1},
        row=2,
        col=1,
    )
    band = np.arange(1, len(trace.log_mel) + 1, dtype=np.float32)
    raised = trace.log_mel <= trace.floor_db + 1e-3
    bars: dict[str, Any] = {
        "color": np.where(raised, charts.GREY, charts.BLUE),
        "line": {"width": 0},
    }
    chart.add_bar(x=band, y=trace.log_mel, marker=bars, row=3, col=1)
    _add_signed_bars(chart, band, trace.dct, 4)
    _add_signed_bars(chart, band, trace.products.astype(np.float32), 5)
    for row, x, y in (
        (1, "time, ms", "pressure"),
        (2, "frequency, Hz", "dB"),
        (3, "", "dB"),
        (4, "", "weight"),
        (5, "mel band", "product"),
    ):
        chart.update_xaxes(title_text=x, row=row, col=1)
        chart.update_yaxes(title_text=y, row=row, col=1)
    chart.update_layout(
        height=1080, margin={"l": 8, "r": 8, "t": 28, "b": 8}, showlegend=False, bargap=0.1
    )
    chart.update_annotations(x=0, xanchor="left", font={"size": 14})
    return chart


def _add_signed_bars(chart: go.Figure, x: Array, y: Array, row: int) -> None:
    """Bars that tell their sign by direction first, and by colour too."""
    chart.add_bar(
        x=x,
        y=y,
        marker={
            "color": np.where(y >= 0, charts.POSITIVE, charts.NEGATIVE),
            "line": {"width": 0},
        },
        hovertemplate="band %{x}: %{y:.4f}<extra></extra>",
        row=row,
        col=1,
    )
