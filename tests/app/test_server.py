"""The server around the pages: two real servers, started and stopped as a host does."""

import contextlib
import gc
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest
from prometheus_client.parser import text_string_to_metric_families
from streamlit import config, net_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, RuntimeState
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager
from streamlit.web.server.server_util import is_url_from_allowed_origins
from websockets.sync.client import connect

from genrekit.app import logs
from genrekit.app.host import memory, preflight
from genrekit.app.host.server import Host
from genrekit.app.jobs.job import Job
from genrekit.app.jobs.queue import Jobs
from genrekit.app.jobs.walls import Walls
from genrekit.app.kit import widgets
from genrekit.app.settings import Settings
from genrekit.app.visitors import COOKIE
from genrekit.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
STOP_SECONDS = 10.0
SLOW = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
SECRET = "my-secret-song.mp3"

# The app with a warm-up that never ends, and with a page that fails.
TROUBLED_APP = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import streamlit as st
from genrekit.app.host import server
from starlette.routing import Route

async def hang(request):
    import asyncio
    await asyncio.sleep(3600)

host = server.start(warm=lambda: time.sleep(3600))
app = st.App(
    Path(__file__).parent / "pages" / "frame.py", lifespan=host.lifespan,
    routes=[*host.routes(), Route("/hang", hang)],
    middleware=host.middleware(), on_script_error=host.on_script_error,
)
"""
FAIL = f"""
if "fail" in st.query_params:
    raise ValueError("cannot read {SECRET}")
"""


class Server:
    """A real server process and its output."""

    def __init__(self, script: Path, folder: Path, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", str(script),
                 "--server.headless", "true", "--server.port", str(self.port)],
                cwd=ROOT,
                env=os.environ | {"GENREKIT_JOBS_FOLDER": str(folder / "jobs")} | environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )  # fmt: skip
        wait(lambda: self.status("/healthz") == 200)

    def ask(self, path: str) -> tuple[int, dict]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def status(self, path: str) -> int:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask(path)[0]
        except OSError:
            return 0

    def events(self) -> list[dict]:
        """The log; a line that is not JSON fails."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def visit(self, page: str = "", query: str = "") -> str:
        """Return what a browser receives for a page until its script ends."""
        seen = []
        address = self.url.replace("http", "ws") + "/_stcore/stream"
        with connect(address, subprotocols=["streamlit"], origin=self.url, max_size=None) as tab:
            message = BackMsg()
            message.rerun_script.page_name = page
            message.rerun_script.query_string = query
            tab.send(message.SerializeToString())
            while True:
                answer = ForwardMsg.FromString(tab.recv(timeout=PATIENCE))
                if answer.WhichOneof("type") != "new_session":  # it names Streamlit's own script
                    seen.append(str(answer))
                if answer.WhichOneof("type") == "script_finished":
                    return "\n".join(seen)

    def stop(self) -> float:
        """Stop the server; return how many seconds that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        return time.monotonic() - begun


def wait(condition, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def processes_of(job: Job) -> list[str]:
    """Return all processes of a job, children included."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                job.id in str((path / "cwd").readlink())
                or job.id.encode() in (path / "cmdline").read_bytes()
            ):
                found.append(path.name)
    return found


