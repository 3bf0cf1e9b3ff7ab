"""The addresses of sounds: one for each content, harmless, and not to be guessed."""

import json
from typing import Any

from streamlit import config
from streamlit.testing.v1 import AppTest

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
