"""Pictures and figures of the mel scale page: one sound on its way to MFCCs."""

import base64
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from genrekit.app.kit import charts
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import CellTrace, power_spectrogram
from genrekit.mel.scale import mel_frequencies

__all__ = ["pictures", "signed", "sum_latex", "trace_figure"]

Array = NDArray[np.floating[Any]]

_SPECTRUM_ROWS: Final = 256
_TICK_DISTANCE: Final = 0.17
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


def pictures(samples: Array, params: FeatureParams) -> list[dict[str, Any]]:
    """Return waveform, spectrogram, mel spectrogram and MFCCs of a clip, small and for a browser.

    Parameters
    ----------
    samples : ndarray, shape (samples,), at params.sample_rate
    params : of one segment as long as the clip

    Returns
    -------
    list of dict, with the keys
        values : base64 of rows by frames, the lowest row first: int8 for the waveform (lowest and
            highest sample of each of many pieces, 127 being the peak), float32 for the MFCCs,
            otherwise uint8 from 0, the floor, to 255, 80 dB above it
        hz : of each row, rounded; only where rows are frequencies
        ticks : pairs of a share of the height and its label
    """
    segment = samples[np.newaxis]
    spectrum, top = _pooled(
        extraction.power_to_db(power_spectrogram(samples, params)[np.newaxis])[0], params
    )
    rows = spectrum.shape[1]
    edges = mel_frequencies(params.n_mels + 2, 0, params.sample_rate / 2, params.mel_formula)
    mfcc = extraction.mfcc(segment, params)[0]
    return [
        {"values": _encoded(_envelope(samples)), "ticks": []},
        {
            "values": _encoded(_levels(spectrum)),
            "hz": np.rint((np.arange(rows) + 0.5) * top / rows).tolist(),
            "ticks": [(f / top, _hertz(f)) for f in _AXIS_HZ[4:]],
        },
        {
            "values": _encoded(_levels(extraction.log_mel(segment, params)[0])),
            "hz": np.rint(edges[1:-1]).tolist(),
            "ticks": _band_ticks(edges[1:-1]),
        },
        {
            "values": _encoded(mfcc.T.astype(np.float32)),
            "ticks": [((k + 0.5) / mfcc.shape[1], str(k)) for k in range(0, mfcc.shape[1], 4)],
        },
    ]


def _encoded(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _hertz(f: float) -> str:
    return f"{f / 1000:g}k" if f >= 1000 else f"{f:g}"


def _band_ticks(centres: NDArray[np.float64]) -> list[tuple[float, str]]:
    """Label round frequencies at their position among the bands, at a distance to each other."""
    ticks: list[tuple[float, str]] = []
    for f in _AXIS_HZ:
        position = float(np.interp(f, centres, np.arange(len(centres)) + 0.5)) / len(centres)
        if f <= centres[-1] and position - (ticks[-1][0] if ticks else 0) >= _TICK_DISTANCE:
            ticks.append((position, _hertz(f)))
    return ticks


def _envelope(samples: Array, columns: int = 800) -> NDArray[np.int8]:
    """Return the lowest and the highest sample of each piece, 127 being the clip's peak."""
    pieces = np.array_split(samples, columns)
    ends = np.array([(piece.min(), piece.max()) for piece in pieces])
    return np.rint(127 * ends / np.abs(ends).max()).astype(np.int8)


def _pooled(spectrum_db: Array, params: FeatureParams) -> tuple[Array, float]:
    """Reduce a spectrogram to about 256 rows by maximum; return it with its upper end in Hz."""
    bins = spectrum_db.shape[1]
    step = max(1, bins // _SPECTRUM_ROWS)
    rows = bins // step
    pooled = spectrum_db[:, : rows * step].reshape(len(spectrum_db), rows, step).max(axis=2)
    return pooled, rows * step * params.sample_rate / params.n_fft


def _levels(db: Array) -> NDArray[np.uint8]:
    """Return levels of shape (frames, rows) as rows of bytes, 255 being the loudest."""
    return np.clip(np.rint(255 * ((db.T - db.max()) / 80 + 1)), 0, 255).astype(np.uint8)


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
