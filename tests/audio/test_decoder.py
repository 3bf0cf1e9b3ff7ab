"""Decoding: every format against librosa, and damaged files of all kinds."""

import io
import os
import re
import shutil
import struct
import tracemalloc
import warnings
import wave
import zipfile
from functools import cache
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from coded_sounds import (
    EVERY,
    FFMPEG,
    KINDS,
    SNDFILE,
    coded,
    encoded,
    free_format_mp3,
    music,
    tone,
)

from genrekit import audio
from genrekit.audio import sndfile
from genrekit.audio.decoder import AUDIO_SUFFIXES, decode, load_audio, probe
from genrekit.audio.source import AudioInfo
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, SettingsError


@cache
def sample_file(suffix):
    """A second and a half of two tones in stereo, at 48 kHz: rates that all codecs know."""
    return encoded(music(48000, 1.5, 2), 48000, suffix)


def librosas(path, rate):
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return librosa.load(path, sr=rate)  # it imports what Python is about to drop


def loudness(samples):
    return 20 * np.log10(np.sqrt(np.mean(samples**2)))


# -- formats ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", EVERY)
def test_every_format_decodes_to_its_source(suffix):
    original = music(48000, 1.5, 2).mean(axis=1)
    samples = load_audio(sample_file(suffix), 48000)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(72000, abs=4096)  # codecs pad
    assert loudness(samples) == pytest.approx(loudness(original), abs=0.6)
    # The same sound, at whatever delay the codec has.
    size = 1 << 18
    product = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(original, size))
    likeness = np.fft.irfft(product).max() / np.linalg.norm(samples) / np.linalg.norm(original)
    assert likeness > 0.98


@pytest.mark.parametrize("suffix", EVERY)
def test_the_header_is_read(suffix):
    info = probe(sample_file(suffix))
    container = (SNDFILE.get(suffix) or FFMPEG[suffix])[2]
    assert (info.container, info.sample_rate, info.channels) == (container, 48000, 2)
    assert info.seconds == pytest.approx(1.5, abs=0.6 if suffix == ".aac" else 0.1)
    assert suffix in AUDIO_SUFFIXES


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_the_codec_is_named(container, codec):
    info = probe(coded(container, codec))
    assert (info.container, info.codec) == (container, codec)


def test_free_format_frames_are_recognised():
    content = free_format_mp3()
    tagged = b"ID3\4\0\0" + bytes([0, 0, 2, 1]) + b"\xff" * 257 + content
    for file in (content, tagged):
        assert probe(file).codec == "mp3_free_format"
    assert loudness(load_audio(content, 32_000)) == pytest.approx(-13.5, abs=1)


@pytest.mark.parametrize("suffix", EVERY)
def test_the_name_of_a_file_does_not_matter(suffix, tmp_path):
    path = tmp_path / "song.txt"
    path.write_bytes(sample_file(suffix))
    from_path = load_audio(path)
    np.testing.assert_array_equal(from_path, load_audio(str(path)))
    np.testing.assert_array_equal(from_path, load_audio(sample_file(suffix)))
    with path.open("rb") as file:
        file.seek(5)  # as someone who looked at it may have left it
        np.testing.assert_array_equal(from_path, load_audio(file))


@pytest.mark.parametrize("suffix", EVERY)
def test_max_seconds_reads_the_start(suffix):
    everything = load_audio(sample_file(suffix), 48000)
    start = load_audio(sample_file(suffix), 48000, max_seconds=0.5)
    np.testing.assert_array_equal(start, everything[:24000])
    resampled = load_audio(sample_file(suffix), 22050, max_seconds=0.5)
    assert len(resampled) == 11025
    longer = load_audio(sample_file(suffix), 48000, max_seconds=1e9)
    np.testing.assert_array_equal(longer, everything)


