"""A pool of warm processes in which a server reads files of strangers.

A file that crashes a decoder, never ends or fills the memory costs one process, which is replaced.
Its sender gets one plain sentence; others wait a little longer.

Each process has a thread here that starts it, gives it calls, watches it and replaces it. A call
waits as if it had come later by the seconds that its owner and its address have used lately; the
last free process is kept for addresses whose calls are short. Calls about the same thing go to the
same process if it is free, since that has results in its caches.

Answers are read as plain values (`wire`), never as pickles. On Linux (`confine`), the processes
have no access to the network, to programs and to other processes, cannot change files, and read
none but their code and what they are given.
"""

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from genrekit import errors
from genrekit.errors import GenreKitError
from genrekit.isolation.handle import DIE_SECONDS, Handle, Lost, sweep
from genrekit.isolation.usage import Usage
from genrekit.isolation.wire import Wire, WireError

__all__ = ["WorkerBusy", "WorkerFault", "WorkerLost", "Workers"]

Result = TypeVar("Result")

_START_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = (1.0, 60.0)
_IDLE_LOOK_SECONDS: Final = 1.0
_MESSAGE_LETTERS: Final = 1000
# A process is replaced between calls when it keeps this share of its memory, and after this many
# calls: what a file has done to it does not last.
_RESTING_SHARE: Final = 0.8
_CALLS_A_LIFE: Final = 1000
# What the shortest call counts as used: owners of short calls take turns.
_LEAST_SECONDS: Final = 0.1
# What to expect of an address that has not asked yet: others are known to ask for less, or more.
_EXPECTED_SECONDS: Final = 4.0
# An address whose calls take longer leaves the last free process to others, as long as there was
# one of these within so many seconds.
_LONG_SECONDS: Final = 1.0
_LATELY_SECONDS: Final = 30.0
# How often a call is tried when processes die before they have received it.
_TRIES: Final = 3

# Messages are formatted here: the server's log keeps templates only.
_log = logging.getLogger("genrekit.isolation.pool")


class WorkerBusy(GenreKitError):
    """The call did not begin; try again later."""


class WorkerFault(GenreKitError):
    """The function has a bug, which is in the log."""


class WorkerLost(GenreKitError):
    """The call cost its process, for the reason in the message."""


_BUSY: Final = "Many people are listening right now: try again in a moment."
_UNABLE: Final = "The server cannot listen to songs at the moment: try again in a minute."
_CROWDED: Final = "Your network has many sounds waiting to be heard: try again in a moment."
_ENOUGH: Final = "You have sounds waiting to be heard already: wait for one of them."
_CRASH: Final = "Listening to it made the decoder crash: convert it to WAV, or try another file."
_CLOSED: Final = "The server is being stopped: try again in a minute."
_FAULT: Final = (
    "Something went wrong on our side while listening, and your input need not be the cause: "
    "try again, or try another file."
)


@dataclass(eq=False)
class _Call:
    message: list[memoryview]
    owner: str
    address: str
    home: int | None
    came: float = field(default_factory=time.monotonic)
    tries: int = 0
    answer: Future[Any] = field(default_factory=Future)


