"""Features of sound: MFCCs and log-mel spectra of fixed-length segments.

A track is cut into segments, and each segment is analysed on its own: frame k is centred on
sample ``k * hop_length`` and the ends are padded with zeros (or, without `center`, frame k begins
there and none reaches beyond an end), and the 80 dB floor is relative to the segment's own
maximum. So a segment has the same features in a dataset and in a visitor's song.

Axis order is (segment, frame, coefficient). Values are float32 and equal those of
``librosa.feature.mfcc`` and ``librosa.power_to_db(librosa.feature.melspectrogram(...))`` on
each segment, without the time that librosa takes to compile.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.audio.samples import resampled, usable_samples
from genrekit.errors import AudioError, SettingsError
from genrekit.mel.scale import MelFormula, mel_filterbank
from genrekit.ranges import check_number, check_switch, check_whole
from genrekit.wording import counted

__all__ = [
    "DecibelReference",
    "FeatureKind",
    "FeatureParams",
    "dct_matrix",
    "extract",
    "frames",
    "hann_window",
    "log_mel",
    "mel_bands",
    "mfcc",
    "power_spectrum",
    "power_to_db",
    "split_segments",
]

Array = NDArray[np.float32]
FeatureKind = Literal["mfcc", "log_mel"]
DecibelReference = Literal["one", "max"]

DYNAMIC_RANGE_DB: Final = 80.0
POWER_MIN: Final = 1e-10
# Frames are windowed, transformed and summed in blocks that fit into the processor's cache.
_BLOCK_VALUES: Final = 1 << 19
_BANDS_PER_PRODUCT: Final = 8
_SEGMENT_VALUES_MAX: Final = 1 << 24


def _setting(default: object, low: float, high: float, unit: str, about: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "unit": unit, "help": about})


@dataclass(frozen=True)
class FeatureParams:
    """The settings of the features. The defaults are the course's, defined only here.

    SettingsError if a value is out of range, or two do not fit each other.

    Examples
    --------
    >>> genrekit.FeatureParams().shape
    (130, 13)
    >>> genrekit.FeatureParams("log_mel", n_mels=64).shape
    (130, 64)
    """

    kind: FeatureKind = field(default="mfcc", metadata={"help": "mfcc or log_mel"})
    sample_rate: int = _setting(22050, 1000, 192_000, "Hz", "samples a second after resampling")
    segment_seconds: float = _setting(3.0, 0.1, 60, "s", "length of one segment")
    n_fft: int = _setting(2048, 32, 16384, "samples", "window of one spectrum")
    hop_length: int = _setting(512, 1, 16384, "samples", "step from one spectrum to the next")
    n_mels: int = _setting(128, 1, 512, "", "mel bands")
    n_mfcc: int = _setting(13, 1, 128, "", "MFCCs kept of each frame")
    mel_formula: MelFormula = field(default="slaney", metadata={"help": "slaney or htk"})
    ref: DecibelReference = field(
        default="one",
        metadata={"help": "0 dB is a power of one, or max: the segment's loudest place"},
    )
    center: bool = field(
        default=True, metadata={"help": "pad the ends, so that frames are centred on their place"}
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, about = getattr(self, setting.name), setting.metadata
            if "low" not in about:
                continue
            if setting.type is int:
                check_whole(setting.name, value, about["low"], about["high"], about["unit"])
            else:
                check_number(setting.name, value, about["low"], about["high"], about["unit"])
            if isinstance(value, np.generic):  # which is no JSON
                object.__setattr__(self, setting.name, value.item())
        for what, choice, choices in (
            ("kind of features", self.kind, ("mfcc", "log_mel")),
            ("mel formula", self.mel_formula, ("slaney", "htk")),
            ("decibel reference", self.ref, ("one", "max")),
        ):
            if choice not in choices:
                raise SettingsError(f'Unknown {what} "{choice}": use {" or ".join(choices)}.')
        check_switch("center", self.center)
        object.__setattr__(self, "center", bool(self.center))
        if self.n_mfcc > self.n_mels:
            raise SettingsError(
                f"{counted(self.n_mfcc, 'MFCC')} cannot be made from "
                f"{counted(self.n_mels, 'mel band')}: raise n_mels or lower n_mfcc."
            )
        if self.segment_samples < self.n_fft:
            raise SettingsError(
                f"A segment of {self.segment_seconds:g} s has "
                f"{counted(self.segment_samples, 'sample')}, less than n_fft ({self.n_fft}): "
                "lengthen the segment or lower n_fft."
            )
        if self.frames * self.n_mels > _SEGMENT_VALUES_MAX:
            raise SettingsError(
                f"A segment of {counted(self.frames, 'frame')} of {counted(self.n_mels, 'band')} "
                "would fill the memory: raise hop_length or shorten the segment."
            )

    @property
    def segment_samples(self) -> int:
        """Samples in a segment."""
        return int(self.sample_rate * self.segment_seconds)

    @property
    def segment_step(self) -> float:
        """Seconds between the starts of segments: `segment_seconds`, but of whole samples.

        After an hour of segments of 0.25 s at 22050 Hz, the two differ by 0.3 s.
        """
        return self.segment_samples / self.sample_rate

    def segment_starts(self, segments: ArrayLike) -> NDArray[np.float64]:
        """Return the starts, s, of segments of a track given by their numbers, from 0."""
        return np.asarray(segments, np.int64) * self.segment_samples / self.sample_rate

    @property
    def frames(self) -> int:
        """Frames in a segment."""
        return self.frames_in(self.segment_samples)

    def frames_in(self, samples: int) -> int:
        """Return the number of frames in this many samples."""
        if not self.center:
            return max(0, 1 + (samples - self.n_fft) // self.hop_length)
        odd = self.n_fft % 2  # an odd window cannot be padded by exactly half
        return 1 + (samples - odd) // self.hop_length

    @property
    def coefficients(self) -> int:
        """Coefficients of a frame."""
        return self.n_mfcc if self.kind == "mfcc" else self.n_mels

    @property
    def shape(self) -> tuple[int, int]:
        """(frames, coefficients) of one segment."""
        return self.frames, self.coefficients

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from the result of `to_dict`, or raise SettingsError."""
        if not isinstance(values, Mapping):
            raise SettingsError(f"{values!r:.40} is not a table of feature settings.")
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise SettingsError(f"Unknown feature settings: {', '.join(sorted(unknown))}.")
        return cls(**values)


