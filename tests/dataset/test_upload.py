"""Storing uploads: accepted, refused, and nothing left behind after a refusal."""

import errno
import gzip
import io
import random
import re
import stat
import struct
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from time import process_time

import pytest

from genrekit.dataset import upload as intake
from genrekit.dataset.folder import find_tracks
from genrekit.dataset.upload import UploadLimits, safe_name, store_files, store_folder, unpack_zip
from genrekit.errors import DatasetError, SettingsError

NOISE = random.Random(7).randbytes(5000)
GOOD = {"blues/a.flac": b"fLaC" + NOISE, "rock/b.wav": b"RIFF" + NOISE, "rock/c.mp3": b"ID3"}


@dataclass
class Member:
    """One member as it stands in the file: every field can lie."""

    name: bytes = b"blues/a.wav"
    content: bytes = b"music"
    packed: bytes | None = None
    method: int = 0
    flags: int = 0x800
    mode: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    extra: bytes = b""
    offset: int | None = None  # says that the local header stands there and writes none

    def fields(self):
        packed = self.content if self.packed is None else self.packed
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        size = len(self.content) if self.size is None else self.size
        packed_size = len(packed) if self.packed_size is None else self.packed_size
        head = (20, self.flags, self.method, 0, 0x21, crc, packed_size, size)
        return struct.pack("<5H3L2H", *head, len(self.name), len(self.extra))

    def local(self):
        """The local header, by the zip file format's section 4.3.7."""
        return b"PK\x03\x04" + self.fields() + self.name + self.extra

    def central(self, offset):
        rest = struct.pack("<3H2L", 0, 0, 0, self.mode << 16, offset)
        return b"PK\x01\x02\x14\x03" + self.fields() + rest + self.name + self.extra


def raw_zip(*members, backwards=False):
    """A zip file written by hand, for zipfile would refuse to write most of these."""
    body, entries = b"", []
    for member in members:
        entries.append(member.central(len(body) if member.offset is None else member.offset))
        if member.offset is None:
            body += member.local() + (member.content if member.packed is None else member.packed)
    table = b"".join(entries[::-1] if backwards else entries)
    end = struct.pack("<4H2LH", 0, 0, len(members), len(members), len(table), len(body), 0)
    return body + table + b"PK\x05\x06" + end


def deflated(name, content, **rest):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    return Member(name, content, packed=packed, method=8, **rest)


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def box(tmp_path):
    """A folder with only the target in it, inside one with nothing else."""
    (tmp_path / "box").mkdir()
    return tmp_path / "box"


def assert_nothing_left(box):
    assert list(box.iterdir()) == []
    assert list(box.parent.iterdir()) == [box]


def refuse_zip(box, data, match, **limits):
    with pytest.raises(DatasetError, match=match) as caught:
        unpack_zip(io.BytesIO(data), box / "in", UploadLimits(**limits))
    assert_nothing_left(box)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200
    return message


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# -- what is taken ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("root", ["", "my music/", "Data/genres original/", "./"])
def test_a_good_zip_becomes_genre_folders(box, root, method):
    files = {root + name: content for name, content in GOOD.items()}
    paths = unpack_zip(io.BytesIO(zipped(files, method)), box / "in")
    assert contents(box / "in") == GOOD
    assert paths == sorted(box / "in" / name for name in GOOD)
    assert list(box.iterdir()) == [box / "in"]
    tracks, others = find_tracks(box / "in")
    assert [(track.genre, track.id) for track in tracks] == [
        ("blues", "blues/a"),
        ("rock", "rock/b"),
        ("rock", "rock/c"),
    ]
    assert others == []
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert stat.S_IMODE((box / "in").stat().st_mode) == 0o700


def test_raw_builder_agrees_with_zipfile():
    data = raw_zip(Member(), deflated(b"rock/b.wav", NOISE))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.read("rock/b.wav") == NOISE


