"""Sound files in the containers and codecs that FFmpeg and libsndfile write."""

import io

import numpy as np
import soundfile

RATE = 48_000
# (container as probe names it, codec as probe names it): (muxer or libsndfile's format, encoder)
KINDS = {
    ("wav", "pcm_u8"): ("WAV", "PCM_U8"),
    ("wav", "pcm_s16le"): ("WAV", "PCM_16"),
    ("wav", "pcm_s24le"): ("WAV", "PCM_24"),
    ("wav", "pcm_s32le"): ("WAV", "PCM_32"),
    ("wav", "pcm_f32le"): ("WAV", "FLOAT"),
    ("wav", "pcm_f64le"): ("WAV", "DOUBLE"),
    ("wav", "pcm_alaw"): ("WAV", "ALAW"),
    ("wav", "pcm_mulaw"): ("WAV", "ULAW"),
    ("wav", "adpcm_ms"): ("WAV", "MS_ADPCM"),
    ("aiff", "pcm_s16be"): ("AIFF", "PCM_16"),
    ("flac", "flac"): ("FLAC", "PCM_16"),
    ("ogg", "vorbis"): ("OGG", "VORBIS"),
    ("ogg", "opus"): ("OGG", "OPUS"),
    ("mp3", "mp3"): ("MP3", "MPEG_LAYER_III"),
    ("mp3", "mp2"): ("mp2", "mp2"),
    ("aac", "aac"): ("adts", "aac"),
    ("m4a", "aac"): ("ipod", "aac"),
    ("m4a", "mp3"): ("mp4", "libmp3lame"),
    ("m4a", "flac"): ("mp4", "flac"),
    ("m4a", "opus"): ("mp4", "libopus"),
    ("m4a", "alac"): ("mp4", "alac"),
    ("m4a", "ac3"): ("mp4", "ac3"),
    ("m4a", "eac3"): ("mp4", "eac3"),
    ("webm", "opus"): ("webm", "libopus"),
    ("webm", "alac"): ("matroska", "alac"),
    ("wma", "wmav2"): ("asf", "wmav2"),
}

# suffix: (libsndfile's format and subtype, container as probe names it, tolerance of the level)
SNDFILE = {
    ".wav": ("WAV", "PCM_16", "wav"),
    ".wave": ("WAVEX", "PCM_24", "wav"),
    ".flac": ("FLAC", "PCM_16", "flac"),
    ".ogg": ("OGG", "VORBIS", "ogg"),
    ".opus": ("OGG", "OPUS", "ogg"),
    ".mp3": ("MP3", "MPEG_LAYER_III", "mp3"),
    ".aiff": ("AIFF", "PCM_16", "aiff"),
    ".au": ("AU", "PCM_16", "au"),
}
# suffix: (FFmpeg's muxer, encoder, container, bit rate)
FFMPEG = {
    ".m4a": ("ipod", "aac", "m4a", None),
    ".mp4": ("mp4", "alac", "m4a", None),
    ".aac": ("adts", "aac", "aac", None),
    ".wma": ("asf", "wmav2", "wma", 128_000),
    ".webm": ("webm", "libopus", "webm", None),
}
EVERY = [*SNDFILE, *FFMPEG]


def tone(rate, seconds=1.0, hz=440, level=0.5):
    time = np.arange(round(rate * seconds)) / rate
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def music(rate, seconds=1.0, channels=1):
    """Something broad, different in each channel, below 0.4 of the sample rate."""
    rng = np.random.default_rng(channels)
    tones = [
        sum(tone(rate, seconds, hz, 0.2) for hz in rng.uniform(50, 0.2 * rate, 4))
        for _ in range(channels)
    ]
    return np.stack(tones, axis=1)


def encoded(samples, rate, suffix):
    """A file's bytes; `samples` has shape (n,) or (n, channels)."""
    file = io.BytesIO()
    if suffix in SNDFILE:
        container, subtype, _ = SNDFILE[suffix]
        soundfile.write(file, samples, rate, format=container, subtype=subtype)
        return file.getvalue()
    muxer, codec, _, bit_rate = FFMPEG[suffix]
    return by_ffmpeg(np.atleast_2d(samples.T), rate, muxer, codec, bit_rate)


def coded(container: str, codec: str, seconds: float = 1.5) -> bytes:
    """A stereo file of noise, of a kind among `KINDS`."""
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, (round(seconds * RATE), 2))
    kind, encoder = KINDS[container, codec]
    if kind.isupper():
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format=kind, subtype=encoder)
        return file.getvalue()
    bit_rate = 128_000 if codec == "wmav2" else None
    return by_ffmpeg(samples.T.astype(np.float32), RATE, kind, encoder, bit_rate)


def by_ffmpeg(
    planar: np.ndarray, rate: int, muxer: str, encoder: str, bit_rate: int | None = None
) -> bytes:
    """A file of `planar`, float32, shape (1 or 2 channels, samples)."""
    import av

    layout = {1: "mono", 2: "stereo"}[len(planar)]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer, options={"strict": "experimental"}) as container:
        stream = container.add_stream(encoder, rate=rate, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(planar), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=context.codec.audio_formats[0].name,
            layout=layout,
            rate=rate,
            frame_size=context.frame_size or 1024,
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(piece))
        # FLAC ends with a packet that holds no sound, which MP4 does not take.
        container.mux([packet for packet in stream.encode(None) if packet.size])
    return file.getvalue()


def free_format_mp3() -> bytes:
    """An MP3 file of 160 kbit/s whose frames do not say so (ISO 11172-3, bitrate_index 0)."""
    rate, frame = 32_000, 144 * 160_000 // 32_000
    tone = 0.3 * np.sin(np.arange(2 * rate) * 0.1)
    file = io.BytesIO()
    options = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
    soundfile.write(file, tone, rate, format="MP3", subtype="MPEG_LAYER_III", **options)
    content = bytearray(file.getvalue())
    for at in range(0, len(content) - 3, frame):
        assert content[at] == 0xFF
        assert content[at + 2] >> 4 == 10
        content[at + 2] &= 0x0F
    return bytes(content[frame:])  # the first one holds the encoder's notes, no sound
