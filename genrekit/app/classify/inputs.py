"""What the classify page listens to, and its heavy work behind caches.

Every result is cached under the SHA-256 of the file, the model's folder and the time of its last
change, and the settings: whoever sends the same file to the same model is given the same answer,
and nothing else of another visitor can be met. What is large has few places and is let go of.
"""

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import PurePosixPath
from time import perf_counter
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from genrekit.app import logs, session, song_workers
from genrekit.app.kit.clips import CLIPS, EXAMPLE, ORIGIN
from genrekit.app.kit.widgets import escape
from genrekit.app.settings import settings
from genrekit.audio.degradation import Degradation
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, GenreKitError, ModelError
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.model.neighbours import Nearest
from genrekit.model.verdicts import Verdict
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Explanation, ModelFile, Song, SongResult, StressTest
from genrekit.wording import the_first

__all__ = [
    "ModelChoice",
    "Outcome",
    "Sound",
    "choose_listener",
    "choose_sounds",
    "excerpt",
    "explain",
    "hear",
    "hear_all",
    "judge",
    "model_choices",
    "nearest",
    "rendering",
    "stress_test",
]

FILES: Final = "Your files"
MICROPHONE: Final = "Microphone"
COMPOSED: Final = "Freshly composed"
EXAMPLE_SECONDS: Final = (6, 60)
EXAMPLE_TAKES: Final = 999
# What a microphone hears above 8 kHz matters to a model that was trained on recordings.
MICROPHONE_RATE_HZ: Final = 48_000

_HOUR: Final = 3600
_NAME_LENGTH: Final = 100


@dataclass(frozen=True)
class ModelChoice:
    """A model that may be chosen: its name for people, its place, and whose it is."""

    label: str
    name: str
    file: ModelFile
    own: bool


@dataclass(frozen=True)
class Sound:
    """Something to judge, with the name to show; `given` where it was made or recorded here.

    `composed_as` is the genre that one of our own pieces was composed in, else empty.
    """

    name: str
    song: Song
    given: bool = False
    composed_as: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A sound with what a model made of it, or the sentence that says why there is nothing."""

    sound: Sound
    outcome: SongResult | str

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, if there is one."""
        return None if isinstance(self.outcome, str) else self.outcome.verdict


# -- models -----------------------------------------------------------------------------------


def model_choices() -> list[ModelChoice]:
    """The visitor's own models, newest first, and those that ship."""
    found: list[ModelChoice] = []
    for job in session.owned("model"):
        same = sum(other.name == job.title for other in found)
        label = f"Yours: {job.title}" + (f" ({same + 1})" if same else "")
        found.append(ModelChoice(label, job.title, ModelFile.at(job.folder / "model"), True))
    for path in sorted(MODELS.glob("*/model.json")):
        name = path.parent.name
        found.append(ModelChoice(f"Shipped: {name}", name, ModelFile.at(path.parent), False))
    return found


def choose_listener(found: Sequence[ModelChoice]) -> ModelChoice:
    """Let the visitor choose; the one just trained comes first, else the default that ships."""
    current = session.current("model")
    own_first = current is not None and current.status == "done" and found[0].own
    default = 0 if own_first else next(
        (i for i, one in enumerate(found) if not one.own and one.name == DEFAULT_MODEL), 0
    )  # fmt: skip
    labels = [one.label for one in found]
    chosen = st.selectbox(
        "Which model listens",
        labels,
        index=default,
        key="listener",
        bind="query-params",
        help="Compare models below a verdict asks all of them at once.",
    )
    return found[labels.index(chosen)] if chosen in labels else found[default]


# -- sounds -----------------------------------------------------------------------------------


def choose_sounds() -> list[Sound]:
    """Let the visitor choose what is to be judged."""
    source = st.segmented_control(
        "What shall it hear?",
        [FILES, MICROPHONE, EXAMPLE],
        default=FILES,
        required=True,
        key="source",
        bind="query-params",
    )
    if source == EXAMPLE:
        return _example()
    return _recording() if source == MICROPHONE else _uploads()


def _example() -> list[Sound]:
    clips = {clip.label: clip for clip in CLIPS}
    chosen = st.pills(
        "Our own compositions, or one made on the spot",
        [*clips, COMPOSED],
        default="Jazz",
        required=True,
        key="example",
        bind="query-params",
        help="No model was trained on any of them, nor on music that a synthesiser plays, so "
        "expect mistakes and doubt.",
    )
    if chosen == COMPOSED:
        return _composition()
    clip = clips[chosen]
    st.caption(f"“{clip.title}”, {clip.seconds} s. {ORIGIN}")
    return [Sound(clip.path.name, _song(clip.path.read_bytes()), True, clip.label)]


