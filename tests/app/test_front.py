"""What the bare server tells and lets do: endpoints, headers, defaults, and what it keeps."""

import asyncio
import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import streamlit as st
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from streamlit import config

from genrekit.app import session, song_workers
from genrekit.app.host import endpoints, headers, preflight
from genrekit.app.host.messages import MOST_BYTES
from genrekit.app.once import Once
from genrekit.app.settings import Settings
from genrekit.errors import SettingsError


class Server:
    """Everything answers with status 200, behind both middlewares."""

    def __init__(self, monkeypatch, base="", **chosen) -> None:
        for module in (endpoints, headers):
            monkeypatch.setattr(module, "settings", lambda: Settings(**chosen))
        monkeypatch.setattr(endpoints, "base_path", lambda: base)
        self._app = headers.SendHeaders(endpoints.CloseEndpoints(PlainTextResponse("told")))

    def ask(self, path: str) -> tuple[int, Headers]:
        """Return status and headers."""
        answer = []

        async def send(message) -> None:
            answer.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        # In a thread: where browser tests run too, this one has an event loop already.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(asyncio.run, self._app(scope, None, send)).result()
        return answer[0]["status"], Headers(raw=answer[0]["headers"])


@pytest.mark.parametrize("base", ["", "/music"])
def test_visitors_get_only_what_pages_need(monkeypatch, base):
    server = Server(monkeypatch, base, mode="public")
    for name in (
        "_stcore/metrics",
        "_stcore/script-health-check",
        "_stcore/agent/mcp",
        "_stcore/agent/openapi.json",
        "_stcore/anything",
        "auth/login",
        "oauth2callback",
        "component/x/index.html",
        "app/static/x",
    ):
        assert server.ask(f"{base}/{name}")[0] == 404, name
    for name in (
        "",
        "classify",
        "healthz",
        "live",
        "static/js/index.js",
        "media/x.wav",
        "_stcore/health",
        "_stcore/host-config",
        "_stcore/upload_file/x/y",
        "_stcore/bidi-components/genrekit.neuron/neuron.js",
    ):
        assert server.ask(f"{base}/{name}")[0] == 200, name


def test_people_one_knows_may_see_the_metrics(monkeypatch):
    assert Server(monkeypatch).ask("/_stcore/metrics")[0] == 200


def test_every_answer_tells_browsers_what_is_allowed(monkeypatch):
    server = Server(monkeypatch, mode="public")
    for path in ("/", "/_stcore/metrics"):
        _, sent = server.ask(path)
        assert sent["x-content-type-options"] == "nosniff"
        assert sent["referrer-policy"] == "no-referrer"
        assert sent["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self';" in sent["content-security-policy"] + ";"


def test_a_school_may_show_the_app_in_its_page(monkeypatch):
    sites = ("https://school.example", "https://*.other.example:8443")
    _, sent = Server(monkeypatch, framed_by=sites).ask("/")
    expected = "frame-ancestors 'self' https://school.example https://*.other.example:8443"
    assert sent["content-security-policy"].endswith(expected)
    assert "x-frame-options" not in sent


def test_the_policy_lets_no_script_in_but_the_servers_and_streamlits_own():
    parts = dict(part.split(" ", 1) for part in headers.policy(()).split("; "))
    own = {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert {parts[name] for name in own} == {"'self'"}
    assert parts["object-src"] == "'none'"
    elsewhere = {source for some in parts.values() for source in some.split()}
    assert {one for one in elsewhere if not one.startswith("'")} == {"blob:", "data:"}
    assert "unsafe-inline" not in parts["script-src"]
    page = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in parts["script-src"]


def test_sites_are_checked():
    def read(text: str) -> tuple[str, ...]:
        return Settings.from_environment({"GENREKIT_FRAMED_BY": text}).framed_by

    assert read("") == ()
    assert read("https://school.example  http://10.0.0.1:8080") == (
        "https://school.example",
        "http://10.0.0.1:8080",
    )
    for text in ("*", "school.example", "https://a.example; script-src *", "https://a.example/b"):
        with pytest.raises(SettingsError, match="name sites such as https://school"):
            read(text)


@pytest.fixture
def options():
    """Streamlit's options, put back afterwards."""
    names = (
        "client.allowedOrigins",
        "server.disconnectedSessionTTL",
        "server.xsrfCookieSameSite",
        "server.maxUploadSize",
    )
    before = {name: (config.get_option(name), config.get_where_defined(name)) for name in names}
    yield
    for name, (value, where) in before.items():
        config.set_option(name, value, where)


def test_streamlits_defaults_are_made_safe(options, tmp_path):
    preflight.check(Settings(jobs_folder=tmp_path, mode="public", framed_by=("https://a.example",)))
    assert config.get_option("client.allowedOrigins") == []
    assert config.get_option("server.disconnectedSessionTTL") == 30
    assert config.get_option("server.xsrfCookieSameSite") == "none"


def test_what_a_host_has_told_streamlit_stays(options, tmp_path):
    config.set_option("server.disconnectedSessionTTL", 77, "environment")
    preflight.check(Settings(jobs_folder=tmp_path, mode="public"))
    assert config.get_option("server.disconnectedSessionTTL") == 77


def test_large_messages_of_browsers_are_refused_as_they_arrive(options, tmp_path):
    preflight.check(Settings(jobs_folder=tmp_path))
    assert uvicorn.Config(lambda: None, ws_max_size=10**9).ws_max_size == MOST_BYTES


def test_clearing_streamlits_caches_takes_nothing_away(monkeypatch, tmp_path):
    monkeypatch.setattr(song_workers, "settings", lambda: Settings(listeners=0))
    song_workers._workers.clear()
    workers = song_workers._workers()
    st.cache_resource.clear()
    assert song_workers._workers() is workers
    assert isinstance(session.jobs, Once)
    song_workers._workers.clear()


def test_once_is_made_once_and_released():
    made, released = [], []
    value = Once(lambda: made.append(1) or object(), released.append)
    first = value()
    assert value() is first
    value.clear()
    assert released == [first]
    assert value() is not first
    assert len(made) == 2
