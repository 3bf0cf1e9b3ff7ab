"""The classify page's questions about a song: answered by the pool of workers, and cached.

An answer is cached under the question's name, the file's `session.fingerprint`, how much of it may
be analysed, and the arguments, among them a model's folder and the time of its last change:
whoever sends the same file to the same model gets the same answer, unless the host wants it
otherwise, and no name that a visitor gives leads to the answer of another. A song that cannot be
used is remembered as well, a fault that may pass is not.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, TypeVar, cast

import streamlit as st

from genrekit.app import logs, song_workers
from genrekit.app.classify.inputs import ModelChoice, Sound
from genrekit.app.kit.widgets import escape
from genrekit.errors import AudioError, GenreKitError, ModelError
from genrekit.model.verdicts import Verdict
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile, Song, SongResult

__all__ = ["Outcome", "ask", "classify"]

Answer = TypeVar("Answer")
Key = tuple[Hashable, ...]

_HOUR: Final = 3600


@dataclass(frozen=True, eq=False)
class Outcome:
    """A sound with its result, or with the problem for which there is none."""

    sound: Sound
    result: SongResult | None
    problem: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, if there is one."""
        return None if self.result is None else self.result.verdict

    @property
    def is_judged(self) -> bool:
        """True if there are probabilities: silence has a verdict without any."""
        return self.verdict is not None and bool(self.verdict.probabilities)


def classify(sounds: Sequence[Sound], model: ModelChoice) -> list[Outcome]:
    """Classify each sound; show progress where there are several and one takes its time."""
    known: set[tuple[str, ModelFile]] = st.session_state.setdefault("heard_before", set())
    progress = st.empty()
    outcomes = []
    for number, sound in enumerate(sounds):
        new = (sound.song.digest, model.file) not in known
        if new and len(sounds) > 1:
            text = f"Listening to {number + 1} of {len(sounds)}: {escape(sound.name)}"
            progress.progress(number / len(sounds), text)
        elif new:
            progress.caption(":material/hearing: Listening …")
        outcomes.append(_classified(sound, model.file))
        known.add((sound.song.digest, model.file))
    progress.empty()
    return outcomes


def _classified(sound: Sound, model: ModelFile) -> Outcome:
    try:
        return Outcome(sound, ask(analysis.analyse, sound.song, model))
    except ModelError:
        raise  # no song can be classified with it
    except GenreKitError as error:
        return Outcome(sound, None, str(error))


def ask(question: Callable[..., Answer], song: Song, *arguments: Hashable) -> Answer:
    """Answer a question about a song, from the cache or by a process of the pool.

    Parameters
    ----------
    question : function of `genrekit.verdict.analysis`
    song : Song
    *arguments : its other arguments, plain or dataclasses of plain values
    """
    name = question.__name__
    cached = _CACHES.get(name, _value)
    answer = cached(
        (name, song.digest, song.max_seconds, *arguments),
        lambda: song_workers.ask(question, song, *arguments, about=song.digest),
    )
    if isinstance(answer, AudioError):
        raise AudioError(*answer.args)
    return cast(Answer, answer)


# A verdict with its picture, and the neighbours of a long song, take up to 0.2 MB.
@st.cache_data(max_entries=256, ttl=_HOUR, show_spinner=False)
def _value(key: Key, _work: Callable[[], object]) -> object:
    start = perf_counter()
    try:
        answer = _work()
    except AudioError as error:
        logs.event("sound refused", duration=round(perf_counter() - start, 3))
        return error
    if isinstance(answer, SongResult):
        logs.event(
            "verdict",
            seconds=round(answer.seconds, 1),
            duration=round(perf_counter() - start, 3),
            sure=answer.verdict.genre is not None,
        )
    return answer


# Half a megabyte each.
@st.cache_data(max_entries=32, ttl=600, show_spinner=False)
def _excerpt(key: Key, _work: Callable[[], object]) -> object:
    return _work()


# Up to 60 MB each: shared, not copied, and few.
@st.cache_resource(max_entries=3, ttl=600, show_spinner=False)
def _rendering(key: Key, _work: Callable[[], object]) -> object:
    return _work()


_CACHES: Final[dict[str, Callable[[Key, Callable[[], object]], object]]] = {
    analysis.clicks.__name__: _rendering,
    analysis.evidence_sounds.__name__: _rendering,
    analysis.excerpt_sound.__name__: _excerpt,
    analysis.parts.__name__: _rendering,
    analysis.wav_rendering.__name__: _rendering,
}
