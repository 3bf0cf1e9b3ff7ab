"""Sections of the mel scale page on one clip: its four stages, and one of its numbers."""

import hashlib
from typing import Final, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from genrekit.app import song_workers
from genrekit.app.kit.glossary import page_heading
from genrekit.app.kit.widgets import URL, chart, clamp, escape, show_error
from genrekit.app.mel import sound_figures as views
from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, GenreKitError
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.invert import Stage, resynthesise
from genrekit.features.trace import CellTrace, clip_params, power_spectrogram, trace_cell
from genrekit.mel import tones
from genrekit.mel.scale import mel_frequencies
from genrekit.system.records import read_toml
from genrekit.verdict.analysis import Song, samples_of
from genrekit.wording import counted

__all__ = ["sound_to_mfcc", "trace"]

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

_STAGES: Final = read_toml(__file__)["stages"]


class Clip(NamedTuple):
    """A sound at PARAMS.sample_rate, its settings, and a digest of its samples as a cache key."""

    samples: Samples
    params: FeatureParams
    digest: str


def sound_to_mfcc() -> None:
    """Show one sound in four stages, and play each."""
    page_heading("sound")
    clip = _clip()
    if clip is None:
        return
    spectrum_db, mel_db, mfcc, centres = _stages(clip.digest, clip.samples, clip.params)
    chart(
        views.stages_figure(clip.samples, spectrum_db, mel_db, mfcc, clip.params, centres),
        alt="Four pictures of one sound over time: its waveform, its spectrogram, the same "
        f"spectrogram in {counted(clip.params.n_mels, 'mel band')}, and "
        f"{counted(clip.params.n_mfcc, 'MFCC')}.",
        key="mel_stages",
    )
    st.caption(
        "Bright is loud in pictures 2 and 3, from 0 to 80 decibels (dB) above the floor; 10 dB "
        "more sounds about twice as loud. In picture 4 each row is compared with its own average: "
        "brown below, purple above; point at a cell for its number."
    )
    _players(clip)


def _players(clip: Clip) -> None:
    st.header("Hear what each step keeps", anchor=False)
    keep = st.slider(
        "Coefficients kept in step 4", 1, 40, clip.params.n_mfcc, key="mel_keep", **URL
    )
    per_second = clip.params.frames * clip.params.sample_rate / len(clip.samples)
    # Two rows of two, not two columns: on a phone they then stack in order.
    columns = [*st.columns(2), *st.columns(2)]
    numbers = {
        "plain": clip.params.sample_rate,
        "spectrogram": per_second * (1 + clip.params.n_fft // 2),
        "mel": per_second * clip.params.n_mels,
        "mfcc": per_second * keep,
        "bands": counted(clip.params.n_mels, "mel band"),
        "kept": counted(keep, "MFCC"),
    }
    for column, step in zip(columns, _STAGES, strict=True):
        with column.container(border=True):
            title, stage = step["title"].format(**numbers), step.get("stage")
            st.markdown(f"**{title}**")
            kept = keep if stage == "mfcc" else None
            st.audio(_playable(clip.digest, clip.samples, clip.params, stage, kept), alt=title)
            st.caption(step["text"].format(**numbers))
    st.caption(
        "Steps 2 to 4 are rebuilt from their numbers: the MFCCs' sums undone, a spectrum that fits "
        "the mel bands, and a phase estimated by the Griffin-Lim method. The phase is a guess "
        "every time, so part of the roughness comes from the rebuilding and not from the MFCCs."
    )


def trace() -> None:
    """Trace one MFCC back to the samples."""
    page_heading("trace")
    clip = _clip()
    if clip is None:
        return
    hop = clip.params.hop_length / clip.params.sample_rate
    last = round((clip.params.frames - 1) * hop, 2)
    left, right = st.columns(2)
    clamp("mel_moment", 0, last)
    moment = left.slider("Moment, s", 0.0, last, min(1.0, last), 0.01, key="mel_moment", **URL)
    coefficient = right.slider(
        "Coefficient", 0, clip.params.n_mfcc - 1, 1, key="mel_coefficient", **URL
    )
    frame = min(round(moment / hop), clip.params.frames - 1)
    cell = trace_cell(clip.samples, clip.params, frame, coefficient)
    with st.container(horizontal=True):
        st.metric("The sum below", views.signed(cell.total), border=True, width=165)
        st.metric(f"The MFCC, frame {frame}", views.signed(cell.value), border=True, width=165)
        st.metric("Middle of the frame", f"{cell.seconds:.3f} s", border=True, width=165)
    st.latex(views.sum_latex(cell))
    mfcc = _stages(clip.digest, clip.samples, clip.params)[2]
    chart(
        views.cell_map(mfcc, clip.params, frame, coefficient),
        alt=f"All MFCCs of the clip over time; a ring marks coefficient {coefficient} at "
        f"{cell.seconds:.2f} s.",
        key="mel_cell_map",
    )
    _trace_steps(cell, clip.params)
    chart(
        views.trace_figure(cell, clip.params),
        alt=f"Five charts: the frame at {cell.seconds:.2f} s, its spectrum, its mel band levels, "
        f"the DCT row of coefficient {coefficient}, and their products, whose sum is "
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
            take = right.number_input("Take", 1, 999, 1, key="mel_take", help=about, **URL)
        samples = _generated(kind, take)
    if samples is None:
        return None
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return Clip(samples, clip_params(samples, PARAMS), digest)


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
    samples = _decoded(hashlib.sha256(data).hexdigest(), data)
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
def _stages(
    digest: str, _samples: Samples, params: FeatureParams
) -> tuple[Samples, Samples, Samples, NDArray[np.float64]]:
    """Return (frames, rows) of spectrogram, dB, mel spectrogram, dB, and MFCCs; centres in Hz."""
    segment = _samples[np.newaxis]
    spectrum = extraction.power_to_db(power_spectrogram(_samples, params)[np.newaxis])[0]
    mel, mfcc = extraction.log_mel(segment, params)[0], extraction.mfcc(segment, params)[0]
    edges = mel_frequencies(params.n_mels + 2, 0, params.sample_rate / 2, params.mel_formula)
    return spectrum, mel, mfcc, edges[1:-1]


@st.cache_data(max_entries=64, show_spinner="Rebuilding the sound …")
def _playable(
    digest: str, _samples: Samples, params: FeatureParams, stage: Stage | None, keep: int | None
) -> bytes:
    """Return WAV of the sound, or of a stage of it; `keep` is the number of MFCCs."""
    if stage is None:
        return wav_bytes(_samples * PLAYBACK_GAIN, params.sample_rate)
    sound = resynthesise(_samples, params, stage, n_coefficients=keep, gain=PLAYBACK_GAIN)
    return wav_bytes(sound, params.sample_rate)
