"""The examples of the public names run, and print what they say."""

import doctest
import inspect

import numpy as np
import pytest
import soundfile

import genrekit

NAMES = sorted(
    name
    for name in genrekit.__all__
    if callable(getattr(genrekit, name)) and name != "GenreKitError"
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with what the examples take for granted: music, a song, a dataset and a model."""
    folder = tmp_path_factory.mktemp("desk")
    paths = genrekit.write_demo_dataset(
        folder / "music",
        tracks_per_style=3,
        artists_per_style=3,
        seconds=6,
        styles=("classical", "jazz"),
    )
    list(paths)
    list(genrekit.build_dataset(folder / "music", folder / "data.parquet", workers=1))
    dataset = genrekit.Dataset.read(folder / "data.parquet")
    params = genrekit.TrainParams(epochs=15, learning_rate=1e-3)
    training = genrekit.train(dataset, genrekit.by_track(dataset), params)
    list(training)
    training.model().save(folder / "my-model")
    song = genrekit.render("jazz", seed=99, seconds=9)
    soundfile.write(folder / "song.mp3", song, 22050, format="MP3")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_examples_that_do_what_they_say(name, desk, monkeypatch):
    monkeypatch.chdir(desk)
    value = getattr(genrekit, name)
    names = vars(inspect.getmodule(value)) | {"genrekit": genrekit, "np": np}
    tests = doctest.DocTestFinder().find(value, name, globs=names)
    assert value.__doc__, name
    assert ">>>" in value.__doc__, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    for test in tests:
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
