"""Sound files to samples: decode, downmix, resample, within limits.

Samples are float32, mono, full scale is 1.0. A file is read block by block, so that memory
follows what is kept, not what the file claims to hold. The container is told by its first
bytes, never by its name: libsndfile (soundfile) reads wav, flac, ogg, opus, mp3, aiff and au;
FFmpeg (PyAV) reads m4a, aac, wma and webm, and is told which demuxer to use, so that no other
of its formats can be reached.
"""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from genrekit.errors import AudioError, SettingsError
from genrekit.wording import counted, numeral

__all__ = ["AUDIO_SUFFIXES", "AudioInfo", "AudioSource", "load_audio", "probe"]

AudioSource = str | os.PathLike[str] | bytes | BinaryIO

AUDIO_SUFFIXES: Final = frozenset(
    ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd "
    ".m4a .mp4 .aac .wma .webm .mka".split()
)

MAX_CHANNELS: Final = 32
RATE_RANGE_HZ: Final = (1_000, 768_000)
_BLOCK_VALUES: Final = 1 << 18
# Full scale is 1; some programs write floats as large as integers of 32 bits. Beyond 1e15, powers
# would overflow.
_LOUDEST: Final = np.float32(1e12)
# Bytes; some file systems let one seek further, some do not, and memory does.
_FARTHEST: Final = 1 << 40
# Their headers say exactly how many samples there are.
_COUNTED: Final = ("wav", "flac", "aiff", "au")
_FFMPEG_DEMUXER: Final = {"m4a": "mov", "aac": "aac", "wma": "asf", "webm": "matroska"}


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself: container, sample rate in Hz, channels, duration in seconds.

    `seconds` is None where the file does not say.
    """

    container: str
    sample_rate: int
    channels: int
    seconds: float | None


def load_audio(
    source: AudioSource,
    sample_rate: int = 22050,
    *,
    max_seconds: float | None = None,
) -> NDArray[np.float32]:
    """Decode a sound, average its channels and resample it.

    Parameters
    ----------
    source : path, bytes, or a binary file open for reading
    sample_rate : int, Hz, of the result
    max_seconds : float or None
        Read no more than this from the start.

    Returns
    -------
    ndarray, float32, shape (samples,)
        Equal to ``librosa.load(..., sr=sample_rate)`` up to rounding.

    Raises
    ------
    AudioError
        The file cannot be opened, is no known audio, is damaged, holds no samples, or holds
        samples that are not finite.
    SettingsError
        The rate or the duration asked for is out of range.
    """
    if not RATE_RANGE_HZ[0] <= sample_rate <= RATE_RANGE_HZ[1]:
        raise SettingsError(
            f"A sample rate of {sample_rate} Hz is out of range: "
            f"use {RATE_RANGE_HZ[0]} to {RATE_RANGE_HZ[1]} Hz."
        )
    if max_seconds is not None and not 0 < max_seconds < np.inf:
        raise SettingsError(
            f"{numeral(max_seconds)} s of audio cannot be read: ask for more than 0, or for None."
        )
    with _opened(source) as file, _reading(file) as (info, blocks):
        parts = list(_resampled(blocks, info.sample_rate, sample_rate, max_seconds))
    samples = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if not samples.size:
        raise AudioError("It contains no sound at all (0 samples): choose another file.")
    return samples


def probe(source: AudioSource) -> AudioInfo:
    """Read a file's header only.

    Raises
    ------
    AudioError
        As `load_audio`, as far as the header tells.
    """
    with _opened(source) as file, _reading(file) as (info, _):
        return info


# -- opening ----------------------------------------------------------------------------------


@contextmanager
def _opened(source: AudioSource) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            if path.is_dir():
                raise AudioError("It is a folder, not an audio file: name a file inside it.")
            if path.exists() and not path.is_file():  # opening it could wait for ever
                raise AudioError("It is a pipe or a device, not a file: save it as a file first.")
            file = path.open("rb")
        except FileNotFoundError:
            raise AudioError("There is no such file: check the name and the folder.") from None
        except PermissionError:
            raise AudioError(
                "It may not be read by this user: change its permissions or copy it."
            ) from None
        except (OSError, ValueError) as error:
            raise AudioError(f"It cannot be opened ({_reason(error)}): copy it afresh.") from None
        with file:
            yield file
    else:
        source.seek(0)
        yield source


def _container(file: BinaryIO) -> str:
    """The container's name, from the first bytes."""
    head = file.read(16)
    file.seek(0)
    if not head:
        raise AudioError("It is empty (0 bytes): the copy or download probably failed.")
    magics = {
        b"RIFF": "wav",
        b"RF64": "wav",
        b"fLaC": "flac",
        b"OggS": "ogg",
        b"ID3": "mp3",
        b"FORM": "aiff",
        b".snd": "au",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wma",
        b"\x1a\x45\xdf\xa3": "webm",
    }
    for magic, name in magics.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "m4a"
    if len(head) > 1 and head[0] == 0xFF:
        # An MPEG frame header: 11 bits of sync, then two layer bits, zero for AAC (ADTS).
        if head[1] & 0xF6 == 0xF0:
            return "aac"
        if head[1] & 0xE0 == 0xE0:
            return "mp3"
    raise AudioError(
        "It is not audio in a format GenreKit reads: use wav, flac, mp3, ogg, opus, aiff, au, "
        "m4a, aac, wma or webm."
    )