def _composition() -> list[Sound]:
    style_column, take_column, length_column = st.columns([2, 1, 1])
    style = style_column.selectbox(
        "A piece composed by a machine",
        STYLES,
        index=STYLES.index("jazz"),
        key="style",
        bind="query-params",
        help="Simple tones and noises that follow a style's rules: easy to tell apart from music "
        "that people play.",
    )
    take = take_column.number_input(
        "Take",
        1,
        EXAMPLE_TAKES,
        1,
        key="take",
        bind="query-params",
        help="Each take is another piece in the same style.",
    )
    seconds = length_column.number_input(
        "Length, s", *EXAMPLE_SECONDS, 15, 3, key="length", bind="query-params"
    )
    content = _composed(style, int(take), int(seconds))
    return [Sound(f"{style}-{take}.wav", _song(content), True, style.capitalize())]


def _recording() -> list[Sound]:
    was_here = "recording" in st.session_state
    recording = st.audio_input(
        "Record at least ten seconds of music", sample_rate=MICROPHONE_RATE_HZ, key="recording"
    )
    st.caption(
        "Hold the microphone near the loudspeaker. A room and a small microphone change a sound "
        "more than people notice; the stress test below a verdict shows how much that matters."
    )
    return _kept("recording", was_here, [recording] if recording else [], made_here=True)


def _uploads() -> list[Sound]:
    limit = settings()
    was_here = "uploads" in st.session_state
    uploads = st.file_uploader(
        "Songs: wav, mp3, flac, ogg, opus, m4a, aac, wma, webm, aiff, au",
        accept_multiple_files=True,
        key="uploads",
        help=f"Up to {limit.upload_megabytes:g} MB in all. The model hears "
        f"{the_first(60 * limit.song_minutes)} of each song. Files stay in memory "
        "and are gone when you leave.",
    )
    total = sum(upload.size for upload in uploads)
    if total > 1e6 * limit.upload_megabytes:
        raise AudioError(
            f"That is {total / 1e6:.0f} MB, and {limit.upload_megabytes:g} MB are the most that "
            "can be taken at once: remove some files, or save them as MP3."
        )
    return _kept("uploads", was_here, uploads)


def _kept(
    key: str, was_here: bool, given: Sequence[UploadedFile], *, made_here: bool = False
) -> list[Sound]:
    """Sounds as given; the last ones again, after the visitor has looked at another page.

    `was_here` tells whether the widget was on the page in the run before: only then does an
    empty one mean that the sounds were taken away.
    """
    kept: dict[str, dict[str, Sound]] = st.session_state.setdefault("kept_sounds", {})
    before = kept.get(key, {})
    if given:
        # Hashing a large file in every run would be felt.
        kept[key] = {
            file.file_id: before.get(file.file_id)
            or Sound(
                "recording.wav" if made_here else plain_name(file.name),
                _song(file.getvalue()),
                given=made_here,
            )
            for file in given
        }
    elif was_here and st.session_state.get(f"had_{key}"):
        kept.pop(key, None)
    elif before:
        left, right = st.columns([4, 1], vertical_alignment="center")
        names = ", ".join(sound.name for sound in before.values())
        left.caption(f"Still here from before: {escape(names)}")
        if right.button("Forget", icon=":material/delete:", key=f"forget_{key}"):
            kept.pop(key, None)
            st.rerun()
    st.session_state[f"had_{key}"] = bool(given)
    return list(kept.get(key, {}).values())