def children(process: int) -> list[int]:
    """Return the live children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(parent) == process and state != "Z":
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.fixture(scope="module")
def job(folder) -> Iterator[Job]:
    """A long job that waits in the folder before a server starts."""
    jobs = Jobs(Settings(jobs_folder=folder / "jobs"))
    jobs.close()
    job = jobs.add(jobs.new_folder(), "dataset", "Test", [SLOW], "me")
    yield job
    jobs.cancel(job)


@pytest.fixture(scope="module")
def troubled(folder, job) -> Iterator[Server]:
    (folder / "app.py").write_text(TROUBLED_APP)
    shutil.copytree(ROOT / "pages", folder / "pages")
    with (folder / "pages" / "frame.py").open("a") as frame:
        frame.write(FAIL)
    (folder / "genrekit").symlink_to(ROOT / "genrekit", target_is_directory=True)  # for the icon
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        figures = free.getsockname()[1]
    server = Server(folder / "app.py", folder, GENREKIT_METRICS_PORT=str(figures))
    server.figures = f"http://127.0.0.1:{figures}/metrics"
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.process.wait()


# -- a server in trouble ----------------------------------------------------------------------


def test_it_is_alive_but_not_ready_before_the_warm_up(troubled):
    assert troubled.ask("/healthz") == (200, {"alive": True})
    status, said = troubled.ask("/readyz")
    assert (status, said["ready"]) == (503, False)
    checks = said["checks"]
    assert [name for name, well in checks.items() if not well] == ["warm"]
    assert str(ROOT) not in json.dumps(said)


@pytest.mark.parametrize(
    ("page", "heading"),
    [("", "How does a machine hear music?"), ("classify", "Classify"), ("neuron", "A neuron")],
)
def test_no_page_waits_for_the_warm_up_to_end(troubled, page, heading):
    assert heading in troubled.visit(page)
    assert troubled.ask("/readyz")[1]["checks"]["warm"] is False


def test_a_page_that_fails_shows_a_sentence_and_logs_its_place(troubled):
    seen = troubled.visit(query="fail=1")
    assert "Something went wrong on our side" in seen
    for hidden in (SECRET, "ValueError", "Traceback", "frame.py"):
        assert hidden not in seen
    failed = [event for event in troubled.events() if event.get("error") == "ValueError"]
    assert len(failed) == 1, "each failure is logged once"
    assert failed[0]["event"] == "page failed"
    assert any("frame.py:" in place for place in failed[0]["at"])
    assert SECRET not in troubled.log.read_text()


def test_an_upload_that_is_refused_is_logged_without_its_name(troubled):
    connection = http.client.HTTPConnection("127.0.0.1", troubled.port, timeout=30)
    connection.request("PUT", f"/_stcore/upload_file/nobody/{SECRET}", body=b"0" * 200_000)
    status = connection.getresponse().status
    connection.close()
    assert status >= 400
    refused = [event for event in troubled.events() if event["event"] == "upload refused"]
    assert [(event["status"], event["megabytes"]) for event in refused] == [(status, 0.2)]
    assert SECRET not in troubled.log.read_text()


def test_it_logs_its_settings_but_no_folders(troubled, folder):
    started = next(event for event in troubled.events() if event["event"] == "server started")
    assert started["mode"] == "local"
    assert started["job_minutes"] == Settings().job_minutes
    assert str(folder) not in troubled.log.read_text()


def test_figures_for_monitoring_are_at_their_own_port_and_not_at_the_visitors(troubled):
    def read(address: str) -> str:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()

    figures = {
        sample.name
        for family in text_string_to_metric_families(read(troubled.figures))
        for sample in family.samples
    }
    assert {"genrekit_jobs", "genrekit_free_bytes", "genrekit_verdict_seconds_sum"} <= figures
    for path in ("/metrics", "/_stcore/metrics", "/classify/metrics"):
        assert "genrekit_free_bytes" not in read(troubled.url + path), path


def test_a_browser_gets_its_name_with_the_first_page(troubled):
    with urllib.request.urlopen(troubled.url, timeout=30) as answer:
        given = answer.headers.get_all("set-cookie")
    assert [cookie.partition("=")[0] for cookie in given] == [COOKIE]
    assert "HttpOnly" in given[0]


def test_it_starts_waiting_jobs_without_visitors_and_logs_no_whole_id(troubled, job):
    wait(lambda: job.status == "running")
    wait(lambda: any(event["type"] == "track" for event in job.events()))
    log = troubled.log.read_text()
    assert '"event": "job started"' in log
    assert logs.short(job.id) in log
    assert job.id not in log


def test_a_stopped_server_is_gone_in_time_and_requeues_its_jobs(troubled, job):
    assert processes_of(job)
    # A request that never ends keeps a server from ending on its own.
    with socket.create_connection(("127.0.0.1", troubled.port)) as slow:
        slow.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        page = connect(
            troubled.url.replace("http", "ws") + "/_stcore/stream",
            subprotocols=["streamlit"],
            origin=troubled.url,
        )
        assert troubled.stop() < STOP_SECONDS
        with contextlib.suppress(Exception):
            page.close()
    wait(lambda: not processes_of(job))
    assert job.status == "waiting"
    names = [event["event"] for event in troubled.events()]
    assert "job put back" in names
    assert troubled.events()[-1]["event"] == "server stopped"
    assert troubled.events()[-1]["forced"] is True


# -- a server as it is ------------------------------------------------------------------------


def test_the_next_server_resumes_the_jobs_warms_up_and_stops(folder, job, troubled):
    wait(lambda: troubled.process.poll() is not None, 1)
    assert job.status == "waiting"
    server = Server(ROOT / "streamlit_app.py", folder, STREAMLIT_SERVER_BASE_URL_PATH="/music/")
    try:
        wait(lambda: job.status == "running")
        wait(lambda: server.status("/readyz") == 200, 2 * PATIENCE)
        # Below the base path, where Streamlit would answer with its page, and at the root.
        for place in ("", "/music"):
            assert set(server.ask(f"{place}/readyz")[1]["checks"].values()) == {True}
            assert server.ask(f"{place}/healthz") == (200, {"alive": True})
            assert server.ask(f"{place}/healthz/") == (200, {"alive": True})
        wait(lambda: "warmed up" in [event["event"] for event in server.events()], 5)
        listeners = children(server.process.pid)
        assert len(listeners) > Settings().listeners, "the pool's, and the job's"
        assert server.stop() < STOP_SECONDS
        assert [number for number in listeners if Path(f"/proc/{number}").exists()] == []
        assert server.events()[-1]["event"] == "server stopped"
        assert server.events()[-1]["forced"] is False
        endings = [
            e["event"] for e in server.events() if e["event"] in ("job ended", "job put back")
        ]
        assert endings == ["job ended", "job put back"]
        assert job.status == "waiting"
        wait(lambda: not processes_of(job))  # killed, and perhaps still dying
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


# -- in this process --------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path, monkeypatch) -> Iterator[Host]:
    monkeypatch.setenv("GENREKIT_JOBS_FOLDER", str(tmp_path / "jobs"))
    from genrekit.app import session as visit
    from genrekit.app.settings import settings

    settings.cache_clear()
    visit.jobs.clear()
    visit.jobs()
    before = config.get_option("server.maxUploadSize")
    yield Host(settings(), lambda: None)
    visit.jobs().close()
    visit.jobs.clear()
    settings.cache_clear()
    config.set_option("server.maxUploadSize", before)


def test_streamlits_upload_limit_follows_the_settings(host, tmp_path):
    preflight.check(Settings(jobs_folder=tmp_path, upload_megabytes=6.5))
    assert config.get_option("server.maxUploadSize") == 7
    preflight.check(host._settings)
    assert config.get_option("server.maxUploadSize") == 100


@pytest.mark.parametrize("base", ["", "/", "music", "/music", "/our/music/"])
def test_its_addresses_are_below_the_base_path_and_its_probes_at_the_root_too(host, base):
    before = config.get_option("server.baseUrlPath")
    config.set_option("server.baseUrlPath", base)
    try:
        paths = {route.path for route in host.routes()}
    finally:
        config.set_option("server.baseUrlPath", before)
    below = base.strip("/") and f"/{base.strip('/')}"
    names = ("healthz", "healthz/", "readyz", "readyz/")
    probes = {f"{place}/{name}" for place in ("", below) for name in names}
    assert paths == probes | {f"{below}/live"}


def test_no_other_server_is_asked_for_this_address(host, monkeypatch):
    asked = []

    def look_up(name, *_, **__):
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr(net_util, "get_external_ip", net_util.get_external_ip)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    preflight.check(host._settings)
    assert not is_url_from_allowed_origins("https://another.example")
    assert asked == []


def test_an_error_shows_no_path_of_the_server_and_no_markdown(host, monkeypatch):
    shown = []
    monkeypatch.setattr(widgets.st, "error", lambda text, **_: shown.append(text))
    job = host._settings.jobs_folder / ("j" * 22)
    for place in (f"{job}/audio/[a](b).wav", f"../{job.name}/audio/[a](b).wav"):
        widgets.show_error(f"{place} cannot be read.")
    assert set(shown) == {r"audio/\[a\]\(b\)\.wav cannot be read\."}


def test_a_page_shows_nothing_of_an_unexpected_error(host, monkeypatch):
    shown = []
    monkeypatch.setattr(widgets.st, "error", lambda text, **_: shown.append(text))
    with widgets.plain_errors():
        raise ValueError(SECRET)
    (said,) = shown
    assert "Something went wrong on our side" in said
    assert SECRET not in said


def test_a_jobs_folder_that_takes_no_file_is_refused(host, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(30, "no")))
    with pytest.raises(SettingsError, match="where nothing can be written"):
        preflight.check(host._settings)


@pytest.fixture
def visitors(monkeypatch):
    """Streamlit's server with two visitors, and a clock: `now` in s, `connected` and `ended`."""
    server = SimpleNamespace(now=1000.0, connected={"one", "two"}, ended=[])
    # Streamlit's own class says which names there are: an upgrade that drops one fails here.
    runtime = create_autospec(Runtime, instance=True)
    runtime.is_active_session.side_effect = lambda session: session in server.connected
    runtime.close_session.side_effect = server.ended.append
    runtime.state = RuntimeState.ONE_OR_MORE_SESSIONS_CONNECTED
    server.runtime = runtime
    monkeypatch.setattr(memory, "get_instance", lambda: runtime)
    monkeypatch.setattr(memory, "monotonic", lambda: server.now)
    monkeypatch.setattr(memory, "_connected", {})
    monkeypatch.setattr(memory.st.cache_data, "clear", lambda: server.ended.append("cache"))
    for name in server.connected:
        context = SimpleNamespace(session_id=name)
        monkeypatch.setattr(memory, "get_script_run_ctx", lambda context=context, **_: context)
        memory.remember_visitor()
    return server


