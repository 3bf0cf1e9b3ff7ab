"""librosa's compiled functions: made once in the background, kept on disk, and lent to workers.

    python -m genrekit.music.compiled

Numba compiles parts of librosa to machine code, which takes half a minute of a processor, and can
keep it in a folder that it must be able to write to. A worker may write only to a folder of its
own, so it copies what has been kept there. Where nothing has been kept, or where it was compiled
for another processor, it compiles for itself and forgets.
"""

import contextlib
import os
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

from genrekit.isolation.confine import die_with
from genrekit.music.key import find_key
from genrekit.music.parts import separate
from genrekit.music.rhythm import SAMPLE_RATE, beat_times, clicks_added
from genrekit.system.portable import nice

__all__ = ["kept", "load", "main"]

_VARIABLE: Final = "NUMBA_CACHE_DIR"
_NICE: Final = 10
# What a compilation is kept in until it is whole; an older one was killed.
_UNFINISHED: Final = "unfinished-"
_OLD_SECONDS: Final = 3600


def kept() -> Path:
    """Return the folder for these versions, which need not exist: beside Python's own."""
    versions = "-".join(f"{name}-{version(name)}" for name in ("librosa", "numba"))
    return Path(__file__).parent / "__pycache__" / versions


def load() -> None:
    """Get a worker's process ready for music; its working folder must be its own."""
    own = Path.cwd() / "compiled"
    with contextlib.suppress(OSError):
        shutil.copytree(kept(), own, dirs_exist_ok=True)
    os.environ[_VARIABLE] = str(own)
    _use()


def main() -> None:
    """Compile, and keep the result if the folder's own can be written to."""
    die_with(os.getppid())
    nice(_NICE)
    folder = kept()
    try:
        folder.parent.mkdir(exist_ok=True)
        for left in folder.parent.glob(f"{_UNFINISHED}*"):
            if time.time() - left.stat().st_mtime > _OLD_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        new = tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent)
    except OSError:
        return
    os.environ[_VARIABLE] = new
    _use()
    Path(new).chmod(0o755)  # for a server that runs as somebody else
    try:
        Path(new).rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(new, ignore_errors=True)


def _use() -> None:
    """Call everything once."""
    clicks = np.zeros(4 * SAMPLE_RATE, np.float32)
    clicks[:: SAMPLE_RATE // 2] = 0.5
    clicks_added(clicks, beat_times(clicks))
    find_key(clicks)
    separate(clicks)


if __name__ == "__main__":
    main()