@pytest.mark.parametrize(
    ("files", "genres"),
    [
        ({"blues/a.wav": b"1"}, {"blues"}),
        ({"set/blues/a.wav": b"1"}, {"blues"}),
        ({"set/blues/a.wav": b"1", "set/tracks.csv": b"track,artist\na,b\n"}, {"blues"}),
        ({"set/blues/a.wav": b"1", "set/blues/live/b.wav": b"2"}, {"blues"}),
        (
            {"set/blues/a.wav": b"1", "set/rock/b.wav": b"2", "set/stray.wav": b"3"},
            {"blues", "rock"},
        ),
    ],
)
def test_wrapping_folders_are_removed(box, files, genres):
    unpack_zip(io.BytesIO(zipped(files)), box / "in")
    assert {track.genre for track in find_tracks(box / "in")[0]} == genres
    assert sorted(contents(box / "in").values()) == sorted(files.values())


def test_members_may_be_in_any_order(box):
    data = raw_zip(*(Member(b"blues/%d.wav" % i, NOISE) for i in range(3)), backwards=True)
    unpack_zip(io.BytesIO(data), box / "in")
    assert contents(box / "in") == {f"blues/{i}.wav": NOISE for i in range(3)}


def test_names_of_any_script_and_of_any_system(box):
    mac = unicodedata.normalize("NFD", "Höhle/Ångström.wav")
    data = raw_zip(
        Member("ロック/東京.wav".encode()),
        Member("рок/Кино 🎸.wav".encode()),
        Member(mac.encode(), flags=0),  # macOS: UTF-8 without its flag
        Member(
            "Fado/Chão.wav".encode("cp850").replace(b"\xc6", b"\x84"), flags=0
        ),  # Windows: cp437
    )
    unpack_zip(io.BytesIO(data), box / "in")
    assert set(contents(box / "in")) == {
        "ロック/東京.wav",
        "рок/Кино 🎸.wav",
        "Höhle/Ångström.wav",
        "Fado/Chäo.wav",
    }


def test_clutter_is_left_out_and_other_files_are_kept(box):
    clutter = (
        "__MACOSX/set/._a.wav,set/.DS_Store,set/blues/Thumbs.db,set/.git/config,set/blues/Icon\r,"
        "__MACOSX/set/blues/._Icon\r,set/rock/desktop.ini,set/empty/,__MACOSX/x/y/z/1/2/3/4"
    ).split(",")
    kept = {"set/blues/a.wav": b"a", "set/rock/run.exe": b"MZ", "set/rock/cover.jpg": b"\xff\xd8"}
    unpack_zip(io.BytesIO(zipped(kept | dict.fromkeys(clutter, b""))), box / "in")
    assert set(contents(box / "in")) == {"blues/a.wav", "rock/run.exe", "rock/cover.jpg"}


def test_an_empty_target_is_used_and_another_is_not_touched(box):
    target = box / "in"
    target.mkdir()
    unpack_zip(io.BytesIO(zipped(GOOD)), target)
    assert contents(target) == GOOD
    with pytest.raises(DatasetError, match=r"in is already in use: name a new or empty folder\."):
        unpack_zip(io.BytesIO(zipped({"new/x.wav": b"x"})), target)
    assert contents(target) == GOOD
    with pytest.raises(DatasetError, match="there is no such file or folder"):
        unpack_zip(io.BytesIO(zipped(GOOD)), box / "none" / "in")
    assert list(box.iterdir()) == [target]


# -- names ------------------------------------------------------------------------------------

LEADS_OUT = r"^\".*\" leads out of its folder with dots: pack"
ABSOLUTE = r"^\".*\" has an absolute path: pack the folder by its name alone\.$"
BACKSLASH = r"^\".*\" has a backslash in its name: "
CONTROL = r"^\".*\ufffd.*\" has control characters in its name: rename it"
HOSTILE_NAMES = [
    ("../evil.wav", LEADS_OUT),
    ("blues/../../evil.wav", LEADS_OUT),
    ("blues/..", LEADS_OUT),
    ("blues/.. /evil.wav", LEADS_OUT),
    ("__MACOSX/../../evil.wav", LEADS_OUT),
    ("blues/.../evil.wav", LEADS_OUT),
    ("/etc/evil.wav", ABSOLUTE),
    ("//server/share/evil.wav", ABSOLUTE),
    ("C:/evil.wav", ABSOLUTE),
    ("c:evil.wav", ABSOLUTE),
    ("..\\evil.wav", BACKSLASH),
    ("\\\\server\\share\\evil.wav", BACKSLASH),
    ("blues\\evil.wav", BACKSLASH),
    ("blues/evil\0.wav", CONTROL),
    ("blues/e\nvil.wav", CONTROL),
    ("blues/e\x1b[31mvil.wav", CONTROL),
    ("blues/e\x85vil.wav", CONTROL),
    ("blues/\u202eevil.wav", CONTROL),
    ("blues/x\nIcon\r", CONTROL),
    ("blues/myIcon\r", CONTROL),
    ("blues/" + "x" * 201, r"^\"blues/x+ … x+\" has too long a name, over 200 letters: shorten"),
    ("blues/" + "東" * 90, "has too long a name"),
    ("a/b/c/d/e/f/evil.wav", r"is too deep, below 6 folders: use only genre folders\."),
]


