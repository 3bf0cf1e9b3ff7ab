"""The leak meter, on data whose songs, not genres, can be recognised."""

import dataclasses
import re

import numpy as np
import pytest

from genrekit.dataset.splits import by_track
from genrekit.errors import DatasetError, SettingsError
from genrekit.model.metrics import wilson_interval
from genrekit.training.leak import LeakBar, leak_meter, leak_sentence
from genrekit.training.loop import Training, train
from genrekit.training.params import TrainParams

PARAMS = TrainParams(epochs=6, batch_size=16, learning_rate=1e-3, normalise=True, device="cpu")


def songs_only(make_dataset, seed=0):
    """Segments that reveal their track, and nothing about their genre."""
    data = make_dataset(genres=("a", "b"), tracks=12, segments=8, artists=4, apart=0.0, seed=seed)
    rng = np.random.default_rng(seed)
    _, track = np.unique(data.tracks, return_inverse=True)
    sound = 3 * rng.normal(size=(track.max() + 1, *data.params.shape)).astype(np.float32)
    return dataclasses.replace(data, features=data.features + sound[track])


def test_recognising_songs_pays_only_where_songs_are_shared(make_dataset):
    *_, last = leak_meter(songs_only(make_dataset), PARAMS, runs=2)
    bars = {bar.split: bar for bar in last.bars}
    assert list(bars) == ["segment", "track", "artist"]
    assert bars["segment"].accuracy > 0.9
    assert bars["track"].accuracy < bars["segment"].accuracy - 0.2
    assert bars["artist"].accuracy < bars["segment"].accuracy - 0.2
    assert "Flattering" in bars["segment"].worth
    assert len(bars["track"].accuracies) == 2
    assert "are owed to songs and artists that the network had met" in leak_sentence(last.bars)


def test_progress_counts_every_epoch_and_the_scores_are_those_of_training(make_dataset):
    data = make_dataset()
    steps = list(leak_meter(data, PARAMS))
    assert [step.done for step in steps] == list(range(1, 19))
    assert {step.total for step in steps} == {18}
    training = train(data, by_track(data, PARAMS.seed), PARAMS)
    expected = [epoch.valid_accuracy for epoch in training][-1]
    assert steps[-1].bars[1].accuracies == (expected,)


def test_a_run_is_measured_without_making_a_model_of_it(make_dataset, monkeypatch):
    monkeypatch.setattr(Training, "model", lambda self: pytest.fail("a whole model was made"))
    *_, last = leak_meter(make_dataset(), PARAMS)
    assert len(last.bars) == 3


def test_without_artists_there_are_two_bars(make_dataset):
    data = dataclasses.replace(make_dataset(), artists=None)
    *_, last = leak_meter(data, PARAMS)
    assert [bar.split for bar in last.bars] == ["segment", "track"]


def test_without_tracks_there_is_nothing_to_compare(make_dataset):
    data = dataclasses.replace(make_dataset(), tracks=None, artists=None)
    with pytest.raises(DatasetError, match="cannot be split by track"):
        leak_meter(data, PARAMS)


def test_a_genre_by_one_artist_is_named_as_not_held_out(make_dataset):
    data = make_dataset(genres=("a", "b", "c"))
    artists = np.where(data.labels == 1, "the one", data.artists)
    *_, last = leak_meter(dataclasses.replace(data, artists=artists), PARAMS)
    assert last.bars[-1].worth.endswith("Not always held out, for want of artists: b.")


def bar(split: str, accuracy: float, segments: int = 10_000) -> LeakBar:
    return LeakBar(split, "", 10, (accuracy,), wilson_interval(accuracy, segments))


def test_the_sentence_says_how_much_is_leak():
    three = [bar("segment", 0.8), bar("track", 0.7), bar("artist", 0.6)]
    assert leak_sentence(three).startswith("20 of the 80 points under the segment split are owed")
    assert "expect 60%" in leak_sentence(three)
    assert "on music by artists it has never met" in leak_sentence(three)
    two = [bar("segment", 0.884), bar("track", 0.645)]
    assert leak_sentence(two).startswith("24 of the 88 points")
    assert "on tracks it has never met, expect 64%, or 64% to 65% with 95%" in leak_sentence(two)


def said(before: float, after: float, segments: int = 10_000) -> str:
    return leak_sentence([bar("segment", before, segments), bar("track", after, segments)])


def test_the_sentence_says_which_way_the_score_goes():
    assert said(0.80, 0.79).startswith("The score hardly changes (-1, 95% interval -2 to ")
    assert said(0.79, 0.80).startswith("The score hardly changes (+1, ")
    assert "owes little" in said(0.79, 0.80)
    rises = said(0.60, 0.72)
    assert rises.startswith("The score rises by 12 points when whole tracks are held out (95%")
    assert rises.endswith("no leak shows here.")
    assert "(95% interval +11 to +13 points)" in rises
    assert "owed" not in rises
    assert "(95% interval 11 to 13 points)" in said(0.72, 0.60)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (0.8, 0.6, "falls by 20 points"),
        (0.6, 0.72, "rises by 12 points"),
        (0.7, 0.7, "stays the same"),
        (0.7, 0.69, "falls by 1 point"),
    ],
)
def test_a_difference_within_chance_is_not_a_leak(before, after, change):
    sentence = said(before, after, segments=12)
    assert sentence.startswith(f"The score {change} when whole tracks are held out. Chance alone")
    assert re.search(r"95% interval -\d+ to \+\d+ points", sentence)
    assert "owe" not in sentence
    assert "hardly" not in sentence


def test_each_bar_has_the_interval_of_its_score(make_dataset):
    *_, last = leak_meter(make_dataset(apart=0.3), PARAMS, runs=2)
    for each in last.bars:
        low, high = each.interval
        assert 0 <= low < each.accuracy < high <= 1 or (each.accuracy, high) == (1, 1)
        assert each.to_dict()["interval"] == each.interval


@pytest.mark.parametrize("runs", [0, -1, True, 1.5])
def test_the_leak_meter_needs_a_run(make_dataset, runs):
    with pytest.raises(SettingsError, match="use a whole number from 1 to 1000"):
        leak_meter(make_dataset(), runs=runs)
