"""The questions that a page or a program asks about one song: verdict, reasons, neighbours, stress.

Each function takes a `Song` and a `ModelFile` and returns plain frozen values that can be sent to
another process. It raises AudioError where the song cannot be used, and ModelError where the model
cannot. The decoded samples and the models stay in the memory of the process that worked on them,
within bounds: a song is decoded once, not once for each question.

Samples are float32, mono, full scale is 1.0, at the model's sample rate. Times are in seconds.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import Decoded, decode, probe
from genrekit.audio.degradation import Degradation, degrade
from genrekit.audio.encode import wav_bytes
from genrekit.audio.source import AudioInfo
from genrekit.errors import AudioError, GenreKitError
from genrekit.features.extraction import FeatureParams, extract, split_segments
from genrekit.model.activations import Activations, activations_of
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel, load_model
from genrekit.model.neighbours import Nearest
from genrekit.model.verdicts import Verdict
from genrekit.music.key import Key, find_key
from genrekit.music.parts import separate
from genrekit.music.rhythm import SAMPLE_RATE, beat_times, clicks_added, tempo_of
from genrekit.system.remote import local_path
from genrekit.verdict.cache import SongCache
from genrekit.verdict.evidence import Areas, split_sound, strongest
from genrekit.verdict.occlusion import band_edges, describe, occlusion, song_map
from genrekit.verdict.picture import Picture, mel_picture
from genrekit.verdict.playback import browser_type
from genrekit.wording import counted

__all__ = [
    "EXPLAINED_SEGMENTS",
    "STRESS_SECONDS",
    "Explanation",
    "ModelFile",
    "Rhythm",
    "Song",
    "SongResult",
    "StressTest",
    "activations",
    "analyse",
    "clear_caches",
    "clicks",
    "evidence_sounds",
    "excerpt_sound",
    "explain",
    "judge",
    "judge_samples",
    "nearest",
    "parts",
    "rhythm",
    "samples_of",
    "segment_probabilities",
    "segments_to_explain",
    "stress_test",
    "warm_up",
    "wav_rendering",
]

Array = NDArray[np.float32]

# Of a longer song the middle is tested under stress.
STRESS_SECONDS: Final = 120.0
# Of a song with more segments, so many are explained.
EXPLAINED_SEGMENTS: Final = 20

# Two songs of a quarter of an hour, or a dozen of usual length.
_SAMPLES_BYTES: Final = 192 << 20
_MODELS_KEPT: Final = 6
_PLAYABLE_RATE_HZ: Final = 8000


@dataclass(frozen=True)
class Song:
    """The content of a sound file, and how much of it may be analysed.

    `digest` is the key of what is remembered of it; unless given, the SHA-256 of the content in
    hexadecimal.
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
    """A model's folder and the time of its card's last change (ns): training again changes it."""

    folder: str
    changed: int

    @classmethod
    def at(cls, folder: str | os.PathLike[str]) -> "ModelFile":
        """Return the model in `folder`, which need not exist."""
        folder = local_path(folder)
        card = folder / "model.json"
        return cls(str(folder), card.stat().st_mtime_ns if card.is_file() else 0)

    def card(self) -> dict[str, Any]:
        """Return the model's card without its weights; empty where it cannot be read."""
        try:
            about = json.loads((Path(self.folder) / "model.json").read_bytes())
            return dict(about["card"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def load(self) -> GenreModel:
        """Return the model, which stays in memory while it is among the last few used."""
        return _load(self)


@dataclass(frozen=True, eq=False)
class SongResult:
    """A model's verdict on a song, with what is needed to show it.

    Attributes
    ----------
    info : AudioInfo, of the file as it came
    seconds : float, s, how much was analysed
    rate : int, Hz, the model's sample rate
    cut : bool
        The song is longer than `Song.max_seconds`.
    picture : Picture, of what was analysed
    mime : str or None
        The type under which browsers play the file; None where they need not, and
        `wav_rendering` is to be played instead.
    """

    verdict: Verdict
    info: AudioInfo
    seconds: float
    rate: int
    cut: bool
    picture: Picture
    mime: str | None

    @property
    def starts(self) -> tuple[float, ...]:
        """The start of each segment, s."""
        return tuple(segment.start for segment in self.verdict.segments)


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for and against a genre, as an array and in a sentence.

    `values`, in nats, of shape (bands, columns), are 0 where no segment was explained; `segments`
    are those that were.
    """

    genre: str
    values: Array
    sentence: str
    segments: tuple[int, ...]

    @property
    def areas(self) -> Areas:
        """The areas that count as the evidence, shape (bands, columns)."""
        return strongest(self.values)


@dataclass(frozen=True)
class StressTest:
    """The verdicts on a part of a song before and after its degradation.

    The part begins at `start` and lasts `seconds`, both in s.
    """

    before: Verdict
    after: Verdict
    start: float
    seconds: float

    @property
    def holds(self) -> bool:
        """True if the verdict stays the same; "not sure" differs from any genre."""
        return self.before.genre == self.after.genre


@dataclass(frozen=True)
class Rhythm:
    """A song's beat and key.

    Attributes
    ----------
    tempo : float or None, beats per minute; None where no beat was found
    beats : tuple of float, s, rising
    key : Key or None, None of silence
    """

    tempo: float | None
    beats: tuple[float, ...]
    key: Key | None


# -- questions --------------------------------------------------------------------------------


def analyse(song: Song, model: ModelFile) -> SongResult:
    """Decode a song, classify it and draw its spectrogram."""
    network = model.load()
    rate = network.params.sample_rate
    decoded = _decoded(song, rate)
    return SongResult(
        verdict=network.judge(decoded, song.max_seconds),
        info=decoded.info,
        seconds=len(decoded.samples) / rate,
        rate=rate,
        cut=decoded.cut,
        picture=mel_picture(decoded.samples, rate, network.params.mel_formula),
        mime=browser_type(song.content, decoded.info),
    )


def judge(song: Song, model: ModelFile) -> Verdict:
    """Return the verdict alone, as `GenreModel.classify` does."""
    network = model.load()
    return network.judge(_decoded(song, network.params.sample_rate), song.max_seconds)


def activations(song: Song, model: ModelFile) -> Activations:
    """Return what each layer of the network puts out for each segment, small enough to draw."""
    network = model.load()
    samples = _decoded(song, network.params.sample_rate).samples
    segments = split_segments(samples, network.params)
    if not len(segments):
        raise AudioError(f"It is shorter than a segment of {network.params.segment_seconds:g} s.")
    return activations_of(network, extract(segments, network.params))


def judge_samples(samples: NDArray[np.generic], rate: int, model: ModelFile) -> Verdict:
    """Return the verdict on samples, shape (n,), at `rate` Hz, as `GenreModel.classify` does."""
    return model.load().classify(samples, sample_rate=rate)


def segment_probabilities(features: Array, model: ModelFile) -> Array:
    """Return a model's calibrated probabilities, shape (n, genres), for features of segments.

    The features, shape (n, frames, coefficients), are computed with the model's own parameters.
    """
    return model.load().probabilities(features).astype(np.float32)


def segments_to_explain(count: int, around: int | None = None) -> tuple[int, ...]:
    """Choose `EXPLAINED_SEGMENTS` of `count` segments, or all where there are no more.

    They surround the segment `around`; None spreads them over the song.
    """
    if count <= EXPLAINED_SEGMENTS:
        return tuple(range(count))
    if around is None:
        return tuple(np.linspace(0, count - 1, EXPLAINED_SEGMENTS).round().astype(int).tolist())
    first = min(max(0, around - EXPLAINED_SEGMENTS // 2), count - EXPLAINED_SEGMENTS)
    return tuple(range(first, first + EXPLAINED_SEGMENTS))


def explain(
    song: Song, model: ModelFile, genre: str, starts: Sequence[float], which: Sequence[int]
) -> Explanation:
    """Measure by occlusion which areas of the spectrogram speak for a genre.

    Parameters
    ----------
    genre : str, one of the model's
    starts : sequence of float, s, as `SongResult.starts`
    which : sequence of int, at least one, rising: the segments to explain
    """
    network = model.load()
    params = network.params
    samples = _decoded(song, params.sample_rate).samples
    begins = [starts[i] for i in which]
    maps = occlusion(network, _cut(samples, begins, params), network.genres.index(genre))
    seconds = len(samples) / params.sample_rate
    whole = song_map(maps, np.array(begins), params, seconds=seconds)
    return Explanation(genre, np.nan_to_num(whole.values), describe(whole, genre), tuple(which))


def evidence_sounds(song: Song, model: ModelFile, areas: bytes, bands: int) -> tuple[bytes, bytes]:
    """Return a song with only its evidence, and without it, as WAV that every browser plays.

    Parameters
    ----------
    areas : bytes, of `Explanation.areas`, row by row
    bands : int, how many rows there are
    """
    params = model.load().params
    rate = _playable(params.sample_rate)
    marked = np.frombuffer(areas, np.bool_).reshape(bands, -1)
    parts = split_sound(_decoded(song, rate).samples, rate, marked, band_edges(params, bands))
    only, without = (wav_bytes(part, rate) for part in parts)
    return only, without


def nearest(song: Song, model: ModelFile, starts: Sequence[float], k: int = 5) -> Nearest | None:
    """Find the `k` training segments most similar to each of the song's segments.

    `starts` are `SongResult.starts`. None where the model keeps no training segments.
    """
    network = model.load()
    if network.neighbours is None:
        return None
    params = network.params
    segments = _cut(_decoded(song, params.sample_rate).samples, starts, params)
    return network.nearest(extract(segments, params), k)


def stress_test(song: Song, model: ModelFile, degradation: Degradation) -> StressTest:
    """Classify a song, or the middle `STRESS_SECONDS` of it, before and after a degradation."""
    network = model.load()
    rate = network.params.sample_rate
    samples, start = _middle(_decoded(song, rate).samples, network.params)
    return StressTest(
        before=network.classify(samples, sample_rate=rate),
        after=network.classify(degrade(samples, rate, degradation), sample_rate=rate),
        start=start,
        seconds=len(samples) / rate,
    )


def samples_of(song: Song, rate: int) -> Array:
    """Decode a song at `rate` Hz, at most `Song.max_seconds` of it."""
    return _decoded(song, rate).samples


def excerpt_sound(
    song: Song, rate: int, start: float, seconds: float, degradation: Degradation
) -> bytes:
    """Return an excerpt of a song as WAV at `rate` Hz, after a degradation.

    It begins at `start` and lasts `seconds`, both in s and clipped to the song's length.
    """
    samples = _decoded(song, rate).samples
    length = round(seconds * rate)
    first = min(max(0, round(start * rate)), max(0, len(samples) - length))
    return wav_bytes(degrade(samples[first : first + length], rate, degradation), rate)


def wav_rendering(song: Song, rate: int) -> bytes:
    """Return what was analysed as 16-bit mono WAV, which every browser plays.

    Where `rate` is below 8000 Hz, which browsers need not play, 22050 Hz is used.
    """
    rate = _playable(rate)
    return wav_bytes(_decoded(song, rate).samples, rate)


def _playable(rate: int) -> int:
    return rate if rate >= _PLAYABLE_RATE_HZ else 22050


# -- music, for a process that has librosa's compiled functions ---------------------------------


def rhythm(song: Song) -> Rhythm:
    """Find a song's tempo, its beats and its key."""
    samples = _decoded(song, SAMPLE_RATE).samples
    beats = beat_times(samples)
    return Rhythm(tempo_of(beats), tuple(beats.tolist()), find_key(samples))


def clicks(song: Song, beats: tuple[float, ...]) -> bytes:
    """Return a song with a click on each of its beats, as WAV."""
    samples = _decoded(song, SAMPLE_RATE).samples
    return wav_bytes(clicks_added(samples, np.array(beats)), SAMPLE_RATE)


def parts(song: Song) -> tuple[bytes, bytes]:
    """Return a song's drums and its harmony, each as WAV."""
    drums, harmony = separate(_decoded(song, SAMPLE_RATE).samples)
    return wav_bytes(drums, SAMPLE_RATE), wav_bytes(harmony, SAMPLE_RATE)


# -- the process ------------------------------------------------------------------------------


def warm_up() -> None:
    """Do once what is slow the first time: imports, loading the default model, a verdict.

    A model that cannot be used is reported to whoever asks it, not here.
    """
    with contextlib.suppress(ImportError):
        import av  # noqa: F401
    noise = np.random.default_rng(0).normal(0, 0.1, 44100 * 4).astype(np.float32)
    with contextlib.suppress(GenreKitError):
        analyse(Song(wav_bytes(noise, 44100), 60.0), ModelFile.at(MODELS / DEFAULT_MODEL))


def clear_caches() -> None:
    """Drop the songs in memory, for a process that has been idle."""
    _songs.clear()


_songs: Final = SongCache(_SAMPLES_BYTES)


@lru_cache(maxsize=_MODELS_KEPT)
def _load(model: ModelFile) -> GenreModel:
    return load_model(model.folder)


def _decoded(song: Song, rate: int) -> Decoded:
    key = (song.digest, rate, song.max_seconds, song.max_channels)
    decoded = _songs.get(key)
    if decoded is None:
        info = probe(song.content)
        if info.channels > song.max_channels:
            raise AudioError(
                f"It has {counted(info.channels, 'channel')}, and at most {song.max_channels} "
                "can be used here: mix it down first."
            )
        decoded = decode(song.content, rate, song.max_seconds)
        decoded.samples.flags.writeable = False
        _songs.put(key, decoded)
    return decoded


def _cut(samples: Array, starts: Sequence[float], params: FeatureParams) -> Array:
    """Return the segments that begin at `starts`, the last padded with zeros where it is short."""
    segments = np.zeros((len(starts), params.segment_samples), np.float32)
    for segment, start in zip(segments, starts, strict=True):
        first = round(start * params.sample_rate)
        piece = samples[first : first + params.segment_samples]
        segment[: len(piece)] = piece
    return segments


def _middle(samples: Array, params: FeatureParams) -> tuple[Array, float]:
    """Return the middle `STRESS_SECONDS`, from the start of a segment on, and its start in s."""
    rate, step = params.sample_rate, params.segment_samples
    length = int(STRESS_SECONDS * rate)
    if len(samples) <= length:
        return samples, 0.0
    first = (len(samples) - length) // 2 // step * step
    return samples[first : first + length], first / rate