def plain_name(name: str) -> str:
    """A file's name as it may be shown: no folders, nothing unprintable, not too long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    text = re.sub(r"\s+", " ", "".join(s if s.isprintable() else " " for s in last)).strip()
    if len(text) > _NAME_LENGTH:
        text = f"{text[: _NAME_LENGTH - 13]}…{text[-12:]}"
    return text or "unnamed"


def _song(content: bytes) -> Song:
    limit = settings()
    return Song(content, 60 * limit.song_minutes, max_channels=limit.song_channels)


@st.cache_data(max_entries=24, ttl=_HOUR, show_spinner="Composing …")
def _composed(style: str, take: int, seconds: int) -> bytes:
    return wav_bytes(render(style, seed=take, seconds=seconds), 22050)


# -- the work, behind caches ------------------------------------------------------------------


def hear_all(sounds: Sequence[Sound], listener: ModelChoice) -> list[Outcome]:
    """Each sound heard; progress is shown where there are several and one takes its time."""
    known: set[tuple[str, ModelFile]] = st.session_state.setdefault("heard_before", set())
    place = st.empty()
    results = []
    for number, sound in enumerate(sounds):
        new = (sound.song.digest, listener.file) not in known
        if new and len(sounds) > 1:
            text = f"Listening to {number + 1} of {len(sounds)}: {escape(sound.name)}"
            place.progress(number / len(sounds), text)
        elif new:
            place.caption(":material/hearing: Listening …")
        results.append(Outcome(sound, hear(sound.song, listener.file)))
        known.add((sound.song.digest, listener.file))
    place.empty()
    return results


def hear(song: Song, model: ModelFile) -> SongResult | str:
    """As `analysis.hear`; the sentence that says why where the song cannot be heard."""
    try:
        return _heard(song.digest, song.max_seconds, model.folder, model.changed, song)
    except ModelError:
        raise  # no song can be heard with it
    except GenreKitError as error:
        return str(error)  # not for ever: the cause may pass


def judge(song: Song, model: ModelFile) -> Verdict | str:
    """The verdict of another model, or why there is none."""
    try:
        return _judged(song.digest, song.max_seconds, model.folder, model.changed, song)
    except GenreKitError as error:
        return str(error)


def explain(
    song: Song, model: ModelFile, genre: str, starts: tuple[float, ...], which: tuple[int, ...]
) -> Explanation:
    """As `analysis.explain`."""
    key = (song.digest, song.max_seconds, model.folder, model.changed)
    return _explained(*key, genre, starts, which, song)


def nearest(song: Song, model: ModelFile, starts: tuple[float, ...]) -> Nearest | None:
    """As `analysis.nearest`."""
    key = (song.digest, song.max_seconds, model.folder, model.changed)
    return _nearest(*key, starts, song)


def stress_test(song: Song, model: ModelFile, stress: Degradation) -> StressTest:
    """As `analysis.stress_test`."""
    key = (song.digest, song.max_seconds, model.folder, model.changed)
    return _stressed(*key, astuple(stress), song)


def excerpt(song: Song, rate: int, start: float, seconds: float, stress: Degradation) -> bytes:
    """As `analysis.excerpt_sound`."""
    key = (song.digest, song.max_seconds, rate, start, seconds)
    return _excerpt(*key, astuple(stress), song)


def rendering(song: Song, rate: int) -> bytes:
    """As `analysis.wav_rendering`."""
    return _rendered(song.digest, song.max_seconds, rate, song)


@st.cache_data(max_entries=128, ttl=_HOUR, show_spinner=False)
def _heard(
    digest: str, max_seconds: float, folder: str, changed: int, _song: Song
) -> SongResult | str:
    start = perf_counter()
    try:
        heard = song_workers.ask(analysis.analyse, _song, ModelFile(folder, changed), about=digest)
    except AudioError as error:
        logs.event("sound refused", duration=round(perf_counter() - start, 3))
        return str(error)
    logs.event(
        "verdict",
        seconds=round(heard.seconds, 1),
        duration=round(perf_counter() - start, 3),
        sure=heard.verdict.genre is not None,
    )
    return heard


@st.cache_data(max_entries=256, ttl=_HOUR, show_spinner=False)
def _judged(
    digest: str, max_seconds: float, folder: str, changed: int, _song: Song
) -> Verdict | str:
    try:
        return song_workers.ask(analysis.judge, _song, ModelFile(folder, changed), about=digest)
    except AudioError as error:
        return str(error)


@st.cache_data(max_entries=64, ttl=_HOUR, show_spinner=False)
def _explained(
    digest: str,
    max_seconds: float,
    folder: str,
    changed: int,
    genre: str,
    starts: tuple[float, ...],
    which: tuple[int, ...],
    _song: Song,
) -> Explanation:
    model = ModelFile(folder, changed)
    return song_workers.ask(analysis.explain, _song, model, genre, starts, which, about=digest)


@st.cache_data(max_entries=32, ttl=_HOUR, show_spinner=False)
def _nearest(
    digest: str,
    max_seconds: float,
    folder: str,
    changed: int,
    starts: tuple[float, ...],
    _song: Song,
) -> Nearest | None:
    return song_workers.ask(
        analysis.nearest, _song, ModelFile(folder, changed), starts, about=digest
    )


@st.cache_data(max_entries=128, ttl=_HOUR, show_spinner=False)
def _stressed(
    digest: str,
    max_seconds: float,
    folder: str,
    changed: int,
    stress: tuple[object, ...],
    _song: Song,
) -> StressTest:
    model, what = ModelFile(folder, changed), Degradation(*stress)  # type: ignore[arg-type]
    return song_workers.ask(analysis.stress_test, _song, model, what, about=digest)


@st.cache_data(max_entries=32, ttl=600, show_spinner=False)
def _excerpt(
    digest: str,
    max_seconds: float,
    rate: int,
    start: float,
    seconds: float,
    stress: tuple[object, ...],
    _song: Song,
) -> bytes:
    what = Degradation(*stress)  # type: ignore[arg-type]
    return song_workers.ask(analysis.excerpt_sound, _song, rate, start, seconds, what, about=digest)


# Up to 40 MB each: shared, not copied, and few.
@st.cache_resource(max_entries=3, ttl=600, show_spinner=False)
def _rendered(digest: str, max_seconds: float, rate: int, _song: Song) -> bytes:
    return song_workers.ask(analysis.wav_rendering, _song, rate, about=digest)
