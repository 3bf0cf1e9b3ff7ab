"""The look "Rhythm and key": beats to see and hear, the key, drums and harmony apart."""

from time import monotonic
from typing import Final

import streamlit as st

from genrekit.app import session
from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.classify.questions import ask
from genrekit.app.kit.glossary import setting
from genrekit.app.kit.widgets import escape
from genrekit.isolation.pool import WorkerBusy
from genrekit.model.verdicts import Verdict, ranked
from genrekit.verdict import analysis
from genrekit.verdict.analysis import Rhythm, Song
from genrekit.wording import counted

__all__ = ["find", "show", "versions"]

_CLICKS: Final = "With clicks"
_DRUMS: Final = "Drums"
_HARMONY: Final = "Harmony"
_RETRY_SECONDS: Final = 5.0

# From `python -m benchmarks.rhythm`.
_MEASURED_TEMPO: Final = (
    "Of the ten example pieces, whose scores are known, nine tempos were within 2%, and eight had "
    "their beats within 70 ms."
)
_MEASURED_KEY: Final = (
    "Of the ten example pieces, seven keys were named, all rightly; of 48 generated ones 19, 11 of "
    "them rightly and 5 as the relative key, which has the same notes."
)


def find(sound: Sound) -> Rhythm | None:
    """Find the song's beats and its key.

    Where that must wait, say so, return None, and draw the page again a little later.
    """
    try:
        with st.spinner("Tapping along …"):
            return ask(analysis.rhythm, sound.song)
    except WorkerBusy as error:
        st.info(str(error), icon=":material/hourglass_empty:")
        _try_again(monotonic())
        return None


@st.fragment(run_every=_RETRY_SECONDS)
def _try_again(since: float) -> None:
    if monotonic() - since > _RETRY_SECONDS / 2:
        st.rerun()


def versions(sound: Sound, rhythm: Rhythm) -> dict[str, bytes]:
    """Return the song with clicks on its beats and, where asked for, its parts, as WAV."""
    apart = st.toggle(**setting("classify", "parts"))
    sounds = {}
    if rhythm.beats:
        with st.spinner("Adding clicks …"):
            sounds[_CLICKS] = ask(analysis.clicks, sound.song, rhythm.beats)
    if apart:
        with st.spinner("Separating drums and harmony …"):
            parts = ask(analysis.parts, sound.song)
        sounds |= zip((_DRUMS, _HARMONY), parts, strict=True)
    return sounds


def show(
    sound: Sound, model: ModelChoice, whole: Verdict, rhythm: Rhythm, sounds: dict[str, bytes]
) -> None:
    """Show tempo, beats and key, and the model's verdict on each part."""
    left, right = st.columns(2)
    with left:
        _show_tempo(rhythm)
    with right:
        _show_key(rhythm)
    parts = {name: sounds[name] for name in (_DRUMS, _HARMONY) if name in sounds}
    if not parts:
        return
    for column, name in zip(st.columns(3), ("Whole song", *parts), strict=True):
        with column.container(border=True, height="stretch"), st.spinner("Listening …"):
            st.markdown(f"**{name}**")
            _show_opinion(_judged(parts[name], sound, model) if name in parts else whole)
    st.caption(
        "A drum is a vertical line in the spectrogram, a held note a horizontal one: drums and "
        "harmony are told apart by that alone. A voice is in both. The model learned from whole "
        "songs, so a verdict on a part says which part it goes by, not what the part is."
    )


def _show_tempo(rhythm: Rhythm) -> None:
    if rhythm.tempo is None:
        st.markdown("### No steady beat")
        st.caption("Nothing in it repeats clearly enough to tap along.")
        return
    st.markdown(f"### {rhythm.tempo:.0f} beats per minute")
    st.caption(
        f"{counted(len(rhythm.beats), 'beat')}, the ticks at the foot of the spectrogram; choose "
        f"**{_CLICKS}** to hear them. You may count half or twice as many. {_MEASURED_TEMPO}"
    )


def _show_key(rhythm: Rhythm) -> None:
    key = rhythm.key
    if key is None or key.name is None:
        st.markdown("### Key: not sure")
        close = f"It could be {key.best} or {key.second}. " if key else ""
        st.caption(f"{close}The notes fit no key clearly better than any other.")
        return
    st.markdown(f"### {key.name}")
    st.caption(
        "The twelve notes are as strong here as listeners expect of this key; the next best is "
        f"{key.second}. {_MEASURED_KEY}"
    )


def _judged(wav: bytes, sound: Sound, model: ModelChoice) -> Verdict:
    song = Song(wav, sound.song.max_seconds, session.fingerprint(wav))
    return ask(analysis.judge, song, model.file)


def _show_opinion(verdict: Verdict) -> None:
    if not verdict.probabilities:
        st.markdown("### No verdict")
        st.caption(escape(verdict.note))
        return
    st.markdown(f"### {escape(verdict.genre.capitalize() if verdict.genre else 'Not sure')}")
    (first, p), (second, q) = ranked(verdict.outcomes)[:2]
    st.markdown(f"{escape(first)} {p:.0%}, then {escape(second)} {q:.0%}.")
