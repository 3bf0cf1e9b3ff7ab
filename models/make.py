"""Make the models that ship, again: from GTZAN's mel spectrograms or from its audio.

    python models/make.py train SOURCE TRACKS.csv --work DIR --model gtzan-cnn
    python models/make.py train SOURCE TRACKS.csv --work DIR --model gtzan-cnn --fold 1    (2, 3)
    python models/make.py finish SOURCE TRACKS.csv --work DIR --model gtzan-cnn --out models

SOURCE is a file of mel spectrograms (see genrekit/melfile.py) or GTZAN's folder of genre
folders. TRACKS.csv has the columns track, artist, fault_filtered (train, valid, test: Kereliuk,
Sturm and Larsen 2015) and artist_fold (1, 2, 3: Foleiss and Tavares 2020).

`train` trains on the fault-filtered train part, or on the two other artist folds, and keeps its
state in DIR after every epoch: interrupted, it goes on when run again. `finish` writes the
bundle; it measures the fault-filtered test part once, and adds the three folds to the card.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from genrekit.dataset import Dataset
from genrekit.errors import GenreKitError
from genrekit.features import FeatureParams
from genrekit.melfile import is_mel_file, read_mel_file
from genrekit.metrics import accuracy, mean_by_group
from genrekit.model import GenreModel
from genrekit.preprocess import build_dataset
from genrekit.splits import Split, by_fold, from_file
from genrekit.training import RECIPES, Training, TrainParams, train

FOLDS: Final = ("1", "2", "3")
# One frame each 77.5 ms: coarse, but what the mel file holds, and enough.
LOG_MEL: Final = FeatureParams(kind="log_mel", hop_length=1709, center=False, ref="max")
FEATURES: Final = {"gtzan-cnn": LOG_MEL, "course-mlp": replace(LOG_MEL, kind="mfcc")}
TRAINING: Final = {
    "gtzan-cnn": replace(RECIPES["cnn"], epochs=70),
    "course-mlp": RECIPES["mlp"],
}
ABOUT: Final = {
    "gtzan-cnn": "A small convolutional network on log-mel spectra.",
    "course-mlp": "The course's network and recipe, on MFCCs.",
}
CAUTION: Final = (
    "Trained on GTZAN (Tzanetakis and Cook 2002): ten genres of mostly American and British "
    "music from before 2000, 30 s each. The collection has no clear licence; only weights, "
    "numbers and track names made from it are here."
)


def main() -> int:
    options = _options()
    try:
        dataset = load(options.source, options.tracks, FEATURES[options.model], options.work)
        if options.step == "train":
            learn(options, dataset)
        else:
            finish(options, dataset)
    except GenreKitError as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    return 0


def load(source: Path, tracks: Path, params: FeatureParams, work: Path) -> Dataset:
    """The collection's segments, from spectrograms or from audio."""
    if is_mel_file(source):
        return read_mel_file(source, params, tracks)
    work.mkdir(parents=True, exist_ok=True)
    data = work / f"{params.kind}.parquet"
    if not data.exists():
        for progress in build_dataset(source, data, params, artists=tracks):
            print(f"{progress.done}/{progress.total} {progress.track}", file=sys.stderr)
    return Dataset.read(data)


def split_of(options: argparse.Namespace, dataset: Dataset, fold: str | None) -> Split:
    if fold is None:
        return from_file(dataset, options.tracks, "fault_filtered")
    return by_fold(dataset, options.tracks, "artist_fold", fold)


def learn(options: argparse.Namespace, dataset: Dataset) -> None:
    """Run the epochs that are still to be run."""
    training, state = resumed(options, dataset, options.fold)
    for epoch in training:
        training.save_state(state)
        print(
            f"{state.stem} epoch {epoch.epoch}/{training.params.epochs}  train "
            f"{epoch.train_loss:.3f} {epoch.train_accuracy:.3f}  valid {epoch.valid_loss:.3f} "
            f"{epoch.valid_accuracy:.3f}  {epoch.seconds:.1f} s",
            flush=True,
        )


def resumed(
    options: argparse.Namespace, dataset: Dataset, fold: str | None
) -> tuple[Training, Path]:
    params: TrainParams = TRAINING[options.model]
    if options.epochs:
        params = replace(params, epochs=options.epochs)
    training = train(dataset, split_of(options, dataset, fold), params)
    state = options.work / f"{options.model}{'' if fold is None else f'-fold-{fold}'}.state"
    state.parent.mkdir(parents=True, exist_ok=True)
    if state.exists():
        training.load_state(state)
    return training, state


def finish(options: argparse.Namespace, dataset: Dataset) -> None:
    """Measure, write the card and the bundle."""
    model = model_of(options, dataset, None)
    assert dataset.tracks is not None  # both sources know them
    tracks, scores = dataset.tracks, []
    for fold in FOLDS:
        split = split_of(options, dataset, fold)
        other = model_of(options, dataset, fold)
        rows = split.test
        judged, truth, _ = mean_by_group(
            other.probabilities(dataset.features[rows]), dataset.labels[rows], tracks[rows]
        )
        scores.append(accuracy(judged, truth))
    about = f"{ABOUT[options.model]} {CAUTION}"
    extra = {
        "about": about,
        "cross_validation": {
            "split": "three artist-filtered folds (Foleiss and Tavares 2020)",
            "track_accuracy": scores,
            "mean": float(np.mean(scores)),
        },
    }
    model = replace(model, card=model.card | extra)
    model.save(options.out / options.model)
    print(json.dumps(extra | {"measured": model.card["measured"]}, indent=1))


def model_of(options: argparse.Namespace, dataset: Dataset, fold: str | None) -> GenreModel:
    """The trained model; measured on its split's test part as it is made."""
    training, state = resumed(options, dataset, fold)
    if len(training.history) < training.params.epochs:
        raise GenreKitError(f"{state} has {len(training.history)} epochs: run train to the end.")
    return training.model()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the models that ship.")
    parser.add_argument("step", choices=("train", "finish"))
    parser.add_argument("source", type=Path, help="a mel file, or GTZAN's folder")
    parser.add_argument("tracks", type=Path, help="CSV: track,artist,fault_filtered,artist_fold")
    parser.add_argument("--model", choices=tuple(FEATURES), required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for states and datasets")
    parser.add_argument("--fold", choices=FOLDS, help="hold out this artist fold")
    parser.add_argument("--epochs", type=int, help="other than the recipe's")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
