"""Songs analysed by the pool of processes: the same answers, and no harm from bad files."""

import ast
import inspect
import io
import re
import shutil
import threading
from dataclasses import is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest
import soundfile
import streamlit as st
import worker_jobs as jobs
from alike import assert_alike
from page_tools import texts

from genrekit.app import session, song_workers
from genrekit.app.classify import inputs
from genrekit.app.settings import settings
from genrekit.app.visitors import Visitor
from genrekit.audio.decoder import decode
from genrekit.audio.degradation import Degradation
from genrekit.audio.synth.rendering import render
from genrekit.errors import AudioError
from genrekit.isolation.pool import WorkerBusy, Workers
from genrekit.model.bundle import DEFAULT_MODEL, MODELS
from genrekit.model.tags import SoundsLike
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile, Song

MODEL = ModelFile.at(MODELS / DEFAULT_MODEL)


def song(seconds=7.0, suffix="WAV") -> Song:
    file = io.BytesIO()
    samples = render("jazz", seed=5, seconds=seconds)
    soundfile.write(file, samples, 22050, format=suffix)
    return Song(file.getvalue(), 60.0)


def aac() -> Song:
    """A song that FFmpeg decodes."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="ipod") as out:
        stream = out.add_stream("aac", rate=22050, layout="mono")
        samples = render("jazz", seed=5, seconds=4.0)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 22050
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return Song(file.getvalue(), 60.0)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """The pool as a server has it, of one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENREKIT_LISTENERS", "1")
        patch.setenv("GENREKIT_JOBS_FOLDER", str(tmp_path_factory.mktemp("jobs")))
        settings.cache_clear()
        song_workers._workers.clear()
        song_workers.warm_up()
        yield song_workers._workers()
        processes = song_workers._workers().processes
        song_workers._workers.clear()
        assert not any(Path(f"/proc/{process}").exists() for process in processes)
    settings.cache_clear()


def test_every_answer_is_the_same_as_in_this_process(pool):
    one = song()
    here = analysis.analyse(one, MODEL)
    assert len(here.verdict.segments) == 2
    genre = next(iter(here.verdict.probabilities))
    degradation = Degradation(noise_db=10.0)
    for question, *rest in (
        (analysis.analyse, MODEL),
        (analysis.judge, MODEL),
        (analysis.explain, MODEL, genre, here.starts, (0, 1)),
        (analysis.nearest, MODEL, here.starts),
        (analysis.stress_test, MODEL, degradation),
        (analysis.excerpt_sound, here.rate, 1.0, 2.0, degradation),
        (analysis.wav_rendering, here.rate),
    ):
        there = song_workers.ask(question, one, *rest, about=one.digest)
        assert_alike(question(one, *rest), there)


@pytest.mark.parametrize("make", [lambda: song(suffix="MP3"), lambda: song(suffix="OGG"), aac])
def test_every_decoder_works_in_a_confined_process(pool, make):
    one = make()
    result = song_workers.ask(analysis.analyse, one, MODEL, about=one.digest)
    assert_alike(analysis.analyse(one, MODEL), result)


def test_a_visitors_own_model_is_read_and_its_neighbours_sent_back_unchanged(pool, demo_bundle):
    own = shutil.copytree(demo_bundle, settings().jobs_folder / "job" / "model")
    model, one = ModelFile.at(own), song()
    where = analysis.analyse(one, model).starts
    here = analysis.nearest(one, model, where)
    assert here is not None
    assert_alike(here, song_workers.ask(analysis.nearest, one, model, where, about=one.digest))


def test_a_bad_file_has_the_same_message(pool):
    bad = Song(b"RIFF" + bytes(100), 60.0)
    with pytest.raises(AudioError) as here:
        analysis.analyse(bad, MODEL)
    with pytest.raises(AudioError) as there:
        song_workers.ask(analysis.analyse, bad, MODEL, about=bad.digest)
    assert str(there.value) == str(here.value)


