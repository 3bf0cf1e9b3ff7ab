"""The drawings of the mel scale page. They take what the core computed and compute no sound."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from genrekit.app import charts
from genrekit.features import FeatureParams
from genrekit.mel import MelFormula, hz_to_mel
from genrekit.tones import StepUnit, nearest_note, step_size
from genrekit.trace import BankReport, CellTrace

__all__ = [
    "bank_figure",
    "cell_map",
    "constants_latex",
    "curve_figure",
    "formula_latex",
    "inverse_latex",
    "note_label",
    "signed",
    "stages_figure",
    "staircase_figure",
    "steps_figure",
    "sum_latex",
    "trace_figure",
]

Array = NDArray[np.floating[Any]]

FORMULA_NAMES: Final[dict[MelFormula, str]] = {"htk": "HTK", "slaney": "Slaney"}
_SPECTRUM_ROWS: Final = 256
_BIN_DOTS: Final = 400
_ROWS_BETWEEN_TICKS: Final = 9
# Keeps the tops of fractions from being cut off by their box.
_STRUT: Final = r"\vphantom{\Bigg(}"
_AXIS_HZ: Final = (100, 200, 500, 1000, 2000, 5000, 10000)


def note_label(frequency: float) -> str:
    """ "A4 + 3 cents", the nearest note in words; for 0 Hz, that there is none."""
    names, cents = nearest_note(frequency)
    if not str(names):
        return "no pitch"
    offset = round(float(cents))
    if offset == 0:
        return str(names)
    return f"{names} {'+' if offset > 0 else '−'} {abs(offset)} cents"


# -- formulas with their numbers ----------------------------------------------------------------


def formula_latex(hz: float, formula: MelFormula) -> str:
    """Hz to mel, with the numbers in it."""
    mel = float(hz_to_mel(hz, formula))
    if formula == "htk":
        return rf"2595\,\log_{{10}}\!\left(1+\frac{{{hz:.7g}}}{{700}}\right)={mel:.2f}"
    if hz < 1000:
        return rf"{_STRUT}\frac{{3}}{{200}}\times {hz:.7g}={mel:.3f}"
    return rf"{_STRUT}15+27\,\frac{{\ln({hz:.7g}/1000)}}{{\ln 6.4}}={mel:.3f}"


def inverse_latex(hz: float, formula: MelFormula) -> str:
    """Mel to Hz, with the numbers in it."""
    mel = float(hz_to_mel(hz, formula))
    if formula == "htk":
        return rf"700\left(10^{{\,{mel:.2f}/2595}}-1\right)={hz:.7g}"
    if hz < 1000:
        return rf"{_STRUT}\frac{{200}}{{3}}\times {mel:.3f}={hz:.7g}"
    return rf"{_STRUT}1000\times 6.4^{{\,({mel:.3f}-15)/27}}={hz:.7g}"


def constants_latex() -> str:
    """Why 2595 with one logarithm is 1127 with the other."""
    quotient = 2595 / np.log(10)
    return rf"{_STRUT}\frac{{2595}}{{\ln 10}}=\frac{{2595}}{{2.302585}}={quotient:.2f}\approx 1127"


def signed(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def sum_latex(trace: CellTrace) -> str:
    """The first products, the sum, and the MFCC."""
    level, weight = trace.log_mel, trace.dct
    terms = [rf"({level[m]:.2f})({weight[m]:.4f})" for m in range(min(2, len(level)))]
    dots = r"+\dots" if len(level) > 2 else ""
    return (
        rf"\begin{{aligned}}c_{{{trace.coefficient}}}&={'+'.join(terms)}{dots}\\"
        rf"&={trace.total:.3f}\end{{aligned}}"
    )


# -- the curve ----------------------------------------------------------------------------------


def curve_figure(hz: float, *, logarithmic: bool) -> go.Figure:
    """Both formulas over frequency, each with its own ruler, and the chosen point."""
    top = max(8000.0, min(1.25 * hz, 96_000.0))
    f = np.geomspace(20, top, 300) if logarithmic else np.linspace(0, top, 300)
    chart = charts.figure(x="frequency, Hz", y="mel (HTK)", height=400)
    looks: tuple[tuple[MelFormula, str, str, str], ...] = (
        ("htk", charts.BLUE, "solid", "y"),
        ("slaney", charts.ORANGE, "dash", "y2"),
    )
    for formula, colour, dash, axis in looks:
        mel = hz_to_mel(f, formula)
        chart.add_scatter(
            x=f.astype(np.float32),
            y=mel.astype(np.float32),
            mode="lines",
            name=FORMULA_NAMES[formula],
            line={"color": colour, "width": 3, "dash": dash},
            yaxis=axis,
            hovertemplate="%{x:.0f} Hz is %{y:.2f} mel<extra></extra>",
        )
    height = float(hz_to_mel(hz, "htk"))
    start = float(f[0])
    chart.add_scatter(
        x=[hz, hz, start],
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
        chart.update_xaxes(tickvals=[20, 50, *_AXIS_HZ, 20000, 50000])
    return chart


# -- the ear test -------------------------------------------------------------------------------


def steps_figure(pairs: dict[str, tuple[float, float]], formula: MelFormula) -> go.Figure:
    """The size of each named step on three rulers: hertz, mel, semitones."""
    chart = make_subplots(
        rows=1,
        cols=3,
        subplot_titles=("in hertz", "in mel", "in semitones"),
        horizontal_spacing=0.1,
    )
    names = list(pairs)
    units: tuple[StepUnit, ...] = ("hz", "mel", "semitones")
    for column, unit in enumerate(units, start=1):
        sizes = [step_size(low, high, unit, formula) for low, high in pairs.values()]
        chart.add_bar(
            x=names,
            y=sizes,
            text=[f"{size:.3g}" if size < 100 else f"{size:.0f}" for size in sizes],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": [charts.BLUE, charts.ORANGE],
                "pattern": {"shape": ["", "/"]},
            },
            hovertemplate="step %{x}: %{y:.1f} " + unit + "<extra></extra>",
            row=1,
            col=column,
        )
        chart.update_yaxes(range=[0, 1.2 * max(sizes)], showticklabels=False, row=1, col=column)
    chart.update_layout(height=260, margin={"l": 8, "r": 8, "t": 36, "b": 8}, showlegend=False)
    return chart


def staircase_figure(stairs: dict[str, NDArray[np.float64]], seconds: float) -> go.Figure:
    """Named staircases, frequency over time."""
    chart = charts.figure(x="time, s", y="frequency, Hz", height=320)
    looks = ((charts.BLUE, "solid", "circle"), (charts.ORANGE, "dash", "square"))
    for (name, f), (colour, dash, symbol) in zip(stairs.items(), looks, strict=True):
        chart.add_scatter(
            x=(np.arange(len(f)) * seconds).astype(np.float32),
            y=f.astype(np.float32),
            name=name,
            mode="lines+markers",
            line={"color": colour, "shape": "hv", "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 8},
            hovertemplate="%{y:.0f} Hz<extra></extra>",
        )
    return chart


# -- the filter bank ----------------------------------------------------------------------------


def bank_figure(report: BankReport, *, chosen: int, zoom: tuple[float, float]) -> go.Figure:
    """The triangles, the FFT bins they catch, the empty ones and the chosen one picked out."""
    chart = charts.figure(x="frequency, Hz", y="weight of the band", height=400)
    bands = np.arange(len(report.peaks))
    full = np.setdiff1d(bands, report.empty)
    _add_triangles(chart, report, full[full % 2 == 0], "bands", charts.BLUE, "solid", 1.5)
    _add_triangles(chart, report, full[full % 2 == 1], "", charts.SKY, "solid", 1.5)
    _add_triangles(chart, report, report.empty, "empty bands", charts.VERMILION, "dot", 2.5)
    _add_triangles(
        chart, report, np.array([chosen]), f"band {chosen + 1}", charts.ORANGE, "solid", 4
    )
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
    chart.update_xaxes(range=zoom)
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
    """All triangles of one look in one trace, separated by gaps."""
    if not bands.size:
        return
    gap = np.full(len(bands), np.nan)
    zero = np.zeros(len(bands))
    e = report.edges
    x = np.stack([e[bands], e[bands + 1], e[bands + 2], gap], axis=1).ravel()
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


# -- from sound to MFCC -------------------------------------------------------------------------


def stages_figure(
    samples: Array,
    spectrum_db: Array,
    mel_db: Array,
    mfcc: Array,
    params: FeatureParams,
    centres: NDArray[np.float64],
    *,
    moment: float | None = None,
) -> go.Figure:
    """Waveform, spectrogram, mel spectrogram and MFCCs over one time axis.

    Parameters
    ----------
    samples : ndarray, shape (samples,)
    spectrum_db, mel_db, mfcc : ndarray, shape (frames, rows); dB, dB, and the MFCCs themselves
    centres : ndarray, shape (n_mels,), Hz
    moment : float or None, s, marked by a line
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
    if moment is not None:
        chart.add_vline(x=moment, line={"color": charts.VERMILION, "width": 2, "dash": "dash"})
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
