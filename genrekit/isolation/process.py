"""The process of a worker: `python -m genrekit.isolation.process ABOUT`, started by `handle`.

ABOUT is JSON: the parent's process id, the names of types that may be sent and of functions to run,
what else may be read than code, and the memory limit. Calls arrive on standard input and answers
leave on standard output, as messages of `wire`; what libraries print is discarded. The process gets
ready on the byte BEGIN; the byte BEGUN says that a call has arrived whole. An answer is a tuple
that begins with "ready", "value", "error" (raised on purpose), "fault" (any other) or "memory".
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

import genrekit
from genrekit import errors
from genrekit.errors import GenreKitError
from genrekit.isolation.confine import (
    die_with,
    forbid_syscalls,
    keep_to,
    limit_files,
    limit_memory,
)
from genrekit.isolation.wire import Incoming, Wire, named
from genrekit.system.memory import lacks_memory, trim_memory
from genrekit.system.portable import nice

__all__ = ["BEGIN", "BEGUN", "main"]

BEGIN: Final = b"!"
BEGUN: Final = b"."

_OWN: Final = Path(genrekit.__file__).parent
_FILE_BYTES: Final = 1 << 20


def main(about: str) -> None:
    """Get ready, then answer calls until standard input ends."""
    given = json.loads(about)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles it
    nice(given["niceness"])
    limit_files(_FILE_BYTES)
    calls, answers = _keep_pipes()
    keep_to(Path.cwd(), given["readable"])  # before the first other thread
    die_with(given["parent"])
    if os.read(calls, 1) != BEGIN:  # one process gets ready at a time
        return
    fault = ""
    try:
        wire = Wire(map(named, given["types"]))
        if given["warm"]:
            named(given["warm"])()
    except Exception as error:
        fault = _about(error)
    gc.collect()
    gc.freeze()
    limit_memory(given["megabytes"])
    forbid_syscalls()
    if fault:
        _send(answers, Wire([]).pack(("fault", fault)))
        return
    _send(answers, wire.pack(("ready",)))
    while True:
        if given["rest"] and not select.select([calls], [], [], given["rest_after"])[0]:
            named(given["rest"])()
            trim_memory()
        try:
            parts = _receive(calls)
        except MemoryError:
            _send(answers, [memoryview(BEGUN), *wire.pack(("memory",))])
            return
        if parts is None:
            return
        _send(answers, [memoryview(BEGUN)])
        _send(answers, _answer(wire, parts))


def _answer(wire: Wire, parts: list[bytearray]) -> list[memoryview]:
    try:
        target, arguments, named_arguments = wire.unpack(parts)
        parts.clear()  # to free what was copied
        return wire.pack(("value", named(target)(*arguments, **named_arguments)))
    except GenreKitError as error:
        kinds = (kind.__name__ for kind in type(error).__mro__)
        known = next(name for name in kinds if name in errors.__all__)
        return wire.pack(("error", known, str(error)))
    except Exception as error:
        return wire.pack(("memory",) if lacks_memory(error) else ("fault", _about(error)))


def _keep_pipes() -> tuple[int, int]:
    """Move both pipes to other file descriptors, and discard what libraries print."""
    calls, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    return calls, answers


def _receive(calls: int) -> list[bytearray] | None:
    message = Incoming(sys.maxsize)
    while count := os.readv(calls, [message.room]):
        if message.add(count):
            return message.parts
    return None


def _send(answers: int, pieces: list[memoryview]) -> None:
    for piece in pieces:
        while piece:
            piece = piece[os.write(answers, piece) :]


def _about(error: Exception) -> str:
    """Describe an error for the log by its class and lines; its text may quote a visitor's data."""
    lines = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(_OWN)
    ]
    return f"{type(error).__name__} at {', '.join(lines) or 'a place outside of the package'}"


if __name__ == "__main__":
    main(sys.argv[1])
