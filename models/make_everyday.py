"""Make the `everyday` model: a published network trained on, and a head for eleven genres.

    python -m models.make_everyday teacher WHEEL --music DIR
    python -m models.make_everyday prepare --music DIR --songs DIR --tracks CSV
    python -m models.make_everyday distil
    python -m models.make_everyday head --songs DIR --tracks CSV --stored-tags NPZ --test-tags NPZ \
        --outside DIR
    python -m models.make_everyday measure --outside DIR --speech DIR

All take --work DIR, where each step leaves what the next one needs. When interrupted, run a step
again to continue.

WHEEL is musicnn 0.1.0 (`pip download --no-deps musicnn==0.1.0`). --music is a folder with hours of
music of any kind. --songs are genre folders of GTZAN's audio, or of a part of it. --tracks has the
columns track, artist, fault_filtered and artist_fold, as for `models.make`; only the fault-filtered
train and valid parts are used. --stored-tags holds the published network's tags of GTZAN's train
part (`X`, probabilities; `IDS`, the track of each row), --test-tags those of its test part, on
which the head is measured once. --outside are genre folders of other music
with a `tracks.csv` that names the artists.

`teacher` reads the published weights and leaves out filters that never fire. `prepare` worsens the
music in several ways and asks the teacher about it. `distil` trains the student. `head` fits the
head, measures it on artists that it was not trained on, and writes the bundle. `measure` adds the
robustness to changes of sound, on music from outside by heads that were not trained on its artist,
and sounds that are no music.
"""

import argparse
import copy
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from genrekit.audio.decoder import load_audio
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.folder import find_tracks
from genrekit.dataset.track_table import match_tracks, read_track_table
from genrekit.errors import GenreKitError
from genrekit.model import evaluation
from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone, Everyday, Widths
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.metrics import choose_candidate_limit
from genrekit.model.neighbours_fit import fit_neighbours
from genrekit.model.networks import count_parameters
from genrekit.model.reliability import reliability
from genrekit.model.tags import TAGS, TagReference
from models.make import not_music, top
from models.pretraining.checkpoint import read_checkpoint
from models.pretraining.distil import Distillation, DistilParams, agreement
from models.pretraining.figures import coverage, figures
from models.pretraining.head import (
    Head,
    HeadParams,
    Material,
    fit,
    heads_without_folds,
    held_out,
    judged,
    right_answers,
    temperature_of,
)
from models.pretraining.published import (
    answers,
    as_recorded,
    from_checkpoint,
    read_published,
    varying_filters,
    without_silent,
)
from models.pretraining.songs import (
    GENRES,
    Floats,
    Inputs,
    Songs,
    artist_folds,
    embedded,
    inputs_from,
    moves_of,
    no_music,
    song_means,
)
from models.pretraining.windows import Windows, audio_below, excerpts, prepare, prepared, spectra_of
from models.pretraining.worsen import VERSIONS, worsened
from models.robustness import ROBUSTNESS, SAMPLE_RATE

TEACHER, STUDENT, STATE = "teacher.safetensors", "student.safetensors", "student.state"
FOLDS: Final = "heads-of-folds.safetensors"
PIECES: Final = 24  # of music, in which filters are sought that fire
# A genre is named if it is likelier than all others together.
THRESHOLD: Final = 0.5
ABOUT: Final = (
    "For the songs that people bring: eleven genres, on a network that knew fifty tags of music "
    "before. It is the published musicnn (Pons and Serra 2019, ISC licence), trained on to "
    "recognise music through telephones, rooms, coders and at any level. musicnn was trained on "
    "200,000 songs of the Million Song Dataset, and some of GTZAN's may be among them. The genres "
    "were learned from half of the Emotify collection (music of Magnatune, licensed under Creative "
    "Commons for non-commercial use) and from GTZAN."
)
WORTH: Final = (
    "Measured on the tags that the published network gives these tracks, for which this network "
    "had no audio, and by its head alone. Earlier trials looked at this test part too, and songs "
    "of it may be among those musicnn was trained on."
)
OUTSIDE: Final = "clips of the Emotify collection by artists that it had not met"
NOTICE: Final = """\
The weights in this folder began as those of musicnn, whose licence (ISC) asks for this notice:

Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019. Code developed by Jordi Pons
(www.jordipons.me).

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee
is hereby granted, provided that the above copyright notice and this permission notice appear in all
copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE
OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS
SOFTWARE.

The music that the weights were trained on afterwards is named in ../README.md; some of it may be
used for non-commercial purposes only.
"""


