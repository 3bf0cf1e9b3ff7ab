"""What the structure of a coded file promises: whether it is cut, and how long it should be.

Only what a writer must state is believed: sizes of boxes, pages and objects, and counts that are
written last. Estimates of the length are not.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from genrekit.audio.recognition import Found, mpeg_frame

__all__ = ["Promise", "chain", "promise"]

_MOST_BOXES: Final = 100_000
# Bytes of tags that may stand behind an MP3.
_SHORT_TAGS: Final = 4096
_MOST_LINKS: Final = 10_000
_LONGEST_PAGE: Final = 27 + 255 + 255 * 255
_SEARCHED_TAIL: Final = 1 << 20
_ASF_FILE: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# A tag of MP3 that states fewer bytes than this share of itself too much is not wrong, but precise.
_NEARLY: Final = 0.98


@dataclass(frozen=True)
class Promise:
    """What a file promises.

    Attributes
    ----------
    cut : bool
        It ends in the middle of something that states its size.
    seconds : float or None
        The length that its header counts, of a container whose header can be trusted for it.
    unfinished : bool
        What is written last is missing altogether.
    protected : bool
        The sound is encrypted.
    exact : bool
        Its counts fit the file, so that a decoder which relies on them reads all of it.
    """

    cut: bool = False
    seconds: float | None = None
    unfinished: bool = False
    protected: bool = False
    exact: bool = False


def promise(file: BinaryIO, found: Found) -> Promise:
    """Return what a recognised file promises."""
    readers = {"m4a": _boxes, "webm": _segment, "wma": _objects, "ogg": _pages, "mp3": _xing}
    read = readers.get(found.container)
    if read is None:
        return Promise()
    try:
        return read(file, found.start, file.seek(0, 2))
    except OSError:
        return Promise(cut=True)


def _at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def _boxes(file: BinaryIO, start: int, end: int) -> Promise:
    """MP4: `moov` is the index, `mdat` the sound, each with its size in front."""
    at, indexed, sound, cut, protected = start, False, False, False, False
    for _ in range(_MOST_BOXES):
        head = _at(file, at, 16)
        name = head[4:8]
        if len(head) < 8 or not name.isalnum():
            break
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:
            size = end - at
        if size < 8:
            break
        indexed |= name in (b"moov", b"moof")
        sound |= name == b"mdat"
        if name == b"moov":
            content = _at(file, at, min(size, _SEARCHED_TAIL))
            protected = b"drms" in content or b"enca" in content
        if at + size > end:
            cut = name in (b"moov", b"moof", b"mdat")
            break
        at += size
    return Promise(cut, unfinished=not indexed, protected=protected)


def _segment(file: BinaryIO, start: int, end: int) -> Promise:
    """Matroska: the segment states its size, unless it was written to a stream."""
    at = start
    for _ in range(2):
        head = _at(file, at, 12)
        if len(head) < 6 or not head[4]:
            return Promise()
        length = 9 - head[4].bit_length()
        stated = int.from_bytes(head[4 : 4 + length], "big") & ((1 << 7 * length) - 1)
        if head[:4] == b"\x18\x53\x80\x67":
            unknown = stated == (1 << 7 * length) - 1
            return Promise(not unknown and at + 4 + length + stated > end)
        at += 4 + length + stated
    return Promise()


def _objects(file: BinaryIO, start: int, end: int) -> Promise:
    """ASF: the header states the size of the file, unless it was broadcast."""
    head = _at(file, start, 1 << 16)
    at = head.find(_ASF_FILE)
    if at < 0 or len(head) < at + 104:
        return Promise()
    size, _, _, ticks, _, preroll = (
        int.from_bytes(head[i : i + 8], "little") for i in range(at + 40, at + 88, 8)
    )
    if head[at + 88] & 1:  # broadcast: the sizes mean nothing
        return Promise()
    return Promise(end - start < size, ticks / 1e7 - preroll / 1e3)


def _pages(file: BinaryIO, start: int, end: int) -> Promise:
    """Ogg: the last page states the sizes of its segments (RFC 3533, section 6)."""
    begin = max(start, end - _SEARCHED_TAIL)
    tail = _at(file, begin, _SEARCHED_TAIL)
    tail = tail.rstrip(b"\0") if tail.count(b"\0", -_LONGEST_PAGE) > _LONGEST_PAGE // 2 else tail
    at = tail.rfind(b"OggS\0")
    header, lengths = tail[at : at + 27], tail[at + 27 :]
    if at < 0:
        return Promise()
    if len(header) < 27 or len(lengths) < header[26]:
        return Promise(cut=True)
    return Promise(cut=len(lengths) < header[26] + sum(lengths[: header[26]]))


def _xing(file: BinaryIO, start: int, end: int) -> Promise:
    """MP3: a tag in the first frame counts frames and bytes.

    The bytes decide, for editors and joined files leave a wrong count of frames behind.
    """
    head = _at(file, start, 4096)
    frame = mpeg_frame(head)
    if frame is None:
        return Promise()
    length, (_, _, rate, samples) = frame
    tag = max(head.find(b"Xing", 0, length), head.find(b"Info", 0, length))
    if tag < 0:
        return Promise()
    flags = int.from_bytes(head[tag + 4 : tag + 8], "big")
    at = tag + 8
    frames = bytes_ = None
    if flags & 1:
        frames, at = int.from_bytes(head[at : at + 4], "big"), at + 4
    if flags & 2:
        bytes_, at = int.from_bytes(head[at : at + 4], "big"), at + 4
    at += 100 if flags & 4 else 0
    at += 4 if flags & 8 else 0
    padding = 0
    if head[at : at + 4] in (b"LAME", b"Lavf", b"Lavc", b"GOGO"):
        gaps = int.from_bytes(head[at + 21 : at + 24], "big")
        padding = (gaps >> 12) + (gaps & 0xFFF)
    seconds = max(0, frames * samples - padding) / rate if frames else None
    if bytes_ is None:
        return Promise(seconds=seconds)
    if end - start < _NEARLY * bytes_:
        return Promise(True, seconds)
    return Promise(exact=frames is not None and 0 <= end - start - bytes_ <= _SHORT_TAGS)


def chain(file: BinaryIO, start: int) -> list[int]:
    """Return where each link of a chained Ogg file begins, the first one at `start`.

    A link begins with pages that are marked as the first of their streams.
    """
    links = [start]
    with suppress(OSError):  # the decoder will meet it, too
        _find_links(file, start, links)
    return links


def _find_links(file: BinaryIO, start: int, links: list[int]) -> None:
    expected = start
    at = start
    file.seek(start)
    kept = b""
    while block := file.read(1 << 20):
        block = kept + block
        for match in re.finditer(rb"OggS\0[\x02\x06]", block):
            position = at + match.start()
            head = _at(file, position, 27 + 255)
            if len(head) < 27:
                continue
            if position != expected and len(links) < _MOST_LINKS:
                links.append(position)
            expected = position + 27 + head[26] + sum(head[27 : 27 + head[26]])
        kept = block[-5:]
        at += len(block) - len(kept)
        file.seek(at + len(kept))
