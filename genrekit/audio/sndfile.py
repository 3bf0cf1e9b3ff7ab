"""Read wav, aiff, au and much else with libsndfile, from start to end.

It is the fastest reader of samples that stand uncompressed in a file, and the only one of MP3
frames without a length.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.chunks import SoundBytes
from genrekit.audio.reading import MiscountedError, Reading
from genrekit.audio.recognition import Found
from genrekit.audio.source import AudioInfo, SteadyFile, failed_at, unreadable

__all__ = ["open_sndfile"]

Array = NDArray[np.float32]

_BLOCK_VALUES: Final = 1 << 18
# Those that were measured to be faster so.
_BY_DESCRIPTOR: Final = ("wav", "aiff", "au", "flac")
_TAGS_BYTES: Final = 1 << 13
_CODECS: Final = {
    "PCM_U8": "pcm_u8",
    "PCM_S8": "pcm_s8",
    "PCM_16": "pcm_s16{}",
    "PCM_24": "pcm_s24{}",
    "PCM_32": "pcm_s32{}",
    "FLOAT": "pcm_f32{}",
    "DOUBLE": "pcm_f64{}",
    "ALAW": "pcm_alaw",
    "ULAW": "pcm_mulaw",
    "MPEG_LAYER_I": "mp1",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
}


@contextmanager
def open_sndfile(
    file: BinaryIO, found: Found, sound: SoundBytes | None = None, *, by_count: bool = False
) -> Iterator[Reading]:
    """Open a file; yield its header and its blocks.

    Parameters
    ----------
    sound : SoundBytes or None
        What is known of a file in chunks.
    by_count : bool
        Raise MiscountedError at the end unless the header's count of samples is right.

    Raises
    ------
    AudioError
        libsndfile does not read it.
    """
    import soundfile

    class Straight(soundfile.SoundFile):  # type: ignore[misc]
        """soundfile seeks after each block, which changes the samples of MP3."""

        def seekable(self) -> bool:
            return False

    patches = sound.patches if sound else {}
    steady = SteadyFile(file, found.start, patches=patches)
    # C code that calls Python for every few kilobytes takes twice as long.
    usable = found.container in _BY_DESCRIPTOR and not patches and not found.start
    with _descriptor(file) if usable else nullcontext() as descriptor, ExitStack() as stack:
        try:
            source = Straight(descriptor, closefd=False) if descriptor else Straight(steady)
        except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
            raise unreadable(found.container) from None
        opened = stack.enter_context(source)
        rate, claimed = opened.samplerate, opened.frames
        seconds = claimed / rate if 0 <= claimed < 2**62 else None
        order = "le" if found.container == "wav" else "be"
        codec = _CODECS.get(opened.subtype, opened.subtype.lower()).format(order)
        if found.container == "flac":
            codec = "flac"
        elif found.container == "mp3" and not by_count:  # FFmpeg could not read it
            codec = "mp3_free_format"
        info = AudioInfo(found.container, rate, opened.channels, seconds, codec, found.start)
        reading = Reading(info)

        def blocks() -> Iterator[Array]:
            at_once = _BLOCK_VALUES // opened.channels
            while True:
                try:
                    block = opened.read(at_once, dtype="float32", always_2d=True)
                except (soundfile.LibsndfileError, RuntimeError, ValueError, OSError):
                    if by_count:
                        raise MiscountedError from None
                    reading.broken = True
                    return
                ended = steady.failed or not len(block)
                whole = reading.frames == claimed and _at_end(steady, descriptor)
                if by_count and ended and not whole:
                    raise MiscountedError
                if steady.failed or (descriptor and not len(block) and reading.frames < claimed):
                    raise failed_at(reading.frames / rate)
                if not len(block):
                    break
                reading.frames += len(block)
                yield block.T
            if sound and sound.claimed:
                reading.broken = True
                reading.total = reading.frames / rate * sound.claimed / max(sound.size, 1)

        reading.blocks = blocks()
        yield reading


def _at_end(steady: SteadyFile, descriptor: int | None) -> bool:
    """Return whether a file has been read, but for tags at its end."""
    at = os.lseek(descriptor, 0, os.SEEK_CUR) if descriptor else steady.tell()
    return at >= steady.seek(0, os.SEEK_END) - _TAGS_BYTES


@contextmanager
def _descriptor(file: BinaryIO) -> Iterator[int | None]:
    """The descriptor of a file on disk, rewound; None for other file objects.

    Its position is restored at the end, for the file object relies on it.
    """
    try:
        number = file.fileno()
        before = os.lseek(number, 0, os.SEEK_CUR)
        os.lseek(number, 0, os.SEEK_SET)
    except (AttributeError, OSError, ValueError):
        yield None
        return
    try:
        yield number
    finally:
        os.lseek(number, before, os.SEEK_SET)
