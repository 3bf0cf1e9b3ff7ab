"""The cookie that names a visitor: who gets one, and what browsers may do with it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http.cookies import Morsel, SimpleCookie

import pytest
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from streamlit import config

from genrekit.app.host import cookies
from genrekit.app.host.cookies import GiveNames
from genrekit.app.visitors import COOKIE, issue, signed_name

PAGE = HTMLResponse("a page", headers={"cache-control": "no-cache"})
BROWSER = {"accept": "text/html,application/xhtml+xml"}


def given(answer: Response = PAGE, method: str = "GET", scheme: str = "http", **asked: str):
    """Return the cookie that an answer brings, or None."""
    told = []

    async def send(message) -> None:
        told.append(message)

    headers = [(name.encode(), value.encode()) for name, value in asked.items()]
    scope = {
        "type": "http", "method": method, "scheme": scheme, "path": "/", "headers": headers,
    }  # fmt: skip
    # In a thread: where browser tests run too, this one has an event loop already.
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, GiveNames(answer)(scope, None, send)).result()
    sent = Headers(raw=told[0]["headers"])
    assert sent.get("cache-control") == answer.headers.get("cache-control")
    return SimpleCookie(sent.get("set-cookie", "")).get(COOKIE)


def test_a_browser_without_a_name_gets_one_that_is_new_and_signed():
    first, second = given(), given()
    assert first.value != second.value
    assert signed_name({COOKIE: first.value}) is not None
    assert signed_name({COOKIE: second.value}) is not None


def test_a_browser_keeps_its_name_and_an_invented_one_is_replaced():
    assert given(cookie=f"a=b; {COOKIE}={issue()}") is None
    assert given(cookie=f"{COOKIE}=1.me.{'0' * 22}") is not None


@pytest.mark.parametrize(
    ("answer", "asked", "gives"),
    [
        (PlainTextResponse("a script"), BROWSER, False),
        (Response(status_code=304), BROWSER, True),
        (Response(status_code=304), {"accept": "*/*"}, False),
    ],
)
def test_names_come_with_pages_alone(answer, asked, gives):
    """A browser that was closed may still have the page, and asks whether it has changed."""
    assert (given(answer, **asked) is not None) is gives
    assert given(method="POST") is None


def attributes(cookie: Morsel) -> tuple:
    assert cookie["httponly"] is True
    assert cookie["expires"] == cookie["max-age"] == "", "it goes when the browser is closed"
    return cookie["path"], cookie["samesite"], bool(cookie["secure"])


def test_scripts_and_other_sites_cannot_have_it():
    assert attributes(given()) == ("/", "Lax", False)
    assert attributes(given(scheme="https")) == ("/", "Lax", True)
    assert attributes(given(**{"x-forwarded-proto": "https"})) == ("/", "Lax", True)


def test_it_is_sent_below_the_base_path_and_in_frames_where_the_host_wants_it(monkeypatch):
    monkeypatch.setattr(cookies, "base_path", lambda: "/music")
    option = config.get_option
    chosen = {"server.xsrfCookieSameSite": "none"}
    monkeypatch.setattr(config, "get_option", lambda name: chosen.get(name) or option(name))
    assert attributes(given()) == ("/music", "None", True), "None is for HTTPS alone"
