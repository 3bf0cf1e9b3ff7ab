"""A song heard by a model, and looked at from several sides, for whoever asks: a page, a program.

Each function takes a `Song` and a `ModelFile` and gives back plain frozen values, all of which
can be pickled, so that the work may be done in another process. What one song's questions share,
its decoded samples and the models, stays in the memory of the process that worked on it, within
bounds: a song is decoded once, not once a question.

Array are float32, mono, full scale is 1.0, at the rate of the model. Times are seconds.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import AudioInfo, Decoded, decode, probe, usable_samples
from genrekit.audio.degradation import Degradation, degrade
from genrekit.audio.encode import wav_bytes
from genrekit.errors import AudioError, GenreKitError
from genrekit.features.extraction import FeatureParams, extract, hann_window
from genrekit.mel.scale import MelFormula, mel_filterbank, mel_frequencies
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel
from genrekit.model.neighbours import Nearest
from genrekit.model.verdicts import Verdict
from genrekit.system.remote import local_path
from genrekit.verdict.occlusion import describe, occlusion, song_map
from genrekit.wording import agree, counted

__all__ = [
    "STRESS_SECONDS",
    "WHY_SEGMENTS",
    "ModelFile",
    "Picture",
    "Song",
    "SongResult",
    "StressTest",
    "Why",
    "agreeing",
    "analyse",
    "clear_caches",
    "escape_formula",
    "excerpt_sound",
    "explain",
    "in_words",
    "judge",
    "mel_picture",
    "nearest",
    "ranked",
    "report",
    "samples_of",
    "segment_probabilities",
    "stress_test",
    "table_row",
    "to_csv",
    "to_json",
    "warm_up",
    "wav_rendering",
    "why_segments",
]

Array = NDArray[np.float32]
_T = TypeVar("_T")

# As much of a long song as is put under stress: its middle.
STRESS_SECONDS: Final = 120.0
# As many segments of a long song as are asked for their reasons.
WHY_SEGMENTS: Final = 20

_PICTURE_BANDS: Final = 96
_PICTURE_COLUMNS: Final = 1200
_PICTURE_WINDOW: Final = 2048
_PICTURE_RANGE_DB: Final = 80.0
# What is fainter than this at its loudest is drawn dark: it is next to silence.
_PICTURE_FAINTEST_DB: Final = -20.0
_FRAMES_AT_ONCE: Final = 256

# Two songs of a quarter of an hour, or a dozen of usual length.
_SAMPLES_BYTES: Final = 192 << 20
_FEATURES_BYTES: Final = 48 << 20
_REST_SECONDS: Final = 600.0
_MODELS_KEPT: Final = 6
_PLAYABLE_RATE_HZ: Final = 8000

_SURENESS: Final = ((0.9, "very sure"), (0.7, "fairly sure"), (0.5, "leaning"), (0.0, "guessing"))
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")

# What browsers play as it is, by container and codec, with the type to announce it as; the rest is
# rendered anew as WAV. Chromium 156 played each pair. It also played 32-bit PCM and MP3 in WAV,
# Vorbis and PCM in MP4, and much in Matroska, as other browsers need not; it refused AC-3, E-AC-3,
# ALAC, DTS, TrueHD and ADPCM in any container, MP2, and free-format MP3.
_PLAYED: Final = {
    "mp3": ("audio/mpeg", ("mp3",)),
    "flac": ("audio/flac", ("flac",)),
    "ogg": ("audio/ogg", ("vorbis", "opus")),
    "m4a": ("audio/mp4", ("aac", "mp3", "flac", "opus")),
    "aac": ("audio/aac", ("aac",)),
    "webm": ("audio/webm", ("vorbis", "opus")),
    "wav": ("audio/wav", ("pcm_u8", "pcm_16", "pcm_24", "float", "alaw", "ulaw")),
}


@dataclass(frozen=True)
class Song:
    """A sound file's content, and how much of it may be heard.

    Attributes
    ----------
    content : bytes
    max_seconds : float, above 0
    digest : str
        SHA-256 of the content in hexadecimal; computed when not given.
    max_channels : int
    """

    content: bytes = field(repr=False, compare=False)
    max_seconds: float
    digest: str = ""
    max_channels: int = 32

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", hashlib.sha256(self.content).hexdigest())


@dataclass(frozen=True)
class ModelFile:
    """Where a model is, and when its card changed last: a model trained again is another one."""

    folder: str
    changed: int

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> "ModelFile":
        """The model in `folder`, which need not be there."""
        folder = local_path(folder)
        card = folder / "model.json"
        return cls(str(folder), card.stat().st_mtime_ns if card.is_file() else 0)

    def card(self) -> dict[str, Any]:
        """The model's card, without its weights; empty where it cannot be read."""
        try:
            about = json.loads((Path(self.folder) / "model.json").read_bytes())
            return dict(about["card"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def load(self) -> GenreModel:
        """The model; read once, while it is among the few used last.

        Raises
        ------
        ModelError
            As `GenreModel.load`.
        """
        return _load(self)


@dataclass(frozen=True, eq=False)
class Picture:
    """A mel spectrogram to look at.

    Attributes
    ----------
    values : ndarray, uint8, shape (bands, columns)
        From 0, 80 dB below the loudest, to 255; the lowest band first.
    band_hz : tuple of float, centre of each band, Hz
    """

    values: NDArray[np.uint8]
    band_hz: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SongResult:
    """What a model made of a song, with what is needed to show it.

    Attributes
    ----------
    verdict : Verdict
    info : AudioInfo, of the file as it came
    seconds : float, heard
    rate : int, Hz, at which the model hears
    cut : bool
        The song is longer than it was allowed to be.
    picture : Picture, of what was heard
    mime : str or None
        The type under which browsers play the file; None where they cannot be relied on, and
        `wav_rendering` is to be played instead.
    """

    verdict: Verdict
    info: AudioInfo
    seconds: float
    rate: int
    cut: bool
    picture: Picture
    mime: str | None


@dataclass(frozen=True, eq=False)
class Why:
    """What carried a verdict, and what spoke against it.

    Attributes
    ----------
    genre : str
    values : ndarray, float32, shape (bands, columns), nats
        Evidence for the genre over all that was heard; 0 where nothing was asked.
    sentence : str, the same in words
    segments : tuple of int, the segments that were asked
    """

    genre: str
    values: Array
    sentence: str
    segments: tuple[int, ...]


@dataclass(frozen=True)
class StressTest:
    """The verdict on a sound before and after it was made worse.

    `start` and `seconds` name the part of the song that both were given.
    """

    before: Verdict
    after: Verdict
    start: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the verdict is the same; that of "not sure" and another is not."""
        return self.before.genre == self.after.genre


# -- questions --------------------------------------------------------------------------------


def analyse(song: Song, model: ModelFile) -> SongResult:
    """Decode a song, judge it and draw it.

    Raises
    ------
    AudioError
        The song cannot be used.
    ModelError
        The model cannot.
    """
    network = model.load()
    rate = network.params.sample_rate
    heard = _decoded(song, rate)
    return SongResult(
        verdict=network.judge(heard, song.max_seconds),
        info=heard.info,
        seconds=len(heard.samples) / rate,
        rate=rate,
        cut=heard.cut,
        picture=mel_picture(heard.samples, rate, network.params.mel_formula),
        mime=_mime(song.content, heard.info),
    )


def warm_up() -> None:
    """Do once what takes long the first time: imports, the default model, a first verdict.

    A model that cannot be used is not told about here, but to whoever asks it.
    """
    with contextlib.suppress(ImportError):
        import av  # noqa: F401
    noise = np.random.default_rng(0).normal(0, 0.1, 44100 * 4).astype(np.float32)
    with contextlib.suppress(GenreKitError):
        analyse(Song(wav_bytes(noise, 44100), 60.0), ModelFile.at(MODELS / DEFAULT_MODEL))


def clear_caches() -> None:
    """Let go of the songs in memory: for a process that has not been asked for a while."""
    _songs.clear()
    _feature_sets.clear()


def judge(song: Song, model: ModelFile) -> Verdict:
    """The verdict alone: the same as `GenreModel.classify_file` gives.

    Raises
    ------
    AudioError, ModelError
        As `analyse`.
    """
    network = model.load()
    return network.judge(_decoded(song, network.params.sample_rate), song.max_seconds)


def segment_probabilities(features: Array, model: ModelFile) -> Array:
    """What a model says of segments that have been prepared for it.

    Parameters
    ----------
    features : ndarray, float32, shape (n, frames, coefficients), as the model's own parameters give

    Returns
    -------
    ndarray, float32, shape (n, genres), calibrated probabilities

    Raises
    ------
    ModelError
        The model cannot be used, or takes other features.
    """
    return model.load().probabilities(features).astype(np.float32)


def why_segments(count: int, around: int | None = None) -> tuple[int, ...]:
    """Which of `count` segments to ask for their reasons: all, or `WHY_SEGMENTS` of them.

    Parameters
    ----------
    count : int, >= 0
    around : int or None
        The segment in the middle of those asked; None spreads them over the song.
    """
    if count <= WHY_SEGMENTS:
        return tuple(range(count))
    if around is None:
        return tuple(np.linspace(0, count - 1, WHY_SEGMENTS).round().astype(int).tolist())
    first = min(max(0, around - WHY_SEGMENTS // 2), count - WHY_SEGMENTS)
    return tuple(range(first, first + WHY_SEGMENTS))


def explain(
    song: Song, model: ModelFile, genre: str, starts: Sequence[float], which: Sequence[int]
) -> Why:
    """Take places of a song away, and see what that does to the odds of a genre.

    Parameters
    ----------
    genre : str, one of the model's
    starts : sequence of float, s, where each segment of the verdict begins
    which : sequence of int, at least one, rising: the segments to ask

    Raises
    ------
    AudioError, ModelError
        As `analyse`.
    """
    network = model.load()
    params = network.params
    samples = _decoded(song, params.sample_rate).samples
    asked = [starts[i] for i in which]
    maps = occlusion(network, _cut(samples, asked, params), network.genres.index(genre))
    seconds = len(samples) / params.sample_rate
    picture = song_map(maps, np.array(asked), params, seconds=seconds)
    return Why(genre, np.nan_to_num(picture.values), describe(picture, genre), tuple(which))


def nearest(song: Song, model: ModelFile, starts: Sequence[float], k: int = 5) -> Nearest | None:
    """The training segments that sound most like the song's; None where the model keeps none.

    Parameters
    ----------
    starts : sequence of float, s, where each segment of the verdict begins
    k : int, >= 1, how many for each segment

    Raises
    ------
    AudioError, ModelError
        As `analyse`.
    """
    network = model.load()
    if network.neighbours is None:
        return None
    return network.nearest(_features(song, network.params, tuple(starts)), k)


def stress_test(song: Song, model: ModelFile, stress: Degradation) -> StressTest:
    """Judge a song, or the middle `STRESS_SECONDS` of a longer one, before and after `stress`.

    Raises
    ------
    AudioError, ModelError
        As `analyse`.
    """
    network = model.load()
    rate = network.params.sample_rate
    samples, start = _middle(_decoded(song, rate).samples, network)
    return StressTest(
        before=network.classify(samples, sample_rate=rate),
        after=network.classify(degrade(samples, rate, stress), sample_rate=rate),
        start=start,
        seconds=len(samples) / rate,
    )


def samples_of(song: Song, rate: int) -> Array:
    """What is heard of a song, at `rate` Hz.

    Raises
    ------
    AudioError
        As `analyse`.
    """
    return _decoded(song, rate).samples


def excerpt_sound(
    song: Song, rate: int, start: float, seconds: float, stress: Degradation
) -> bytes:
    """A piece of a song under stress, as WAV.

    Parameters
    ----------
    rate : int, Hz, at which the model hears
    start, seconds : float, s; clipped to what there is
    """
    samples = _decoded(song, rate).samples
    first = min(max(0, round(start * rate)), max(0, len(samples) - round(seconds * rate)))
    piece = samples[first : first + round(seconds * rate)]
    return wav_bytes(degrade(piece, rate, stress), rate)


def wav_rendering(song: Song, rate: int) -> bytes:
    """What was heard, as 16-bit mono WAV that every browser plays.

    Parameters
    ----------
    rate : int, Hz, at which the model hears; 22050 is used where browsers need more

    Raises
    ------
    AudioError
        As `analyse`.
    """
    rate = rate if rate >= _PLAYABLE_RATE_HZ else 22050
    return wav_bytes(_decoded(song, rate).samples, rate)


def mel_picture(samples: Array, rate: int, formula: MelFormula = "slaney") -> Picture:
    """Draw a sound as a mel spectrogram of at most 1200 columns.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,), at least one
    rate : int, Hz
    formula : "slaney" or "htk"
    """
    samples = usable_samples(samples)
    if not len(samples):
        raise AudioError("There are no samples to draw.")
    window = hann_window(_PICTURE_WINDOW)
    bank = mel_filterbank(rate, _PICTURE_WINDOW, _PICTURE_BANDS, formula=formula)
    weights = np.ascontiguousarray(bank.T.astype(np.float32))
    columns = min(_PICTURE_COLUMNS, max(1, len(samples) // 512))
    # A column of a long song spans much: two looks at it flicker less than one.
    looks = 2 if len(samples) / columns > 1024 else 1
    half = _PICTURE_WINDOW // 2
    padded = np.pad(samples, half)
    starts = ((np.arange(columns * looks) + 0.5) * (len(samples) / (columns * looks))).astype(int)
    every = np.lib.stride_tricks.sliding_window_view(padded, _PICTURE_WINDOW)
    power = np.empty((columns * looks, _PICTURE_BANDS), np.float32)
    for at in range(0, len(starts), _FRAMES_AT_ONCE):
        block = slice(at, at + _FRAMES_AT_ONCE)
        power[block] = _power(every[starts[block]] * window) @ weights
    power = power.reshape(columns, looks, _PICTURE_BANDS).mean(axis=1)
    db = 10 * np.log10(np.maximum(power, 1e-10))
    top = max(float(db.max()), _PICTURE_FAINTEST_DB)
    shade = np.clip((db - top) / _PICTURE_RANGE_DB + 1, 0, 1) * 255
    centres = mel_frequencies(_PICTURE_BANDS + 2, 0, rate / 2, formula)[1:-1]
    return Picture(np.rint(shade).astype(np.uint8).T, tuple(centres.tolist()))


# -- words ------------------------------------------------------------------------------------


def in_words(confidence: float) -> str:
    """A probability in words: "very sure" from 0.9, "fairly sure", "leaning", "guessing"."""
    return next(words for least, words in _SURENESS if confidence >= least)


def ranked(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """Genres with their probabilities, the likeliest first."""
    return sorted(probabilities.items(), key=lambda item: -item[1])


def agreeing(verdict: Verdict) -> int:
    """How many segments, taken alone, say what the song's likeliest genre is."""
    if not verdict.probabilities:
        return 0
    best = ranked(verdict.probabilities)[0][0]
    return sum(ranked(segment.probabilities)[0][0] == best for segment in verdict.segments)


# -- taking away ------------------------------------------------------------------------------


def report(name: str, outcome: Verdict | str) -> dict[str, Any]:
    """One file's result as ``python -m genrekit classify --json`` prints it.

    Parameters
    ----------
    name : str, of the file
    outcome : Verdict, or the sentence that says why there is none
    """
    if isinstance(outcome, str):
        return {"file": name, "error": outcome}
    return {"file": name, **asdict(outcome)}


def table_row(name: str, outcome: SongResult | str) -> dict[str, Any]:
    """One file's result as a row of a table: the verdict in few columns, then every genre's."""
    if isinstance(outcome, str):
        return {"file": name, "verdict": "cannot be used", "note": outcome}
    verdict = outcome.verdict
    says = verdict.genre or ("not sure" if verdict.probabilities else "no verdict")
    row: dict[str, Any] = {"file": name, "verdict": says}
    if verdict.probabilities:
        order = ranked(verdict.probabilities)
        row |= {
            "confidence": round(verdict.confidence, 4),
            "likeliest": order[0][0],
            "second": order[1][0],
            "segments": len(verdict.segments),
            "agreeing": agreeing(verdict),
        }
    row |= {"seconds": round(outcome.seconds, 1), "note": verdict.note}
    return row | {genre: round(p, 4) for genre, p in verdict.probabilities.items()}


def to_json(reports: Sequence[Mapping[str, Any]]) -> str:
    """Reports as ``python -m genrekit classify --json`` prints them."""
    return json.dumps(list(reports), indent=1, ensure_ascii=False) + "\n"


def to_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them.

    A text that a spreadsheet would compute, because it begins with = + - @ or a control sign, is
    given an apostrophe in front.
    """
    import csv

    rows = list(rows)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([escape_formula(name) for name in columns])
    writer.writerows([escape_formula(row.get(name, "")) for name in columns] for row in rows)
    return file.getvalue()


def escape_formula(value: object) -> object:
    """`value` for a cell of a spreadsheet, which must not take it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_SIGNS) else value