@pytest.mark.parametrize("target", [22050, 16000, 48000])
@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 192000])
def test_wav_equals_librosa(rate, channels, target, tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, music(rate, 0.7, channels), rate, subtype="FLOAT")
    expected, _ = librosas(path, target)
    samples = load_audio(path, target)
    assert abs(len(samples) - len(expected)) <= 1
    n = min(len(samples), len(expected))
    np.testing.assert_allclose(samples[:n], expected[:n], atol=1e-5, rtol=0)
    assert probe(path) == AudioInfo(
        "wav", rate, channels, pytest.approx(0.7, abs=1e-3), "pcm_f32le"
    )


def test_many_blocks_are_joined_without_a_seam(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    soundfile.write(path, music(32000, 3, 2), 32000, subtype="FLOAT")
    whole = load_audio(path)
    monkeypatch.setattr(sndfile, "_BLOCK_VALUES", 4321)
    pieces = load_audio(path)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)
    np.testing.assert_allclose(pieces, librosas(path, 22050)[0][: len(pieces)], atol=1e-5)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_full_scale_is_one_at_any_word_length(subtype):
    file = io.BytesIO()
    soundfile.write(file, tone(22050, level=0.999), 22050, format="WAV", subtype=subtype)
    samples = load_audio(file)
    np.testing.assert_allclose(samples, tone(22050, level=0.999), atol=0.011)


def test_samples_beyond_full_scale_are_kept():
    file = io.BytesIO()
    soundfile.write(file, 3 * tone(22050), 22050, format="WAV", subtype="FLOAT")
    assert np.abs(load_audio(file)).max() == pytest.approx(1.5, abs=1e-3)


def stereo_file(*channels, rate=22050):
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.mark.parametrize("others", [[-0.9], [-1.0], [-1.1, -0.1], [-0.3, -0.4, -0.5]])
@pytest.mark.parametrize("rate", [22050, 16000])
def test_of_cancelling_channels_the_loudest_is_used(others, rate, monkeypatch):
    monkeypatch.setattr(sndfile, "_BLOCK_VALUES", 5000)
    one = music(22050, 1.5)[:, 0]
    channels = [one, *(gain * one for gain in others)]
    loudest = max(channels, key=lambda channel: np.square(channel).sum())
    decoded = decode(stereo_file(*channels), rate, 60)
    np.testing.assert_allclose(
        decoded.samples, load_audio(stereo_file(loudest), rate), atol=1e-6, rtol=0
    )
    assert decoded.cancelled
    assert "cancel each other out" in decoded.note
    np.testing.assert_array_equal(load_audio(stereo_file(*channels), rate), decoded.samples)


def test_cancellation_after_max_seconds_does_not_matter():
    one = music(22050, 1)[:, 0]
    content = stereo_file(np.tile(one, 6), np.concatenate([one, *[-one] * 5]))
    assert decode(content, 22050, 60).cancelled
    start = load_audio(content, 22050, max_seconds=1)
    np.testing.assert_allclose(start, one, atol=1e-6)


def test_cancellation_is_found_in_all_containers():
    one = music(48000, 1.5, 2)[:, 0]
    for suffix in (".flac", ".ogg", ".m4a"):
        decoded = decode(encoded(np.stack([one, -one], 1), 48000, suffix), 48000, 60)
        assert decoded.cancelled, suffix
        assert loudness(decoded.samples) == pytest.approx(loudness(one), abs=0.6)


def test_channels_that_do_not_cancel_are_averaged():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 0.1, (2, 30_000)).astype(np.float32)
    rest = [np.zeros(30_000, np.float32)] * 6
    # Hard left and right, one of eight channels, widened by as much of the opposite, silence.
    for channels in ([first, second], [first, *rest], [first + second, first - second], rest):
        decoded = decode(stereo_file(*channels), 22050, 60)
        assert not decoded.cancelled
        assert decoded.note == ""
        np.testing.assert_allclose(decoded.samples, np.mean(channels, axis=0), atol=1e-6)