@contextmanager
def _reading(file: BinaryIO) -> Iterator[tuple[AudioInfo, Iterator[NDArray[np.float32]]]]:
    """Header and mono blocks of an open file, with every decoder's error made plain."""
    container = _container(file)
    reader = _ffmpeg_reader if container in _FFMPEG_DEMUXER else _sndfile_reader
    with reader(file, container) as (info, blocks):
        if not 1 <= info.channels <= MAX_CHANNELS:
            raise AudioError(
                f"It has {counted(info.channels, 'channel')}, not 1 to {MAX_CHANNELS}: mix it down "
                "first."
            )
        if not RATE_RANGE_HZ[0] <= info.sample_rate <= RATE_RANGE_HZ[1]:
            raise AudioError(
                f"Its sample rate of {info.sample_rate} Hz is out of range: save it at 44100 Hz."
            )
        yield info, blocks


@contextmanager
def _sndfile_reader(
    file: BinaryIO, container: str
) -> Iterator[tuple[AudioInfo, Iterator[NDArray[np.float32]]]]:
    import soundfile

    class Straight(soundfile.SoundFile):  # type: ignore[misc]
        """Read from start to end: soundfile would seek after each block, which disturbs the
        MP3 decoder and changes its samples."""

        def seekable(self) -> bool:
            return False

    steady = _Steady(file)
    whole = container in _COUNTED and _descriptor(file)
    try:
        # C code that calls Python for every few kilobytes takes twice as long.
        sound = Straight(whole, closefd=False) if whole else Straight(steady)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError):
        raise AudioError(
            f"It starts like {container} audio but cannot be read: it is damaged or incomplete; "
            "copy or download it again."
        ) from None
    with sound:
        rate = sound.samplerate
        known = 0 <= sound.frames < 2**62
        info = AudioInfo(container, rate, sound.channels, sound.frames / rate if known else None)

        claimed = sound.frames

        def blocks() -> Iterator[NDArray[np.float32]]:
            done = 0
            at_once = _BLOCK_VALUES // sound.channels
            while True:
                try:
                    block = sound.read(at_once, dtype="float32", always_2d=True)
                except (soundfile.LibsndfileError, RuntimeError, ValueError, OSError):
                    raise _broken_off(done / rate) from None
                if steady.failed:
                    raise _broken_off(done / rate)
                if not len(block):
                    short = container in _COUNTED and done < claimed
                    if short or _ends_early(file, container, done, claimed):
                        raise _broken_off(done / rate)
                    return
                done += len(block)
                yield _mono(block.T)

        yield info, blocks()


def _descriptor(file: BinaryIO) -> int:
    """The descriptor of a file on disk, at its start; 0 for what is only like a file."""
    try:
        number = file.fileno()
        os.lseek(number, 0, os.SEEK_SET)
    except (AttributeError, OSError, ValueError):
        return 0
    return number


class _Steady:
    """A file as C code needs it, which cannot be handed an exception: one is noted instead.

    `elsewhere` is the answer to seeking where no file reaches, as damaged headers do: libsndfile
    wants the place where it stands (None), FFmpeg a negative number.
    """

    def __init__(self, file: BinaryIO, elsewhere: int | None = None) -> None:
        self._file = file
        self._elsewhere = elsewhere
        self.failed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            if abs(offset) < _FARTHEST:
                return self._file.seek(offset, whence)
        except OSError as error:
            self.failed = self.failed or error.errno != errno.EINVAL
        except ValueError:
            pass
        return self._file.tell() if self._elsewhere is None else self._elsewhere

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        content = b""
        try:
            # A raw file may give less than asked for, which libsndfile takes for the end.
            while more := self._file.read(size - len(content)):
                content += more
        except OSError:
            self.failed = True
        return content


