"""Datasets of labelled segments.

For each segment a dataset has its features (frames, coefficients) float32, its label (an index
into `genres`), its track, its number in the track, and the artist if known. Its card has the
parameters, the hash of each track, and each file and segment that was left out, with the reason.
Rows are in the order of genre, track, segment.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, Self, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.dataset.parquet import ParquetRows, read_parquet, row_groups
from genrekit.dataset.summary import segment_summary
from genrekit.errors import DatasetError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.system.files import atomic_write, plain_os_errors, require_disk
from genrekit.system.memory import lacks_memory
from genrekit.system.notebook import Bar, picture
from genrekit.system.records import record
from genrekit.system.remote import LocationName, local_copy, location
from genrekit.wording import agree, counted, in_one_line

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "Note", "Segment", "Skipped", "TrackRecord", "make_card"]

_FORMAT: Final = 1


@dataclass(frozen=True)
class Note:
    """A line on how a folder was read, of one `kind`, with the names that it is about."""

    kind: str
    sentence: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrackRecord:
    """A track of a dataset: `path` below the folder, SHA-256 of the file, number of rows.

    `missing` is a sentence on what could not be heard of it, "" for nothing; `part` is train, valid
    or test if the track's folder says so.
    """

    id: str
    path: str
    genre: str
    artist: str | None
    sha256: str
    segments: int
    missing: str = ""
    part: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file (`segment` None) or segment that was left out, with the reason."""

    track: str
    segment: int | None
    reason: str