def main() -> int:
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    try:
        STEPS[options.step](options)
    except GenreKitError as error:
        print(f"make_everyday: {error}", file=sys.stderr)
        return 2
    return 0


def make_teacher(options: argparse.Namespace) -> None:
    """Read the published network and leave out the filters that never fire."""
    published = from_checkpoint(read_checkpoint(*read_published(options.wheel)))
    rng = np.random.default_rng(0)
    files = audio_below(options.music)
    chosen = rng.permutation(len(files))[:PIECES]
    spectra = []
    for number in chosen:
        for excerpt in excerpts(load_audio(files[number], SAMPLE_RATE))[:1]:
            spectra += [spectra_of(excerpt), spectra_of(worsened(excerpt, rng))]
    sound = as_recorded(np.concatenate(spectra))
    teacher = without_silent(published, varying_filters(published, sound, Widths()))
    (_, ours), (_, theirs) = answers(teacher, sound), answers(published, sound)
    error = np.sqrt(np.mean((ours - theirs) ** 2))
    print(f"without silent filters, the log-odds differ by {error:.4f} (root mean square)")
    save_file(teacher.state_dict(), options.work / TEACHER)


def prepare_music(options: argparse.Namespace) -> None:
    """Write the windows that a student is trained on."""
    teacher = _backbone(options.work / TEACHER)
    for line in prepare(options.music, options.work / "music", teacher):
        print(line, flush=True)
    if options.songs:
        names = frozenset(_training_tracks(options.tracks))
        for line in prepare(options.songs, options.work / "songs", teacher, names):
            print(line, flush=True)


def distil(options: argparse.Namespace) -> None:
    """Train the student, from its state if there is one."""
    music, songs = options.work / "music", options.work / "songs"
    groups = {part.name: part for part in (music, songs) if prepared(part)}
    training = {name: Windows.read(part, held_out=False) for name, part in groups.items()}
    checks = {name: Windows.read(part, held_out=True) for name, part in groups.items()}
    params = replace(DistilParams(), **({"steps": options.steps} if options.steps else {}))
    run = Distillation(
        _backbone(options.work / TEACHER), training["music"], training.get("songs"), params
    )
    state = options.work / STATE
    if state.exists():
        run.load_state(state)
    losses: list[float] = []
    for loss in run:
        losses.append(loss)
        done = run.step == params.steps
        if run.step % 50 == 0 or done:
            print(f"step {run.step}/{params.steps}  loss {np.mean(losses):.4f}", flush=True)
            losses.clear()
            run.save_state(state)
        if run.step % 400 == 0 or done:
            _report(run.student, checks)
    save_file(run.student.state_dict(), options.work / STUDENT)


def _report(student: Backbone, checks: Mapping[str, Windows]) -> None:
    """Print how near the student is to the teacher on music that is held out."""
    for name, windows in checks.items():
        for number, version in enumerate(VERSIONS):
            near = agreement(student, windows, number)
            print(f"  {name}, {version}: r {near.correlation:.3f}, error {near.error:.3f}")


