"""Samples and paths that programs give: used as they are meant, or refused in plain words."""

import io

import numpy as np
import pytest
import soundfile

from genrekit.audio import decoder, degradation
from genrekit.audio.samples import resampled, usable_samples
from genrekit.audio.synth.demo import write_demo_dataset
from genrekit.audio.synth.rendering import render
from genrekit.dataset import (
    build,
    duplicates,
    file_check,
    folder,
    formats,
    inspection,
    mel_archive,
    splits,
    track_table,
)
from genrekit.dataset.dataset import Dataset
from genrekit.errors import AudioError, GenreKitError, SettingsError
from genrekit.features import extraction, invert, trace
from genrekit.model.bundle import load_model
from genrekit.model.neighbours_file import load_neighbours
from genrekit.system import remote
from genrekit.verdict import analysis
from genrekit.verdict.occlusion import occlusion
from genrekit.verdict.picture import mel_picture
from models import robustness

PARAMS = extraction.FeatureParams(
    sample_rate=8000, segment_seconds=1.0, n_fft=512, hop_length=256, n_mels=24, n_mfcc=7
)
SOUND = np.random.default_rng(0).uniform(-0.4, 0.4, 8000).astype(np.float32)

# -- samples ----------------------------------------------------------------------------------

# Each takes one channel of a second at 8 kHz, and gives something that shows what it heard.
OF_SAMPLES = {
    "usable_samples": usable_samples,
    "split_segments": lambda x: extraction.split_segments(x, PARAMS),
    "fingerprint": lambda x: duplicates.fingerprint(x, 8000),
    "clip_params": lambda x: trace.clip_params(x, PARAMS).segment_seconds,
    "stft": lambda x: trace.stft(x, PARAMS),
    "power_spectrogram": lambda x: trace.power_spectrogram(x, PARAMS),
    "trace_cell": lambda x: trace.trace_cell(x, PARAMS, 3, 2).value,
    "resynthesise": lambda x: invert.resynthesise(x, PARAMS, "spectrogram", iterations=1),
    "match_level": lambda x: invert.match_level(SOUND, x),
    "mel_picture": lambda x: mel_picture(x, 8000).values,
    "apply": lambda x: degradation.degrade(x, 8000, degradation.Degradation(level_db=-6)),
    "mp3_bytes": robustness.mp3_bytes,
    **robustness.ROBUSTNESS,
}
# And these segments.
OF_SEGMENTS = {
    "mfcc": lambda x: extraction.mfcc(x, PARAMS),
    "log_mel": lambda x: extraction.log_mel(x, PARAMS),
    "extract": lambda x: extraction.extract(x, PARAMS),
    "frames": lambda x: extraction.frames(x, PARAMS),
}


@pytest.fixture(scope="module")
def asked(demo_model):
    """Every function, taking one channel."""

    def in_segments(function):
        return lambda x: function([x] if isinstance(x, list | str | None) else np.asarray(x)[None])

    return {
        **OF_SAMPLES,
        **{name: in_segments(function) for name, function in OF_SEGMENTS.items()},
        "occlusion": in_segments(lambda x: occlusion(demo_model, x, 0, bands=1, moments=1)),
        "classify": lambda x: demo_model.classify(x, sample_rate=8000).confidence,
    }


FUNCTIONS = [*OF_SAMPLES, *OF_SEGMENTS, "occlusion", "classify"]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "samples",
    [
        np.stack([SOUND, SOUND]),
        np.stack([SOUND, SOUND], axis=1),
        np.float32(0.3),
        SOUND.astype(np.complex64),
        SOUND > 0,
        SOUND.astype(str),
        np.arange(8000),
        None,
        "music.wav",
        [[0.1, 0.2], [0.3]],
        np.where(np.arange(8000) == 4000, np.nan, SOUND),
        np.where(np.arange(8000) == 4000, np.inf, SOUND),
        1e300 * SOUND.astype(float),
    ],
    ids="(2,n) (n,2) () complex bool text int64 None path ragged nan inf huge".split(),
)
def test_samples_that_cannot_be_used_are_refused_in_plain_words(name, samples, asked):
    with pytest.raises((AudioError, SettingsError)) as refused:
        asked[name](samples)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float64, np.float16, list])
def test_samples_of_other_types_are_heard_as_they_are_meant(name, kind, asked):
    rounded = np.round(SOUND * 2048) / 2048  # the same number in each type
    if kind is list:
        given = rounded.tolist()
    elif np.issubdtype(kind, np.integer):
        given = (rounded * -float(np.iinfo(kind).min)).astype(kind)
    else:
        given = rounded.astype(kind)
    expected = asked[name](rounded.astype(np.float32))
    if isinstance(expected, bytes):
        assert asked[name](given) == expected
    else:
        np.testing.assert_allclose(asked[name](given), expected, atol=1e-6)


