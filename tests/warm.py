"""Processes that start with everything imported: a job starts in a tenth of the time.

`Warm` stands in for `subprocess.Popen` where `python -m genrekit.app.jobs.run FOLDER` is started:
with the same streams, environment, inherited files and session, but copied from a process that has
the libraries loaded. Each job believes that the machine has one processor, so that it reads files
by itself, instead of starting processes for two or three.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import DupFd
from typing import Any, BinaryIO

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "genrekit.app.jobs.run",
        "genrekit.dataset.inspection",
        "genrekit.training.leak",
        "genrekit.model.neighbours_fit",
        "genrekit.dataset.build",
        "genrekit.audio.synth.demo",
        "genrekit.training.loop",
        "pyarrow.parquet",
        "scipy.signal",
        "soundfile",
        "soxr",
        "tqdm",
    ]
)


class Warm:
    """The part of `subprocess.Popen` that `genrekit.app.jobs.process` uses."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        stdin: int,
        stdout: BinaryIO,
        stderr: BinaryIO,
        pass_fds: Sequence[int],
        start_new_session: bool,
    ) -> None:
        assert command[:3] == [sys.executable, "-m", "genrekit.app.jobs.run"]
        assert start_new_session
        here, there = _CONTEXT.Pipe(duplex=False)
        files = [DupFd(stdout.fileno()), DupFd(stderr.fileno()), *map(DupFd, pass_fds)]
        given = (command[3:], os.fspath(cwd), dict(env), files, there)
        self._process = _CONTEXT.Process(target=_run, args=given)
        self._process.start()
        there.close()
        here.recv()  # from here on it has a process group of its own, which can be killed
        here.close()
        self.pid = self._process.pid

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode


def _run(
    arguments: Sequence[str],
    cwd: str,
    env: Mapping[str, str],
    files: Sequence[Any],
    ready: Connection,
) -> None:
    os.setsid()
    output, errors, *_kept = (file.detach() for file in files)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    os.cpu_count = lambda: 1
    ready.send(True)
    ready.close()
    from genrekit.app.jobs.run import main

    sys.exit(main(*arguments))
