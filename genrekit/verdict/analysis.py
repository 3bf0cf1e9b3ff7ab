"""A song heard by a model, and looked at from several sides, for whoever asks: a page, a program.

Each function takes a `Song` and a `ModelFile` and gives back plain frozen values, all of which
can be pickled, so that the work may be done in another process. What one song's questions share,
its decoded samples and the models, stays in the memory of the process that worked on it, within
bounds: a song is decoded once, not once a question.

Array are float32, mono, full scale is 1.0, at the rate of the model. Times are seconds.
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

from genrekit.audio.decoder import AudioInfo, Decoded, decode, probe
from genrekit.audio.degradation import Degradation, degrade
from genrekit.audio.encode import wav_bytes
from genrekit.errors import AudioError, GenreKitError
from genrekit.features.extraction import FeatureParams, extract
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, GenreModel, Verdict
from genrekit.model.neighbours import Nearest
from genrekit.system.remote import local_path
from genrekit.verdict.cache import SizedCache
from genrekit.verdict.occlusion import describe, occlusion, song_map
from genrekit.verdict.picture import Picture, mel_picture
from genrekit.wording import agree, counted

__all__ = [
    "STRESS_SECONDS",
    "WHY_SEGMENTS",
    "ModelFile",
    "Song",
    "SongResult",
    "StressTest",
    "Why",
    "analyse",
    "clear_caches",
    "excerpt_sound",
    "explain",
    "judge",
    "nearest",
    "samples_of",
    "segment_probabilities",
    "stress_test",
    "warm_up",
    "wav_rendering",
    "why_segments",
]

Array = NDArray[np.float32]

# As much of a long song as is put under stress: its middle.
STRESS_SECONDS: Final = 120.0
# As many segments of a long song as are asked for their reasons.
WHY_SEGMENTS: Final = 20

# Two songs of a quarter of an hour, or a dozen of usual length.
_SAMPLES_BYTES: Final = 192 << 20
_FEATURES_BYTES: Final = 48 << 20
_MODELS_KEPT: Final = 6
_PLAYABLE_RATE_HZ: Final = 8000

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


# -- what questions share ---------------------------------------------------------------------


_songs: Final[SizedCache[Decoded]] = SizedCache(_SAMPLES_BYTES)
_feature_sets: Final[SizedCache[Array]] = SizedCache(_FEATURES_BYTES)


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