@pytest.mark.parametrize(("name", "match"), HOSTILE_NAMES)
def test_hostile_names(box, name, match):
    refuse_zip(box, raw_zip(Member(), Member(name.encode())), match)
    with pytest.raises(DatasetError, match=match):
        store_folder([("blues/a.wav", b"music"), (name, b"evil")], box / "in")
    assert_nothing_left(box)


def test_hostile_folders(box):
    refuse_zip(box, raw_zip(Member(), Member(b"../out/", b"")), LEADS_OUT)


NO_TEXT = r'^"blues/\ufffd\.wav" has a name that is not text: rename it and try again\.$'


def test_names_that_are_not_text(box):
    refuse_zip(box, raw_zip(Member(b"blues/\xff\xfe.wav")), "^The zip file is damaged")
    with pytest.raises(DatasetError, match=NO_TEXT):
        store_folder([("blues/\udcff.wav", b"")], box / "in")
    assert_nothing_left(box)


@pytest.mark.parametrize(
    "names",
    [
        ("blues/a.wav", "blues/a.wav"),
        ("blues/a.wav", "Blues/A.WAV"),
        ("blues/a.wav", "blues/./a.wav"),
        ("blues/\u00e4.wav", "blues/a\u0308.wav"),
        ("blues/straße.wav", "blues/STRASSE.wav"),
        ("blues/a.wav", "blues/a.wav/b.wav"),
        ("blues/a.wav/b.wav", "blues/a.wav"),
        ("blues/A.wav", "blues/a.wav/b.wav"),
    ],
)
def test_names_that_clash(box, names):
    match = r"^\"[^\"]*\" is there twice, or beside a name that many computers treat as equal"
    members = [Member(name.encode(), str(i).encode()) for i, name in enumerate(names)]
    refuse_zip(box, raw_zip(*members), match)
    with pytest.raises(DatasetError, match=match):
        store_folder([(name, b"") for name in names], box / "in")
    assert_nothing_left(box)


def test_a_local_name_that_differs_from_the_table(box):
    data = raw_zip(Member(b"blues/a.wav"))
    refuse_zip(
        box, data.replace(b"blues/a.wav", b"../evil.wav"[:11], 1), "^The zip file is damaged"
    )


# -- kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFDIR]
)
def test_links_and_special_files(box, kind):
    data = raw_zip(Member(), Member(b"blues/b.wav", b"/etc/passwd", mode=kind | 0o777))
    refuse_zip(box, data, r'^"blues/b.wav" is a link or a special file: put a copy')


def test_a_link_disguised_as_a_folder(box):
    link = Member(b"blues/", b"/tmp", mode=stat.S_IFLNK | 0o777)
    refuse_zip(box, raw_zip(link, Member()), "is a link or a special file")


@pytest.mark.parametrize("flags", [0x1, 0x41, 0x40, 0x2000])
def test_encrypted_members(box, flags):
    data = raw_zip(Member(), Member(b"blues/b.wav", flags=flags))
    refuse_zip(box, data, r'^"blues/b.wav" is locked with a password: make a zip file without')


def archives():
    tar, seven, zip64 = io.BytesIO(), b"7z\xbc\xaf\x27\x1c\0\4", b"PK\x07\x08PK\x03\x04"
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.wav"), io.BytesIO())
    import bz2
    import lzma

    return [
        ("zip", zipped({"x.wav": b"x"})),
        ("zip", zipped({})),
        ("zip", zip64),
        ("gzip", gzip.compress(b"x")),
        ("bzip2", bz2.compress(b"x")),
        ("xz", lzma.compress(b"x")),
        ("7z", seven),
        ("rar", b"Rar!\x1a\x07\x00"),
        ("rar", b"Rar!\x1a\x07\x01\x00"),
        ("tar", tar.getvalue()),
    ]


