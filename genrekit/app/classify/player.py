"""A song with its evidence: sound, mel spectrogram, segments and tags on one time axis.

What travels to the browser is one block of bytes: the length of a header (uint32, little endian),
the header as JSON, the picture (uint8) and, where there is an explanation, its map (int8) and its
areas (0 or 1), all row by row from the lowest band up. The sound does not travel with it: the
browser fetches it by address.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from genrekit.app.kit.charts import NEGATIVE, POSITIVE, outcome_colours
from genrekit.app.kit.component import component
from genrekit.model.tags import CLEAR
from genrekit.model.verdicts import NO_MUSIC, SegmentVerdict, Verdict, ranked
from genrekit.verdict.analysis import Explanation, SongResult
from genrekit.wording import agree, counted

__all__ = ["WHOLE", "cell_edges", "evidence_player"]

_mount: Final = component("evidence_player")
WHOLE: Final = "Whole song"
_TAG_ROWS: Final = 12
_NAMED: Final = 3


def evidence_player(
    url: str | None,
    result: SongResult,
    explanation: Explanation | None,
    *,
    key: str,
    versions: Mapping[str, str | None] = MappingProxyType({}),
    beats: Sequence[float] = (),
) -> int | None:
    """Play a song and show its evidence in step.

    Parameters
    ----------
    url : str or None
        The address of a sound that browsers play, as long as what was analysed; of None and of
        any other, the player says so and stays silent.
    result : SongResult
    explanation : Explanation or None; only sizes relative to the largest are shown
    key : str
    versions : mapping of str to str or None
        Addresses of other versions of the sound, by name: as long, and in step with it. The visitor
        can change from one to the other while it plays. With an explanation they are two: with
        only its areas, and without them; the picture then covers what is not heard.
    beats : sequence of float, s, to be marked below the picture

    Returns
    -------
    int or None
        Index of the segment that the visitor chose; None in every run that a choice did not cause.
    """
    sounds = [(WHOLE, url), *versions.items()]
    header = _header(sounds, result, explanation) | {"beats": [round(beat, 3) for beat in beats]}
    data = _pack(header, result, explanation)
    chosen = _mount(key=key, data=data, on_segment_change=lambda: None).segment
    # What a browser sends is a visitor's input.
    valid = type(chosen) is int and 0 <= chosen < len(result.verdict.segments)
    return chosen if valid else None


def cell_edges(segments: Sequence[SegmentVerdict], seconds: float) -> list[float]:
    """Return where the cells of a strip of segments meet, without gaps even where they overlap.

    Returns
    -------
    list of float, length segments + 1, in seconds
        Rises from 0 to `seconds` by the midpoints between the centres of neighbours.
    """
    centres = [(segment.start + segment.end) / 2 for segment in segments]
    return [0.0, *((a + b) / 2 for a, b in pairwise(centres)), float(seconds)]


def _header(
    sounds: Sequence[tuple[str, str | None]], result: SongResult, explanation: Explanation | None
) -> dict[str, Any]:
    """Return what the browser needs besides the picture and the map."""
    verdict, seconds = result.verdict, result.seconds
    genres = [*sorted(verdict.probabilities), NO_MUSIC]
    colours = outcome_colours(genres)
    rows = [_first_two(segment, genres) for segment in verdict.segments]
    return {
        "sounds": sounds,
        "seconds": seconds,
        "hz": [round(hz, 1) for hz in result.picture.band_hz],
        "columns": result.picture.values.shape[1],
        "why": None if explanation is None else explanation.values.shape,
        "explained": None if explanation is None else explanation.genre,
        "genres": [[genre, colours[genre]] for genre in genres],
        "edges": [round(edge, 3) for edge in cell_edges(verdict.segments, seconds)],
        "segments": rows,
        "verdict": verdict.genre,
        "signs": [POSITIVE, NEGATIVE],
        "summary": _summary(seconds, [genres[row[2]] for row in rows], verdict.genre),
        "tags": _tag_rows(verdict),
        "stand_out": [_standing_out(segment) for segment in verdict.segments],
        "tags_summary": _tags_summary(verdict),
    }


def _first_two(segment: SegmentVerdict, genres: Sequence[str]) -> list[Any]:
    """Return start, end, and the likeliest two: index, probability, index, probability."""
    pairs = [
        value
        for genre, p in ranked(segment.outcomes)[:2]
        for value in (genres.index(genre), round(p, 4))
    ]
    return [round(segment.start, 3), round(segment.end, 3), *pairs]


def _tag_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the song's strongest tags, and how strong each is in each segment, in percent."""
    return [
        {
            "name": one.tag,
            "clear": one.clear,
            "percent": [round(100 * segment.sounds_like[one.tag]) for segment in verdict.segments],
        }
        for one in verdict.sounds_like[:_TAG_ROWS]
    ]


def _standing_out(segment: SegmentVerdict) -> list[str]:
    """Return the strongest tags of a moment, of all there are."""
    strongest = ranked(segment.sounds_like)[:_NAMED]
    return [tag for tag, share in strongest if share >= CLEAR]


def _tags_summary(verdict: Verdict) -> str:
    """Describe the tags over time for a screen reader: each with its strongest moment."""
    moments = []
    for one in verdict.sounds_like[:_TAG_ROWS]:
        most = max(verdict.segments, key=lambda segment: segment.sounds_like[one.tag])
        moments.append(f"{one.tag} most at {_length(most.start)}")
    return f"Tags over time: {', '.join(moments)}." if moments else ""


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _summary(seconds: float, genres: Sequence[str], verdict: str | None) -> str:
    """Describe the picture for a screen reader; `genres` has the likeliest of each segment."""
    length = _length(seconds)
    if not genres:
        return f"Spectrogram of {length}."
    genre = verdict or max(sorted(set(genres)), key=genres.count)
    agreeing = genres.count(genre)
    segments, verb = counted(len(genres), "segment"), agree(agreeing, "says", "say")
    return f"Spectrogram of {length}; {agreeing} of {segments} {verb} {genre}."


def _pack(header: Mapping[str, Any], result: SongResult, explanation: Explanation | None) -> bytes:
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    parts = [len(text).to_bytes(4, "little"), text, result.picture.values.tobytes()]
    if explanation is not None:
        largest = float(np.abs(explanation.values).max()) or 1.0
        parts.append(np.rint(explanation.values / largest * 127).astype(np.int8).tobytes())
        parts.append(explanation.areas.tobytes())
    return b"".join(parts)