def make_head(options: argparse.Namespace) -> None:
    """Fit the head, measure it and write the bundle."""
    params = HeadParams()
    backbone = _backbone(options.work / STUDENT)
    means = song_means(backbone, [options.work / "music", options.work / "songs"])
    inputs = inputs_from(backbone, means[:, 0])
    table = _training_tracks(options.tracks)
    songs = _dataset(options, "songs", options.songs, options.tracks)
    outside = _dataset(options, "outside", options.outside, None)
    heard = _heard(songs, backbone, inputs, match_tracks(table, np.unique(songs.tracks)))
    heard = replace(heard, weights=heard.weights * params.songs)
    stored = _stored(options.stored_tags, inputs, table, known=heard.names)
    known = heard + stored
    material = Material(
        known,
        _heard(outside, backbone, inputs, artist_folds(_artists(outside)), loose=True),
        no_music(backbone, inputs),
        moves_of(means, inputs),
    )
    head = fit(material, params, len(TAGS))
    of_outside = heads_without_folds(material, material.outside, params, len(TAGS))
    of_known = heads_without_folds(material, known, params, len(TAGS))
    model, card = _calibrated(
        backbone,
        head.folded(inputs),
        held_out(material.outside, of_outside),
        held_out(known, of_known),
    )
    music = _log_odds(backbone, options.work / "music")
    reference = [song[:, : len(TAGS)] for song in (heard + material.outside).segments] + music
    every = _joined([songs, outside])
    rows = np.flatnonzero(np.isin(every.tracks, (heard + material.outside).names))
    model = replace(model, tags=TagReference.of(reference))
    card = {
        "about": ABOUT,
        "recipe": asdict(params),
        **card,
        "split": {"kind": "file", "seed": None, "shares_tracks": False, "worth": WORTH},
        "data": {
            "segments": _counts(every.genres, every.labels[rows]),
            "songs": {"of GTZAN, audio": len(heard), "of GTZAN, stored tags": len(stored)}
            | {"of Emotify": len(material.outside), "without labels": len(music)},
        },
        "reference": (
            f"The reference songs are {len(reference)}: {len(material.outside)} songs under "
            f"Creative Commons licences in four genres, {len(heard)} of GTZAN in ten, and "
            f"{len(music)} pieces of free game music."
        ),
    }
    model = replace(model, card=card, neighbours=fit_neighbours(model, every, rows))
    if options.test_tags:
        model = _with_test(model, head, inputs, options.test_tags)
    model.save(options.out / "everyday")
    (options.out / "everyday" / "LICENSE-musicnn.txt").write_text(NOTICE)
    _save_heads({fold: head.folded(inputs) for fold, head in of_outside.items()}, options.work)
    print(json.dumps(model.card, indent=1))


def _calibrated(
    backbone: Backbone,
    head: torch.nn.Linear,
    outside: tuple[Songs, Floats],
    known: tuple[Songs, Floats],
) -> tuple[GenreModel, dict[str, Any]]:
    """Return the model, calibrated on songs by heads that do not know them, and its figures."""
    temperature = temperature_of(outside, known)
    of_known, of_outside = judged(known[1], temperature), judged(outside[1], temperature)
    songs = outside[0]
    limit = choose_candidate_limit(of_outside, right_answers(of_outside, songs))
    network = Everyday(EVERYDAY_PARAMS.shape, len(GENRES))
    network.backbone.load_state_dict(backbone.state_dict())
    network.head.load_state_dict(head.state_dict())
    bands = EVERYDAY_PARAMS.n_mels
    model = GenreModel(
        network.eval(),
        "everyday",
        EVERYDAY_PARAMS,
        GENRES,
        np.zeros(bands, np.float32),
        np.ones(bands, np.float32),
        temperature,
        THRESHOLD,
        limit,
    )
    accepted = songs.accepted[:, : len(GENRES)]
    counted = reliability(of_outside, accepted, THRESHOLD, limit)
    card = {
        "parameters": count_parameters(network),
        "calibrated_on": "songs of Emotify and of GTZAN's train part, each by the head that was "
        "not trained on its artist",
        "also_measured": [{"on": OUTSIDE, "reliability": asdict(counted)}],
        "outside_by_artist_folds": figures(of_outside, songs, THRESHOLD)
        | {"candidates": coverage(of_outside, songs)},
        "gtzan_train_by_artist_folds": figures(of_known, known[0], THRESHOLD),
    }
    return model, card


