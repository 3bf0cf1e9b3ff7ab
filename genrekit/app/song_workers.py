"""The processes that decode and classify visitors' songs, for the whole server.

Songs are never decoded in the server, whose memory holds every visit. The processes start with the
server, in the background. What librosa computes has a process of its own, which starts last and
yields to the others: no verdict waits for it. With ``GENREKIT_LISTENERS=0`` there are none, and the
server's process does the work: for tests, and where songs can be trusted.
"""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from genrekit.app import session
from genrekit.app.logs import event
from genrekit.app.once import Once
from genrekit.app.settings import settings
from genrekit.app.visitors import Visitor
from genrekit.audio import degradation, source
from genrekit.audio.encode import wav_bytes
from genrekit.audio.synth.rendering import render
from genrekit.errors import ModelError
from genrekit.isolation.pool import WorkerBusy, Workers
from genrekit.model import activations, bundle, neighbours, tags, verdicts
from genrekit.music import compiled
from genrekit.music.key import Key
from genrekit.system.portable import POSIX
from genrekit.verdict import analysis
from genrekit.verdict.picture import Picture

__all__ = ["ask", "close", "warm_up"]

Result = TypeVar("Result")

_WARM_SECONDS: Final = 600.0
_MUSIC_SECONDS: Final = 20.0
# Pages go before verdicts, and verdicts before music.
_NICE: Final = 5
_NICER: Final = 10

# What librosa's process answers.
_MUSIC: Final = (analysis.rhythm, analysis.clicks, analysis.parts)
_music_prepared: Final = threading.Event()
# To be stopped with the server; more than two only in tests.
_made: Final[list[Workers]] = []
_compiling: Final[list[subprocess.Popen[bytes]]] = []


def ask(
    function: Callable[..., Result], *arguments: object, about: str, visitor: Visitor | None = None
) -> Result:
    """Have a process of the pool call a function of `genrekit.verdict.analysis`.

    Parameters
    ----------
    about : str, the song's digest: the process that has decoded it is preferred
    visitor : in whose turn the call waits; of None it is the one whose page asks

    Raises
    ------
    GenreKitError
        As the function; and `WorkerBusy` and `WorkerLost`, whose causes may pass.
    """
    visitor = visitor or _visitor()
    asks = {"owner": visitor.name, "address": visitor.address, "about": about}
    try:
        return _ask(function, *arguments, **asks)
    except WorkerBusy:
        event("question refused", reason="busy")
        raise


def _ask(function: Callable[..., Result], *arguments: object, **asks: str) -> Result:
    if function not in _MUSIC:
        return _workers().call(function, *arguments, **asks)
    if _listeners() and not _music_prepared.wait(_MUSIC_SECONDS):
        raise WorkerBusy(
            "Rhythm and key are still being prepared, as once after an installation: they come in "
            "a minute or so."
        )
    return _musicians().call(function, *arguments, **asks)


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
    threading.Thread(target=_get_ready_for_music, name="music", daemon=True).start()


def _get_ready_for_music() -> None:
    """Have librosa's functions compiled, unless they are kept already; start their process."""
    if _listeners() and not compiled.kept().is_dir():
        compiler = subprocess.Popen(
            [sys.executable, "-m", compiled.__name__],
            cwd=Path(compiled.__file__).parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _compiling.append(compiler)
        if compiler.wait() < 0:
            return  # killed with the server
    _musicians().ready(_WARM_SECONDS)
    _music_prepared.set()


def close() -> None:
    """Stop the pool and its processes at once; later calls are refused."""
    for compiler in _compiling:
        compiler.kill()
        compiler.wait()
    for workers in _made:
        workers.close()


def _listeners() -> int:
    """Return how many processes listen: none on Windows, whose pipes cannot be watched."""
    return settings().listeners if POSIX else 0


def _pool(count: int, warm: Callable[[], object], niceness: int) -> Workers:
    chosen = settings()
    workers = Workers(
        count,
        chosen.listen_seconds,
        chosen.listen_megabytes,
        warm,
        rest=analysis.clear_caches,
        readable=[bundle.MODELS, chosen.jobs_folder],  # visitors' own models are there
        types=[
            source.AudioInfo,
            analysis.SongResult,
            analysis.ModelFile,
            Picture,
            analysis.Song,
            analysis.StressTest,
            analysis.Rhythm,
            Key,
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
        niceness=niceness,
    )
    _made.append(workers)
    return workers


def _visitor() -> Visitor:
    """Return the visitor whose page asks; outside of a visit nobody."""
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    inside = get_script_run_ctx(suppress_warning=True)
    return session.visitor() if inside else Visitor("", "")


_workers: Final = Once(lambda: _pool(_listeners(), analysis.warm_up, _NICE), Workers.close)
_musicians: Final = Once(lambda: _pool(min(1, _listeners()), compiled.load, _NICER), Workers.close)
