"""The commands: each takes its options, prints its result and returns the exit status.

Their docstrings are what `--help` shows.
"""

import argparse
import json
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from genrekit.cli.progress import OK, SOME_FAILED, emit, finish, progress_bar, say
from genrekit.dataset.build import BuildProgress, build_dataset
from genrekit.dataset.dataset import Note
from genrekit.errors import DatasetError, GenreKitError, ModelError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.features.presets import PRESETS
from genrekit.system.files import plain_os_errors, without_nan, write_whole
from genrekit.system.memory import NOT_ENOUGH, lacks_memory
from genrekit.system.remote import local_copy
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.wording import agree, counted, duration

__all__ = [
    *("classify", "demo_data", "evaluate", "export", "import_", "import_model"),
    *("inspect", "leak_meter", "models", "preprocess", "train"),
]


_NAMES_IN_A_LINE: Final = 5


def demo_data(options: argparse.Namespace) -> int:
    """Compose a demo dataset: short tracks in made-up styles."""
    from genrekit.audio.synth.chart import STYLES
    from genrekit.audio.synth.demo import write_demo_dataset

    paths = write_demo_dataset(
        options.folder,
        tracks_per_style=options.tracks,
        seconds=options.seconds,
        seed=options.seed,
        workers=options.workers,
    )
    total = options.tracks * len(STYLES)
    written = _with_plain_errors(paths, options.folder)
    bar = progress_bar(written, "Composing", "track", options.progress, total)
    for done, path in enumerate(bar, 1):
        emit("track", options.progress, done=done, total=total, path=str(path))
    message = f"{total} tracks in {len(STYLES)} genres are in {options.folder}."
    finish(message, options.progress)
    return OK


