"""A song with its evidence: sound, mel spectrogram and segments on one time axis.

What travels to the browser is one block of bytes: the length of a header (uint32, little endian),
the header as JSON, the picture (uint8) and, where there is one, the "why" map (int8), both row by
row from the lowest band up. The sound does not travel with it: the browser fetches it by address.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.app.kit.charts import GREY, NEGATIVE, POSITIVE
from genrekit.app.kit.component import component
from genrekit.app.kit.media import media_url
from genrekit.errors import SettingsError
from genrekit.model.verdicts import SegmentVerdict
from genrekit.wording import agree, counted

__all__ = ["MAX_COLUMNS", "cell_edges", "evidence_player"]

# More columns than any screen shows of a song at once.
MAX_COLUMNS: Final = 1200

_mount: Final = component("evidence_player")


def cell_edges(segments: Sequence[SegmentVerdict], seconds: float) -> list[float]:
    """Where the cells of a strip of segments meet; without gaps, even where segments overlap.

    Returns
    -------
    list of float, length segments + 1, in seconds
        Rises from 0 to `seconds` by the midpoints between the centres of neighbours.

    Raises
    ------
    SettingsError
        The segments are not in order of time, or lie outside of the sound.
    """
    centres = [(segment.start + segment.end) / 2 for segment in segments]
    inner = [(a + b) / 2 for a, b in pairwise(centres)]
    if not all(a < b for a, b in pairwise([0.0, *centres, seconds])):
        raise SettingsError(
            f"The segments must follow one another within the {seconds:g} s of the sound: "
            "order them by time, and give the length of what was heard."
        )
    return [0.0, *inner, float(seconds)]


def evidence_player(
    audio: bytes,
    mime: str,
    *,
    picture: NDArray[np.uint8],
    seconds: float,
    band_hz: Sequence[float],
    segments: Sequence[SegmentVerdict],
    verdict: str | None,
    colours: Mapping[str, str],
    why: NDArray[np.float32] | None = None,
    explained: str | None = None,
    key: str,
) -> int | None:
    """Play a song and show what was made of it, in step.

    Parameters
    ----------
    audio : bytes
        Any format that browsers play; of another, the player says so and stays silent.
    mime : str, such as audio/mpeg
    picture : ndarray, uint8, shape (bands, columns)
        Mel spectrogram from 0, quiet, to 255, loud; the lowest band first. Beyond `MAX_COLUMNS`
        columns, neighbours are averaged.
    seconds : float, above 0
        Length of what was heard, and of the time axis.
    band_hz : sequence of float, length bands, rising
        Centre frequency of each band, Hz.
    segments : sequence of SegmentVerdict, by time; they may overlap
    verdict : str or None
        The song's genre; None when the model is not sure.
    colours : mapping of genre to CSS colour
    why : ndarray, optional, shape (bands2, columns2)
        What carried the verdict (positive) and what spoke against it (negative), over the same
        axes at any resolution. Only sizes relative to the largest are shown.
    explained : str, optional
        The genre that `why` is about, which need not be the verdict's; given with it.
    key : str

    Returns
    -------
    int or None
        Index of the segment that the visitor chose; None in every run that a choice did not cause.

    Raises
    ------
    SettingsError
        The shapes do not fit together.
    """
    _check(picture, seconds, band_hz, why)
    url = media_url(audio, mime, key) if audio else None
    if (why is None) != (explained is None):
        raise SettingsError("A map of reasons is about a genre: give both, or neither.")
    header = _header(url, picture, seconds, band_hz, segments, verdict, colours, why)
    header["explained"] = explained
    result = _mount(key=key, data=_pack(header, picture, why), on_segment_change=lambda: None)
    chosen = result.segment
    # What a browser sends is a visitor's input.
    valid = type(chosen) is int and 0 <= chosen < len(segments)
    return chosen if valid else None


def _check(
    picture: NDArray[np.uint8],
    seconds: float,
    band_hz: Sequence[float],
    why: NDArray[np.float32] | None,
) -> None:
    if picture.ndim != 2 or 0 in picture.shape or picture.dtype != np.uint8:
        raise SettingsError(
            f"The picture is {picture.dtype} of shape {picture.shape}: give uint8 of shape "
            "(bands, columns)."
        )
    if len(band_hz) != len(picture):
        raise SettingsError(
            f"The picture has {counted(len(picture), 'band')} and "
            f"{counted(len(band_hz), 'frequency', 'frequencies')}: give one for each band."
        )
    if not (np.isfinite(band_hz).all() and (np.diff(band_hz) > 0).all()):
        raise SettingsError("The frequencies of the bands must rise: give the lowest band first.")
    if not (np.isfinite(seconds) and seconds > 0):
        raise SettingsError(
            f"A sound of {seconds:g} s cannot be shown: its length must be above 0."
        )
    if why is not None and (why.ndim != 2 or 0 in why.shape or not np.isfinite(why).all()):
        raise SettingsError(
            f"The map of reasons has shape {why.shape}: give finite numbers of shape "
            "(bands, columns)."
        )


def _header(
    url: str | None,
    picture: NDArray[np.uint8],
    seconds: float,
    band_hz: Sequence[float],
    segments: Sequence[SegmentVerdict],
    verdict: str | None,
    colours: Mapping[str, str],
    why: NDArray[np.float32] | None,
) -> dict[str, Any]:
    """What the browser needs to know besides the pictures."""
    genres = sorted({genre for segment in segments for genre in segment.probabilities})
    rows = [_first_two(segment, genres) for segment in segments]
    return {
        "url": url,
        "seconds": seconds,
        "hz": [round(float(hz), 1) for hz in band_hz],
        "columns": min(picture.shape[1], MAX_COLUMNS),
        "why": None if why is None else [len(why), min(why.shape[1], MAX_COLUMNS)],
        "genres": [[genre, colours.get(genre, GREY)] for genre in genres],
        "edges": [round(edge, 3) for edge in cell_edges(segments, seconds)],
        "segments": rows,
        "verdict": verdict,
        "signs": [POSITIVE, NEGATIVE],
        "summary": _summary(seconds, [genres[row[2]] for row in rows], verdict),
    }


def _first_two(segment: SegmentVerdict, genres: Sequence[str]) -> list[Any]:
    """Start, end, and the likeliest two: index, probability, index, probability."""
    ranked = sorted(segment.probabilities.items(), key=lambda item: -item[1])[:2]
    if not ranked or not np.isfinite([p for _, p in ranked]).all():
        raise SettingsError(f"The segment at {segment.start:g} s has no probabilities.")
    pairs = [value for genre, p in ranked for value in (genres.index(genre), round(p, 4))]
    return [round(segment.start, 3), round(segment.end, 3), *pairs, *[None] * (4 - len(pairs))]


def _summary(seconds: float, says: Sequence[str], verdict: str | None) -> str:
    """What a screen reader says of the picture."""
    minutes, rest = divmod(round(seconds), 60)
    length = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    if not says:
        return f"Spectrogram of {length}."
    genre = verdict or max(sorted(set(says)), key=says.count)
    agreeing = says.count(genre)
    segments, verb = counted(len(says), "segment"), agree(agreeing, "says", "say")
    return f"Spectrogram of {length}; {agreeing} of {segments} {verb} {genre}."


def _pack(
    header: Mapping[str, Any], picture: NDArray[np.uint8], why: NDArray[np.float32] | None
) -> bytes:
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    parts = [len(text).to_bytes(4, "little"), text]
    parts.append(np.rint(_narrow(picture)).astype(np.uint8).tobytes())
    if why is not None:
        values = _narrow(why)
        largest = float(np.abs(values).max()) or 1.0
        parts.append(np.rint(values / largest * 127).astype(np.int8).tobytes())
    return b"".join(parts)


def _narrow(values: NDArray[Any]) -> NDArray[np.float64]:
    """`values` with `MAX_COLUMNS` columns at most: neighbours are averaged."""
    columns = values.shape[1]
    if columns <= MAX_COLUMNS:
        return values.astype(np.float64)
    starts = np.linspace(0, columns, MAX_COLUMNS, endpoint=False).astype(int)
    widths = np.diff([*starts, columns])
    return np.add.reduceat(values.astype(np.float64), starts, axis=1) / widths
