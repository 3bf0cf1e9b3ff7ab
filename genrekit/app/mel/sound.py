"""Section of the mel scale page on one clip: its four stages, and one of its numbers."""

from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from genrekit.app import session, song_workers
from genrekit.app.kit.component import component, into_address
from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.media import media_url
from genrekit.app.kit.widgets import URL, chart, clamp, escape, number_input, show_error
from genrekit.app.mel import sound_figures as views
from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, GenreKitError
from genrekit.features.extraction import FeatureParams
from genrekit.features.invert import Stage, resynthesise
from genrekit.features.trace import CellTrace, clip_params, trace_cell
from genrekit.mel import tones
from genrekit.system.records import read_toml
from genrekit.verdict.analysis import Song, samples_of
from genrekit.wording import counted

__all__ = ["sound_to_mfcc"]

Samples = NDArray[np.float32]

PARAMS: Final = FeatureParams()
MAX_CLIP_SECONDS: Final = 6.0
GENERATED_SECONDS: Final = 5.0
MAX_UPLOAD_MB: Final = 50
# Half the clip's level leaves room for the peaks that an estimated phase piles up.
PLAYBACK_GAIN: Final = 0.5

CLIPS: Final = {
    "glide": "Rising tone",
    "chord": "Chord, note by note",
    **{style: f"Music: {style.replace('-', ' ')}" for style in STYLES},
    "upload": "Your own file",
    "record": "Your microphone",
}

_TABLES: Final = read_toml(__file__)
_STEPS: Final = _TABLES["stages"]
_READING: Final = _TABLES["reading"]
_KEY: Final = "mel_stages"
_mount: Final = component("stages")


class Clip(NamedTuple):
    """A sound at PARAMS.sample_rate, its settings, and a digest of its samples as a cache key."""

    samples: Samples
    params: FeatureParams
    digest: str


def sound_to_mfcc() -> None:
    """Show one sound in four pictures, play what each keeps, and trace a cell of the last one."""
    page_heading("sound")
    exhibit = st.container()
    clip = _clip()
    if clip is None:
        return
    keep = st.slider(
        "Coefficients kept in step 4", 1, 40, clip.params.n_mfcc, key="mel_keep", **URL
    )
    st.caption(_READING)
    st.header("Trace a number", anchor=False)
    cell = _cell(clip)
    step = next((i for i in range(4) if st.query_params.get("mel_step") == str(i)), 0)
    stage: Stage | None = _STEPS[step].get("stage")
    kept = keep if stage == "mfcc" else None
    sound = _playable(clip.digest, clip.samples, clip.params, stage, kept)
    hop = clip.params.hop_length / clip.params.sample_rate
    with exhibit:
        _mount(
            key=_KEY,
            data={
                "step": step,
                "steps": _steps(clip, keep),
                "cell": [cell.frame, cell.coefficient],
                "hop": hop,
                "seconds": len(clip.samples) / clip.params.sample_rate,
                "sound": media_url(sound, "audio/wav", "mel"),
                "pictures": _pictures(clip.digest, clip.samples, clip.params),
            },
            on_settings_change=into_address(_KEY, "mel_", ["step"]),
            on_cell_change=partial(_choose_cell, hop),
        )
    _trace(cell, clip.params)


