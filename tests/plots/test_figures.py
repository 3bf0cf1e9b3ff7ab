"""The plots show the numbers that they are given."""

import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from genrekit.audio.synth.rendering import render
from genrekit.errors import SettingsError
from genrekit.features.extraction import FeatureParams, mfcc
from genrekit.mel.scale import mel_filterbank
from genrekit.model.evaluation import evaluate
from genrekit.model.verdicts import SegmentVerdict, Verdict
from genrekit.plots.figures import plot_confusion, plot_mel_filterbank, plot_mfcc, plot_verdict

PARAMS = FeatureParams(n_mels=20)


@pytest.fixture
def ax():
    matplotlib.use("Agg")
    return Figure().subplots()


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_a_line_for_each_band(ax):
    assert plot_mel_filterbank(PARAMS, ax=ax) is drawn(ax)
    bank = mel_filterbank(22050, 2048, 20, formula="slaney")
    np.testing.assert_allclose(ax.lines[5].get_ydata(), bank[5], atol=1e-7)
    assert ax.lines[5].get_xdata()[-1] == 11025


def test_mfccs_over_the_time_of_the_sound(ax):
    sound = render("jazz", seed=1, seconds=2)
    plot_mfcc(sound, sample_rate=22050, ax=ax)
    (image,) = drawn(ax).images
    np.testing.assert_array_equal(image.get_array(), mfcc(sound).T)
    assert image.get_extent()[1] == pytest.approx(2, abs=0.03)
    with pytest.raises(SettingsError, match="Segments are many sounds"):
        plot_mfcc(np.zeros((2, 66150)), ax=ax)


def test_a_verdict_over_time(ax):
    shares = ({"jazz": 0.9, "pop": 0.1}, {"jazz": 0.5, "pop": 0.5})
    segments = tuple(SegmentVerdict(3.0 * i, 3.0 * i + 3, p) for i, p in enumerate(shares))
    plot_verdict(Verdict("jazz", 0.7, {"jazz": 0.7, "pop": 0.3}, segments, ""), ax=ax)
    values, edges, _ = drawn(ax).patches[0].get_data()
    assert (values.tolist(), edges.tolist()) == ([0.9, 0.5], [0, 3, 6])
    assert [text.get_text() for text in ax.get_legend().texts] == ["jazz 70%", "pop 30%"]
    with pytest.raises(SettingsError, match=r"no verdict to draw\. Silence"):
        plot_verdict(Verdict(None, 0.0, {}, (), "Silence."), ax=ax)


def test_a_measurement_as_a_matrix(ax, demo, demo_model):
    measured, _ = evaluate(demo_model, demo)
    plot_confusion(measured, ax=ax)
    numbers = [int(text.get_text()) for text in drawn(ax).texts]
    assert numbers == np.ravel(measured.confusion).tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == list(measured.genres)
    with pytest.raises(SettingsError, match="needs as many genres"):
        plot_confusion([[1, 2], [3, 4]], ["one"], ax=ax)


def test_axes_are_made_where_none_are_given():
    matplotlib.use("Agg")
    from matplotlib import pyplot

    first, second = plot_mel_filterbank(PARAMS), plot_mel_filterbank(PARAMS)
    assert first.figure is not second.figure
    pyplot.close("all")


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError, match=r'pip install "genrekit\[plots\]"'):
        plot_mel_filterbank()
