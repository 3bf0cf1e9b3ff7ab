"""Make the models that ship, from GTZAN's mel spectrograms or from its audio.

    python -m models.make train SOURCE TRACKS.csv --work DIR --model gtzan-cnn
    python -m models.make train SOURCE TRACKS.csv --work DIR --model gtzan-cnn --with-valid
    python -m models.make train SOURCE TRACKS.csv --work DIR --model gtzan-cnn --fold 1    (2, 3)
    python -m models.make finish SOURCE TRACKS.csv --work DIR --model gtzan-cnn
    python -m models.make remember SOURCE TRACKS.csv --model gtzan-cnn
    python -m models.make measure SOURCE TRACKS.csv --model gtzan-cnn --audio DIR --speech DIR

SOURCE is a file of mel spectrograms (see genrekit/dataset/mel_archive.py) or GTZAN's folder of
genre folders. TRACKS.csv has the columns track, artist, fault_filtered (train, valid, test:
Kereliuk, Sturm and Larsen 2015) and artist_fold (1, 2, 3: Foleiss and Tavares 2020).

`train` trains on the fault-filtered train part, on that and the valid part, or on the two other
artist folds. It saves its state in DIR after every epoch; when interrupted, run it again to
continue. `finish` writes the bundle of the network trained on train and valid. Temperature and
threshold are fitted on the same tracks, each judged by the network trained without its artist
fold. It is measured on the test part, as is the network trained on train alone.
`remember` writes the neighbours alone, which `finish` writes too.
`measure` adds the robustness to real uploads, on music in genre folders (named as in SOURCE) and on
a folder of recorded speech.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio
from genrekit.audio.non_music import NON_MUSIC
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.folder import find_tracks
from genrekit.dataset.mel_archive import is_mel_file, read_mel_file
from genrekit.dataset.splits import Split, by_fold, from_file
from genrekit.errors import GenreKitError
from genrekit.features.extraction import FeatureParams
from genrekit.model import evaluation
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.metrics import (
    accuracy,
    mean_by_group,
    softmax,
)
from genrekit.model.neighbours import Neighbours
from genrekit.model.neighbours_fit import fit_neighbours
from genrekit.training.loop import Training, kept_band, train
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from models.robustness import ROBUSTNESS, SAMPLE_RATE

TRAIN, WITH_VALID, FOLDS = "train", "with-valid", ("1", "2", "3")
# One frame each 77.5 ms: coarse, but what the mel file holds, and enough. A segment is a whole
# number of hops, so that sound is cut where the file's columns are.
HOP: Final = 1709
LOG_MEL: Final = FeatureParams(
    kind="log_mel", hop_length=HOP, segment_seconds=38 * HOP / 22050, center=False, ref="max"
)
FEATURES: Final = {"gtzan-cnn": LOG_MEL, "course-mlp": replace(LOG_MEL, kind="mfcc")}
TRAINING: Final = {
    "gtzan-cnn": replace(NETWORK_DEFAULTS["cnn"], epochs=140),
    "course-mlp": NETWORK_DEFAULTS["mlp"],
}
ABOUT: Final = {
    "gtzan-cnn": "Ten genres, learned from GTZAN alone without outside pretraining: a small "
    "convolutional network on log-mel spectra.",
    "course-mlp": "Ten genres, learned from GTZAN alone: the course's network, on MFCCs.",
}
_SOUNDS: Final = 20
CAUTION: Final = (
    "Trained on GTZAN (Tzanetakis and Cook 2002): ten genres of mostly American and British "
    "music from before 2000, 30 s each. The collection has no clear licence; only weights, "
    "numbers and track names made from it are here."
)


def main() -> int:
    options = _options()
    try:
        dataset = load(options.source, options.tracks, FEATURES[options.model], options.work)
        STEPS[options.step](options, dataset)
    except GenreKitError as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    return 0


def load(source: Path, tracks: Path, params: FeatureParams, work: Path) -> Dataset:
    """Return the collection's segments, from spectrograms or from audio."""
    if is_mel_file(source):
        return read_mel_file(source, params, tracks)
    work.mkdir(parents=True, exist_ok=True)
    data = work / f"{params.kind}.parquet"
    if not data.exists():
        for progress in build_dataset(source, data, params, artists=tracks):
            print(f"{progress.done}/{progress.total} {progress.track}", file=sys.stderr)
    return Dataset.read(data)


