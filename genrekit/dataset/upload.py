"""Store an upload of a stranger as `<folder>/<genre>/<file>`, or refuse it with a reason.

Nothing that an upload claims is trusted: names are checked before anything is written, and sizes
are counted while unpacking. Everything goes into a temporary folder beside the target, which is
renamed if all goes well and removed otherwise.
"""

import copy
import re
import shutil
import stat
import struct
import sys
import tempfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import count, pairwise
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, cast

from genrekit.audio.decoder import AUDIO_SUFFIXES
from genrekit.dataset.zip_names import member_names
from genrekit.errors import DatasetError, SettingsError
from genrekit.system.files import plain_os_errors
from genrekit.wording import counted

__all__ = ["UploadLimits", "safe_name", "store_files", "store_folder", "unpack_zip"]

_BLOCK: Final = 1 << 18
# Smaller contents may have any ratio: a second of silence shrinks to almost nothing.
_RATIO_FLOOR: Final = 1_000_000
# Line breaks and marks of writing direction count as control characters here.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_FORBIDDEN: Final = re.compile(rf'{_CONTROL.pattern}|[<>:"/\\|?*]')
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.I)
_CLUTTER: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})
_MAC_ICON: Final = re.compile(r"(^|/)(\._)?Icon\r$")  # the only control character of honest files
_ARCHIVES: Final = (
    (0, (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"), "zip"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (257, b"ustar", "tar"),
)
_ZIP_ERRORS: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, OverflowError, RuntimeError),
)
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000  # weakly, strongly, or the directory as well
_DAMAGED: Final = (
    "The zip file is damaged or packed in an unusual way: make it again with your computer's "
    "own zip command and send that."
)

_Member = tuple[zipfile.ZipInfo, tuple[str, ...]]


@dataclass(frozen=True)
class UploadLimits:
    """Limits of one upload; SettingsError if a number is out of range.

    Parameters
    ----------
    total_bytes : int, unpacked
    files : int
    ratio : int
        Unpacked by packed size, of the whole and of each member over 1 MB.
    name_length : int, characters of the name of a file or folder, up to 255
    depth : int, from 2
        Names in a path: ``genre/file`` has 2.
    """

    total_bytes: int = 2 << 30
    files: int = 5000
    ratio: int = 100
    name_length: int = 200
    depth: int = 6

    def __post_init__(self) -> None:
        for limit in fields(self):
            value: object = getattr(self, limit.name)
            low = 2 if limit.name == "depth" else 1
            high = {"name_length": 255, "depth": 100}.get(limit.name, 1 << 50)
            if type(value) is not int or not low <= value <= high:
                raise SettingsError(
                    f"{limit.name} is {value!r}: use a whole number from {low} to {high}."
                )


_DEFAULTS: Final = UploadLimits()


def unpack_zip(file: BinaryIO, folder: Path, limits: UploadLimits = _DEFAULTS) -> list[Path]:
    """Unpack an uploaded zip file of genre folders.

    Parameters
    ----------
    file : binary file, seekable
    folder : Path, new or empty; appears when all is unpacked
    limits : UploadLimits

    Returns
    -------
    list of Path
        The written files, sorted, without hidden files and without folders that only wrap the
        genre folders.

    Raises
    ------
    DatasetError
        It is not a zip file, is damaged, too large or dangerous, or cannot be written. Nothing
        is left behind.
    """
    with _opened(file, limits) as archive:
        members = _members(archive, limits)
        _check_overlap(archive, file, members)
        _check_ratio(members, limits)
        with _filling(folder) as temporary:
            for info, parts in members:
                _write(temporary.joinpath(*parts), parts[-1], _unpacked(archive, info))
    return _files_below(folder)


def store_files(
    files: Iterable[tuple[str, str, bytes]], folder: Path, limits: UploadLimits = _DEFAULTS
) -> list[Path]:
    """Store separately uploaded files, all or none.

    Parameters
    ----------
    files : iterable of (genre, name, content)
        Genres and names pass `safe_name`; a repeated name gets a number.
    folder, limits : as for `unpack_zip`

    Returns
    -------
    list of Path
        The written files, sorted.

    Raises
    ------
    DatasetError
        There are no files or too many, one is an archive, or they cannot be written.
    """
    tally = _Tally(limits)
    genres: dict[str, str] = {}
    times: Counter[str] = Counter()
    with _filling(folder) as temporary:
        for genre, name, content in files:
            label = safe_name(genre)
            label = genres.setdefault(_key(label), label)  # "blues" joins "Blues"
            wanted = safe_name(name)
            times[key := _key(f"{label}/{wanted}")] += 1
            for number in count(times[key]):
                free = wanted if number == 1 else _fitted(wanted, f" {number}")
                if _key(f"{label}/{free}") not in tally.files:
                    break
            tally.add((label, free), len(content))
            _write(temporary / label / free, name, [content])
        tally.check_any()
    return _files_below(folder)


