"""Read wav, flac, ogg, opus, mp3, aiff and au with libsndfile, from start to end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.source import AudioInfo, SteadyFile, broken_off, unreadable

__all__ = ["open_sndfile"]

Array = NDArray[np.float32]

_BLOCK_VALUES: Final = 1 << 18
# Containers whose headers give the exact number of samples.
_COUNTED: Final = ("wav", "flac", "aiff", "au")


@contextmanager
def open_sndfile(file: BinaryIO, container: str) -> Iterator[tuple[AudioInfo, Iterator[Array]]]:
    """Open a file; yield its header and an iterator of blocks, shape (channels, samples).

    Raises
    ------
    AudioError
        Also during the iteration: the file is damaged or ends early.
    """
    import soundfile

    class Straight(soundfile.SoundFile):  # type: ignore[misc]
        """soundfile seeks after each block, which changes the samples of MP3."""

        def seekable(self) -> bool:
            return False

    steady = SteadyFile(file)
    # C code that calls Python for every few kilobytes takes twice as long.
    descriptor = _descriptor(file) if container in _COUNTED else None
    try:
        sound = Straight(descriptor, closefd=False) if descriptor else Straight(steady)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
        raise unreadable(container) from None
    with sound:
        rate, claimed = sound.samplerate, sound.frames
        seconds = claimed / rate if 0 <= claimed < 2**62 else None
        codec = _codec(file, container, sound.subtype)

        def blocks() -> Iterator[Array]:
            done = 0
            at_once = _BLOCK_VALUES // sound.channels
            while True:
                try:
                    block = sound.read(at_once, dtype="float32", always_2d=True)
                except (soundfile.LibsndfileError, RuntimeError, ValueError, OSError):
                    raise broken_off(done / rate) from None
                if steady.failed:
                    raise broken_off(done / rate)
                if not len(block):
                    short = container in _COUNTED and done < claimed
                    if short or _ends_early(file, container, done, claimed):
                        raise broken_off(done / rate)
                    return
                done += len(block)
                yield block.T

        yield AudioInfo(container, rate, sound.channels, seconds, codec), blocks()


def _descriptor(file: BinaryIO) -> int | None:
    """The descriptor of a file on disk, rewound; None for other file objects."""
    try:
        number = file.fileno()
        os.lseek(number, 0, os.SEEK_SET)
    except (AttributeError, OSError, ValueError):
        return None
    return number


def _codec(file: BinaryIO, container: str, subtype: str) -> str:
    if container == "flac":
        return container
    layer = {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3"}.get(subtype)
    if layer == container and _is_free_format(file):
        return "mp3_free_format"
    return layer or subtype.lower()


def _is_free_format(file: BinaryIO) -> bool:
    """Whether the bit rate index of the first MPEG frame is 0 (ISO 11172-3)."""
    before = file.tell()
    try:
        file.seek(0)
        tag = file.read(10)
        if tag[:3] == b"ID3":  # its size in four bytes of seven bits
            file.seek(10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(tag[6:10])))
        else:
            file.seek(0)
        head = file.read(4096)
    except OSError:
        return False
    finally:
        file.seek(before)
    at = next((i for i in range(len(head) - 2) if head[i] == 255 and head[i + 1] >= 0xE0), None)
    return at is not None and head[at + 2] < 0x10


def _ends_early(file: BinaryIO, container: str, frames: int, claimed_frames: int) -> bool:
    """Whether a file that ended after `frames` is truncated, which libsndfile does not report."""
    file.seek(0)
    head = file.read(4096)
    match container:
        case "wav" if head.startswith(b"RF64") and head[12:16] == b"ds64":
            return file.seek(0, os.SEEK_END) < 7 + int.from_bytes(head[20:28], "little")
        case "wav":
            claimed_bytes = 8 + int.from_bytes(head[4:8], "little")
        case "aiff":
            claimed_bytes = 8 + int.from_bytes(head[4:8], "big")
        case "au":
            claimed_bytes = int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big")
        case "mp3":
            # Without a Xing or Info tag the length is only an estimate.
            tagged = b"Xing" in head or b"Info" in head
            return tagged and frames < 0.98 * claimed_frames
        case "ogg":
            return not _ends_with_last_page(file)
        case _:
            return False
    # Streaming writers leave a huge placeholder in the size field.
    return claimed_bytes < 2**31 - 4096 and file.seek(0, os.SEEK_END) < claimed_bytes - 1


def _ends_with_last_page(file: BinaryIO) -> bool:
    """Whether the last Ogg page is whole and marked as the last (RFC 3533, section 6)."""
    longest_page = 27 + 255 + 255 * 255
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - longest_page))
    tail = file.read()
    at = tail.rfind(b"OggS")
    header, lengths = tail[at : at + 27], tail[at + 27 :]
    if at < 0 or len(header) < 27 or len(lengths) < header[26]:
        return False
    whole = len(lengths) >= header[26] + sum(lengths[: header[26]])
    return whole and bool(header[5] & 4)
