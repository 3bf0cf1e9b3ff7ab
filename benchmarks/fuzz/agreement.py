"""Random files that FFmpeg can decode, each compared with what FFmpeg's own program makes of it.

A file follows from its seed: format, coding, rate, channels and length are drawn, then what people
do to files: tags in front and behind, cuts, joins, holes, wrong sizes. It counts if the `ffmpeg`
program gets any sound from it; what stands in front is kept from the program, which looks for the
sound of MP4 and others at positions counted from the start of the file. Samples agree if they are
equal up to rounding; where rate or channels change in the middle, resamplers differ, and nine
in ten tenths of a second have to have the same shape. Lengths may differ by 10 ms.

The program is often of another version than the libraries that GenreKit uses. Files that differ
from it but not from those libraries, asked in the plainest way, are counted on their own.
"""

import contextlib
import io
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genrekit.audio.decoder import load_audio, probe
from genrekit.audio.recognition import mpeg_frame
from genrekit.audio.samples import LOUDEST
from genrekit.errors import AudioError

FILES: Final = 300
GOAL: Final = 0.99
LENGTH_SECONDS: Final = 0.010
_CLOSE: Final = 2e-4
_ALIKE: Final = 0.98
_SHIFT: Final = 40  # samples by which resamplers may differ at a change
_MOST_WINDOWS: Final = 0.9  # not those where the channels change
_WINDOW_SECONDS: Final = 0.1

Array = NDArray[np.float32]