def store_folder(
    files: Iterable[tuple[str, bytes]], folder: Path, limits: UploadLimits = _DEFAULTS
) -> list[Path]:
    """Store a folder that a browser uploads as (path with slashes, content) of each file.

    Other parameters, the result and errors are those of `unpack_zip`.
    """
    tally = _Tally(limits)
    with _filling(folder) as temporary:
        for name, content in files:
            if parts := _parts(name, limits):
                tally.add(parts, len(content))
                _write(temporary.joinpath(*parts), name, [content])
        tally.check_any()
    return _files_below(folder)


def safe_name(text: str) -> str:
    """Return a name similar to `text` that is safe on Linux, macOS and Windows.

    It is in Unicode's form NFC and has 1 to 100 characters, at most 255 bytes in UTF-8; a long name
    is shortened before its suffix.
    """
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    text = _FORBIDDEN.sub("_", text).lstrip(" .").rstrip(" .")
    if not any(sign.isprintable() and not sign.isspace() for sign in text):
        return "unnamed"
    return _fitted(f"_{text}" if _RESERVED.match(text) else text)


def _fitted(name: str, tag: str = "") -> str:
    """`name` with `tag` before its suffix, shortened to the limits of `safe_name`."""
    match = re.search(r"(?<=.)\.\w{1,10}$", name)
    suffix = match[0] if match else ""
    stem = name.removesuffix(suffix)[: 100 - len(tag + suffix)]
    while len((stem + tag + suffix).encode()) > 255:
        stem = stem[:-1]
    return (stem + tag + suffix).rstrip(" .")


class _Tally:
    """Counts the files and bytes of an upload."""

    def __init__(self, limits: UploadLimits) -> None:
        self.limits = limits
        self.bytes = 0
        self.files: set[str] = set()
        self.folders: set[str] = set()

    def add(self, parts: tuple[str, ...], size: int) -> None:
        key = _key("/".join(parts))
        above = {_key("/".join(parts[:i])) for i in range(1, len(parts))}
        if key in self.files or key in self.folders or above & self.files:
            _refuse(
                "/".join(parts),
                "is there twice, or beside a name that many computers treat as equal: rename one "
                "of the two.",
            )
        self.files.add(key)
        self.folders |= above
        self.bytes += size
        if len(self.files) > self.limits.files:
            _refuse_count(self.limits)
        if self.bytes > self.limits.total_bytes:
            most = self.limits.total_bytes
            size_text = f"{most / 1e6:,.0f} MB" if most >= 1e6 else f"{most:,} bytes"
            raise DatasetError(
                f"The files are too large, over {size_text} unpacked: send fewer or shorter ones."
            )

    def check_any(self) -> None:
        if not self.files:
            raise DatasetError(
                "The upload has no files: put the tracks of each genre into a folder of its own "
                "and send the folder that contains them."
            )


def _parts(name: str, limits: UploadLimits) -> tuple[str, ...]:
    """The parts of a file's path, in NFC; none if it is hidden or clutter."""
    if _CONTROL.search(_MAC_ICON.sub("", name)):
        _refuse(name, "has control characters in its name: rename it and try again.")
    if "\\" in name:
        _refuse(name, "has a backslash in its name: pack with another program, or rename it.")
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        _refuse(name, "has an absolute path: pack the folder by its name alone.")
    parts = tuple(unicodedata.normalize("NFC", p) for p in name.split("/") if p not in ("", "."))
    if any(len(part.strip()) > 1 and not part.strip(" .") for part in parts):
        _refuse(name, "leads out of its folder with dots: pack the folder by its name alone.")
    if any(part.startswith(".") or part.casefold() in _CLUTTER for part in parts):
        return ()
    try:
        longest = max((len(part.encode(sys.getfilesystemencoding())) for part in parts), default=0)
    except UnicodeError:
        _refuse(name, "has a name that is not text: rename it and try again.")
    if longest > 255 or any(len(part) > limits.name_length for part in parts):
        _refuse(name, f"has too long a name, over {limits.name_length} letters: shorten it.")
    if len(parts) > limits.depth:
        above = counted(len(parts) - 1, "folder")
        _refuse(name, f"is too deep, below {above}: use only genre folders.")
    return parts


