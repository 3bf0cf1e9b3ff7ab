"""Build a dataset file from a folder of genre folders.

A pool of processes reads the tracks in sorted order and keeps each finished track on disk, so an
interrupted run loses nothing and the next one continues. Meanwhile the finished tracks are joined;
the output appears after the last, whole. Memory holds a few tracks at a time.
"""

import hashlib
import platform
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio
from genrekit.dataset.dataset import Skipped
from genrekit.dataset.find import Track, find_tracks
from genrekit.dataset.parts import PartAt, Parts, Task, TrackFeatures, append_part, parts_folder
from genrekit.errors import AudioError, DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.ranges import check_number
from genrekit.system.cluster import compute_on_cluster
from genrekit.system.files import plain_os_errors
from genrekit.system.processes import CRASHED, check_workers, compute_in_order
from genrekit.system.remote import Location, LocationName, RemoteFile, local_copy, location
from genrekit.wording import counted, numeral

__all__ = ["TRACK_SECONDS", "BuildProgress", "build_dataset", "track_features"]

# The course uses the first 30 s of a track.
TRACK_SECONDS: Final = 30.0
# -80 dBFS: a segment with a lower peak is inaudible.
SILENCE_PEAK: Final = 1e-4


@dataclass(frozen=True)
class BuildProgress:
    """One more track is done or has failed; `segments` counts all rows so far."""

    done: int
    total: int
    track: str
    genre: str
    segments: int
    failed: bool
    resumed: bool
    skipped: tuple[Skipped, ...]


def build_dataset(
    folder: LocationName,
    output: LocationName,
    params: FeatureParams | None = None,
    *,
    track_seconds: float | None = TRACK_SECONDS,
    workers: int | None = None,
    artists: LocationName | None = None,
    scheduler: str | None = None,
) -> Iterator[BuildProgress]:
    """Turn a folder of genre folders into a dataset file, track by track.

    Parameters
    ----------
    folder, artists : as for `find_tracks`
    output : path or URL of the Parquet file
    params : FeatureParams; the defaults if None
    track_seconds : float or None
        Use only this much of the start of each track, s; None uses all of it.
    workers : int or None
        Processes; None means one per processor, 1 works in this process.
    scheduler : str or None
        The address of a Dask scheduler, whose workers read the tracks instead. They must see
        `folder` under the same name.

    Yields
    ------
    BuildProgress
        One for each track. After an interruption, a call with the same arguments continues.

    Raises
    ------
    DatasetError
        The folder or the output cannot be used, or not one segment could be made.
    SettingsError
        A number is out of range.
    """
    params = params or FeatureParams()
    if track_seconds is not None:
        check_number("track_seconds", track_seconds)
        if track_seconds < params.segment_seconds:
            raise SettingsError(
                f"{numeral(track_seconds)} s of each track cannot be used: give a number from one "
                f"segment, {params.segment_seconds:g} s, upwards."
            )
    check_workers(workers)
    root, target = location(folder), location(output)
    _check_output(target)
    tracks, others = find_tracks(root, artists)
    with plain_os_errors("read", parts_folder(target)):
        parts = Parts(target, root, params, track_seconds)
    others = [other for other in others if not parts.owns(root / other.track)]
    return _build(tracks, others, parts, workers, scheduler)


def _check_output(output: Location) -> None:
    if isinstance(output, RemoteFile):
        output.check()
        return
    if output.is_dir():
        raise DatasetError(f"{output} is a folder: name a file, such as {output / 'data.parquet'}.")
    if not output.parent.is_dir():
        raise DatasetError(f"{output.parent} is not a folder: make it first, or name another.")


def _build(
    tracks: Sequence[Track],
    others: Sequence[Skipped],
    parts: Parts,
    workers: int | None,
    scheduler: str | None,
) -> Iterator[BuildProgress]:
    waiting = [track for track in tracks if not parts.holds(track)]
    fresh = {track.id for track in waiting}
    genres = sorted({track.genre for track in tracks})
    kept: list[Track] = []
    skipped = list(others)
    join, rows = None, 0
    with plain_os_errors("written", parts.output), ExitStack() as opened:
        computed = opened.enter_context(closing(_compute(waiting, parts, workers, scheduler)))
        for i, track in enumerate(tracks, start=1):
            resumed = track.id not in fresh
            made = parts.read(track) if resumed else _kept(track, next(computed), parts)
            if resumed and made is None:  # a crash of the machine damaged the part
                resumed = False
                again = make_part(parts.task(track), parts.params, parts.track_seconds)
                made = _kept(track, again, parts)
            failed = False
            if isinstance(made, str):
                failed = True
                new: tuple[Skipped, ...] = (Skipped(track.id, None, made),)
            else:
                join = join or opened.enter_context(parts.joining(genres))
                new = join.add(track, made)
                kept.append(track)
                rows = join.count
            skipped += new
            yield BuildProgress(i, len(tracks), track.id, track.genre, rows, failed, resumed, new)
        if join is None:
            raise DatasetError(
                f"Not one segment could be made from {counted(len(tracks), 'file')}. "
                f"{skipped[-1].track}, for instance: {skipped[-1].reason}"
            )
        remaining = sorted({track.genre for track in kept})
        if remaining == genres:
            join.finish(skipped)
            return
    # With fewer genres, their numbers are others.
    with plain_os_errors("written", parts.output), parts.joining(remaining) as join:
        for track in kept:
            join.add(track, parts.read(track))
        join.finish(skipped)


