"""Files as people have them: whatever plays is heard whole, and whatever is missing is said.

Each is made from generated sound by writing bytes or with FFmpeg's libraries; the right samples are
those of the same sound in a plain file.
"""

import io
import struct
from functools import cache

import numpy as np
import pytest
import soundfile
from coded_sounds import by_ffmpeg, encoded, music

from genrekit.audio.decoder import decode, load_audio, probe
from genrekit.audio.recognition import mpeg_frame
from genrekit.errors import AudioError

RATE = 44100


@cache
def sound(channels=2, seconds=3.0, rate=RATE):
    """Two halves, quiet and loud, so that the bit rate of coders varies."""
    samples = music(rate, seconds, channels).astype(np.float32)
    samples[: len(samples) // 2] *= 0.001
    return samples


def mono(samples):
    return samples.mean(axis=1, dtype=np.float32)


def mp3(samples, rate=RATE, tagged=True):
    """VBR; without its tag as written to a pipe."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3", subtype="MPEG_LAYER_III",
                    bitrate_mode="VARIABLE", compression_level=0.5)  # fmt: skip
    content = file.getvalue()
    return content if tagged else content[mpeg_frame(content)[0] :]


def agrees(content, expected, rate=RATE, tolerance=0.03, decoded_rate=None):
    """The samples are those expected, up to a coder's delay and loss; nothing is said to miss."""
    decoded = decode(content, decoded_rate or rate, None)
    assert decoded.note == ""
    assert len(decoded.samples) == pytest.approx(len(expected), abs=tolerance * rate)
    size = 1 << 19
    product = np.fft.rfft(decoded.samples, size) * np.conj(np.fft.rfft(expected, size))
    norms = np.linalg.norm(decoded.samples) * np.linalg.norm(expected)
    assert np.fft.irfft(product).max() / norms > 0.98


def id3(size=0, body=b"TIT2\0\0\0\6\0\0\0abcde"):
    body += bytes(size)
    sizes = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + sizes + body


def chunk(name, body, size=None, order="<"):
    return name + struct.pack(f"{order}I", len(body) if size is None else size) + body


def wav(samples, *, riff=None, data=None, magic=b"RIFF", after=b"", format_=1):
    order = ">" if magic == b"RIFX" else "<"
    pcm = (samples * 32767).astype(f"{order}i2").tobytes()
    form = struct.pack(f"{order}HHIIHH", format_, 2, RATE, 4 * RATE, 4, 16)
    inside = b"WAVE" + chunk(b"fmt ", form, order=order) + chunk(b"data", pcm, data, order) + after
    return chunk(magic, inside, riff, order)


def aiff(samples, *, form=None, ssnd=None):
    pcm = (samples * 32767).astype(">i2").tobytes()
    rate = struct.pack(">HQ", 16383 + 15, RATE << 48)
    comm = struct.pack(">HIH", 2, len(samples), 16) + rate
    inside = chunk(b"COMM", comm, order=">") + chunk(b"SSND", bytes(8) + pcm, ssnd, ">")
    return chunk(b"FORM", b"AIFF" + inside, form, ">")


def au(samples, size=None):
    pcm = (samples * 32767).astype(">i2").tobytes()
    size = len(pcm) if size is None else size
    return struct.pack(">4sIIIII", b".snd", 24, size, 3, RATE, 2) + pcm


def pages(content):
    """The pages of an Ogg file."""
    found, at = [], 0
    while at < len(content):
        count = content[at + 26]
        length = 27 + count + sum(content[at + 27 : at + 27 + count])
        found.append(bytearray(content[at : at + length]))
        at += length
    return found


def sealed(page):
    """An Ogg page with its checksum, a CRC of polynomial 0x04C11DB7."""
    page[22:26] = bytes(4)
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    page[22:26] = struct.pack("<I", crc)
    return bytes(page)


def numbered(content, serial):
    """An Ogg stream with another serial number."""
    result = b""
    for page in pages(content):
        page[14:18] = struct.pack("<I", serial)
        result += sealed(page)
    return result


# -- all of it is there -----------------------------------------------------------------------

PLAIN = mono(sound())


def test_vbr_without_a_tag_is_heard_to_its_end():
    agrees(mp3(sound(), tagged=False), PLAIN, tolerance=0.06)


@pytest.mark.parametrize("tagged", [True, False])
def test_joined_mp3s_are_heard_one_after_the_other(tagged):
    joined = mp3(sound(), tagged=tagged) + mp3(sound(), tagged=tagged)
    assert len(load_audio(joined, RATE)) == pytest.approx(6 * RATE, abs=0.15 * RATE)
    assert decode(joined, RATE, None).gap is None


@pytest.mark.parametrize("factor", [0.2, 4])
def test_a_wrong_count_of_frames_does_not_matter(factor):
    content = bytearray(mp3(sound()))
    at = max(content.find(b"Xing"), content.find(b"Info"))
    frames = int.from_bytes(content[at + 8 : at + 12], "big")
    content[at + 8 : at + 12] = struct.pack(">I", int(factor * frames))
    decoded = decode(bytes(content), RATE, None)
    assert len(decoded.samples) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    assert decoded.gap is None


def test_rate_and_channels_may_change_in_the_middle():
    joined = mp3(sound(), tagged=False) + mp3(sound(1, rate=22050), 22050, tagged=False)
    assert (probe(joined).sample_rate, probe(joined).channels) == (RATE, 2)
    samples = load_audio(joined, RATE)
    assert len(samples) == pytest.approx(6 * RATE, abs=0.2 * RATE)
    ends = (
        samples[int(4.8 * RATE) : int(5.8 * RATE)],
        mono(sound(1))[int(1.8 * RATE) : int(2.8 * RATE)],
    )
    assert np.square(ends[0]).mean() == pytest.approx(np.square(ends[1]).mean(), rel=0.1)


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_chained_ogg_is_heard_whole(suffix):
    one = encoded(sound(rate=48000), 48000, suffix)
    chained = numbered(one, 1) + numbered(one, 2)
    expected = np.tile(mono(sound(rate=48000)), 2)
    agrees(chained, expected, 48000)


def test_a_flac_of_unknown_length():
    content = bytearray(encoded(sound(), RATE, ".flac"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    agrees(bytes(content), PLAIN, tolerance=0)
    assert probe(bytes(content)).seconds is None


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_flac_that_states_a_wrong_length(factor, tmp_path):
    content = bytearray(encoded(music(RATE, 8, 2), RATE, ".flac"))
    content[22:26] = struct.pack(">I", int(factor * 8 * RATE))
    path = tmp_path / "song.flac"
    path.write_bytes(content)
    for source in (path, bytes(content)):
        assert len(load_audio(source, RATE)) == 8 * RATE


N = 4 * len(PLAIN)


@pytest.mark.parametrize(
    "content",
    [
        wav(sound(), riff=N + 44),
        wav(sound(), riff=0),
        wav(sound(), riff=0, data=0),
        wav(sound(), data=0xFFFFFFFF),
        wav(sound(), data=0x7FFFFFFF - 36),
        wav(sound(), data=N // 3),
        wav(sound(), after=b"LIST" + struct.pack("<I", 60_000) + bytes(60_000)),
        wav(sound(), after=b"TAG" + bytes(125)),
        wav(sound(), magic=b"RIFX"),
        aiff(sound(), form=N + 100),
        aiff(sound(), form=0),
        aiff(sound(), form=0, ssnd=0),
        au(sound()),
        au(sound(), 0xFFFFFFFF),
        au(sound(), 0),
        au(sound(), N // 2),
    ],
    ids=range(16),
)
def test_wrong_sizes_in_a_header_do_not_matter(content):
    for start in (b"", id3(300)):
        decoded = decode(start + content, RATE, None)
        n = len(PLAIN)
        np.testing.assert_allclose(decoded.samples[:n], PLAIN, atol=1e-4)
        assert len(decoded.samples) <= n + 32
        assert decoded.note == ""


def test_bw64_is_a_wav():
    file = io.BytesIO()
    soundfile.write(file, sound(), RATE, format="RF64", subtype="PCM_16")
    agrees(b"BW64" + file.getvalue()[4:], PLAIN, tolerance=0)


@pytest.mark.parametrize("behind", [b"", bytes(100_000), b"TAG" + bytes(125)])
@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_the_end_of_ogg(suffix, behind):
    """Recorders do not mark the last page, and file systems leave zeros."""
    *others, last = pages(encoded(sound(rate=48000), 48000, suffix))
    last[5] &= ~4
    agrees(b"".join([*others, sealed(last)]) + behind, mono(sound(rate=48000)), 48000)


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".aac", ".wav", ".m4a", ".aiff", ".wma"])
def test_tags_and_zeros_behind_the_sound(suffix):
    content = encoded(sound(), RATE, suffix)
    expected = load_audio(content, RATE)
    for behind in (b"TAG" + bytes(125), bytes(5000)):
        decoded = decode(content + behind, RATE, None)
        np.testing.assert_allclose(decoded.samples[: len(expected)], expected, atol=1e-5)
        assert len(decoded.samples) == pytest.approx(len(expected), abs=RATE / 100)
        assert decoded.note == ""


def remuxed(content, muxer, time):
    """The packets of a file in another container, at the times that `time` makes of theirs."""
    import av

    file = io.BytesIO()
    with av.open(io.BytesIO(content)) as old, av.open(file, "w", format=muxer) as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(old.streams.audio[0]):
            seconds = packet.pts is not None and time(float(packet.pts * packet.time_base))
            if seconds is False or packet.dts is None:
                continue
            packet.pts = packet.dts = round(seconds / packet.time_base)
            packet.stream = stream
            new.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("muxer", ["matroska", "mp4"])
def test_timestamps_that_start_late_or_pause(muxer):
    content = encoded(sound(rate=48000), 48000, ".webm")
    plain = load_audio(content, 48000)
    late = remuxed(content, muxer, lambda s: s + 5)
    agrees(late, plain, 48000)
    paused = remuxed(content, muxer, lambda s: s + 20 * (s > 1))
    agrees(paused, plain, 48000)


def test_mp3_in_a_wav():
    agrees(by_ffmpeg(sound().T, RATE, "wav", "libmp3lame"), PLAIN, tolerance=0.06)


# -- content decides --------------------------------------------------------------------------

FRONT = {
    "id3": id3(50),
    "id3 and padding": id3(1000) + bytes(500),
    "two id3": id3(5) + id3(70_000),
    "a wrong id3": b"ID3\3\0\0\0\0\0\1" + bytes(range(1, 200)),
    "zeros": bytes(10),
    "junk": b"\r\n404 was here. " * 40,
}


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".aac", ".wav", ".m4a", ".aiff", ".wma",
                                    ".ogg", ".webm"])  # fmt: skip
@pytest.mark.parametrize("front", FRONT)
def test_whatever_stands_in_front(suffix, front):
    rate = 48000
    content = encoded(sound(rate=rate), rate, suffix)
    decoded = decode(FRONT[front] + content, rate, None)
    np.testing.assert_allclose(decoded.samples, load_audio(content, rate), atol=1e-6)
    assert decoded.note == ""


@pytest.mark.parametrize(
    ("muxer", "encoder", "container"),
    [
        ("ogg", "flac", "ogg"),
        ("caf", "alac", "caf"),
        ("w64", "pcm_s16le", "w64"),
        ("wv", "wavpack", "wavpack"),
        ("tta", "tta", "tta"),
        ("avi", "libmp3lame", "avi"),
        ("flv", "libmp3lame", "flv"),
        ("mpegts", "aac", "ts"),
        ("mpeg", "mp2", "mpeg"),
        ("ac3", "ac3", "ac3"),
        ("mov", "pcm_s24le", "m4a"),
        ("3gp", "aac", "m4a"),
        ("voc", "pcm_s16le", "voc"),
        ("au", "pcm_mulaw", "au"),
        ("aiff", "pcm_alaw", "aiff"),
        ("wav", "adpcm_ima_wav", "wav"),
    ],
)
def test_other_containers(muxer, encoder, container):
    content = by_ffmpeg(sound().T, RATE, muxer, encoder)
    assert probe(content).container == container
    samples = load_audio(content, RATE)
    assert len(samples) == pytest.approx(3 * RATE, abs=0.1 * RATE)
    loud = samples[2 * RATE :]
    assert np.square(loud).mean() == pytest.approx(np.square(PLAIN[2 * RATE :]).mean(), rel=0.15)


def test_mp4_without_its_first_box():
    content = encoded(sound(), RATE, ".m4a")
    length = int.from_bytes(content[:4], "big")
    box = struct.pack(">I4s", length, b"free") + bytes(length - 8)  # offsets stay
    agrees(box + content[length:], PLAIN, tolerance=0.06)


# -- true reasons -----------------------------------------------------------------------------


def refusal(content):
    with pytest.raises(AudioError) as caught:
        load_audio(content)
    return str(caught.value)


def test_a_coding_that_nobody_knows():
    content = bytearray(wav(sound(), format_=0x1234))
    assert "The coding of this wav file is not supported" in refusal(bytes(content))
    content = encoded(sound(), 48000, ".webm").replace(b"A_OPUS", b"A_XPUS")
    assert "coding of this webm file is not supported" in refusal(content)


def test_a_protected_file():
    content = encoded(sound(), RATE, ".m4a").replace(b"mp4a", b"drms")
    assert "copy-protected" in refusal(content)


@pytest.mark.parametrize(
    "content",
    [
        wav(sound()[:0]),
        encoded(sound(), RATE, ".flac")[:21] + bytes(21),
        b"".join(map(bytes, pages(encoded(sound(), RATE, ".ogg"))[:2])),
    ],
    ids=["wav", "flac", "ogg"],
)
def test_headers_without_sound(content):
    assert "the recording was never finished" in refusal(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a Git LFS pointer"),
        (b"#EXTM3U\nsong.mp3\n", "a playlist"),
        (b"MThd" + bytes(20), "notes, not sound"),
    ],
)
def test_what_is_taken_for_sound(content, what):
    assert what in refusal(content)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [10, 1000, 100_000])
