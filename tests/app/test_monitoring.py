"""Figures for monitoring: what they count, where they are open, and where not."""

import logging
import socket
import urllib.request
from contextlib import contextmanager

import prometheus_client as prometheus
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed
from streamlit import config

from genrekit.app import session
from genrekit.app.host import metrics
from genrekit.app.logs import event
from genrekit.app.settings import Settings
from genrekit.errors import SettingsError

ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def asked(port: int) -> dict[tuple, float]:
    """Return each figure by its name and the values of its labels, as monitoring reads them."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=ACCEPT)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parsed(text)
        for sample in family.samples
    }


@contextmanager
def serving(**chosen):
    handlers = logging.getLogger().handlers[:]
    server = metrics.serve(Settings(**chosen))
    try:
        yield server
    finally:
        logging.getLogger().handlers[:] = handlers
        if server is not None:
            server.shutdown()
            server.server_close()


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The jobs of a server without sessions, none of which starts."""
    found = session.Jobs(Settings(jobs_folder=tmp_path / "jobs"))
    found.close()
    monkeypatch.setattr(session, "jobs", lambda: found)
    monkeypatch.setattr(metrics, "present", lambda: 3)
    return found


def test_jobs_sessions_and_the_disk_are_those_of_the_moment(jobs):
    port = free_port()
    with serving(metrics_port=port):
        assert asked(port)[("genrekit_jobs", "waiting")] == 0
        job = jobs.add(jobs.new_folder(), "dataset", "Test", [["demo-data", "audio"]], "me")
        (job.folder / "audio").write_bytes(bytes(1_000_000))
        there = asked(port)
    assert there[("genrekit_jobs", "waiting")] == 1
    assert there[("genrekit_jobs", "done")] == 0
    assert 1_000_000 < there[("genrekit_jobs_bytes",)] < 1_010_000
    assert there[("genrekit_free_bytes",)] > 0
    assert there[("genrekit_sessions",)] == 3


def test_verdicts_refusals_and_lost_workers_are_counted_from_the_log(jobs, caplog):
    caplog.set_level(logging.INFO, "genrekit.server")
    port = free_port()
    with serving(metrics_port=port):
        for seconds in (0.2, 3.0):
            event("verdict", seconds=10.0, duration=seconds, sure=True)
        event("job refused", kind="dataset", reason="queue")
        event("upload refused", status=413, megabytes=1.0)
        event("message refused", reason="rate")
        event("message refused", reason="rate")
        event("refused", error=SettingsError("no"))
        event("sound refused", duration=0.1)
        event("connection refused", connections=200)
        logging.getLogger("genrekit.isolation.pool").warning("A worker was lost: time")
        event("server stops")
        there = asked(port)
    assert there[("genrekit_verdict_seconds_count",)] == 2
    assert there[("genrekit_verdict_seconds_sum",)] == pytest.approx(3.2)
    assert there[("genrekit_verdict_seconds_bucket", "0.25")] == 1
    refused = {
        name[1:]: count for name, count in there.items() if name[0] == "genrekit_refused_total"
    }
    assert refused == {
        ("job", "queue"): 1,
        ("upload", "413"): 1,
        ("message", "rate"): 2,
        ("page", "SettingsError"): 1,
        ("sound", ""): 1,
        ("connection", ""): 1,
    }
    assert there[("genrekit_workers_lost_total",)] == 1


def test_what_a_refusal_is_counted_by_says_nothing_about_visitors():
    """The values of labels are kept for ever, so there must be few."""
    registry = prometheus.CollectorRegistry()
    handler = metrics.Count(registry)
    record = logging.makeLogRecord({"msg": "upload refused", "genrekit_data": {"status": 403}})
    for _ in range(3):
        handler.emit(record)
    labels = {"what": "upload", "why": "403"}
    assert registry.get_sample_value("genrekit_refused_total", labels) == 3


def test_no_port_is_opened_unless_the_host_asks_for_one(jobs):
    with serving() as server:
        assert server is None


def test_it_is_open_to_this_machine_alone_unless_the_host_says_where():
    port = free_port()
    with serving(metrics_port=port) as server:
        assert server.server_address == ("127.0.0.1", port)
    with serving(metrics_port=port, metrics_address="0.0.0.0") as server:
        assert server.server_address == ("0.0.0.0", port)


def test_a_port_that_cannot_be_had_is_refused_in_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            SettingsError, match=f"GENREKIT_METRICS_PORT is {port}, which cannot be"
        ):
            metrics.serve(Settings(metrics_port=port))
    ours = config.get_option("server.port")
    with pytest.raises(SettingsError, match="the visitors' port: name another one"):
        metrics.serve(Settings(metrics_port=ours))
