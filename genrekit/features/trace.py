"""Trace one MFCC back to its frame, spectrum, mel bands and DCT; find empty mel bands.

A clip is analysed as one segment: `clip_params` returns settings with a segment of its length.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.samples import usable_samples
from genrekit.errors import AudioError
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.mel.scale import FilterNorm, MelFormula, mel_filterbank, mel_frequencies
from genrekit.ranges import check_whole

__all__ = [
    "BankReport",
    "CellTrace",
    "clip_params",
    "inspect_bank",
    "power_spectrogram",
    "stft",
    "trace_cell",
]

Array = NDArray[np.float32]
MIN_CLIP_SECONDS: Final = 0.3
_SILENCE_PEAK: Final = 1e-4  # -80 dBFS: below the noise of any microphone


def clip_params(samples: Array, params: FeatureParams) -> FeatureParams:
    """Return `params` with a segment as long as this clip, which is at params.sample_rate.

    AudioError if the clip is shorter than 0.3 s, or silent; the message begins with "It".
    """
    samples = usable_samples(samples)
    seconds = len(samples) / params.sample_rate
    if seconds < MIN_CLIP_SECONDS:
        raise AudioError(
            f"It lasts {seconds:.2f} s, too short to follow: use at least {MIN_CLIP_SECONDS} s."
        )
    if np.abs(samples).max() < _SILENCE_PEAK:
        raise AudioError("It is silent: check the microphone, or choose another sound.")
    # Half a sample more, so that rounding down gives the exact length.
    return replace(params, segment_seconds=(len(samples) + 0.5) / params.sample_rate)


def stft(samples: Array, params: FeatureParams) -> NDArray[np.complex64]:
    """Return the spectra of a clip's windowed frames, shape (params.frames, 1 + n_fft // 2)."""
    import scipy.fft

    framed = extraction.frames(usable_samples(samples)[np.newaxis], params)[0]
    spectrum: NDArray[np.complex64] = scipy.fft.rfft(framed * extraction.hann_window(params.n_fft))
    return spectrum


def power_spectrogram(samples: Array, params: FeatureParams) -> Array:
    """Return the squared magnitudes of `stft`."""
    spectrum = stft(samples, params)
    power: Array = spectrum.real**2 + spectrum.imag**2
    return power


@dataclass(frozen=True)
class CellTrace:
    """One MFCC and all intermediate results.

    Attributes
    ----------
    frame, coefficient : int, from 0
    seconds : float, s, the middle of the frame
    samples : ndarray, shape (n_fft,), the frame before windowing
    window : ndarray, shape (n_fft,), the Hann window
    power : ndarray, shape (1 + n_fft // 2,), the spectrum's squared magnitude
    frequencies : ndarray, shape (1 + n_fft // 2,), Hz, of the spectrum
    centres : ndarray, shape (n_mels,), Hz, the peak of each mel band
    band_power : ndarray, shape (n_mels,), the bands' sums over the spectrum
    floor_db : float, dB, 80 below the clip's loudest band; lower levels are raised to it
    log_mel : ndarray, shape (n_mels,), dB, the input of the DCT
    dct : ndarray, shape (n_mels,), the DCT's weights for this coefficient
    value : float, the MFCC as `extraction.mfcc` computes it
    """

    frame: int
    coefficient: int
    seconds: float
    samples: Array
    window: Array
    power: Array
    frequencies: NDArray[np.float64]
    centres: NDArray[np.float64]
    band_power: Array
    floor_db: float
    log_mel: Array
    dct: Array
    value: float

    @property
    def products(self) -> NDArray[np.float64]:
        """Level times DCT weight of each band, shape (n_mels,); their sum is the MFCC."""
        return self.log_mel.astype(np.float64) * self.dct

    @property
    def total(self) -> float:
        """The sum of `products`; equal to `value` up to rounding."""
        return float(self.products.sum())


def trace_cell(samples: Array, params: FeatureParams, frame: int, coefficient: int) -> CellTrace:
    """Trace one MFCC of a clip back to the samples; SettingsError if there is no such one."""
    check_whole("frame", frame, 0, params.frames - 1)
    check_whole("coefficient", coefficient, 0, params.n_mfcc - 1)
    segment = usable_samples(samples)[np.newaxis]
    log_mel = extraction.log_mel(segment, params)[0]
    power = power_spectrogram(samples, params)[frame]
    edges = mel_frequencies(params.n_mels + 2, 0, params.sample_rate / 2, params.mel_formula)
    return CellTrace(
        frame=frame,
        coefficient=coefficient,
        seconds=frame * params.hop_length / params.sample_rate,
        samples=extraction.frames(segment, params)[0, frame].copy(),
        window=extraction.hann_window(params.n_fft),
        power=power,
        frequencies=np.arange(len(power)) * params.sample_rate / params.n_fft,
        centres=edges[1:-1],
        band_power=extraction.mel_bands(params) @ power,
        floor_db=float(log_mel.max()) - extraction.DYNAMIC_RANGE_DB,
        log_mel=log_mel[frame],
        dct=extraction.dct_matrix(params.n_mfcc, params.n_mels)[:, coefficient],
        value=float(extraction.mfcc(segment, params)[0, frame, coefficient]),
    )


@dataclass(frozen=True)
class BankReport:
    """A mel filter bank, its empty bands and their remedies.

    Attributes
    ----------
    bands : ndarray, shape (n_mels, 1 + n_fft // 2), the weights
    edges : ndarray, shape (n_mels + 2,), Hz; band k spans edges k to k + 2, with its peak at k + 1
    peaks : ndarray, shape (n_mels,), the height of each triangle
    frequencies : ndarray, shape (1 + n_fft // 2,), Hz, of the FFT bins
    empty : ndarray of int, the bands without a bin, from 0
    n_fft_needed : int or None, the smallest power of two, samples, that fills all bands
    n_mels_possible : int, the most bands that this n_fft fills; 0 if it cannot fill one
    """

    bands: NDArray[np.float64]
    edges: NDArray[np.float64]
    peaks: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    empty: NDArray[np.intp]
    n_fft_needed: int | None
    n_mels_possible: int


def inspect_bank(
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    formula: MelFormula = "htk",
    norm: FilterNorm = "slaney",
) -> BankReport:
    """Make a filter bank and find its empty bands; parameters and errors as `mel_filterbank`."""
    top = sample_rate / 2 if fmax is None else fmax
    shared: dict[str, Any] = {"fmin": fmin, "fmax": top, "formula": formula}
    bands = mel_filterbank(sample_rate, n_fft, n_mels, norm=norm, **shared)
    edges = mel_frequencies(n_mels + 2, fmin, top, formula)
    larger = [2**power for power in range(5, 18) if 2**power > n_fft]

    def fills(n_fft: int, n_mels: int) -> bool:
        bands = mel_filterbank(sample_rate, n_fft, n_mels, **shared)
        return bool(bands.any(axis=1).all())

    return BankReport(
        bands=bands,
        edges=edges,
        peaks=2 / (edges[2:] - edges[:-2]) if norm == "slaney" else np.ones(n_mels),
        frequencies=np.arange(bands.shape[1]) * sample_rate / n_fft,
        empty=np.flatnonzero(~bands.any(axis=1)),
        n_fft_needed=next((n for n in (n_fft, *larger) if fills(n, n_mels)), None),
        n_mels_possible=next((n for n in range(n_mels, 0, -1) if fills(n_fft, n)), 0),
    )
