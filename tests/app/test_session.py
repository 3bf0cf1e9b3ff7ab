"""A visitor's name for quotas, and the jobs of others, which are out of reach."""

from types import SimpleNamespace

import pytest
from page_tools import texts
from streamlit import config

from genrekit.app import session as visit
from genrekit.app.session import browser
from genrekit.app.settings import Settings
from genrekit.app.visitors import COOKIE, Visitor, issue, recognise, signed_name
from genrekit.verdict.analysis import Song

# The same secret behind two masks, as one browser's cookie shows it before and after a reload.
FIRST = "2|7f9314b7|c1db664bfd08703fc68136a6d7e0f070|1795351070"
AGAIN = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7d|1795351070"
OTHER = "2|68c59fba|d68ded46ea5efb32d1d7bdabc0b67b7e|1795351070"


def test_a_browser_keeps_its_name_over_reloads():
    assert browser({"_streamlit_xsrf": FIRST}) == browser({"_streamlit_xsrf": AGAIN}) is not None
    assert browser({"_streamlit_xsrf": FIRST}) != browser({"_streamlit_xsrf": OTHER})
    assert browser({"_streamlit_xsrf": FIRST}) not in FIRST
    secret = 0x7F9314B7 ^ 0xC1DB664B
    assert f"{secret:08x}" not in browser({"_streamlit_xsrf": FIRST})


def test_an_invalid_token_identifies_nobody():
    for token in ("", "x", "1|a|b|c", "2|zz|zz|1", "2||00|1", "2|7f9314b7||1", "2|7f|c1|d|e"):
        assert browser({"_streamlit_xsrf": token}) is None


def test_a_new_visit_of_the_same_browser_has_no_fresh_quota(monkeypatch):
    def visitor(cookie, address="192.0.2.7", session=None):
        context = SimpleNamespace(cookies={COOKIE: cookie}, ip_address=address)
        state = {} if session is None else session
        monkeypatch.setattr(visit, "st", SimpleNamespace(context=context, session_state=state))
        return visit.visitor()

    first, other = issue(), issue()
    assert visitor(first) == visitor(first) != visitor(other)
    assert visitor(first).name == visitor(first, "192.0.2.8").name == visit.owner()
    assert visitor(first).address == visitor(other).address != visitor(first, "192.0.2.8").address
    # Where cookies are invented or thrown away, the address is the visitor.
    for cookie in ("", "x", *forged(first)):
        assert visitor(cookie) == visitor("") == Visitor(visitor("").address, visitor("").address)
    assert visitor("", None) == visitor("", "127.0.0.1"), "for which Streamlit tells no address"
    session = {}
    before = visitor(first, session=session)
    assert visitor("", None, session) == before, "a connection that is lost changes nothing"


def forged(cookie: str) -> list[str]:
    """Return what somebody may make of a cookie."""
    version, name, signature = cookie.split(".")
    return [
        f"{version}.{name}.",
        f"{version}.{name}",
        f"{version}..{signature}",
        f"2.{name}.{signature}",
        f"{version}.{name}x.{signature}",
        f"{version}.{name}.{'0' * len(signature)}",
        f"{version}.ä.ä",
    ]


def test_names_are_signed_with_the_secret_that_servers_share(monkeypatch):
    cookie = issue()
    assert signed_name({COOKIE: cookie}) == cookie.split(".")[1]
    assert "192.0.2.7" not in recognise({}, "192.0.2.7").address
    here = recognise({}, "192.0.2.7")
    monkeypatch.setattr(config, "get_option", lambda _: "of another server")
    assert signed_name({COOKIE: cookie}) is None
    assert recognise({}, "192.0.2.7") != here, "and codes of addresses cannot be looked up"


def test_a_host_may_want_each_visitors_answers_computed_anew(monkeypatch):
    def fingerprint(cache, owner):
        monkeypatch.setattr(visit, "settings", lambda: Settings(cache=cache))
        monkeypatch.setattr(visit, "owner", lambda: owner)
        return visit.fingerprint(b"a song")

    assert fingerprint("shared", "a") == fingerprint("shared", "b") == Song(b"a song", 1.0).digest
    assert len({fingerprint("own", "a"), fingerprint("own", "b"), fingerprint("shared", "a")}) == 3
    assert fingerprint("own", "a") == fingerprint("own", "a")


def finished(kind):
    """A job of this kind that is done."""
    folder = visit.jobs().new_folder()
    (folder / "started").write_text("0")
    (folder / "events.jsonl").write_text('{"type": "exit", "status": 0}\n')
    return visit.jobs().add(folder, kind, "Private", [], "they")


def test_other_visitors_jobs_are_invisible_without_their_links(app):
    theirs = [finished(kind) for kind in visit.KINDS]
    for page in ("build/dataset.py", "build/train.py", "listen/classify.py"):
        at = app(page)
        shown = texts(at) + str([box.options for box in at.selectbox]) + str(at.query_params)
        assert "Private" not in shown, page
        assert not any(job.id in shown for job in theirs), page
    assert "First prepare a dataset" in texts(app("build/train.py"))


@pytest.mark.parametrize(
    ("page", "asks"),
    [
        ("build/dataset.py", ("music", "dataset")),
        ("build/train.py", ("dataset", "model", "leak")),
        ("listen/classify.py", ("model",)),
    ],
)
def test_an_address_that_names_a_job_of_another_kind_offers_nothing(app, page, asks):
    jobs = {kind: finished(kind) for kind in visit.KINDS}
    for other in visit.KINDS:
        wrong = {kind: jobs[other].id for kind in asks if kind != other}
        at = app(page, music_source="A zip file", **wrong)
        assert not at.error, (other, [error.value for error in at.error])
        shown = texts(at) + str([box.options for box in at.selectbox])
        assert "Private" not in shown, other
