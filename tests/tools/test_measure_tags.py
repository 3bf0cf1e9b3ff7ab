"""The trial of clear tags: its figures counted by hand, and a run over a folder of music."""

import numpy as np
import pytest
import soundfile

from genrekit.errors import GenreKitError
from genrekit.model.tags import CLEAR
from models.measure_tags import kept, listener, measure, precision

HIGH = CLEAR + 0.01


def test_what_becomes_of_clear_tags():
    pairs = [
        ({"folk": HIGH, "rock": 0.5, "jazz": HIGH}, {"folk": 0.92, "rock": HIGH, "jazz": 0.2}),
        ({"folk": HIGH, "rock": HIGH}, {"folk": HIGH, "rock": 0.8}),
    ]
    assert kept(pairs) == {"tags": 4, "clear": 0.25, "top_tenth": 0.5, "top_quarter": 0.75}


def test_precision_against_the_base_rate():
    songs = [
        ("rock", {"rock": HIGH}),
        ("pop", {"rock": HIGH}),
        ("jazz", {"rock": HIGH}),
        ("rock", {"rock": 0.2, "hip-hop": HIGH}),
        ("hiphop", {"hip-hop": HIGH, "folk": HIGH}),
    ]
    figures = precision(songs)
    assert list(figures) == ["rock", "hip-hop"]
    assert figures["rock"] == {
        "clear": 3,
        "right": pytest.approx(1 / 3),
        "right_by_chance": 0.4,
        "acceptable": pytest.approx(2 / 3),
        "acceptable_by_chance": pytest.approx(0.6),
        "found": 0.5,
    }
    assert figures["hip-hop"]["right"] == 0.5
    assert figures["hip-hop"]["found"] == 1


def test_each_song_is_heard_whole_in_halves_and_changed(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("rock/a", "rock/b", "pop/c"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 22050 * 4), 22050)
    lengths = []

    def hear(samples):
        lengths.append(round(len(samples) / 22050))
        return {"rock": HIGH, "pop": 0.1}

    figures = measure([tmp_path], hear, every=2)
    assert figures["songs"] == 3
    assert figures["clear_tags"] == {"mean": 1, "songs_without": 0}
    assert figures["halves"] == {"tags": 6, "clear": 1, "top_tenth": 1, "top_quarter": 1}
    assert {one["tags"] for one in figures["changes"].values()} == {2}
    assert figures["genres"]["rock"]["acceptable"] == 1
    assert sorted(lengths)[:6] == [2] * 6


def test_a_model_without_tags_is_refused(demo_model):
    with pytest.raises(GenreKitError, match="The network mlp knows no tags: use everyday"):
        listener(demo_model)
