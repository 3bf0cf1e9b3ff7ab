"""Names in zip files whose encoding nobody states."""

import struct
import zlib
from zipfile import ZipInfo

import pytest

from genrekit.dataset.zip_names import member_names

NAMES = {
    "utf-8": "Müzik/été – 日本.mp3",
    "cp850": "Música/canción.mp3",
    "cp437": "Größe/Äpfel.mp3",
    "cp1252": "Música/été.mp3",
    "cp852": "Muzyka/łódź.mp3",
    "cp1250": "Dvořák/Žluťoučký kůň.mp3",
    "cp866": "Рок/Кино - Группа крови.mp3",
    "cp1251": "Рок/Кино.mp3",
    "cp737": "Ροκ/τραγούδι.mp3",
    "cp932": "ジャズ/北の宿から.mp3",
    "gb2312": "摇滚/崔健 一无所有.mp3",
    "big5": "搖滾/歌曲.mp3",
    "euc_kr": "재즈/노래.mp3",
}


def member(raw, flags=0, extra=b""):
    """As zipfile reads it: what is not marked as UTF-8 becomes text by code page 437."""
    info = ZipInfo(raw.decode("utf-8" if flags else "cp437"))
    info.flag_bits, info.extra = flags, extra
    return info


@pytest.mark.parametrize("encoding", NAMES)
def test_the_encoding_is_guessed_from_the_names(encoding):
    plain = member(b"blues/plain.mp3")
    assert member_names([plain, member(NAMES[encoding].encode(encoding))]) == [
        "blues/plain.mp3",
        NAMES[encoding],
    ]


def test_a_mark_and_an_extra_field_say_it():
    name = "Ünïcôde/日本.mp3"
    assert member_names([member(name.encode(), 0x800)]) == [name]
    raw = b"\x9an\x8bc/__.mp3"
    body = b"\1" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
    extra = struct.pack("<HHI", 1, 4, 0) + struct.pack("<HH", 0x7075, len(body)) + body
    assert member_names([member(raw, 0, extra)]) == [name]
    wrong = extra.replace(struct.pack("<I", zlib.crc32(raw)), bytes(4))
    assert member_names([member(raw, 0, wrong)]) == [raw.decode("cp850")]
