"""The commands and options of the command line, as an argument parser."""

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from genrekit import __version__
from genrekit.cli import commands as run
from genrekit.dataset.build import TRACK_SECONDS
from genrekit.features.extraction import FeatureParams
from genrekit.system.remote import location
from genrekit.system.threads import MAX_THREADS
from genrekit.training.params import NETWORK_DEFAULTS

__all__ = ["parser"]

_CLASSIFY_MEGABYTES: Final = 200
_TRAIN_MEGABYTES: Final = 350


def parser() -> argparse.ArgumentParser:
    """Return the parser; the `run` of what it parses is the command's function."""
    parser = argparse.ArgumentParser(
        prog="genrekit",
        description="From a folder of music to a genre classifier and its verdicts.",
        epilog="Exit status: 0 all went well, 1 some input failed, 2 the command cannot be "
        "carried out as given.",
    )
    parser.add_argument("--version", action="version", version=f"genrekit {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str) -> Any:
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=run)
        return sub

    sub = command(
        "demo-data", run.demo_data, "Compose a demo dataset: short tracks in made-up styles."
    )
    sub.add_argument("folder", type=Path, metavar="OUT_DIR")
    sub.add_argument("--tracks", type=int, default=12, help="tracks of each style (%(default)s)")
    sub.add_argument("--seconds", type=float, default=12.0, help="length of each (%(default)s)")
    sub.add_argument("--seed", type=int, default=0, help="other seeds, other music (%(default)s)")
    sub.add_argument("--workers", type=int, metavar="N", help="processes (one per processor)")
    _progress_option(sub)

    sub = command(
        "inspect",
        run.inspect,
        "Look at a folder before preprocessing: contents, faults, duplicates.",
    )
    sub.add_argument("folder", type=Path, metavar="AUDIO_DIR")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.json")
    sub.add_argument(
        "--segment-seconds",
        type=float,
        default=FeatureParams().segment_seconds,
        metavar="S",
        help="a shorter file is a problem (%(default)s)",
    )
    sub.add_argument("--workers", type=int, metavar="N", help="processes (one per processor)")
    sub.add_argument("--artists", type=Path, metavar="FILE.csv", help="as for preprocess")
    _progress_option(sub)

    sub = command(
        "preprocess", run.preprocess, "Turn a folder with one sub-folder per genre into a dataset."
    )
    sub.add_argument("folder", type=location, metavar="AUDIO_DIR", help="a folder, or a URL")
    sub.add_argument("-o", "--output", type=location, required=True, metavar="DATA.parquet")
    _feature_options(sub)
    sub.add_argument(
        "--track-seconds",
        type=float,
        default=TRACK_SECONDS,
        metavar="S",
        help="use this much of each track's start, 0 for all of it (%(default)s)",
    )
    sub.add_argument("--workers", type=int, metavar="N", help="processes (one per processor)")
    sub.add_argument(
        "--backend",
        choices=("processes", "dask"),
        default="processes",
        help="who reads the tracks: this machine, or a Dask cluster (%(default)s)",
    )
    sub.add_argument("--scheduler", metavar="ADDRESS", help="of the cluster, for --backend dask")
    sub.add_argument(
        "--artists",
        type=Path,
        metavar="FILE.csv",
        help="columns track and artist (tracks.csv in AUDIO_DIR, if there)",
    )
    _progress_option(sub)

    sub = command("export", run.export, "Write a dataset as the course's JSON or as NPZ.")
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=location, required=True, metavar="FILE.json|FILE.npz")

    sub = command(
        "import",
        run.import_,
        "Read the course's JSON, an NPZ, or a file of mel spectrograms into a dataset.",
    )
    sub.add_argument("file", type=location, metavar="FILE.json|FILE.npz")
    sub.add_argument("-o", "--output", type=location, required=True, metavar="DATA.parquet")
    sub.add_argument(
        "--artists",
        type=Path,
        metavar="FILE.csv",
        help="for mel spectrograms: columns track and artist",
    )
    _feature_options(sub)

    sub = command("train", run.train, "Train a classifier on a dataset.")
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL_DIR")
    _train_options(sub)
    _progress_option(sub)

    sub = command(
        "leak-meter",
        run.leak_meter,
        "Train under three splits and tell how much of a score is leak.",
    )
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the bars here")
    sub.add_argument("--runs", type=int, default=1, metavar="N", help="of each split (%(default)s)")
    _recipe_options(sub)
    _progress_option(sub)

    sub = command(
        "evaluate",
        run.evaluate,
        "Measure a model on a dataset; recordings that it was trained on are left out.",
    )
    sub.add_argument("model", metavar="MODEL_DIR", help="a folder, or the name of a shipped model")
    sub.add_argument(
        "data", type=location, metavar="DATA", help="a dataset, or a file of mel spectrograms"
    )
    sub.add_argument(
        "--split", metavar="segment|track|artist|FILE.csv[:COLUMN]", help="(the model's own)"
    )
    sub.add_argument("--json", action="store_true", help="print the figures as JSON")
    _threads_option(sub)

    sub = command("classify", run.classify, "Say what genre songs are, and how sure that is.")
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE")
    sub.add_argument("--model", metavar="NAME_OR_DIR", default="gtzan-cnn", help="(%(default)s)")
    sub.add_argument("--json", action="store_true", help="print a JSON list, with every segment")
    # A song's segments are too few for several: on two free processors, two gain nothing.
    _threads_option(sub, 1, _CLASSIFY_MEGABYTES)
    return parser