def _with_plain_errors(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    """Yield the paths; errors of the system and of libsndfile become plain sentences."""
    import soundfile

    with plain_os_errors("written", folder):
        try:
            yield from paths
        except soundfile.LibsndfileError:
            raise DatasetError(
                f"{folder} cannot be written: the disk may be full; free some space and run again."
            ) from None


def inspect(options: argparse.Namespace) -> int:
    """Look at a folder before preprocessing: contents, faults, duplicates."""
    from genrekit.dataset.inspection import inspect_folder

    steps = inspect_folder(
        options.folder,
        workers=options.workers,
        artists=options.artists,
        segment_seconds=options.segment_seconds,
    )
    inspection = None
    for step in progress_bar(steps, "Inspecting", "track", options.progress):
        inspection = step.inspection
        if inspection is None:
            emit("track", options.progress, **asdict(step))
        if step.problem:
            say(f"{step.track}: {step.problem}", options.progress)
    assert inspection is not None  # the last step has it
    inspection.write(options.output)
    _say_notes(inspection.notes, options.progress)
    for other in inspection.others:
        say(f"left out {other.track}: {other.reason}", options.progress)
    for group in inspection.duplicates:
        say(f"the same recording ({group.kind}): {', '.join(group.tracks)}", options.progress)
    unreadable = sum(file.seconds is None for file in inspection.files)
    finish(
        f"{counted(len(inspection.files), 'file')} in {counted(len(inspection.genres), 'genre')}, "
        f"{duration(inspection.seconds)}; {unreadable} unreadable; "
        f"{counted(len(inspection.duplicates), 'group')} of duplicates. "
        f"All of it is in {options.output}.",
        options.progress,
    )
    return SOME_FAILED if unreadable else OK


def _say_notes(notes: Sequence[Note], progress: str) -> None:
    """Print how a folder was read, with the first names that each line is about."""
    for note in notes:
        names = ", ".join(note.names[:_NAMES_IN_A_LINE])
        more = len(note.names) - _NAMES_IN_A_LINE
        names += f" and {more} more" if more > 0 else ""
        say(f"note: {note.sentence}" + (f" ({names})" if names else ""), progress)


def preprocess(options: argparse.Namespace) -> int:
    """Turn a folder with one sub-folder per genre into a dataset."""
    params = _feature_params(options)
    if (options.backend == "dask") != (options.scheduler is not None):
        raise SettingsError(
            "A cluster needs both --backend dask and its scheduler's address, such as "
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
        only_whole=options.only_whole,
        leave_out=_lines(options.leave_out) if options.leave_out else (),
    )
    failed = skipped = incomplete = 0
    last: BuildProgress | None = None
    for last in progress_bar(steps, "Preprocessing", "track", options.progress):
        _say_notes(last.notes, options.progress)
        failed += last.failed
        incomplete += bool(last.missing)
        skipped += len(last.skipped) - last.failed
        emit("track", options.progress, **asdict(last))
        for skip in last.skipped:
            segment = "" if skip.segment is None else f", segment {skip.segment + 1}"
            say(f"left out {skip.track}{segment}: {skip.reason}", options.progress)
        if last.missing:
            say(f"warning: {last.track}: {last.missing}", options.progress)
    assert last is not None  # a folder without tracks is an error
    shape = "x".join(map(str, params.shape))
    summary = f"{counted(last.segments, 'segment')} of {shape} from "
    summary += f"{counted(last.total - failed, 'track')} {agree(last.segments, 'is', 'are')} in "
    summary += str(options.output)
    summary += f"; {counted(failed, 'file')} failed" if failed else ""
    summary += f"; {counted(incomplete, 'file')} incomplete" if incomplete else ""
    summary += f"; {counted(skipped, 'segment')} left out" if skipped else ""
    finish(f"{summary}.", options.progress)
    return SOME_FAILED if failed else OK


def _lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    with plain_os_errors("read", path):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise DatasetError(f"{path} is not text in UTF-8: save it as such.") from None
    return [line for line in text.splitlines() if line.strip()]


def export(options: argparse.Namespace) -> int:
    """Write a dataset as the course's JSON or as NPZ, or a model as ONNX."""
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.formats import export_dataset

    if Path(options.output.name).suffix.lower() == ".onnx":
        from genrekit.model.bundle import load_model
        from genrekit.model.onnx_export import export_model

        export_model(load_model(options.data), options.output)
        print(f"The model is in {options.output}.")
        return OK
    dataset = Dataset.read(options.data)
    export_dataset(dataset, options.output)
    print(_written(len(dataset), options.output))
    return OK


def _written(segments: int, output: object) -> str:
    return f"{counted(segments, 'segment')} {agree(segments, 'is', 'are')} in {output}."


def import_(options: argparse.Namespace) -> int:
    """Read the course's JSON, an NPZ, or a file of mel spectrograms into a dataset."""
    from genrekit.dataset.formats import import_dataset
    from genrekit.dataset.mel_archive import is_mel_file, read_mel_file

    params = _feature_params(options)
    with plain_os_errors("read", options.file), local_copy(options.file) as file:
        if is_mel_file(file):
            dataset = read_mel_file(file, params, options.artists)
        else:
            dataset = import_dataset(file, params)
    dataset.write(options.output)
    _say_notes(dataset.notes, options.progress)
    message = _written(len(dataset), options.output)
    if dataset.tracks is None:
        message += (
            "\nTracks are unknown: a score on this dataset cannot be trusted, because any split "
            "may put one song on both sides."
        )
    finish(message, options.progress)
    return OK


def import_model(options: argparse.Namespace) -> int:
    """Unpack and check a model that was downloaded from the train page."""
    from genrekit.model.packed import unpack_model

    model = unpack_model(options.file, options.output)
    finish(
        f"A model of {counted(len(model.genres), 'genre')} is in {options.output}.",
        options.progress,
    )
    return OK


def train(options: argparse.Namespace) -> int:
    """Train a classifier on a dataset."""
    from genrekit.dataset.dataset import Dataset
    from genrekit.dataset.splits import held_out_in_words, make_split
    from genrekit.training import loop

    params = _train_params(options)
    dataset = Dataset.read(options.data)
    split = make_split(dataset, options.split, options.seed)
    with plain_os_errors("written", options.output, ModelError):
        options.output.mkdir(parents=True, exist_ok=True)  # fails before the work, not after
    training = loop.train(dataset, split, params)
    held_out = held_out_in_words(dataset, split)
    emit(
        "start",
        options.progress,
        recipe=params.recipe,
        epochs=params.epochs,
        train=len(split.train),
        valid=len(split.valid),
        test=len(split.test),
        genres=dataset.genres,
        worth=split.worth,
        held_out=held_out,
    )
    with _stop_on_interrupt() as stop:
        for epoch in progress_bar(training, "Training", "epoch", options.progress, params.epochs):
            emit("epoch", options.progress, **asdict(epoch))
            say(_epoch_line(asdict(epoch), params.recipe), options.progress)
            if stop.is_set():
                break
        # An interrupt that comes just after the last epoch does not lose the model either.
        model = training.model(options.about)
        model.save(options.output)
    measured = model.card["measured"]
    finish(
        f"The model is in {options.output}. Measured on {measured['part']}, split by "
        f"{split.kind}, {held_out}: {_score(measured)}. {split.worth}",
        options.progress,
        measured=measured,
    )
    return OK


def leak_meter(options: argparse.Namespace) -> int:
    """Train under three splits and tell how much of a score is leak."""
    from genrekit.dataset.dataset import Dataset
    from genrekit.training import leak

    params = _train_params(options)
    steps = leak.leak_meter(Dataset.read(options.data), params, runs=options.runs)
    last: leak.LeakProgress | None = None
    for last in progress_bar(steps, "Training", "epoch", options.progress):
        emit("leak", options.progress, **asdict(last))
    assert last is not None  # at least one epoch is run
    bars, sentence = [bar.to_dict() for bar in last.bars], leak.leak_sentence(last.bars)
    if options.output is not None:
        text = json.dumps({"bars": bars, "sentence": sentence}, indent=1)
        with plain_os_errors("written", options.output):
            write_whole(options.output, text + "\n")
    if options.progress != "json":
        for bar in last.bars:
            segments = counted(bar.segments, "segment")
            print(
                f"by {bar.split:8} {bar.accuracy:.3f} of {segments} right "
                f"(95% interval {bar.interval[0]:.3f} to {bar.interval[1]:.3f}). {bar.worth}"
            )
    finish(sentence, options.progress, bars=bars)
    return OK


def evaluate(options: argparse.Namespace) -> int:
    """Measure a model on music; recordings that it was trained on are left out."""
    from genrekit.cli.inputs import dataset_of
    from genrekit.model import evaluation
    from genrekit.model.bundle import load_model

    model = load_model(options.model)
    with dataset_of(options.data, model.params) as dataset:
        measured, worth = evaluation.evaluate(model, dataset, options.split)
    result = measured.to_dict()
    if options.json:
        print(json.dumps(without_nan(result | {"worth": worth}), indent=1))
        return OK
    print(f"Measured on {measured.part}: {_score(result)}.\n{worth}")
    print(f"Calibration error {measured.calibration_error:.3f}")
    for word, (right, songs) in measured.reliability.words.items():
        print(f'"{word}": {right} of {songs} right')
    if measured.reliability.held is not None:
        print(
            f"Candidates: {measured.reliability.candidates:.1f} on average; the right genre is "
            f"one of them for {_share(measured.reliability.held, measured.reliability.songs)}"
        )
    width = max(map(len, measured.genres))
    for i, (genre, row) in enumerate(zip(measured.genres, measured.confusion, strict=True)):
        precision = _share(row[i], sum(column[i] for column in measured.confusion))
        recall = _share(row[i], sum(row))
        if precision == recall == "unknown":
            continue
        print(f"{genre:{width}}  precision {precision}  recall {recall}")
    return OK


def classify(options: argparse.Namespace) -> int:
    """Say what genre songs are, and how sure that is."""
    from genrekit.cli.inputs import songs
    from genrekit.model.bundle import load_model
    from genrekit.model.verdicts import Verdict
    from genrekit.verdict.report import report, summary_line, table_row, to_csv, to_json

    if options.json and options.csv:
        raise SettingsError("The verdicts are printed once: give --json or --csv, not both.")
    files = songs(options.files)
    model = load_model(options.model)
    reports, rows, failed = [], [], 0
    for file in progress_bar(files, "Listening", "file", "bar", len(files)):
        outcome: Verdict | str
        try:
            outcome = model.classify(file)
        except Exception as error:
            if not (isinstance(error, GenreKitError) or lacks_memory(error)):
                raise
            failed += 1
            outcome = str(error) if isinstance(error, GenreKitError) else NOT_ENOUGH
        if options.json:
            reports.append(report(str(file), outcome))
        elif options.csv:
            segments = () if isinstance(outcome, str) else outcome.segments
            rows.append(table_row(str(file), outcome, segments[-1].end if segments else 0.0))
        else:
            print(summary_line(str(file), outcome), flush=True)
    if options.json:
        print(to_json(reports), end="")
    if options.csv:
        print(to_csv(rows), end="")
    return SOME_FAILED if failed else OK


def models(options: argparse.Namespace) -> int:
    """List the built-in models, and what each is for."""
    from genrekit.model.bundle import DEFAULT_MODEL, MODELS

    for path in sorted(MODELS.glob("*/model.json")):
        about = json.loads(path.read_text(encoding="utf-8"))["card"]["about"]
        name = path.parent.name
        default = " (the default)" if name == DEFAULT_MODEL else ""
        print(f"{name}{default}: {about.partition('.')[0]}.")
    return OK


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Yield an event that the first interrupt (Ctrl+C) sets; the second ends the program."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _feature_params(options: argparse.Namespace) -> FeatureParams:
    from genrekit.model.bundle import load_model

    given = {f.name: getattr(options, f.name) for f in fields(FeatureParams)}
    start = load_model(options.like).params if options.like else PRESETS[options.preset]
    return replace(start, **_without_none(given))


def _train_params(options: argparse.Namespace) -> TrainParams:
    defaults = NETWORK_DEFAULTS.get(options.network) or TrainParams(options.network)
    given = {f.name: getattr(options, f.name, None) for f in fields(TrainParams)}
    return replace(defaults, **_without_none(given))


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _epoch_line(epoch: dict[str, Any], recipe: str) -> str:
    losses = ("train loss {train_loss:.4f} acc", "valid loss {valid_loss:.4f} acc")
    start, trained, held_out = "epoch {epoch:3d}", *losses
    if recipe == "fit":
        start, trained, held_out = "fitted", "train acc", "valid acc"
    line = f"{start}  {trained} {{train_accuracy:.4f}}  "
    if epoch["valid_loss"] == epoch["valid_loss"]:  # NaN where nothing is held out
        line += f"{held_out} {{valid_accuracy:.4f}}  "
    return (line + "{seconds:.2f} s").format(**epoch)


def _score(measured: dict[str, Any]) -> str:
    from genrekit.model.evaluation import accuracy_interval

    accuracies = []
    for unit in ("track", "segment") if measured["tracks"] else ("segment",):
        low, high = accuracy_interval(measured, unit)
        accuracies.append(
            f"{measured[f'{unit}_accuracy']:.3f} of {counted(measured[f'{unit}s'], unit)} right "
            f"(95% interval {low:.3f} to {high:.3f})"
        )
    return ", ".join(accuracies)


def _share(hits: int, count: int) -> str:
    return f"{hits / count:.3f} of {count}" if count else "unknown"