def test_a_closed_pool_says_so(monkeypatch):
    monkeypatch.setenv("GENREKIT_LISTENERS", "1")
    settings.cache_clear()
    song_workers._workers.clear()
    processes = song_workers._workers()
    song_workers.close()
    with pytest.raises(WorkerBusy, match="being stopped"):
        song_workers.ask(analysis.judge, song(), MODEL, about="")
    assert processes.processes == []
    song_workers._workers.clear()
    settings.cache_clear()


class Noted(Workers):
    """A pool without processes, which notes how it was made."""

    def __init__(self, *given, **named):
        self.given = inspect.signature(Workers).bind(*given, **named).arguments
        super().__init__(0, 1, 1)


def test_the_pool_has_the_hosts_limits(monkeypatch):
    chosen = {"listeners": 3, "listen_seconds": 7, "listen_megabytes": 777, "listen_waiting": 5}
    for name, value in chosen.items():
        monkeypatch.setenv(f"GENREKIT_{name.upper()}", str(value))
    settings.cache_clear()
    song_workers._workers.clear()
    monkeypatch.setattr(song_workers, "Workers", Noted)
    given = song_workers._workers().given
    names = ("count", "seconds", "megabytes", "waiting", "patience")
    assert [given[name] for name in names] == [3, 7, 777, 5, 7]
    song_workers._workers.clear()
    settings.cache_clear()


def test_every_value_in_an_answer_may_travel(monkeypatch):
    song_workers._workers.clear()
    monkeypatch.setattr(song_workers, "Workers", Noted)
    given = song_workers._workers().given
    song_workers._workers.clear()
    questions = filter(takes_a_song, (getattr(analysis, name) for name in analysis.__all__))
    found = {kind for f in questions for kind in dataclasses_in(get_type_hints(f)["return"])}
    assert SoundsLike in found
    assert found <= set(given["types"])


def dataclasses_in(hint: object) -> set[type]:
    """The dataclasses in a type hint, those in their fields included."""
    found = {hint} if is_dataclass(hint) else set()
    inner = get_type_hints(hint).values() if is_dataclass(hint) else get_args(hint)
    return found.union(*map(dataclasses_in, inner))


def test_a_song_has_the_hosts_limits(monkeypatch):
    monkeypatch.setenv("GENREKIT_SONG_MINUTES", "0.1")
    monkeypatch.setenv("GENREKIT_SONG_CHANNELS", "2")
    settings.cache_clear()
    one = inputs.bounded_song(song(10.0).content)
    settings.cache_clear()
    assert (one.max_seconds, one.max_channels) == (6.0, 2)
    asked = []

    def counted(content, rate, max_seconds):
        asked.append(max_seconds)
        return decode(content, rate, max_seconds)

    monkeypatch.setattr(analysis, "decode", counted)
    assert len(analysis.samples_of(one, 8000)) == 6 * 8000
    assert asked == [6.0]


def test_ffmpeg_is_told_which_of_its_formats_to_read(monkeypatch):
    import av

    asked, opened, one = [], av.open, aac()

    def note(*given, **named):
        asked.append(named.get("format"))
        return opened(*given, **named)

    monkeypatch.setattr(av, "open", note)
    assert analysis.samples_of(one, 8000).size
    assert set(asked) == {"mov"}


def test_a_call_waits_in_its_visitors_turn(monkeypatch):
    class Recorder:
        def call(self, *_, **named):
            return named

    monkeypatch.setattr(song_workers, "_workers", Recorder)
    monkeypatch.setattr(session, "visitor", lambda: Visitor("me", "here"))

    def asks(**named):
        asked = song_workers.ask(analysis.judge, about="a song", **named)
        assert asked.pop("about") == "a song"
        return Visitor(asked.pop("owner"), **asked)

    assert asks() == Visitor("", "")
    monkeypatch.setattr("streamlit.runtime.scriptrunner.get_script_run_ctx", lambda **_: object())
    assert asks() == Visitor("me", "here")
    assert asks(visitor=Visitor("you", "there")) == Visitor("you", "there")