_COURSE: Final = FeatureParams()


def split_segments(
    samples: ArrayLike, params: FeatureParams = _COURSE, *, sample_rate: float | None = None
) -> Array:
    """Cut a track into consecutive segments.

    The last piece is completed with zeros if it still has the full number of frames, else left out.

    Parameters
    ----------
    samples : array-like, shape (samples,), for `usable_samples`
    sample_rate : float, Hz
        Samples of another rate than that of `params` are resampled; None if they have that rate.

    Returns
    -------
    ndarray, float32, shape (segments, params.segment_samples)
        A view of `samples` unless they were resampled or the last one was completed.

    Raises
    ------
    AudioError, SettingsError
        The samples cannot be used.

    Examples
    --------
    >>> import genrekit
    >>> genrekit.split_segments(genrekit.render("jazz", seed=1, seconds=9)).shape
    (3, 66150)
    """
    samples = _at_rate(usable_samples(samples), params, sample_rate)
    length = params.segment_samples
    count, rest = divmod(len(samples), length)
    whole = samples[: count * length].reshape(count, length)
    if not rest or params.frames_in(rest) < params.frames:
        return whole
    last = np.pad(samples[count * length :], (0, length - rest))
    return np.concatenate([whole, last[np.newaxis]])


def extract(
    samples: ArrayLike, params: FeatureParams = _COURSE, *, sample_rate: float | None = None
) -> Array:
    """Compute the features that `params` names, as `mfcc` or `log_mel`."""
    features = mfcc if params.kind == "mfcc" else log_mel
    return features(samples, params, sample_rate=sample_rate)


