"""One MFCC followed back, judged by librosa; and filter banks with holes."""

import librosa
import numpy as np
import pytest

from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError, SettingsError
from genrekit.features import extraction
from genrekit.features.extraction import FeatureParams
from genrekit.features.trace import clip_params, inspect_bank, power_spectrogram, stft, trace_cell
from genrekit.mel import tones

RATE = 22_050


@pytest.fixture(scope="module", params=["music", "glide"])
def clip(request: pytest.FixtureRequest) -> np.ndarray:
    if request.param == "music":
        return render("jazz", seed=1, seconds=2.0)
    return tones.glide(110, 3520, 1.7, sample_rate=RATE)


@pytest.mark.parametrize("length", [6615, 6616, 30_001, 110_250])
def test_the_segment_is_exactly_the_clip(length: int) -> None:
    params = clip_params(np.full(length, 0.1, np.float32), FeatureParams())
    assert params.segment_samples == length


def test_short_and_silent_clips_are_refused() -> None:
    with pytest.raises(AudioError, match=r"It lasts 0\.05 s"):
        clip_params(np.ones(1000, np.float32), FeatureParams())
    with pytest.raises(AudioError, match="It is silent"):
        clip_params(np.zeros(RATE, np.float32), FeatureParams())


def test_the_spectrum_is_librosa_s(clip: np.ndarray) -> None:
    params = clip_params(clip, FeatureParams())
    theirs = librosa.stft(clip, n_fft=2048, hop_length=512, pad_mode="constant").T
    assert np.abs(stft(clip, params) - theirs).max() < 1e-3
    assert power_spectrogram(clip, params) == pytest.approx(np.abs(theirs) ** 2, rel=1e-3, abs=1e-3)


def test_the_sum_is_the_mfcc_of_librosa(clip: np.ndarray) -> None:
    params = clip_params(clip, FeatureParams())
    theirs = librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=13).T
    ours = extraction.mfcc(clip[np.newaxis], params)[0]
    assert ours.shape == theirs.shape
    for frame in range(0, params.frames, 7):
        for coefficient in range(13):
            cell = trace_cell(clip, params, frame, coefficient)
            assert cell.total == pytest.approx(theirs[frame, coefficient], abs=1e-2)
            assert cell.value == ours[frame, coefficient]
            assert cell.total == pytest.approx(cell.value, abs=5e-4)


def test_each_step_follows_from_the_one_before(clip: np.ndarray) -> None:
    params = clip_params(clip, FeatureParams())
    cell = trace_cell(clip, params, 20, 5)
    assert cell.seconds == pytest.approx(20 * 512 / RATE)
    assert np.array_equal(cell.samples, clip[20 * 512 - 1024 : 20 * 512 + 1024])
    spectrum = np.abs(np.fft.rfft(cell.samples.astype(float) * np.hanning(2049)[:-1])) ** 2
    assert cell.power == pytest.approx(spectrum, rel=1e-3, abs=1e-3)
    bank = librosa.filters.mel(sr=RATE, n_fft=2048)
    assert cell.band_power == pytest.approx(bank @ spectrum, rel=1e-3, abs=1e-6)
    level = np.maximum(10 * np.log10(np.maximum(cell.band_power, 1e-10)), cell.floor_db)
    assert cell.log_mel == pytest.approx(level, abs=1e-3)
    assert cell.frequencies[-1] == RATE / 2
    peak = cell.frequencies[np.argmax(bank[64])]
    assert cell.centres[64] == pytest.approx(peak, abs=RATE / 2048)


@pytest.mark.parametrize(("frame", "coefficient"), [(-1, 0), (10_000, 0), (0, 13), (0, -1)])
def test_a_cell_that_does_not_exist_is_refused(frame: int, coefficient: int) -> None:
    clip = tones.glide(110, 880, 1, sample_rate=RATE)
    with pytest.raises(SettingsError, match="use a whole number from 0 to"):
        trace_cell(clip, clip_params(clip, FeatureParams()), frame, coefficient)


def test_a_sound_bank_has_no_empty_band() -> None:
    report = inspect_bank(RATE, 2048, 128, formula="slaney")
    assert not report.empty.size
    assert (report.n_fft_needed, report.n_mels_possible) == (2048, 128)
    assert len(report.edges) == 130
    assert report.edges[[0, -1]] == pytest.approx([0, RATE / 2])


def test_empty_bands_are_those_librosa_warns_about() -> None:
    with pytest.warns(UserWarning, match="Empty filters"):
        theirs = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=128, htk=True)
    report = inspect_bank(RATE, 512, 128)
    assert report.empty.tolist() == np.flatnonzero(~theirs.any(axis=1)).tolist()
    assert report.empty.size


@pytest.mark.parametrize("formula", ["htk", "slaney"])
def test_the_remedies_work_and_are_the_smallest_change(formula) -> None:
    report = inspect_bank(RATE, 256, 80, formula=formula)
    assert report.empty.size
    assert report.n_fft_needed is not None
    assert not inspect_bank(RATE, report.n_fft_needed, 80, formula=formula).empty.size
    assert inspect_bank(RATE, report.n_fft_needed // 2, 80, formula=formula).empty.size
    assert not inspect_bank(RATE, 256, report.n_mels_possible, formula=formula).empty.size
    assert inspect_bank(RATE, 256, report.n_mels_possible + 1, formula=formula).empty.size


def test_peaks_are_the_heights_of_the_triangles() -> None:
    report = inspect_bank(RATE, 16384, 20, norm="slaney")
    assert report.bands.max(axis=1) == pytest.approx(report.peaks, rel=0.02)
    assert inspect_bank(RATE, 16384, 20, norm="peak").peaks.tolist() == [1] * 20


def test_a_range_too_narrow_for_any_remedy_says_so() -> None:
    report = inspect_bank(44_100, 64, 200, fmin=1000, fmax=1001)
    assert report.empty.size
    assert report.n_fft_needed is None
    assert report.n_mels_possible == 0
