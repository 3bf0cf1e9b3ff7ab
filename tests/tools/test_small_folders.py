"""The measurement of networks on few songs."""

import numpy as np
import pytest

from benchmarks.small_folders import draw, main

pytestmark = pytest.mark.tools


def test_few_songs_are_trained_on_and_the_same_other_artists_tested(make_dataset):
    data = make_dataset(tracks=10, segments=2, artists=5)
    few, more = (draw(data, songs, seed=1) for songs in (2, 5))
    for split, songs in ((few, 2), (more, 5)):
        trained = np.unique(data.tracks[split.train])
        assert [np.char.startswith(trained, genre).sum() for genre in "abc"] == [songs] * 3
        assert not set(data.artists[split.train]) & set(data.artists[split.test])
    assert (few.test == more.test).all()
    assert not len(few.valid)
    assert (draw(data, 2, seed=1).train == few.train).all()
    assert draw(data, 2, seed=2).sha256 != few.sha256


def test_a_line_for_each_network_and_number_of_songs(demo_folder, capsys):
    main([str(demo_folder), "--networks", "mlp", "--songs", "1", "2", "--draws", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" songs")[0] for line in lines] == ["mlp          1", "mlp          2"]
    assert all("of 2 draws" in line for line in lines)
