"""The processes that decode and classify visitors' songs: one pool for the whole server.

Songs are never decoded in the server, whose memory holds every visit. The pool starts with the
server, in the background. With ``GENREKIT_LISTENERS=0`` there is none, and the server's process
does the work: for tests, and where songs can be trusted.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import streamlit as st

from genrekit.app import session
from genrekit.app.settings import settings
from genrekit.audio import degradation, source
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.rendering import render
from genrekit.errors import ModelError
from genrekit.isolation.pool import Workers
from genrekit.model import activations, bundle, neighbours, tags, verdicts
from genrekit.verdict import analysis
from genrekit.verdict.picture import Picture

__all__ = ["ask", "close", "warm_up"]

Result = TypeVar("Result")

_WARM_SECONDS: Final = 600.0

# To be stopped with the server; more than one only where Streamlit's caches were cleared.
_made: Final[list[Workers]] = []


def ask(
    function: Callable[..., Result], *arguments: object, about: str, owner: str | None = None
) -> Result:
    """Have a process of the pool call a function of `genrekit.verdict.analysis`.

    Parameters
    ----------
    about : str, the song's digest: the process that has decoded it is preferred
    owner : str, in whose turn the call waits; of None it is the visitor whose page asks

    Raises
    ------
    GenreKitError
        As the function; and `WorkerBusy` and `WorkerLost`, whose causes may pass.
    """
    owner = _owner() if owner is None else owner
    return _workers().call(function, *arguments, owner=owner, about=about)


def warm_up() -> None:
    """Start the pool and classify a song with each built-in model; for a thread of the server.

    Raises
    ------
    GenreKitError
        A built-in model cannot be used, or no process gets ready.
    """
    workers = _workers()
    if not workers.ready(_WARM_SECONDS):
        raise ModelError("The worker processes did not start in time.")
    song = analysis.Song(wav_bytes(render("jazz", seed=0, seconds=4.0), 22050), 60.0)
    for path in sorted(bundle.MODELS.glob("*/model.json")):
        workers.call(analysis.judge, song, analysis.ModelFile.at(path.parent))


def close() -> None:
    """Stop the pool and its processes at once; later calls are refused."""
    for workers in _made:
        workers.close()


@st.cache_resource(show_spinner=False, on_release=Workers.close)
def _workers() -> Workers:
    chosen = settings()
    workers = Workers(
        chosen.listeners,
        chosen.listen_seconds,
        chosen.listen_megabytes,
        analysis.warm_up,
        rest=analysis.clear_caches,
        types=[
            source.AudioInfo,
            analysis.SongResult,
            analysis.ModelFile,
            Picture,
            analysis.Song,
            analysis.StressTest,
            activations.Activations,
            analysis.Explanation,
            tags.SoundsLike,
            verdicts.SegmentVerdict,
            verdicts.Verdict,
            neighbours.Nearest,
            neighbours.SegmentMatch,
            neighbours.TrackMatch,
            degradation.Degradation,
        ],
        waiting=chosen.listen_waiting,
        patience=chosen.listen_seconds,
    )
    _made.append(workers)
    return workers


def _owner() -> str:
    """Return the visitor whose page asks; outside of a visit nobody."""
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    return session.owner() if get_script_run_ctx(suppress_warning=True) else ""
