"""The kinds of sound file that browsers play; all others are rendered as WAV.

Chromium 156 played each pair of container and codec listed here. It also played 32-bit PCM and MP3
in WAV, Vorbis and PCM in MP4, and much in Matroska, which other browsers need not play; it refused
AC-3, E-AC-3, ALAC, DTS, TrueHD and ADPCM in any container, MP2, and free-format MP3.
"""

from typing import Final

from genrekit.audio.source import AudioInfo

__all__ = ["PLAYED", "browser_type"]

# By container: the MIME type to announce, and the codecs.
PLAYED: Final = {
    "mp3": ("audio/mpeg", ("mp3",)),
    "flac": ("audio/flac", ("flac",)),
    "ogg": ("audio/ogg", ("vorbis", "opus")),
    "m4a": ("audio/mp4", ("aac", "mp3", "flac", "opus")),
    "aac": ("audio/aac", ("aac",)),
    "webm": ("audio/webm", ("vorbis", "opus")),
    "wav": (
        "audio/wav",
        ("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le", "pcm_alaw", "pcm_mulaw"),
    ),
}


def browser_type(content: bytes, info: AudioInfo) -> str | None:
    """Return the MIME type under which browsers play a file; None where they need not."""
    mime, codecs = PLAYED.get(info.container, ("", ()))
    if info.start and not content.startswith(b"ID3"):
        return None
    if info.container == "wav" and not (
        content.startswith(b"RIFF") and info.channels <= 2 and 8000 <= info.sample_rate <= 96_000
    ):
        return None
    if info.container == "webm" and b"webm" not in content[:64]:  # Matroska beyond WebM
        return None
    return mime if info.codec in codecs else None