def named(value):
    """Tests have the same names in each process, whatever time stands in what they are given."""
    return "content" if isinstance(value, bytes) else None


@pytest.mark.parametrize(("kind", "content"), archives(), ids=named)
def test_nested_archives_are_recognised_by_content(box, kind, content):
    match = rf'^"[^"]*b\.wav" is itself a {kind} archive: unpack it first, or leave it out\.$'
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse_zip(box, zipped({"blues/a.wav": b"a", "blues/b.wav": content}, method), match)
    for store, files in (
        (store_files, [("blues", "b.wav", content)]),
        (store_folder, [("blues/b.wav", content)]),
    ):
        with pytest.raises(DatasetError, match=match):
            store(files, box / "in")
        assert_nothing_left(box)


@pytest.mark.parametrize(("kind", "content"), archives(), ids=named)
def test_other_archives_than_zip(box, kind, content):
    if kind != "zip":
        refuse_zip(box, content, f"^It is a {kind} archive: unpack it and make a zip file instead")


# -- damage -----------------------------------------------------------------------------------

DAMAGED = "^The zip file is damaged or packed in an unusual way: make it again with your"


def test_files_that_are_not_zip(box):
    refuse_zip(box, b"", r"^The file is empty \(0 bytes\): send it again\.$")
    refuse_zip(box, b"RIFF" + NOISE, "^It is not a zip file: pack the folder of genre folders")
    refuse_zip(box, b"PK", "^It is not a zip file")


def test_nothing_in_it(box):
    for files in ({}, {"blues/": b""}, {"__MACOSX/a": b"x", "blues/.DS_Store": b"x"}):
        refuse_zip(box, zipped(files), "^The upload has no files: put the tracks of each genre")


@pytest.mark.parametrize("method", [1, 9, 12, 14, 93, 99])
def test_methods_that_are_not_supported(box, method):
    refuse_zip(box, raw_zip(Member(), Member(b"blues/b.wav", method=method)), DAMAGED)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_whose_blocks_could_fill_the_memory(box, method):
    refuse_zip(box, zipped(GOOD, method), DAMAGED)


@pytest.mark.parametrize(
    "member",
    [
        Member(crc=1),
        deflated(b"blues/a.wav", NOISE, crc=1),
        Member(packed=b"\xff" * 50, method=8, size=50),
        Member(extra=b"\1\0\xff\xff"),
        Member(flags=0x820),  # patch data
        Member(offset=0xFFFFFF),
    ],
)
def test_damaged_members(box, member):
    refuse_zip(box, raw_zip(member), DAMAGED + "|overlaps")


def test_an_invalid_local_header(box):
    data = raw_zip(Member(), Member(b"blues/b.wav"))
    refuse_zip(box, data.replace(b"PK\x03\x04", b"\xff" * 4), "^It is not a zip|" + DAMAGED)
    second = data.index(b"PK\x03\x04", 4)
    refuse_zip(box, data[:second] + b"\xff" * 30 + data[second + 30 :], DAMAGED)