def _steps(clip: Clip, keep: int) -> list[dict[str, str]]:
    """Return title and text of each step, with its numbers."""
    per_second = clip.params.frames * clip.params.sample_rate / len(clip.samples)
    numbers = {
        "plain": clip.params.sample_rate,
        "spectrogram": per_second * (1 + clip.params.n_fft // 2),
        "mel": per_second * clip.params.n_mels,
        "mfcc": per_second * keep,
        "bands": counted(clip.params.n_mels, "mel band"),
        "kept": counted(keep, "MFCC"),
    }
    return [{key: step[key].format(**numbers) for key in ("title", "text")} for step in _STEPS]


def _cell(clip: Clip) -> CellTrace:
    """Ask for a moment and a coefficient, which a click in the picture sets, too."""
    hop = clip.params.hop_length / clip.params.sample_rate
    last = round((clip.params.frames - 1) * hop, 2)
    left, right = st.columns(2)
    clamp("mel_moment", 0, last)
    moment = left.slider("Moment, s", 0.0, last, min(1.0, last), 0.01, key="mel_moment", **URL)
    coefficient = right.slider(
        "Coefficient", 0, clip.params.n_mfcc - 1, 1, key="mel_coefficient", **URL
    )
    frame = min(round(moment / hop), clip.params.frames - 1)
    return trace_cell(clip.samples, clip.params, frame, coefficient)


def _choose_cell(hop: float) -> None:
    """Set the sliders to the cell that was clicked."""
    frame, coefficient = st.session_state[_KEY].cell
    st.session_state.mel_moment = round(int(frame) * hop, 2)
    st.session_state.mel_coefficient = min(max(int(coefficient), 0), PARAMS.n_mfcc - 1)


def _trace(cell: CellTrace, params: FeatureParams) -> None:
    """Show where one MFCC comes from, back to the samples."""
    figures = {
        "The sum below": views.signed(cell.total),
        f"The MFCC, frame {cell.frame}": views.signed(cell.value),
        "Middle of the frame": f"{cell.seconds:.3f} s",
    }
    with st.container(horizontal=True):
        for name, value in figures.items():
            st.metric(name, value, border=True, width="content")
    st.latex(views.sum_latex(cell))
    _trace_steps(cell, params)
    chart(
        views.trace_figure(cell, params),
        alt=f"Five charts: the frame at {cell.seconds:.2f} s, its spectrum, its mel band levels, "
        f"the DCT row of coefficient {cell.coefficient}, and their products, whose sum is "
        f"{cell.total:.3f}.",
        key="mel_trace",
    )
    _products_table(cell)


def _trace_steps(cell: CellTrace, params: FeatureParams) -> None:
    raised = int((cell.log_mel <= cell.floor_db + 1e-3).sum())
    floor = f"{views.signed(cell.floor_db, 1)} dB"
    fainter = (
        f"; {raised} of them, drawn grey, were fainter than {floor} (80 below the clip's loudest) "
        "and were raised to that"
        if raised
        else ""
    )
    st.markdown(
        f"1. The **frame**: {params.n_fft} samples around the moment, faded in and out.\n"
        "2. Its **spectrum**: how much there is of each frequency.\n"
        f"3. The **mel bands**: {counted(params.n_mels, 'weighted sum')} of the spectrum, in "
        f"decibels{fainter}.\n"
        f"4. One **row of the DCT** (discrete cosine transform): the wave that coefficient "
        f"{cell.coefficient} looks for among the bands.\n"
        f"5. **Level times weight**, band by band. Added up: **{views.signed(cell.total)}**."
    )


def _products_table(cell: CellTrace) -> None:
    with st.expander(f"{counted(len(cell.products), 'product')}, to add up yourself"):
        st.dataframe(
            {
                "band": np.arange(1, len(cell.products) + 1),
                "centre, Hz": np.round(cell.centres, 1),
                "level, dB": cell.log_mel,
                "DCT weight": cell.dct,
                "product": cell.products,
                "sum so far": np.cumsum(cell.products),
            },
            hide_index=True,
            height=300,
        )


def _clip() -> Clip | None:
    """Return the chosen sound, or None while there is none."""
    left, right = st.columns([3, 1])
    kind = left.selectbox(
        "Sound",
        list(CLIPS),
        format_func=CLIPS.__getitem__,
        index=list(CLIPS).index("jazz"),
        key="mel_clip",
        **URL,
    )
    if kind in ("upload", "record"):
        samples = _own_sound(kind)
    else:
        take = 1
        if kind in STYLES:
            about = "Each take is another piece in the same style."
            take = number_input(right, "Take", 1, 999, 1, key="mel_take", help=about)
        samples = _generated(kind, take)
    if samples is None:
        return None
    return Clip(samples, clip_params(samples, PARAMS), session.fingerprint(samples.tobytes()))


def _own_sound(kind: str) -> Samples | None:
    """Return an uploaded or recorded sound; it is kept while other sections are shown."""
    kept, had, was_here = f"mel_kept_{kind}", f"mel_had_{kind}", f"mel_{kind}" in st.session_state
    if kind == "upload":
        file = st.file_uploader(
            f"Any audio file up to {MAX_UPLOAD_MB} MB. Only its first {MAX_CLIP_SECONDS:g} "
            "seconds are used, and it stays out of the link.",
            sorted(AUDIO_SUFFIXES),
            key="mel_upload",
            max_upload_size=MAX_UPLOAD_MB,
        )
    else:
        file = st.audio_input(
            f"Record up to {MAX_CLIP_SECONDS:g} seconds; the rest is left out. The recording "
            "stays out of the link.",
            sample_rate=48000,
            key="mel_record",
        )
    if file is None and was_here and st.session_state.get(had):
        st.session_state.pop(kept, None)  # removed by the visitor
    st.session_state[had] = file is not None
    if file is not None:
        name = "The recording" if kind == "record" else file.name
        try:
            st.session_state[kept] = (name, _accepted(file.getvalue()))
        except GenreKitError as error:
            show_error(f"{name}: {error}")
            return None
    if kept not in st.session_state:
        st.info("Nothing to show yet: add a sound above.", icon=":material/graphic_eq:")
        return None
    name, samples = st.session_state[kept]
    seconds = len(samples) / PARAMS.sample_rate
    st.caption(f"{escape(name)}, its first {seconds:.1f} s.")
    return samples


def _accepted(data: bytes) -> Samples:
    """Return the first seconds of an uploaded sound, or raise AudioError."""
    if len(data) > MAX_UPLOAD_MB * 1_000_000:
        raise AudioError(f"It is larger than {MAX_UPLOAD_MB} MB: cut it, or save it as MP3.")
    samples = _decoded(session.fingerprint(data), data)
    clip_params(samples, PARAMS)
    return samples


@st.cache_data(max_entries=32, show_spinner=False)
def _generated(kind: str, take: int) -> Samples:
    rate = PARAMS.sample_rate
    if kind == "glide":
        return tones.glide(110, 3520, GENERATED_SECONDS, sample_rate=rate)
    if kind == "chord":
        notes = tones.note_frequency([48, 55, 64, 71]).tolist()
        return tones.chord(notes, GENERATED_SECONDS, sample_rate=rate)
    return render(kind, seed=take, seconds=GENERATED_SECONDS, sample_rate=rate)


@st.cache_data(max_entries=16, show_spinner="Reading the sound …")
def _decoded(digest: str, _data: bytes) -> Samples:
    song = Song(_data, MAX_CLIP_SECONDS, digest)
    return song_workers.ask(samples_of, song, PARAMS.sample_rate, about=digest)


@st.cache_data(max_entries=16, show_spinner=False)
def _pictures(digest: str, _samples: Samples, params: FeatureParams) -> list[dict[str, Any]]:
    return views.pictures(_samples, params)


@st.cache_data(max_entries=64, show_spinner="Rebuilding the sound …")
def _playable(
    digest: str, _samples: Samples, params: FeatureParams, stage: Stage | None, keep: int | None
) -> bytes:
    """Return WAV of the sound, or of a stage of it; `keep` is the number of MFCCs."""
    if stage is None:
        return wav_bytes(_samples * PLAYBACK_GAIN, params.sample_rate)
    sound = resynthesise(_samples, params, stage, n_coefficients=keep, gain=PLAYBACK_GAIN)
    return wav_bytes(sound, params.sample_rate)
