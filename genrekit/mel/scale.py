"""The mel scale: equal steps in mel sound like about equal steps in pitch.

Two formulas share the name, and their values must never be mixed:

- ``"htk"``: ``2595 log10(1 + f / 700)`` (O'Shaughnessy 1987; also written ``1127 ln(...)``).
  1000 Hz is 1000 mel. The formula of textbooks, HTK and Kaldi.
- ``"slaney"``: linear below 1 kHz (3 mel per 200 Hz), logarithmic above (27 mel per factor 6.4),
  from Slaney's Auditory Toolbox (1998). 1000 Hz is 15 mel. The default of librosa.

Arrays of any shape are mapped element by element.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.ranges import check_choice, check_number, check_whole
from genrekit.wording import numeral

__all__ = [
    "FilterNorm",
    "MelFormula",
    "hz_to_mel",
    "mel_filterbank",
    "mel_frequencies",
    "mel_to_hz",
]

MelFormula = Literal["htk", "slaney"]
FilterNorm = Literal["slaney", "peak"]

_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = 15.0
_SLANEY_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(frequency: ArrayLike, formula: MelFormula = "htk") -> NDArray[np.float64]:
    """Convert frequencies in Hz, >= 0, to mel; a scalar gives a scalar.

    Raises
    ------
    SettingsError
        A frequency is negative or not finite, or the formula is unknown.

    Examples
    --------
    >>> round(float(hz_to_mel(440)), 2)
    549.64
    >>> float(hz_to_mel(1000, "slaney"))
    15.0
    """
    f = _checked(frequency, "frequency", "Hz")
    check_choice("mel formula", formula, get_args(MelFormula))
    if formula == "htk":
        return 2595 * np.log10(1 + f / 700)
    log_part = np.log(np.maximum(f, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
    return np.minimum(f, _SLANEY_KNEE_HZ) * 3 / 200 + log_part


def mel_to_hz(mel: ArrayLike, formula: MelFormula = "htk") -> NDArray[np.float64]:
    """Convert mel to frequencies in Hz; the inverse of `hz_to_mel`, with the same errors.

    A value that is too large for a frequency is a SettingsError, too.

    Examples
    --------
    >>> round(float(genrekit.mel_to_hz(549.64)))
    440
    """
    m = _checked(mel, "mel value", "mel")
    check_choice("mel formula", formula, get_args(MelFormula))
    with np.errstate(over="ignore"):
        if formula == "htk":
            hz = 700 * (10 ** (m / 2595) - 1)
        else:
            log_part = np.exp(_SLANEY_LOG_STEP * np.maximum(m - _SLANEY_KNEE_MEL, 0))
            hz = np.minimum(m, _SLANEY_KNEE_MEL) * 200 / 3 * log_part
    if not np.isfinite(hz).all():
        raise SettingsError(f"{numeral(m.max())} mel is too large for a frequency: use less.")
    return hz


def mel_frequencies(
    count: int, fmin: float, fmax: float, formula: MelFormula = "htk"
) -> NDArray[np.float64]:
    """Return `count` frequencies in Hz from `fmin` to `fmax`, equally spaced in mel.

    SettingsError if the range is empty, or count is below 1.
    """
    check_whole("count", count, 1)
    check_number("fmin", fmin)
    check_number("fmax", fmax)
    if not 0 <= fmin < fmax:
        raise SettingsError(
            f"The range {numeral(fmin)} to {numeral(fmax)} Hz is empty: the lower edge must be "
            "at least 0 and below the upper edge."
        )
    low, high = hz_to_mel([fmin, fmax], formula)
    return mel_to_hz(np.linspace(low, high, count), formula)


def mel_filterbank(
    sample_rate: float,
    n_fft: int,
    n_mels: int = 128,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    formula: MelFormula = "htk",
    norm: FilterNorm = "slaney",
) -> NDArray[np.float64]:
    """Return the triangular bands, equally spaced in mel, that sum a power spectrum.

    Band k rises from edge k to edge k+1 and falls to edge k+2 of ``n_mels + 2`` edges. A band
    narrower than one FFT bin can miss every bin and be all zero.

    Parameters
    ----------
    sample_rate : float, Hz, > 0
    n_fft : int, samples, >= 2
    n_mels : int, >= 1
    fmin, fmax : float, Hz; fmax is at most half the sample rate, which None means
    norm : "slaney" (each triangle has area 1 over Hz) or "peak" (each triangle reaches 1)

    Returns
    -------
    ndarray, shape (n_mels, 1 + n_fft // 2)
        Equal to ``librosa.filters.mel`` with ``htk=(formula == "htk")`` and, for "peak",
        ``norm=None``.

    Raises
    ------
    SettingsError
        A parameter is out of range.

    Examples
    --------
    >>> genrekit.mel_filterbank(22050, 2048, 40).shape
    (40, 1025)
    """
    check_number("sample_rate", sample_rate, 0, unit="Hz", above=True)
    check_whole("n_fft", n_fft, 2)
    check_whole("n_mels", n_mels, 1)
    check_choice("filter normalisation", norm, get_args(FilterNorm))
    nyquist = sample_rate / 2
    fmax = nyquist if fmax is None else fmax
    check_number("fmax", fmax)
    if fmax > nyquist:
        raise SettingsError(
            f"The upper edge {numeral(fmax)} Hz is above half the sample rate "
            f"({numeral(nyquist)} Hz): lower it."
        )
    edges = mel_frequencies(n_mels + 2, fmin, fmax, formula)
    bins = np.linspace(0, nyquist if n_fft % 2 == 0 else nyquist * (1 - 1 / n_fft), 1 + n_fft // 2)
    widths = np.diff(edges)[:, np.newaxis]
    distance = bins - edges[:, np.newaxis]
    rising = distance[:-2] / widths[:-1]
    falling = -distance[2:] / widths[1:]
    bands = np.maximum(0, np.minimum(rising, falling))
    if norm == "slaney":
        bands *= 2 / (edges[2:] - edges[:-2])[:, np.newaxis]
    return bands


def _checked(values: ArrayLike, what: str, unit: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    bad = array[~(np.isfinite(array) & (array >= 0))]
    if bad.size:
        raise SettingsError(
            f"A {what} of {numeral(bad.flat[0])} {unit} is impossible: use a number of at least 0."
        )
    return array