def split_of(options: argparse.Namespace, dataset: Dataset, part: str) -> Split:
    if part in FOLDS:
        return by_fold(dataset, options.tracks, "artist_fold", part)
    split = from_file(dataset, options.tracks, "fault_filtered")
    if part == TRAIN:
        return split
    none = np.empty(0, np.int64)
    return replace(split, train=np.union1d(split.train, split.valid), valid=none)


def learn(options: argparse.Namespace, dataset: Dataset) -> None:
    """Run the remaining epochs."""
    training, state = resumed(options, dataset, options.part)
    for epoch in training:
        training.save_state(state)
        print(
            f"{state.stem} epoch {epoch.epoch}/{training.params.epochs}  train "
            f"{epoch.train_loss:.3f} {epoch.train_accuracy:.3f}  valid {epoch.valid_loss:.3f} "
            f"{epoch.valid_accuracy:.3f}  {epoch.seconds:.1f} s",
            flush=True,
        )


def resumed(options: argparse.Namespace, dataset: Dataset, part: str) -> tuple[Training, Path]:
    params: TrainParams = TRAINING[options.model]
    if options.epochs:
        params = replace(params, epochs=options.epochs)
    training = train(dataset, split_of(options, dataset, part), params)
    state = options.work / f"{options.model}-{part}.state"
    state.parent.mkdir(parents=True, exist_ok=True)
    if state.exists():
        training.load_state(state)
    return training, state


def finish(options: argparse.Namespace, dataset: Dataset) -> None:
    """Measure the model, write its card and bundle."""
    first, model = (model_of(options, dataset, part) for part in (TRAIN, WITH_VALID))
    split = split_of(options, dataset, WITH_VALID)
    scores, held_out = cross_validate(options, dataset)
    rows = split.train[np.isfinite(held_out[split.train]).all(axis=1)]
    labels, tracks = dataset.labels[rows], tracks_of(dataset)[rows]
    model = evaluation.calibrate(model, held_out[rows], labels, tracks)
    extra = {
        "about": f"{ABOUT[options.model]} {CAUTION}",
        "calibrated_on": "the training tracks, each heard by the network of its artist fold",
        "measured": evaluation.measure(model, dataset, split.test, "test").to_dict(),
        "trained_without_valid": {"measured": first.card["measured"]},
        "cross_validation": {
            "split": "three artist-filtered folds (Foleiss and Tavares 2020)",
            "track_accuracy": scores,
            "mean": float(np.mean(scores)),
        },
    }
    model = replace(model, card=model.card | extra, neighbours=remember(options, model, dataset))
    model.save(options.out / options.model)
    print(json.dumps(extra, indent=1))


def remember(options: argparse.Namespace, model: GenreModel, dataset: Dataset) -> Neighbours:
    """Return the neighbours: the train and valid parts."""
    rows = split_of(options, dataset, WITH_VALID).train
    return fit_neighbours(model, dataset, rows, band=kept_band(TRAINING[options.model]))


def remember_again(options: argparse.Namespace, dataset: Dataset) -> None:
    """Rewrite a finished model's neighbours."""
    model = load_model(options.out / options.model)
    replace(model, neighbours=remember(options, model, dataset)).save(options.out / options.model)


def cross_validate(
    options: argparse.Namespace, dataset: Dataset
) -> tuple[list[float], NDArray[np.float32]]:
    """Return track accuracy in each artist fold, and each row's logits by its fold's network.

    Logits, shape (n, genres), are NaN for rows outside the folds.
    """
    logits = np.full((len(dataset), len(dataset.genres)), np.nan, np.float32)
    scores = []
    for fold in FOLDS:
        other = model_of(options, dataset, fold)
        rows = split_of(options, dataset, fold).test
        logits[rows] = other.logits(dataset.features, rows)
        judged, truth, _ = mean_by_group(
            softmax(logits[rows], other.temperature), dataset.labels[rows], tracks_of(dataset)[rows]
        )
        scores.append(accuracy(judged, truth))
    return scores, logits


def tracks_of(dataset: Dataset) -> NDArray[np.str_]:
    """Return each row's track, which both sources have."""
    assert dataset.tracks is not None
    return dataset.tracks


