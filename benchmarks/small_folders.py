"""`python -m benchmarks.small_folders FOLDER`: how well networks learn from few songs a genre.

Each draw holds out the songs of 30% of the artists and trains on so many of the others. All
networks get the same draws, and all numbers of songs are tested on the same songs. The folder has
one folder for each genre, and a table of artists: `tracks.csv`, or another with --artists. A genre
with one artist is not tested.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Final

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported: CPU time is wall time

from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import Split, by_artist
from genrekit.features.extraction import FeatureParams
from genrekit.features.presets import PRESETS
from genrekit.model.bundle import load_model
from genrekit.training.loop import train
from genrekit.training.params import NETWORK_DEFAULTS

_NONE: Final = np.empty(0, np.int64)


def features_of(network: str) -> FeatureParams:
    """Return the features that a network does best on."""
    if network == "cnn":
        return load_model("gtzan-cnn").params
    return PRESETS.get(network, PRESETS["course"])


def draw(dataset: Dataset, songs: int, seed: int) -> Split:
    """Train on at most `songs` of each genre, and test on songs by other artists."""
    split = by_artist(dataset, seed)
    assert dataset.tracks is not None  # which by_artist has seen
    names, first = np.unique(dataset.tracks[split.train], return_index=True)
    genre = dataset.labels[split.train][first]
    shuffled = np.random.default_rng(seed).permutation(len(names))
    chosen = [shuffled[genre[shuffled] == g][:songs] for g in range(len(dataset.genres))]
    trained = np.isin(dataset.tracks, names[np.concatenate(chosen)])
    return replace(split, train=np.flatnonzero(trained), valid=_NONE, test=split.valid)


def measure(dataset: Dataset, network: str, songs: int, draws: int) -> str:
    """Return a line: accuracy on tracks, its spread over the draws, and the time to train."""
    accuracies, seconds, tested = [], [], []
    for seed in range(draws):
        split = draw(dataset, songs, seed)
        start = process_time()
        training = train(dataset, split, NETWORK_DEFAULTS[network])
        for _ in training:
            pass
        seconds.append(process_time() - start)
        measured = training.measured()
        assert measured.tracks is not None
        assert measured.track_accuracy is not None
        accuracies.append(measured.track_accuracy)
        tested.append(measured.tracks)
    return (
        f"{network:10} {songs:3} songs a genre: {np.mean(accuracies):.3f} "
        f"(sd {np.std(accuracies):.3f} of {len(accuracies)} draws), "
        f"{np.mean(tested):.0f} songs tested, trained in {np.mean(seconds):.1f} s of one core"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each network and each number of songs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_folders", description=__doc__)
    add = parser.add_argument
    add("folder", type=Path)
    add("--artists", type=Path, metavar="FILE.csv")
    add("--networks", nargs="+", choices=list(NETWORK_DEFAULTS), default=list(NETWORK_DEFAULTS))
    add("--songs", nargs="+", type=int, default=[5, 10, 20], help="of each genre")
    add("--draws", type=int, default=10, help="(%(default)s)")
    options = parser.parse_args(arguments)
    for network in options.networks:
        with TemporaryDirectory() as folder:
            path, params = Path(folder, "data.parquet"), features_of(network)
            for _ in build_dataset(options.folder, path, params, artists=options.artists):
                pass
            dataset = Dataset.read(path)
            for songs in options.songs:
                print(measure(dataset, network, songs, options.draws), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
