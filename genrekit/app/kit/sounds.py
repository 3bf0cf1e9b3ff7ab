"""The sound of a dataset's rows, as long as its audio is there."""

from pathlib import Path

import streamlit as st

from genrekit.app import song_workers
from genrekit.app.jobs.job import Job
from genrekit.audio.degradation import Degradation
from genrekit.dataset.dataset import Dataset
from genrekit.verdict.analysis import Song, excerpt_sound

__all__ = ["audio_folder", "play_segment", "track_sound"]


def audio_folder(job: Job) -> Path | None:
    """Return the folder that a dataset job read its audio from, if it is still there."""
    for command in job.commands:
        if command[0] == "preprocess":
            folder = (job.folder / command[1]).resolve()
            return folder if folder.is_dir() else None
    return None


def play_segment(dataset: Dataset, row: int, folder: Path | None) -> None:
    """Play one segment, if its audio, its track and its position are known."""
    if folder is None or dataset.tracks is None or dataset.segments is None:
        return
    names = {record.id: record.path for record in dataset.records}
    path = names.get(str(dataset.tracks[row]))
    if path is not None and (folder / path).is_file():
        start = float(dataset.params.segment_starts(dataset.segments[row]))
        st.audio(_clip(str(folder / path), start, dataset.params.segment_step))


def track_sound(path: Path, seconds: float = 10.0) -> bytes:
    """Return the start of a track as WAV."""
    return _clip(str(path), 0.0, seconds)


@st.cache_data(max_entries=64, show_spinner=False)
def _clip(path: str, start: float, seconds: float, rate: int = 22050) -> bytes:
    song = Song(Path(path).read_bytes(), start + seconds)
    return song_workers.ask(
        excerpt_sound, song, rate, start, seconds, Degradation(), about=song.digest
    )