def test_a_question_that_is_refused_is_logged(monkeypatch, caplog):
    def full(*_, **__):
        raise WorkerBusy("Try again.")

    monkeypatch.setattr(song_workers, "_workers", lambda: SimpleNamespace(call=full))
    caplog.set_level("INFO", "genrekit.server")
    with pytest.raises(WorkerBusy):
        song_workers.ask(analysis.judge, about="a song")
    assert caplog.messages == ["question refused"]


def test_music_has_a_process_of_its_own_which_a_verdict_does_not_need(monkeypatch):
    """Neither before it is prepared nor afterwards."""
    monkeypatch.setattr(song_workers, "_workers", lambda: Named("verdicts"))
    monkeypatch.setattr(song_workers, "_musicians", lambda: Named("music"))
    monkeypatch.setattr(song_workers, "_MUSIC_SECONDS", 0.01)
    monkeypatch.setattr(song_workers, "_music_prepared", threading.Event())
    monkeypatch.setenv("GENREKIT_LISTENERS", "2")
    settings.cache_clear()
    assert song_workers.ask(analysis.judge, about="a song") == "verdicts"
    with pytest.raises(WorkerBusy, match="still being prepared"):
        song_workers.ask(analysis.rhythm, about="a song")
    monkeypatch.setattr(song_workers.compiled, "kept", lambda: Path(__file__).parent)
    song_workers._get_ready_for_music()
    for question in (analysis.rhythm, analysis.clicks, analysis.parts):
        assert song_workers.ask(question, about="a song") == "music"
    settings.cache_clear()


class Named:
    """Stands in for a pool that is ready, and answers with its name."""

    def __init__(self, name):
        self.name = name

    def call(self, *_, **__):
        return self.name

    def ready(self, _):
        return True


def test_a_file_that_crashes_the_decoder_is_one_plain_sentence_on_the_page(app, monkeypatch):
    monkeypatch.setenv("GENREKIT_LISTENERS", "1")
    settings.cache_clear()
    song_workers._workers.clear()
    st.cache_data.clear()  # it may have been heard by a test before
    try:
        # What a decoder does with a file made for it.
        monkeypatch.setattr(analysis, "analyse", jobs.crash_on)
        at = app("listen/classify.py", source="An example")
        assert not at.exception
        assert "made the decoder crash" in texts(at)
        assert "Traceback" not in texts(at)
        monkeypatch.undo()
        monkeypatch.setenv("GENREKIT_LISTENERS", "1")
        # It is not remembered: what happens once need not happen twice.
        at.run()
        assert not at.exception
        assert not at.error
        assert at.header[1:], "a verdict below the name"
    finally:
        song_workers._workers.clear()
        settings.cache_clear()


def test_the_server_itself_decodes_only_bundled_clips():
    root = Path(__file__).parents[2]
    files = [*root.glob("genrekit/app/**/*.py"), *root.glob("pages/*/*.py")]
    decoding = {
        file.name
        for file in files
        if re.search(r"(?<!\.)\b(decode|load_audio|probe)\(", file.read_text())
    }
    assert decoding == {"glossary_examples.py", "story.py"}
    for file in files:
        assert not questions_answered_by(ast.parse(file.read_text())), file.name


def questions_answered_by(code: ast.AST) -> set[str]:
    """Functions that decode a song and are called, instead of being handed to the pool."""
    decoding = {name for name in analysis.__all__ if takes_a_song(getattr(analysis, name))}
    assert {"analyse", "judge", "samples_of", "excerpt_sound"} <= decoding
    known = {f"analysis.{name}" for name in decoding}
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and node.module == "genrekit.verdict.analysis":
            known |= {one.asname or one.name for one in node.names if one.name in decoding}
    calls = (node.func for node in ast.walk(code) if isinstance(node, ast.Call))
    return known & {ast.unparse(function) for function in calls}


def takes_a_song(function: object) -> bool:
    return inspect.isfunction(function) and "song" in inspect.signature(function).parameters
