"""Sizes in the headers of WAV, AIFF and AU files, compared with the file.

Recorders that break off, streams and careless editors leave wrong sizes behind. Which bytes are
sound follows from the file, and the header is patched to say so.
"""

import re
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Literal

__all__ = ["SoundBytes", "sound_bytes"]

_MOST_CHUNKS: Final = 1000
# Writers that cannot go back leave the largest sizes that their programs know.
_PLACEHOLDER: Final = 0x7FFF0000
# Trailing bytes that are no chunk are sound from this length on, in seconds; less is clutter.
_CLUTTER_SECONDS: Final = 0.5
# Zeros are no sound, if so many follow.
_LOOKED_AT: Final = 1 << 16
_CHUNK_NAME: Final = re.compile(rb"[A-Za-z0-9 _\-(\xa9][A-Za-z0-9 _\-)]{3}")
# What WAV calls PCM, floats, A-law and mu-law, also in its extensible form.
_PLAIN_WAV: Final = (1, 3, 6, 7)
_PLAIN_AIFF: Final = (b"NONE", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"ulaw", b"alaw")
_PLAIN_AU: Final = (1, 2, 3, 4, 5, 6, 7, 27)

_Order = Literal["little", "big"]


@dataclass(frozen=True)
class SoundBytes:
    """The sound in a file, according to its header and its size.

    Attributes
    ----------
    plain : bool
        The samples are not compressed, so that libsndfile reads all of them.
    size : int
        Bytes of sound that the file holds.
    claimed : int or None
        Bytes of sound that the header promises and the file lacks; None if there is no promise.
    patches : dict of bytes by position
        Corrections to the header.
    """

    plain: bool
    size: int
    claimed: int | None = None
    patches: dict[int, bytes] = field(default_factory=dict)


def sound_bytes(file: BinaryIO, container: str, start: int) -> SoundBytes | None:
    """Find the sound of a "wav", "aiff" or "au" file whose header begins at `start`.

    None if the header is too strange to be understood here.
    """
    end = file.seek(0, 2)
    file.seek(start)
    head = file.read(64)
    if container == "au":
        return _au(head, end - start)
    return (_wav if container == "wav" else _aiff)(file, head, start, end)


def _au(head: bytes, size: int) -> SoundBytes | None:
    if len(head) < 24:
        return None
    offset, claimed, coding, rate, channels = (
        int.from_bytes(head[at : at + 4], "big") for at in range(4, 24, 4)
    )
    there = size - offset
    if there <= 0 or offset < 24:
        return None
    cut = there < claimed < _PLACEHOLDER
    # Clutter may stand behind the sound, but hardly ever half a second of it.
    kept = there - _CLUTTER_SECONDS * rate * channels < claimed <= there
    patches = {} if kept else {8: there.to_bytes(4, "big")}
    return SoundBytes(coding in _PLAIN_AU, there, claimed if cut else None, patches)


def _wav(file: BinaryIO, head: bytes, start: int, end: int) -> SoundBytes | None:
    order: _Order = "big" if head[:4] == b"RIFX" else "little"
    patches = {0: b"RF64"} if head[:4] == b"BW64" else {}
    bytes_a_second = 0
    block = 1
    coding = 0
    long_size = None
    for name, at, size in _chunks(file, start, end, order):
        if name == b"ds64":
            file.seek(at + 8)
            long_size = int.from_bytes(file.read(8), "little")
        elif name == b"fmt ":
            file.seek(at)
            body = file.read(40)
            coding = int.from_bytes(body[:2], order)
            bytes_a_second = int.from_bytes(body[8:12], order)
            block = int.from_bytes(body[12:14], order) or 1
            if coding == 0xFFFE and body[26:].startswith(b"\0\0\0\0\x10\0\x80\0"):
                coding = int.from_bytes(body[24:26], order)
        elif name == b"data":
            if not bytes_a_second:  # the format may stand behind the sound
                return None
            if size == 0xFFFFFFFF and long_size:
                size = long_size
            there, claimed, kept = _reconciled(file, at, size, end, bytes_a_second, order)
            if not kept:
                patches[at - 4 - start] = min(there, 2**32 - 1).to_bytes(4, order)
                if long_size is not None:
                    patches[28] = there.to_bytes(8, "little")
            return SoundBytes(coding in _PLAIN_WAV, there // block * block, claimed, patches)
    return None


def _aiff(file: BinaryIO, head: bytes, start: int, end: int) -> SoundBytes | None:
    coding, frame, frames, counted_at, rate = b"", 0, 0, 0, 0.0
    sound = None
    for name, at, size in _chunks(file, start, end, "big"):
        if name == b"COMM":
            file.seek(at)
            body = file.read(22)
            coding = body[18:22] if head[8:12] == b"AIFC" else b"NONE"
            channels, bits = (int.from_bytes(body[i : i + 2], "big") for i in (0, 6))
            counted_at, frames = at + 2, int.from_bytes(body[2:6], "big")
            frame = channels * ((bits + 7) // 8)
            exponent, mantissa = (int.from_bytes(body[i:j], "big") for i, j in ((8, 10), (10, 18)))
            if not 16383 <= exponent <= 16383 + 31:  # 1 Hz to 4 GHz
                return None
            rate = mantissa * 2.0 ** (exponent - 16383 - 63)
        elif name == b"SSND":
            sound = at, size
        if sound and coding:
            break
    if not sound or not frame:
        return None
    at, size = sound
    there, claimed, kept = _reconciled(file, at, size, end, frame * rate, "big")
    patches = {}
    if not kept:
        patches[at - 4 - start] = min(there, 2**31 - 1).to_bytes(4, "big")
        patches[counted_at - start] = ((there - 8) // frame).to_bytes(4, "big")
    elif abs(size - 8 - frames * frame) >= 8 * frame:
        patches[counted_at - start] = ((size - 8) // frame).to_bytes(4, "big")
    return SoundBytes(coding in _PLAIN_AIFF, there, claimed, patches)


def _chunks(file: BinaryIO, start: int, end: int, order: _Order) -> "list[tuple[bytes, int, int]]":
    """Name, position of the content, and stated size of each chunk, as far as they make sense."""
    found: list[tuple[bytes, int, int]] = []
    at = start + 12
    while at + 8 <= end and len(found) < _MOST_CHUNKS:
        file.seek(at)
        head = file.read(8)
        name, size = head[:4], int.from_bytes(head[4:], order)
        if not _CHUNK_NAME.fullmatch(name):
            break
        found.append((name, at + 8, size))
        at += 8 + size + size % 2
    return found


def _reconciled(
    file: BinaryIO, at: int, size: int, end: int, bytes_a_second: float, order: _Order
) -> tuple[int, int | None, bool]:
    """Bytes of sound there are, bytes promised if more, and if the stated size is right."""
    there = end - at
    if size > there:
        return there, (None if size >= _PLACEHOLDER else size), False
    rest = there - size - size % 2
    if rest < _CLUTTER_SECONDS * bytes_a_second and size:
        return size, None, True
    file.seek(at + size + size % 2)
    following = file.read(_LOOKED_AT)
    length = int.from_bytes(following[4:8], order)
    is_chunk = _CHUNK_NAME.fullmatch(following[:4]) and length <= rest
    if not rest or (size and (is_chunk or not any(following))):
        return size, None, True
    return there, None, False
