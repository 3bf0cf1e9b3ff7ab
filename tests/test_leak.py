"""The leak meter: on data made so that the songs, not the genres, can be told apart."""

import dataclasses

import numpy as np
import pytest

from genrekit.errors import DatasetError
from genrekit.leak import LeakBar, leak_meter, leak_sentence
from genrekit.splits import by_track
from genrekit.train_params import TrainParams
from genrekit.training import train

PARAMS = TrainParams(epochs=6, batch_size=16, learning_rate=1e-3, normalise=True, device="cpu")


def songs_only(make_dataset, seed=0):
    """Segments that say which track they are of, and nothing about their genre."""
    data = make_dataset(genres=("a", "b"), tracks=12, segments=8, artists=4, apart=0.0, seed=seed)
    rng = np.random.default_rng(seed)
    _, track = np.unique(data.tracks, return_inverse=True)
    sound = 3 * rng.normal(size=(track.max() + 1, *data.params.shape)).astype(np.float32)
    return dataclasses.replace(data, features=data.features + sound[track])


def test_knowing_the_song_pays_only_where_songs_are_shared(make_dataset):
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


def bar(split: str, accuracy: float) -> LeakBar:
    return LeakBar(split, "", 10, (accuracy,))


def test_the_sentence_says_how_much_is_leak():
    three = [bar("segment", 0.8), bar("track", 0.7), bar("artist", 0.6)]
    assert leak_sentence(three).startswith("20 of the 80 points under the segment split are owed")
    assert "expect 60%" in leak_sentence(three)
    assert "on music by artists it has never met" in leak_sentence(three)
    two = [bar("segment", 0.884), bar("track", 0.645)]
    assert leak_sentence(two).startswith("24 of the 88 points")
    assert leak_sentence(two).endswith("on tracks it has never met, expect 64%.")
    assert "hardly changes (+1 point)" in leak_sentence([bar("segment", 0.8), bar("track", 0.79)])