_PCM_RATES: Final = (8000, 11025, 22050, 32000, 44100, 48000, 96000)
_MPEG_RATES: Final = (16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES: Final = (48000,)
# (muxer, encoder): sample rates
KINDS: Final = {
    **{("wav", f"pcm_{kind}"): _PCM_RATES for kind in
       ("s16le", "u8", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw")},
    **{("wav", coder): _PCM_RATES for coder in ("adpcm_ms", "adpcm_ima_wav")},
    ("wav", "libmp3lame"): _MPEG_RATES,
    ("wav", "ac3"): (32000, 44100, 48000),
    **{("aiff", f"pcm_{kind}"): _PCM_RATES for kind in ("s16be", "s24be", "alaw")},
    **{("au", f"pcm_{kind}"): _PCM_RATES for kind in ("s16be", "mulaw")},
    **{("caf", coder): _PCM_RATES for coder in ("pcm_s16be", "alac")},
    ("w64", "pcm_s16le"): _PCM_RATES,
    ("flac", "flac"): _PCM_RATES,
    ("ogg", "flac"): _PCM_RATES,
    ("ogg", "libopus"): _OPUS_RATES,
    ("ogg", "vorbis"): (44100, 48000),
    ("mp3", "libmp3lame"): _MPEG_RATES,
    ("mp2", "mp2"): (32000, 44100, 48000),
    ("adts", "aac"): _MPEG_RATES,
    **{(muxer, "aac"): _MPEG_RATES for muxer in
       ("ipod", "3gp", "mov", "matroska", "mpegts", "flv")},
    **{("mp4", coder): (44100, 48000) for coder in ("alac", "flac", "ac3", "libmp3lame")},
    ("mp4", "libopus"): _OPUS_RATES,
    ("mov", "pcm_s24le"): _PCM_RATES,
    **{(muxer, "libopus"): _OPUS_RATES for muxer in ("webm", "matroska")},
    **{("matroska", coder): (44100, 48000) for coder in ("flac", "pcm_s16le", "libmp3lame")},
    **{("asf", coder): (22050, 44100) for coder in ("wmav1", "wmav2")},
    **{("avi", coder): (44100, 48000) for coder in ("libmp3lame", "pcm_s16le", "ac3")},
    ("mpegts", "mp2"): (44100, 48000),
    ("mpeg", "mp2"): (44100, 48000),
    ("wv", "wavpack"): _PCM_RATES,
    ("tta", "tta"): _PCM_RATES,
    ("ac3", "ac3"): (32000, 44100, 48000),
    ("eac3", "eac3"): (32000, 44100, 48000),
    ("voc", "pcm_s16le"): (22050, 44100),
}  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """One file: what it is, and how it differs from FFmpeg's decoding ("" if it does not).

    `by_version` is true if that is the difference between two versions of FFmpeg.
    """

    seed: int
    what: str
    difference: str
    by_version: bool = False


@dataclass(frozen=True)
class Agreement:
    """All files."""

    files: tuple[Compared, ...]

    @property
    def share(self) -> float:
        """The share of files whose samples agree with the program's or the libraries'."""
        return sum(not f.difference or f.by_version for f in self.files) / len(self.files)

    def __str__(self) -> str:
        count = len(self.files)
        program = sum(not file.difference for file in self.files)
        lines = [
            f"{self.share:.1%} of {count} files agree with FFmpeg: {program} with the program, "
            f"{sum(file.by_version for file in self.files)} only with the libraries in use"
        ]
        lines += [
            f"  seed {file.seed}: {file.what}: {file.difference}"
            + file.by_version * " (the program is of another version)"
            for file in self.files
            if file.difference
        ]
        return "\n".join(lines)


def compare(files: int = FILES, seed: int = 0) -> Agreement:
    """Compare random files; RuntimeError where there is no `ffmpeg` program."""
    if shutil.which("ffmpeg") is None:
        raise RuntimeError("There is no program ffmpeg on the path, which is the judge here.")
    compared: list[Compared] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        while len(compared) < files:
            dice = random.Random(seed)
            front, content, what, changes = make(dice)
            path.write_bytes(content)
            judged = _judged(path)
            plain = _by_libraries(path) if judged is not None else None
            if judged is not None:
                path.write_bytes(front + content)
                difference = _difference(path, *judged, changes)
                alike = plain is not None and not _difference(path, *plain, changes)
                compared.append(Compared(seed, what, difference, bool(difference) and alike))
            seed += 1
    return Agreement(tuple(compared))


# -- files ------------------------------------------------------------------------------------


def make(dice: random.Random) -> tuple[bytes, bytes, str, bool]:
    """Return what stands in front of a file, the file, what it is, and if its rate changes."""
    kind = dice.choice(list(KINDS))
    content, rate, channels = _coded(dice, kind)
    what = [f"{kind[1]} in {kind[0]}, {rate} Hz, {channels} ch"]
    front, changes = b"", False
    for _ in range(dice.choice((0, 1, 1, 2))):
        harm = dice.choice([*_HARMS, *_FRONTS, "joined"])
        if harm == "joined":
            other, *form = _coded(dice, kind)
            changes |= form != [rate, channels]
            content += other
        elif harm in _FRONTS:
            front = _FRONTS[harm](dice) + front
        else:
            content = _HARMS[harm](dice, content)
        what.append(harm)
    return front, content, ", ".join(what), changes


def _coded(dice: random.Random, kind: tuple[str, str]) -> tuple[bytes, int, int]:
    muxer, encoder = kind
    rate = dice.choice(KINDS[kind])
    channels = 2 if encoder == "vorbis" else dice.choice((1, 2))
    samples = _sound(dice, rate, channels)
    return _muxed(samples, rate, muxer, encoder), rate, channels


def _sound(dice: random.Random, rate: int, channels: int) -> Array:
    """Tones and noise that change, shape (channels, samples)."""
    rng = np.random.default_rng(dice.getrandbits(32))
    time = np.arange(int(rate * dice.uniform(2, 6))) / rate
    sound = np.zeros((channels, len(time)))
    for _ in range(4):
        hertz, phase = rng.uniform(50, rate / 5), rng.uniform(0, 1, (channels, 1))
        sound += 0.1 * np.sin(2 * np.pi * hertz * time + phase)
    sound += rng.normal(0, 0.02, sound.shape)
    return (sound * np.clip(np.sin(time) + 0.6, 0.001, 1)).astype(np.float32)


def _muxed(planar: Array, rate: int, muxer: str, encoder: str) -> bytes:
    import av

    layout = ("mono", "stereo")[len(planar) - 1]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream: Any = container.add_stream(
            encoder, rate=rate, layout=layout, options={"strict": "experimental"}
        )
        if encoder.startswith("wma"):
            stream.bit_rate = 64_000 * len(planar)
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(planar), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        form = context.codec.audio_formats[0].name
        resampler = av.AudioResampler(form, layout, rate, context.frame_size or 1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        container.mux([packet for packet in stream.encode(None) if packet.size])
    return file.getvalue()


def _tag(dice: random.Random) -> bytes:
    size = dice.choice((20, 3000, 200_000))
    sizes = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + sizes + bytes(size)


def _cut(dice: random.Random, content: bytes) -> bytes:
    return content[: int(len(content) * dice.uniform(0.3, 0.95))]


def _hole(dice: random.Random, content: bytes) -> bytes:
    at, size = int(len(content) * dice.uniform(0.3, 0.8)), dice.choice((10, 500, 5000))
    filling = dice.choice((bytes(size), dice.randbytes(size)))
    return content[:at] + filling + content[at + size :]


def _size(dice: random.Random, content: bytes) -> bytes:
    """Another size of the whole in the header of a RIFF or FORM."""
    if content[:4] not in (b"RIFF", b"FORM"):
        return content
    order = "<I" if content[:4] == b"RIFF" else ">I"
    stated = dice.choice((0, len(content), len(content) + 1000, 0xFFFFFFFF))
    return content[:4] + struct.pack(order, stated) + content[8:]


def _without_xing(dice: random.Random, content: bytes) -> bytes:
    first = content.find(b"\xff\xfb")
    frame = mpeg_frame(content[first : first + 4]) if first >= 0 else None
    tagged = frame and (b"Xing" in content[:4000] or b"Info" in content[:4000])
    return content[first + frame[0] :] if frame and tagged else content


_FRONTS: Final[dict[str, Any]] = {
    "tag in front": _tag,
    "zeros in front": lambda dice: bytes(dice.choice((4, 10, 700))),
}
_HARMS: Final[dict[str, Any]] = {
    "tag behind": lambda dice, content: content + b"TAG" + bytes(125),
    "zeros behind": lambda dice, content: content + bytes(dice.choice((100, 100_000))),
    "cut": _cut,
    "hole": _hole,
    "wrong size": _size,
    "without Xing": _without_xing,
}


# -- comparison -------------------------------------------------------------------------------


def _judged(path: Path) -> tuple[Array, int] | None:
    """The samples of FFmpeg's program, shape (samples, channels), and their rate in Hz."""
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", "0:a:0", "-c:a", "pcm_f32be"]
    done = subprocess.run([*command, "-f", "au", "-"], capture_output=True, timeout=120)
    if len(done.stdout) < 32:
        return None
    start, _, _, rate, channels = struct.unpack(">5I", done.stdout[4:24])
    samples = np.frombuffer(done.stdout[start:], ">f4").astype(np.float32)
    samples = samples[: len(samples) // channels * channels].reshape(-1, channels)
    return (samples, rate) if len(samples) and np.isfinite(samples).all() else None


def _by_libraries(path: Path) -> tuple[Array, int] | None:
    """The same of FFmpeg's libraries, packet by packet; None where the format changes."""
    import av

    frames: list[Any] = []
    with contextlib.suppress(av.FFmpegError), av.open(str(path)) as opened:
        for _ in range(3):  # it goes on behind damage
            with contextlib.suppress(av.FFmpegError):
                for packet in opened.demux(opened.streams.best("audio")):
                    with contextlib.suppress(av.FFmpegError):
                        frames += packet.decode()
    if len({frame.sample_rate for frame in frames}) != 1:
        return None
    mono = []
    for frame in frames:
        (as_float,) = av.AudioResampler(format="fltp").resample(frame)
        mono.append(as_float.to_ndarray().mean(axis=0, dtype=np.float32))
    return np.concatenate(mono)[:, None], frames[0].sample_rate


def _difference(path: Path, judged: Array, rate: int, changes: bool) -> str:
    try:
        ours_rate = probe(path).sample_rate
        ours = load_audio(path, ours_rate)
    except AudioError as error:
        return f"refused: {error}"
    if ours_rate != rate:
        return f"{ours_rate} Hz, not {rate}"
    expected = judged.mean(axis=1, dtype=np.float32)
    expected[np.abs(expected) > LOUDEST] = 0  # no sound, but other bytes taken for it
    longer = (len(ours) - len(expected)) / rate
    if abs(longer) > LENGTH_SECONDS:
        return f"{1000 * longer:+.0f} ms of {len(expected) / rate:.2f} s"
    n = min(len(ours), len(expected))
    if np.abs(ours[:n] - expected[:n]).max(initial=0) < _CLOSE:
        return ""
    alike = [*_likeness(ours[:n], expected[:n], int(_WINDOW_SECONDS * rate))]
    if changes and np.mean(np.array(alike) > _ALIKE) > _MOST_WINDOWS:
        return ""
    most = np.abs(ours[:n] - expected[:n]).max()
    return f"samples differ by {most:.4f}, likeness {min(alike, default=1.0):.3f}"


def _likeness(ours: Array, expected: Array, window: int) -> Iterator[float]:
    """The correlation of each audible window, at the best shift within a few samples."""
    for at in range(0, len(ours) - window, window):
        one, other = ours[at : at + window], expected[at : at + window]
        norms = float(np.linalg.norm(one) * np.linalg.norm(other))
        if norms > 1e-3:
            product = np.fft.rfft(one, 2 * window) * np.conj(np.fft.rfft(other, 2 * window))
            shifted = np.fft.irfft(product)
            near = max(shifted[:_SHIFT].max(), shifted[-_SHIFT:].max())
            yield float(near) / norms
