"""Mutations that know the structure of file formats.

A mutation knows the structure of a format: where its numbers stand and where its pieces begin
and end (`anatomy`). It overwrites the numbers, drops, repeats and swaps the pieces, and harms
bytes anywhere. Then, as often as not, checksums are made right again (`mend`), for a file that
fails its checksum tests little of a decoder. Everything follows from the dice.
"""

import json
import math
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

Dice = random.Random
Order = Literal["little", "big"]

_PIECES_MAX = 400
_SIZE_MAX = 4 << 20


@dataclass(frozen=True)
class Anatomy:
    """The vulnerable parts of a file.

    Attributes
    ----------
    numbers : (offset, size in bytes, byte order) of numbers in its headers
    pieces : (start, end) of its parts, which may lie in one another
    """

    numbers: tuple[tuple[int, int, Order], ...]
    pieces: tuple[tuple[int, int], ...]


def mutated(content: bytes, kind: str, others: Sequence[bytes], dice: Dice) -> bytes:
    """Return the content with one to eight kinds of damage.

    Parameters
    ----------
    kind : its format, a key of `_WALKERS`; others are taken as bytes without structure
    others : files of other formats, of which parts may be put in
    """
    magic = content[:12]
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 8))):
        harm = dice.choices(list(_HARMS), list(_HARMS.values()))[0]
        target = bytearray(content)
        harm(target, anatomy(kind, content), others, dice)
        content = bytes(target[:_SIZE_MAX])
    if dice.random() < 0.6:
        content = mend(kind, content)
    if dice.random() < 0.9:
        content = magic + content[len(magic) :]
    return content


# -- structure --------------------------------------------------------------------------------

_Number = tuple[int, int, Order]
_Piece = tuple[int, int]
# What a walker yields: a piece, and the numbers in its header.
_Part = tuple[_Piece, list[_Number]]


