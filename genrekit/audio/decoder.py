"""Sound files to samples: decode, downmix, resample, within limits.

Samples are float32, mono, full scale is 1.0. Channels are averaged; where that would cancel them
out, as when one is wired upside down, the loudest is heard alone. A file is read block by block, so
that memory follows what is kept, not what the file claims to hold. The container is told by its
first bytes, never by its name: libsndfile (soundfile) reads wav, flac, ogg, opus, mp3, aiff and au;
FFmpeg (PyAV) reads m4a, aac, wma and webm, and is told which demuxer to use, so that no other of
its formats can be reached.
"""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genrekit.errors import AudioError, SettingsError
from genrekit.ranges import check_number
from genrekit.wording import counted

__all__ = [
    "AUDIO_SUFFIXES",
    "CANCELLED_POWER",
    "AudioInfo",
    "AudioSource",
    "Decoded",
    "decode",
    "load_audio",
    "probe",
    "resampled",
    "usable_samples",
]

AudioSource = str | os.PathLike[str] | bytes | BinaryIO
Array = NDArray[np.float32]

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
# Power of the average of channels, relative to that of unrelated channels of the same power.
# Measured on 50 pieces of real music with one channel turned upside down and more and more
# ambience: below a half, the verdict on the loudest channel differed by 0.03 from that on the
# proper mix, and the verdict on the average by 0.20 (total variation; at no power was the average
# nearer). Pairs of unrelated pieces stayed above 0.97, a channel 5 ms late above 0.5.
CANCELLED_POWER: Final = 0.5
# Bytes; some file systems let one seek further, some do not, and memory does.
_FARTHEST: Final = 1 << 40
# Their headers say exactly how many samples there are.
_COUNTED: Final = ("wav", "flac", "aiff", "au")
_FFMPEG_DEMUXER: Final = {"m4a": "mov", "aac": "aac", "wma": "asf", "webm": "matroska"}


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself: container, sample rate in Hz, channels, duration in seconds.

    `seconds` is None where the file does not say. `codec` names how its sound is coded: as FFmpeg
    does ("aac", "vorbis"), or for wav, aiff and au as libsndfile does ("pcm_16", "ms_adpcm"); MP3
    frames that do not tell their length are "mp3_free_format".
    """

    container: str
    sample_rate: int
    channels: int
    seconds: float | None
    codec: str = ""


@dataclass(frozen=True, eq=False)
class Decoded:
    """A sound as it is heard.

    Attributes
    ----------
    samples : ndarray, float32, shape (samples,)
    info : AudioInfo
    cut : bool
        There is more than was asked for.
    cancelled : bool
        The average of the channels would be next to nothing, so the loudest is heard alone.
    """

    samples: Array
    info: AudioInfo
    cut: bool
    cancelled: bool

    @property
    def note(self) -> str:
        """What a listener should know of how it was heard; empty where there is nothing."""
        if not self.cancelled:
            return ""
        return "Its channels cancel each other out, so only the loudest was heard."


def load_audio(
    source: AudioSource,
    sample_rate: int = 22050,
    *,
    max_seconds: float | None = None,
) -> NDArray[np.float32]:
    """Decode a sound, average its channels and resample it.

    Where the average would cancel the channels out, the loudest is taken instead.

    Parameters
    ----------
    source : path, bytes, or a binary file open for reading
    sample_rate : int, Hz, of the result
    max_seconds : float or None
        Read no more than this from the start.

    Returns
    -------
    ndarray, float32, shape (samples,)
        Equal to ``librosa.load(..., sr=sample_rate)`` up to rounding, unless channels cancel.

    Raises
    ------
    AudioError
        The file cannot be opened, is no known audio, is damaged, holds no samples, or holds
        samples that are not finite.
    SettingsError
        The rate or the duration asked for is out of range.
    """
    _check_rate(sample_rate)
    _check_seconds(max_seconds)
    return _decoded(source, sample_rate, max_seconds).samples


def decode(source: AudioSource, sample_rate: int, max_seconds: float | None) -> Decoded:
    """Hear the first `max_seconds` of a sound, as `load_audio`, and tell how that was done.

    None hears all of it.

    Raises
    ------
    AudioError, SettingsError
        As `load_audio`.
    """
    _check_rate(sample_rate)
    _check_seconds(max_seconds)
    if max_seconds is None:
        return _decoded(source, sample_rate, None)
    # A second more than is heard tells whether there is more.
    found = _decoded(source, sample_rate, max_seconds + 1)
    most = int(max_seconds * sample_rate)
    if len(found.samples) <= most:
        return found
    return replace(found, samples=found.samples[:most].copy(), cut=True)


def _decoded(source: AudioSource, sample_rate: int, max_seconds: float | None) -> Decoded:
    with _opened(source) as file:
        info, channels, parts = _heard(file, sample_rate, max_seconds, None)
        if cancelled := channels.cancel:
            parts = []
            info, _, parts = _heard(file, sample_rate, max_seconds, channels.loudest)
    samples = np.concatenate(parts) if parts else np.empty(0, np.float32)
    if not samples.size:
        raise AudioError("It contains no sound at all (0 samples): choose another file.")
    return Decoded(samples, info, False, cancelled)


def _heard(
    file: BinaryIO, sample_rate: int, max_seconds: float | None, only: int | None
) -> tuple[AudioInfo, "_Channels", list[Array]]:
    """A file's samples in parts, of all its channels or of `only` one."""
    file.seek(0)
    with _reading(file) as (info, blocks):
        channels = _Channels(only)
        mono = map(channels.mixed, _start(blocks, info.sample_rate, max_seconds))
        parts = list(_resampled(mono, info.sample_rate, sample_rate))
    return info, channels, parts


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
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        path = Path(os.fsdecode(source))
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
        yield _open_file(source)


