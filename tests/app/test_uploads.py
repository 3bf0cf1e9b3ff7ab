"""Uploads from anybody: whose they may be, how many, how large, and how slow."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from starlette.exceptions import HTTPException

from genrekit.app import session
from genrekit.app.host import budgets, memory, uploads
from genrekit.app.host.budgets import Budgets, Full
from genrekit.app.host.uploads import GuardUploads
from genrekit.app.settings import Settings

MEGABYTE = 1_000_000
COOKIE = "2|7f9314b7|c1db664bfd08703fc68136a6d7e0f070|1795351070"
OTHER = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7e|1795351070"


@pytest.fixture
def kept(monkeypatch) -> dict[str, list[int]]:
    """The sizes of what Streamlit keeps, by session."""
    sizes: dict[str, list[int]] = {}
    monkeypatch.setattr(budgets, "uploaded", lambda: sizes)
    monkeypatch.setattr(budgets, "free_memory", lambda: 10**12)
    return sizes


@pytest.fixture
def public(kept) -> Budgets:
    """Budgets of 150 MB for a session, 500 MB for an address, 1000 MB in all."""
    return Budgets(Settings(mode="public", upload_megabytes=50))


def send(ours: Budgets, who: str, megabytes: int, address: str = "192.0.2.1") -> None:
    """Upload a file, which Streamlit keeps."""
    ours.begin(who, address, megabytes * MEGABYTE)
    ours.come(who, megabytes * MEGABYTE)
    ours.end(who, megabytes * MEGABYTE, kept=True)


# -- budgets ------------------------------------------------------------------------------------


def test_a_session_has_its_budget(public):
    for _ in range(3):
        send(public, "one", 50)
    with pytest.raises(Full, match="session: bytes"):
        send(public, "one", 1)
    send(public, "another", 50)


def test_an_address_has_its_budget_whatever_the_number_of_tabs(public):
    for number in range(10):
        send(public, str(number), 50)
    with pytest.raises(Full, match="address: bytes"):
        send(public, "next", 1)
    send(public, "next", 50, "192.0.2.2")


def test_the_server_has_its_budget_whatever_the_number_of_addresses(public):
    for number in range(20):
        send(public, str(number), 50, str(number))
    with pytest.raises(Full, match="server: bytes"):
        send(public, "next", 1, "next")


def test_what_arrives_counts_before_it_has_arrived(public):
    public.begin("one", "192.0.2.1", 0)
    public.come("one", 100 * MEGABYTE)
    with pytest.raises(Full, match="session: bytes"):
        public.begin("one", "192.0.2.1", 51 * MEGABYTE)
    with pytest.raises(Full, match="session: bytes"):
        public.come("one", 51 * MEGABYTE)
    public.end("one", 151 * MEGABYTE, kept=False)
    send(public, "one", 50)


def test_a_budget_is_back_when_the_session_has_ended(public, kept):
    for _ in range(3):
        send(public, "one", 50)
    kept["one"] = [50 * MEGABYTE] * 3
    public._counted -= 2
    with pytest.raises(Full):
        send(public, "one", 1)
    kept.clear()
    public._counted -= 2
    send(public, "one", 50)


def test_files_are_counted_too(public, kept):
    kept["one"] = [0] * 5000
    with pytest.raises(Full, match="session: files"):
        send(public, "one", 0)
    send(public, "another", 0)


def test_uploads_at_the_same_time_are_counted(public):
    for _ in range(20):
        public.begin("one", "192.0.2.1", 0)
    with pytest.raises(Full, match="session: uploads at once"):
        public.begin("one", "192.0.2.1", 0)
    public.end("one", 0, kept=False)
    public.begin("one", "192.0.2.1", 0)


def test_nothing_is_taken_where_memory_is_short(public, monkeypatch):
    monkeypatch.setattr(budgets, "free_memory", lambda: 90 * MEGABYTE)
    with pytest.raises(Full, match="memory"):
        send(public, "one", 1)


def test_a_class_behind_one_address_may_bring_a_song_each(public):
    for number in range(40):
        send(public, str(number), 10)


def test_people_one_knows_may_bring_a_folder(kept):
    ours = Budgets(Settings())
    for _ in range(1000):
        send(ours, "one", 2)


def test_nothing_is_remembered_of_sessions_that_are_gone(public):
    send(public, "one", 50)
    public._counted -= 2
    send(public, "another", 50)
    public._counted -= 2
    public.begin("third", "192.0.2.1", 0)
    assert set(public._addresses) == {"third"}


# -- while they arrive --------------------------------------------------------------------------


@pytest.fixture
def guard(kept, monkeypatch):
    """A function that sends an upload, in pieces, to a session of the browser with COOKIE; it
    returns the status and what the app has got."""
    ours = session.browser({"_streamlit_xsrf": COOKIE})
    monkeypatch.setattr(memory, "_browsers", {"mine": ours})
    chosen = Settings(mode="public", upload_megabytes=50)
    monkeypatch.setattr(uploads, "settings", lambda: chosen)

    async def put(pieces, cookie, announced, method) -> tuple[int, int]:
        got, answer = [], []

        async def app(scope, receive, send):
            status, more = 204, True
            try:
                while more and method == "PUT":
                    message = await receive()
                    got.append(message["body"])
                    more = message["more_body"]
            except HTTPException as error:  # as Starlette answers it
                status = error.status_code
            await send({"type": "http.response.start", "status": status, "headers": []})

        async def receive():
            piece = pieces.pop(0) if pieces else await asyncio.sleep(60)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            answer.append(message)

        headers = [(b"cookie", f"_streamlit_xsrf={cookie}".encode())]
        headers += [(b"content-length", str(announced).encode())] if announced else []
        scope = {
            "type": "http",
            "method": method,
            "path": "/_stcore/upload_file/mine/x",
            "client": ("192.0.2.1", 1),
            "headers": headers,
        }
        await GuardUploads(app)(scope, receive, send)
        return answer[0]["status"], sum(map(len, got))

    def put_it(*pieces, cookie=COOKIE, announced=0, method="PUT"):
        with ThreadPoolExecutor(1) as aside:
            return aside.submit(asyncio.run, put(list(pieces), cookie, announced, method)).result()

    return put_it


def test_an_upload_of_ones_own_passes(guard):
    assert guard(b"abc", b"d") == (204, 4)
    assert guard(method="DELETE") == (204, 0)


@pytest.mark.parametrize("cookie", [OTHER, "", "x"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_another_browser_neither_adds_nor_removes_anything(guard, cookie, method):
    assert guard(b"abc", cookie=cookie, method=method) == (403, 0)


def test_an_upload_that_announces_too_much_is_not_read(guard):
    assert guard(b"abc", announced=151 * MEGABYTE) == (413, 0)


def test_an_upload_that_announces_nothing_ends_at_the_budget(guard):
    status, got = guard(*[bytes(10 * MEGABYTE)] * 30)
    assert status == 413
    assert got <= 150 * MEGABYTE


def test_slow_uploads_are_ended(guard, monkeypatch):
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.05)
    assert guard()[0] == 408, "nothing comes"
    clock = SimpleNamespace(now=0.0)

    def later() -> float:
        clock.now += 0.02
        return clock.now

    monkeypatch.setattr(uploads, "monotonic", later)
    status, got = guard(*[b"a"] * 100)
    assert status == 408
    assert got < 10


def test_streamlit_still_tells_what_it_keeps(monkeypatch):
    """`budgets.uploaded` relies on Streamlit's store of uploads."""
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    store = MemoryUploadedFileManager("")
    store.add_file("one", UploadedFileRec("a", "name", "type", b"123"))
    monkeypatch.setattr(budgets, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=store))
    assert budgets.uploaded() == {"one": [3]}
    store.remove_session_files("one")
    assert budgets.uploaded() == {}
