"""The addresses of sounds: one for each content, harmless, not to be guessed, and never empty."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from streamlit import config
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.testing.v1 import AppTest

from genrekit.app.host import media_files
from genrekit.app.host.media_files import AwaitMedia
from genrekit.app.kit import media
from genrekit.app.kit.media import media_url


def test_without_a_server_there_is_no_address() -> None:
    assert media_url(b"RIFF", "audio/wav", "song") is None


def addresses() -> None:
    import streamlit as st

    from genrekit.app.kit.media import media_url

    head, tail = bytes(900_000), bytes(900_000)
    st.json(
        {
            "one": media_url(head + b"1" + tail, "audio/wav", "a"),
            "again": media_url(head + b"1" + tail, "audio/wav", "b"),
            "two": media_url(head[:-5] + b"1" + tail + bytes(5), "audio/wav", "c"),
            "mp3": media_url(b"ID3", "audio/mpeg", "d"),
            "page": media_url(b"<script>", "text/html", "e"),
        }
    )


def test_each_content_has_its_own_address_and_a_harmless_type() -> None:
    at = AppTest.from_function(addresses).run(timeout=30)
    assert not at.exception
    found = json.loads(at.json[0].value)
    assert found["one"] == found["again"]
    # Streamlit's own name for a large file samples it, and would give both the same.
    assert found["one"] != found["two"]
    assert found["mp3"].endswith(".mp3")
    assert found["page"].endswith(".wav")


def test_the_address_is_not_a_hash_that_others_can_compute(monkeypatch: Any) -> None:
    first = json.loads(AppTest.from_function(addresses).run(timeout=30).json[0].value)
    monkeypatch.setattr(media, "_SALT", b"another server")
    second = json.loads(AppTest.from_function(addresses).run(timeout=30).json[0].value)
    assert not set(first.values()) & set(second.values())


def test_the_address_counts_a_base_path() -> None:
    before = config.get_option("server.baseUrlPath")
    config.set_option("server.baseUrlPath", "/music/")
    try:
        found = json.loads(AppTest.from_function(addresses).run(timeout=30).json[0].value)
    finally:
        config.set_option("server.baseUrlPath", before)
    assert found["one"].startswith("/music/mock/media/")


class Visit:
    """A visitor's page with one sound, and a browser that asks for it."""

    def __init__(self, monkeypatch: Any, base: str = "") -> None:
        self.files = MediaFileManager(MemoryMediaFileStorage("/media"))
        self.waited: list[float] = []
        runtime = SimpleNamespace(media_file_mgr=self.files)
        monkeypatch.setattr(media_files, "get_instance", lambda: runtime)
        monkeypatch.setattr(media_files, "base_path", lambda: base)
        self.base = base
        self.address = self.draw()

    def draw(self) -> str:
        return self.files.add(b"RIFF", "audio/wav", "player")

    def begin_again(self) -> None:
        """As the visitor's next run does, while another visitor's ends."""
        self.files.clear_session_refs("dontcare")
        self.files.remove_orphaned_files()

    def ask(self, monkeypatch: Any, path: str, meanwhile: Callable[[], object]) -> int:
        """Return the status of Streamlit's answer; `meanwhile` is called at the second wait."""

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            if len(self.waited) == 2:
                meanwhile()

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            name = scope["path"].rsplit("/", 1)[1]
            found = self.files.read_file(name) is not None
            await PlainTextResponse("", 200 if found else 404)(scope, receive, send)

        answer: list[Message] = []

        async def send(message: Message) -> None:
            answer.append(message)

        scope = {"type": "http", "method": "GET", "path": self.base + path, "headers": []}
        monkeypatch.setattr(media_files.asyncio, "sleep", sleep)
        # In a thread: where browser tests run too, this one has an event loop already.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, AwaitMedia(serve)(scope, None, send)).result()  # type: ignore[arg-type]
        return int(answer[0]["status"])


@pytest.mark.parametrize("base", ["", "/music"])
def test_a_sound_whose_page_is_being_drawn_again_is_awaited(monkeypatch: Any, base: str) -> None:
    visit = Visit(monkeypatch, base)
    assert visit.ask(monkeypatch, visit.address, lambda: None) == 200
    assert visit.waited == []
    visit.begin_again()
    assert visit.ask(monkeypatch, visit.address, visit.draw) == 200
    assert visit.waited == [0.1, 0.2]


def test_what_is_gone_for_good_is_awaited_for_seconds_and_nothing_else_is(monkeypatch: Any) -> None:
    visit = Visit(monkeypatch)
    visit.begin_again()
    for path in ("/", "/static/media/abc.woff2", "/media/", "/media/x/../y", "/media/XYZ.wav"):
        visit.ask(monkeypatch, path, lambda: None)
    assert visit.waited == []
    assert visit.ask(monkeypatch, visit.address, lambda: None) == 404
    assert 2 < sum(visit.waited) < 5
