"""`python -m benchmarks.commentary`: how often the commentary on a training run turns out wrong.

"It has levelled off", "it is memorising" and "it is getting worse" are taken for forecasts. Each
run is wrong if, after the first of these sentences, its held-out loss falls 2% below what was its
lowest. The music is composed: demo datasets of several seeds, each split by track and by artist.
Runs in which none of these sentences comes with ten epochs or more left count as silent.

The sentences are counted for `cnn` as well, whose learning rate falls until the last epoch, and
whose commentary makes no forecast for that reason.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported

from genrekit.audio.synth.demo import write_demo_dataset
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import make_split
from genrekit.features.presets import PRESETS
from genrekit.model.metrics import wilson_interval
from genrekit.training.commentary import narrate
from genrekit.training.loop import train
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams

_BETTER: Final = 0.98
_LEFT: Final = 10
_FORECASTS: Final = ("**It has levelled off", "**It is memorising", "**It is getting worse")
_EPOCHS: Final = 80


def outcome(history: Sequence[dict[str, Any]]) -> bool | None:
    """Return True if the first forecast of a run held, None if there was none in time."""
    for done in range(1, len(history) - _LEFT + 1):
        if narrate(history[:done]).startswith(_FORECASTS):
            losses = [epoch["valid_loss"] for epoch in history]
            return min(losses[done:]) >= _BETTER * min(losses[:done])
    return None


def runs(networks: Sequence[str], seeds: int) -> Iterator[tuple[TrainParams, bool | None]]:
    """Yield the parameters and the outcome of each run."""
    with TemporaryDirectory() as folder:
        for seed in range(seeds):
            music = Path(folder, str(seed))
            list(write_demo_dataset(music, seed=seed))
            for network in networks:
                features = PRESETS["everyday" if network == "everyday" else "course"]
                list(build_dataset(music, data := music.with_suffix(f".{network}"), features))
                dataset, usual = Dataset.read(data), NETWORK_DEFAULTS[network]
                for split in ("track", "artist"):
                    for factor in (1, 10) if network == "mlp" else (0.3, 1):
                        rate = factor * usual.learning_rate
                        params = replace(usual, epochs=_EPOCHS, learning_rate=rate, seed=seed)
                        training = train(dataset, make_split(dataset, split, seed), params)
                        yield params, outcome([asdict(epoch) for epoch in training])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--networks", nargs="+", default=["mlp", "cnn", "everyday"])
    options.add_argument("--seeds", type=int, default=5)
    given = options.parse_args()
    found: dict[str, list[bool | None]] = {name: [] for name in given.networks}
    for params, held in runs(given.networks, given.seeds):
        found[params.network].append(held)
        print(f"{params.network} {params.learning_rate:g} seed {params.seed}: {held}", flush=True)
    for network, outcomes in (*found.items(), ("all", list(chain(*found.values())))):
        said, wrong = len(outcomes) - outcomes.count(None), outcomes.count(False)
        low, high = wilson_interval(wrong / said, said) if said else (0.0, 1.0)
        print(
            f"{network}: {len(outcomes)} runs, {said} with a forecast, {wrong} wrong "
            f"(95%: {low:.0%} to {high:.0%})"
        )


if __name__ == "__main__":
    main()
