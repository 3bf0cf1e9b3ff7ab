"""Scripts on their way to browsers."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from genrekit.app.compression import CompressScripts

SCRIPT = b"const answer = 42; // " * 1000
PATH = "/static/js/index.abc-1.js"


class Server:
    """An app that sends scripts, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        anything = Route("/{path:path}", self.answer, methods=["GET", "POST"])
        self.app = CompressScripts(Starlette(routes=[anything]))

    def answer(self, request: Request) -> Response:
        self.asked += 1
        found = "missing" not in request.url.path
        small = "small" in request.url.path
        headers = {"etag": '"1"', "cache-control": "immutable"}
        if "packed" in request.url.path:
            headers["content-encoding"] = "br"
        kind = "text/html" if "nowhere" in request.url.path else "text/javascript"
        return Response(b"1;" if small else SCRIPT, 200 if found else 404, headers, kind)

    def ask(self, path=PATH, method="GET", **headers):
        """Status, headers and body of the answer."""
        sent = {"accept-encoding": "gzip, br"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
        messages = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            messages.append(message)

        # In a thread: where browser tests run too, this one has an event loop already.
        with ThreadPoolExecutor(1) as aside:
            aside.submit(lambda: asyncio.run(self.app(scope, receive, send))).result()
        start, *rest = messages
        got = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], got, b"".join(message.get("body", b"") for message in rest)


@pytest.fixture
def server():
    return Server()


def test_a_script_comes_compressed_and_the_server_is_asked_once(server):
    for _ in range(3):
        status, headers, body = server.ask()
        assert status == 200
        assert headers["content-encoding"] == "gzip"
        assert headers["vary"] == "Accept-Encoding"
        assert headers["cache-control"] == "immutable"
        assert "etag" not in headers, "that is the name of the file as it is on disk"
        assert int(headers["content-length"]) == len(body) < len(SCRIPT) / 10
        assert gzip.decompress(body) == SCRIPT
    assert server.asked == 1
    for path in ("/static/css/other.css", "/_stcore/bidi-components/genrekit.story/story.js"):
        for before in ("", "/app"):
            assert server.ask(before + path)[1]["content-encoding"] == "gzip"
    assert server.asked == 3


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (PATH, {"accept_encoding": "br"}),
        (PATH, {"range": "bytes=0-9"}),
        (PATH, {"method": "POST"}),
        ("/static/js/missing.js", {}),
        ("/static/js/small.js", {}),
        ("/static/js/packed.js", {}),
        ("/static/js/nowhere.js", {}),
        ("/static/media/font.woff2", {}),
        ("/media/song.js", {}),
        ("/static/js/index.js/more", {}),
    ],
)
def test_all_else_is_left_as_it_is(server, path, given):
    for count in (1, 2):
        status, headers, body = server.ask(path, **given)
        assert status == (404 if "missing" in path else 200)
        assert headers.get("content-encoding") == ("br" if "packed" in path else None)
        assert headers["etag"] == '"1"'
        assert body == (b"1;" if "small" in path else SCRIPT)
        assert server.asked == count