def test_a_truncated_zip(box):
    data = zipped(GOOD)
    refuse_zip(box, data[: len(data) // 2], DAMAGED)
    refuse_zip(box, data[:-1], DAMAGED)


# -- bombs ------------------------------------------------------------------------------------


def refuse_bomb(box, data, match, peak=8e6, **limits):
    """Refused within a second or two and in little memory, however much it would unpack to."""
    tracemalloc.start()
    start = process_time()
    try:
        refuse_zip(box, data, match, **limits)
        assert process_time() - start < 2
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()


RATIO = r"unpacks to over 100 times its size, as a zip bomb or pure silence does: leave it out\."
OTHER_SIZE = '^"[^"]*a.wav" unpacks to another size than the zip file says: pack it again'
ZEROS = bytes(10_000_000)


def test_a_run_of_zeros(box):
    refuse_bomb(box, raw_zip(Member(), deflated(b"blues/b.wav", ZEROS)), '^"b.wav" ' + RATIO)


def test_the_ratio_of_the_whole_is_limited(box):
    members = [deflated(b"blues/%d.wav" % i, ZEROS[:900_000]) for i in range(5)]
    refuse_bomb(box, raw_zip(*members), '^"The whole" ' + RATIO)


def test_a_little_silence_is_accepted(box):
    unpack_zip(io.BytesIO(zipped({"blues/a.wav": bytes(800_000)})), box / "in")
    assert contents(box / "in") == {"blues/a.wav": bytes(800_000)}


@pytest.mark.parametrize("size", [0, 1, 5000, 9_999_999])
def test_more_than_the_declared_size(box, size):
    """Even where the checksum is that of the declared part, which zipfile would accept."""
    crc = zlib.crc32(ZEROS[:size])
    data = raw_zip(deflated(b"blues/a.wav", ZEROS, size=size, crc=crc))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.read("blues/a.wav")) == size
    refuse_bomb(box, data, DAMAGED, ratio=10**6)
    honest_sum = raw_zip(deflated(b"blues/a.wav", ZEROS, size=size))
    match = OTHER_SIZE if size == len(ZEROS) - 1 else DAMAGED
    refuse_bomb(box, honest_sum, match, ratio=10**6)


def test_less_than_the_declared_size(box):
    refuse_zip(box, raw_zip(deflated(b"blues/a.wav", NOISE, size=6000)), OTHER_SIZE)
    refuse_zip(box, raw_zip(Member(size=6)), OTHER_SIZE)


def test_limits_of_a_zip(box):
    files = {f"blues/{i}.wav": NOISE[:1000] for i in range(4)}
    exact = UploadLimits(files=4, total_bytes=4000)
    unpack_zip(io.BytesIO(zipped(files)), box / "in", exact)
    for path in [*(box / "in").rglob("*.wav"), box / "in" / "blues", box / "in"]:
        path.rmdir() if path.is_dir() else path.unlink()
    refuse_zip(box, zipped(files), "^There are too many files, over 3: send fewer", files=3)
    too_large = r"^The files are too large, over 3,999 bytes unpacked: send fewer or shorter"
    refuse_zip(box, zipped(files), too_large, total_bytes=3999)
    refuse_zip(box, raw_zip(Member(size=0xFFFFFFF0)), "too large, over 2,147 MB unpacked")


def test_a_huge_directory_is_not_read(box):
    entry = Member(b"blues/a.wav", b"", offset=0).central(0)
    table = entry * 40_000
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 9, 9, len(table), 0, 0)
    data = table + end
    refuse_bomb(box, data, "^There are too many files, over 5:", peak=1e6, files=5)


OVERLAP = r"overlaps with other parts of a damaged or hostile zip file: pack again\."


def test_members_at_the_same_place(box):
    names = [b"blues/%d.wav" % i for i in range(9)]
    copies = [Member(name, NOISE, offset=0) for name in names[1:]]
    for backwards in (False, True):
        data = raw_zip(Member(names[0], NOISE), *copies, backwards=backwards)
        refuse_bomb(box, data, OVERLAP)


def test_overlapping_members(box):
    """Fifield's construction: each member unpacks to the headers and contents of all after it."""
    kernel = deflated(b"blues/9.wav", NOISE)
    packed, content, members = kernel.packed, kernel.content, [kernel]
    for i in reversed(range(9)):
        quoted = members[0].local()
        packed = struct.pack("<BHH", 0, len(quoted), len(quoted) ^ 0xFFFF) + quoted + packed
        content = quoted + content
        members.insert(0, Member(b"blues/%d.wav" % i, content, packed=packed, method=8))
    offset = 0
    for member in members[1:]:
        offset = packed.index(member.local()) + len(members[0].local())
        member.offset = offset
    data = raw_zip(*members)
    for member in members:  # it is a bomb that works
        start = (member.offset or 0) + len(member.local())
        assert data[start - len(member.local()) : start] == member.local()
        assert zlib.decompressobj(-15).decompress(data[start:]) == member.content
    refuse_bomb(box, data, OVERLAP)


