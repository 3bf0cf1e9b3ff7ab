"""Attacks on the processes that read what strangers send: songs, datasets, models, and jobs."""

import asyncio
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.load.tab import Lost, Tab, open_tab
from benchmarks.siege.attack import Attack, Broke, Target
from benchmarks.siege.visitors import ENDED, PUBLIC
from genrekit.dataset.dataset import Dataset
from genrekit.features.extraction import FeatureParams

SONGS = "Songs"
DATASET = "A dataset"
MODEL = "A model"
# One short job more runs beside the others.
MOST_JOBS = PUBLIC.jobs_at_once + 1 + PUBLIC.jobs_waiting
_HOURS = 3
_FLAC_HZ, _FLAC_CHANNELS = 655_350, 8
_BOMB_ROWS = 220_000  # 1.5 GB of a dataset's features
# Visitors who start a job; floods of pages are other attacks.
_A_SECOND = 10
_WORKING = ("Running", "Waiting for its turn")
_REFUSED = ("Failed", "Interrupted")
# What pages say of a dataset and of a model that they have taken.
_TAKEN = ("tracks unknown", "Yours: Uploaded")


# -- songs ------------------------------------------------------------------------------------


@cache
def _high_rate() -> bytes:
    """Return silence as FLAC, of the highest rate and the most channels that there are."""
    import soundfile

    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", _FLAC_HZ, _FLAC_CHANNELS, format="FLAC") as flac:
        for _ in range(10):
            flac.write(np.zeros((_FLAC_HZ, _FLAC_CHANNELS), np.int16))
    return file.getvalue()


@cache
def _ten_minutes() -> bytes:
    """Return a song as long as one is heard, in the format that takes longest."""
    import soundfile

    file = io.BytesIO()
    noise = np.random.default_rng().normal(0, 0.1, 60 * 22_050)
    with soundfile.SoundFile(file, "w", 22_050, 1, format="OGG") as song:
        for _ in range(10):
            song.write(noise)
    return file.getvalue()


@cache
def _long_mp3() -> bytes:
    """Return hours of MP3 with 8,000 bits a second: frames of silence, again and again."""
    frame = b"\xff\xe3\x18\xc4" + bytes(68)  # MPEG 2.5, layer 3, 8 kbit/s, 8 kHz, mono
    return frame * (_HOURS * 3600 * 1000 // 72)


@cache
def _opus() -> bytes:
    """Return hours of Opus in packets of 2 bytes, each with 120 ms of nothing."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [_ogg_page([head], 0, 0, 2), _ogg_page([tags], 1, 0, 0)]
    for number in range(_HOURS * 3600 * 100 // (255 * 12)):
        samples = (number + 1) * 255 * 5760
        # Six frames of 20 ms, of which none is sent.
        pages.append(_ogg_page([b"\x0b\x06"] * 255, number + 2, samples, 0))
    return b"".join(pages)


@cache
def _chained_ogg() -> bytes:
    """Return thousands of short Vorbis streams, one after another."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(2000), 8000, format="OGG")
    return file.getvalue() * 3000


def _ogg_page(packets: list[bytes], number: int, samples: int, flags: int) -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, samples, 1, number, 0, len(packets))
    page = head + bytes(map(len, packets)) + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_sum(page)) + page[26:]


def _ogg_sum(page: bytes) -> int:
    """Return Ogg's check sum: zlib's polynomial, but with the bits of each byte the other way."""
    turned = page.translate(_TURNED)
    # zlib begins and ends with all bits set.
    begun = zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{begun:032b}"[::-1], 2)


_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


async def _songs(
    target: Target, make: Callable[[], bytes], name: str, senders: int, addresses: int
) -> None:
    """Have songs classified, each a little different from those before."""
    song = await asyncio.to_thread(make)
    ours = [target.address() for _ in range(addresses)]

    async def send(number: int) -> None:
        times = 0
        while target.lasts():
            with suppress(Lost, TimeoutError):
                async with (
                    asyncio.timeout(target.seconds),
                    open_tab(target.url, ours[number % addresses]) as tab,
                ):
                    await tab.go("classify", "source=Your+files")
                    while target.lasts():
                        times += 1
                        own = song + b"%d %d" % (number, times)
                        await tab.upload(name, own, SONGS)

    await asyncio.gather(*(send(number) for number in range(senders)))


# -- datasets and models ----------------------------------------------------------------------


@cache
def _npz() -> bytes:
    """Return a dataset of zeros, 1.5 GB in some megabytes."""
    small = _small()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        labels = np.arange(_BOMB_ROWS) % 2
        for name, array in {"card": np.array(json.dumps(small.card)), "labels": labels}.items():
            with packed.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
        with packed.open("features.npy", "w", force_zip64=True) as member:
            shape = (_BOMB_ROWS, *small.params.shape)
            about = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, about)
            for _ in range(0, _BOMB_ROWS, 1000):
                member.write(bytes(1000 * small.features[0].nbytes))
    return file.getvalue()


