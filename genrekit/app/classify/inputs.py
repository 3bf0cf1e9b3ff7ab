"""The models and the sounds that the classify page lets a visitor choose."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from genrekit.app import session
from genrekit.app.kit.clips import CLIPS, EXAMPLE, ORIGIN
from genrekit.app.kit.component import component
from genrekit.app.kit.glossary import setting
from genrekit.app.kit.inputs import INPUTS, fold, unfold
from genrekit.app.kit.job_panel import job_panel
from genrekit.app.kit.widgets import check_upload, choice, escape, number_input
from genrekit.app.settings import settings
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.verdict.analysis import ModelFile, Song
from genrekit.wording import the_first

__all__ = [
    "LIVE",
    "PAGE",
    "ModelChoice",
    "Sound",
    "bounded_song",
    "choose",
    "model_choices",
    "plain_name",
]

PAGE: Final = "classify"
FILES: Final = "Your files"
MICROPHONE: Final = "Microphone"
LIVE: Final = "Live"
COMPOSED: Final = "Freshly composed"
EXAMPLE_SECONDS: Final = (6, 60)
EXAMPLE_TAKES: Final = 999
# What a microphone records above 8 kHz matters to a model that was trained on recordings.
MICROPHONE_RATE_HZ: Final = 48_000

_HOUR: Final = 3600
_NAME_LENGTH: Final = 100

_drop_files: Final = component("drop_files")


@dataclass(frozen=True)
class ModelChoice:
    """A model to choose from: its label on the page, its name, and whether it is the visitor's."""

    label: str
    name: str
    file: ModelFile
    own: bool

    @property
    def line(self) -> str:
        """The first sentence of its card; empty where nobody has written one."""
        first, stop, _ = str(self.file.card().get("about", "")).partition(".")
        return first + stop

    @property
    def accuracy(self) -> float:
        """The share of tracks that it was right on, 0 where nobody has measured it."""
        return float(self.file.card().get("measured", {}).get("track_accuracy") or 0)


@dataclass(frozen=True)
class Sound:
    """A sound to classify, with the name to show.

    `made_here` tells that it was composed or recorded here, and can be downloaded. `composed_as`
    is the genre in which one of the bundled or composed pieces was written, else empty.
    """

    name: str
    song: Song
    made_here: bool = False
    composed_as: str = ""


# -- both ---------------------------------------------------------------------------------------


def choose(models: Sequence[ModelChoice]) -> tuple[ModelChoice, list[Sound] | None]:
    """Let the visitor choose a model and the sounds to classify: None is the microphone, live.

    A choice hides these inputs and leaves the page to its result. They stay on the page, unseen:
    a file may be dropped anywhere, and the uploader takes it.
    """
    limit = {"bytes": int(1e6 * settings().upload_megabytes)}
    _drop_files(key="drop_files", data=limit, on_dropped_change=_open_files)
    with st.container(key=INPUTS):
        sounds = _choose_sounds()
        model = _choose_model(models)
    heard = [LIVE] if sounds is None else [sound.song.digest for sound in sounds]
    fold(PAGE, (model.label, *heard) if heard else None)
    return model, sounds


def _open_files() -> None:
    unfold(PAGE)
    st.session_state["source"] = FILES


# -- models -----------------------------------------------------------------------------------


def model_choices() -> list[ModelChoice]:
    """Return the visitor's own models, newest first, then the built-in ones.

    Of those the default stands first, and then whichever is most accurate by its card.
    """
    choices: list[ModelChoice] = []
    for job in session.owned("model"):
        same = sum(other.name == job.title for other in choices)
        label = f"Yours: {job.title}" + (f" ({same + 1})" if same else "")
        choices.append(ModelChoice(label, job.title, ModelFile.at(job.folder / "model"), True))
    names = sorted(path.parent.name for path in MODELS.glob("*/model.json"))
    built_in = [
        ModelChoice(f"Built-in: {name}", name, ModelFile.at(MODELS / name), False) for name in names
    ]
    return choices + sorted(built_in, key=lambda one: (one.name != DEFAULT_MODEL, -one.accuracy))


def _choose_model(choices: Sequence[ModelChoice]) -> ModelChoice:
    """Offer the models: at first the one just trained, else the default."""
    current = session.current("model")
    labels = [choice.label for choice in choices]
    just_trained = current is not None and current.status == "done" and choices[0].own
    built_in = f"Built-in: {DEFAULT_MODEL}"
    default = 0 if just_trained or built_in not in labels else labels.index(built_in)
    _choose_imported(choices)
    chosen = st.selectbox(options=labels, index=default, **setting("classify", "listener"))
    model = choices[labels.index(chosen)] if chosen in labels else choices[default]
    if not model.own and model.line:
        st.caption(escape(model.line))
    _import_model()
    return model