def _with_test(model: GenreModel, head: Head, inputs: Inputs, path: Path) -> GenreModel:
    """Measure the head once on the published network's tags of GTZAN's test part."""
    log_odds, tracks = _read_tags(path)
    labels = np.array([GENRES.index(track.split(".")[0]) for track in tracks.tolist()])
    logits = head.logits(inputs.of_tags(log_odds)).astype(np.float32)
    measured = evaluation.compare(model, model.calibrated(logits), labels, tracks, "test")
    return replace(model, card=model.card | {"measured": measured.to_dict()})


def _log_odds(backbone: Backbone, folder: Path) -> list[NDArray[np.float32]]:
    """Return the tags' log-odds of each piece of prepared music, unchanged."""
    pieces = []
    for name in prepared(folder):
        clean = np.load(folder / f"{name}.npy", mmap_mode="r")[0]
        with torch.inference_mode():
            pieces.append(backbone.tags(torch.from_numpy(embedded(backbone, clean))).numpy())
    return pieces


def measure(options: argparse.Namespace) -> None:
    """Judge changed sound, by heads that do not know its artist, and sounds that are no music."""
    model = load_model(options.out / "everyday")
    heads = load_file(options.work / FOLDS)
    tracks = [track for track in find_tracks(options.outside)[0] if track.artist]
    fold_of = artist_folds({track.id: track.artist for track in tracks if track.artist})
    tracks, flips = tracks[::3], dict.fromkeys(ROBUSTNESS, 0)
    for track in tracks:
        samples = load_audio(track.path, SAMPLE_RATE)
        judge = _with_head(model, heads, fold_of[track.id])
        genre = top(judge, samples)
        for name, degrade in ROBUSTNESS.items():
            flips[name] += top(judge, degrade(samples)) != genre
    extra = {
        "robustness": {"tracks": len(tracks), "top_genre_flips": flips},
        "not_music": {"sure_of_a_genre": not_music(model, options.speech)},
    }
    replace(model, card=model.card | extra).save(options.out / "everyday")
    print(json.dumps(extra, indent=1))


def _save_heads(layers: Mapping[str, torch.nn.Linear], work: Path) -> None:
    tensors = {
        f"{fold}.{name}": value
        for fold, layer in layers.items()
        for name, value in layer.state_dict().items()
    }
    save_file(tensors, work / FOLDS)


def _with_head(model: GenreModel, heads: Mapping[str, torch.Tensor], fold: str) -> GenreModel:
    network = copy.deepcopy(model.network)
    network.head.load_state_dict({name: heads[f"{fold}.{name}"] for name in ("weight", "bias")})
    return replace(model, network=network, neighbours=None, tags=None)


def _backbone(path: Path) -> Backbone:
    if not path.exists():
        raise GenreKitError(f"{path} is missing: run the steps before this one.")
    backbone = Backbone()
    backbone.load_state_dict(load_file(path))
    return backbone.eval()


def _dataset(options: argparse.Namespace, name: str, folder: Path, artists: Path | None) -> Dataset:
    """Return the segments of a folder's songs, computed once."""
    path = options.work / f"{name}.parquet"
    if not path.exists():
        for progress in build_dataset(folder, path, EVERYDAY_PARAMS, artists=artists):
            print(f"{progress.done}/{progress.total} {progress.track}", file=sys.stderr)
    return Dataset.read(path)


def _heard(
    dataset: Dataset,
    backbone: Backbone,
    inputs: Inputs,
    folds: Mapping[str, str],
    loose: bool = False,
) -> Songs:
    segments = inputs.of(embedded(backbone, dataset.features))
    return Songs.of_dataset(dataset, segments, folds, loose)


