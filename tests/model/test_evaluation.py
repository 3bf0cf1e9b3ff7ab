"""Measuring: the figures, and their worth."""

import dataclasses

import numpy as np
import pytest
import sklearn.metrics
from alike import assert_alike

from genrekit.dataset.dataset import Dataset, TrackRecord
from genrekit.dataset.splits import by_segment, by_track, from_file
from genrekit.errors import ModelError, SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.model.evaluation import accuracy_interval, evaluate, measure, trained_on
from genrekit.model.metrics import expected_calibration_error, wilson_interval
from genrekit.training.loop import train
from genrekit.training.params import TrainParams

QUICK = TrainParams(epochs=2, batch_size=16, learning_rate=1e-3, device="cpu")


@pytest.fixture(scope="module")
def data(make_dataset):
    return make_dataset(tracks=10, apart=0.15)


def trained(data, split):
    training = train(data, split, QUICK)
    list(training)
    return training.model()


@pytest.fixture(scope="module")
def model(data):
    return trained(data, by_track(data, 4))


def test_the_figures_of_tracks(model, data):
    rows = np.arange(len(data))
    measured = measure(model, data, rows, "all")
    probabilities = model.probabilities(data.features)
    names = sorted(set(data.tracks.tolist()))
    judged = np.array([probabilities[data.tracks == name].mean(axis=0) for name in names])
    truth = np.array([data.labels[data.tracks == name][0] for name in names])
    verdicts = judged.argmax(axis=1)
    assert (measured.part, measured.segments, measured.tracks) == ("all", 120, 30)
    assert measured.segment_accuracy == pytest.approx(
        (probabilities.argmax(axis=1) == data.labels).mean()
    )
    assert measured.track_accuracy == pytest.approx((verdicts == truth).mean())
    assert 0.4 < measured.segment_accuracy < 1
    np.testing.assert_array_equal(
        measured.confusion, sklearn.metrics.confusion_matrix(truth, verdicts)
    )
    expected = sklearn.metrics.precision_recall_fscore_support(truth, verdicts)
    np.testing.assert_allclose(measured.precision, expected[0])
    np.testing.assert_allclose(measured.recall, expected[1])
    assert measured.calibration_error == pytest.approx(expected_calibration_error(judged, truth))
    assert measured.genres == data.genres
    sure = judged.max(axis=1) >= model.threshold
    right, said = np.sum(list(measured.reliability.words.values()), axis=0)
    assert (right, said) == ((verdicts == truth)[sure].sum(), sure.sum())
    assert measured.to_dict()["tracks"] == 30


def test_the_figures_of_segments_where_tracks_are_unknown(model, data):
    bare = Dataset(data.features, data.labels, data.genres, data.params)
    measured = measure(model, bare, np.arange(50), "valid")
    assert (measured.part, measured.segments) == ("valid", 50)
    assert measured.tracks is measured.track_accuracy is None
    assert np.sum(measured.confusion) == 50


def test_genres_are_matched_by_name(model, data):
    order = ("c", "a")
    rows = data.labels != 1
    labels = np.array([order.index(data.genres[label]) for label in data.labels[rows]])
    fewer = Dataset(data.features[rows], labels, order, data.params, data.tracks[rows])
    ours = measure(model, fewer, np.arange(len(fewer)), "all")
    same = measure(model, data, np.flatnonzero(rows), "all")
    assert_alike(ours, same)  # NaN is among the figures: nobody is of genre b
    assert ours.genres == ("a", "b", "c")


def test_datasets_that_a_model_cannot_be_measured_on(model, data):
    other = dataclasses.replace(data, genres=("a", "b", "ska"))
    with pytest.raises(ModelError, match='know the genre "ska": its genres are a, b, c'):
        measure(model, other, np.arange(3), "all")
    params = dataclasses.replace(data.params, mel_formula="htk")
    with pytest.raises(ModelError, match=r"\(mel_formula htk instead of slaney\): build it again"):
        measure(model, dataclasses.replace(data, params=params), np.arange(3), "all")


# -- what a number is worth -------------------------------------------------------------------


def test_its_own_split(model, data):
    measured, worth = evaluate(model, data)
    assert_alike(measured, measure(model, data, by_track(data, 4).valid, "valid"))
    assert_alike(measured.to_dict(), model.card["measured"])
    assert worth.startswith("Fair: no track stands on both sides")
    again, same_worth = evaluate(model, data, "track")
    assert_alike((again, same_worth), (measured, worth))