def _import_model() -> None:
    """Let the visitor send back a model that was downloaded; a job checks it."""
    with st.popover("Use a model you downloaded", icon=":material/upload:"):
        upload = st.file_uploader("A model as a zip file, from the train page", type=["zip"])
        if upload is not None and st.button("Use this model", icon=":material/upload:"):
            check_upload(upload.size, "a model from the train page is smaller")
            folder = session.jobs().new_folder()
            (folder / "upload.zip").write_bytes(upload.getvalue())
            command = ["import-model", "upload.zip", "-o", "model", "--progress", "json"]
            st.session_state["choose_imported"] = True
            name = plain_name(upload.name).removesuffix(".zip")
            session.start("model", f"Uploaded {name}", [command], folder)
    current = session.current("model")
    if current is None or current.status == "done":
        return
    if any(command[0] == "import-model" for command in current.commands):
        job_panel(current)


def _choose_imported(choices: Sequence[ModelChoice]) -> None:
    """Choose a model that was sent back, once it is there."""
    current = session.current("model")
    if current is None or current.active or not st.session_state.pop("choose_imported", False):
        return
    for choice_ in choices:
        if choice_.file == ModelFile.at(current.folder / "model"):
            st.session_state["listener"] = choice_.label


# -- sounds -----------------------------------------------------------------------------------


def _choose_sounds() -> list[Sound] | None:
    sources = [FILES, MICROPHONE, EXAMPLE, *([LIVE] if settings().live_places else [])]
    source = choice("What should it listen to?", sources, "source")
    if source == LIVE:
        return None
    if source == EXAMPLE:
        return _example()
    return _recording() if source == MICROPHONE else _uploads()


def _example() -> list[Sound]:
    clips = {clip.label: clip for clip in CLIPS}
    offered = [*clips, COMPOSED]
    chosen = st.pills(
        options=offered, default="Jazz", required=True, **setting("classify", "example")
    )
    chosen = chosen or "Jazz"  # an address may say: none
    if chosen == COMPOSED:
        return _composition()
    clip = clips[chosen]
    st.caption(f"“{clip.title}”, {clip.seconds} s. {ORIGIN}")
    return [Sound(clip.path.name, bounded_song(clip.path.read_bytes()), True, clip.label)]


def _composition() -> list[Sound]:
    style_column, take_column, length_column = st.columns([2, 1, 1])
    style = style_column.selectbox(
        options=STYLES, index=STYLES.index("jazz"), **setting("classify", "style")
    )
    about = setting("classify", "take")
    take = number_input(take_column, min_value=1, max_value=EXAMPLE_TAKES, value=1, **about)
    seconds = number_input(length_column, "Length, s", *EXAMPLE_SECONDS, 15, 3, key="length")
    content = _composed(style, int(take), int(seconds))
    return [Sound(f"{style}-{take}.wav", bounded_song(content), True, style.capitalize())]


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
        "Songs: wav, mp3, flac, ogg, opus, m4a, aac, wma, webm, aiff, au and more",
        accept_multiple_files=True,
        key="uploads",
        help=f"Up to {limit.upload_megabytes:g} MB in all. The model hears "
        f"{the_first(60 * limit.song_minutes)} of each song. Files stay in memory "
        "and are gone when you leave.",
    )
    check_upload(sum(upload.size for upload in uploads), "remove some files, or save them as MP3")
    return _kept("uploads", was_here, uploads)


def _kept(
    key: str, was_here: bool, given: Sequence[UploadedFile], *, made_here: bool = False
) -> list[Sound]:
    """Return the sounds as given, or the last ones when the visitor returns from another page.

    `was_here` tells whether the widget was on the page in the run before: only then does an
    empty one mean that the sounds were removed.
    """
    kept: dict[str, dict[str, Sound]] = st.session_state.setdefault("kept_sounds", {})
    before = kept.get(key, {})
    if given:
        # Hashing a large file in every run would be slow.
        kept[key] = {
            file.file_id: before.get(file.file_id)
            or Sound(
                "recording.wav" if made_here else plain_name(file.name),
                bounded_song(file.getvalue(), own=True),
                made_here=made_here,
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
    """Return a file's name to show: without folders, printable, not too long."""
    last = PurePosixPath(name.replace("\\", "/")).name
    text = re.sub(r"\s+", " ", "".join(s if s.isprintable() else " " for s in last)).strip()
    if len(text) > _NAME_LENGTH:
        text = f"{text[: _NAME_LENGTH - 13]}…{text[-12:]}"
    return text or "unnamed"


def bounded_song(content: bytes, *, own: bool = False) -> Song:
    """Return a song, perhaps a visitor's own, of which no more is analysed than the host allows."""
    limit = settings()
    digest = session.fingerprint(content) if own else ""
    return Song(content, 60 * limit.song_minutes, digest, limit.song_channels)


@st.cache_data(max_entries=24, ttl=_HOUR, show_spinner="Composing …")
def _composed(style: str, take: int, seconds: int) -> bytes:
    return wav_bytes(render(style, seed=take, seconds=seconds), 22050)