def test_a_member_that_overlaps_the_directory(box):
    refuse_zip(box, raw_zip(Member(packed_size=40, size=40)), OVERLAP)


def test_a_bomb_in_a_zip_in_a_zip(box):
    inner = zipped({"x.wav": ZEROS})
    for _ in range(3):
        inner = zipped({"blues/x.wav": inner})
    refuse_bomb(box, inner, "is itself a zip archive")


# -- nothing is left --------------------------------------------------------------------------


class Interrupted(io.BytesIO):
    def __init__(self, data, reads):
        super().__init__(data)
        self.reads = reads

    def read(self, *size):
        self.reads -= 1
        if not self.reads:
            raise KeyboardInterrupt
        return super().read(*size)


def test_an_interrupt_at_any_read(box):
    for reads in range(1, 100):
        try:
            unpack_zip(Interrupted(zipped(GOOD), reads), box / "in")
        except KeyboardInterrupt:
            assert_nothing_left(box)
        else:
            break
    assert reads > 10
    assert contents(box / "in") == GOOD


def test_a_file_that_cannot_be_written(box):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
    try:
        with pytest.raises(DatasetError, match=r"in cannot be written: it would be larger than"):
            unpack_zip(io.BytesIO(zipped({"blues/a.wav": b"1"} | GOOD)), box / "in")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_nothing_left(box)


@pytest.mark.parametrize("store", [store_files, store_folder])
def test_a_full_disk(box, store):
    def files():
        yield ("blues", "a.wav", b"1") if store is store_files else ("blues/a.wav", b"1")
        assert any(path.name == "a.wav" for path in box.rglob("*"))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DatasetError, match="the disk is full; free some space"):
        store(files(), box / "in")
    assert_nothing_left(box)


def corrupted(data, dice):
    data = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        # The headers are small beside the music: half of the hits go to the tables at the end.
        start = dice.choice([0, max(0, len(data) - 300)])
        at = dice.randrange(start, len(data)) if data else 0
        kind = dice.choice(["flip", "insert", "delete", "cut", "set"])
        if kind == "flip" and data:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == "insert":
            data[at:at] = dice.randbytes(dice.randrange(1, 9))
        elif kind == "delete":
            del data[at : at + dice.randrange(1, 9)]
        elif kind == "cut" and dice.random() < 0.3:
            del data[at:]
        elif kind == "set":
            data[at : at + 4] = dice.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\0\0"])
    return bytes(data)


def test_corrupted_zips(box):
    dice = random.Random(20)
    seen = Counter()
    for i in range(250):
        method = dice.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
        data = corrupted(zipped(GOOD, method), dice)
        folder = box / str(i)
        try:
            unpack_zip(io.BytesIO(data), folder)
        except DatasetError as error:
            message = str(error)
            seen[re.sub('".*"', "", message) if message.isprintable() else "unsafe"] += 1
        else:
            seen["good"] += 1
            assert set(contents(folder).values()) <= set(GOOD.values())  # checksums held
            folder.rename(box.parent / folder.name)
        assert list(box.iterdir()) == []
    assert len(seen) > 4
    assert not seen["unsafe"]
    assert seen["good"] > 10


# -- separate files and folders ---------------------------------------------------------------


def test_separate_files(box):
    files = [
        ("Blues", "../../etc/a.wav", b"1"),
        ("blues", "same.wav", b"2"),
        ("Blues ", "SAME.wav", b"3"),
        ("Blues", "same 2.wav", b"4"),
        ("Blues", "same.wav", b"5"),
        ("Drum/Bass", "", b"6"),
        ("..", "con.wav", b"7"),
    ]
    paths = store_files(iter(files), box / "in")
    assert contents(box / "in") == {
        "Blues/_.._etc_a.wav": b"1",
        "Blues/same.wav": b"2",
        "Blues/SAME 2.wav": b"3",
        "Blues/same 2 2.wav": b"4",
        "Blues/same 3.wav": b"5",
        "Drum_Bass/unnamed": b"6",
        "unnamed/_con.wav": b"7",
    }
    assert paths == sorted(paths)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert list(box.parent.iterdir()) == [box]