def mfcc(
    samples: ArrayLike, params: FeatureParams = _COURSE, *, sample_rate: float | None = None
) -> Array:
    """Compute mel-frequency cepstral coefficients: the DCT-II of each frame's log-mel spectrum.

    Davis and Mermelstein 1980; orthonormal DCT, as in ``librosa.feature.mfcc``, of which this is
    the transpose. Parameters and errors are those of `log_mel`.

    Returns
    -------
    ndarray, float32, shape (frames, params.n_mfcc) or (segments, params.frames, params.n_mfcc)

    Examples
    --------
    >>> import genrekit
    >>> sound = genrekit.render("jazz", seed=1, seconds=2, sample_rate=44100)
    >>> genrekit.mfcc(sound, sample_rate=44100).shape
    (87, 13)
    >>> genrekit.mfcc(sound, genrekit.FeatureParams(n_mfcc=20), sample_rate=44100).shape
    (87, 20)
    """
    return log_mel(samples, params, sample_rate=sample_rate) @ _plan(params).dct


def log_mel(
    samples: ArrayLike, params: FeatureParams = _COURSE, *, sample_rate: float | None = None
) -> Array:
    """Compute mel spectra in decibels, floored 80 dB below the maximum of the sound or segment.

    Parameters
    ----------
    samples : array-like, for `usable_samples`
        One sound, shape (samples,), or many segments, shape (segments, params.segment_samples).
    sample_rate : float, Hz
        A sound of another rate than that of `params` is resampled; None if it has that rate, as
        segments must.

    Returns
    -------
    ndarray, float32, dB re `params.ref`
        Of shape (frames, params.n_mels), or (segments, params.frames, params.n_mels).

    Raises
    ------
    AudioError, SettingsError
        The samples cannot be used, or the segments have another length than `params` says.

    Examples
    --------
    >>> import genrekit
    >>> sound = genrekit.render("jazz", seed=1, seconds=2)
    >>> genrekit.log_mel(sound, sample_rate=22050).shape
    (87, 128)
    """
    usable = _usable_sound(samples, params, sample_rate)
    every = _frames(np.atleast_2d(usable), params)
    if usable.ndim == 1:
        every = every[0, :, np.newaxis]  # a long sound is computed a few frames at a time
    plan = _plan(params)
    power = np.empty((*every.shape[:2], params.n_mels), np.float32)
    at_once = max(1, _BLOCK_VALUES // (every.shape[1] * params.n_fft))
    for start in range(0, len(every), at_once):
        block = slice(start, start + at_once)
        spectrum = power_spectrum(every[block] * plan.window)
        for bands, bins, weights in plan.products:
            np.matmul(spectrum[..., bins], weights, out=power[block, :, bands])
    if usable.ndim == 1:
        return power_to_db(power[np.newaxis, :, 0], params.ref)[0]
    return power_to_db(power, params.ref)


def frames(segments: Array, params: FeatureParams) -> Array:
    """Return unwindowed frames, zero-padded if `params` centres them.

    Parameters and errors are those of `log_mel`.

    Returns
    -------
    ndarray, shape (segments, params.frames, params.n_fft), samples; a view
    """
    return _frames(_usable_segments(segments, params), params)


def _frames(segments: Array, params: FeatureParams) -> Array:
    if params.center:
        half = params.n_fft // 2
        segments = np.pad(segments, ((0, 0), (half, half)))
    every = np.lib.stride_tricks.sliding_window_view(segments, params.n_fft, axis=1)
    return every[:, :: params.hop_length]


def hann_window(n_fft: int) -> Array:
    """Return the periodic Hann window, shape (n_fft,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def power_to_db(power: Array, ref: DecibelReference = "one") -> Array:
    """Convert power to decibels, floored 80 dB below the maximum of each item of the first axis.

    Parameters
    ----------
    power : ndarray, shape (n, ...), >= 0
    ref : "one" for dB re 1.0, "max" for dB re each item's maximum: the same at any level

    Returns
    -------
    ndarray, float32, same shape, dB
    """
    db = np.maximum(power, np.float32(POWER_MIN))
    np.log10(db, out=db)
    db *= np.float32(10)
    if db.size:
        top = db.max(axis=tuple(range(1, db.ndim)), keepdims=True)
        if ref == "max":
            db -= top
            top = np.zeros_like(top)
        np.maximum(db, top - np.float32(DYNAMIC_RANGE_DB), out=db)
    return db


def mel_bands(params: FeatureParams) -> Array:
    """Return the mel filters, shape (n_mels, 1 + n_fft // 2)."""
    return mel_filterbank(
        params.sample_rate, params.n_fft, params.n_mels, formula=params.mel_formula
    ).astype(np.float32)


def dct_matrix(n_mfcc: int, n_mels: int) -> Array:
    """Return the orthonormal DCT-II, shape (n_mels, n_mfcc): column k is coefficient k."""
    band, k = np.arange(n_mels)[:, np.newaxis], np.arange(n_mfcc)
    matrix = np.sqrt(2 / n_mels) * np.cos(np.pi * (2 * band + 1) * k / (2 * n_mels))
    matrix[:, 0] = math.sqrt(1 / n_mels)
    return matrix.astype(np.float32)


def _at_rate(samples: Array, params: FeatureParams, sample_rate: float | None) -> Array:
    return samples if sample_rate is None else resampled(samples, sample_rate, params.sample_rate)


def _usable_sound(samples: ArrayLike, params: FeatureParams, sample_rate: float | None) -> Array:
    """Return one sound, shape (samples,), or segments, at the rate of `params`."""
    usable = usable_samples(samples, ndim=(1, 2))
    if usable.ndim == 2:
        if sample_rate is not None:
            check_number("sample_rate", sample_rate, params.sample_rate, params.sample_rate, "Hz")
        return _usable_segments(usable, params)
    sound = _at_rate(usable, params, sample_rate)
    if len(sound) < params.n_fft:
        raise AudioError(
            f"The sound has {counted(len(sound), 'sample')}, less than a window "
            f"({params.n_fft}): give a longer one."
        )
    return sound


def _usable_segments(segments: Array, params: FeatureParams) -> Array:
    segments = usable_samples(segments, ndim=2)
    if segments.shape[1] != params.segment_samples:
        raise SettingsError(
            f"Segments of shape {segments.shape} do not fit: give (segments, "
            f"{params.segment_samples}), as split_segments does, or one channel, shape (samples,)."
        )
    return segments


class _Plan(NamedTuple):
    """Arrays that depend on `params` alone: the window, the mel bands in groups, the DCT."""

    window: Array
    products: list[tuple[slice, slice, Array]]
    dct: Array


@lru_cache(maxsize=8)
def _plan(params: FeatureParams) -> _Plan:
    bands, products = mel_bands(params), []
    # A band covers few bins: multiplying group by group skips most of the zeros.
    for first in range(0, params.n_mels, _BANDS_PER_PRODUCT):
        group = bands[first : first + _BANDS_PER_PRODUCT]
        used = np.flatnonzero(group.any(axis=0))
        low, high = (used[0], used[-1] + 1) if used.size else (0, 1)
        weights = np.ascontiguousarray(group[:, low:high].T)
        products.append((slice(first, first + len(group)), slice(low, high), weights))
    return _Plan(hann_window(params.n_fft), products, dct_matrix(params.n_mfcc, params.n_mels))


def power_spectrum(windowed: Array) -> Array:
    """Return the squared magnitude of the one-sided spectrum along the last axis."""
    import scipy.fft  # takes 0.2 s, so only when needed

    spectrum = scipy.fft.rfft(windowed)
    return spectrum.real**2 + spectrum.imag**2
