"""Read m4a, aac, wma and webm with FFmpeg.

FFmpeg is given the demuxer, so that none of its other formats can be reached.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.source import AudioInfo, SteadyFile, broken_off, unreadable
from genrekit.errors import AudioError

__all__ = ["DEMUXERS", "open_ffmpeg"]

Array = NDArray[np.float32]

DEMUXERS: Final = {"m4a": "mov", "aac": "aac", "wma": "asf", "webm": "matroska"}


@contextmanager
def open_ffmpeg(file: BinaryIO, container: str) -> Iterator[tuple[AudioInfo, Iterator[Array]]]:
    """Open a file, as `sndfile.open_sndfile`."""
    import av

    steady = SteadyFile(file, out_of_range=-1)
    demuxer = DEMUXERS[container]
    try:
        opened = av.open(cast(BinaryIO, steady), "r", format=demuxer, metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError):
        raise unreadable(container) from None
    with opened:
        if not opened.streams.audio:
            raise AudioError(f"This {container} file has no audio track: choose another file.")
        stream = opened.streams.audio[0]
        codec = stream.codec_context
        if codec is None or not codec.sample_rate:
            raise AudioError("Its audio track cannot be decoded: convert it to wav or mp3.")
        rate = codec.sample_rate
        seconds = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif opened.duration is not None:
            seconds = opened.duration / 1e6
        if seconds is not None and seconds < 0:  # a damaged header
            seconds = None

        def blocks() -> Iterator[Array]:
            # Interleaved: PyAV reads the planes of more than 8 channels beyond their end.
            to_float = av.AudioResampler(format="flt", rate=rate)
            done = 0
            try:
                for frame in opened.decode(stream):
                    for packed in to_float.resample(frame):
                        channels = packed.layout.nb_channels  # damage can change it midway
                        values = packed.to_ndarray().astype(np.float32, copy=False)
                        planar = values.reshape(-1, channels).T
                        done += planar.shape[1]
                        yield planar
            except (av.FFmpegError, OSError, ValueError):
                raise broken_off(done / rate) from None
            # A raw AAC stream only estimates its length, and a film may go on in silence.
            exact = container != "aac" and not opened.streams.video
            short = exact and seconds and done / rate < 0.98 * seconds - 0.25
            if steady.failed or short:
                raise broken_off(done / rate)

        coded = codec.codec.canonical_name
        yield AudioInfo(container, rate, codec.channels, seconds, coded), blocks()
