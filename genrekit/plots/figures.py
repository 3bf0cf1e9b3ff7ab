"""Plots of a filter bank, a sound's MFCCs, a verdict and a confusion matrix, with Matplotlib.

Each function draws into axes that are given, or makes a figure, and returns the axes. Matplotlib is
imported when something is drawn.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import SettingsError
from genrekit.features.extraction import FeatureParams, mel_bands, mfcc
from genrekit.model.evaluation import Measurement
from genrekit.model.verdicts import Verdict, ranked
from genrekit.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion", "plot_mel_filterbank", "plot_mfcc", "plot_verdict"]

_COURSE: Final = FeatureParams()
_GENRES_DRAWN: Final = 4


def plot_mel_filterbank(params: FeatureParams = _COURSE, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the mel bands of feature parameters: the weight of each frequency in each band.

    Parameters
    ----------
    ax : matplotlib Axes, or None for a new figure

    Raises
    ------
    SettingsError
        Matplotlib is not installed.

    Examples
    --------
    >>> import genrekit
    >>> ax = genrekit.plot_mel_filterbank(genrekit.FeatureParams(n_mels=20))
    >>> len(ax.lines)
    20
    """
    ax = _axes(ax)
    bands = mel_bands(params)
    ax.plot(np.linspace(0, params.sample_rate / 2, bands.shape[1]), bands.T, linewidth=1)
    ax.set(xlabel="Frequency, Hz", ylabel="Weight", title=counted(params.n_mels, "mel band"))
    return ax


def plot_mfcc(
    samples: ArrayLike,
    params: FeatureParams = _COURSE,
    *,
    sample_rate: float | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the MFCCs of a sound over time.

    Parameters are those of `mfcc`, for one sound, and those of `plot_mel_filterbank`.

    Examples
    --------
    >>> import genrekit
    >>> sound = genrekit.render("jazz", seed=1, seconds=3)
    >>> ax = genrekit.plot_mfcc(sound, sample_rate=22050)
    >>> ax.get_xlabel()
    'Time, s'
    """
    features = mfcc(samples, params, sample_rate=sample_rate)
    if features.ndim != 2:
        raise SettingsError("Segments are many sounds: give one, of shape (samples,).")
    ax = _axes(ax)
    frames, coefficients = features.shape
    seconds = frames * params.hop_length / params.sample_rate
    edges = (0.0, seconds, 0.5, coefficients + 0.5)
    image = ax.imshow(features.T, aspect="auto", origin="lower", extent=edges, cmap="cividis")
    ax.figure.colorbar(image, ax=ax)
    ax.set(xlabel="Time, s", ylabel="MFCC", title=counted(coefficients, "MFCC"))
    return ax


def plot_verdict(verdict: Verdict, *, ax: "Axes | None" = None) -> "Axes":
    """Draw the probabilities of a song's four likeliest outcomes over time.

    Parameters and errors are those of `plot_mel_filterbank`. SettingsError, too, for a verdict on
    nothing.

    Examples
    --------
    >>> import genrekit
    >>> song = genrekit.render("jazz", seed=1, seconds=12)
    >>> verdict = genrekit.load_model("gtzan-cnn").classify(song, sample_rate=22050)
    >>> ax = genrekit.plot_verdict(verdict)
    >>> len(ax.patches)
    4
    """
    if not verdict.segments:
        raise SettingsError(f"There is no verdict to draw. {verdict.note}")
    ax = _axes(ax)
    edges = [segment.start for segment in verdict.segments] + [verdict.segments[-1].end]
    for outcome, share in ranked(verdict.outcomes)[:_GENRES_DRAWN]:
        shares = [segment.outcomes.get(outcome, 0.0) for segment in verdict.segments]
        ax.stairs(shares, edges, label=f"{outcome} {share:.0%}", linewidth=2)
    ax.set(xlabel="Time, s", ylabel="Probability", ylim=(0, 1), title=verdict.genre or "not sure")
    ax.legend()
    return ax


def plot_confusion(
    confusion: Measurement | ArrayLike,
    genres: Sequence[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a confusion matrix: a row for each true genre, a column for each verdict.

    Parameters
    ----------
    confusion : Measurement, or array-like of whole numbers, shape (genres, genres)
    genres : names, needed with an array
    ax : matplotlib Axes, or None for a new figure

    Raises
    ------
    SettingsError
        The matrix and the names do not fit, or Matplotlib is not installed.

    Examples
    --------
    >>> import genrekit
    >>> ax = genrekit.plot_confusion([[8, 2], [1, 9]], ["jazz", "rock"])
    >>> [text.get_text() for text in ax.texts]
    ['8', '2', '1', '9']
    """
    if isinstance(confusion, Measurement):
        genres, confusion = confusion.genres, confusion.confusion
    counts: NDArray[np.int64] = np.asarray(confusion)
    if genres is None or counts.shape != (len(genres), len(genres)):
        raise SettingsError(
            f"A matrix of shape {counts.shape} needs as many genres as it has rows and columns."
        )
    ax = _axes(ax)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, f"{count}", ha="center", va="center", color=colour)
    places = range(len(genres))
    ax.set_xticks(places, genres, rotation=45, ha="right")
    ax.set_yticks(places, genres)
    ax.set(xlabel="Verdict", ylabel="Truth", title="Confusion matrix")
    return ax


def _axes(ax: "Axes | None") -> "Axes":
    """Return the axes that were given, or those of a new figure."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise SettingsError(
            'Plots need the package matplotlib: pip install "genrekit[plots]"'
        ) from None
    return pyplot.subplots(layout="constrained")[1]
