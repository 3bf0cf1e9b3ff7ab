"""Section of the mel scale page: the triangles of a filter bank, and why some catch nothing."""

from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from genrekit.app.kit.glossary import page_words, tip
from genrekit.app.kit.widgets import URL, chart, choice, clamp, page_header
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
    page_header(
        "The filter bank",
        "A computer sorts the frequencies of a moment of sound into overlapping triangles, the "
        "**mel bands**: narrow ones for low tones, wide ones for high tones. Each band reports one "
        "number, the weighted sum of the spectrum beneath it.",
        "raise the number of bands to 128 and lower n_fft to 256; some bands go empty.",
    )
    page_words("bank")
    settings = _bank_settings()
    if settings.fmin >= settings.fmax:
        st.error(
            f"The range is empty, for {settings.fmin:,} Hz is not below {settings.fmax:,} Hz: "
            "lower its start or raise its end.",
            icon=":material/error:",
        )
        return
    report = inspect_bank(**settings._asdict())
    _bank_verdict(settings, report)
    clamp("mel_band", 1, settings.n_mels)
    left, right = st.columns(2)
    band = 1
    if settings.n_mels > 1:
        middle = min(20, settings.n_mels)
        band = left.slider("Look at band", 1, settings.n_mels, middle, key="mel_band", **URL)
    with right:
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
    chart(
        views.bank_figure(report, chosen=band - 1, zoom=(float(settings.fmin), end)),
        alt=f"{settings.n_mels} triangular mel bands from {settings.fmin} to {settings.fmax} Hz, "
        f"narrow at low frequencies and wide at high ones; {len(report.empty)} are empty.",
        key="mel_bank",
    )


def _bank_settings() -> BankSettings:
    one, two, three = st.columns(3)
    n_mels = one.slider("Number of bands", 1, 256, 40, key="mel_bands", **URL)
    n_fft = two.select_slider(
        "n_fft: samples in one spectrum", N_FFTS, 2048, help=tip("Window"), key="mel_n_fft", **URL
    )
    rate = three.selectbox(
        "Sample rate",
        [8000, 16000, 22050, 44100, 48000],
        2,
        key="mel_rate",
        format_func=lambda r: f"{r} Hz",
        help=tip("Sample rate"),
        **URL,
    )
    four, five, six, seven = st.columns([3, 3, 3, 4])
    nyquist = rate // 2
    clamp("mel_fmin", 0, nyquist)
    clamp("mel_fmax", 0, nyquist)
    fmin = four.number_input("From, Hz", 0, nyquist, 0, 50, key="mel_fmin", **URL)
    fmax = five.number_input("to, Hz", 0, nyquist, nyquist, 500, key="mel_fmax", **URL)
    with six:
        formula = choice("Formula", views.FORMULA_NAMES, "mel_bank_formula", default="slaney")
    with seven:
        norm = choice(
            "Heights",
            {"slaney": "equal areas", "peak": "equal peaks"},
            "mel_norm",
            help="Equal areas (librosa's default) keeps wide bands from shouting down narrow ones; "
            "equal peaks lets every triangle reach 1.",
        )
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
        left.button(f"Remedy: raise n_fft to {n_fft}", on_click=_set, args=("mel_n_fft", n_fft))
    if n_mels:
        label = f"Remedy: take {counted(n_mels, 'band')}"
        right.button(label, on_click=_set, args=("mel_bands", n_mels))


def _set(key: str, value: object) -> None:
    st.session_state[key] = value
