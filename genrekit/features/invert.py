"""Turn a spectrogram, a mel spectrogram or MFCCs back into sound, to hear what they keep.

The inverse of the DCT is its transpose, with zeros for the missing coefficients, which smooths the
spectrum. The inverse of the mel bands is a non-negative spectrum with those bands (multiplicative
updates, Lee and Seung 2001). The phase, which all of them discard, is estimated (Griffin and Lim
1984, with the momentum of Perraudin et al. 2013): the result only sounds like the original.

A clip is one segment, shape (params.segment_samples,); spectra have shape (frames, bins).
"""

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.samples import usable_samples
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import power_spectrogram, stft
from genrekit.ranges import check_choice, check_whole

__all__ = ["Stage", "resynthesise"]

Array = NDArray[np.float32]
Stage = Literal["spectrogram", "mel", "mfcc"]

_MOMENTUM: Final = 0.99
_MEL_ITERATIONS: Final = 40
_PEAK_LIMIT: Final = 0.8


def resynthesise(
    samples: Array,
    params: FeatureParams,
    stage: Stage,
    *,
    n_coefficients: int | None = None,
    iterations: int = 32,
    seed: int = 0,
    gain: float = 1.0,
) -> Array:
    """Return a clip rebuilt from one stage of its analysis.

    Parameters
    ----------
    samples : ndarray, float32, shape (params.segment_samples,)
    stage : "spectrogram" (only the phase is lost), "mel" or "mfcc"
    n_coefficients : int, in [1, params.n_mels]; None means params.n_mfcc. Only for "mfcc".
    iterations : int, >= 1, of the phase estimate
    seed : int, of the initial phases
    gain : float, > 0, level relative to the original, linear

    Returns
    -------
    ndarray, float32, shape (params.segment_samples,), peak at most 0.8

    Raises
    ------
    SettingsError
        The stage is unknown, or the number of coefficients impossible.
    """
    check_choice("stage", stage, get_args(Stage))
    samples = usable_samples(samples)
    if stage == "spectrogram":
        power = power_spectrogram(samples, params)
    else:
        log_mel = extraction.log_mel(samples[np.newaxis], params)[0]
        if stage == "mfcc":
            keep = params.n_mfcc if n_coefficients is None else n_coefficients
            check_whole("n_coefficients", keep, 1, params.n_mels)
            mfcc = log_mel @ extraction.dct_matrix(keep, params.n_mels)
            log_mel = log_mel_from_mfcc(mfcc, params.n_mels)
        power = power_from_log_mel(log_mel, params)
    sound = griffin_lim(np.sqrt(power), params, iterations=iterations, seed=seed)
    return match_level(sound, samples * np.float32(gain))


def log_mel_from_mfcc(mfcc: Array, n_mels: int) -> Array:
    """Return the smooth mel spectra, dB, (frames, n_mels), of MFCCs, (frames, n_mfcc)."""
    return mfcc @ extraction.dct_matrix(mfcc.shape[1], n_mels).T


def power_from_log_mel(log_mel: Array, params: FeatureParams) -> Array:
    """Return power spectra, (frames, 1 + n_fft // 2), with these mel bands, dB re 1.0."""
    from scipy import sparse

    bank = extraction.mel_bands(params)
    bands, back = sparse.csr_matrix(bank), sparse.csr_matrix(bank.T)
    target = (10 ** (log_mel.T / 10)).astype(np.float32)
    wanted = back @ target
    # Start from each bin's share of its bands; bins outside all bands stay zero.
    coverage = (bank.T @ bank.sum(axis=1))[:, np.newaxis]
    power: Array = wanted / np.maximum(coverage, np.float32(1e-12))
    for _ in range(_MEL_ITERATIONS):
        power *= wanted / np.maximum(back @ (bands @ power), np.float32(1e-20))
    return np.ascontiguousarray(power.T, dtype=np.float32)


def griffin_lim(
    magnitude: Array, params: FeatureParams, *, iterations: int = 32, seed: int = 0
) -> Array:
    """Return a clip with these magnitudes, (params.frames, 1 + n_fft // 2), estimating its phase.

    SettingsError if there are less than one iterations, or the seed is negative.
    """
    check_whole("iterations", iterations, 1)
    check_whole("seed", seed, 0)
    magnitude = magnitude.astype(np.float32, copy=False)
    turns = np.random.default_rng(seed).random(magnitude.shape, dtype=np.float32)
    phase = np.exp(np.complex64(2j * np.pi) * turns)
    before = np.zeros_like(phase)
    for _ in range(iterations):
        rebuilt = stft(_istft(magnitude * phase, params), params)
        phase = rebuilt + np.float32(_MOMENTUM) * (rebuilt - before)
        phase /= np.maximum(np.abs(phase), np.float32(1e-12))
        before = rebuilt
    return _istft(magnitude * phase, params)


def _istft(spectrum: NDArray[np.complex64], params: FeatureParams) -> Array:
    """The clip whose frames are closest to these spectra, by weighted overlap-add."""
    import scipy.fft

    window = extraction.hann_window(params.n_fft)
    unfaded: Array = scipy.fft.irfft(spectrum, n=params.n_fft)
    pieces = unfaded * window
    length = params.segment_samples + 2 * (params.n_fft // 2)
    total, weight = np.zeros(length, np.float32), np.zeros(length, np.float32)
    squared = window * window
    for number, piece in enumerate(pieces):
        start = number * params.hop_length
        total[start : start + params.n_fft] += piece
        weight[start : start + params.n_fft] += squared
    half = params.n_fft // 2
    total /= np.maximum(weight, np.float32(1e-6))
    return total[half : length - half]


def match_level(sound: Array, reference: Array) -> Array:
    """Return `sound` with the power of `reference`, as far as a peak of 0.8 allows."""
    sound, reference = usable_samples(sound), usable_samples(reference)
    power = float(np.mean(sound.astype(np.float64) ** 2))
    if power == 0:
        return sound
    gain = np.sqrt(float(np.mean(reference.astype(np.float64) ** 2)) / power)
    gain = min(gain, _PEAK_LIMIT / float(np.abs(sound).max()))
    return sound * np.float32(gain)
