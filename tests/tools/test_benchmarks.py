"""The benchmarks compare like with like: the results agree. What is faster is not tested."""

import json

import numpy as np
import pytest
import soundfile

import benchmarks.__main__ as command
from benchmarks.speed import cold, preprocess
from benchmarks.speed.compare import DisagreementError, compare, machine, processor, python, within
from benchmarks.speed.mlp import mlp
from benchmarks.speed.training import training
from genrekit.audio.synth.rendering import render
from genrekit.model.bundle import load_model

# librosa's way to open files imports modules that Python 3.13 no longer has.
pytestmark = [
    pytest.mark.tools,
    pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning"),
]


def test_both_ways_of_preprocessing_agree(tmp_path):
    preprocess.write_tracks(tmp_path / "audio", 2, "wav")
    results = []
    for side in (preprocess._ours, preprocess._theirs):
        (tmp_path / side.__name__).mkdir()
        arrays = side(tmp_path / "audio", tmp_path / side.__name__)
        np.savez(tmp_path / "arrays.npz", **arrays)
        with np.load(tmp_path / "arrays.npz") as read:
            results.append(dict(read))
    ours, theirs = results
    assert preprocess.check(ours, theirs).startswith("20 segments; ")

    swapped = {**theirs, "y": 1 - theirs["y"]}
    with pytest.raises(DisagreementError, match="Labels differ"):
        preprocess.check(ours, swapped)
    with pytest.raises(DisagreementError, match="coefficients differ"):
        preprocess.check(ours, {**theirs, "x": theirs["x"] + 0.1})
    fewer = {**ours, "x": ours["x"][:19], "y": ours["y"][:19], "keys": ours["keys"][:, :19]}
    with pytest.raises(DisagreementError, match="19 segments against 20"):
        preprocess.check(fewer, theirs)


def test_both_ways_of_training_agree():
    assert "losses" in training(runs=1, segments=60, epochs=2).agreement


def test_both_ways_of_backpropagation_agree():
    figures = mlp(runs=1, examples=40, epochs=2)
    assert [len(f.ratios) for f in figures] == [1, 1, 1]


def test_both_ways_of_classifying_agree(tmp_path):
    song = tmp_path / "song.wav"
    soundfile.write(song, render("jazz", seed=1, seconds=7), 22050)
    bundle = cold._tiny_model(tmp_path)
    verdict = load_model(bundle).classify(song)
    ours = json.dumps([{"probabilities": verdict.probabilities}])
    theirs = cold.straightforward(song, bundle)
    assert "probabilities" in cold.check(ours, json.dumps(theirs))

    first, second, *_ = theirs
    theirs[first], theirs[second] = theirs[first] + 0.01, theirs[second] - 0.01
    with pytest.raises(DisagreementError, match="probabilities differ"):
        cold.check(ours, json.dumps(theirs))


def test_pairs_take_turns_and_ratios_are_of_neighbours():
    order = []

    def way(name, *seconds):
        times = iter(seconds)

        def run():
            order.append(name)
            return next(times), name

        return run

    figures = compare(
        "x", way("a", 1, 2, 4), way("b", 3, 4, 20), lambda a, b: a + b, runs=3, goal=4
    )
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert figures.ratios == (3, 2, 5)
    assert "3.000x    (2.000 to 5.000)   goal 4: MISSED" in str(figures)


@pytest.mark.parametrize("model", ["AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz"])
def test_figures_name_the_processor(tmp_path, model):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: x\nmodel name\t: {model}\nflags\t: fpu\n")
    assert processor(cpuinfo) == model
    assert processor(tmp_path / "none")
    assert f" cores, {processor()}" in machine()


@pytest.mark.parametrize("difference", [0.2, float("nan"), float("inf")])
def test_a_difference_beyond_the_limit_is_an_error(difference):
    with pytest.raises(DisagreementError, match=r"more than 0\.1"):
        within(difference, 0.1, "numbers")


def test_the_command_fails_loudly_when_results_disagree(monkeypatch, capsys):
    def disagree(name, options):
        raise DisagreementError("They differ.")

    monkeypatch.setattr(command, "_figures", disagree)
    assert command.main(["mlp"]) == 1
    assert "THE RESULTS DISAGREE. They differ." in capsys.readouterr().err


def test_a_worker_needs_no_module_in_vain(tmp_path):
    """In a process of its own: this one has imported librosa."""
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, render("jazz", seed=1, seconds=7), 22050)
    bundle = cold._tiny_model(tmp_path)
    files = map(str, (bundle, clip, clip))
    done = json.loads(python("-m", "benchmarks.speed.start", *files, numba_cache=tmp_path))
    assert done["imported"] == []
    assert 50 < done["peak"] < 1000