def _key(path: str) -> str:
    """Equal for paths that a file system may treat as equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _refuse(name: str, why: str) -> NoReturn:
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in name)
    if len(shown) > 60:
        shown = f"{shown[:28]} … {shown[-28:]}"
    raise DatasetError(f'"{shown}" {why}')


def _refuse_count(limits: UploadLimits) -> NoReturn:
    raise DatasetError(f"There are too many files, over {limits.files:,}: send fewer of them.")


class _Guarded:
    """Refuses to read the directory of too many files, which zipfile reads at once."""

    def __init__(self, file: BinaryIO, limits: UploadLimits) -> None:
        self.limits = limits
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > max(_BLOCK, self.limits.files << 10):
            _refuse_count(self.limits)
        return self.file.read(size)


@contextmanager
def _plain_zip_errors() -> Iterator[None]:
    try:
        yield
    except _ZIP_ERRORS:
        raise DatasetError(_DAMAGED) from None


@contextmanager
def _opened(file: BinaryIO, limits: UploadLimits) -> Iterator[zipfile.ZipFile]:
    with _plain_zip_errors():
        file.seek(0)
        head = file.read(512)
        kind = _archive_kind(head)
        if not head:
            raise DatasetError("The file is empty (0 bytes): send it again.")
        if kind not in (None, "zip"):
            raise DatasetError(f"It is a {kind} archive: unpack it and make a zip file instead.")
        if kind is None and not zipfile.is_zipfile(file):
            raise DatasetError("It is not a zip file: pack the folder of genre folders as zip.")
        archive = zipfile.ZipFile(cast(BinaryIO, _Guarded(file, limits)))
    with archive:
        yield archive


def _archive_kind(head: bytes) -> str | None:
    return next((kind for at, magic, kind in _ARCHIVES if head.startswith(magic, at)), None)


def _members(archive: zipfile.ZipFile, limits: UploadLimits) -> list[_Member]:
    """The members to unpack, each with the parts of its path."""
    tally = _Tally(limits)
    members = []
    listed = archive.infolist()
    with _plain_zip_errors():
        names = member_names(listed)
    for info, name in zip(listed, names, strict=True):
        folder = name.endswith("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
            _refuse(name, "is a link or a special file: put a copy of the file itself there.")
        parts = _parts(name, limits)
        if folder or not parts:
            continue
        if info.flag_bits & _ENCRYPTED:
            _refuse(name, "is locked with a password: make a zip file without one.")
        # bzip2 and lzma can fill the memory from one small block.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetError(_DAMAGED)
        tally.add(parts, info.file_size)
        members.append((info, parts))
    tally.check_any()
    return members


def _check_overlap(archive: zipfile.ZipFile, file: BinaryIO, members: list[_Member]) -> None:
    """Refuse members that share packed bytes, as in small bombs without nesting."""
    spans = []
    with _plain_zip_errors():
        for info, parts in members:
            file.seek(info.header_offset)
            magic, name, extra = struct.unpack("<4s22x2H", file.read(30))
            if magic != b"PK\x03\x04":
                raise DatasetError(_DAMAGED)
            end = info.header_offset + 30 + name + extra + info.compress_size
            spans.append((info.header_offset, end, parts[-1]))
    spans.sort()
    for (_, end, _), (start, _, name) in pairwise([*spans, (archive.start_dir, 0, spans[-1][2])]):
        if end > start:
            _refuse(name, "overlaps with other parts of a damaged or hostile zip file: pack again.")


def _check_ratio(members: list[_Member], limits: UploadLimits) -> None:
    sizes = [(parts[-1], info.file_size, info.compress_size) for info, parts in members]
    sizes.append(("The whole", sum(size[1] for size in sizes), sum(size[2] for size in sizes)))
    for name, unpacked, packed in sizes:
        if unpacked > _RATIO_FLOOR and unpacked > limits.ratio * packed:
            _refuse(
                name,
                f"unpacks to over {limits.ratio} times its size, as a zip bomb or pure silence "
                "does: leave it out.",
            )


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content in blocks, of exactly the declared size, which was checked."""
    declared = info.file_size
    info = copy.copy(info)
    info.file_size += 1  # zipfile silently truncates to the declared size
    done = 0
    with _plain_zip_errors(), archive.open(info) as packed:
        while block := packed.read(_BLOCK):
            done += len(block)
            if done > declared:
                break
            yield block
    if done != declared:
        _refuse(info.filename, "unpacks to another size than the zip file says: pack it again.")


@contextmanager
def _filling(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends well."""
    with plain_os_errors("written", folder):
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise DatasetError(f"{folder} is already in use: name a new or empty folder.")
        temporary = Path(tempfile.mkdtemp(prefix=".upload-", dir=folder.parent))
        try:
            yield temporary
            top = _without_wrapping(temporary)
            if top.stat().st_mode & 0o077:
                top.chmod(0o700)  # which a confined process may not
            if folder.exists():
                folder.rmdir()
            top.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _without_wrapping(folder: Path) -> Path:
    """The folder of the genre folders, below those that contain only one folder."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        below = list(inside[0].iterdir())
        folders = sum(path.is_dir() for path in below)
        tracks = any(p.suffix.lower() in AUDIO_SUFFIXES for p in below if not p.is_dir())
        if not folders or (tracks and folders == 1):
            return folder
        folder = inside[0]


def _write(path: Path, name: str, blocks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600, exist_ok=False)
    with path.open("wb") as file:
        for i, block in enumerate(blocks):
            if i == 0 and (kind := _archive_kind(block)):
                _refuse(name, f"is itself a {kind} archive: unpack it first, or leave it out.")
            file.write(block)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