def _artists(dataset: Dataset) -> dict[str, str]:
    """Return the artists of a dataset's tracks, where they are known."""
    return {record.id: record.artist for record in dataset.records if record.artist}


def _training_tracks(tracks: Path) -> dict[str, str]:
    """Return the artist folds of the tracks of the fault-filtered train and valid parts."""
    parts = read_track_table(tracks, "fault_filtered")
    folds = read_track_table(tracks, "artist_fold")
    return {track: folds[track] for track, part in parts.items() if part in ("train", "valid")}


def _stored(path: Path, inputs: Inputs, folds: Mapping[str, str], known: NDArray[np.str_]) -> Songs:
    """Return songs of which the published network's tags are stored, less those already known."""
    log_odds, tracks = _read_tags(path)
    heard = {name.rsplit("/", 1)[-1] for name in known.tolist()}
    genre_of = {name: name.split(".")[0] for name in np.unique(tracks).tolist()}
    wanted = {name: folds[name] for name in genre_of if name in folds and name not in heard}
    return Songs.grouped(tracks, inputs.of_tags(log_odds), genre_of, wanted)


def _read_tags(path: Path) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Return the log-odds of stored tags, (n, tags), and the track of each row."""
    with np.load(path) as file:
        probabilities, ids = np.clip(file["X"], 1e-6, 1 - 1e-6), file["IDS"]
    tracks = np.array([Path(name).stem for name in ids.tolist()])
    return np.log(probabilities / (1 - probabilities)), tracks


def _counts(genres: tuple[str, ...], labels: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(genres, np.bincount(labels, minlength=len(genres)).tolist(), strict=True))


def _joined(datasets: list[Dataset]) -> Dataset:
    """Join datasets under the model's genres."""
    labels = [GENRES.index(data.genres[label]) for data in datasets for label in data.labels]
    return Dataset(
        np.concatenate([data.features for data in datasets]),
        np.array(labels),
        GENRES,
        EVERYDAY_PARAMS,
        np.concatenate([data.tracks for data in datasets]),
        np.concatenate([data.segments for data in datasets]),
        np.concatenate([data.artists for data in datasets]),
        records=tuple(record for data in datasets for record in data.records),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the everyday model.")
    parser.add_argument("step", choices=tuple(STEPS))
    parser.add_argument("wheel", type=Path, nargs="?", help="musicnn 0.1.0, for `teacher`")
    parser.add_argument("--work", type=Path, default=Path("work"), help="for what steps leave")
    parser.add_argument("--music", type=Path, help="a folder with hours of music")
    parser.add_argument("--songs", type=Path, help="genre folders of GTZAN's audio")
    parser.add_argument("--tracks", type=Path, help="CSV: track,artist,fault_filtered,artist_fold")
    parser.add_argument("--stored-tags", type=Path, help="NPZ: the tags of GTZAN's train part")
    parser.add_argument("--test-tags", type=Path, help="NPZ: those of its test part, used once")
    parser.add_argument("--outside", type=Path, help="genre folders of other music, with artists")
    parser.add_argument("--speech", type=Path, help="a folder of recorded speech")
    parser.add_argument("--steps", type=int, help="other than the recipe's")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    missing = [name for name in NEEDED[options.step] if getattr(options, name) is None]
    if missing:
        names = ", ".join(missing).replace("_", "-")
        parser.error(f"{options.step} needs {names}: see the top of models/make_everyday.py.")
    return options


STEPS: Final = {
    "teacher": make_teacher,
    "prepare": prepare_music,
    "distil": distil,
    "head": make_head,
    "measure": measure,
}
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "teacher": ("wheel", "music"),
    "prepare": ("music",),
    "distil": (),
    "head": ("songs", "tracks", "stored_tags", "outside"),
    "measure": ("outside",),
}


if __name__ == "__main__":
    sys.exit(main())