def test_its_own_split_by_segment_flatters(data):
    model = trained(data, by_segment(data, 1))
    assert evaluate(model, data)[1].startswith("Flattering: segments of one song")


def test_another_split_of_the_same_data_flatters(model, data):
    _, worth = evaluate(model, data, "segment")
    assert worth == (
        "Flattering: the model was trained on another split of this dataset (track), so it has "
        "met some of these segments."
    )


def test_the_same_kind_with_other_fractions_is_another_split(data):
    model = trained(data, by_track(data, 0, (0.5, 0.5, 0)))
    assert evaluate(model, data, "track")[1].startswith("Flattering: the model was trained on")


def test_another_dataset_is_measured_whole(model, make_dataset):
    other = make_dataset(tracks=5, apart=0.15, seed=9)
    measured, worth = evaluate(model, other)
    assert (measured.part, measured.segments) == ("all", 60)
    assert worth == "Measured on music of another dataset than the model's own."
    assert measured.left_out == 0


# -- music that the model was trained on -------------------------------------------------------


def renamed(data, keep, records=()):
    """Some of the tracks, under other names, as another dataset."""
    rows = np.flatnonzero(np.isin(data.tracks, keep))
    return dataclasses.replace(
        data,
        features=data.features[rows],
        labels=data.labels[rows],
        tracks=np.char.add("again ", data.tracks[rows]),
        segments=data.segments[rows],
        artists=None,
        records=records,
    )


