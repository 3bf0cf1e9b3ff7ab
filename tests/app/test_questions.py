"""The cached questions: what is remembered, under what, and what is not."""

import pytest
import streamlit as st

from genrekit.app import song_workers
from genrekit.app.classify.questions import ask
from genrekit.audio.degradation import Degradation
from genrekit.errors import AudioError
from genrekit.isolation.pool import WorkerBusy
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile, Song

MODEL = ModelFile("a", 1)
ONE, OTHER = Song(b"one", 60.0), Song(b"other", 60.0)


@pytest.fixture
def asked(monkeypatch):
    """Every question that reached the pool; the answer is how many did."""
    calls = []

    def answer(question, song, *arguments, about):
        assert about == song.digest
        calls.append((question.__name__, *arguments))
        return len(calls)

    for cache in (st.cache_data, st.cache_resource):
        cache.clear()
    monkeypatch.setattr(song_workers, "ask", answer)
    yield calls
    for cache in (st.cache_data, st.cache_resource):
        cache.clear()


def test_each_question_song_and_argument_has_an_answer_of_its_own(asked):
    loud, soft = Degradation(level_db=6), Degradation(level_db=-6)
    questions = [
        (analysis.judge, ONE, MODEL),
        (analysis.analyse, ONE, MODEL),
        (analysis.judge, OTHER, MODEL),
        (analysis.judge, Song(b"one", 30.0), MODEL),
        (analysis.judge, ONE, ModelFile("a", 2)),
        (analysis.judge, ONE, ModelFile("b", 1)),
        (analysis.stress_test, ONE, MODEL, loud),
        (analysis.stress_test, ONE, MODEL, soft),
        (analysis.nearest, ONE, MODEL, (0.0, 3.0)),
        (analysis.nearest, ONE, MODEL, (0.0, 1.5)),
        (analysis.excerpt_sound, ONE, 22050, 0.0, 12.0, loud),
        (analysis.excerpt_sound, ONE, 22050, 0.0, 12.0, soft),
        (analysis.wav_rendering, ONE, 22050),
        (analysis.wav_rendering, OTHER, 22050),
    ]
    first = [ask(*question) for question in questions]
    assert first == list(range(1, len(questions) + 1))
    assert [ask(*question) for question in questions] == first
    assert len(asked) == len(questions)


def test_a_song_that_cannot_be_used_is_remembered_and_a_passing_fault_is_not(asked, monkeypatch):
    faults = [AudioError("It is empty."), WorkerBusy("Try again."), WorkerBusy("Try again.")]
    left = list(faults)

    def refuse(question, song, *arguments, about):
        raise left.pop(0)

    monkeypatch.setattr(song_workers, "ask", refuse)
    for _ in range(2):
        with pytest.raises(AudioError, match="It is empty"):
            ask(analysis.analyse, ONE, MODEL)
    assert len(left) == 2
    for _ in range(2):
        with pytest.raises(WorkerBusy):
            ask(analysis.analyse, OTHER, MODEL)
    assert left == []


def test_few_large_sounds_are_kept(asked):
    songs = [Song(bytes([i]), 60.0) for i in range(4)]
    for song in songs:
        ask(analysis.wav_rendering, song, 22050)
    ask(analysis.wav_rendering, songs[0], 22050)
    assert len(asked) == 5
