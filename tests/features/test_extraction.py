"""Features, against a plain librosa loop and against their formulas."""

import dataclasses
import json

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from genrekit.audio.samples import resampled
from genrekit.errors import AudioError, SettingsError
from genrekit.features.extraction import (
    FeatureParams,
    dct_matrix,
    extract,
    frames,
    hann_window,
    log_mel,
    mfcc,
    power_to_db,
    split_segments,
)

COURSE = FeatureParams()
# What no sum in float32 can promise to hit exactly: a floor 80 dB below the maximum magnifies
# the last bits of the quietest bands, so the tolerance is absolute, in dB.
TOLERANCE = 1e-2

PARAMS = {
    "course": COURSE,
    "htk": FeatureParams(mel_formula="htk", n_mels=40, n_mfcc=20),
    "log-mel": FeatureParams(kind="log_mel", n_mels=80),
    "odd window": FeatureParams(n_fft=1023, hop_length=256, n_mels=64),
    "hop divides": FeatureParams(sample_rate=16000, n_fft=1024, hop_length=400, n_mels=64),
    "8 kHz": FeatureParams(sample_rate=8000, segment_seconds=1.7, n_fft=512, hop_length=160,
                           n_mels=32, n_mfcc=32),
    "44.1 kHz": FeatureParams(sample_rate=44100, segment_seconds=1, n_fft=4096, hop_length=1024),
    "sparse": FeatureParams(n_fft=512, hop_length=2048, n_mels=20, n_mfcc=5, mel_formula="htk"),
    "not centred": FeatureParams(kind="log_mel", hop_length=1709, center=False, ref="max"),
    "re maximum": FeatureParams(ref="max", n_fft=1023, hop_length=300, center=False),
    "one frame": FeatureParams(sample_rate=8000, segment_seconds=0.1, n_fft=800, hop_length=1600,
                               n_mels=16),
}  # fmt: skip