def test_cut_tells_if_there_is_more():
    content = stereo_file(tone(22050, 3.0))
    whole, start = decode(content, 22050, None), decode(content, 22050, 2.5)
    assert (whole.cut, len(whole.samples)) == (False, 3 * 22050)
    assert (start.cut, len(start.samples)) == (True, round(2.5 * 22050))
    np.testing.assert_array_equal(start.samples, whole.samples[: len(start.samples)])
    assert not decode(content, 22050, 3.0).cut


def test_one_sample_and_silence_are_accepted():
    for samples in (np.array([0.25], np.float32), np.zeros(500, np.float32)):
        file = io.BytesIO()
        soundfile.write(file, samples, 22050, format="WAV", subtype="FLOAT")
        np.testing.assert_array_equal(load_audio(file), samples)
        assert np.isfinite(load_audio(file, 16000)).all()


@pytest.mark.parametrize("name", ['it\'s a "song".wav', "Größe – 東京 🎵.wav", " .wav", "a\nb.wav"])
def test_names_of_any_kind(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(sample_file(".wav"))
    assert len(load_audio(path)) == 33075
    assert len(load_audio(str(path))) == 33075


def test_only_the_requested_part_of_an_hour_is_read(tmp_path):
    path = tmp_path / "hour.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.setnframes(3600 * 44100)
        file.writeframes(b"\1\0" * 882)
    size = 44 + 4 * 3600 * 44100
    with path.open("r+b") as file:  # sparse: nothing but its length is written
        file.seek(4)
        file.write(struct.pack("<I", size - 8))
        file.seek(40)
        file.write(struct.pack("<I", size - 44))
        file.truncate(size)
    assert probe(path).seconds == pytest.approx(3600)
    tracemalloc.start()
    try:
        samples = load_audio(path, max_seconds=30)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(samples) == 30 * 22050
    assert peak < 30e6


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_impossible_durations(bad):
    with pytest.raises(SettingsError, match="use a number above 0 s"):
        load_audio(sample_file(".wav"), max_seconds=bad)


@pytest.mark.parametrize("bad", [0, -22050, 999, 768_001, float("nan")])
def test_impossible_sample_rates(bad):
    with pytest.raises(SettingsError, match="use a number from 1000 to 768000 Hz"):
        load_audio(sample_file(".wav"), bad)


# -- bad files --------------------------------------------------------------------------------


def refuses(source, match):
    """Both ways in say so, in a sentence or two."""
    with pytest.raises(AudioError, match=match) as caught:
        load_audio(source)
    text = str(caught.value)
    assert text[0].isupper()
    assert text.endswith(".")
    assert "\n" not in text
    assert "Error" not in text
    return text


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("song.wav", sample_file(".wav"))
    return file.getvalue()


NO_AUDIO = {
    "text": b"Dear reader,\nthis is no music.\n",
    "png": Path(audio.__file__).parents[1].joinpath("app", "kit", "icon.png").read_bytes(),
    "zip": zipped(),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
    "python": b"import os\nprint(os.environ)\n",
    "html": b"<!doctype html><title>404</title>",
    "midi": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk",
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00",
    "ff": b"\xff",
    "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
}


@pytest.mark.parametrize("kind", NO_AUDIO)
def test_other_files_named_like_audio(kind, tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(NO_AUDIO[kind])
    refuses(path, "not audio in a format GenreKit reads.*: use wav, flac, mp3")
    with pytest.raises(AudioError, match="use wav, flac"):
        probe(path)


def test_empty():
    refuses(b"", "empty .0 bytes.: the copy or download probably failed")


@pytest.mark.parametrize("suffix", [s for s in EVERY if s not in (".wav", ".aiff", ".au")])
def test_a_good_start_and_then_noise(suffix):
    head = sample_file(suffix)[:40]
    noise = np.random.default_rng(1).bytes(20_000)
    refuses(head + noise, "damaged or incomplete; copy|no sound at all|never finished")


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("suffix", [s for s in EVERY if s not in (".m4a", ".mp4", ".mp3")])
def test_of_a_file_cut_short_the_rest_is_heard_and_the_gap_named(suffix, kept):
    content = encoded(music(48000, 4, 2), 48000, suffix)
    whole = load_audio(content, 48000)
    decoded = decode(content[: int(len(content) * kept)], 48000, None)
    n = len(decoded.samples) - 2048  # what overlaps with what is missing
    np.testing.assert_allclose(decoded.samples[:n], whole[:n], atol=1e-6)
    assert decoded.gap.seconds == len(decoded.samples) / 48000
    if decoded.gap.total is None:
        assert re.fullmatch(r"It breaks off after \d(\.\d)? s\.", decoded.note)
    else:
        assert decoded.gap.total == pytest.approx(4, abs=0.1)
        assert re.match(r"Only the first \d(\.\d)? of 4 s are there; the rest", decoded.note)
    # What is not asked for is not missed.
    assert decode(content[: int(len(content) * kept)], 48000, 0.1).gap is None


@pytest.mark.parametrize("suffix", [".m4a", ".mp4"])
def test_a_recording_that_was_never_finished_is_refused_as_such(suffix):
    content = sample_file(suffix)
    refuses(content[: len(content) // 2], "never finished, or its end is missing: the index")


def test_an_mp3_cut_short():
    content = encoded(music(22050, 10), 22050, ".mp3")
    decoded = decode(content[: len(content) // 2], 22050, None)
    assert 3 < decoded.gap.seconds < 7
    assert decoded.gap.total == pytest.approx(10, abs=0.1)


def test_a_wav_of_more_than_four_gigabytes():
    file = io.BytesIO()
    soundfile.write(file, tone(22050), 22050, format="RF64", subtype="PCM_16")
    content = file.getvalue()
    assert content.startswith(b"RF64")
    np.testing.assert_allclose(load_audio(content), tone(22050), atol=1e-4)
    gap = decode(content[: len(content) // 2], 22050, None).gap
    assert (gap.seconds, gap.total) == (pytest.approx(0.5, abs=0.01), pytest.approx(1, abs=0.01))


def test_a_wav_with_placeholder_sizes():
    content = bytearray(encoded(tone(22050), 22050, ".wav"))
    for at in (4, 40):
        content[at : at + 4] = b"\xff\xff\xff\xff"
    assert len(load_audio(bytes(content))) == 22050


def test_a_recording_without_a_duration_is_read_to_its_end():
    # What a browser records says nothing of its length.
    content = sample_file(".webm")
    at = content.index(b"\x44\x89\x88")  # Duration, 8 bytes
    without = content[:at] + b"\xec\x89" + bytes(9) + content[at + 11 :]
    assert probe(without).seconds is None
    np.testing.assert_array_equal(load_audio(without), load_audio(content))


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au"])
def test_no_samples(suffix):
    refuses(encoded(np.empty(0, np.float32), 22050, suffix), "no sound at all .0 samples.")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(bad):
    samples = tone(22050, 3)
    samples[2 * 22050 :] = bad
    file = io.BytesIO()
    soundfile.write(file, samples, 22050, format="WAV", subtype="FLOAT")
    decoded = decode(file.getvalue(), 22050, None)
    assert decoded.note == (
        "It contains samples that are not numbers (first at 2.0 s): they became silence."
    )
    np.testing.assert_array_equal(decoded.samples, np.nan_to_num(samples, posinf=0, neginf=0))
    file = io.BytesIO()
    soundfile.write(file, samples[2 * 22050 :], 22050, format="WAV", subtype="FLOAT")
    refuses(file.getvalue(), r"not numbers \(first at 0.0 s\): export it again")
    file = io.BytesIO()
    soundfile.write(file, samples, 22050, format="WAV", subtype="FLOAT")
    assert len(load_audio(file, max_seconds=1)) == 22050  # what is not read does no harm


def test_too_many_channels():
    file = io.BytesIO()
    soundfile.write(file, np.zeros((10, 33)), 22050, format="WAV")
    refuses(file.getvalue(), "33 channels, not 1 to 32: mix it down first")


@pytest.mark.parametrize("rate", [500, 900_000])
def test_sample_rates_out_of_range(rate):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(10), rate, format="WAV")
    refuses(file.getvalue(), f"sample rate of {rate} Hz is out of range: save it at 44100 Hz")


def test_a_video_without_sound():
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    refuses(file.getvalue(), "a film without sound: choose another file")


def test_paths_without_a_file(tmp_path):
    refuses(tmp_path, "a folder, not an audio file")
    refuses(tmp_path / "nothing.wav", "no such file: check the name")
    refuses(tmp_path / "song.wav" / "x.wav", "no such file")
    refuses(tmp_path / ("x" * 300), "cannot be opened .File name too long.")
    refuses("nul\0byte.wav", "cannot be opened|no such file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_block(tmp_path):
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    refuses(path, "a pipe or a device, not a file: save it as a file first")


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (PermissionError(13, "Permission denied"), "This user may not read it"),
        (OSError(5, "Input/output error"), "cannot be opened .Input/output error."),
    ],
)
def test_files_the_system_refuses(error, match, tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(sample_file(".wav"))

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    refuses(path, match)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_files_without_permission(tmp_path):
    path = tmp_path / "x.wav"
    shutil.copy(__file__, path)
    path.chmod(0)
    refuses(path, "This user may not read it: change its permissions")


@pytest.mark.parametrize("suffix", EVERY)
def test_a_disk_that_fails_while_reading(suffix):
    bad = len(sample_file(suffix)) * 6 // 10

    class Failing(io.BytesIO):
        def read(self, size=-1):
            if size and self.tell() >= bad:
                raise OSError(5, "Input/output error")
            left = bad - self.tell()
            return super().read(left if size < 0 else min(size, left))

        def readinto(self, buffer):
            content = self.read(len(buffer))
            buffer[: len(content)] = content
            return len(content)

    with pytest.raises(
        AudioError, match="damaged or incomplete|the disk or the network failed|never fin"
    ):
        load_audio(Failing(sample_file(suffix)))


# -- fuzz -------------------------------------------------------------------------------------


def mutated(content, rng):
    """The bytes with one kind of harm done to them."""
    content = bytearray(content)
    n = len(content)
    match rng.integers(5):
        case 0:  # a few bytes anywhere
            for at in rng.integers(0, n, 8):
                content[at] = rng.integers(256)
        case 1:  # a few bytes in the header
            for at in rng.integers(4, min(n, 120), 3):
                content[at] = rng.integers(256)
        case 2:
            del content[rng.integers(1, n) :]
        case 3:  # a hole
            start = rng.integers(0, n)
            content[start : start + n // 8] = bytes(len(content[start : start + n // 8]))
        case 4:  # a piece twice
            start = rng.integers(0, n)
            content[start:start] = content[start : start + n // 8]
    return bytes(content)


@pytest.mark.parametrize("suffix", EVERY)
def test_no_other_error_escapes_from_a_mutated_file(suffix):
    content = encoded(music(48000, 0.25, 1), 48000, suffix)
    heard = 0
    for seed in range(60):
        source = mutated(content, np.random.default_rng(seed))
        try:
            samples = load_audio(source, max_seconds=5)
        except AudioError:
            pass
        else:
            heard += 1
            assert np.isfinite(samples).all()
            assert samples.size
        try:
            info = probe(source)
        except AudioError:
            continue
        assert info.seconds is None or info.seconds >= 0
    assert heard


def test_a_long_mp3_is_decoded_without_seeks(tmp_path):
    """Blocks must not disturb the decoder: a seek between them would change the samples."""
    path = tmp_path / "long.mp3"
    soundfile.write(path, render("jazz", seed=1, seconds=45), 22050)
    expected, _ = soundfile.read(path, dtype="float32")
    for source in (path, path.read_bytes()):
        samples = load_audio(source)
        assert len(samples) == len(expected)
        np.testing.assert_allclose(samples, expected, atol=1e-5)
