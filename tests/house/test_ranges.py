"""Numbers that people give: every parameter of the public API that has a range holds to it."""

import numpy as np
import pytest

from genrekit.audio.degradation import Degradation
from genrekit.audio.synth.demo import write_demo_dataset
from genrekit.audio.synth.rendering import render
from genrekit.dataset.build import build_dataset
from genrekit.dataset.inspection import inspect_folder
from genrekit.dataset.splits import by_segment
from genrekit.dataset.upload import UploadLimits
from genrekit.errors import SettingsError
from genrekit.features.extraction import FeatureParams
from genrekit.features.invert import griffin_lim, resynthesise
from genrekit.mel.scale import mel_filterbank, mel_frequencies
from genrekit.mel.tones import chord, equal_steps, glide, melody
from genrekit.ranges import check_number, check_switch, check_whole
from genrekit.teaching.mlp import MLP
from genrekit.teaching.run import Run
from genrekit.teaching.settings import RunSettings
from genrekit.teaching.tasks import make_task
from genrekit.training.leak import leak_meter
from genrekit.training.params import TrainParams
from genrekit.verdict.occlusion import band_edges

SOUND = np.ones(FeatureParams().segment_samples, np.float32)


def network(**changes):
    return MLP(2, [3], 1).train(np.ones((4, 2)), np.ones(4), **{"epochs": 1} | changes)


def fractions(dataset, first):
    return by_segment(dataset, fractions=(first, 0.3, 0.0))


WHOLE = {
    "features": (lambda _, **x: FeatureParams(**x), "sample_rate n_fft hop_length n_mels n_mfcc"),
    "training": (lambda _, **x: TrainParams(**x), "epochs batch_size seed"),
    "playground": (lambda _, **x: RunSettings(**x), "batch_size examples seed"),
    "layers": (lambda _, units: RunSettings(hidden=(units,)), "units"),
    "run": (lambda _, epochs: Run(RunSettings(), epochs=epochs), "epochs"),
    "network": (lambda _, **x: MLP(**x), "num_inputs num_outputs"),
    "learning": (lambda _, **x: network(**x), "epochs batch_size"),
    "task": (lambda _, **x: make_task("sum", **{"count": 3} | x), "count"),
    "stress": (lambda _, **x: Degradation(**x), "seed"),
    "upload": (lambda _, **x: UploadLimits(**x), "total_bytes files ratio name_length depth"),
    "leak meter": (leak_meter, "runs"),
    "split": (by_segment, "seed"),
    "mel": (lambda _, count: mel_frequencies(count, 0, 1000), "count"),
    "bank": (
        lambda _, **x: mel_filterbank(**{"sample_rate": 8000, "n_fft": 64} | x),
        "n_fft n_mels",
    ),
    "bands": (lambda _, bands: band_edges(FeatureParams(), bands), "bands"),
    "phase": (
        lambda _, **x: griffin_lim(np.ones((130, 1025), np.float32), FeatureParams(), **x),
        "iterations seed",
    ),
    "resynthesis": (
        lambda _, **x: resynthesise(SOUND, FeatureParams(), "mfcc", **{"iterations": 1} | x),
        "n_coefficients",
    ),
    "steps": (lambda _, steps: equal_steps(100, 200, steps, "hz"), "steps"),
    "tone": (lambda _, **x: glide(100, 200, 0.1, **x), "sample_rate"),
    "music": (lambda _, **x: render("jazz", **{"seed": 0, "seconds": 0.1} | x), "seed artist"),
    "demo": (
        lambda _, **x: write_demo_dataset("nowhere", **x),
        "tracks_per_style artists_per_style seed workers",
    ),
    "inspection": (lambda _, **x: inspect_folder(".", **x), "workers"),
}
REAL = {
    "features": (lambda _, **x: FeatureParams(**x), "segment_seconds"),
    "training": (lambda _, **x: TrainParams(**x), "learning_rate"),
    "playground": (lambda _, **x: RunSettings(**x), "low high noise"),
    "run": (lambda _, **x: Run(RunSettings(), **x), "learning_rate"),
    "learning": (lambda _, **x: network(**x), "learning_rate"),
    "task": (lambda _, **x: make_task("sum", 3, **x), "low high noise"),
    "stress": (lambda _, **x: Degradation(**x), "level_db low_pass_hz noise_db phone"),
    "split": (fractions, "first"),
    "mel": (lambda _, **x: mel_frequencies(**{"count": 3, "fmin": 0, "fmax": 9} | x), "fmin fmax"),
    "bank": (
        lambda _, **x: mel_filterbank(**{"sample_rate": 8000, "n_fft": 64} | x),
        "sample_rate",
    ),
    "tone": (lambda _, seconds: chord([100], seconds), "seconds"),
    "gap": (lambda _, **x: melody([100, 200], **x), "tone_seconds gap_seconds"),
    "music": (lambda _, **x: render("jazz", seed=0, **x), "seconds"),
    "inspection": (lambda _, **x: inspect_folder(".", **x), "segment_seconds"),
    "dataset": (lambda _, **x: list(build_dataset(".", "d.parquet", **x)), "track_seconds"),
}
# None means "as ever" to some of them.
WRONG = [True, np.True_, "3", float("nan"), float("inf"), -1e9, [1], 1j]


