"""Sources of sound: opened, and made safe for decoders in C."""

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
    "failed_at",
    "no_sound",
    "open_source",
    "type_in_words",
    "unreadable",
]

AudioSource = str | os.PathLike[str] | bytes | BinaryIO

# Bytes; memory accepts longer seeks than this, file systems differ.
_FARTHEST: Final = 1 << 40


@dataclass(frozen=True)
class AudioInfo:
    """What the start of a file says: container, sample rate in Hz, channels, duration in seconds.

    `seconds` is the header's claim, which may be wrong, or None without one. `codec` is named as
    by FFmpeg ("aac", "vorbis", "pcm_s16le"); MP3 frames without a length are "mp3_free_format".
    `start` is the position of the sound in bytes, behind tags and whatever else is in front.
    """

    container: str
    sample_rate: int
    channels: int
    seconds: float | None
    codec: str = ""
    start: int = 0


@contextmanager
def open_source(source: AudioSource) -> Iterator[BinaryIO]:
    """Open a sound given by path, as bytes, or as a seekable file, or raise AudioError."""
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


class SteadyFile:
    """A file for C code, which cannot handle exceptions: `failed` records them instead.

    Parameters
    ----------
    file : binary file
    start : int
        The position that C code sees as 0.
    end : int or None
        The position that C code sees as the end of the file; None for its own end.
    patches : dict of bytes by position, counted from `start`
        Read in place of what the file holds, such as the right size in place of a wrong one.
    out_of_range : int or None
        The answer to a seek beyond any file, as damaged headers ask for: libsndfile wants the
        current position (None), FFmpeg a negative number.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int = 0,
        end: int | None = None,
        patches: dict[int, bytes] | None = None,
        out_of_range: int | None = None,
    ) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._patches = patches or {}
        self._out_of_range = out_of_range
        self.failed = False
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        try:
            if abs(offset) < _FARTHEST:
                if whence == os.SEEK_SET and offset >= 0:
                    offset += self._start
                elif whence == os.SEEK_END and self._end is not None:
                    offset, whence = self._end + offset, os.SEEK_SET
                return self._file.seek(offset, whence) - self._start
        except OSError as error:
            self.failed = self.failed or error.errno != errno.EINVAL
        except ValueError:
            pass
        return self.tell() if self._out_of_range is None else self._out_of_range

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell() - self._start

    def read(self, size: int) -> bytes:
        """As of a file, but in full: libsndfile takes a short answer for the end."""
        if self._end is not None:
            size = max(0, min(size, self._end - self._file.tell()))
        if not self._patches:
            return self._whole(size)
        at = self.tell()
        content = bytearray(self._whole(size))
        for position, patch in self._patches.items():
            first = max(position, at)
            last = min(position + len(patch), at + len(content))
            if first < last:
                content[first - at : last - at] = patch[first - position : last - position]
        return bytes(content)

    def _whole(self, size: int) -> bytes:
        try:
            content = self._file.read(size)
            while len(content) < size and (more := self._file.read(size - len(content))):
                content += more
        except OSError:
            self.failed = True
            return b""
        return content


def unreadable(container: str) -> AudioError:
    """Return the error for a file of which no decoder reads anything."""
    return AudioError(
        f"It starts like {container} audio but cannot be read: it is damaged or incomplete; "
        "copy or download it again."
    )


def no_sound() -> AudioError:
    """Return the error for a file that is whole and holds no sample."""
    return AudioError(
        "It contains no sound at all (0 samples): the recording was never finished, or the export "
        "failed; choose another file."
    )


def failed_at(seconds: float) -> AudioError:
    """Return the error for a disk or a network that fails after so many seconds of sound."""
    return AudioError(
        f"It can be read only up to {seconds:.1f} s: the disk or the network failed; copy it again."
    )