@dataclass(frozen=True, eq=False)
class Segment:
    """One row of a dataset: features of shape (frames, coefficients), and what is known of it."""

    features: NDArray[np.float32] = field(repr=False)
    genre: str
    track: str | None
    number: int | None
    artist: str | None


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labelled segments; DatasetError if the columns do not fit each other.

    A dataset has a length, yields each `Segment`, and is indexed like an array: by a number for a
    segment; by a slice, a mask or an array of row numbers, such as a part of a split, for the
    dataset of these rows. Its card then has the tracks that are left.

    Attributes
    ----------
    features : ndarray, float32, shape (n, frames, coefficients)
    labels : ndarray, int64, shape (n,), indices into `genres`
    genres : tuple of str
    params : FeatureParams
        How the features were computed.
    tracks : ndarray of str, shape (n,), or None if unknown
    segments : ndarray, int64, shape (n,), numbers in the track, or None if unknown
    artists : ndarray of str, shape (n,), "" where unknown, or None
    track_seconds : float or None
        The part of each track's start that was used, s; None for all of it.
    records : tuple of TrackRecord
    skipped : tuple of Skipped
    notes : tuple of Note
        How the folder of the music was read.

    Examples
    --------
    >>> dataset = genrekit.Dataset.read("data.parquet")
    >>> dataset
    Dataset: 12 segments, 2 genres, 6 tracks, 6 artists
    classical 6, jazz 6
    mfcc of 3 s at 22,050 Hz: 130 frames of 13 coefficients
    >>> dataset[0].genre, dataset[0].track
    ('classical', 'classical/classical.00000')
    >>> len(dataset[dataset.labels == 1])
    6
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    genres: tuple[str, ...]
    params: FeatureParams
    tracks: NDArray[np.str_] | None = None
    segments: NDArray[np.int64] | None = None
    artists: NDArray[np.str_] | None = None
    track_seconds: float | None = None
    records: tuple[TrackRecord, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.features)
        if n == 0:
            raise DatasetError("The dataset has no segments: build it from a folder with music.")
        if self.features.shape[1:] != self.params.shape:
            raise DatasetError(
                f"Segments of shape {self.features.shape[1:]} do not fit the parameters, which "
                f"give {self.params.shape}: state the parameters they were computed with."
            )
        kinds = {"labels": "iu", "tracks": "U", "segments": "iu", "artists": "U"}
        for name, kind in kinds.items():
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise DatasetError(
                    f"There {agree(n, 'is', 'are')} {counted(n, 'segment')} but "
                    f"{counted(column.size, name[:-1])}."
                )
            if column is not None and column.dtype.kind not in kind:
                wanted = "whole numbers" if kind == "iu" else "text"
                raise DatasetError(f"The {name} are not {wanted}: build the dataset again.")
        if self.features.dtype != np.float32:
            raise DatasetError(f"The features are {self.features.dtype}: give them as float32.")
        if len(set(self.genres)) != len(self.genres):
            raise DatasetError("Two genres share a name: rename one.")
        if not all(name.strip("\0 ") for name in self.genres):
            raise DatasetError("A genre has no name: give it one.")
        if self.labels.min() < 0 or self.labels.max() >= len(self.genres):
            raise DatasetError(
                f"A label is outside 0 to {len(self.genres) - 1}: the labels and the list of "
                "genres do not belong together."
            )
        if not all(np.isfinite(self.features[part]).all() for part in row_groups(n)):
            raise DatasetError("Some features are NaN or infinite: build the dataset again.")

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Segment]:
        return map(self._segment, range(len(self)))

    @overload
    def __getitem__(self, rows: SupportsIndex) -> Segment: ...
    @overload
    def __getitem__(self, rows: slice | ArrayLike) -> Self: ...
    def __getitem__(self, rows: SupportsIndex | slice | ArrayLike) -> Segment | Self:
        if isinstance(rows, Integral):
            return self._segment(int(rows))
        if not isinstance(rows, slice):
            given = np.asarray(rows)
            rows = given if given.size else given.astype(np.int64)  # NumPy takes [] for floats
        labels = self.labels[rows]
        if not len(labels):
            raise DatasetError("No segment is chosen, and a dataset has at least one.")
        tracks = None if self.tracks is None else self.tracks[rows]
        left: Counter[str] = Counter(None if tracks is None else tracks.tolist())
        return replace(
            self,
            features=self.features[rows],
            labels=labels,
            tracks=tracks,
            segments=None if tracks is None else self.segment_numbers()[rows],
            artists=None if self.artists is None else self.artists[rows],
            records=tuple(
                replace(record, segments=left[record.id])
                for record in self.records
                if left[record.id]
            ),
        )

    def _segment(self, row: int) -> Segment:
        return Segment(
            self.features[row],
            self.genres[self.labels[row]],
            None if self.tracks is None else str(self.tracks[row]),
            None if self.segments is None else int(self.segments[row]),
            None if self.artists is None else str(self.artists[row]) or None,
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{genre} {count:,}" for genre, count in self.counts().items())
        return "\n".join((self._title(), in_one_line(counts), self._features_in_words()))

    def _repr_html_(self) -> str:
        counts = self.counts()
        most = max(counts.values())
        bars = [Bar(genre, count / most, f"{count:,}") for genre, count in counts.items()]
        return picture(self._title(), bars, self._features_in_words())

    def _title(self) -> str:
        text = f"Dataset: {counted(len(self), 'segment')}, {counted(len(self.genres), 'genre')}"
        if self.tracks is None:
            return f"{text}, tracks unknown"
        text += f", {counted(len(np.unique(self.tracks)), 'track')}"
        known = 0 if self.artists is None else len(set(np.unique(self.artists)) - {""})
        return f"{text}, {counted(known, 'artist')}" if known else text

    def _features_in_words(self) -> str:
        params = self.params
        return (
            f"{params.kind} of {params.segment_seconds:g} s at {params.sample_rate:,} Hz: "
            f"{counted(params.frames, 'frame')} of {counted(params.coefficients, 'coefficient')}"
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table with a row for each segment.

        Its columns are genre, track, segment, start (s) and artist, as far as they are known, and
        the mean and standard deviation over time of each coefficient: mfcc1_mean, ...,
        mfcc1_std, ..., or mel1_mean and so on of mel bands.
        """
        import pandas as pd

        columns: dict[str, Any] = {"genre": np.array(self.genres)[self.labels]}
        if self.tracks is not None:
            numbers = self.segment_numbers()
            columns |= {"track": self.tracks, "segment": numbers}
            columns["start"] = self.params.segment_starts(numbers)
        if self.artists is not None:
            columns["artist"] = self.artists
        what = self.params.kind.removeprefix("log_")
        names = [
            f"{what}{number}_{measure}"
            for measure in ("mean", "std")
            for number in range(1, self.params.coefficients + 1)
        ]
        summary = pd.DataFrame(segment_summary(self.features), columns=names)
        return pd.concat([pd.DataFrame(columns), summary], axis=1)

    @property
    def card(self) -> dict[str, Any]:
        """Everything except the rows, as plain values for JSON."""
        return make_card(
            self.genres,
            self.params,
            self.track_seconds,
            self.records,
            self.skipped,
            self.notes,
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the features and labels: equal for equal data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.features).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    @property
    def mapped(self) -> bool:
        """True if the features are in a file, to be read a few rows at a time."""
        return isinstance(self.features, np.memmap)

    def counts(self) -> dict[str, int]:
        """Return the number of segments of each genre."""
        numbers = np.bincount(self.labels, minlength=len(self.genres))
        return dict(zip(self.genres, numbers.tolist(), strict=True))

    def segment_numbers(self) -> NDArray[np.int64]:
        """Return each row's number in its track, or count them; DatasetError without tracks."""
        if self.tracks is None:
            raise DatasetError("This dataset does not know its tracks: build it from the audio.")
        if self.segments is not None:
            return self.segments
        order = np.argsort(self.tracks, kind="stable")
        _, firsts, counts = np.unique(self.tracks[order], return_index=True, return_counts=True)
        numbers = np.empty(len(self), np.int64)
        numbers[order] = np.arange(len(self)) - np.repeat(firsts, counts)
        return numbers

    @classmethod
    def from_card(cls, card: dict[str, Any], **columns: Any) -> Self:
        """Make a dataset from its columns and its card; DatasetError if that cannot be used."""
        try:
            if card["format"] != _FORMAT:
                raise DatasetError(
                    f"The dataset has format {card['format']!r:.20}, this GenreKit reads "
                    f"{_FORMAT}: update GenreKit, or build the dataset again."
                )
            return cls(
                **columns,
                genres=tuple(card["genres"]),
                params=FeatureParams.from_dict(card["params"]),
                track_seconds=card["track_seconds"],
                records=tuple(TrackRecord(**record) for record in card["tracks"]),
                skipped=tuple(Skipped(**skip) for skip in card["skipped"]),
                notes=tuple(record(Note, note, "note") for note in card.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError, SettingsError):
            raise DatasetError("The dataset's card is damaged: build it again.") from None

    @classmethod
    def read(cls, path: LocationName, *, mapped: bool | None = None) -> Self:
        """Read a Parquet file.

        Parameters
        ----------
        path : path, or a URL: see `genrekit.system.remote`
        mapped : bool or None
            Unpack the features into a nameless file in TMPDIR (or /var/tmp) and map it, so they
            occupy disk instead of memory. None does so if they would take more than a quarter of
            the free memory.

        Raises
        ------
        DatasetError
            It cannot be read, or is not a dataset.
        """
        import pyarrow as pa

        source = location(path)
        with plain_os_errors("read", source), local_copy(source) as path:
            try:
                if path.is_dir():
                    raise IsADirectoryError
                card, columns = read_parquet(path, mapped)
                return cls.from_card(card, **columns)
            except KeyError:
                raise DatasetError(
                    f"{path.name} is a Parquet file but not a GenreKit dataset: "
                    "make one with `genrekit preprocess`."
                ) from None
            except (
                *(pa.ArrowException, ValueError, TypeError, AttributeError),
                *(OSError, MemoryError, RecursionError),
            ) as error:
                if isinstance(error, IsADirectoryError) or getattr(error, "errno", None):
                    raise  # caused by the disk, not by the content
                if lacks_memory(error):
                    raise DatasetError(
                        f"There is not enough memory to read {path.name}, or it is damaged: "
                        "allow more, or make it again with `genrekit preprocess`."
                    ) from None
                raise DatasetError(
                    f"{path.name} is not a readable Parquet file: it is damaged, incomplete or "
                    "something else; make it again with `genrekit preprocess`."
                ) from None

    def write(self, path: LocationName) -> None:
        """Write a Parquet file, or leave an existing one as it is and raise DatasetError."""
        target = location(path)
        with (
            plain_os_errors("written", target),
            atomic_write(target) as temporary,
            ParquetRows.writing(temporary, self.params, self.genres) as rows,
        ):
            require_disk(temporary.parent, self.features.nbytes)
            for part in row_groups(len(self)):
                rows.add(
                    self.features[part],
                    self.labels[part],
                    None if self.tracks is None else self.tracks[part],
                    None if self.segments is None else self.segments[part],
                    None if self.artists is None else self.artists[part],
                )
            rows.card = self.card


def make_card(
    genres: Sequence[str],
    params: FeatureParams,
    track_seconds: float | None,
    records: Sequence[TrackRecord],
    skipped: Sequence[Skipped],
    notes: Sequence[Note] = (),
) -> dict[str, Any]:
    """Return everything of a dataset except its rows, as plain values for JSON."""
    return {
        "format": _FORMAT,
        "genres": list(genres),
        "params": params.to_dict(),
        "track_seconds": track_seconds,
        "tracks": [asdict(record) for record in records],
        "skipped": [asdict(skip) for skip in skipped],
        "notes": [asdict(note) for note in notes],
    }
