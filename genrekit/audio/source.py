"""The sound file to decode: opened, its container recognised, made safe for decoders in C."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from genrekit.errors import AudioError

__all__ = [
    "AudioInfo",
    "AudioSource",
    "SteadyFile",
    "broken_off",
    "open_source",
    "recognise_container",
    "type_in_words",
    "unreadable",
]

AudioSource = str | os.PathLike[str] | bytes | BinaryIO

# Bytes; memory accepts longer seeks than this, file systems differ.
_FARTHEST: Final = 1 << 40
_MAGIC: Final = {
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


@dataclass(frozen=True)
class AudioInfo:
    """The header of a file: container, sample rate in Hz, channels, duration in seconds.

    `seconds` is None if the header does not give it. `codec` is named as by FFmpeg ("aac",
    "vorbis"), for wav, aiff and au as by libsndfile ("pcm_16", "ms_adpcm"); MP3 frames without a
    length are "mp3_free_format".
    """

    container: str
    sample_rate: int
    channels: int
    seconds: float | None
    codec: str = ""


@contextmanager
def open_source(source: AudioSource) -> Iterator[BinaryIO]:
    """Open a sound given by path, as bytes, or as a file that can be read repeatedly.

    Raises
    ------
    AudioError
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        path = Path(os.fsdecode(source))
        try:
            if path.is_dir():
                raise AudioError("It is a folder, not an audio file: name a file inside it.")
            if path.exists() and not path.is_file():  # opening it could block for ever
                raise AudioError("It is a pipe or a device, not a file: save it as a file first.")
            file = path.open("rb")
        except FileNotFoundError:
            raise AudioError("There is no such file: check the name and the folder.") from None
        except PermissionError:
            raise AudioError(
                "This user may not read it: change its permissions or copy it."
            ) from None
        except (OSError, ValueError) as error:
            raise AudioError(f"It cannot be opened ({_reason(error)}): copy it again.") from None
        with file:
            yield file
    else:
        yield _check_file(source)


def _check_file(source: object) -> BinaryIO:
    try:
        file = cast(BinaryIO, source)
        file.seek(0)
        binary = isinstance(file.read(0), bytes)
    except AttributeError:
        raise AudioError(
            f"A sound is given by its path, its bytes or an open file, not by "
            f"{type_in_words(source)}."
        ) from None
    except (OSError, ValueError) as error:
        raise AudioError(f"The open file cannot be read ({_reason(error)}).") from None
    if not binary:
        raise AudioError('The open file gives text, not bytes: open it with mode "rb".')
    return file


def type_in_words(value: object) -> str:
    """Describe a value of the wrong type."""
    return f"{type(value).__name__}s" if isinstance(value, list | tuple) else repr(value)[:40]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def recognise_container(file: BinaryIO) -> str:
    """Return the name of the container, from the first bytes.

    Raises
    ------
    AudioError
    """
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if not head:
        raise AudioError("It is empty (0 bytes): the copy or download probably failed.")
    for magic, name in _MAGIC.items():
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


class SteadyFile:
    """A file for C code, which cannot handle exceptions: `failed` records them instead.

    `out_of_range` is the answer to a seek beyond any file, as damaged headers ask for: libsndfile
    wants the current position (None), FFmpeg a negative number.
    """

    def __init__(self, file: BinaryIO, out_of_range: int | None = None) -> None:
        self._file = file
        self._out_of_range = out_of_range
        self.failed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        try:
            if abs(offset) < _FARTHEST:
                return self._file.seek(offset, whence)
        except OSError as error:
            self.failed = self.failed or error.errno != errno.EINVAL
        except ValueError:
            pass
        return self._file.tell() if self._out_of_range is None else self._out_of_range

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def read(self, size: int) -> bytes:
        """As of a file, but in full: libsndfile takes a short answer for the end."""
        content = b""
        try:
            while more := self._file.read(size - len(content)):
                content += more
        except OSError:
            self.failed = True
        return content


def unreadable(container: str) -> AudioError:
    """Return the error for a file that its decoder refuses."""
    return AudioError(
        f"It starts like {container} audio but cannot be read: it is damaged or incomplete; "
        "copy or download it again."
    )


def broken_off(seconds: float) -> AudioError:
    """Return the error for a file that ends early, after so many seconds."""
    return AudioError(
        f"It can be read only up to {seconds:.1f} s: it is damaged or incomplete; "
        "copy or download it again."
    )