def each(table):
    return [
        pytest.param(call, name, id=f"{about}-{name}")
        for about, (call, names) in table.items()
        for name in names.split()
    ]


@pytest.mark.parametrize(("call", "name"), each(WHOLE))
def test_what_is_no_whole_number_is_refused(make_dataset, call, name):
    for wrong in (*WRONG, 2.5):
        with pytest.raises(SettingsError, match="use a"):
            call(make_dataset(), **{name: wrong})


@pytest.mark.parametrize(("call", "name"), each(REAL))
def test_what_is_no_number_is_refused(make_dataset, call, name):
    for wrong in WRONG:
        if name == "low" and wrong == -1e9:
            continue  # as far down as anybody likes
        with pytest.raises(SettingsError):
            call(make_dataset(), **{name: wrong})


@pytest.mark.parametrize("name", ["normalise", "center", "bias"])
def test_a_word_is_no_switch(name):
    owner = {"normalise": TrainParams, "center": FeatureParams, "bias": RunSettings}[name]
    for wrong in ("no", "false", 0, 1, None):
        with pytest.raises(SettingsError, match="use true or false"):
            owner(**{name: wrong})


def test_settings_of_the_playground_of_other_kinds_are_refused():
    for wrong in ({"hidden": 3}, {"hidden": "5"}, {"task": ["sum"]}, {"init": None}):
        with pytest.raises(SettingsError):
            RunSettings(**wrong)
    assert RunSettings(hidden=[5]) == RunSettings(hidden=(5,))


@pytest.mark.parametrize("rate", [100, 10.5, 0, -1])
def test_the_limit_that_is_named_is_the_limit(rate):
    with pytest.raises(SettingsError, match="use a number above 0, up to 10"):
        TrainParams(learning_rate=rate)
    assert TrainParams(learning_rate=10).learning_rate == 10
    assert TrainParams(learning_rate=1e-12).learning_rate == 1e-12


def test_numpy_s_numbers_are_numbers_and_become_plain_ones():
    params = FeatureParams(n_mfcc=np.int64(20), segment_seconds=np.float32(2.5))
    assert repr(params) == repr(FeatureParams(n_mfcc=20, segment_seconds=2.5))
    assert repr(TrainParams(epochs=np.int32(3))) == repr(TrainParams(epochs=3))


@pytest.mark.parametrize(
    ("check", "arguments", "words"),
    [
        (check_whole, ("k", 0, 1), "k is 0: use a whole number of at least 1."),
        (check_whole, ("k", True), "k is True: use a whole number."),
        (check_whole, ("k", 9, 1, 8, "Hz"), "k is 9: use a whole number from 1 to 8 Hz."),
        (check_number, ("x", np.float64(2), 3, 4, "s"), "x is 2.0: use a number from 3 to 4 s."),
        (check_number, ("x", "a" * 99), f"x is '{'a' * 58}…: use a finite number."),
        (check_number, ("x", float("nan"), 0), "x is not a number: use a number of at least 0."),
        (check_number, ("x", float("inf"), 0), "x is infinite: use a number of at least 0."),
        (check_number, ("x", -3e20, 0), "x is −3 × 10²⁰: use a number of at least 0."),
        (check_switch, ("on", "no"), "on is 'no': use true or false."),
    ],
)
def test_the_words(check, arguments, words):
    with pytest.raises(SettingsError) as refused:
        check(*arguments)
    assert str(refused.value) == words


def test_an_edge_belongs_to_the_range_unless_it_is_excluded():
    check_number("x", 0, 0, 1)
    check_number("x", 1, 0, 1, above=True)
    with pytest.raises(SettingsError, match="x is 0: use a number above 0, up to 1"):
        check_number("x", 0, 0, 1, above=True)