# -- what questions share ---------------------------------------------------------------------


class _Shelf(Generic[_T]):
    """Large things, up to so many bytes; the one that rested longest goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Hashable, tuple[float, int, _T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> _T | None:
        with self._lock:
            self._clear(0)
            if key not in self._items:
                return None
            _, size, item = self._items.pop(key)
            self._items[key] = (time.monotonic(), size, item)
            return item

    def put(self, key: Hashable, size: int, item: _T) -> None:
        with self._lock:
            if size <= self._limit:
                self._items.pop(key, None)
                self._clear(size)
                self._items[key] = (time.monotonic(), size, item)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def _clear(self, wanted: int) -> None:
        """Let go of what has rested too long, and of more until `wanted` bytes fit."""
        now = time.monotonic()
        while self._items:
            used, _, _ = next(iter(self._items.values()))
            held = sum(size for _, size, _ in self._items.values())
            if held + wanted <= self._limit and now - used < _REST_SECONDS:
                return
            self._items.popitem(last=False)


_songs: Final[_Shelf[Decoded]] = _Shelf(_SAMPLES_BYTES)
_feature_sets: Final[_Shelf[Array]] = _Shelf(_FEATURES_BYTES)


@lru_cache(maxsize=_MODELS_KEPT)
def _load(model: ModelFile) -> GenreModel:
    return GenreModel.load(model.folder)


def _decoded(song: Song, rate: int) -> Decoded:
    key = (song.digest, rate, song.max_seconds, song.max_channels)
    found = _songs.get(key)
    if found is None:
        info = probe(song.content)
        if info.channels > song.max_channels:
            raise AudioError(
                f"It has {counted(info.channels, 'channel')}, and {song.max_channels} "
                f"{agree(song.max_channels, 'is', 'are')} the most that can be heard here: mix it "
                "down first."
            )
        found = decode(song.content, rate, song.max_seconds)
        found.samples.flags.writeable = False
        _songs.put(key, found.samples.nbytes, found)
    return found


def _features(song: Song, params: FeatureParams, starts: tuple[float, ...]) -> Array:
    """Of the segments that begin at `starts`; the same for two models that hear alike."""
    key = (song.digest, song.max_seconds, params, starts)
    found = _feature_sets.get(key)
    if found is None:
        samples = _decoded(song, params.sample_rate).samples
        found = extract(_cut(samples, starts, params), params)
        found.flags.writeable = False
        _feature_sets.put(key, found.nbytes, found)
    return found


def _cut(samples: Array, starts: Sequence[float], params: FeatureParams) -> Array:
    """Segments from `starts` on, the last completed with zeros where it is short."""
    segments = np.zeros((len(starts), params.segment_samples), np.float32)
    for segment, start in zip(segments, starts, strict=True):
        first = round(start * params.sample_rate)
        piece = samples[first : first + params.segment_samples]
        segment[: len(piece)] = piece
    return segments


def _middle(samples: Array, network: GenreModel) -> tuple[Array, float]:
    """The middle `STRESS_SECONDS`, from the start of a segment on, and where they start."""
    rate, step = network.params.sample_rate, network.params.segment_samples
    length = int(STRESS_SECONDS * rate)
    if len(samples) <= length:
        return samples, 0.0
    first = (len(samples) - length) // 2 // step * step
    return samples[first : first + length], first / rate


def _power(windowed: NDArray[np.float32]) -> NDArray[np.float32]:
    import scipy.fft

    spectrum = scipy.fft.rfft(windowed)
    return spectrum.real**2 + spectrum.imag**2


def _mime(content: bytes, info: AudioInfo) -> str | None:
    """The type to announce a file as, where browsers play its kind."""
    mime, codecs = _PLAYED.get(info.container, ("", ()))
    odd = {
        "wav": not (
            content.startswith(b"RIFF")
            and info.channels <= 2
            and 8000 <= info.sample_rate <= 96_000
        ),
        "webm": b"webm" not in content[:64],  # Matroska beyond WebM
    }
    return mime if info.codec in codecs and not odd.get(info.container, False) else None