def test_one_of_two_channels_is_asked_for_by_name():
    with pytest.raises(SettingsError, match=r"such as samples\.mean\(axis=0\)\."):
        usable_samples(np.stack([SOUND, SOUND]))
    with pytest.raises(SettingsError, match=r"such as samples\.mean\(axis=1\)\."):
        usable_samples(np.stack([SOUND, SOUND], axis=1))


def test_usable_samples_are_not_copied():
    assert np.shares_memory(usable_samples(SOUND), SOUND)


@pytest.mark.parametrize("rate", [44100, 16000.0, np.int64(22050)])
def test_an_array_of_another_rate_is_judged_as_its_file(demo_model, rate):
    song = render("jazz", seed=1, seconds=3.5, sample_rate=44100)
    song = resampled(song, 44100, rate)
    file = io.BytesIO()
    soundfile.write(file, song, int(rate), format="WAV", subtype="FLOAT")
    verdict = demo_model.classify(song, sample_rate=rate)
    expected = demo_model.classify(file)
    assert len(verdict.segments) == len(expected.segments)
    assert verdict.probabilities == pytest.approx(expected.probabilities, abs=1e-4)


def test_samples_without_a_rate_are_not_guessed_at(demo_model):
    for samples in (SOUND, SOUND.tolist()):
        with pytest.raises(SettingsError, match=r"give sample_rate too, such as sample_rate=22050"):
            demo_model.classify(samples)


BAD_RATES = ["22050", 0, -8000, float("nan"), 1e9, [8000], True]


@pytest.mark.parametrize("rate", BAD_RATES)
def test_a_rate_that_is_none_is_refused(demo_model, rate):
    for ask in (
        lambda: demo_model.classify(SOUND, sample_rate=rate),
        lambda: decoder.load_audio(b"RIFF", rate),
        lambda: decoder.decode(b"RIFF", rate, 1),
        lambda: duplicates.fingerprint(SOUND, rate),
    ):
        with pytest.raises(
            SettingsError, match="sample_rate is .*: use a number from 1000 to 768000 Hz"
        ):
            ask()


@pytest.mark.parametrize("seconds", [0, -0.5, float("nan"), float("inf"), "3", [3]])
def test_a_length_that_is_none_is_refused(demo_model, seconds):
    for ask in (
        lambda: demo_model.classify(b"RIFF", max_seconds=seconds),
        lambda: decoder.load_audio(b"RIFF", 8000, max_seconds=seconds),
        lambda: decoder.decode(b"RIFF", 8000, seconds),
    ):
        with pytest.raises(SettingsError, match="max_seconds is .*: use a number above 0 s"):
            ask()


# -- sounds by path, bytes or file ------------------------------------------------------------


class Closed(io.BytesIO):
    def __init__(self):
        super().__init__()
        self.close()


class Once(io.BytesIO):
    """As a pipe or a download is."""

    def seek(self, *_):
        raise io.UnsupportedOperation("underlying stream is not seekable")


SOUNDS = [None, 7, np.float64(0.5), ["a.wav"], {"a.wav": 1}, b"", bytearray(), io.BytesIO()]
SOUNDS += [io.StringIO("RIFF"), Closed(), Once(b"RIFF"), object(), "", "nul\0", SOUND]


@pytest.mark.parametrize("source", SOUNDS, ids=lambda source: type(source).__name__)
def test_a_sound_that_is_none_is_refused_in_plain_words(demo_model, tmp_path, source):
    for ask in (decoder.load_audio, decoder.probe, demo_model.classify):
        with pytest.raises((AudioError, SettingsError)) as refused:
            ask(source)
        assert str(refused.value).endswith(".")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_bytes_of_any_kind_are_a_sound(kind):
    file = io.BytesIO()
    soundfile.write(file, SOUND, 8000, format="WAV", subtype="FLOAT")
    np.testing.assert_array_equal(decoder.load_audio(kind(file.getvalue()), 8000), SOUND)


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [None, 7, np.float64(0.5), ["a"], b"a", "nul\0", object()])
def test_a_path_that_is_none_is_refused_in_plain_words(path, demo, demo_model, tmp_path):
    for ask in (
        remote.location,
        remote.local_path,
        Dataset.read,
        demo.write,
        formats.import_dataset,
        lambda p: formats.export_dataset(demo, p),
        mel_archive.is_mel_file,
        lambda p: mel_archive.read_mel_file(p, extraction.FeatureParams(ref="max")),
        lambda p: track_table.read_track_table(p, "artist"),
        lambda p: splits.from_file(demo, p),
        lambda p: splits.by_fold(demo, p, "fold", "1"),
        folder.find_tracks,
        lambda p: build.build_dataset(p, tmp_path / "a.parquet"),
        lambda p: build.build_dataset(tmp_path, p),
        inspection.inspect_folder,
        inspection.Inspection.read,
        inspection.Inspection((), (), ()).write,
        write_demo_dataset,
        lambda p: file_check.check_file(p, 1.0),
        load_model,
        demo_model.save,
        load_neighbours,
        analysis.ModelFile.at,
    ):
        with pytest.raises(GenreKitError) as refused:
            ask(path)
        assert "is no path" in str(refused.value)
