"""The walls around a job's process: what it may take, and in public what it may do.

A job reads what strangers have sent, with the decoders that a worker has. So in mode "public" its
process gives up what a worker gives up (`isolation/confine.py`): it changes no file outside of
its own folder, reads none but its code and its input, and has no network, no other programs and no
other processes. It therefore computes in one process.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from genrekit.isolation import confine
from genrekit.system.portable import POSIX

__all__ = ["SCRATCH", "Walls"]

# Named as the temporary files are that `storage.remove_leftovers` removes.
SCRATCH: Final = ".scratch.0.tmp"
_COMPUTE_IN_SEVERAL: Final = ("demo-data", "inspect", "preprocess")


@dataclass(frozen=True)
class Walls:
    """The limits of a job's process.

    Attributes
    ----------
    memory_megabytes : float
        Private memory: PyTorch could not start under a limit on its address space.
    disk_megabytes : float
        The largest file of a confined process; the queue watches the size of every job's folder.
    confined : bool
    readable : tuple of str
        What a confined process may read, beside its folder and its code.
    """

    memory_megabytes: float
    disk_megabytes: float
    confined: bool
    readable: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what `to_text` has written."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """Return the walls as an argument of the process."""
        return json.dumps(asdict(self))

    def put_up(self, folder: Path) -> None:
        """Give up, for good, what this process may not do; before it starts a thread."""
        if not POSIX:
            return
        if self.confined:
            scratch = folder.resolve() / SCRATCH
            scratch.mkdir(mode=0o700, exist_ok=True)
            os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
            os.umask(0o077)
            confine.limit_files(int(1e6 * self.disk_megabytes))
            confine.keep_to(folder, self.readable)
            confine.forbid_syscalls()
        confine.limit_memory(self.memory_megabytes)

    def fitted(self, command: Sequence[str]) -> list[str]:
        """Return a command that starts no processes where it could not."""
        alone = self.confined and command[0] in _COMPUTE_IN_SEVERAL
        return [*command, *(["--workers", "1"] if alone else [])]
