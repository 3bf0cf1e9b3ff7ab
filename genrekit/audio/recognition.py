"""Recognise the container of a sound file by its content, wherever in the file that begins.

Tags, zeros and other bytes may stand in front. MPEG and ADTS frames, which have no header of their
own, are recognised by following each other at the distances that they state.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Final

from genrekit.audio.source import unreadable
from genrekit.errors import AudioError

__all__ = ["FORMATS_IN_WORDS", "Found", "mpeg_frame", "other_kind", "recognise"]

FORMATS_IN_WORDS: Final = "wav, flac, mp3, ogg, opus, aiff, au, caf, m4a, aac, wma, webm or mkv"

# Name of the container, and a pattern of its first bytes.
_MAGIC: Final = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("wav", rb"(RIFF|RIFX|RF64|BW64)....WAVE"),
        ("w64", rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"),
        ("flac", rb"fLaC"),
        ("ogg", rb"OggS\x00"),
        ("aiff", rb"FORM....AIF[FC]"),
        ("au", rb"\.snd\x00"),
        ("caf", rb"caff\x00\x01\x00"),
        ("m4a", rb"[\x00-\x0f]...(ftyp|moov|mdat|wide|skip|free|pnot)"),
        ("wma", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
        ("webm", rb"\x1a\x45\xdf\xa3"),
        ("avi", rb"RIFF....AVI "),
        ("flv", rb"FLV\x01"),
        ("mpeg", rb"\x00\x00\x01\xba"),
        ("ts", rb"G.{187}G.{187}G.{187}G"),
        ("wavpack", rb"wvpk"),
        ("ape", rb"MAC "),
        ("tta", rb"TTA1"),
        ("musepack", rb"MPCK|MP\+[\x07\x17\x27]"),
        ("dsf", rb"DSD \x1c\x00"),
        ("amr", rb"#!AMR(-WB)?\n"),
        ("ac3", rb"\x0b\x77.{3}[\x00-\x57]"),
        ("eac3", rb"\x0b\x77.{3}[\x58-\x87]"),
        ("dts", rb"\x7f\xfe\x80\x01"),
        ("voc", rb"Creative Voice File\x1a"),
    )
)
# At other places than the start, only what cannot stand there by chance.
_INSIDE: Final = re.compile(
    rb"(?:RIFF|RIFX|RF64|BW64)....WAVE|fLaC[\x00\x80]\x00\x00\x22|OggS\x00\x02|FORM....AIF[FC]"
    rb"|\x00\x00\x00.ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9|\x1a\x45\xdf\xa3.{2,12}\x42"
    rb"|caff\x00\x01\x00\x00",
    re.DOTALL,
)
# Files that are often taken for sound, by their first bytes, in words.
_OTHERS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), words)
    for pattern, words in (
        (rb"\s*<(!doctype|html|\?xml)", "a web page"),
        (rb"version https://git-lfs", "a Git LFS pointer, not the file itself"),
        (rb"#EXTM3U|\[playlist\]", "a playlist, which only names sounds"),
        (rb"MThd", "a MIDI file, which holds notes, not sound"),
        (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b\x08", "an archive, which has to be unpacked"),
        (rb"\x89PNG|\xff\xd8\xff[\xdb\xe0\xe1\xe2\xee]|GIF8|BM.{4}\x00{4}", "a picture"),
        (rb"%PDF", "a PDF"),
    )
)
_UTF16: Final = b"\xff\xfe"
_SEARCHED: Final = 1 << 18
_FRAMES_IN_A_ROW: Final = 4
_MOST_TAGS: Final = 100
# Of ISO 11172-3 and 13818-3: bit rates in kbit/s by MPEG 1 or 2 and layer, rates in Hz.
_BIT_RATES: Final = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = (44100, 48000, 32000)


@dataclass(frozen=True)
class Found:
    """A container, and its position in the file."""

    container: str
    start: int


def recognise(file: BinaryIO) -> Found:
    """Return the container of a file and its position, or raise AudioError."""
    size = file.seek(0, 2)
    if not size:
        raise AudioError("It is empty (0 bytes): the copy or download probably failed.")
    start = _behind_tags(file, size)
    head = _read(file, start, _SEARCHED)
    for position in (start, start - 1, start - 2, start - 3, 0):  # MP4 begins with zeros, too
        if position == start or position >= 0:
            found = _at_start(_read(file, position, 1024), position)
            if found:
                return found
    what = other_kind(head)
    if not what:
        # A tag may state a wrong size.
        first = _read(file, 0, _SEARCHED)
        found = _inside(head, start, size) or _inside(first, 0, size)
        if found:
            return found
        if first.startswith(b"ID3") or (frame_name(head) and not head.startswith(_UTF16)):
            raise unreadable(frame_name(head) or "mp3")
    raise AudioError(
        f"It is not audio in a format GenreKit reads{what and f' but {what}'}: use "
        f"{FORMATS_IN_WORDS}."
    )


def other_kind(head: bytes) -> str:
    """Return what a file is that is often taken for sound, from its first bytes; else ""."""
    return next((words for magic, words in _OTHERS if magic.match(head)), "")


def _read(file: BinaryIO, position: int, size: int) -> bytes:
    try:
        file.seek(position)
        return file.read(size)
    except OSError:
        raise AudioError("It cannot be read: copy it again.") from None


def _behind_tags(file: BinaryIO, size: int) -> int:
    """The position behind all ID3v2 and APEv2 tags and the zeros around them."""
    at = 0
    for _ in range(_MOST_TAGS):
        head = _read(file, at, 32)
        if head[:3] == b"ID3" and len(head) > 10:  # its size in four bytes of seven bits
            length = sum(byte << 7 * (3 - i) for i, byte in enumerate(head[6:10]))
            following = at + 10 + length + (10 if head[5] & 0x10 else 0)
        elif head[:8] == b"APETAGEX":
            following = at + 32 + int.from_bytes(head[12:16], "little")
        elif head[:1] == b"\0":
            block = _read(file, at, _SEARCHED)
            following = at + len(block) - len(block.lstrip(b"\0"))
        else:
            break
        if following >= size:
            break
        at = following
    return at


def _at_start(head: bytes, position: int) -> Found | None:
    for name, pattern in _MAGIC:
        if pattern.match(head):
            return Found(name, position)
    return None


def _inside(head: bytes, position: int, size: int) -> Found | None:
    """The first container or run of frames, wherever it begins."""
    frames = _first_frames(head, position + len(head) == size)
    match = _INSIDE.search(head, 0, frames[1] if frames else len(head))
    if match:
        found = _at_start(head[match.start() : match.start() + 256], position + match.start())
        if found:
            return found
    if frames:
        return Found(frames[0], position + frames[1])
    return Found("mp3", position) if _free_format(head) else None


def _free_format(head: bytes) -> bool:
    """Return whether MPEG frames without a bit rate follow each other at equal distances."""
    if frame_name(head) != "mp3" or len(head) < 4 or head[2] >> 4:
        return False
    sync = head[:2] + bytes([head[2] & 0xFC])
    places = [
        at
        for at in range(len(head) - 3)
        if head[at] == 0xFF and head[at : at + 2] + bytes([head[at + 2] & 0xFC]) == sync
    ]
    lengths = {after - before for before, after in pairwise(places[:_FRAMES_IN_A_ROW])}
    return len(places) >= _FRAMES_IN_A_ROW and max(lengths) - min(lengths) <= 1


def frame_name(sync: bytes) -> str | None:
    """The name of the frames that these two bytes begin: 11 or 12 bits of sync, then the layer."""
    if len(sync) < 2 or sync[0] != 0xFF or sync[1] < 0xE0:
        return None
    if sync[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if sync[1] & 0x06 and sync[1] & 0x18 != 0x08 else None


def _first_frames(head: bytes, ends: bool) -> tuple[str, int] | None:
    """The first run of frames: what they are, and where it begins."""
    at = head.find(b"\xff")
    while at >= 0:
        name = frame_name(head[at : at + 2])
        if name and _run(head, at, mpeg_frame if name == "mp3" else _adts_length, ends):
            return name, at
        at = head.find(b"\xff", at + 1)
    return None


def _run(
    head: bytes, at: int, measure: Callable[[bytes], tuple[int, object] | None], ends: bool
) -> bool:
    """Return whether frames of one kind follow each other from here on.

    A short file may hold fewer than are asked for otherwise.
    """
    kind, count = None, 0
    while count < _FRAMES_IN_A_ROW:
        frame = measure(head[at : at + 10])
        if frame is None or kind not in (None, frame[1]):
            return False
        at, kind, count = at + frame[0], frame[1], count + 1
        if at >= len(head) - 4:
            return ends and at <= len(head)
    return True


def mpeg_frame(head: bytes) -> tuple[int, tuple[int, int, int, int]] | None:
    """Return what an MPEG audio frame header says, or None if it is none.

    Returns
    -------
    length : int, bytes
    kind : version (1, 2, or 3 for 2.5), layer, sample rate in Hz, samples of the frame
    """
    if frame_name(head) != "mp3" or len(head) < 4:
        return None
    version = {0: 3, 2: 2, 3: 1}[head[1] >> 3 & 3]
    layer = 4 - (head[1] >> 1 & 3)
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if bits in (0, 15) or rate == 3:
        return None
    hertz = _RATES[rate] >> (version - 1)
    bit_rate = 1000 * _BIT_RATES[min(version, 2), layer][bits - 1]
    samples = {1: 384, 2: 1152, 3: 1152 if version == 1 else 576}[layer]
    if layer == 1:
        return (12 * bit_rate // hertz + padding) * 4, (version, layer, hertz, samples)
    return samples // 8 * bit_rate // hertz + padding, (version, layer, hertz, samples)


def _adts_length(head: bytes) -> tuple[int, object] | None:
    if frame_name(head) != "aac" or len(head) < 7:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    rate = head[2] >> 2 & 15
    return (length, rate) if length >= 7 and rate < 13 else None
