"""Files of mel spectrograms, against the features of the very sound they were made from."""

import dataclasses

import librosa
import numpy as np
import pytest

from genrekit.audio.synth.chart import STYLES
from genrekit.audio.synth.rendering import render
from genrekit.dataset.mel_archive import is_mel_file, read_mel_file
from genrekit.errors import DatasetError
from genrekit.features.extraction import FeatureParams, extract, split_segments

PARAMS = FeatureParams(kind="log_mel", hop_length=1709, center=False, ref="max")
SECONDS = 9.5
TRACKS = {f"{style}.{i:05d}": style for style in STYLES[:2] for i in range(2)}


def sound_of(track):
    return render(TRACKS[track], seed=int(track[-1]), seconds=SECONDS)


def picture(samples):
    """As such files are made: a column every 1709 samples, quantised below the maximum."""
    power = librosa.feature.melspectrogram(y=samples, sr=22050, n_fft=2048, hop_length=512)
    db = librosa.power_to_db(power, ref=np.max)
    columns = int(len(samples) / 1709)
    places = ((np.arange(columns) + 0.5) * 1709 / 512).round().astype(int)
    reach = -db.min()
    return np.round((db[:, places] / reach + 1) * 255).astype(np.uint8), reach


@pytest.fixture(scope="module")
def mel_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("mel") / "mel.npz"
    pictures = [picture(sound_of(track)) for track in TRACKS]
    np.savez_compressed(
        path,
        level=np.array([p for p, _ in pictures])[::-1],
        dynamic_range_db=np.array([reach for _, reach in pictures], np.float32)[::-1],
        track=np.array(list(TRACKS))[::-1],
        genre=np.array(list(TRACKS.values()))[::-1],
    )
    return path


def test_segments_are_those_of_the_sound(mel_file):
    data = read_mel_file(mel_file, PARAMS)
    assert is_mel_file(mel_file)
    assert data.genres == tuple(sorted(STYLES[:2]))
    assert data.features.shape == (4 * 3, 38, 128)
    assert data.tracks[::3].tolist() == sorted(TRACKS)
    assert data.segments[:4].tolist() == [0, 1, 2, 0]
    for track in TRACKS:
        heard = extract(split_segments(sound_of(track), PARAMS), PARAMS)
        kept = data.features[data.tracks == track]
        for ours, theirs in zip(kept, heard, strict=False):
            # Columns lie within half a frame of the frames, so single numbers differ.
            assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.8
            assert abs(ours.mean() - theirs.mean()) < 1.5
        assert kept.max() == 0
        assert kept.min() >= -80


def test_a_click_is_in_the_frame_it_is_heard_in(tmp_path):
    # In the middle of frame 20 of each segment, which frames reach n_fft beyond their start.
    clicks = [i * 66150 + 20 * 1709 + 1024 for i in range(3)]
    sound = np.zeros(int(22050 * SECONDS), np.float32)
    for click in clicks:
        sound[click - 100 : click + 100] = 0.9 * (-1.0) ** np.arange(200)
    level, reach = picture(sound)
    path = tmp_path / "clicks.npz"
    np.savez(path, **parts(
        level=level[None], dynamic_range_db=np.array([reach], np.float32),
        track=np.array(["a"]), genre=np.array(["x"]),
    ))  # fmt: skip
    data = read_mel_file(path, PARAMS)
    assert np.abs(data.features.sum(axis=2).argmax(axis=1) - 20).max() <= 1


def test_mfccs_are_the_dct_of_the_same_segments(mel_file):
    mel = read_mel_file(mel_file, PARAMS)
    mfcc = read_mel_file(mel_file, dataclasses.replace(PARAMS, kind="mfcc"))
    expected = librosa.feature.mfcc(S=mel.features[5].T, n_mfcc=13).T
    np.testing.assert_allclose(mfcc.features[5], expected, atol=1e-3)


def test_centred_frames_and_longer_segments(mel_file):
    params = dataclasses.replace(PARAMS, center=True, segment_seconds=4.0)
    data = read_mel_file(mel_file, params)
    assert data.features.shape == (4 * 2, 52, 128)


def test_artists_come_from_a_table(mel_file, tmp_path):
    table = tmp_path / "tracks.csv"
    first = min(TRACKS)
    table.write_text(f"track,artist\n{first},Somebody\n")
    data = read_mel_file(mel_file, PARAMS, table)
    assert data.artists[:4].tolist() == ["Somebody"] * 3 + [""]
    assert read_mel_file(mel_file, PARAMS).artists is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ref": "one"}, "read it with ref max"),
        ({"n_mels": 64}, "has 128 mel bands, the parameters say 64"),
        ({"segment_seconds": 12.0}, "shorter than one segment of 12 s"),
    ],
)
def test_parameters_that_do_not_fit(mel_file, change, match):
    with pytest.raises(DatasetError, match=match):
        read_mel_file(mel_file, dataclasses.replace(PARAMS, **change))


def parts(**change):
    good = {
        "level": np.zeros((2, 128, 120), np.uint8),
        "dynamic_range_db": np.full(2, 80, np.float32),
        "track": np.array(["a", "b"]),
        "genre": np.array(["x", "y"]),
    }
    return {k: v for k, v in (good | change).items() if v is not None}


@pytest.mark.parametrize(
    "change",
    [
        {"level": np.zeros((3, 128, 120), np.uint8)},
        {"level": np.zeros((2, 128, 120), np.float32)},
        {"track": np.array(["a", "a"])},
        {"track": np.array([1, 2])},
        {"dynamic_range_db": np.array([80, np.nan], np.float32)},
        {"genre": np.array(["x"])},
    ],
)
def test_parts_that_do_not_fit_each_other(tmp_path, change):
    path = tmp_path / "bad.npz"
    np.savez(path, **parts(**change))
    with pytest.raises(DatasetError, match="do not fit each other"):
        read_mel_file(path, PARAMS)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **parts(genre=None))
    assert not is_mel_file(path)
    with pytest.raises(DatasetError, match=r"x\.npz is damaged, or is not a file of mel"):
        read_mel_file(path, PARAMS)
    np.savez(path, **parts(track=np.array([{}, {}])))  # a pickle: never opened
    with pytest.raises(DatasetError, match="is damaged"):
        read_mel_file(path, PARAMS)
    path.write_bytes(b"PK\x03\x04 not really")
    assert not is_mel_file(path)
    with pytest.raises(DatasetError, match="is damaged"):
        read_mel_file(path, PARAMS)
    assert not is_mel_file(tmp_path / "none.npz")
    with pytest.raises(DatasetError, match="none.npz"):
        read_mel_file(tmp_path / "none.npz", PARAMS)