@cache
def _parquet() -> bytes:
    """Return a dataset of zeros, 1.5 GB in some kilobytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.parquet")
        _small().write(small)
        table = pq.read_table(small)
        many = pa.concat_tables([table] * 1000)
        file = io.BytesIO()
        with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
            for _ in range(0, _BOMB_ROWS, len(many)):
                writer.write_table(many)
            writer.add_key_value_metadata(dict(pq.read_metadata(small).metadata))
        return file.getvalue()


@cache
def _json() -> bytes:
    """Return a JSON file of twelve million empty lists."""
    return b'{"mapping": ["a", "b"], "labels": [0, 1], "mfcc": [' + b"[]," * 12_000_000 + b"[]]}"


def _small() -> Dataset:
    params = FeatureParams()
    return Dataset(np.zeros((4, *params.shape), np.float32), np.arange(4) % 2, ("a", "b"), params)


def _model(card: bytes, weights: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("model.json", card)
        packed.writestr("weights.safetensors", weights)
    return file.getvalue()


@cache
def _card_bomb() -> bytes:
    """Return a model whose card is 40 MB of brackets."""
    return _model(b'{"card": [' + b"[]," * 13_000_000 + b"[]]}", bytes(8))


@cache
def _weights_bomb() -> bytes:
    """Return a model whose weights claim a header of 90 MB, and a tensor of exabytes."""
    about = b'{"w":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,8]}}'
    header = about + b" " * 90_000_000
    return _model(b"{}", len(header).to_bytes(8, "little") + header + bytes(8))


async def _files(
    target: Target, page: str, uploader: str, press: str, files: dict[str, Callable[[], bytes]]
) -> None:
    """Send each file from an address of its own, have a job read it, and look what came of it."""
    taken: list[str] = []

    async def send(name: str, make: Callable[[], bytes]) -> None:
        content = await asyncio.to_thread(make)
        with suppress(Lost, TimeoutError):
            async with (
                asyncio.timeout(target.seconds + 10),
                open_tab(target.url, target.address()) as tab,
            ):
                await tab.go(page)
                await tab.upload(name.rpartition("/")[2], content, uploader)
                await tab.press(press)
                while target.lasts() and not _ended(tab):
                    await asyncio.sleep(0.5)
                if _ended(tab) in _TAKEN:
                    taken.append(name)

    await asyncio.gather(*(send(name, make) for name, make in files.items()))
    if taken:
        raise Broke(f"taken: {', '.join(taken)}")


async def _jobs(target: Target, visitors: int, addresses: int) -> None:
    """Start as many jobs as possible, each as a new visitor."""
    ours = [target.address() for _ in range(addresses)]
    working = 0

    async def start(number: int) -> None:
        nonlocal working
        await asyncio.sleep(number / _A_SECOND)
        with suppress(Lost, TimeoutError):
            async with (
                asyncio.timeout(target.seconds + 10),
                open_tab(target.url, ours[number % addresses]) as tab,
            ):
                await tab.go("dataset")
                await tab.press("Make the demo dataset")
                await asyncio.sleep(1.0)
                working += _works(tab)
                while target.lasts():
                    await asyncio.sleep(0.5)

    await asyncio.gather(*(start(number) for number in range(visitors)))
    if working > MOST_JOBS + ENDED:
        raise Broke(f"{working} of {visitors} visitors have a job")


def _works(tab: Tab) -> bool:
    return any(word in tab.text() for word in _WORKING)


def _ended(tab: Tab) -> str:
    """Return the words that tell how a job has ended; none before."""
    options = (option for one in tab.all("selectbox") for option in one.proto.options)
    text = "\n".join((tab.text(), *options))
    return next((words for words in (*_REFUSED, *_TAKEN) if words in text), "")


DATASETS: dict[str, Callable[[], bytes]] = {
    "zeros.npz": _npz,
    "zeros.parquet": _parquet,
    "lists.json": _json,
}
MODELS: dict[str, Callable[[], bytes]] = {"card.zip": _card_bomb, "weights.zip": _weights_bomb}
SONG_FILES = (_high_rate, _ten_minutes, _long_mp3, _opus, _chained_ogg)


def make_files() -> None:
    """Make all files that are sent, which takes some seconds; attacks find them made."""
    for make in (*SONG_FILES, *DATASETS.values(), *MODELS.values()):
        make()


def _song(
    name: str, about: str, file: str, make: Callable[[], bytes], senders: int, addresses: int = 1
) -> Attack:
    run = partial(_songs, make=make, name=file, senders=senders, addresses=addresses)
    return Attack(name, about, run, seconds=12.0)


ATTACKS = (
    _song("songs of 655,350 Hz", "8 channels of silence, 8 senders", "a.flac", _high_rate, 8),
    _song("songs of ten minutes", "8 senders, one address", "a.ogg", _ten_minutes, 8),
    _song("songs of ten minutes, 4 addresses", "a sender each", "b.ogg", _ten_minutes, 4, 4),
    _song("MP3 of 3 hours", "8 kbit/s, 4 senders", "a.mp3", _long_mp3, 4),
    _song("Opus of 3 hours", "in 280 kB, 4 senders", "a.opus", _opus, 4),
    _song("thousands of Vorbis streams", "in one file, 4 senders", "c.ogg", _chained_ogg, 4),
    Attack(
        "hostile datasets",
        "1.5 GB of zeros as NPZ and Parquet, and JSON of twelve million lists",
        partial(_files, page="train", uploader=DATASET, press="Use this file", files=DATASETS),
        seconds=25.0,
    ),
    Attack(
        "hostile models",
        "a card of 40 MB, and weights with a header of 90 MB",
        partial(_files, page="classify", uploader=MODEL, press="Use this model", files=MODELS),
        seconds=20.0,
    ),
    Attack(
        "flood of jobs",
        "30 visitors of 30 addresses, ten a second",
        partial(_jobs, visitors=30, addresses=30),
        seconds=12.0,
    ),
    Attack(
        "flood of jobs, one address",
        "30 cookies, ten a second",
        partial(_jobs, visitors=30, addresses=1),
        seconds=12.0,
    ),
)
