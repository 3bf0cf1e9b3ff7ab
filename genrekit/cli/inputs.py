"""What commands take as people have it: folders of songs, and of genres."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.cli.progress import progress_bar, say
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.mel_archive import is_mel_file, read_mel_file
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import plain_os_errors
from genrekit.system.memory import scratch_folder
from genrekit.system.remote import Location, local_copy

__all__ = ["dataset_of", "songs"]


def songs(given: Sequence[Path]) -> list[Path]:
    """Return the files, and in place of each folder the sound files below it, by their suffixes.

    Hidden files and folders are left out. DatasetError if a folder has none.
    """
    found = []
    for path in given:
        below = [file for file in path.rglob("*") if _is_song(file.relative_to(path))]
        if path.is_dir() and not below:
            raise DatasetError(f"{path} holds no sound files: name a file, or another folder.")
        found += sorted(below) if path.is_dir() else [path]
    return found


def _is_song(name: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts)
    return name.suffix.lower() in AUDIO_SUFFIXES and not hidden


@contextmanager
def dataset_of(data: Location, params: FeatureParams) -> Iterator[Dataset]:
    """Yield a dataset: read from a file, or made of a folder of genre folders with these features.

    Of a file of mel spectrograms the features are made as well. What is made of a folder lives
    until the block ends; files that are left out are named on standard error.
    """
    if isinstance(data, Path) and data.is_dir():
        with tempfile.TemporaryDirectory(dir=scratch_folder(), ignore_cleanup_errors=True) as made:
            output = Path(made, "data.parquet")
            steps = build_dataset(data, output, params)
            for step in progress_bar(steps, "Preprocessing", "track", "bar"):
                for skip in step.skipped:
                    say(f"left out {skip.track}: {skip.reason}", "bar")
            yield Dataset.read(output)
        return
    with plain_os_errors("read", data), local_copy(data) as file:
        dataset = read_mel_file(file, params) if is_mel_file(file) else Dataset.read(file)
    yield dataset