def _open_file(source: object) -> BinaryIO:
    """`source` at its start, if that is an open binary file that can be read again and again."""
    try:
        file = cast(BinaryIO, source)
        file.seek(0)
        binary = isinstance(file.read(0), bytes)
    except AttributeError:
        raise AudioError(
            f"A sound is given by its path, its bytes or an open file, not by {_kind(source)}."
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(f"The open file cannot be read ({_reason(error)}).") from None
    if not binary:
        raise AudioError('The open file gives text, not bytes: open it with mode "rb".')
    return file


def _kind(value: object) -> str:
    return f"{type(value).__name__}s" if isinstance(value, list | tuple) else repr(value)[:40]


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
def _reading(file: BinaryIO) -> Iterator[tuple[AudioInfo, Iterator[Array]]]:
    """Header and blocks of an open file, shape (channels, samples), with plain errors."""
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
def _sndfile_reader(file: BinaryIO, container: str) -> Iterator[tuple[AudioInfo, Iterator[Array]]]:
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
        seconds = sound.frames / rate if known else None
        codec = _sndfile_codec(file, container, sound.subtype)
        info = AudioInfo(container, rate, sound.channels, seconds, codec)

        claimed = sound.frames

        def blocks() -> Iterator[Array]:
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
                yield block.T

        yield info, blocks()


def _sndfile_codec(file: BinaryIO, container: str, subtype: str) -> str:
    if container == "flac":
        return container
    layer = {"MPEG_LAYER_I": "mp1", "MPEG_LAYER_II": "mp2", "MPEG_LAYER_III": "mp3"}.get(subtype)
    if layer == container and _is_free_format(file):
        return "mp3_free_format"
    return layer or subtype.lower()


def _is_free_format(file: BinaryIO) -> bool:
    """Whether the first MPEG frame has a bit rate of its own (ISO 11172-3, bitrate_index 0)."""
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
def _ffmpeg_reader(file: BinaryIO, container: str) -> Iterator[tuple[AudioInfo, Iterator[Array]]]:
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
        coded = codec.codec.canonical_name
        info = AudioInfo(container, codec.sample_rate, codec.channels, seconds, coded)

        def blocks() -> Iterator[Array]:
            # Interleaved: PyAV counts the planes of more than 8 channels beyond their end.
            to_float = av.AudioResampler(format="flt", rate=info.sample_rate)
            done = 0
            try:
                for frame in opened.decode(stream):
                    for packed in to_float.resample(frame):
                        channels = packed.layout.nb_channels  # damage can change it on the way
                        values = packed.to_ndarray().astype(np.float32, copy=False)
                        planar = values.reshape(-1, channels).T
                        done += planar.shape[1]
                        yield planar
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


# -- channels ---------------------------------------------------------------------------------


class _Channels:
    """Mixes blocks of shape (channels, samples) to one channel, and weighs what is lost."""

    def __init__(self, only: int | None = None) -> None:
        self._only = only
        self._powers: NDArray[np.float64] = np.zeros(MAX_CHANNELS)
        self._mixed = self._unrelated = 0.0

    def mixed(self, planar: Array) -> Array:
        """The average of the channels, or the only one."""
        if len(planar) == 1:
            return planar[0]
        if self._only is not None:
            return planar[min(self._only, len(planar) - 1)]
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused later
            mono: Array = planar.mean(axis=0, dtype=np.float32)
            products = planar @ planar.T
            powers = products.diagonal()
            self._powers[: len(powers)] += powers
            self._mixed += float(products.sum()) / len(powers) ** 2
            self._unrelated += float(powers.sum()) / len(powers) ** 2
        return mono

    @property
    def cancel(self) -> bool:
        """Whether the average holds much less than the channels do, or too much for numbers."""
        return not self._mixed >= CANCELLED_POWER * self._unrelated

    @property
    def loudest(self) -> int:
        return int(self._powers.argmax())


def _start(blocks: Iterable[Array], rate: int, max_seconds: float | None) -> Iterator[Array]:
    """The blocks up to `max_seconds`."""
    left = np.inf if max_seconds is None else round(max_seconds * rate)
    for block in blocks:
        yield block if block.shape[1] <= left else block[:, : int(left)]
        left -= block.shape[1]
        if left <= 0:
            return


# -- resampling -------------------------------------------------------------------------------


def _resampled(blocks: Iterable[Array], source_rate: int, target_rate: int) -> Iterator[Array]:
    """Mono blocks at the target rate, checked."""
    if source_rate == target_rate:
        resample = None
    else:
        import soxr

        resample = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
    position = 0
    for block in blocks:
        _check_numbers(block, source_rate, position)
        position += len(block)
        yield block if resample is None else resample.resample_chunk(block)
    if resample is not None:
        yield resample.resample_chunk(np.empty(0, np.float32), last=True)


def resampled(samples: Array, source_rate: float, target_rate: float) -> Array:
    """Samples at another rate.

    Parameters
    ----------
    samples : ndarray, float32, shape (samples,)
    source_rate, target_rate : float, Hz

    Raises
    ------
    SettingsError
        A rate is out of range.
    """
    _check_rate(source_rate)
    _check_rate(target_rate)
    if source_rate == target_rate or not len(samples):
        return samples
    import soxr

    changed: Array = soxr.resample(samples, source_rate, target_rate)
    return changed


# -- what is given ----------------------------------------------------------------------------

# Half the range of each type of integers that sound files have; silence is the other end's zero.
_INTEGERS: Final = {np.dtype(np.int16): 2.0**15, np.dtype(np.int32): 2.0**31}


def usable_samples(samples: ArrayLike, ndim: int = 1) -> Array:
    """Check samples that somebody's program gives, and make them float32 of full scale 1.

    Parameters
    ----------
    samples : array-like of floats, or of integers of 16 or 32 bits, which are scaled
    ndim : int
        1 for one channel, shape (samples,); 2 for segments, shape (segments, samples).

    Returns
    -------
    ndarray, float32, the same shape; `samples` itself where nothing has to be changed

    Raises
    ------
    AudioError
        A sample is not a number, or far beyond full scale.
    SettingsError
        They are no numbers of such a type, or have another shape.
    """
    try:
        given = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError):
        given = np.array(None)
    if given.dtype.kind != "f" and given.dtype not in _INTEGERS:
        what = _kind(samples) if given.dtype.kind == "O" else f"numbers of type {given.dtype}"
        raise SettingsError(
            f"Samples cannot be {what}: give an array of floats from -1 to 1, or of integers of "
            "16 or 32 bits."
        )
    if given.ndim != ndim:
        raise SettingsError(_wrong_shape(given.shape, ndim))
    if given.dtype in _INTEGERS:
        return (given / _INTEGERS[given.dtype]).astype(np.float32)
    if given.size and not (given.min() >= -_LOUDEST and given.max() <= _LOUDEST):
        finite = bool(np.isfinite(given).all())
        what = "far beyond full scale" if finite else "that are not numbers"
        raise AudioError(f"The array contains samples {what}: leave them out or set them to 0.")
    return given.astype(np.float32, copy=False)


def _wrong_shape(shape: tuple[int, ...], ndim: int) -> str:
    if ndim == 2:
        return f"Segments of shape {shape} do not fit: give (segments, samples)."
    text = f"Samples of shape {shape} are not one channel: give shape (samples,)"
    if len(shape) == 2 and 0 < min(shape) <= MAX_CHANNELS:
        text += f", such as samples.mean(axis={int(np.argmin(shape))})"
    return f"{text}."


def _check_rate(rate: object) -> None:
    check_number("sample_rate", rate, *RATE_RANGE_HZ, "Hz")


def _check_seconds(seconds: object) -> None:
    if seconds is not None:
        check_number("max_seconds", seconds, 0, unit="s", above=True)


def _check_numbers(block: Array, rate: float, position: int) -> None:
    """Refuse samples that one cannot compute with."""
    if not block.size or (block.min() >= -_LOUDEST and block.max() <= _LOUDEST):
        return
    at = int(np.argmin(np.abs(block) <= _LOUDEST))
    what = "far beyond full scale" if np.isfinite(block[at]) else "that are not numbers"
    raise AudioError(
        f"It contains samples {what} (first at {(position + at) / rate:.1f} s): "
        "export it again from the program that made it."
    )