def test_many_files_of_one_long_name(box):
    name = "東" * 99 + ".wav"
    store_files((("x", name, b"%d" % i) for i in range(400)), box / "in")
    found = contents(box / "in")
    assert sorted(map(int, found.values())) == list(range(400))
    assert all(len(path.encode()) <= 257 and path.endswith(".wav") for path in found)


def test_an_uploaded_folder(box):
    files = {f"my music/{name}": content for name, content in GOOD.items()}
    files |= {"my music/.DS_Store": b"", "my music/tracks.csv": b"track,artist\nblues/a,Ana\n"}
    paths = store_folder(iter(files.items()), box / "in")
    assert len(paths) == 4
    tracks, _ = find_tracks(box / "in")
    assert {(track.genre, track.artist) for track in tracks} == {("blues", "Ana"), ("rock", None)}


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({"files": 1}, "^There are too many files, over 1: send fewer of them"),
        ({"total_bytes": 7}, "^The files are too large, over 7 bytes unpacked"),
    ],
)
def test_limits_of_files(box, limits, match):
    for store, files in (
        (store_files, [("a", "1.wav", b"1234"), ("a", "2.wav", b"5678")]),
        (store_folder, [("a/1.wav", b"1234"), ("a/2.wav", b"5678")]),
    ):
        with pytest.raises(DatasetError, match=match):
            store(files, box / "in", UploadLimits(**limits))
        assert_nothing_left(box)


@pytest.mark.parametrize("store", [store_files, store_folder])
def test_no_files(box, store):
    with pytest.raises(DatasetError, match=r"^The upload has no files: put the tracks"):
        store([], box / "in")
    assert_nothing_left(box)


# -- names and limits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Drum & Bass", "Drum & Bass"),
        ("Кино – 東京 🎸.flac", "Кино – 東京 🎸.flac"),
        ("a\u0308.wav", "ä.wav"),
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("..", "unnamed"),
        ("", "unnamed"),
        (" \u200b\u3000", "unnamed"),
        (".hidden", "hidden"),
        ("../../x.wav", "_.._x.wav"),
        ("a\0b\nc\x85d\u202ee", "a_b_c_d_e"),
        ("bad\udcff.wav", "bad_.wav"),
        ("trailing. . ", "trailing"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("Com1 .txt", "_Com1 .txt"),
        ("lpt³", "_lpt³"),
        ("conga.wav", "conga.wav"),
        ("x" * 300 + ".flac", "x" * 95 + ".flac"),
        ("Mr. " + "x" * 300, "Mr. " + "x" * 96),
    ],
)
def test_safe_name(text, name):
    assert safe_name(text) == name


def test_safe_names_are_safe():
    dice = random.Random(3)
    signs = './\\:*?"<>| \0\n\x7f\x85\u0308\u202e\u2028\ud800äa東🎸conNUL1¹.wav'
    for _ in range(1500):
        text = "".join(dice.choice(signs) for _ in range(dice.choice([0, 1, 3, 8, 150])))
        name = safe_name(text)
        assert 1 <= len(name) <= 100
        assert len(name.encode()) <= 255
        assert name == unicodedata.normalize("NFC", name) == safe_name(name)
        assert not set(name) & set('/\\:*?"<>|\0\n\x7f\x85\u202e\u2028')
        assert name[0] not in ". "
        assert name[-1] not in ". "
        assert name.split(".")[0].rstrip().upper() not in {"CON", "NUL"}


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({"total_bytes": 0}, "^total_bytes is 0: use a whole number from 1 to "),
        ({"files": -1}, "^files is -1: use a whole number from 1 "),
        ({"files": True}, "^files is True: "),
        ({"ratio": float("nan")}, "^ratio is nan: "),
        ({"name_length": 256}, "^name_length is 256: use a whole number from 1 to 255"),
        ({"depth": 1}, "^depth is 1: use a whole number from 2 to 100"),
        ({"depth": "6"}, "^depth is '6': "),
    ],
)
def test_limits_are_checked(limits, match):
    with pytest.raises(SettingsError, match=match):
        UploadLimits(**limits)


def test_public_names():
    assert intake.__all__ == [
        "UploadLimits",
        "safe_name",
        "store_files",
        "store_folder",
        "unpack_zip",
    ]
    assert UploadLimits() == UploadLimits(2 * 1024**3, 5000, 100, 200, 6)