def look(server, seconds):
    """Let seconds pass, and call `forget_visitors` as often as the server does."""
    ended = 0
    for _ in range(round(seconds / memory.tidy_seconds())):
        server.now += memory.tidy_seconds()
        ended += memory.forget_visitors()
    return ended


def test_sessions_of_absent_visitors_are_ended(visitors):
    longest = config.get_option("server.disconnectedSessionTTL")
    assert look(visitors, 10 * longest) == 0, "they are here"
    visitors.connected.remove("one")
    assert look(visitors, longest / 2) == 0, "one may come back"
    # Streamlit no longer ends a session that has been left for so long.
    assert look(visitors, longest / 2 - memory.tidy_seconds()) == 1
    assert visitors.ended == ["one"]
    visitors.connected.clear()
    visitors.runtime.state = RuntimeState.NO_SESSIONS_CONNECTED
    assert look(visitors, longest) == 1
    assert visitors.ended[:3] == ["one", "two", "cache"]
    # A run that outlives its visitor may cache its result later.
    visitors.ended.clear()
    assert look(visitors, longest) == 0
    assert set(visitors.ended) == {"cache"}


def test_a_visitor_who_comes_back_keeps_everything(visitors):
    longest = config.get_option("server.disconnectedSessionTTL")
    visitors.connected.remove("one")
    look(visitors, longest / 2)
    visitors.connected.add("one")
    assert look(visitors, 2 * longest) == 0
    assert visitors.ended == []