def test_noise_is_no_sound(seed, size):
    assert "not audio" in refusal(b"x" + np.random.default_rng(seed).bytes(size))


# -- something is missing ---------------------------------------------------------------------


def test_half_of_an_mp3_behind_a_cover():
    content = mp3(sound())
    decoded = decode(id3(5000) + content[: len(content) // 4], RATE, None)
    assert decoded.gap.total == pytest.approx(3, abs=0.06)
    assert decoded.gap.seconds == pytest.approx(len(decoded.samples) / RATE)
    assert "of 3 s are there; the rest is missing" in decoded.note


@pytest.mark.parametrize(
    "suffix", [".ogg", ".opus", ".aac", ".mp3", ".webm", ".flac", ".wma", ".m4a"]
)
def test_behind_a_damaged_place_the_sound_goes_on(suffix):
    content = bytearray(encoded(music(48000, 20, 2), 48000, suffix))
    at = len(content) // 2
    content[at : at + 4000] = np.random.default_rng(0).bytes(4000)
    decoded = decode(bytes(content), 48000, None)
    heard = len(decoded.samples) / 48000
    assert 14 < heard < 20.2
    gap = decoded.gap
    assert (gap.cut, gap.damaged_at) == (False, pytest.approx(10, abs=1.2))
    assert heard + gap.lost == pytest.approx(20, abs=1)
    assert "It is damaged at" in decoded.note


def test_cancelling_channels_are_heard():
    one = sound(1)
    decoded = decode(wav(np.hstack([one, -one])), RATE, None)
    np.testing.assert_allclose(np.abs(decoded.samples), np.abs(one[:, 0]), atol=1e-4)
    assert "cancel each other out" in decoded.note