def _feature_options(parser: argparse.ArgumentParser) -> None:
    """One option for each field of FeatureParams, which owns names, defaults and ranges."""
    group = parser.add_argument_group("features")
    for setting in fields(FeatureParams):
        about = setting.metadata
        unit = f", {about['unit']}" if about.get("unit") else ""
        if isinstance(setting.default, bool):
            group.add_argument(
                "--" + setting.name,
                action=argparse.BooleanOptionalAction,
                default=setting.default,
                help=f"{about['help']} (%(default)s)",
            )
            continue
        group.add_argument(
            "--" + setting.name.replace("_", "-"),
            type=type(setting.default),
            default=setting.default,
            metavar="S" if about.get("unit") == "s" else "N" if "low" in about else "NAME",
            help=f"{about['help']}{unit} (%(default)s)",
        )


def _train_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--split",
        default="track",
        metavar="segment|track|artist|FILE.csv[:COLUMN]",
        help="how to hold out about 30%% (%(default)s); FILE.csv has columns track and part (or "
        "COLUMN): train, valid or test",
    )
    _recipe_options(parser)
    add("--about", default="", metavar="TEXT", help="where the data came from, for the card")


def _recipe_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--network",
        default="mlp",
        metavar="|".join(NETWORK_DEFAULTS),
        help="(%(default)s, the course's)",
    )
    add("--epochs", type=int, metavar="N", help="(mlp 50, cnn 30)")
    add("--batch-size", type=int, metavar="N", help="(mlp 32, cnn 64)")
    add("--learning-rate", type=float, metavar="X", help="(mlp 0.0001, cnn 0.004)")
    add("--recipe", metavar="course|robust", help="plain, or with varied examples (by network)")
    add("--seed", type=int, default=0, metavar="N", help="of split, weights, order (%(default)s)")
    add(
        "--keep",
        choices=("last", "best"),
        default="last",
        help="which epoch's weights; best: the lowest validation loss (%(default)s)",
    )
    add("--normalise", action="store_true", help="centre and scale each coefficient first")
    _threads_option(parser)


def _threads_option(
    parser: argparse.ArgumentParser, usual: int | None = None, megabytes: int = _TRAIN_MEGABYTES
) -> None:
    """For a command that needs PyTorch, and so much memory to load all that it needs."""
    about = "one for each processor" if usual is None else str(usual)
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help=f"threads to compute in, 1 to {MAX_THREADS} (OMP_NUM_THREADS, or {about})",
    )
    parser.set_defaults(usual_threads=usual, megabytes=megabytes)


def _progress_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--progress", choices=("bar", "json", "none"), default="bar", help="(%(default)s)"
    )
