"""Names in zip files, whose encoding most programs do not state.

The standard knows UTF-8, with a mark, and the code page of old IBM PCs. macOS writes UTF-8 without
the mark, which text in another encoding is hardly ever, and Windows the code page of its language.
That one is guessed from all names together: the right one gives words of letters, a wrong one gives
signs, boxes, and accented letters in rows.
"""

import unicodedata
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from zipfile import ZipInfo

__all__ = ["member_names"]

# In this order if they are equally likely. A code page of two bytes a letter fits hardly by chance.
_ENCODINGS: Final = (
    *("cp850", "cp437", "cp1252", "cp852", "cp1250"),
    *("cp866", "cp1251", "cp737", "cp1253", "cp857", "cp1254"),
    *("cp932", "euc_kr", "gb2312", "big5", "gbk"),
)
_SAYS_UTF8: Final = 0x800
_UNICODE_PATH: Final = 0x7075
_SIGN, _ROW, _MIX, _RARE = 4.0, 2.0, 3.0, 0.5
_COMMON_HANZI: Final = "gb2312"


def member_names(members: Sequence[ZipInfo]) -> list[str]:
    """Return the names of the members of a zip file, in their order."""
    raw = {
        i: info.orig_filename.encode("cp437")
        for i, info in enumerate(members)
        if not info.flag_bits & _SAYS_UTF8 and not info.orig_filename.isascii()
    }
    known = {i: _unicode_path(members[i], name) or _utf8(name) for i, name in raw.items()}
    guessed = {i: raw[i] for i, name in known.items() if name is None}
    encoding = _likeliest([*guessed.values()]) if guessed else ""
    return [
        guessed[i].decode(encoding) if i in guessed else known.get(i) or info.orig_filename
        for i, info in enumerate(members)
    ]


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unicode_path(info: ZipInfo, raw: bytes) -> str | None:
    """The name in the extra field that some programs add, if it belongs to the name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = (int.from_bytes(extra[at : at + 2], "little") for at in (0, 2))
        body = extra[4 : 4 + size]
        if kind == _UNICODE_PATH and body[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return _utf8(body[5:])
        extra = extra[4 + size :]
    return None


def _likeliest(names: Sequence[bytes]) -> str:
    scores = {}
    for encoding in _ENCODINGS:
        try:
            decoded = [name.decode(encoding) for name in names]
        except UnicodeDecodeError:
            continue
        scores[encoding] = sum(map(_oddness, decoded))
    return min(scores, key=scores.__getitem__)


def _oddness(name: str) -> float:
    """How unlike a name in any language a text is."""
    odd = 0.0
    for sign in name:
        if not sign.isascii() and unicodedata.category(sign)[0] not in "LM":
            odd += _SIGN
    scripts = {script for sign in name if (script := _script(sign)) not in ("", "LATIN")}
    odd += _MIX * (len(scripts - {"HIRAGANA", "KATAKANA"}) > 1)
    if scripts & {"HIRAGANA", "KATAKANA"}:
        odd += _MIX * bool(scripts & {"HANGUL", "CYRILLIC", "GREEK"})
    for before, after in pairwise(name):
        if not before.isascii() and not after.isascii():
            latin = {_script(before), _script(after)} == {"LATIN"}
            odd += _ROW * latin
        if before.isalpha() and after.isalpha() and before.islower() and after.isupper():
            odd += _ROW * (not before.isascii() or not after.isascii())
        mixed = {_script(before), _script(after)}
        odd += _MIX * ("LATIN" in mixed and len(mixed - {""}) > 1)
    odd += _RARE * sum(_script(sign) == "CJK" and not _is_common(sign) for sign in name)
    return odd


def _script(sign: str) -> str:
    return unicodedata.name(sign, "").split(" ")[0] if sign.isalpha() else ""


def _is_common(sign: str) -> bool:
    """Return whether a Chinese character is among the 3,755 that GB 2312 sorts by sound."""
    try:
        return sign.encode(_COMMON_HANZI)[0] < 0xD8
    except UnicodeEncodeError:
        return False