def measure(options: argparse.Namespace, dataset: Dataset) -> None:
    """Judge real sound: by both paths, degraded, and sounds that are not music."""
    model = load_model(options.out / options.model)
    tracks, _ = find_tracks(options.audio)
    agree, flips = 0, dict.fromkeys(ROBUSTNESS, 0)
    for track in tracks:
        samples = load_audio(track.path, SAMPLE_RATE)
        genre = top(model, samples)
        rows = tracks_of(dataset) == track.path.stem
        drawn = model.probabilities(dataset.features[rows]).mean(axis=0).argmax()
        agree += genre == model.genres[drawn]
        for name, degrade in ROBUSTNESS.items():
            flips[name] += top(model, degrade(samples)) != genre
    extra = {
        "audio_path": {"tracks": len(tracks), "same_top_genre_as_from_spectrograms": agree},
        "robustness": {"tracks": len(tracks), "top_genre_flips": flips},
        "not_music": {"sure_of_a_genre": not_music(model, options.speech)},
    }
    replace(model, card=model.card | extra).save(options.out / options.model)
    print(json.dumps(extra, indent=1))


def top(model: GenreModel, samples: NDArray[np.float32]) -> str:
    """Return the likeliest genre of samples at `SAMPLE_RATE`, sure or not; "" for silence."""
    probabilities = model.classify(samples, sample_rate=SAMPLE_RATE).probabilities
    return max(probabilities, key=probabilities.__getitem__) if probabilities else ""


def not_music(model: GenreModel, speech: Path | None) -> dict[str, str]:
    """Return how many sounds of each kind that is not music the model is sure of: "3 of 50"."""
    rate, kinds = model.params.sample_rate, {}
    for name, make in NON_MUSIC.items():
        rng = np.random.default_rng(10_000)  # other sounds than those of the training
        kinds[f"generated {name}"] = [make(rng, 15 * rate, rate) for _ in range(_SOUNDS)]
    for hz in (60, 220, 440, 1000, 3000):
        tone = 0.5 * np.sin(2 * np.pi * hz * np.arange(15 * rate) / rate)
        kinds.setdefault("steady sine", []).append(tone.astype(np.float32))
    rng = np.random.default_rng(0)
    for _ in range(_SOUNDS):
        white = 0.1 * rng.standard_normal(15 * rate)
        kinds.setdefault("white noise", []).append(white.astype(np.float32))
    if speech is not None:
        kinds["speech"] = [load_audio(path, rate) for path in sorted(speech.iterdir())]
    sure = {}
    for name, sounds in kinds.items():
        verdicts = [model.classify(sound, sample_rate=rate) for sound in sounds]
        count = sum(verdict.genre is not None for verdict in verdicts)
        sure[name] = f"{count} of {len(sounds)}"
    return sure


def model_of(options: argparse.Namespace, dataset: Dataset, part: str) -> GenreModel:
    """Return the trained model, measured on its split's test part."""
    training, state = resumed(options, dataset, part)
    if len(training.history) < training.params.epochs:
        raise GenreKitError(f"{state} has {len(training.history)} epochs: run train to the end.")
    return training.model()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the models that ship.")
    parser.add_argument("step", choices=tuple(STEPS))
    parser.add_argument("source", type=Path, help="a mel file, or GTZAN's folder")
    parser.add_argument("tracks", type=Path, help="CSV: track,artist,fault_filtered,artist_fold")
    parser.add_argument("--model", choices=tuple(FEATURES), required=True)
    parser.add_argument("--work", type=Path, default=Path("work"), help="for states, datasets")
    parser.add_argument(
        "--with-valid",
        dest="part",
        action="store_const",
        const=WITH_VALID,
        default=TRAIN,
        help="train on the valid part too",
    )
    parser.add_argument("--fold", dest="part", choices=FOLDS, help="hold out this artist fold")
    parser.add_argument("--audio", type=Path, help="genre folders to measure on")
    parser.add_argument("--speech", type=Path, help="a folder of recorded speech")
    parser.add_argument("--epochs", type=int, help="other than the recipe's")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    return parser.parse_args()


STEPS: Final = {
    "train": learn,
    "finish": finish,
    "remember": remember_again,
    "measure": measure,
}


if __name__ == "__main__":
    sys.exit(main())