def _kept(track: Track, made: PartAt | str, parts: Parts) -> TrackFeatures | str | None:
    """A track's features from its new part, or the reason why there are none."""
    if isinstance(made, str):
        return made
    parts.add(track, made)
    return parts.read(track)


def _compute(
    tracks: Sequence[Track], parts: Parts, workers: int | None, scheduler: str | None
) -> Generator[PartAt | str, None, None]:
    """Make the parts of the tracks in order, a few ahead of what is asked for."""
    tasks = [parts.task(track) for track in tracks]
    params, track_seconds = parts.params, parts.track_seconds
    if scheduler is None:
        job = partial(make_part, params=params, track_seconds=track_seconds)
        return compute_in_order(job, tasks, workers, crashed=lambda: CRASHED)
    read = partial(read_track_elsewhere, params=params, track_seconds=track_seconds)
    return _in_order(tasks, read, scheduler)


def _in_order(
    tasks: Sequence[Task], read: "partial[TrackFeatures | str]", scheduler: str
) -> Generator[PartAt | str, None, None]:
    """Results of a cluster's workers; the parts are written here, as the results arrive."""
    early: dict[int, PartAt | str] = {}
    with closing(compute_on_cluster(read, tasks, scheduler, crashed=lambda: CRASHED)) as results:
        for i in range(len(tasks)):
            while i not in early:
                number, track = next(results)
                early[number] = _keep(tasks[number], track)
            yield early.pop(i)


def make_part(task: Task, params: FeatureParams, track_seconds: float | None) -> PartAt | str:
    """Read a file and write its part; return its position, or the reason why there is none."""
    return _keep(task, read_track(task, params, track_seconds))


def _keep(task: Task, track: TrackFeatures | str) -> PartAt | str:
    return track if isinstance(track, str) else append_part(task, track)


def read_track(
    task: Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """Return the features of a file, or the reason why there are none."""
    try:
        with local_copy(task.path) as path:
            return track_features(path, params, track_seconds)
    except AudioError as error:
        return str(error)
    except OSError as error:
        return f"It cannot be read: {error.strerror or type(error).__name__}."
    except MemoryError:
        return "There is not enough memory to read it."


def read_track_elsewhere(
    task: Task, params: FeatureParams, track_seconds: float | None
) -> TrackFeatures | str:
    """Do the same on another machine.

    Raises
    ------
    DatasetError
        The folder does not exist there, so every file would fail.
    """
    if isinstance(task.root, Path) and not task.root.is_dir():
        raise DatasetError(
            f"{task.root} is not a folder on the worker {platform.node()}: mount it there under "
            "the same name, or give a URL that all machines reach."
        )
    return read_track(task, params, track_seconds)


def track_features(path: Path, params: FeatureParams, track_seconds: float | None) -> TrackFeatures:
    """Read a file and compute the features of its segments; silent ones are left out.

    Raises
    ------
    AudioError, OSError
    """
    samples = load_audio(path, params.sample_rate, max_seconds=track_seconds)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    segments = split_segments(samples, params)
    skipped = _left_out(samples, segments, params)
    silent = {number for number, _ in skipped}
    numbers = np.array([i for i in range(len(segments)) if i not in silent], np.int64)
    if not len(segments):
        raise AudioError(too_short(len(samples) / params.sample_rate, params.segment_seconds))
    if not len(numbers):
        raise AudioError("It is silent.")
    if len(numbers) < len(segments):  # otherwise a copy is unnecessary
        segments = segments[numbers]
    return TrackFeatures(extract(segments, params), numbers, digest, tuple(skipped))


def _left_out(
    samples: NDArray[np.float32], segments: NDArray[np.float32], params: FeatureParams
) -> list[tuple[int, str]]:
    left_out = [
        (i, "It is silent.")
        for i, segment in enumerate(segments)
        if segment.max() < SILENCE_PEAK and segment.min() > -SILENCE_PEAK
    ]
    rest = len(samples) - len(segments) * params.segment_samples
    if rest > params.hop_length:
        have, need = rest / params.sample_rate, params.segment_seconds
        left_out.append(
            (len(segments), f"The track ends {have:.2f} s into it, before its {need:g} s are full.")
        )
    return left_out


def too_short(seconds: float, segment_seconds: float) -> str:
    """Say that a sound is shorter than a segment."""
    return (
        f"It lasts {seconds:.2f} s, less than one segment of {segment_seconds:g} s: choose a "
        "longer one or shorten the segments."
    )
