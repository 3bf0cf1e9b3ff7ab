"""Put figures on a model's card: what the commands that measure one on music have in common."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from genrekit.errors import GenreKitError
from genrekit.model.bundle import MODELS, GenreModel, load_model

__all__ = ["put_on_card"]


def put_on_card(
    parser: argparse.ArgumentParser,
    name: str,
    measure: Callable[[GenreModel, argparse.Namespace], dict[str, Any]],
) -> int:
    """Run a command: measure a model on music, print the figures as JSON, and save them if asked.

    Parameters
    ----------
    parser : with the command's own options; music, --model and --save are added
    name : of the figures on the card
    measure : of the model and the options

    Returns
    -------
    int
        The exit status.
    """
    parser.add_argument("music", type=Path, nargs="+", help="folders of genre folders")
    parser.add_argument("--model", type=Path, default=MODELS / "everyday", metavar="FOLDER")
    parser.add_argument("--save", action="store_true", help="write the figures to the card")
    options = parser.parse_args()
    try:
        model = load_model(options.model)
        figures = measure(model, options)
        if options.save:
            replace(model, card=model.card | {name: figures}).save(options.model)
    except GenreKitError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures, indent=1))
    return 0