def anatomy(kind: str, content: bytes) -> Anatomy:
    """Return the vulnerable parts of a file, as far as a damaged one can be parsed."""
    numbers: list[_Number] = []
    pieces: list[_Piece] = []
    with suppress(IndexError, struct.error):
        for (start, end), inside in _WALKERS.get(kind, _no_parts)(content):
            pieces.append((start, min(end, len(content))))
            numbers += [n for n in inside if n[0] + n[1] <= len(content)]
            if len(pieces) >= _PIECES_MAX:
                break
    numbers = numbers or [(at, 4, "little") for at in range(0, min(len(content) - 4, 256), 4)]
    pieces = [p for p in pieces if p[0] < p[1]]
    if len(pieces) < 2:
        step = max(1, len(content) // 16)
        pieces = [(at, at + step) for at in range(0, len(content), step)]
    return Anatomy(tuple(numbers), tuple(pieces))


def _no_parts(content: bytes) -> Iterator[_Part]:
    return iter(())


def _every(start: int, end: int, size: int, order: Order) -> list[_Number]:
    """Return consecutive numbers; of a long table only the first few."""
    return [(at, size, order) for at in range(start, min(end, start + 24 * size), size)]


def _chunks(order: Order) -> Callable[[bytes], Iterator[_Part]]:
    """RIFF (little) and IFF (big): a name, a size, a body."""

    def walk(content: bytes) -> Iterator[_Part]:
        yield (0, 12), [(4, 4, order)]
        at = 12
        while at + 8 <= len(content):
            size = int.from_bytes(content[at + 4 : at + 8], order)
            end = at + 8 + size + size % 2
            numbers: list[_Number] = [(at, 4, order), (at + 4, 4, order)]
            if size <= 512:
                numbers += _every(at + 8, at + 8 + size, 2, order)
                numbers += _every(at + 8, at + 8 + size, 4, order)
            yield (at, end), numbers
            at = end

    return walk


def _au(content: bytes) -> Iterator[_Part]:
    yield (0, 24), _every(4, 24, 4, "big")
    yield (24, len(content)), []


def _flac(content: bytes) -> Iterator[_Part]:
    at, last = 4, False
    while not last:
        last = bool(content[at] & 0x80)
        end = at + 4 + int.from_bytes(content[at + 1 : at + 4], "big")
        numbers: list[_Number] = [(at, 1, "big"), (at + 1, 3, "big")]
        if not content[at] & 0x7F:
            fields = ((4, 2), (6, 2), (8, 3), (11, 3), (14, 8), (14, 3), (16, 2))
            numbers += [(at + offset, size, "big") for offset, size in fields]
        yield (at, end), numbers
        at = end
    for start, end in _flac_frames(content):
        yield (start, end), _every(start + 1, start + 16, 1, "big")


def _flac_frames(content: bytes) -> Iterator[_Piece]:
    """Return frames by their sync marks; a matching count rules out chance."""
    starts: list[int] = []
    at = content.find(b"\xff\xf8")
    while at >= 0 and at + 6 < len(content):
        if content[at + 4] in (len(starts), len(starts) + 1):
            starts.append(at)
        at = content.find(b"\xff\xf8", at + 2)
    yield from pairwise([*starts, len(content)])


def _ogg(content: bytes) -> Iterator[_Part]:
    for start, end in _between_marks(content, b"OggS"):
        fields = ((4, 1), (5, 1), (6, 8), (14, 4), (18, 4), (26, 1), (27, 1))
        numbers: list[_Number] = [(start + at, size, "little") for at, size in fields]
        if start == 0:  # the stream's own header
            numbers += _every(28, 58, 1, "little") + _every(39, 58, 4, "little")
        yield (start, end), numbers


def _between_marks(content: bytes, mark: bytes) -> Iterator[_Piece]:
    at = content.find(mark)
    while at >= 0:
        after = content.find(mark, at + len(mark))
        yield at, after if after >= 0 else len(content)
        at = after


def _mp3(content: bytes) -> Iterator[_Part]:
    at = 0
    if content.startswith(b"ID3"):
        at = 10 + sum((content[6 + i] & 0x7F) << 7 * (3 - i) for i in range(4))
        yield (0, at), _every(3, 10, 1, "big") + _every(10, 40, 4, "big")
    while at + 4 <= len(content):
        size = _mp3_frame_bytes(content[at : at + 4])
        if not size:
            at += 1
            continue
        numbers = _every(at + 1, at + 4, 1, "big")
        if b"Xing" in content[at : at + 48] or b"Info" in content[at : at + 48]:
            numbers += _every(content.find(b"n", at), at + 100, 4, "big")
        yield (at, at + size), numbers
        at += size


def _mp3_frame_bytes(head: bytes) -> int:
    """Return a layer III frame's size; 0 where its header is invalid."""
    version, rate_index, kbits_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if head[0] != 0xFF or head[1] & 0xE6 != 0xE2 or version == 1 or rate_index == 3:
        return 0
    kbits = (
        (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
        if version == 3
        else (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
    )[kbits_index]
    rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 144 if version == 3 else 72
    return samples * kbits * 1000 // rate + (head[2] >> 1 & 1) if kbits else 0


_BOXES = frozenset("moov trak mdia minf stbl udta edts dinf moof traf mvex".split())


def _boxes(content: bytes, at: int = 0, stop: int | None = None) -> Iterator[_Part]:
    """ISO base media: a size, a name, a body, which may hold boxes."""
    stop = len(content) if stop is None else min(stop, len(content))
    while at + 8 <= stop:
        size = int.from_bytes(content[at : at + 4], "big")
        end = at + max(size, 8)
        name = content[at + 4 : at + 8].decode("latin-1")
        numbers: list[_Number] = [(at, 4, "big"), (at + 4, 4, "big")]
        if name not in _BOXES and name != "mdat":
            numbers += _every(at + 8, end, 4, "big") + _every(at + 8, end, 2, "big")
        yield (at, end), numbers
        if name in _BOXES:
            yield from _boxes(content, at + 8, end)
        elif name == "stsd":
            yield from _boxes(content, at + 16, end)
        at = end


def _aac(content: bytes) -> Iterator[_Part]:
    at = 0
    while at + 7 <= len(content):
        size = (content[at + 3] & 3) << 11 | content[at + 4] << 3 | content[at + 5] >> 5
        if content[at] != 0xFF or size < 7:
            at += 1
            continue
        yield (at, at + size), _every(at + 1, at + 9, 1, "big")
        at += size


_MASTERS = frozenset({0x18538067, 0x1654AE6B, 0xAE, 0xE1, 0x1F43B675, 0x1549A966, 0x1A45DFA3})


def _ebml(content: bytes, at: int = 0, stop: int | None = None) -> Iterator[_Part]:
    """Matroska: a name and a size that say their own length, a body, which may hold more."""
    stop = len(content) if stop is None else min(stop, len(content))
    while at < stop and content[at]:
        id_bytes = 9 - content[at].bit_length()
        name = int.from_bytes(content[at : at + id_bytes], "big")
        size_at = at + id_bytes
        size_bytes = 9 - content[size_at].bit_length()
        size = int.from_bytes(content[size_at : size_at + size_bytes], "big")
        size &= (1 << 7 * size_bytes) - 1
        body = size_at + size_bytes
        end = min(body + size, stop)
        numbers: list[_Number] = [(at, 1, "big"), (size_at, size_bytes, "big")]
        if size <= 64:
            numbers += _every(body, end, 1, "big")
        yield (at, end), numbers
        if name in _MASTERS:
            yield from _ebml(content, body, end)
        at = end


def _asf(content: bytes) -> Iterator[_Part]:
    """Advanced Systems Format: a name of 16 bytes, a size of 8, a body."""
    at = 0
    while at + 24 <= len(content):
        size = int.from_bytes(content[at + 16 : at + 24], "little")
        first = at == 0
        end = at + (30 if first else max(24, size))  # the first one holds those of the header
        yield (at, end), [(at + 16, 8, "little"), *_every(at + 24, min(end, at + 120), 2, "little")]
        at = end


_LOCAL, _CENTRAL, _END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def _zip(content: bytes) -> Iterator[_Part]:
    fields = {
        _LOCAL: ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
        _CENTRAL: (
            *((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4)),
            *((28, 2), (30, 2), (32, 2), (34, 2), (36, 2), (38, 4), (42, 4)),
        ),
        _END: ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    }
    for start, end in _between_marks(content, b"PK"):
        inside = fields.get(content[start : start + 4], ())
        yield (start, end), [(start + at, size, "little") for at, size in inside]


def _parquet(content: bytes) -> Iterator[_Part]:
    """Pages, then a footer of Thrift with its size."""
    footer = max(4, len(content) - 8 - int.from_bytes(content[-8:-4], "little"))
    yield (4, footer), [(at, 1, "little") for at in range(4, min(64, footer))]
    inside: list[_Number] = [(at, 1, "little") for at in range(footer, len(content) - 8)]
    yield (footer, len(content) - 8), [*inside, *[(len(content) - 8, 4, "little")] * 20]


def _safetensors(content: bytes) -> Iterator[_Part]:
    end = 8 + int.from_bytes(content[:8], "little")
    yield (0, 8), [(0, 8, "little")]
    yield (8, end), [(at, 1, "little") for at in range(8, min(end, 2000))]
    yield (end, len(content)), [(at, 4, "little") for at in range(end, len(content) - 4, 4)]


_WALKERS: dict[str, Callable[[bytes], Iterator[_Part]]] = {
    "wav": _chunks("little"),
    "aiff": _chunks("big"),
    "au": _au,
    "flac": _flac,
    "ogg": _ogg,
    "opus": _ogg,
    "mp3": _mp3,
    "m4a": _boxes,
    "aac": _aac,
    "webm": _ebml,
    "wma": _asf,
    "zip": _zip,
    "parquet": _parquet,
    "safetensors": _safetensors,
}


# -- harm -------------------------------------------------------------------------------------

_Harm = Callable[[bytearray, Anatomy, Sequence[bytes], Dice], None]


def _flip_bits(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    for _ in range(dice.choice((1, 2, 8, 64))):
        if at := _place(data, where, dice):
            data[at - 1] ^= 1 << dice.randrange(8)


def _set_number(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    if where.numbers:
        at, size, order = dice.choice(where.numbers)
        data[at : at + size] = _value(size, dice).to_bytes(size, order)


def _nudge_number(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    if where.numbers:
        at, size, order = dice.choice(where.numbers)
        value = int.from_bytes(data[at : at + size], order)
        value = dice.choice((value + 1, value - 1, value + 8, value * 2, value // 2, value * 100))
        data[at : at + size] = (value % 256**size).to_bytes(size, order)


def _cut_off(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    border = dice.choice(where.pieces)[1] if where.pieces else 0
    near_end = len(data) - dice.randrange(1, 20)
    del data[max(1, dice.choice((border, near_end, dice.randrange(len(data) + 1)))) :]


def _drop_piece(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    start, end = _piece(data, where, dice)
    del data[start:end]


def _repeat_piece(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    start, end = _piece(data, where, dice)
    times = min(dice.choice((1, 1, 2, 20, 200)), _SIZE_MAX // max(1, end - start))
    data[end:end] = data[start:end] * times


def _swap_pieces(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    (a, b), (c, d) = sorted((_piece(data, where, dice), _piece(data, where, dice)))
    if b <= c:
        data[a:d] = data[c:d] + data[b:c] + data[a:b]


def _put_in(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    length = dice.choice((1, 2, 3, 4, 16, 500, 70_000))
    at = _place(data, where, dice)
    data[at:at] = dice.choice((dice.randbytes(length), bytes(length), b"\xff" * length))


def _blot(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    at = _place(data, where, dice)
    length = min(dice.choice((4, 16, 256, 4096, 50_000)), len(data) - at)
    ink = dice.choice((dice.randbytes(length), bytes(length), b"\xff" * length, b"\x7f" * length))
    data[at : at + length] = ink


def _splice(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    """Insert a part of a file of another format, append it, or replace the rest by it."""
    other = dice.choice(others) if others else b""
    start = dice.choice((0, dice.randrange(len(other) + 1)))
    part = other[start : start + dice.choice((16, 1000, 30_000, len(other)))]
    at = dice.choice((len(data), _place(data, where, dice)))
    data[at : dice.choice((at, len(data), at + len(part)))] = part


def _put_before(data: bytearray, where: Anatomy, others: Sequence[bytes], dice: Dice) -> None:
    """Return a tag as players write it, of a size that may be wrong, or noise."""
    length = dice.choice((0, 10, 300))
    claimed = dice.choice((length, length, 0x7F7F7F7F, length + 1))
    tag = b"ID3" + bytes((dice.choice((2, 3, 4, 255)), 0, dice.choice((0, 0x80, 0xFF))))
    data[0:0] = tag + claimed.to_bytes(4, "big") + dice.choice((bytes(length), b"TIT2" * 75))


def _place(data: bytearray, where: Anatomy, dice: Dice) -> int:
    """Return an offset from 0 to the length; half of them in headers or at borders."""
    if dice.random() < 0.5:
        return dice.randrange(len(data) + 1)
    headers = [number[0] for number in where.numbers[:500]]
    borders = [border for piece in where.pieces for border in piece]
    return min(len(data), dice.choice(headers + borders or [0]) + dice.randrange(3))


def _piece(data: bytearray, where: Anatomy, dice: Dice) -> _Piece:
    return dice.choice(where.pieces) if where.pieces else (0, len(data))


def _value(size: int, dice: Dice) -> int:
    """Return a number that is an edge case somewhere."""
    top = 256**size
    borders = (0, 0, 1, 2, 3, 7, 9, 32, 33, 63, 255, 256, 999, 8000, 65535, 192_000, 768_001)
    ends = (top - 1, top - 2, top // 2, top // 2 - 1, 1 << dice.randrange(8 * size))
    return dice.choice((*borders, *ends, dice.randrange(top), dice.randrange(top))) % top


_HARMS: dict[_Harm, int] = {
    _flip_bits: 4,
    _set_number: 6,
    _nudge_number: 3,
    _cut_off: 1,
    _drop_piece: 2,
    _repeat_piece: 2,
    _swap_pieces: 2,
    _put_in: 2,
    _blot: 2,
    _splice: 1,
    _put_before: 1,
}


# -- checksums --------------------------------------------------------------------------------


def mend(kind: str, content: bytes) -> bytes:
    """Return the content with correct checksums, so that readers get past them to the damage."""
    data = bytearray(content)
    mender = {"flac": _mend_flac, "ogg": _mend_ogg, "opus": _mend_ogg, "zip": _mend_zip}.get(kind)
    if mender:
        with suppress(IndexError, struct.error):
            mender(data)
    return bytes(data)


def _mend_flac(data: bytearray) -> None:
    """A checksum of 8 bits after each frame's header, one of 16 after the frame (RFC 9639)."""
    for start, end in list(_flac_frames(bytes(data))):
        lead = 8 - (data[start + 4] ^ 0xFF).bit_length()
        at = start + 4 + max(1, lead)
        at += {6: 1, 7: 2}.get(data[start + 2] >> 4, 0)
        at += {12: 1, 13: 2, 14: 2}.get(data[start + 2] & 15, 0)
        data[at] = _crc(data[start:at], 8, 0x07)
        data[end - 2 : end] = _crc(data[start : end - 2], 16, 0x8005).to_bytes(2, "big")


def _mend_ogg(data: bytearray) -> None:
    """Each page's checksum of 32 bits, taken with zeros in its place (RFC 3533)."""
    for start, _ in list(_between_marks(bytes(data), b"OggS")):
        table = data[start + 27 : start + 27 + data[start + 26]]
        end = start + 27 + len(table) + sum(table)
        data[start + 22 : start + 26] = bytes(4)
        crc = _crc(data[start:end], 32, 0x04C11DB7)
        data[start + 22 : start + 26] = crc.to_bytes(4, "little")


def _crc(data: bytes | bytearray, bits: int, polynomial: int) -> int:
    table, mask = _crc_table(bits, polynomial), (1 << bits) - 1
    crc = 0
    for byte in data:
        crc = (crc << 8 & mask) ^ table[crc >> bits - 8 ^ byte]
    return crc


@cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << bits - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> bits - 1 & 1 else 0)
            crc &= (1 << bits) - 1
        table.append(crc)
    return table


def _mend_zip(data: bytearray) -> None:
    """Checksum and sizes of each member, in both of its headers."""
    for start, _ in list(_between_marks(bytes(data), _CENTRAL)):
        (local,) = struct.unpack_from("<I", data, start + 42)
        if data[local : local + 4] != _LOCAL:
            continue
        name, extra = struct.unpack_from("<2H", data, local + 26)
        (packed,) = struct.unpack_from("<I", data, start + 20)
        body = bytes(data[local + 30 + name + extra :][:packed])
        if struct.unpack_from("<H", data, start + 10)[0] == 8:
            inflater = zlib.decompressobj(-15)
            try:
                body = inflater.decompress(body, _SIZE_MAX)
            except zlib.error:
                continue
        sums = struct.pack("<3I", zlib.crc32(body), packed, len(body))
        data[local + 14 : local + 26] = data[start + 16 : start + 28] = sums


# -- values -----------------------------------------------------------------------------------


def odd(dice: Dice) -> Any:
    """Return an unexpected value."""
    return dice.choice(
        (
            *(None, True, False, 0, -1, 1, 2, 7, 0.5, -0.0, 1e308, -1e308, 1e-320),
            *(2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
            *(math.nan, math.inf, -math.inf),
            *("", " ", "0", "x" * 5000, "\0", "a\nb", "\ud800", "\u202eüß🎸", "<b>$x$</b>", "../x"),
            *([], {}, [[]], [[[1]]], [None], ["a", "a"], {"a": 1}, {"": []}, [1, "a"], [1e400]),
        )
    )


def shaken(value: Any, dice: Dice) -> Any:
    """Return a copy of plain values with one of them replaced, removed, duplicated or renamed."""
    if isinstance(value, dict) and value and dice.random() < 0.95:
        key = dice.choice(list(value))
        rest = {k: v for k, v in value.items() if k != key}
        match dice.choices(("into", "drop", "rename", "more"), (80, 8, 4, 4))[0]:
            case "drop":
                return rest
            case "rename":
                return rest | {dice.choice(("", "x", key + " ", "__class__", "\0")): value[key]}
            case "more":
                return value | {dice.choice(("x", "format", "self", "kind")): odd(dice)}
        return value | {key: shaken(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        at = dice.randrange(len(value))
        match dice.choices(("into", "drop", "double", "more", "cut"), (70, 8, 8, 8, 8))[0]:
            case "drop":
                return value[:at] + value[at + 1 :]
            case "double":
                return value[:at] + value[at : at + 1] * 2 + value[at + 1 :]
            case "more":
                return [*value[:at], odd(dice), *value[at:]]
            case "cut":
                return value[:at]
        return [*value[:at], shaken(value[at], dice), *value[at + 1 :]]
    return odd(dice)


def shaken_text(value: Any, dice: Dice) -> bytes:
    """Return JSON of plain values with one to four mutated, or of extreme depth or length."""
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        value = shaken(value, dice)
    text = json.dumps(value)
    if dice.random() < 0.1:
        wild = ("[" * 100_000, '{"a":' * 5000, "9" * 5000, "1e999", "NaN", '"\\ud800"', "[1,]", "")
        numbers = [i for i, sign in enumerate(text) if sign.isdigit()] or [0]
        at = dice.choice(numbers)
        text = text[:at] + dice.choice(wild) + text[at + 1 :]
    return text.encode("utf-8", "surrogatepass")
