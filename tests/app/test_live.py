"""Live listening without a browser: the address that takes sound, and what it keeps."""

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from types import SimpleNamespace

import numpy as np
import pytest
from page_tools import exhibit
from starlette.applications import Starlette

from genrekit.app.classify import listener as listening
from genrekit.app.classify import live as classify_live
from genrekit.app.classify.listener import Listener
from genrekit.app.classify.overview import in_words
from genrekit.app.host import live
from genrekit.app.settings import settings
from genrekit.audio.synth.rendering import render
from genrekit.errors import ModelError
from genrekit.isolation.pool import WorkerBusy
from genrekit.model.bundle import DEFAULT_MODEL, MODELS, load_model
from genrekit.model.verdicts import Verdict
from genrekit.verdict import analysis
from genrekit.verdict.analysis import ModelFile

RATE = 8000
MODEL = ModelFile("a model", 1)
COOKIE = "2|7f9314b7|c1db664bfd08703fc68136a6d7e0f070|1795351070"
OTHER = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7e|1795351070"
VERDICT = Verdict("jazz", 0.75, {"jazz": 0.75, "blues": 0.25}, (), "")


class Server:
    """The address, asked as a browser asks it; `heard` has each sound that was judged."""

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []
        self.verdict = VERDICT
        self.app = Starlette(routes=live.routes())

    def judge(self, question, samples, rate, model, *, about, visitor):
        assert question is analysis.judge_samples
        assert (model, about) == (MODEL, visitor.name)
        self.heard.append(samples)
        return self.verdict

    def ask(self, one, body=b"", method="POST", pause=True, then=0.0, **headers):
        """Return status and answer, after `then` seconds."""
        given = {
            "x-listener": one.token,
            "x-rate": str(RATE),
            "cookie": f"_streamlit_xsrf={COOKIE}",
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if pause:
            one.asked = 0.0
        pieces = iter([body] if isinstance(body, bytes) else body)
        answer = []

        async def receive():
            piece = next(pieces, None)
            if piece is None:
                await asyncio.sleep(60)
            if piece == "gone":
                return {"type": "http.disconnect"}
            more = not isinstance(body, bytes)
            return {"type": "http.request", "body": piece, "more_body": more}

        async def send(message):
            answer.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": "/live",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        }

        async def serve():
            await self.app(scope, receive, send)
            await asyncio.sleep(then)

        # In a thread: where browser tests run too, this one has an event loop already.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(lambda: asyncio.run(serve())).result()
        text = b"".join(part.get("body", b"") for part in answer[1:])
        with suppress(ValueError):
            text = json.loads(text)
        return answer[0]["status"], text


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("GENREKIT_LIVE_PLACES", "1")
    settings.cache_clear()
    listening.places.cache_clear()
    one = Server()
    monkeypatch.setattr(classify_live, "song_workers", SimpleNamespace(ask=one.judge))
    yield one
    settings.cache_clear()
    listening.places.cache_clear()


def newcomer() -> Listener:
    return Listener(live.session.browser({"_streamlit_xsrf": COOKIE}), MODEL)


@pytest.fixture
def me() -> Listener:
    return newcomer()


def sound(seconds: float, first: int = 0) -> bytes:
    return np.arange(first, first + round(seconds * RATE)).astype("<i2").tobytes()


def test_the_last_ten_seconds_are_judged_in_the_words_of_the_stage(server, me):
    for i in range(4):
        status, said = server.ask(me, sound(3, i * 3 * RATE))
        assert status == 200
    assert [len(one) / RATE for one in server.heard] == [3, 6, 9, 10]
    assert server.heard[-1].tobytes() == sound(10, 2 * RATE)
    assert (said["title"], said["sure"], said["note"]) == in_words(VERDICT)
    assert [row[:2] for row in said["odds"]] == [["jazz", 0.75], ["blues", 0.25]]
    server.ask(me, sound(1), x_rate="16000")
    assert server.heard[-1].tobytes() == sound(1), "sound of two rates is not joined"


def test_silence_and_the_first_seconds_have_no_verdict(server, me):
    server.verdict = Verdict(None, 0.0, {}, (), "Silence.")
    _, said = server.ask(me, sound(2))
    assert (said["title"], said["note"], said["odds"]) == ("Listening …", "Silence.", [])
    assert server.ask(me, sound(9))[1]["title"] == "No verdict"


def test_nobody_else_can_send_or_stop(server):
    me = newcomer()
    for headers in ({"x_listener": "x"}, {"x_listener": ""}, {"cookie": ""},
                    {"cookie": f"_streamlit_xsrf={OTHER}"}):  # fmt: skip
        for method in ("POST", "DELETE"):
            assert server.ask(me, sound(1), method, **headers)[0] == 403
    assert server.ask(me, method="GET")[0] == 405
    token = SimpleNamespace(token=me.token)
    assert server.ask(token)[0] == 200
    del me
    gc.collect()
    assert server.ask(token)[0] == 403, "it is gone with the visitor's session"
    assert not any(len(one) for one in server.heard)


@pytest.mark.parametrize("rate", ["", "x", "-8000", "7999", "192001", "8e3", "²²²²²", "1" * 5000])
def test_a_rate_that_no_microphone_has_is_refused(server, me, rate):
    assert server.ask(me, sound(1), x_rate=rate)[0] == 400
    assert server.heard == []


def test_what_is_no_sound_of_ten_seconds_is_refused(server, me):
    assert server.ask(me, b"odd")[0] == 400
    assert server.ask(me, sound(10.1))[0] == 413
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield bytes(RATE)

    assert server.ask(me, endless())[0] == 413
    assert len(taken) < 25, "the rest is not read"
    assert server.ask(me, iter([bytes(2), "gone"]))[0] == 400
    assert server.heard == []
    assert server.ask(me, sound(10))[0] == 200, "and what is well follows"


def test_a_connection_that_says_nothing_is_given_up(server, me, monkeypatch):
    monkeypatch.setattr(live, "GONE_SECONDS", 0.05)
    assert server.ask(me, iter([bytes(2)]))[0] == 408
    assert server.ask(me, sound(1))[0] == 200


def test_one_request_at_a_time_and_few_a_second(server, me):
    begun = monotonic()
    for _ in range(3):
        assert server.ask(me, sound(1), pause=False)[0] == 200
    assert monotonic() - begun > 0.4
    with me.busy:
        assert server.ask(me, sound(1))[0] == 429
    assert len(server.heard) == 3


def test_stopping_forgets_the_sound_and_frees_the_place(server, me):
    other = newcomer()
    server.ask(me, sound(5))
    status, said = server.ask(other, sound(1))
    assert (status, list(said)) == (200, ["place"])
    assert "number 1 in line" in said["place"]
    assert "within 120 s" in said["place"]
    assert server.ask(me, method="DELETE") == (200, {})
    assert server.ask(other, sound(2))[1]["title"] == "Jazz"
    server.ask(other, method="DELETE")
    server.ask(me, sound(1))
    assert [len(one) / RATE for one in server.heard] == [5, 2, 1]


def test_a_turn_ends_with_a_sentence(server, me, monkeypatch):
    server.ask(me, sound(1))
    server.ask(newcomer())
    monkeypatch.setattr("genrekit.app.classify.places.TURN_SECONDS", 0.0)
    assert "Others are waiting" in server.ask(me, sound(1))[1]["ended"]


def test_sound_is_forgotten_soon_after_the_last(me, server, monkeypatch):
    monkeypatch.setattr(live, "GONE_SECONDS", 0.1)

    server.ask(me, sound(3), then=0.5)
    server.ask(me, sound(1))
    assert [len(one) / RATE for one in server.heard] == [3, 1]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (WorkerBusy("Many are listening."), "Many are listening."),
        (ModelError("There is no model in /srv/jobs/x."), "This model cannot be used any more"),
        (ValueError("secret"), "Something went wrong on our side"),
    ],
)
def test_what_goes_wrong_is_one_sentence(server, me, monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(classify_live, "song_workers", SimpleNamespace(ask=fail))
    status, said = server.ask(me, sound(1))
    assert (status, list(said)) == (503, ["problem"])
    assert sentence in said["problem"]
    assert server.ask(me, sound(1))[0] == 503, "it can be asked again"


# -- the page ---------------------------------------------------------------------------------


def test_each_visitor_has_a_listener_with_the_chosen_model(app):
    tokens = []
    for model in ("course-mlp", "everyday"):
        at = app("listen/classify.py", source="Live", listener=f"Built-in: {model}")
        assert not at.exception
        tokens.append(exhibit(at, "live_stage")["token"])
        found = listening.find(tokens[-1], None)
        assert found.model == ModelFile.at(MODELS / model)
        at.run()
        assert exhibit(at, "live_stage")["token"] == tokens[-1]
    assert tokens[0] != tokens[1]
    assert all(len(token) >= 32 for token in tokens)


def test_a_host_may_offer_no_live_listening(app, monkeypatch):
    monkeypatch.setenv("GENREKIT_LIVE_PLACES", "0")
    settings.cache_clear()
    at = app("listen/classify.py", source="Live")
    assert not at.exception
    assert "Live" not in at.segmented_control(key="source").options
    assert at.file_uploader


def test_the_verdict_on_samples_is_the_library_s():
    samples = render("jazz", seed=1, seconds=4)
    given = (samples * 32767).astype(np.int16)
    file = ModelFile.at(MODELS / DEFAULT_MODEL)
    verdict = analysis.judge_samples(given, 22050, file)
    assert verdict == load_model(DEFAULT_MODEL).classify(given, sample_rate=22050)
