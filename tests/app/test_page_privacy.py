"""The privacy page: true for the settings of this server."""

import re

from page_tools import texts

from genrekit.app.settings import settings


def test_it_says_how_long_things_are_kept(app, monkeypatch):
    monkeypatch.setenv("GENREKIT_JOB_KEEP_HOURS", "36")
    settings.cache_clear()
    said = texts(app("start/privacy.py"))
    assert "removed 36 hours after their last change" in said
    assert "2 minutes later it is gone" in said, "Streamlit's own limit"
    assert "up to 10 minutes after its last use" in said
    assert "the last 10 seconds of sound" in said
    assert "Both go with the job, 36 hours after" in said
    assert not re.search(r"[{}]", said)


def test_what_is_not_offered_is_not_mentioned(app, monkeypatch, tmp_path):
    assert "Folders of this server" not in headings(app)
    assert "Microphone" in headings(app)
    monkeypatch.setenv("GENREKIT_LIVE_PLACES", "0")
    monkeypatch.setenv("GENREKIT_FOLDERS", str(tmp_path))
    settings.cache_clear()
    assert "Folders of this server" in headings(app)
    assert "Microphone" not in headings(app)


def headings(app):
    return [header.value for header in app("start/privacy.py").header]


def test_it_says_whose_verdicts_are_remembered(app, monkeypatch):
    assert "Whoever sends the same file gets them at once" in texts(app("start/privacy.py"))
    monkeypatch.setenv("GENREKIT_CACHE", "own")
    settings.cache_clear()
    assert "Nobody else gets them" in texts(app("start/privacy.py"))


def test_a_public_server_says_that_it_is(app, monkeypatch):
    assert "people who know its host" in texts(app("start/privacy.py"))
    monkeypatch.setenv("GENREKIT_MODE", "public")
    settings.cache_clear()
    said = texts(app("start/privacy.py"))
    assert "open to the public" in said
    assert "removed 12 hours after" in said
