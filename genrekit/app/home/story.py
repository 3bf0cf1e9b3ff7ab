"""The story on the home page: one clip of music, from its sound wave to a verdict.

The pictures are computed from the clip and kept small. The verdict is the default model's, from
the same cache as on the classify page, and so is what its layers put out; a thread asks for both,
so that the page does not wait for a model.
"""

import base64
from concurrent.futures import Future
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from genrekit.app.classify.inputs import bounded_song
from genrekit.app.classify.questions import ask
from genrekit.app.kit.charts import genre_colours
from genrekit.app.kit.clips import Clip
from genrekit.app.kit.component import component
from genrekit.app.kit.media import media_url
from genrekit.app.settled import when_settled
from genrekit.audio.decoder import load_audio
from genrekit.features.extraction import FeatureParams, log_mel
from genrekit.features.presets import PRESETS
from genrekit.features.trace import clip_params
from genrekit.model.activations import Activations
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.verdict.analysis import ModelFile, SongResult, activations, analyse

__all__ = ["pictures", "story"]

Array = NDArray[np.floating[Any]]
Answer = Future[tuple[SongResult, Activations]]

# As fine as a picture a few centimetres wide can show.
COLUMNS: Final = 200
PARAMS: Final = PRESETS[DEFAULT_MODEL]
_FLOOR_DB: Final = 60.0
_BRIGHT: Final = "In 4, dark is a filter's lowest output in this clip; bright is far above it."
_HOUR: Final = 3600
_POLL_SECONDS: Final = 0.5

_mount: Final = component("story")


def story(clip: Clip) -> None:
    """Draw the story of a clip; the verdict joins the pictures once the model has answered."""
    answer = _asked(clip)
    told = _verdict(answer) if answer is not None and answer.done() else None
    _mount(
        key="story",
        data={
            "about": f"The clip is “{clip.title}”, heard by the built-in model. {_BRIGHT}",
            **_cached_pictures(clip),
            "sound": media_url(clip.path.read_bytes(), "audio/ogg", "story"),
            "verdict": told,
        },
    )
    if answer is not None and told is None:
        _wait_for(answer)


@st.fragment(run_every=_POLL_SECONDS)
def _wait_for(answer: Answer) -> None:
    """Draw the page again once there is an answer; until then nothing is sent."""
    if answer.done():
        st.rerun()


# -- the pictures -------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _cached_pictures(clip: Clip) -> dict[str, Any]:
    samples = load_audio(clip.path, PARAMS.sample_rate)
    drawn = {name: _text(values) for name, values in pictures(samples, PARAMS).items()}
    seconds = len(samples) / PARAMS.sample_rate
    return {"seconds": seconds, "bands": PARAMS.n_mels, "pictures": drawn}


def pictures(samples: Array, params: FeatureParams) -> dict[str, NDArray[Any]]:
    """Return the story's pictures of a sound, one byte for each value.

    Parameters
    ----------
    samples : ndarray, shape (samples,), at params.sample_rate

    Returns
    -------
    wave : int8, shape (COLUMNS, 2)
        Lowest and highest sample of each moment; 127 is the clip's peak.
    mel : uint8, shape (params.n_mels, COLUMNS)
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
    loudest = max(float(np.abs(wave).max()), 1e-6)
    above = np.clip((level - level.max()) / _FLOOR_DB + 1, 0, 1)
    return {
        "wave": np.rint(127 * wave / loudest).astype(np.int8),
        "mel": np.rint(255 * above.T).astype(np.uint8),
    }


def _columns(frames: Array) -> Array:
    """Average or repeat frames, shape (frames, rows), to `COLUMNS` of them."""
    edges = np.linspace(0, len(frames), COLUMNS + 1).astype(int)
    return np.array([frames[a : max(b, a + 1)].mean(axis=0) for a, b in pairwise(edges)])


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


# -- the verdict --------------------------------------------------------------------------------


@st.cache_resource(max_entries=16, ttl=_HOUR, show_spinner=False)
def _asked(clip: Clip) -> Answer | None:
    """Return the default model's answer, now or later; None where no server runs."""
    answer: Answer = Future()

    def work() -> None:
        try:
            song = bounded_song(clip.path.read_bytes())
            model = ModelFile.at(MODELS / DEFAULT_MODEL)
            answer.set_result((ask(analyse, song, model), ask(activations, song, model)))
        except Exception as error:
            answer.set_exception(error)

    return answer if when_settled(work) else None


@lru_cache(maxsize=16)
def _verdict(answer: Answer) -> dict[str, Any]:
    """Return the verdicts on the clip and each segment, and how the network gets there.

    If there are none, return why.
    """
    if answer.exception() is not None:
        _asked.clear()  # the cause may pass
        return {"problem": "The model cannot answer just now. Reload the page to ask again."}
    result, inside = answer.result()
    verdict = result.verdict
    return {
        "genre": verdict.genre,
        "confidence": verdict.confidence,
        "colours": genre_colours(list(verdict.probabilities)),
        "segments": [[part.start, part.end, part.probabilities] for part in verdict.segments],
        "seen": _text(inside.seen),
        "layers": [[layer.shape[1], _text(layer)] for layer in inside.layers],
    }
