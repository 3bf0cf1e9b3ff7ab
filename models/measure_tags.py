"""Measure how far a model's clear tags can be trusted.

    python -m models.measure_tags MUSIC... [--model FOLDER] [--every N] [--save]

MUSIC are folders of genre folders. Each song is heard whole, in halves, and, one song in N, after
each change of `models.robustness`. The figures are printed as JSON, and with --save they become
"tags" on the model's card:

- `halves`: of the tags that are clear in one half of a song, the shares that in the other half are
  clear, in the top tenth and in the top quarter of the reference songs.
- `changes`: the same for clear tags of a song before and after each change.
- `genres`: for tags that name a genre of the folders, the number of songs in which the tag is
  clear, the shares of them whose label is that genre, or one that passes for it, and the same
  shares of all songs; and the share of the genre's own songs in which the tag is clear.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio
from genrekit.audio.samples import resampled
from genrekit.dataset.folder import find_tracks
from genrekit.errors import GenreKitError
from genrekit.features.extraction import extract, split_segments
from genrekit.model.bundle import GenreModel
from genrekit.model.tags import CLEAR, TAGS
from models.card_figures import put_on_card
from models.robustness import ROBUSTNESS, SAMPLE_RATE

Array = NDArray[np.float32]
# The share of reference songs in which each tag is weaker.
Strengths = Mapping[str, float]
Hear = Callable[[Array], Strengths]

LEVELS: Final = MappingProxyType({"clear": CLEAR, "top_tenth": 0.9, "top_quarter": 0.75})
# What passes for a genre besides itself, where folders are labelled loosely.
PASSES: Final = MappingProxyType(
    {
        "rock": {"metal", "pop"},
        "pop": {"rock"},
        "metal": {"rock"},
        "electronic": {"disco", "hiphop"},
    }
)


def kept(pairs: Iterable[tuple[Strengths, Strengths]]) -> dict[str, float]:
    """Return what becomes of the clear tags of the first of each pair in the second."""
    after = np.array(
        [second[tag] for first, second in pairs for tag, p in first.items() if p >= CLEAR]
    )
    shares = {name: float(np.mean(after >= least)) for name, least in LEVELS.items()}
    return {"tags": len(after), **shares}


def precision(songs: Sequence[tuple[str, Strengths]]) -> dict[str, dict[str, float]]:
    """Return the figures of each tag that names a genre, from the songs' labels and strengths."""
    labels = np.array([label for label, _ in songs])
    figures = {}
    for tag in TAGS:
        genre = tag.replace("-", "")
        is_clear = np.array([strengths.get(tag, 0) >= CLEAR for _, strengths in songs])
        own = labels == genre
        if not (own.any() and is_clear.any()):
            continue
        passes = own | np.isin(labels, sorted(PASSES.get(genre, ())))
        figures[tag] = {
            "clear": int(is_clear.sum()),
            "right": float(own[is_clear].mean()),
            "right_by_chance": float(own.mean()),
            "acceptable": float(passes[is_clear].mean()),
            "acceptable_by_chance": float(passes.mean()),
            "found": float(is_clear[own].mean()),
        }
    return figures


def listener(model: GenreModel) -> Hear:
    """Return the function that hears the tags of samples at `SAMPLE_RATE`."""
    if model.tags is None:
        raise GenreKitError(f"The network {model.network_name} knows no tags: use everyday.")
    params, tags = model.params, model.tags

    def hear(samples: Array) -> Strengths:
        segments = split_segments(resampled(samples, SAMPLE_RATE, params.sample_rate), params)
        log_odds = model.tag_log_odds(model.embeddings(extract(segments, params)))
        return {one.tag: one.stronger_than for one in tags.of_song(log_odds)}

    return hear


def measure(folders: Sequence[Path], hear: Hear, every: int) -> dict[str, Any]:
    """Hear all songs and return the figures."""
    songs, halves = [], []
    changed: dict[str, list[tuple[Strengths, Strengths]]] = {name: [] for name in ROBUSTNESS}
    tracks = [track for folder in folders for track in find_tracks(folder)[0]]
    for number, track in enumerate(tracks):
        samples = load_audio(track.path, SAMPLE_RATE)
        whole = hear(samples)
        songs.append((track.genre, whole))
        first, second = (hear(half) for half in np.array_split(samples, 2))
        halves += [(first, second), (second, first)]
        if number % every == 0:
            for name, change in ROBUSTNESS.items():
                changed[name].append((whole, hear(change(samples))))
        print(f"{number + 1}/{len(tracks)} {track.path.name}", file=sys.stderr)
    clear = np.array([sum(p >= CLEAR for p in strengths.values()) for _, strengths in songs])
    return {
        "songs": len(songs),
        "clear_tags": {"mean": float(clear.mean()), "songs_without": float((clear == 0).mean())},
        "halves": kept(halves),
        "changes": {name: kept(pairs) for name, pairs in changed.items()},
        "genres": precision(songs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        "measure_tags", description="Measure how far clear tags can be trusted."
    )
    parser.add_argument("--every", type=int, default=1, help="change one song in so many")
    return put_on_card(
        parser,
        "tags",
        lambda model, options: measure(options.music, listener(model), options.every),
    )


if __name__ == "__main__":
    sys.exit(main())
