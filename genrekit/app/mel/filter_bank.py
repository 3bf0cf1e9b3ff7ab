"""Section of the mel scale page: the triangles of a filter bank, and why some catch nothing."""

from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from genrekit.app.kit.glossary import page_heading, tip
from genrekit.app.kit.widgets import URL, chart, choice, clamp, number_input, show_error
from genrekit.app.mel import figures as views
from genrekit.features.trace import BankReport, inspect_bank
from genrekit.mel.scale import FilterNorm, MelFormula
from genrekit.wording import agree, counted

__all__ = ["filter_bank"]

N_FFTS: Final = [128, 256, 512, 1024, 2048, 4096, 8192]


class BankSettings(NamedTuple):
    """The arguments of `inspect_bank`."""

    sample_rate: int
    n_fft: int
    n_mels: int
    fmin: int
    fmax: int
    formula: MelFormula
    norm: FilterNorm


def filter_bank() -> None:
    page_heading("bank")
    picture, controls = st.columns([3, 2], gap="medium")
    with controls:
        settings = _bank_settings()
    if settings.fmin >= settings.fmax:
        show_error(
            f"The range is empty: lower its start, {settings.fmin:,} Hz, or raise its end, "
            f"{settings.fmax:,} Hz."
        )
        return
    report = inspect_bank(**settings._asdict())
    with picture:
        _bank_picture(settings, report)
    _bank_verdict(settings, report)


def _bank_picture(settings: BankSettings, report: BankReport) -> None:
    """Draw the bank, and one of its bands in particular."""
    place = st.container()
    clamp("mel_band", 1, settings.n_mels)
    band = 1
    if settings.n_mels > 1:
        middle = min(20, settings.n_mels)
        band = st.slider("Look at band", 1, settings.n_mels, middle, key="mel_band", **URL)
    zoom = choice("Show", {"all": "the whole range", "low": "its lowest part"}, "mel_zoom")
    low, centre, high = report.edges[band - 1 : band + 2]
    caught = int(np.count_nonzero(report.bands[band - 1]))
    st.markdown(
        f"Band {band} rises from {low:,.0f} Hz to its peak at **{centre:,.0f} Hz** and falls to "
        f"{high:,.0f} Hz. It catches **{counted(caught, 'FFT bin')}**."
    )
    end = float(settings.fmax)
    if zoom == "low":
        end = settings.fmin + (settings.fmax - settings.fmin) / 10
    with place:
        chart(
            views.bank_figure(report, chosen=band - 1, zoom=(float(settings.fmin), end)),
            alt=f"{settings.n_mels} triangular mel bands from {settings.fmin} to {settings.fmax} "
            f"Hz, narrow at low frequencies and wide at high ones; {len(report.empty)} are empty.",
            key="mel_bank",
        )


def _bank_settings() -> BankSettings:
    n_mels = st.slider("Number of bands", 1, 256, 40, key="mel_bands", **URL)
    n_fft = st.select_slider(
        "n_fft: samples in one spectrum", N_FFTS, 2048, help=tip("Window"), key="mel_n_fft", **URL
    )
    norm = choice(
        "Heights",
        {"slaney": "equal areas", "peak": "equal peaks"},
        "mel_norm",
        help="Equal areas (librosa's default) keeps wide bands from shouting down narrow ones; "
        "equal peaks lets every triangle reach 1.",
    )
    formula = choice("Formula", views.FORMULA_NAMES, "mel_bank_formula", default="slaney")
    rate = st.selectbox(
        "Sample rate",
        [8000, 16000, 22050, 44100, 48000],
        2,
        key="mel_rate",
        format_func=lambda r: f"{r} Hz",
        help=tip("Sample rate"),
        **URL,
    )
    nyquist = rate // 2
    clamp("mel_fmin", 0, nyquist)
    clamp("mel_fmax", 0, nyquist)
    left, right = st.columns(2)
    fmin = number_input(left, "From, Hz", 0, nyquist, 0, 50, key="mel_fmin")
    fmax = number_input(right, "to, Hz", 0, nyquist, nyquist, 500, key="mel_fmax")
    return BankSettings(rate, n_fft, n_mels, int(fmin), int(fmax), formula, norm)


def _bank_verdict(settings: BankSettings, report: BankReport) -> None:
    """Say whether bands are empty, why, and how to fill them."""
    bin_hz = settings.sample_rate / settings.n_fft
    spacing = (
        f"With n_fft {settings.n_fft} at {settings.sample_rate:,} Hz the spectrum has one value "
        f"(an FFT *bin*) every {settings.sample_rate:,} ÷ {settings.n_fft} = **{bin_hz:.1f} Hz**."
    )
    empty = report.empty + 1
    if not empty.size:
        st.success(f"{spacing} Every band catches at least one.", icon=":material/check_circle:")
        return
    listed = ", ".join(map(str, empty[:10])) + (" …" if len(empty) > 10 else "")
    st.warning(
        f"**{len(empty)} of {counted(settings.n_mels, 'band')} "
        f"{agree(len(empty), 'is', 'are')} empty** (band {listed}). {spacing} A "
        "triangle narrower than that can slip between two bins; it then reports silence whatever "
        "is played, and the MFCCs suffer.",
        icon=":material/warning:",
    )
    left, right = st.columns(2)
    n_fft, n_mels = report.n_fft_needed, report.n_mels_possible
    if n_fft in N_FFTS:
        left.button(f"Fix: raise n_fft to {n_fft}", on_click=_set, args=("mel_n_fft", n_fft))
    if n_mels:
        label = f"Fix: use {counted(n_mels, 'band')}"
        right.button(label, on_click=_set, args=("mel_bands", n_mels))


def _set(key: str, value: object) -> None:
    st.session_state[key] = value