@pytest.fixture(scope="module")
def songs():
    """36 tracks of 12 s, each with a changing timbre of its own."""
    params = FeatureParams(sample_rate=8000, segment_seconds=2.0, n_fft=512, hop_length=256)
    rng = np.random.default_rng(0)
    frames, tracks = 6 * params.frames, 36
    moves = np.repeat(rng.normal(size=(tracks, frames // 20 + 1, 13)) * 20, 20, axis=1)[:, :frames]
    moves[..., 1] += np.where(np.arange(tracks) % 2, 60, -60)[:, np.newaxis]
    names = np.array([f"song {i:02d}" for i in range(tracks)])
    return Dataset(
        moves.reshape(-1, *params.shape).astype(np.float32),
        np.repeat(np.arange(tracks) % 2, 6),
        ("a", "b"),
        params,
        np.repeat(names, 6),
        np.tile(np.arange(6), tracks),
        records=tuple(
            TrackRecord(n, n, "ab"[i % 2], None, f"{i:064x}", 6) for i, n in enumerate(names)
        ),
    )


@pytest.fixture(scope="module")
def knowing(songs):
    return trained(songs, by_track(songs, 0))


def test_recordings_that_were_trained_on_are_left_out(songs, knowing):
    split = by_track(songs, 0)
    known = np.unique(songs.tracks[split.train])
    new = np.unique(songs.tracks[split.valid])
    mixed = renamed(songs, [*known[:4], *new[:3]])
    np.testing.assert_array_equal(
        trained_on(knowing, mixed), np.isin(mixed.tracks, [f"again {n}" for n in known])
    )
    measured, worth = evaluate(knowing, mixed)
    assert (measured.tracks, measured.segments, measured.left_out) == (3, 18, 4)
    assert worth.startswith("The model was trained on 4 of 7 tracks: left out here. Measured on")
    assert measure(knowing, mixed, np.flatnonzero(~trained_on(knowing, mixed)), "all") == (
        dataclasses.replace(measured, left_out=0)
    )


def test_the_same_file_is_known_even_where_its_sound_is_not(songs, knowing):
    split = by_track(songs, 0)
    name = str(songs.tracks[split.train[0]])
    digest = next(record.sha256 for record in songs.records if record.id == name)
    one = renamed(songs, [str(songs.tracks[split.valid[0]])])
    same = TrackRecord(str(one.tracks[0]), "x", "a", None, digest, 6)
    assert not trained_on(knowing, one).any()
    assert trained_on(knowing, dataclasses.replace(one, records=(same,))).all()


def test_an_equal_name_proves_nothing_where_sounds_can_be_compared(songs, knowing):
    known = np.unique(songs.tracks[by_track(songs, 0).train])
    other = dataclasses.replace(
        renamed(songs, known[:2]),
        features=songs.features[::-1][:12].copy(),
        tracks=np.repeat(known[:2], 6),
    )
    new = dataclasses.replace(other, features=np.flip(other.features, axis=2).copy())
    assert not trained_on(knowing, new).any()


def test_a_model_trained_on_all_of_it_is_worth_nothing_as_a_test(songs, knowing):
    known = np.unique(songs.tracks[by_track(songs, 0).train])
    measured, worth = evaluate(knowing, renamed(songs, known[:3]))
    assert (measured.tracks, measured.left_out) == (3, 0)
    assert worth.startswith("Worth nothing as a test: the model was trained on every one")


def test_a_model_that_does_not_know_its_music_says_so(songs, knowing):
    bare = dataclasses.replace(knowing, neighbours=None)
    other = renamed(songs, np.unique(songs.tracks)[:5])
    assert trained_on(bare, other) is None
    assert evaluate(bare, other)[1].endswith("some of this music cannot be told.")


def write(tmp_path, name, **parts):
    path = tmp_path / name
    lines = [f"{track},{part}" for part, tracks in parts.items() for track in tracks]
    path.write_text("\n".join(["track,part", *lines]))
    return path


def test_a_split_by_a_file_must_be_named_and_be_the_same(data, tmp_path):
    names = sorted(set(data.tracks.tolist()))
    own = write(tmp_path, "own.csv", train=names[::2], test=names[1::2])
    swapped = write(tmp_path, "swapped.csv", train=names[1::2], test=names[::2])
    model = trained(data, from_file(data, own))
    with pytest.raises(ModelError, match="split by a file: name the file with --split"):
        evaluate(model, data)
    measured, worth = evaluate(model, data, str(own))
    assert measured.part == "test"
    assert worth.startswith("Fair: no track stands on both sides of the split.")
    assert evaluate(model, data, str(swapped))[1].startswith("Flattering: the model was trained")


def test_only_the_held_out_rows_identify_a_split(data, tmp_path):
    names = sorted(set(data.tracks.tolist()))
    more = write(tmp_path, "more.csv", train=names[2:], test=names[:2])
    less = write(tmp_path, "less.csv", train=names[4:], valid=names[2:4], test=names[:2])
    model = trained(data, from_file(data, more))
    assert evaluate(model, data, str(less))[1].startswith("Fair: no track stands on both sides")


def test_a_split_without_a_seed_is_repeatable(data, tmp_path):
    names = sorted(set(data.tracks.tolist()))
    model = trained(
        data, from_file(data, write(tmp_path, "s.csv", train=names[2:], test=names[:2]))
    )
    first, second = (evaluate(model, data, "track")[0] for _ in range(2))
    assert_alike(first, second)
    assert_alike(first, measure(model, data, by_track(data, 0).valid, "valid"))


@pytest.mark.parametrize("card", [{}, {"split": None, "data": None}, {"split": 3, "data": "x"}])
def test_cards_without_useful_entries(model, data, card):
    measured, worth = evaluate(dataclasses.replace(model, card=card), data)
    assert measured.part == "all"
    assert worth.startswith("Worth nothing as a test: the model was trained on every one") or (
        "Measured on music of another dataset" in worth
    )


def test_unknown_splits(model, data):
    with pytest.raises(SettingsError, match='Unknown split "album"'):
        evaluate(model, data, "album")


def test_accuracies_come_with_their_intervals(data, model):
    rows = by_track(data).valid
    measured = measure(model, data, rows, "valid")
    low, high = measured.track_interval
    assert (low, high) == wilson_interval(measured.track_accuracy, measured.tracks)
    low, high = measured.segment_interval
    assert 0 <= low <= measured.segment_accuracy <= high <= 1
    assert accuracy_interval(measured.to_dict(), "segment") == measured.segment_interval
    without_tracks = dataclasses.replace(data, tracks=None, segments=None, artists=None)
    assert measure(model, without_tracks, rows, "valid").track_interval is None


def test_a_card_without_intervals_counts_each_track_once():
    old = {"segment_accuracy": 0.6, "segments": 100, "tracks": 10, "track_accuracy": 0.7}
    assert accuracy_interval(old, "track") == wilson_interval(0.7, 10)
    assert accuracy_interval(old, "segment") == wilson_interval(0.6, 10)
    assert accuracy_interval(old | {"tracks": None}, "segment") == wilson_interval(0.6, 100)