def signals(params, count=3):
    """Segments unlike each other: noise, a tone, a quiet chirp, a clipped chord, clicks."""
    n, rate = params.segment_samples, params.sample_rate
    time = np.arange(n) / rate
    rng = np.random.default_rng(0)
    clicks = np.zeros(n)
    clicks[:: rate // 7] = 0.9
    noise = rng.normal(0, 0.2, n)
    every = [
        noise,
        0.5 * np.sin(2 * np.pi * 440 * time) + 1e-3 * noise,
        1e-3 * scipy.signal.chirp(time, 50, time[-1], rate * 0.45) + 1e-5 * noise,
        np.clip(sum(np.sin(2 * np.pi * f * time) for f in (110, 138.6, 164.8)), -1, 1),
        clicks + 1e-4 * noise,
    ]
    return np.array(every[:count] if count else every, np.float32)


def plain_librosa(segment, params):
    """The course's loop body: one segment, on its own."""
    mel = librosa.feature.melspectrogram(
        y=segment,
        sr=params.sample_rate,
        n_fft=params.n_fft,
        hop_length=params.hop_length,
        n_mels=params.n_mels,
        htk=params.mel_formula == "htk",
        center=params.center,
    )
    db = librosa.power_to_db(mel, ref=np.max if params.ref == "max" else 1.0)
    if params.kind == "log_mel":
        return db.T
    return librosa.feature.mfcc(S=db, n_mfcc=params.n_mfcc).T


# -- against librosa --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Empty filters detected")
@pytest.mark.parametrize("name", PARAMS)
def test_equal_librosa_segment_by_segment(name):
    params = PARAMS[name]
    segments = signals(params, count=None)
    ours = extract(segments, params)
    assert ours.dtype == np.float32
    assert ours.shape == (len(segments), *params.shape)
    for segment, features in zip(segments, ours, strict=True):
        expected = plain_librosa(segment, params)
        assert expected.shape == params.shape
        np.testing.assert_allclose(features, expected, atol=TOLERANCE, rtol=0)


def test_equal_the_call_of_the_course():
    segments = signals(COURSE, count=2)
    for segment, features in zip(segments, mfcc(segments, COURSE), strict=True):
        expected = librosa.feature.mfcc(y=segment, sr=22050, n_mfcc=13, n_fft=2048, hop_length=512)
        assert features.shape == (130, 13)
        np.testing.assert_allclose(features, expected.T, atol=TOLERANCE, rtol=0)


def test_a_loud_segment_does_not_change_its_neighbour():
    time = np.arange(COURSE.segment_samples) / 22050
    loud, quiet = (
        (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32) for level in (0.9, 1e-3)
    )
    together = log_mel(np.stack([loud, quiet]), COURSE)
    for i, segment in enumerate((loud, quiet)):
        np.testing.assert_array_equal(together[i], log_mel(segment[np.newaxis], COURSE)[0])
        assert together[i].min() == pytest.approx(together[i].max() - 80, abs=1e-3)
    # One floor for both would stand above all that is in the quiet one.
    assert together[1].max() < together[0].max() - 50
    assert together[1].min() < together[0].min() - 10


def test_features_do_not_depend_on_position():
    # More segments than are computed at once, so that blocks meet.
    segment = signals(COURSE, count=1)
    many = np.repeat(segment, 13, axis=0)
    features = mfcc(many, COURSE)
    np.testing.assert_allclose(features, np.repeat(mfcc(segment, COURSE), 13, axis=0), atol=1e-4)


def test_silence_is_the_lowest_level():
    silence = np.zeros((1, COURSE.segment_samples), np.float32)
    np.testing.assert_allclose(log_mel(silence, COURSE), -100, atol=1e-4)
    features = mfcc(silence, COURSE)[0]
    np.testing.assert_allclose(features[:, 0], -100 * 128**0.5, rtol=1e-5)
    np.testing.assert_allclose(features[:, 1:], 0, atol=1e-3)


def test_no_segments_no_features():
    nothing = np.empty((0, COURSE.segment_samples), np.float32)
    assert mfcc(nothing, COURSE).shape == (0, 130, 13)
    assert log_mel(nothing, COURSE).shape == (0, 130, 128)


def test_float64_and_integers_are_accepted():
    segments = signals(COURSE, count=1)
    np.testing.assert_array_equal(mfcc(segments.astype(np.float64), COURSE), mfcc(segments, COURSE))


@pytest.mark.parametrize("shape", [(1, 66149), (2, 100_000)])
def test_segments_that_do_not_fit_are_refused(shape):
    sentence = r"do not fit: give \(segments, 66150\), .* or one channel, shape \(samples,\)"
    with pytest.raises(SettingsError, match=sentence):
        extract(np.zeros(shape, np.float32), COURSE)


# -- one sound of any length ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["course", "odd window", "not centred", "re maximum"])
def test_a_whole_sound_has_librosas_features(name):
    params = dataclasses.replace(PARAMS[name], kind="mfcc")
    sound = np.concatenate([*signals(params, count=None), [0.1]]).astype(np.float32)
    for kind in ("mfcc", "log_mel"):
        like = dataclasses.replace(params, kind=kind)
        ours = extract(sound, like, sample_rate=params.sample_rate)
        np.testing.assert_allclose(ours, plain_librosa(sound, like), atol=TOLERANCE, rtol=0)


def test_a_sound_of_another_rate_is_resampled_first():
    sound = scipy.signal.chirp(np.arange(88200) / 44100, 100, 2, 3000).astype(np.float32)
    expected = mfcc(resampled(sound, 44100, 22050))
    np.testing.assert_array_equal(mfcc(sound, sample_rate=44100), expected)
    np.testing.assert_array_equal(
        split_segments(sound, COURSE, sample_rate=44100),
        split_segments(resampled(sound, 44100, 22050)),
    )


def test_segments_have_the_rate_of_the_parameters():
    segments = signals(COURSE, count=2)
    np.testing.assert_array_equal(mfcc(segments, sample_rate=22050), mfcc(segments))
    with pytest.raises(SettingsError, match="sample_rate is 44100"):
        mfcc(segments, sample_rate=44100)


def test_a_sound_shorter_than_a_window_is_refused():
    assert mfcc(np.ones(2048)).shape == (5, 13)
    with pytest.raises(AudioError, match=r"2,047 samples, less than a window \(2048\)"):
        mfcc(np.ones(2047))


# -- the pieces -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2048, 400, 1023])
def test_hann_window_is_scipys_periodic_one(n):
    np.testing.assert_allclose(hann_window(n), scipy.signal.get_window("hann", n), atol=1e-7)


@pytest.mark.parametrize(("kept", "bands"), [(13, 128), (40, 40), (1, 5)])
def test_dct_matrix_is_scipys_orthonormal_one(kept, bands):
    values = np.random.default_rng(0).normal(size=(4, bands))
    expected = scipy.fft.dct(values, type=2, norm="ortho")[:, :kept]
    np.testing.assert_allclose(values @ dct_matrix(kept, bands), expected, atol=1e-5)


def test_frames_are_centred_and_padded_with_zeros():
    params = PARAMS["8 kHz"]
    segment = np.arange(1, params.segment_samples + 1, dtype=np.float32)[np.newaxis]
    cut = frames(segment, params)
    assert cut.shape == (1, params.frames, params.n_fft)
    half = params.n_fft // 2
    assert (cut[0, 0, :half] == 0).all()
    for k in range(params.frames):
        centre = k * params.hop_length  # the last may stand on the first sample after the end
        expected = segment[0, centre] if centre < segment.size else 0
        assert cut[0, k, half] == expected


def test_decibels():
    power = np.array([[1, 0.1, 1e-9, 0], [1e-8, 1e-10, 1e-12, 0]], np.float32)
    expected = [[0, -10, -80, -80], [-80, -100, -100, -100]]
    np.testing.assert_allclose(power_to_db(power), expected, atol=1e-4)
    for row, ours in zip(power, power_to_db(power), strict=True):
        np.testing.assert_allclose(ours, librosa.power_to_db(row), atol=1e-4)
    assert power_to_db(np.empty((0, 3), np.float32)).shape == (0, 3)


# -- cutting ----------------------------------------------------------------------------------


def librosa_frames(samples, params):
    """How many frames librosa makes of so many samples; 0 of none."""
    if not samples:
        return 0
    padded = samples + params.center * 2 * (params.n_fft // 2)
    if padded < params.n_fft:
        return 0
    return librosa.util.frame(
        np.zeros(padded),
        frame_length=params.n_fft,
        hop_length=params.hop_length,
    ).shape[1]


@pytest.mark.parametrize("name", PARAMS)
def test_a_last_piece_is_kept_only_with_all_frames(name):
    params = PARAMS[name]
    length, hop = params.segment_samples, params.hop_length
    assert params.frames == librosa_frames(length, params)
    near = {0, 1, length - 1, length - 2}
    for frame in (params.frames - 2, params.frames - 1):
        near |= {frame * hop + d for d in (-1, 0, 1, 2)}
    for rest in sorted(r for r in near if 0 <= r < length):
        samples = np.ones(2 * length + rest, np.float32)
        segments = split_segments(samples, params)
        kept = librosa_frames(rest, params) == params.frames
        assert len(segments) == 2 + kept, rest
        assert segments.sum() == 2 * length + kept * rest
        if kept:
            assert (segments[2, :rest] == 1).all()
            assert (segments[2, rest:] == 0).all()


@pytest.mark.parametrize("name", PARAMS)
def test_no_samples_no_segments(name):
    params = PARAMS[name]
    assert split_segments(np.empty(0, np.float32), params).shape == (0, params.segment_samples)


@pytest.mark.parametrize("seconds", [0.25, 0.3001, 1.7, 3.0])
def test_segments_begin_at_their_starts(seconds):
    params = FeatureParams(segment_seconds=seconds)
    samples = np.arange(50 * params.segment_samples + 1, dtype=np.float64)
    segments = split_segments(samples, params)
    starts = params.segment_starts(np.arange(len(segments)))
    np.testing.assert_array_equal(np.rint(starts * params.sample_rate), segments[:, 0])
    assert params.segment_starts(7) == starts[7]
    assert params.segment_step == starts[1]


def test_thirty_seconds_are_ten_segments_in_order():
    samples = np.arange(661500, dtype=np.float32)
    segments = split_segments(samples, COURSE)
    assert segments.shape == (10, 66150)
    assert (segments.reshape(-1) == samples).all()
    assert segments.base is not None  # a view: nothing was copied
    assert len(split_segments(samples[:-1], COURSE)) == 10
    assert len(split_segments(samples[: 661500 - 102], COURSE)) == 10
    assert len(split_segments(samples[: 661500 - 103], COURSE)) == 9


def test_a_completed_piece_equals_librosa():
    rest = 129 * 512
    sound = signals(COURSE, count=1)[0][:rest]
    (segment,) = split_segments(sound, COURSE)
    expected = plain_librosa(sound, COURSE)
    assert expected.shape == (130, 13)
    np.testing.assert_allclose(mfcc(segment[np.newaxis], COURSE)[0], expected, atol=TOLERANCE)


# -- parameters -------------------------------------------------------------------------------


def test_defaults_are_the_courses():
    assert COURSE.to_dict() == {
        "kind": "mfcc",
        "sample_rate": 22050,
        "segment_seconds": 3.0,
        "n_fft": 2048,
        "hop_length": 512,
        "n_mels": 128,
        "n_mfcc": 13,
        "mel_formula": "slaney",
        "ref": "one",
        "center": True,
    }
    assert COURSE.segment_samples == 66150
    assert COURSE.shape == (130, 13)
    assert FeatureParams(kind="log_mel").shape == (130, 128)


def test_parameters_are_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        COURSE.n_fft = 1024
    assert {COURSE: 1}[FeatureParams()] == 1


@pytest.mark.parametrize("name", PARAMS)
def test_plain_values_round_trip(name):
    params = PARAMS[name]
    assert FeatureParams.from_dict(json.loads(json.dumps(params.to_dict()))) == params


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "chroma"}, 'kind of features "chroma": use mfcc or log_mel'),
        ({"kind": ["mfcc"]}, "Unknown kind"),
        ({"sample_rate": 999}, "sample_rate is 999: use a whole number from 1000 to 192000 Hz"),
        ({"sample_rate": 192_001}, "sample_rate is 192001"),
        ({"sample_rate": 22050.0}, "use a whole number"),
        ({"sample_rate": True}, "use a whole number"),
        ({"sample_rate": "22050"}, "use a whole number"),
        ({"segment_seconds": float("nan")}, "segment_seconds is not a number"),
        ({"segment_seconds": float("inf")}, "segment_seconds is inf"),
        ({"segment_seconds": "3"}, "segment_seconds is '3'"),
        ({"segment_seconds": 0}, "from 0.1 to 60 s"),
        ({"segment_seconds": 0.1, "n_fft": 4096}, "lengthen the segment or lower n_fft"),
        ({"n_fft": 16}, "from 32 to 16384 samples"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"n_mfcc": 0}, "n_mfcc is 0"),
        ({"n_mfcc": 41, "n_mels": 40}, "raise n_mels or lower n_mfcc"),
        ({"ref": "min"}, 'decibel reference "min": use one or max'),
        ({"center": 1}, "center is 1: use true or false"),
        ({"mel_formula": "bark"}, 'mel formula "bark": use slaney or htk'),
    ],
)
def test_parameters_out_of_range_are_refused(change, match):
    with pytest.raises(SettingsError, match=match):
        FeatureParams(**change)


def test_parameters_that_would_fill_the_memory_are_refused():
    with pytest.raises(SettingsError, match="raise hop_length"):
        FeatureParams(sample_rate=192_000, segment_seconds=60, hop_length=1)


@pytest.mark.parametrize("values", [{"n_ftt": 2048}, {**COURSE.to_dict(), "window": "hann"}])
def test_unknown_names_are_refused(values):
    with pytest.raises(SettingsError, match=r"Unknown feature settings: (n_ftt|window)"):
        FeatureParams.from_dict(values)


@pytest.mark.parametrize("values", [None, [], 3, "mfcc", [["kind", "mfcc"]]])
def test_other_types_of_settings_are_refused(values):
    with pytest.raises(SettingsError, match="not a table of feature settings"):
        FeatureParams.from_dict(values)
