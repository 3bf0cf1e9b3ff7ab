"""Measure how much the evidence proves: what a model says of the evidence alone, and of the rest.

    python -m models.measure_evidence MUSIC... [--model FOLDER] [--clips N] [--save]

MUSIC are folders of genre folders. Of their songs, drawn in random order, the first N of whose
genre the model is sure are taken. Each is judged again with only its evidence and without it
(`genrekit.verdict.evidence`), and in the same way with areas drawn at random, as many as the
evidence has. The figures are printed as JSON, and with --save they become "evidence" on the
model's card:

- `kept`: the shares of songs whose likeliest genre stays when only the areas are kept
- `removed`: the shares of songs whose likeliest genre changes when the areas are removed
- `areas`: the share of a song's areas that the evidence is, on average
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio
from genrekit.dataset.folder import find_tracks
from genrekit.errors import GenreKitError
from genrekit.features.extraction import split_segments
from genrekit.model.bundle import GenreModel
from genrekit.model.verdicts import Verdict, ranked
from genrekit.verdict.evidence import Areas, split_sound, strongest
from genrekit.verdict.occlusion import band_edges, occlusion, song_map
from models.card_figures import put_on_card

SEED: Final = 0


def likeliest(verdict: Verdict) -> str | None:
    """Return the likeliest outcome; None of silence."""
    return ranked(verdict.outcomes)[0][0] if verdict.outcomes else None


def outcome(
    model: GenreModel, samples: NDArray[np.float32], areas: Areas, genre: str
) -> tuple[bool, bool]:
    """Return whether the genre stays with these areas alone, and whether it goes without them."""
    rate = model.params.sample_rate
    parts = split_sound(samples, rate, areas, band_edges(model.params))
    alone, without = (likeliest(model.classify(part, sample_rate=rate)) for part in parts)
    return alone == genre, without != genre


def evidence_of(model: GenreModel, samples: NDArray[np.float32], verdict: Verdict) -> Areas:
    """Return the areas that speak for the verdict's genre."""
    params, starts = model.params, np.array([one.start for one in verdict.segments])
    segments = split_segments(samples, params)[: len(starts)]
    maps = occlusion(model, segments, model.genres.index(verdict.genre or ""))
    whole = song_map(maps, starts, params, len(samples) / params.sample_rate)
    return strongest(np.nan_to_num(whole.values))


def measured(
    model: GenreModel, songs: Sequence[Path], clips: int, rng: np.random.Generator
) -> Iterator[tuple[float, tuple[bool, bool], tuple[bool, bool]]]:
    """Yield the areas' share, and the outcomes with the evidence and with random areas."""
    taken = 0
    for song in rng.permutation(np.array(songs, object)):
        samples = load_audio(song, model.params.sample_rate)
        verdict = model.classify(samples, sample_rate=model.params.sample_rate)
        if verdict.genre is None:
            continue
        areas = evidence_of(model, samples, verdict)
        drawn = rng.permutation(areas.ravel()).reshape(areas.shape)
        outcomes = [outcome(model, samples, which, verdict.genre) for which in (areas, drawn)]
        yield float(areas.mean()), outcomes[0], outcomes[1]
        taken += 1
        print(f"{taken}/{clips} {verdict.genre} {outcomes}", file=sys.stderr, flush=True)
        if taken == clips:
            return


def figures(
    rows: Sequence[tuple[float, tuple[bool, bool], tuple[bool, bool]]],
) -> dict[str, Any]:
    """Sum up what `measured` yields."""
    shares, evidence, drawn = zip(*rows, strict=True)
    result: dict[str, Any] = {"songs": len(rows), "areas": float(np.mean(shares))}
    for name, of_evidence, of_random in zip(
        ("kept", "removed"), np.mean(evidence, axis=0), np.mean(drawn, axis=0), strict=True
    ):
        result[name] = {"evidence": float(of_evidence), "random": float(of_random)}
    return result


def measure(model: GenreModel, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the songs that the options name."""
    songs = [track.path for folder in options.music for track in find_tracks(folder)[0]]
    rows = list(measured(model, songs, options.clips, np.random.default_rng(SEED)))
    if not rows:
        raise GenreKitError("The model is not sure of any song there.")
    return figures(rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        "measure_evidence", description="Measure how much the evidence proves."
    )
    parser.add_argument("--clips", type=int, default=100, help="how many songs to take")
    return put_on_card(parser, "evidence", measure)


if __name__ == "__main__":
    sys.exit(main())
