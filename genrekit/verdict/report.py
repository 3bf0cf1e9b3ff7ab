"""Verdicts as text: a line for a terminal, JSON, rows of a table, CSV.

The command line and the pages report the same verdict in the same words, from here.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from genrekit.model.verdicts import Verdict, clear_tags, noticeable, ranked
from genrekit.wording import alternatives

__all__ = [
    "agreeing_segments",
    "candidates_in_words",
    "escape_formula",
    "report",
    "segment_rows",
    "summary_line",
    "table_row",
    "to_csv",
    "to_json",
]

_TAGS_IN_A_LINE: Final = 3
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def agreeing_segments(verdict: Verdict) -> int:
    """Count the segments whose likeliest outcome is the song's likeliest."""
    if not verdict.probabilities:
        return 0
    best = ranked(verdict.outcomes)[0][0]
    return sum(ranked(segment.outcomes)[0][0] == best for segment in verdict.segments)


def candidates_in_words(verdict: Verdict) -> str:
    """Return what the candidates of a verdict promise; empty where there are not several."""
    if not verdict.candidates[1:]:
        return ""
    return (
        f"One of {alternatives(verdict.candidates)}: right for 9 in 10 songs like those it was "
        "calibrated on."
    )


def report(name: str, outcome: Verdict | str) -> dict[str, Any]:
    """Return one file's result, a verdict or the reason why there is none, as values for JSON."""
    if isinstance(outcome, str):
        return {"file": name, "error": outcome}
    return {"file": name, **outcome.to_dict()}


def summary_line(name: str, outcome: Verdict | str) -> str:
    """Return one file's result as a line for a terminal."""
    if isinstance(outcome, str):
        return f"{name}: failed. {outcome}"
    tags = clear_tags(outcome, _TAGS_IN_A_LINE)
    heard = f"Also hears: {', '.join(tags)}." if tags else ""
    if outcome.genre is None:
        reasons = (outcome.note, candidates_in_words(outcome), heard)
        return " ".join((f"{name}: not sure.", *filter(None, reasons)))
    others = ", ".join(f"{other} {p:.0%}" for other, p in noticeable(outcome.outcomes)[1:3])
    line = f"{name}: {outcome.genre} {outcome.confidence:.0%}{others and f' (then {others})'}."
    return " ".join(filter(None, (line, outcome.note, heard)))


def table_row(name: str, outcome: Verdict | str, seconds: float = 0.0) -> dict[str, Any]:
    """Return one file's result as a row: the verdict in few columns, then every outcome's.

    `seconds` is how much of the song was analysed.
    """
    if isinstance(outcome, str):
        return {"file": name, "verdict": "cannot be used", "note": outcome}
    says = outcome.genre or ("not sure" if outcome.probabilities else "no verdict")
    row: dict[str, Any] = {"file": name, "verdict": says}
    if outcome.probabilities:
        order = ranked(outcome.outcomes)
        row |= {
            "confidence": round(outcome.confidence, 4),
            "likeliest": order[0][0],
            "second": order[1][0],
            "candidates": ", ".join(outcome.candidates),
            "segments": len(outcome.segments),
            "agreeing": agreeing_segments(outcome),
        }
    if outcome.sounds_like:
        row["sounds like"] = ", ".join(clear_tags(outcome))
    row |= {"seconds": round(seconds, 1), "note": outcome.note}
    return row | _rounded(outcome.outcomes)


def segment_rows(verdict: Verdict) -> list[dict[str, Any]]:
    """Return a row for each segment: start and end in seconds, then each outcome's probability.

    The strengths of the tags come last, under names such as "sounds like folk".
    """
    return [
        {"start": round(segment.start, 3), "end": round(segment.end, 3)}
        | _rounded(segment.outcomes)
        | {f"sounds like {tag}": share for tag, share in segment.sounds_like.items()}
        for segment in verdict.segments
    ]


def _rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {genre: round(p, 4) for genre, p in probabilities.items()}


def to_json(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return reports as ``python -m genrekit classify --json`` prints them."""
    return json.dumps(list(reports), indent=1, ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV, with the columns of all of them, and with `escape_formula`."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(map(escape_formula, columns))
    writer.writerows([escape_formula(row.get(name, "")) for name in columns] for row in rows)
    return file.getvalue()


def escape_formula(value: object) -> object:
    """Return `value` with an apostrophe in front where a spreadsheet would compute it.

    It would compute a text that begins with ``= + - @`` or a control character.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value
