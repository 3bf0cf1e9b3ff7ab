"""Models as zip files: packed to be downloaded, unpacked and checked when they come back.

A zip file may come from anybody. It is unpacked as `dataset.upload` unpacks every upload, of its
content only a model's own files are read, none of them is executed, and what is kept is written
anew from what was read.
"""

import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from genrekit.dataset.upload import UploadLimits, safe_name, unpack_zip
from genrekit.errors import ModelError
from genrekit.model.bundle import GenreModel, load_model
from genrekit.model.verdicts import CONFIDENCE_WORDS
from genrekit.system.files import plain_os_errors

__all__ = ["pack_model", "unpack_model"]

_CARD_FILE: Final = "model.json"
_WEIGHTS_FILE: Final = "weights.safetensors"
_LIMITS: Final = UploadLimits(total_bytes=500_000_000, files=20, depth=3)
_LONGEST: Final = 2000
_MOST: Final = 10_000
_UNCHECKED: Final = " The figures came with the model's file, and nobody has checked them here."

# What is kept of a card, with the entries that pages and commands read. A tuple may be None.
_COUNTS: Final = {"epochs_run": int, "kept_epoch": int, "batch_size": int}
_CARD: Final[dict[str, Any]] = {
    "about": str,
    "genrekit": str,
    "data": {"fingerprint": str, "segments": dict, "tracks": (int, None)},
    "split": {
        **{"kind": str, "worth": str, "seed": (int, None), "shares_tracks": (bool, None)},
        **{"held_out": (str, None), "segments": {"train": int, "valid": int, "test": int}},
    },
    "training": {"network": str, "recipe": str},
    "parameters": int,
    "calibrated_on": (str, None),
    "measured": {
        **{"part": str, "segments": int, "segment_accuracy": float, "calibration_error": float},
        **{"tracks": (int, None), "track_accuracy": (float, None)},
        **{"genres": list, "precision": list, "recall": list, "confusion": list},
        "reliability": {"songs": int, "words": dict, "held": (int, None)},
    },
    "history": list,
}


def pack_model(folder: Path) -> bytes:
    """Return a model's folder as a zip file, which `unpack_model` takes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"my-model/{path.name}")
    return buffer.getvalue()


def unpack_model(file: Path, folder: Path) -> GenreModel:
    """Check a model in a zip file, write it into `folder`, and return it.

    The card's sentence on the score says that its figures came with the file.

    Raises
    ------
    DatasetError
        It is not a zip file, or a dangerous one.
    ModelError
        It holds no model or several, or the model or its card is damaged.
    """
    with tempfile.TemporaryDirectory() as temporary, plain_os_errors("read", file, ModelError):
        with file.open("rb") as packed:
            found = unpack_zip(packed, Path(temporary, "model"), _LIMITS)
        bundles = [path.parent for path in found if path.name == _CARD_FILE]
        if len(bundles) != 1 or bundles[0] / _WEIGHTS_FILE not in found:
            raise ModelError(
                "The zip file holds no model, or more than one: send it as you downloaded it, with "
                f"one {_CARD_FILE} and its {_WEIGHTS_FILE}."
            )
        try:
            model = load_model(bundles[0])
        except ModelError as error:
            raise ModelError(str(error).replace(f" in {bundles[0]}", "")) from None
        card: dict[str, Any] = {name: model.card.get(name) for name in _CARD}
        try:
            plausible = _fits(card, _CARD) and _is_of(model, card)
        except (KeyError, TypeError, ValueError):
            plausible = False
        if not plausible:
            raise ModelError("The model's card is damaged, or not by GenreKit: train it again.")
        worth = card["split"]["worth"].removesuffix(_UNCHECKED) + _UNCHECKED
        model = replace(model, card=card | {"split": card["split"] | {"worth": worth}})
        model.save(folder)
        return model


def _fits(value: Any, shape: Any) -> bool:
    """Return True if plain values have the shape of an entry of `_CARD`, and are of modest size."""
    if isinstance(shape, Mapping):
        return isinstance(value, dict) and all(_fits(value.get(k), v) for k, v in shape.items())
    if isinstance(shape, tuple):
        return value is None or _fits(value, shape[0])
    if shape is str:
        return isinstance(value, str) and len(value) <= _LONGEST
    if shape in (list, dict):
        return isinstance(value, shape) and len(value) <= _MOST
    if shape is float:
        return type(value) in (int, float) and 0 <= value <= 1
    return type(value) is shape and (shape is bool or value >= 0)


def _is_of(model: GenreModel, card: Mapping[str, Any]) -> bool:
    """Return True if a card, of the right shape, speaks of this model, in figures that can be."""
    measured, training, genres = card["measured"], card["training"], len(model.genres)
    extent = {"segments_fitted": int} if training["recipe"] == "fit" else _COUNTS
    rate = training.get("learning_rate", 0)
    shares = [measured[name] for name in ("precision", "recall")]
    intervals = [measured.get(f"{of}_interval") or [0, 0] for of in ("segment", "track")]
    words = measured["reliability"]["words"].items()
    return (
        tuple(measured["genres"]) == model.genres
        and all(genre == safe_name(genre) for genre in model.genres)
        and training["network"] == model.network_name
        and _fits(training, extent)
        and type(rate) in (int, float)
        and card["split"]["kind"] in ("segment", "track", "artist", "file")
        and all(len(each) == genres for each in [*shares, measured["confusion"]])
        and all(len(each) == 2 for each in intervals)
        and all(_fits(share, (float, None)) for each in [*shares, *intervals] for share in each)
        and all(len(row) == genres and _are_counts(row) for row in measured["confusion"])
        and all(
            word in CONFIDENCE_WORDS and len(two) == 2 and _are_counts(two) for word, two in words
        )
        and type(measured["reliability"].get("candidates")) in (int, float, type(None))
    )


def _are_counts(values: list[Any]) -> bool:
    return all(_fits(value, int) for value in values)
