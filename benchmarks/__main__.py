"""`python -m benchmarks [NAME ...]`: times, ratios, and proof that the results agree."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.compare import DisagreementError, Figures, machine

NAMES = ("preprocess", "training", "mlp", "cold")
FORMATS = ("wav", "flac", "mp3")
FEWER_TRACKS = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when results disagree."""
    options = _parser().parse_args(arguments)
    print(machine(), flush=True)
    for name in options.names or NAMES:
        try:
            for figures in _figures(name, options):
                print(f"\n{figures}", flush=True)
        except DisagreementError as error:
            print(f"\n{name}: THE RESULTS DISAGREE. {error}", file=sys.stderr)
            return 1
    return 0


def _figures(name: str, options: argparse.Namespace) -> Iterator[Figures]:
    # Each benchmark is imported when its turn comes: PyTorch in this process would be in the way.
    if name == "preprocess":
        from benchmarks.preprocess import preprocess

        if options.folder:
            yield preprocess(options.runs, folder=options.folder)
            return
        for kind in [options.format] if options.format else FORMATS:
            full = options.format or kind == "wav"
            tracks = options.tracks if full else min(options.tracks, FEWER_TRACKS)
            yield preprocess(options.runs, tracks, kind)
    elif name == "training":
        from benchmarks.training import training

        yield training(options.runs, options.segments, options.epochs)
    elif name == "mlp":
        from benchmarks.mlp import mlp

        yield from mlp(options.runs)
    else:
        from benchmarks.cold import cold

        yield cold(options.runs, options.model)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("use a whole number from 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", choices=NAMES, help=f"of {', '.join(NAMES)} (all)")
    add("--runs", type=_count, default=5, help="pairs of times (%(default)s)")
    add("--tracks", type=_count, default=200, help="preprocess: tracks (%(default)s)")
    add("--format", choices=FORMATS,
        help=f"preprocess: only this (wav; flac and mp3 with {FEWER_TRACKS} tracks)")  # fmt: skip
    add("--folder", type=Path, help="preprocess: a real folder of genre folders")
    add("--segments", type=_count, default=2000, help="training: segments (%(default)s)")
    add("--epochs", type=_count, default=5, help="training: epochs (%(default)s)")
    add("--model", type=Path, help="cold: a folder with a model (the shipped one, or a tiny one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
