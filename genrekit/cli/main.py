"""The command line: `python -m genrekit COMMAND`.

Results go to standard output, messages to standard error. With ``--progress json`` standard
output carries one JSON object a line, each with a "type", so that a program can follow.
Exit status: 0 all went well; 1 some input failed; 2 the command cannot be carried out as given.
"""

import argparse
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

from genrekit import __version__
from genrekit.dataset.build import TRACK_SECONDS, BuildProgress, build_dataset
from genrekit.errors import DatasetError, GenreKitError, ModelError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import atomic_write, plain_os_errors, without_nan
from genrekit.system.memory import NOT_ENOUGH, lacks_memory, require_memory
from genrekit.system.remote import local_copy, location
from genrekit.system.threads import MAX_THREADS, computing_in
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.wording import agree, counted, duration

__all__ = ["main"]

OK: Final = 0
SOME_FAILED: Final = 1
USAGE: Final = 2
# With less, libraries end the process while they are loaded, or wait for ever for their threads.
_LEAST_MEGABYTES: Final = 60
_CLASSIFY_MEGABYTES: Final = 200
_TRAIN_MEGABYTES: Final = 350

_T = TypeVar("_T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is returned, or raised by argparse for --help."""
    # A file's name may be no text: show its odd bytes rather than fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        require_memory(getattr(options, "megabytes", _LEAST_MEGABYTES))
        with _threads(options):
            status: int = options.run(options)
        sys.stdout.flush()
    except GenreKitError as error:
        return _refuse(options, str(error))
    except KeyboardInterrupt:
        print("genrekit: stopped; what was finished is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone: what Python still holds for it goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED
    except Exception as error:
        if lacks_memory(error):
            return _refuse(options, NOT_ENOUGH)
        raise
    return status


def _refuse(options: argparse.Namespace, message: str) -> int:
    if getattr(options, "progress", None) == "json":
        _emit("error", message=message)
    print(f"genrekit: {message}", file=sys.stderr)
    return USAGE


def _threads(options: argparse.Namespace) -> AbstractContextManager[None]:
    """What a command computes in: several processes of one thread have no such option."""
    if not hasattr(options, "threads"):
        return nullcontext()
    return computing_in(options.threads, options.usual_threads)


# -- commands ---------------------------------------------------------------------------------


def _demo_data(options: argparse.Namespace) -> int:
    from genrekit.audio.synth import STYLES, write_demo_dataset

    paths = write_demo_dataset(
        options.folder,
        tracks_per_style=options.tracks,
        seconds=options.seconds,
        seed=options.seed,
        workers=options.workers,
    )
    total = options.tracks * len(STYLES)
    written = _plainly(paths, options.folder)
    for done, path in enumerate(_bar(written, total, "Composing", "track", options.progress), 1):
        if options.progress == "json":
            _emit("track", done=done, total=total, path=str(path))
    return _finish(options, f"{total} tracks in {len(STYLES)} genres are in {options.folder}.")


def _plainly(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    """The same paths, with the errors of the system and of libsndfile in plain words."""
    import soundfile

    with plain_os_errors("written", folder):
        try:
            yield from paths
        except soundfile.LibsndfileError:
            raise DatasetError(
                f"{folder} cannot be written: the disk may be full; free some space and run again."
            ) from None


def _inspect(options: argparse.Namespace) -> int:
    from genrekit.dataset.inspection import inspect_folder

    steps = inspect_folder(
        options.folder,
        workers=options.workers,
        artists=options.artists,
        segment_seconds=options.segment_seconds,
    )
    inspection = None
    for step in _bar(steps, None, "Inspecting", "track", options.progress, _total_of):
        inspection = step.inspection
        if inspection is None and options.progress == "json":
            _emit("track", **asdict(step))
        elif step.problem:
            _say(f"{step.track}: {step.problem}", options.progress)
    assert inspection is not None  # the last step carries it
    inspection.write(options.output)
    for group in inspection.duplicates:
        alike = ", ".join(group.tracks)
        _say(f"the same recording ({group.kind}): {alike}", options.progress)
    unreadable = sum(file.seconds is None for file in inspection.files)
    _finish(
        options,
        f"{counted(len(inspection.files), 'file')} in {counted(len(inspection.genres), 'genre')}, "
        f"{duration(inspection.seconds)}; {unreadable} unreadable; "
        f"{counted(len(inspection.duplicates), 'group')} of duplicates. "
        f"All of it is in {options.output}.",
    )
    return SOME_FAILED if unreadable else OK


def _preprocess(options: argparse.Namespace) -> int:
    params = _feature_params(options)
    if (options.backend == "dask") != (options.scheduler is not None):
        raise SettingsError(
            "A cluster is named by both --backend dask and its scheduler's address, such as "
            "--scheduler tcp://10.0.0.5:8786: give both or neither."
        )
    if options.scheduler is not None and options.workers is not None:
        raise SettingsError("--workers counts processes of this machine: leave it to the cluster.")
    steps = build_dataset(
        options.folder,
        options.output,
        params,
        track_seconds=options.track_seconds or None,
        workers=options.workers,
        artists=options.artists,
        scheduler=options.scheduler,
    )
    failed = skipped = 0
    last: BuildProgress | None = None
    for last in _bar(steps, None, "Preprocessing", "track", options.progress, _total_of):
        failed += last.failed
        skipped += len(last.skipped) - last.failed
        if options.progress == "json":
            _emit("track", **asdict(last))
        else:
            for skip in last.skipped:
                place = "" if skip.segment is None else f", segment {skip.segment + 1}"
                _say(f"left out {skip.track}{place}: {skip.reason}", options.progress)
    assert last is not None  # a folder without tracks is an error
    shape = "x".join(map(str, params.shape))
    tracks = counted(last.total - failed, "track")
    summary = f"{counted(last.segments, 'segment')} of {shape} from {tracks}"
    extra = f"; {counted(failed, 'file')} failed" if failed else ""
    extra += f"; {counted(skipped, 'segment')} left out" if skipped else ""
    verb = agree(last.segments, "is", "are")
    _finish(options, f"{summary} {verb} in {options.output}{extra}.")
    return SOME_FAILED if failed else OK


def _export(options: argparse.Namespace) -> int:
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.formats import export_dataset

    dataset = Dataset.read(options.data)
    export_dataset(dataset, options.output)
    _say_written(len(dataset), options.output)
    return OK


def _say_written(segments: int, output: str | Path) -> None:
    print(f"{counted(segments, 'segment')} {agree(segments, 'is', 'are')} in {output}.")


def _import(options: argparse.Namespace) -> int:
    from genrekit.dataset.formats import import_dataset
    from genrekit.dataset.mel_archive import is_mel_file, read_mel_file

    params = _feature_params(options)
    with plain_os_errors("read", options.file), local_copy(options.file) as file:
        if is_mel_file(file):
            dataset = read_mel_file(file, params, options.artists)
        else:
            dataset = import_dataset(file, params)
    dataset.write(options.output)
    _say_written(len(dataset), options.output)
    if dataset.tracks is None:
        print(
            "Tracks are unknown: a score on this dataset cannot be trusted, because one song "
            "may stand on both sides of any split."
        )
    return OK


def _train(options: argparse.Namespace) -> int:
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.splits import held_out_in_words, make_split
    from genrekit.training.loop import train

    params = _train_params(options)
    dataset = Dataset.read(options.data)
    split = make_split(dataset, options.split, options.seed)
    with plain_os_errors("written", options.output, ModelError):
        options.output.mkdir(parents=True, exist_ok=True)  # to know before the work, not after
    training = train(dataset, split, params)
    if options.progress == "json":
        _emit(
            "start",
            epochs=params.epochs,
            train=len(split.train),
            valid=len(split.valid),
            test=len(split.test),
            genres=dataset.genres,
            worth=split.worth,
            held_out=held_out_in_words(dataset, split),
        )
    with _stop_on_interrupt() as stop:
        for epoch in _bar(training, params.epochs, "Training", "epoch", options.progress):
            if options.progress == "json":
                _emit("epoch", **asdict(epoch))
            else:
                _say(_epoch_line(asdict(epoch)), options.progress)
            if stop.is_set():
                break
    model = training.model(options.about)
    model.save(options.output)
    measured = model.card["measured"]
    return _finish(
        options,
        f"The model is in {options.output}. Measured on {measured['part']}, split by "
        f"{split.kind}, {held_out_in_words(dataset, split)}: {_score(measured)}. {split.worth}",
        measured=measured,
    )


def _leak_meter(options: argparse.Namespace) -> int:
    from genrekit.dataset.dataset import Dataset
    from genrekit.training.leak import LeakProgress, leak_meter, leak_sentence

    params = _train_params(options)
    steps = leak_meter(Dataset.read(options.data), params, runs=options.runs)
    last: LeakProgress | None = None
    for last in _bar(steps, None, "Training", "epoch", options.progress, _total_of):
        if options.progress == "json":
            _emit("leak", **asdict(last))
    assert last is not None  # at least one epoch is run
    bars, sentence = [bar.to_dict() for bar in last.bars], leak_sentence(last.bars)
    if options.output is not None:
        with plain_os_errors("written", options.output), atomic_write(options.output) as temporary:
            text = json.dumps({"bars": bars, "sentence": sentence}, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8")
    if options.progress == "json":
        return _finish(options, sentence, bars=bars)
    for bar in last.bars:
        segments = counted(bar.segments, "segment")
        print(
            f"by {bar.split:8} {bar.accuracy:.3f} of {segments} right "
            f"(95% interval {bar.interval[0]:.3f} to {bar.interval[1]:.3f}). {bar.worth}"
        )
    print(sentence)
    return OK


def _evaluate(options: argparse.Namespace) -> int:
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.mel_archive import is_mel_file, read_mel_file
    from genrekit.model.bundle import GenreModel
    from genrekit.model.evaluation import evaluate

    model = GenreModel.load(options.model)
    with plain_os_errors("read", options.data), local_copy(options.data) as file:
        dataset = read_mel_file(file, model.params) if is_mel_file(file) else Dataset.read(file)
    measured, worth = evaluate(model, dataset, options.split)
    result = measured.to_dict()
    if options.json:
        print(json.dumps(without_nan(result | {"worth": worth}), indent=1))
        return OK
    print(f"Measured on {measured.part}: {_score(result)}.\n{worth}")
    print(f"Calibration error {measured.calibration_error:.3f}")
    width = max(map(len, measured.genres))
    for i, (genre, row) in enumerate(zip(measured.genres, measured.confusion, strict=True)):
        precision = _share_of(row[i], sum(column[i] for column in measured.confusion))
        recall = _share_of(row[i], sum(row))
        print(f"{genre:{width}}  precision {precision}  recall {recall}")
    return OK


def _classify(options: argparse.Namespace) -> int:
    from genrekit.model.bundle import GenreModel, Verdict
    from genrekit.verdict.report import report, summary_line, to_json

    model = GenreModel.load(options.model)
    reports, failed = [], 0
    for file in _bar(options.files, len(options.files), "Listening", "file", "bar"):
        outcome: Verdict | str
        try:
            outcome = model.classify_file(file)
        except Exception as error:
            if not (isinstance(error, GenreKitError) or lacks_memory(error)):
                raise
            failed += 1
            outcome = str(error) if isinstance(error, GenreKitError) else NOT_ENOUGH
        if options.json:
            reports.append(report(str(file), outcome))
        else:
            print(summary_line(str(file), outcome), flush=True)
    if options.json:
        print(to_json(reports), end="")
    return SOME_FAILED if failed else OK


# -- options ----------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
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
        "demo-data", _demo_data, "Compose a demo dataset: short tracks in made-up styles."
    )
    sub.add_argument("folder", type=Path, metavar="OUT_DIR")
    sub.add_argument("--tracks", type=int, default=12, help="tracks of each style (%(default)s)")
    sub.add_argument("--seconds", type=float, default=12.0, help="length of each (%(default)s)")
    sub.add_argument("--seed", type=int, default=0, help="other seeds, other music (%(default)s)")
    sub.add_argument("--workers", type=int, metavar="N", help="processes (one per processor)")
    _progress_option(sub)

    sub = command(
        "inspect", _inspect, "Look at a folder before preprocessing: contents, faults, duplicates."
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
        "preprocess", _preprocess, "Turn a folder with one sub-folder per genre into a dataset."
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

    sub = command("export", _export, "Write a dataset as the course's JSON or as NPZ.")
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=location, required=True, metavar="FILE.json|FILE.npz")

    sub = command(
        "import",
        _import,
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

    sub = command("train", _train, "Train a classifier on a dataset.")
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL_DIR")
    _train_options(sub)
    _progress_option(sub)

    sub = command(
        "leak-meter", _leak_meter, "Train under three splits and tell how much of a score is leak."
    )
    sub.add_argument("data", type=location, metavar="DATA.parquet")
    sub.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the bars here")
    sub.add_argument("--runs", type=int, default=1, metavar="N", help="of each split (%(default)s)")
    _recipe_options(sub)
    _progress_option(sub)

    sub = command(
        "evaluate",
        _evaluate,
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

    sub = command("classify", _classify, "Say what genre songs are, and how sure that is.")
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


def _feature_params(options: argparse.Namespace) -> FeatureParams:
    return FeatureParams(**{f.name: getattr(options, f.name) for f in fields(FeatureParams)})


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


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first interrupt (Ctrl+C) sets; the second one ends the program."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only there may signals be handled
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _train_params(options: argparse.Namespace) -> TrainParams:
    usual = NETWORK_DEFAULTS.get(options.network) or TrainParams(options.network)
    given = {"seed": options.seed, "keep": options.keep, "normalise": options.normalise}
    for name in ("epochs", "batch_size", "learning_rate", "recipe"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    return replace(usual, **given)


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


# -- talking ----------------------------------------------------------------------------------


def _bar(
    steps: Iterable[_T],
    total: int | None,
    what: str,
    unit: str,
    progress: str,
    total_from: Callable[[Any], int] | None = None,
) -> Iterator[_T]:
    """The same steps, with a progress bar where a person looks on."""
    if progress != "bar" or not sys.stderr.isatty():
        yield from steps
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # its thread would keep the workers from being forked
    with tqdm(total=total, desc=what, unit=unit, file=sys.stderr) as bar:
        for step in steps:
            if total_from is not None:
                bar.total = total_from(step)
            bar.update()
            yield step


def _total_of(step: Any) -> int:
    total: int = step.total
    return total


def _say(message: str, progress: str) -> None:
    """A line above the progress bar."""
    if progress == "bar" and sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)
    elif progress == "bar":
        print(message, file=sys.stderr)


def _finish(options: argparse.Namespace, message: str, **values: Any) -> int:
    if options.progress == "json":
        _emit("done", message=message, **values)
    else:
        print(message)
    return OK


def _emit(kind: str, **values: Any) -> None:
    print(json.dumps(without_nan({"type": kind, **values}), ensure_ascii=False), flush=True)


def _epoch_line(epoch: dict[str, Any]) -> str:
    line = "epoch {epoch:3d}  train loss {train_loss:.4f} acc {train_accuracy:.4f}  "
    if epoch["valid_loss"] == epoch["valid_loss"]:  # NaN where nothing is held out
        line += "valid loss {valid_loss:.4f} acc {valid_accuracy:.4f}  "
    return (line + "{seconds:.2f} s").format(**epoch)


def _score(measured: dict[str, Any]) -> str:
    from genrekit.model.evaluation import accuracy_interval

    said = []
    for of in ("track", "segment") if measured["tracks"] else ("segment",):
        low, high = accuracy_interval(measured, of)
        said.append(
            f"{measured[f'{of}_accuracy']:.3f} of {counted(measured[f'{of}s'], of)} right "
            f"(95% interval {low:.3f} to {high:.3f})"
        )
    return ", ".join(said)


def _share_of(hits: int, count: int) -> str:
    """A share of few, with how few they are."""
    return f"{hits / count:.3f} of {count}" if count else "unknown"