@contextmanager
def _ffmpeg_reader(
    file: BinaryIO, container: str
) -> Iterator[tuple[AudioInfo, Iterator[NDArray[np.float32]]]]:
    import av

    steady = _Steady(file, elsewhere=-1)
    demuxer = _FFMPEG_DEMUXER[container]
    try:
        opened = av.open(cast(BinaryIO, steady), "r", format=demuxer, metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError):
        raise AudioError(
            f"It starts like {container} audio but cannot be read: it is damaged or incomplete; "
            "copy or download it again."
        ) from None
    with opened:
        if not opened.streams.audio:
            raise AudioError(f"This {container} file holds no audio track: choose another file.")
        stream = opened.streams.audio[0]
        codec = stream.codec_context
        if codec is None or not codec.sample_rate:
            raise AudioError("Its audio track cannot be decoded: convert it to wav or mp3.")
        seconds = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif opened.duration is not None:
            seconds = opened.duration / 1e6
        if seconds is not None and seconds < 0:  # a damaged header
            seconds = None
        info = AudioInfo(container, codec.sample_rate, codec.channels, seconds)

        def blocks() -> Iterator[NDArray[np.float32]]:
            # Interleaved: PyAV counts the planes of more than 8 channels beyond their end.
            to_float = av.AudioResampler(format="flt", rate=info.sample_rate)
            done = 0
            try:
                for frame in opened.decode(stream):
                    for packed in to_float.resample(frame):
                        channels = packed.layout.nb_channels  # damage can change it on the way
                        values = packed.to_ndarray().astype(np.float32, copy=False)
                        mono = _mono(values.reshape(-1, channels).T)
                        done += len(mono)
                        yield mono
            except (av.FFmpegError, OSError, ValueError):
                raise _broken_off(done / info.sample_rate) from None
            if steady.failed:
                raise _broken_off(done / info.sample_rate)
            # A raw AAC stream only guesses its length, and a film may go on in silence.
            told = container != "aac" and not opened.streams.video
            if told and seconds and done / info.sample_rate < 0.98 * seconds - 0.25:
                raise _broken_off(done / info.sample_rate)

        yield info, blocks()


def _ends_early(file: BinaryIO, container: str, frames: int, claimed_frames: int) -> bool:
    """Whether a file that simply ended after `frames` was cut short: libsndfile does not say."""
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
            return not _last_ogg_page_ends_the_stream(file)
        case _:
            return False
    # Streaming writers leave a huge placeholder in the size field.
    return claimed_bytes < 2**31 - 4096 and file.seek(0, os.SEEK_END) < claimed_bytes - 1


def _last_ogg_page_ends_the_stream(file: BinaryIO) -> bool:
    """Whether the last page is whole and bears the mark of the last (RFC 3533, section 6)."""
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


def _broken_off(seconds: float) -> AudioError:
    return AudioError(
        f"It can be read only up to {seconds:.1f} s: it is damaged or incomplete; "
        "copy or download it again."
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


# -- resampling -------------------------------------------------------------------------------


def _resampled(
    blocks: Iterator[NDArray[np.float32]],
    source_rate: int,
    target_rate: int,
    max_seconds: float | None,
) -> Iterator[NDArray[np.float32]]:
    """Blocks at the target rate, checked, and none longer than what is left to read."""
    left = None if max_seconds is None else round(max_seconds * source_rate)
    if source_rate == target_rate:
        resample = None
    else:
        import soxr

        resample = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
    position = 0
    for block in blocks:
        block = block if left is None else block[: left - position]
        if not _sound(block):
            good = np.abs(block) <= _LOUDEST
            at = int(np.argmin(good))
            what = "far beyond full scale" if np.isfinite(block[at]) else "that are not numbers"
            raise AudioError(
                f"It contains samples {what} (first at {(position + at) / source_rate:.1f} s): "
                "export it again from the program that made it."
            )
        position += len(block)
        yield block if resample is None else resample.resample_chunk(block)
        if left is not None and position >= left:
            break
    if resample is not None:
        yield resample.resample_chunk(np.empty(0, np.float32), last=True)


def _mono(planar: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of channels, shape (channels, samples)."""
    if len(planar) == 1:
        return planar[0]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
        mono: NDArray[np.float32] = planar.mean(axis=0, dtype=np.float32)
    return mono


def _sound(block: NDArray[np.float32]) -> bool:
    """Whether all samples are numbers that one can compute with."""
    return not block.size or bool(block.min() >= -_LOUDEST and block.max() <= _LOUDEST)
