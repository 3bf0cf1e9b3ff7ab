"""What the evidence proves, counted with a model that hears nothing but pitch."""

import numpy as np
import pytest

from genrekit.audio.encode import wav_bytes
from genrekit.features.extraction import FeatureParams
from genrekit.model.verdicts import SegmentVerdict, Verdict
from models import measure_evidence
from models.measure_evidence import figures, measured

RATE = 8000
LOW = {"low": 0.9, "high": 0.1}
HIGH = {"low": 0.1, "high": 0.9}


class Pitch:
    """Says "low" of what has most of its power below 1000 Hz."""

    params = FeatureParams(sample_rate=RATE, segment_seconds=3.0)
    genres = ("low", "high")

    def classify(self, samples, *, sample_rate):
        power = np.abs(np.fft.rfft(samples)) ** 2
        below = power[: round(1000 * len(samples) / sample_rate)].sum()
        said = LOW if below > power.sum() / 2 else HIGH
        genre = "low" if said is LOW else "high"
        return Verdict(genre, 0.9, said, (SegmentVerdict(0.0, 3.0, said),), "")


def test_of_a_model_that_hears_pitch_alone_the_bands_prove_all(tmp_path, monkeypatch):
    time = np.arange(3 * RATE) / RATE
    songs = [tmp_path / f"{number}.wav" for number in range(3)]
    for song in songs:
        tones = 0.3 * np.sin(2 * np.pi * 300 * time) + 0.2 * np.sin(2 * np.pi * 2500 * time)
        song.write_bytes(wav_bytes(tones, RATE))

    def evidence(model, samples, verdict):
        areas = np.zeros((8, 6), bool)
        areas[:4] = True
        return areas

    monkeypatch.setattr(measure_evidence, "evidence_of", evidence)
    rows = list(measured(Pitch(), songs, 2, np.random.default_rng(0)))
    assert len(rows) == 2
    assert [row[:2] for row in rows] == [(0.5, (True, True))] * 2


def test_the_figures_are_shares_of_songs():
    rows = [
        (0.25, (True, True), (True, False)),
        (0.35, (True, False), (False, False)),
        (0.30, (False, True), (False, True)),
        (0.30, (True, True), (False, False)),
    ]
    assert figures(rows) == {
        "songs": 4,
        "areas": pytest.approx(0.3),
        "kept": {"evidence": 0.75, "random": 0.25},
        "removed": {"evidence": 0.75, "random": 0.25},
    }
