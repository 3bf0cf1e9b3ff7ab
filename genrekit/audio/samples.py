"""Samples in arrays: checked, made float32 of full scale 1.0, resampled."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.audio.source import type_in_words
from genrekit.errors import AudioError, SettingsError
from genrekit.ranges import check_number

__all__ = [
    "LOUDEST",
    "MAX_CHANNELS",
    "RATE_RANGE_HZ",
    "check_rate",
    "in_range",
    "resampled",
    "usable_samples",
]

Array = NDArray[np.float32]

MAX_CHANNELS: Final = 32
RATE_RANGE_HZ: Final = (1_000, 768_000)
# Some programs write floats as large as integers of 32 bits. Beyond 1e15, powers would overflow.
LOUDEST: Final = np.float32(1e12)
# Half the range of each integer type of sound files; silence is zero.
_INTEGERS: Final = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


def usable_samples(samples: ArrayLike, ndim: int | tuple[int, ...] = 1) -> Array:
    """Check samples given by a program and convert them to float32 of full scale 1.

    Parameters
    ----------
    samples : array-like of floats, or of integers of 16 or 32 bits, which are scaled
    ndim : int, or several
        1 for one channel, shape (samples,); 2 for segments, shape (segments, samples).

    Returns
    -------
    ndarray, float32, the same shape; `samples` itself if nothing has to be changed

    Raises
    ------
    AudioError
        A sample is not a number, or far beyond full scale.
    SettingsError
        They have another type or shape.
    """
    try:
        given = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError):
        given = np.array(None)
    if given.dtype.kind != "f" and given.dtype not in _INTEGERS:
        is_object = given.dtype.kind == "O"
        what = type_in_words(samples) if is_object else f"numbers of type {given.dtype}"
        raise SettingsError(
            f"Samples cannot be {what}: give an array of floats from -1 to 1, or of integers of "
            "16 or 32 bits."
        )
    if given.ndim not in np.atleast_1d(ndim):
        raise SettingsError(_wrong_shape(given.shape, ndim))
    if given.dtype in _INTEGERS:
        return (given / _INTEGERS[given.dtype]).astype(np.float32)
    if not in_range(given):
        problem = "far beyond full scale" if np.isfinite(given).all() else "that are not numbers"
        raise AudioError(f"The array contains samples {problem}: leave them out or set them to 0.")
    return given.astype(np.float32, copy=False)


def in_range(samples: NDArray[np.floating]) -> bool:
    """Return whether all samples are finite and not far beyond full scale."""
    return not samples.size or bool(samples.min() >= -LOUDEST and samples.max() <= LOUDEST)


def _wrong_shape(shape: tuple[int, ...], ndim: int | tuple[int, ...]) -> str:
    if ndim == 2:
        return f"Segments of shape {shape} do not fit: give (segments, samples)."
    text = f"Samples of shape {shape} are not one channel: give shape (samples,)"
    if len(shape) == 2 and 0 < min(shape) <= MAX_CHANNELS:
        text += f", such as samples.mean(axis={int(np.argmin(shape))})"
    return f"{text}."


def check_rate(rate: object) -> None:
    """Raise SettingsError for a sample rate out of range."""
    check_number("sample_rate", rate, *RATE_RANGE_HZ, "Hz")


def resampled(samples: Array, source_rate: float, target_rate: float) -> Array:
    """Resample from one rate to another, in Hz; SettingsError for a rate out of range."""
    check_rate(source_rate)
    check_rate(target_rate)
    if source_rate == target_rate or not len(samples):
        return samples
    import soxr

    changed: Array = soxr.resample(samples, source_rate, target_rate)
    return changed
