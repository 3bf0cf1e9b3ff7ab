"""The commands and their options, as an argument parser; options.toml lists the options."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from genrekit import __version__
from genrekit.cli import commands as run
from genrekit.cli.completion import completion
from genrekit.cli.open_app import open_app
from genrekit.dataset.build import TRACK_SECONDS
from genrekit.features.extraction import FeatureParams
from genrekit.features.presets import PRESETS
from genrekit.system.records import read_toml
from genrekit.system.remote import location
from genrekit.system.threads import MAX_THREADS
from genrekit.training.params import NETWORK_DEFAULTS

__all__ = ["parser"]

_TYPES: Final = {"float": float, "int": int, "location": location, "path": Path}
# How shells complete files, as shtab would have it: see `completion`.
_FILES: Final = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files",
    "fish": "(__fish_complete_path (commandline -ct))",
}


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
    whole.set_defaults(parser=whole)
    tables = read_toml(
        __file__,
        MAX_THREADS=str(MAX_THREADS),
        NETWORKS="|".join(NETWORK_DEFAULTS),
        SEGMENT_SECONDS=str(FeatureParams().segment_seconds),
        TRACK_SECONDS=str(TRACK_SECONDS),
    )
    functions = {
        "app": open_app,
        "demo-data": run.demo_data,
        "inspect": run.inspect,
        "preprocess": run.preprocess,
        "export": run.export,
        "import": run.import_,
        "import-model": run.import_model,
        "train": run.train,
        "leak-meter": run.leak_meter,
        "evaluate": run.evaluate,
        "classify": run.classify,
        "models": run.models,
        "completion": completion,
    }
    for name, function in functions.items():
        about = function.__doc__
        sub = commands.add_parser(name, help=about, description=about)
        sub.set_defaults(run=function, **tables["needs"].get(name, {}))
        _add_options(sub, tables["commands"][name], tables)
    return whole


def _add_options(
    sub: argparse.ArgumentParser, options: dict[str, Any], tables: dict[str, Any]
) -> None:
    for flags, option in options.items():
        if option == "features":
            _add_features(sub)
        elif isinstance(option, str):
            _add_options(sub, tables[option], tables)
        else:
            given = tables["shared"].get(flags, {}) | option
            kind = given.get("type")
            if kind:
                given["type"] = _TYPES[kind]
            action = sub.add_argument(*flags.split(), **given)
            if kind in ("location", "path"):
                action.complete = _FILES  # type: ignore[attr-defined]


def _add_features(sub: argparse.ArgumentParser) -> None:
    """Add the presets, and one option for each field of FeatureParams: names, defaults, ranges."""
    group = sub.add_argument_group("features")
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        "--like",
        metavar="MODEL",
        help="those of a model, a built-in one by its name or your own by its folder",
    )
    source.add_argument(
        "--preset",
        choices=list(PRESETS),
        default="course",
        help="everyday: those that train --network everyday needs; the options below change "
        "single settings (%(default)s, whose settings they show)",
    )
    for field in fields(FeatureParams):
        about = field.metadata
        unit = f", {about['unit']}" if about.get("unit") else ""
        metavar = "S" if about.get("unit") == "s" else "N" if "low" in about else "NAME"
        option: dict[str, Any] = {"type": type(field.default), "metavar": metavar}
        if isinstance(field.default, bool):
            option = {"action": argparse.BooleanOptionalAction}
        group.add_argument(
            "--" + field.name.replace("_", "-"),
            help=f"{about['help']}{unit} ({field.default})",
            **option,
        )
