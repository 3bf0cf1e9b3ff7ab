"""Decode the packets of a stream with FFmpeg, and go on behind those that cannot be decoded."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decoder"]

Array = NDArray[np.float32]

# Bytes that programs put between or behind frames: not sound, and no damage.
_TAGS: Final = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS", b"\0\0\0\0", b"3DI")
# Samples are collected into blocks of about this many values.
_BLOCK_VALUES: Final = 1 << 17
# One after the other that cannot be decoded; of a file of another kind, all of them could be so.
_MOST_FAILURES: Final = 1000
_MOST_RESTARTS: Final = 100
# More channels in planes are read beyond their end by PyAV.
_MOST_PLANES: Final = 8
_FULL_SCALE: Final = {"u8": 1 << 7, "s16": 1 << 15, "s32": 1 << 31, "flt": 1, "dbl": 1}
_TYPES: Final = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}
# A jump in time, s, is a loss if bytes were skipped for it, of this share of what it would take.
# After a pause of the recorder, the next bytes follow at once.
_JUMP: Final = 0.05
_SKIPPED_SHARE: Final = 0.3


class Decoder:
    """A stream that is being decoded.

    Parameters
    ----------
    opened, stream : of PyAV
    rate : int or None
        Sample rate of the result, Hz; that of the first frame if None.

    Attributes
    ----------
    rate, channels : int
        Of the first frame; 0 if there is none.
    failures : int
        Packets that could not be decoded.
    damaged_at : float or None, s
        The first place where something was left out, with sound behind it.
    lost : float, s
        How much was left out.
    incomplete : bool
        It ends with something that was to be sound.
    end : float, s
        The time stamp of the last sample.
    """

    def __init__(self, opened: Any, stream: Any, rate: int | None = None) -> None:
        self.channels = self.failures = 0
        self.damaged_at: float | None = None
        self.lost = self.end = 0.0
        self._opened = opened
        self._stream = stream
        self._seconds = 0.0
        self._bytes = 0
        self._failed: list[Any] = []
        self._failed_bytes = 0
        self._positions: deque[tuple[int, int]] = deque(maxlen=3)
        self._frames = self._decoded()
        self._first = next(self._frames, None)
        if self._first is not None:
            rate = rate or self._first.sample_rate
            self.channels = self._first.layout.nb_channels
        self.rate = rate or 0

    @property
    def incomplete(self) -> bool:
        """Return whether the end is sound that could not be decoded."""
        if not self._failed:
            return False
        is_frame = self._failed[0][0] == 0xFF and not self._failed[1:]
        return is_frame or self._failed_bytes > self._bytes / max(self._seconds, 1)

    def blocks(self) -> Iterator[Array]:
        """Yield all samples at the rate of the first, shape (channels, samples)."""
        import av

        kind: tuple[Any, ...] = ()
        resampler: av.AudioResampler | None = None
        waiting: list[list[NDArray[Any]]] = []
        values = 0
        for frame in self._all_frames():
            name, channels = frame.format.name, frame.layout.nb_channels
            if (name, channels, frame.sample_rate) != kind:
                if waiting:
                    yield _joined(waiting, *kind[:2])
                if resampler is not None:
                    yield from _packed(resampler.resample(None))
                kind, waiting, values = (name, channels, frame.sample_rate), [], 0
                plain = _sample_type(name) in _FULL_SCALE and channels <= _MOST_PLANES
                plain &= frame.sample_rate == self.rate
                resampler = None if plain else av.AudioResampler(format="flt", rate=self.rate)
            if resampler is not None:
                yield from _packed(resampler.resample(frame))
                continue
            waiting.append(_values(frame, name, channels))
            values += channels * frame.samples
            if values >= _BLOCK_VALUES:
                yield _joined(waiting, name, channels)
                waiting, values = [], 0
        if waiting:
            yield _joined(waiting, *kind[:2])
        if resampler is not None:
            yield from _packed(resampler.resample(None))

    def _all_frames(self) -> Iterator[Any]:
        if self._first is not None:
            yield self._first
        yield from self._frames

    def _decoded(self) -> Iterator[Any]:
        """The frames of all packets."""
        in_a_row = 0
        for packet in self._packets():
            try:
                frames = packet.decode()
            except _errors():
                self._note_failure(packet)
                in_a_row += 1
                if in_a_row > _MOST_FAILURES:
                    return
                continue
            if packet.size and packet.pos is not None:
                self._positions.append((packet.pos, packet.size))
            self._bytes += packet.size
            for frame in frames:
                in_a_row = 0
                if frame.samples and frame.sample_rate:
                    self._note(frame)
                    yield frame

    def _note_failure(self, packet: Any) -> None:
        self.failures += 1
        head = bytes(packet)[:16] if packet.size else b""
        if self._seconds and head and not head.startswith(_TAGS):
            self._failed.append(head)
            self._failed_bytes += packet.size

    def _note(self, frame: Any) -> None:
        """Compare a frame's time with the end of the one before."""
        length = frame.samples / frame.sample_rate
        at = self.end if frame.time is None else frame.time
        jump = at - self.end if self._seconds else 0.0
        if self._failed or (jump > _JUMP and self._skipped() > jump * self._needed()):
            if self.damaged_at is None:
                self.damaged_at = self._seconds
            self.lost += max(0.0, jump)
            self._failed, self._failed_bytes = [], 0
        self._seconds += length
        self.end = max(self.end, at + length) if self._seconds > length else at + length

    def _skipped(self) -> int:
        """Bytes between the last packets that belong to none of them."""
        positions = [*self._positions]
        return max(
            (at - before - size
             for (before, size), (at, _) in itertools.pairwise(positions)),
            default=0,
        )  # fmt: skip

    def _needed(self) -> float:
        """Bytes of sound in a second, less a margin."""
        return _SKIPPED_SHARE * self._bytes / self._seconds

    def _packets(self) -> Iterator[Any]:
        """The packets, also behind places where the container is damaged."""
        for _ in range(_MOST_RESTARTS):
            count = 0
            try:
                for packet in self._opened.demux(self._stream):
                    count += packet.size > 0
                    yield packet
                return
            except _errors():
                if not count:
                    return


def _errors() -> tuple[type[Exception], ...]:
    import av

    # PyAV raises IndexError for a packet of a stream that appears later.
    return av.FFmpegError, OSError, ValueError, IndexError


def _sample_type(name: str) -> str:
    return name.removesuffix("p")


def _packed(frames: list[Any]) -> Iterator[Array]:
    for frame in frames:
        if frame.samples:
            yield frame.to_ndarray().reshape(-1, frame.layout.nb_channels).T


def _values(frame: Any, name: str, channels: int) -> list[NDArray[Any]]:
    """The values of a frame in each plane; `to_ndarray` takes several times as long."""
    kind = _sample_type(name)
    count = frame.samples * (channels if kind == name else 1)
    return [np.frombuffer(plane, _TYPES[kind], count) for plane in frame.planes]


def _joined(pieces: list[list[NDArray[Any]]], name: str, channels: int) -> Array:
    """Frames of one format as floats of full scale 1, shape (channels, samples)."""
    kind = _sample_type(name)
    planes = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
    values = planes[0].reshape(-1, channels).T if kind == name else np.stack(planes)
    with np.errstate(over="ignore"):  # what is not finite becomes silence later
        samples: Array = values.astype(np.float32, copy=False)
    if kind == "u8":
        samples = samples - np.float32(_FULL_SCALE[kind])
    return samples if _FULL_SCALE[kind] == 1 else samples * np.float32(1 / _FULL_SCALE[kind])
