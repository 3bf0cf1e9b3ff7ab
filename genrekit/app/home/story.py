"""The story on the home page: one clip of music, from its sound wave to a verdict.

The pictures are computed from the clip and kept small. The verdict is the default model's, asked
for as the classify page asks, by a thread: nobody's first look at the page waits for a model. What
is drawn between them is that model's own path, from the levels that it reads to its genres.
"""

import base64
from concurrent.futures import Future
from itertools import pairwise
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from genrekit.app.classify import inputs
from genrekit.app.kit.charts import genre_colours
from genrekit.app.kit.clips import Clip
from genrekit.app.kit.component import component
from genrekit.app.kit.media import media_url
from genrekit.app.settings import settings
from genrekit.app.settled import when_settled
from genrekit.audio.decoder import load_audio
from genrekit.features.extraction import FeatureParams, log_mel
from genrekit.features.trace import clip_params
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.verdict.analysis import ModelFile, Song, SongResult

__all__ = ["PATH", "pictures", "story"]

Array = NDArray[np.floating[Any]]
Answer = Future[SongResult | str]

# As much as a picture a few centimetres wide can show.
COLUMNS: Final = 200
BANDS: Final = 64
_FLOOR_DB: Final = 60.0
# The default model's path, (channels, bands, moments): the picture of a segment, and what becomes
# of it after each stage of filters. Written down because the server never loads PyTorch; a test
# compares with the model itself.
PATH: Final = ((1, 128, 37), (32, 64, 19), (32, 32, 19), (64, 16, 10), (96, 8, 5), (96, 4, 5))
_HOUR: Final = 3600
_POLL_SECONDS: Final = 0.5

_mount: Final = component("story")


def story(clip: Clip) -> None:
    """Draw the story of a clip; the verdict joins the pictures when the model has answered."""
    answer = _asked(clip)
    waiting = answer is not None and not answer.done()
    st.fragment(_draw, run_every=_POLL_SECONDS if waiting else None)(clip, answer, waiting)


def _draw(clip: Clip, answer: Answer | None, waiting: bool) -> None:
    told = answer is not None and answer.done()
    _mount(
        key="story",
        data={
            "title": clip.title,
            "about": f"“{clip.title}”, heard by the model {DEFAULT_MODEL}.",
            "path": PATH,
            "seconds": clip.seconds,
            "floor": _FLOOR_DB,
            "pictures": _cached_pictures(clip),
            "sound": _sound(clip) if told else None,
            "verdict": _verdict(answer) if answer is not None and told else None,
        },
    )
    if waiting and told:
        st.rerun()  # nothing is left to ask for


# -- the pictures -------------------------------------------------------------------------------


@st.cache_data(max_entries=16, show_spinner=False)
def _cached_pictures(clip: Clip) -> dict[str, str]:
    rate = FeatureParams().sample_rate
    return {
        name: base64.b64encode(values.tobytes()).decode("ascii")
        for name, values in pictures(load_audio(clip.path, rate), FeatureParams()).items()
    }


def pictures(samples: Array, params: FeatureParams) -> dict[str, NDArray[Any]]:
    """What the story draws of a sound, one byte a value.

    Parameters
    ----------
    samples : ndarray, shape (samples,), at params.sample_rate

    Returns
    -------
    wave : int8, shape (COLUMNS, 2)
        Lowest and highest sample of each moment; 127 is the loudest of the clip.
    mel : uint8, shape (BANDS, COLUMNS)
        Level of each mel band, lowest band first; 255 is the loudest, 0 is 60 dB below it.

    Raises
    ------
    AudioError
        The sound is silent, or shorter than 0.3 s.
    """
    pieces = np.array_split(samples, COLUMNS)
    wave = np.array([(piece.min(), piece.max()) for piece in pieces])
    whole = clip_params(samples, params)
    level = _columns(log_mel(samples[np.newaxis], whole)[0])
    level = level.reshape(COLUMNS, BANDS, -1).max(axis=2)
    loudest = max(float(np.abs(wave).max()), 1e-6)
    above = np.clip((level - level.max()) / _FLOOR_DB + 1, 0, 1)
    return {
        "wave": np.rint(127 * wave / loudest).astype(np.int8),
        "mel": np.rint(255 * above.T).astype(np.uint8),
    }


def _columns(frames: Array) -> Array:
    """Frames, shape (frames, rows), averaged to `COLUMNS` of them, or repeated."""
    edges = np.linspace(0, len(frames), COLUMNS + 1).astype(int)
    return np.array([frames[a : max(b, a + 1)].mean(axis=0) for a, b in pairwise(edges)])


# -- the verdict --------------------------------------------------------------------------------


@st.cache_resource(max_entries=16, ttl=_HOUR, show_spinner=False)
def _asked(clip: Clip) -> Answer | None:
    """The default model's answer, now or soon; None where no server runs that could give one."""
    answer: Answer = Future()
    limits = settings()

    def ask() -> None:
        try:
            content = clip.path.read_bytes()
            song = Song(content, 60 * limits.song_minutes, max_channels=limits.song_channels)
            answer.set_result(inputs.hear(song, ModelFile.at(MODELS / DEFAULT_MODEL)))
        except Exception as error:
            answer.set_exception(error)

    return answer if when_settled(ask) else None


def _verdict(answer: Answer) -> dict[str, Any]:
    """For the drawing: the verdict of the whole clip and of each segment, or why there is none."""
    if answer.exception() is not None or isinstance(answer.result(), str):
        _asked.clear()  # the cause may pass
        return {"problem": "The model cannot answer just now. Reload the page to ask again."}
    heard = answer.result()
    assert not isinstance(heard, str)
    verdict = heard.verdict
    return {
        "genre": verdict.genre,
        "probabilities": verdict.probabilities,
        "colours": genre_colours(list(verdict.probabilities)),
        "segments": [
            [part.start, part.end, list(part.probabilities.values())] for part in verdict.segments
        ],
    }


def _sound(clip: Clip) -> str | None:
    return media_url(clip.path.read_bytes(), "audio/ogg", "story")
