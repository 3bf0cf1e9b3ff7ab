"""The compression of scripts for browsers."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from genrekit.app.host.compression import CompressScripts

SCRIPT = b"const answer = 42; // " * 1000
PATH = "/static/js/index.abc-1.js"


class Server:
    """An app that sends scripts and counts requests."""

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

    def ask(self, path=PATH, method="GET", gone=False, **headers):
        """Return status, headers and body of the response; a visitor who left does not wait."""
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
            if not gone:
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}

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


def test_a_script_is_compressed_once(server):
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
def test_other_responses_are_unchanged(server, path, given):
    for count in (1, 2):
        status, headers, body = server.ask(path, **given)
        assert status == (404 if "missing" in path else 200)
        assert headers.get("content-encoding") == ("br" if "packed" in path else None)
        assert headers["etag"] == '"1"'
        assert body == (b"1;" if "small" in path else SCRIPT)
        assert server.asked == count


async def in_pieces():
    for start in range(0, len(SCRIPT), 1000):
        await asyncio.sleep(0)
        yield SCRIPT[start : start + 1000]


def test_a_visitor_who_leaves_does_not_truncate_the_script(server):
    whole = {"content-length": str(len(SCRIPT))}

    async def app(scope, receive, send):
        server.asked += 1
        answer = StreamingResponse(in_pieces(), 200, whole, "text/javascript")
        await answer(scope, receive, send)

    server.app = app
    assert len(server.ask(gone=True)[2]) < len(SCRIPT), "Starlette stops where nobody listens"
    server.app, server.asked = CompressScripts(app), 0
    server.ask(gone=True)
    for _ in range(2):
        assert gzip.decompress(server.ask()[2]) == SCRIPT
    assert server.asked == 1


@pytest.mark.parametrize("more", [True, False])
def test_a_truncated_script_is_not_cached(server, more):
    async def half(scope, receive, send):
        server.asked += 1
        headers = {"content-type": "text/javascript"}
        if not more:
            headers["content-length"] = str(2 * len(SCRIPT))
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": SCRIPT, "more_body": more})

    server.app = CompressScripts(half)
    for count in (1, 2):
        assert "content-encoding" not in server.ask()[1]
        assert server.asked == count
