"""The commands and their options, as an argument parser."""

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
_SPLIT: Final = "segment|track|artist|FILE.csv[:COLUMN]"


def parser() -> argparse.ArgumentParser:
    """Return the parser; `run` of what it parses is the command's function."""
    whole = argparse.ArgumentParser(
        prog="genrekit",
        description="From a folder of music to a genre classifier and its verdicts.",
        epilog="Exit status: 0 all went well, 1 some input failed, 2 the command cannot be "
        "carried out as given.",
    )
    whole.add_argument("--version", action="version", version=f"genrekit {__version__}")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, function: Callable[..., int]) -> argparse.ArgumentParser:
        about = function.__doc__
        sub: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=function)
        return sub

    _add_folder_commands(add)
    _add_format_commands(add)
    _add_model_commands(add)
    return whole


def _add_folder_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    sub = add("demo-data", run.demo_data)
    sub.add_argument("folder", type=Path, metavar="OUT_DIR")
    sub.add_argument("--tracks", type=int, default=12, help="tracks per style (%(default)s)")
    _number(sub.add_argument, "--seconds", 12.0, "length of each", "SECONDS")
    _number(sub.add_argument, "--seed", 0, "other seeds, other music", "SEED")
    _workers(sub)
    _progress(sub)

    sub = add("inspect", run.inspect)
    sub.add_argument("folder", type=Path, metavar="AUDIO_DIR")
    _output(sub, "FILE.json", Path)
    seconds = FeatureParams().segment_seconds
    _number(sub.add_argument, "--segment-seconds", seconds, "a shorter file is a problem", "S")
    _workers(sub)
    _artists(sub, "as for preprocess")
    _progress(sub)

    sub = add("preprocess", run.preprocess)
    sub.add_argument("folder", type=location, metavar="AUDIO_DIR", help="a folder, or a URL")
    _output(sub, "DATA.parquet")
    _feature_options(sub)
    use = "use this much of each track's start, 0 for all of it"
    _number(sub.add_argument, "--track-seconds", TRACK_SECONDS, use, "S")
    _workers(sub)
    sub.add_argument(
        "--backend",
        choices=("processes", "dask"),
        default="processes",
        help="who reads the tracks: this machine, or a Dask cluster (%(default)s)",
    )
    sub.add_argument("--scheduler", metavar="ADDRESS", help="of the cluster, with dask")
    _artists(sub, "columns track and artist (tracks.csv in AUDIO_DIR, if there)")
    _progress(sub)


def _add_format_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    sub = add("export", run.export)
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    _output(sub, "FILE.json|FILE.npz")

    sub = add("import", run.import_)
    sub.add_argument("file", type=location, metavar="FILE.json|FILE.npz")
    _output(sub, "DATA.parquet")
    _artists(sub, "for mel spectrograms: columns track and artist")
    _feature_options(sub)


def _add_model_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    sub = add("train", run.train)
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    _output(sub, "MODEL_DIR", Path)
    sub.add_argument(
        "--split",
        default="track",
        metavar=_SPLIT,
        help="how to hold out about 30%% (%(default)s); FILE.csv has columns track and part (or "
        "COLUMN): train, valid or test",
    )
    _recipe_options(sub)
    sub.add_argument(
        "--about", default="", metavar="TEXT", help="where the data came from, for the card"
    )
    _progress(sub)

    sub = add("leak-meter", run.leak_meter)
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the bars here")
    _number(sub.add_argument, "--runs", 1, "of each split", "N")
    _recipe_options(sub)
    _progress(sub)

    sub = add("evaluate", run.evaluate)
    sub.add_argument("model", metavar="MODEL_DIR", help="a folder, or a built-in model's name")
    sub.add_argument(
        "data", type=location, metavar="DATA", help="a dataset, or a file of mel spectrograms"
    )
    sub.add_argument("--split", metavar=_SPLIT, help="(the model's own)")
    sub.add_argument("--json", action="store_true", help="print the figures as JSON")
    _threads(sub)

    sub = add("classify", run.classify)
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE")
    sub.add_argument("--model", metavar="NAME_OR_DIR", default="gtzan-cnn", help="(%(default)s)")
    sub.add_argument("--json", action="store_true", help="print a JSON list, with every segment")
    # A song has too few segments for more threads: on two free processors, two gain nothing.
    _threads(sub, 1, _CLASSIFY_MEGABYTES)


def _feature_options(sub: argparse.ArgumentParser) -> None:
    """Add one option for each field of FeatureParams, which has names, defaults and ranges."""
    group = sub.add_argument_group("features")
    for field in fields(FeatureParams):
        about = field.metadata
        if isinstance(field.default, bool):
            group.add_argument(
                "--" + field.name,
                action=argparse.BooleanOptionalAction,
                default=field.default,
                help=f"{about['help']} (%(default)s)",
            )
            continue
        unit = f", {about['unit']}" if about.get("unit") else ""
        metavar = "S" if about.get("unit") == "s" else "N" if "low" in about else "NAME"
        name = "--" + field.name.replace("_", "-")
        _number(group.add_argument, name, field.default, about["help"] + unit, metavar)


def _recipe_options(sub: argparse.ArgumentParser) -> None:
    add = sub.add_argument
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
    _number(sub.add_argument, "--seed", 0, "of split, weights, order", "N")
    add(
        "--keep",
        choices=("last", "best"),
        default="last",
        help="which epoch's weights; best: the lowest validation loss (%(default)s)",
    )
    add("--normalise", action="store_true", help="centre and scale each coefficient first")
    _threads(sub)


def _number(add: Callable[..., object], name: str, default: Any, about: str, metavar: str) -> None:
    kind = type(default)
    add(name, type=kind, default=default, metavar=metavar, help=f"{about} (%(default)s)")


def _output(
    sub: argparse.ArgumentParser, metavar: str, kind: Callable[[str], object] = location
) -> None:
    sub.add_argument("-o", "--output", type=kind, required=True, metavar=metavar)


def _workers(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--workers", type=int, metavar="N", help="processes (one per processor)")


def _artists(sub: argparse.ArgumentParser, about: str) -> None:
    sub.add_argument("--artists", type=Path, metavar="FILE.csv", help=about)


def _progress(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--progress", choices=("bar", "json", "none"), default="bar", help="(%(default)s)"
    )


def _threads(
    sub: argparse.ArgumentParser, usual: int | None = None, megabytes: int = _TRAIN_MEGABYTES
) -> None:
    """Add --threads to a command that loads PyTorch, and the memory that it needs for that."""
    default = "one per processor" if usual is None else str(usual)
    sub.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help=f"threads to compute in, 1 to {MAX_THREADS} (OMP_NUM_THREADS, or {default})",
    )
    sub.set_defaults(usual_threads=usual, megabytes=megabytes)