def test_streamlit_ends_a_session_by_its_id():
    """`memory.forget_visitors` relies on this behaviour of Streamlit's store of sessions."""
    ended = []
    store = MemorySessionStorage(ttl_seconds=60)
    manager = WebsocketSessionManager(store, None, None, None)
    session = SimpleNamespace(id="one", shutdown=lambda: ended.append("one"))
    store.save(SessionInfo(client=None, session=session))
    manager.close_session("one")
    assert ended == ["one"], "Streamlit keeps what a visitor who has left brought along"
    assert store.list() == []


def test_every_page_notes_its_visitor(app, monkeypatch):
    monkeypatch.setattr(memory, "_connected", {})
    app("start/glossary.py")
    assert len(memory._connected) == 1


def test_it_is_not_ready_when_nothing_can_be_written_or_the_disk_is_full(host, monkeypatch):
    assert [name for name, well in host.readiness().items() if not well] == ["warm"]
    monkeypatch.setattr("genrekit.app.jobs.storage.free_bytes", lambda _: 1000)
    assert host.readiness()["disk_space"] is False
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError("full")))
    assert host.readiness()["jobs_folder"] is False


def test_a_closer_that_fails_does_not_keep_the_others_from_ending(host):
    ended = []

    def fail() -> None:
        raise RuntimeError("stuck")

    stopping = Host(host._settings, lambda: None, (fail, lambda: ended.append(True)))
    stopping.stop()
    stopping.stop()
    assert ended == [True], "once, though asked for twice"