class Workers:
    """A pool of processes that answer calls; they start in the background, one after another.

    Parameters
    ----------
    count : int, >= 0; with 0 calls run in this process, without limits
    seconds : float, above 0, the longest that a call may run
    megabytes : float, above 0, the most memory that a process may use
        Warm, with PyTorch, it uses about 300.
    warm : function without arguments, run by each process before its first call, or None
    rest : function without arguments, or None
        Run by a process to free memory when it has had no call for `rest_after` seconds.
    types : dataclasses that occur in arguments and results
    readable : files and folders that a process may read, beside its own code
    waiting : int, >= 0, the most calls in the queue
        One owner may have a quarter, one address half, and each at least one.
    patience : float, above 0, the longest that a call may wait, in s
    niceness : int, 0 to 19, how far its processes give way to others

    A process finds functions by name in their modules; arguments and results are what `wire` sends.
    """

    def __init__(
        self,
        count: int,
        seconds: float,
        megabytes: float,
        warm: Callable[[], object] | None = None,
        *,
        rest: Callable[[], object] | None = None,
        rest_after: float = 20.0,
        types: Iterable[type] = (),
        readable: Iterable[str | os.PathLike[str]] = (),
        waiting: int = 32,
        patience: float = 60.0,
        niceness: int = 0,
    ) -> None:
        self._seconds = seconds
        self._megabytes = megabytes
        self._wire = Wire(types)
        self._about = {  # for `process`
            "types": self._wire.names,
            "readable": [str(Path(place).absolute()) for place in readable],
            "megabytes": megabytes,
            "warm": warm and _target(warm),
            "rest": rest and _target(rest),
            "rest_after": rest_after,
            "niceness": niceness,
        }
        self._most_waiting = waiting
        self._patience = patience
        self._lock = threading.Condition()
        self._starting = threading.Lock()
        self._waiting: list[_Call] = []
        self._used_by_address, self._used_by_owner = Usage(), Usage()
        self._calls_by_address = Usage()
        self._short_until = 0.0
        self._idle: set[int] = set()
        self._warm: set[int] = set()
        self._processes: dict[int, Handle] = {}
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._tend, args=(number,), name="worker", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def call(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        owner: str = "",
        address: str = "",
        about: str = "",
        **named_arguments: Any,
    ) -> Result:
        """Wait for the result of `function`, at most `patience` and `seconds` for each try.

        Parameters
        ----------
        owner : str, who asks
        address : str, where owners are; an empty one has no limit
            Whoever has used less of the processes lately comes first.
        about : str, the subject: calls with the same subject go to the same process if possible

        Raises
        ------
        GenreKitError
            As the function raises.
        WorkerBusy
            The queue is full or the wait too long, no process is ready, or the server stops.
        WorkerLost
            The call crashed, ran too long, or took too much memory.
        WorkerFault
            The function raised anything else, or its result cannot be sent.
        """
        if not self._threads:
            return function(*arguments, **named_arguments)
        message = self._wire.pack((_target(function), arguments, named_arguments))
        call = _Call(message, owner, address, self._home(about))
        self._queue(call)
        try:
            # When its process dies early, a call returns to the queue.
            while not wait([call.answer], self._patience).done:
                if self._withdraw(call):
                    raise WorkerBusy(_BUSY if self._warm else _UNABLE)
        except BaseException:
            self._withdraw(call)
            raise
        return cast(Result, call.answer.result())

    def ready(self, seconds: float) -> bool:
        """Wait until every process is warm and idle; False if that takes longer."""
        with self._lock:
            return self._lock.wait_for(lambda: len(self._idle) == len(self._threads), seconds)

    @property
    def processes(self) -> list[int]:
        """The ids of all processes, warm or not."""
        with self._lock:
            return [process.id for process in self._processes.values()]

    def close(self) -> None:
        """Kill all processes and refuse the calls that run or wait.

        A process that hangs in the kernel is left behind.
        """
        with self._lock:
            self._closed.set()
            for process in self._processes.values():
                process.kill()
            waiting, self._waiting = self._waiting, []
            self._lock.notify_all()
        for call in waiting:
            call.answer.set_exception(WorkerBusy(_CLOSED))
        end = time.monotonic() + DIE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    # -- the queue ----------------------------------------------------------------------------

    def _home(self, about: str) -> int | None:
        """Return the process for a subject, by rendezvous hashing."""
        if not about:
            return None

        def weight(number: int) -> bytes:
            return hashlib.sha256(f"{number} {about}".encode()).digest()

        return max(range(len(self._threads)), key=weight)

    def _queue(self, call: _Call) -> None:
        with self._lock:
            if self._closed.is_set():
                raise WorkerBusy(_CLOSED)
            near = [other for other in self._waiting if other.address == call.address]
            own = [other for other in near if other.owner == call.owner]
            if len(own) >= max(1, self._most_waiting // 4):
                raise WorkerBusy(_ENOUGH)
            if len(self._waiting) >= self._most_waiting + len(self._idle):
                raise WorkerBusy(_BUSY)
            if call.address and len(near) >= max(1, self._most_waiting // 2) + len(self._idle):
                raise WorkerBusy(_CROWDED)
            self._waiting.append(call)
            self._lock.notify_all()

    def _withdraw(self, call: _Call) -> bool:
        """Take a call out of the queue; False if it is no longer there."""
        with self._lock:
            there = call in self._waiting
            if there:
                self._waiting.remove(call)
            return there

    def _requeue(self, call: _Call) -> None:
        """Put a call that did not begin back; it keeps the time at which it came."""
        with self._lock:
            if self._closed.is_set():
                call.answer.set_exception(WorkerBusy(_CLOSED))
                return
            self._waiting.append(call)
            self._lock.notify_all()

    def _next(self, number: int) -> _Call | None:
        """Wait a while for the next call for a process."""
        with self._lock:
            self._idle.add(number)
            self._lock.notify_all()
            try:
                # Whoever is woken for nothing goes on waiting: to begin anew would wake the others.
                call = self._lock.wait_for(
                    lambda: self._closed.is_set() or self._take(number), _IDLE_LOOK_SECONDS
                )
                return call if isinstance(call, _Call) else None
            finally:
                self._idle.discard(number)
                if self._waiting:  # other processes may now take this one's subjects
                    self._lock.notify_all()

    def _take(self, number: int) -> _Call | None:
        """Return the call that is due first, of those that this process may take."""
        last = len(self._idle) == 1 < len(self._threads)
        kept = last and time.monotonic() < self._short_until
        calls = [
            call
            for call in self._waiting
            if (call.home in (None, number) or call.home not in self._idle)
            and not (kept and self._is_long(call.address))
        ]
        if not calls:
            return None
        call = min(calls, key=self._due)
        self._waiting.remove(call)
        self._note(call, _LEAST_SECONDS)
        return call

    def _due(self, call: _Call) -> float:
        by_address = self._used_by_address.of(call.address, unknown=_EXPECTED_SECONDS)
        return call.came + by_address + self._used_by_owner.of(call.owner)

    def _is_long(self, address: str) -> bool:
        """Return whether the calls of an address, or its first one, are expected to be long."""
        calls = self._calls_by_address.of(address)
        return self._used_by_address.of(address) > _LONG_SECONDS * calls or not calls

    def _note(self, call: _Call, seconds: float) -> None:
        self._used_by_address.add(call.address, seconds)
        self._used_by_owner.add(call.owner, seconds)

    # -- a process's thread -------------------------------------------------------------------

    def _tend(self, number: int) -> None:
        """Start one process after another. A process dies with the thread that started it, so this
        one lives as long as the pool."""
        pause = _RETRY_SECONDS[0]
        if number == 0:
            sweep()
        while not self._closed.is_set():
            try:
                with self._process(number) as process:
                    self._get_ready(process)
                    pause = _RETRY_SECONDS[0]
                    self._serve(number, process)
            except Exception as error:
                if not self._closed.is_set():
                    _log.error(f"A worker did not get ready: {_printable(str(error))}")
                self._closed.wait(pause)
                pause = min(2 * pause, _RETRY_SECONDS[1])

    @contextlib.contextmanager
    def _process(self, number: int) -> Iterator[Handle]:
        """Start a process; kill it at the end of the block."""
        process = Handle(self._about)
        with self._lock:
            self._processes[number] = process
        try:
            yield process
        finally:
            with self._lock:
                del self._processes[number]
                self._warm.discard(number)
            process.bury()

    def _get_ready(self, process: Handle) -> None:
        """Wait until a process is warm; one at a time, so that the first is ready sooner."""
        with self._starting:
            if self._closed.is_set():
                raise Lost("closed")
            process.begin()
            answer = self._wire.unpack(process.exchange([], _START_SECONDS))
        if answer != ("ready",):
            raise Lost(" ".join(map(str, answer)))

    def _serve(self, number: int, process: Handle) -> None:
        """Give calls to a process while it is usable."""
        self._warm.add(number)
        for _ in range(_CALLS_A_LIFE):
            call = None
            while call is None and not self._closed.is_set() and process.is_silent():
                call = self._next(number)
            if call is None or not self._do(process, call):
                return
            if process.resident() > _RESTING_SHARE * 1e6 * self._megabytes:
                return

    def _do(self, process: Handle, call: _Call) -> bool:
        """Run a call and finish it; return whether the process is still usable."""
        begun = time.monotonic()
        try:
            call.answer.set_result(self._ask(process, call))
        except GenreKitError as error:
            call.answer.set_exception(error)
        except Lost as lost:
            call.tries += 1
            if str(lost) == "early" and call.tries < _TRIES:
                self._requeue(call)
            elif self._closed.is_set():
                call.answer.set_exception(WorkerBusy(_CLOSED))
            else:
                call.answer.set_exception(self._lost(str(lost)))
            return False
        except Exception:
            _log.exception("The thread of a worker failed")
            call.answer.set_exception(WorkerFault(_FAULT))
            return False
        finally:
            with self._lock:
                self._note(call, max(0.0, time.monotonic() - begun - _LEAST_SECONDS))
                self._calls_by_address.add(call.address, 1.0)
                if not self._is_long(call.address):
                    self._short_until = time.monotonic() + _LATELY_SECONDS
        return True

    def _ask(self, process: Handle, call: _Call) -> Any:
        try:
            match self._wire.unpack(process.exchange(call.message, self._seconds)):
                case ("value", value):
                    return value
                case ("error", str(kind), str(text)) if kind in errors.__all__:
                    raise getattr(errors, kind)(_printable(text))
                case ("memory",):
                    raise Lost("memory")
                case ("fault", str(about)):
                    _log.error(f"A call failed in a worker: {_printable(about)}")
                    raise WorkerFault(_FAULT)
        except WireError as error:
            _log.error(f"A worker sent what cannot be read: {error}")
        raise Lost("crash")

    def _lost(self, reason: str) -> WorkerLost:
        _log.warning(f"A worker was lost: {reason}")
        remedy = "try a shorter piece of it, saved as WAV or MP3."
        texts = {
            "time": f"Listening took longer than {self._seconds:g} s and was stopped: {remedy}",
            "memory": f"Listening took more than {self._megabytes:g} MB of memory: {remedy}",
            "early": f"The process that was to listen ended before it began: {remedy}",
        }
        return WorkerLost(texts.get(reason, _CRASH))


def _target(function: Callable[..., object]) -> str:
    """Return the ``module:name`` by which another process finds a function."""
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<" in name:
        raise ValueError(f"{name} of {module} cannot be found by its name in another process")
    return f"{module}:{name}"


def _printable(text: str) -> str:
    """Return what a process says as one line of limited length, for a page or a log."""
    return "".join(c if c.isprintable() else " " for c in text)[:_MESSAGE_LETTERS]
