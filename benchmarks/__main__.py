"""`python -m benchmarks [NAME ...]`: times, ratios, and proof that the results agree.

`python -m benchmarks fuzz` feeds damaged files instead, `agree` compares the decoding of random
files with FFmpeg's own, `load` sends a crowd to the server, and `siege` attacks it.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.speed.compare import DisagreementError, machine

NAMES = ("preprocess", "training", "mlp", "cold", "listen", "start")
# Only when asked for: they take a quarter of an hour, a program that need not be there, and all
# processors.
FUZZ, AGREE, LOAD, SIEGE = "fuzz", "agree", "load", "siege"
FORMATS = ("wav", "flac", "mp3")
FEWER_TRACKS = 40
ADDRESS = "address"  # a kind of input to `fuzz`


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 when results disagree, a damaged file was not refused properly, a
    visitor lost something, or an attack broke the server."""
    parser = _parser()
    options = parser.parse_args(arguments)
    print(machine(), flush=True)
    for name in (FUZZ, AGREE, LOAD, SIEGE):
        if name in options.names and options.names != [name]:
            parser.error(f"{name} runs alone")
    if options.names == [FUZZ]:
        return _fuzz(parser, options)
    if options.names == [AGREE]:
        return _agree(options)
    if options.names == [LOAD]:
        return _load(options)
    if options.names == [SIEGE]:
        return _siege(parser, options)
    for name in options.names or NAMES:
        try:
            for figures in _figures(name, options):
                print(f"\n{figures}", flush=True)
        except DisagreementError as error:
            print(f"\n{name}: THE RESULTS DISAGREE. {error}", file=sys.stderr)
            return 1
    return 0


def _figures(name: str, options: argparse.Namespace) -> Iterator[object]:
    # Each benchmark is imported when its turn comes: PyTorch in this process would be in the way.
    if name == "preprocess":
        from benchmarks.speed.preprocess import preprocess

        if options.folder:
            yield preprocess(options.runs, folder=options.folder)
            return
        for kind in [options.format] if options.format else FORMATS:
            full = options.format or kind == "wav"
            tracks = options.tracks if full else min(options.tracks, FEWER_TRACKS)
            yield preprocess(options.runs, tracks, kind)
    elif name == "training":
        from benchmarks.speed.training import training

        yield training(options.runs, options.segments, options.epochs)
    elif name == "mlp":
        from benchmarks.speed.mlp import mlp

        yield from mlp(options.runs)
    elif name == "cold":
        from benchmarks.speed.cold import cold

        yield cold(options.runs, options.model)
    elif name == "start":
        from benchmarks.speed.start import start

        yield from start(options.runs, options.model)
    else:
        from benchmarks.speed.listen import listen

        yield from listen(options.runs, options.model)


def _fuzz(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from benchmarks.fuzz.run import GROUPS, KINDS, fuzz

    if options.kind == ADDRESS:
        return _addresses(options)
    if options.kind not in (None, *GROUPS, *KINDS):
        parser.error(f"--kind {options.kind}: use {', '.join((*GROUPS, *KINDS, ADDRESS))}")
    report = fuzz(options.cases, options.seed, options.kind, options.workers, options.keep)
    print(f"\n{report}", flush=True)
    return 1 if report.failures else 0


def _addresses(options: argparse.Namespace) -> int:
    from benchmarks.fuzz.addresses import CASES, fuzz

    logging.disable(logging.CRITICAL)  # Streamlit reports each page without a browser
    report = fuzz(options.cases or CASES, options.seed)
    print(f"\n{report}", flush=True)
    return 1 if report.failures else 0


def _agree(options: argparse.Namespace) -> int:
    from benchmarks.fuzz.agreement import FILES, GOAL, compare

    try:
        agreement = compare(options.cases or FILES, options.seed)
    except RuntimeError as error:
        print(f"\n{AGREE}: {error}", file=sys.stderr)
        return 1
    print(f"\n{agreement}", flush=True)
    return 0 if agreement.share >= GOAL else 1


def _load(options: argparse.Namespace) -> int:
    from benchmarks.load.browser import paints
    from benchmarks.load.crowd import load

    print(
        f"\n{paints() or 'No Chromium or no Playwright: first paints are not measured.'}",
        flush=True,
    )
    crowd = load(options.visitors, options.stay, live=options.live)
    print(f"\n{crowd}", flush=True)
    return 1 if crowd.lost else 0


def _siege(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from benchmarks.siege.attacks import ATTACKS
    from benchmarks.siege.run import siege

    chosen = [one for one in ATTACKS if options.attack is None or options.attack in one.name]
    if not chosen:
        names = ", ".join(one.name for one in ATTACKS)
        parser.error(f"--attack {options.attack}: use a part of {names}")
    siege_ = siege(chosen)
    print(f"\n{siege_}", flush=True)
    return 0 if siege_.held else 1


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("use a whole number from 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", choices=(*NAMES, FUZZ, AGREE, LOAD, SIEGE),
        help=f"of {', '.join(NAMES)} (all), or {FUZZ}, {AGREE}, {LOAD} or {SIEGE}")  # fmt: skip
    add("--runs", type=_count, default=5, help="pairs of times (%(default)s)")
    add("--tracks", type=_count, default=200, help="preprocess: tracks (%(default)s)")
    add("--format", choices=FORMATS,
        help=f"preprocess: only this (wav; flac and mp3 with {FEWER_TRACKS} tracks)")  # fmt: skip
    add("--folder", type=Path, help="preprocess: a real folder of genre folders")
    add("--segments", type=_count, default=2000, help="training: segments (%(default)s)")
    add("--epochs", type=_count, default=5, help="training: epochs (%(default)s)")
    add("--model", type=Path,
        help="cold, listen, start: a folder with a model (what ships, or a tiny one)")  # fmt: skip
    fuzz = parser.add_argument_group(FUZZ)
    fuzz.add_argument(
        "--cases",
        type=_count,
        help="how many (11,000, or 1000 of one kind; address: 2000; agree: 300)",
    )
    fuzz.add_argument("--seed", type=int, default=0, help="of each kind's first case (%(default)s)")
    fuzz.add_argument("--kind", help="only this: wav, zip, model, ..., audio, other, or address")
    fuzz.add_argument("--workers", type=_count, help="processes (one for each processor)")
    fuzz.add_argument("--keep", type=Path, metavar="FOLDER", help="for the files that failed")
    load = parser.add_argument_group(LOAD)
    load.add_argument("--visitors", type=_count, default=50, help="(%(default)s)")
    load.add_argument("--stay", type=_count, default=60, metavar="SECONDS",
        help="how long all of them are there (%(default)s)")  # fmt: skip
    load.add_argument("--live", type=int, default=0, metavar="N",
        help="of the visitors, how many listen with their microphones (%(default)s)")  # fmt: skip
    siege = parser.add_argument_group(SIEGE)
    siege.add_argument("--attack", metavar="WORDS", help="only those with these words in the name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
