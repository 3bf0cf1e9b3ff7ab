"""Read every coded format with FFmpeg, as its own program does: all that can be decoded, in order.

Timestamps and stated lengths do not decide what is heard. FFmpeg is given the demuxer, so that
none of its other formats can be reached.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.chunks import SoundBytes
from genrekit.audio.packets import Decoder
from genrekit.audio.promises import Promise, chain, promise
from genrekit.audio.reading import Reading
from genrekit.audio.recognition import Found
from genrekit.audio.source import AudioInfo, SteadyFile, failed_at, no_sound, unreadable
from genrekit.errors import AudioError

__all__ = ["open_ffmpeg"]

Array = NDArray[np.float32]

_DEMUXERS: Final = {
    "m4a": "mov",
    "wma": "asf",
    "webm": "matroska",
    "ts": "mpegts",
    "wavpack": "wv",
    "musepack": "mpc8",
}
# Containers whose stated length belongs to the sound alone and is written last.
_COUNTED: Final = ("m4a", "flac", "caf", "w64", "tta", "wavpack", "ape", "dsf")
# A container's length counts whole frames, and rounds.
_TOLERANCE: Final = 0.1


@contextmanager
def open_ffmpeg(file: BinaryIO, found: Found, sound: SoundBytes | None = None) -> Iterator[Reading]:
    """Open a file whose first samples can be decoded; yield its header and its blocks.

    Parameters
    ----------
    sound : SoundBytes or None
        What is known of a file in chunks.

    Raises
    ------
    AudioError
        Nothing can be decoded, with the reason; or the disk fails.
    """
    promised = promise(file, found)
    patches = sound.patches if sound else {}
    starts = chain(file, found.start) if found.container == "ogg" else [found.start]
    parts = [
        SteadyFile(file, start, end, patches, out_of_range=-1)
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    ]
    with _opened(parts[0], found, promised) as (opened, stream):
        decoder = Decoder(opened, stream)
        rate = decoder.rate
        stated, stated_end = _stated(opened, stream) if not parts[1:] else (None, None)
        if not rate:
            raise _refusal(found, promised, bool(decoder.failures or parts[0].failed or stated))
        codec = stream.codec_context.codec.canonical_name
        info = AudioInfo(found.container, rate, decoder.channels, stated, codec, found.start)
        reading = Reading(info)

        def blocks() -> Iterator[Array]:
            yield from _noted(decoder, reading)
            for part in parts[1:]:
                with suppress(AudioError), _opened(part, found, Promise()) as following:
                    yield from _noted(Decoder(*following, rate), reading)
            heard = reading.frames / rate
            if any(part.failed for part in parts):
                raise failed_at(heard)
            if sound is not None and sound.claimed:
                reading.broken = True
                reading.total = heard * sound.claimed / max(sound.size, 1)
                return
            if promised.seconds is not None and promised.seconds > heard:
                reading.total = promised.seconds
                # Without a count of bytes, only the count of frames tells.
                reading.broken |= found.container == "mp3" and heard < 0.98 * promised.seconds
            reading.broken |= promised.cut
            late = stated_end - decoder.end if stated_end else 0.0
            if late > _TOLERANCE and (found.container in _COUNTED or reading.broken):
                reading.broken, reading.total = True, reading.total or heard + late

        reading.blocks = blocks()
        yield reading


@contextmanager
def _opened(part: SteadyFile, found: Found, promised: Promise) -> Iterator[tuple[Any, Any]]:
    """Open a file, or a link of a chain, and choose its stream of sound, or raise AudioError."""
    import av

    part.seek(0)
    demuxer = _DEMUXERS.get(found.container, found.container)
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(
                av.open(cast(BinaryIO, part), "r", format=demuxer, metadata_errors="ignore")
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            # The end of the file behind nothing but headers is no damage.
            raise _refusal(found, promised, not isinstance(error, EOFError)) from None
        yield opened, _stream(opened, found, promised)


def _noted(decoder: Decoder, reading: Reading) -> Iterator[Array]:
    """The blocks of a decoder; what it could not decode is noted."""
    before = reading.frames / decoder.rate
    for block in decoder.blocks():
        reading.frames += block.shape[1]
        yield block
    if decoder.damaged_at is not None and reading.damaged_at is None:
        reading.damaged_at = before + decoder.damaged_at
    reading.lost += decoder.lost
    reading.broken |= decoder.incomplete


def _stated(opened: Any, stream: Any) -> tuple[float | None, float | None]:
    """The length in the header and the time of its end, s; None if missing or impossible."""
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
        end = seconds + float((stream.start_time or 0) * stream.time_base)
    elif opened.duration is not None:
        seconds = end = opened.duration / 1e6
    else:
        return None, None
    return (seconds, end) if seconds >= 0 else (None, None)


def _stream(opened: Any, found: Found, promised: Promise) -> Any:
    """The stream of sound that FFmpeg's own program chooses, or AudioError."""
    if not opened.streams.audio:
        if any(video.codec_context for video in opened.streams.video):
            raise AudioError("It is a film without sound: choose another file.")
        raise _refusal(found, promised)
    stream = opened.streams.best("audio") or opened.streams.audio[0]
    if promised.protected:
        raise AudioError("It is copy-protected: only its shop's own player may decode it.")
    if stream.codec_context is None:
        raise AudioError(
            f"The coding of this {found.container} file is not supported: convert it to wav or mp3."
        )
    return stream


def _refusal(found: Found, promised: Promise, damaged: bool = True) -> AudioError:
    """The reason why nothing of a file can be decoded."""
    if promised.unfinished:
        return AudioError(
            "The recording was never finished, or its end is missing: the index that would stand "
            "there tells where the sound is. Export or copy it again."
        )
    return unreadable(found.container) if damaged or promised.cut else no_sound()