def test_a_model_that_does_not_load_keeps_visitors_away_until_it_does(host, monkeypatch):
    monkeypatch.setattr("genrekit.app.host.warm_up._RETRY_SECONDS", 0.01)
    there = threading.Event()

    def warm() -> None:
        if not there.is_set():
            raise OSError("no such model")

    late = Host(host._settings, warm)
    settled = threading.Event()
    settled.set()
    warming = threading.Thread(target=late.warm_up.run, args=(settled,), daemon=True)
    warming.start()
    wait(lambda: late.readiness()["warm"])
    assert late.readiness()["models"] is False
    there.set()
    warming.join(PATIENCE)
    assert late.readiness()["models"] is True


def test_a_server_that_stops_does_not_warm_up_any_more(host):
    def fail() -> None:
        raise OSError("no such model")

    stopping = Host(host._settings, fail)
    stopping.stop()
    settled = threading.Event()
    settled.set()
    stopping.warm_up.run(settled)  # it returns
    assert stopping.readiness()["models"] is False


def test_freezing_exempts_present_objects_from_collection(monkeypatch):
    calls = []
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    monkeypatch.setattr(gc, "collect", lambda: calls.append("collect"))
    memory.freeze()
    assert calls == ["collect", "freeze"]


def test_streamlit_does_not_collect_garbage_after_every_run():
    assert not tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["runner"][
        "postScriptGC"
    ]


NOISE = f"""
import logging, threading, warnings
from genrekit.app import logs
logs.install()
from streamlit.logger import get_logger, update_formatter
update_formatter()
def fail():
    raise ValueError("{SECRET}")
try:
    fail()
except ValueError as error:
    get_logger("streamlit.web.late").exception("cannot take %s", "{SECRET}")
    logging.getLogger("asyncio").error("Task failed\\nfuture: {SECRET}", exc_info=error)
    logs.event("page failed", error=error, job=logs.short("abcdefghijklmnopqrstuv"))
    get_logger("uvicorn.access").warning("%s asked for %s", "10.9.8.7", "{SECRET}")
threading.Thread(target=fail).start()
warnings.warn("about {SECRET}")
fail()
"""


def test_every_log_line_is_json_and_reveals_nothing_of_visitors(run_python):
    done = run_python("-c", NOISE)
    assert SECRET not in done.stderr + done.stdout
    assert "10.9.8.7" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = [(line["event"], line.get("error")) for line in lines]
    assert told == [
        ("cannot take %s", "ValueError"),
        ("Task failed", "ValueError"),
        ("page failed", "ValueError"),
        ("uncaught", "ValueError"),
        ("warning", None),
        ("uncaught", "ValueError"),
    ]
    assert lines[2]["job"] == "abcdef"
    assert all(line["time"].endswith("+00:00") and line["level"] for line in lines)


def test_a_bug_in_a_job_is_reported_plainly(run_python, tmp_path):
    job = tmp_path / ("d" * 22)
    job.mkdir()
    about = {"kind": "dataset", "title": "x", "owner": "me", "created": 0, "folder": ""}
    (job / "job.json").write_text(json.dumps(about | {"commands": [["demo-data", "audio"]]}))
    code = f"""
import genrekit.audio.synth.demo
def fail(*_, **__):
    raise RuntimeError("{SECRET}")
genrekit.audio.synth.demo.write_demo_dataset = fail
from genrekit.app.jobs.run import main
main({str(job)!r}, {Walls(4000, 1000, False).to_text()!r})
"""
    # A job makes its session nicer, which without one of its own is that of these tests.
    done = run_python("-c", code, start_new_session=True)
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "RuntimeError at " in done.stderr
    assert "genrekit/cli/commands.py:" in done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1] == {"type": "exit", "status": 3}
    assert "Something went wrong on our side" in events[-2]["message"]
