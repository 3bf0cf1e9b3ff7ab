"""Figures about the server for monitoring, in the format of OpenMetrics, at a port of their own.

They are counted from the log's events, or looked up when they are asked for. None is about a
visitor.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from wsgiref.simple_server import WSGIServer

import prometheus_client as prometheus
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from streamlit import config

from genrekit.app import session
from genrekit.app.host.memory import present
from genrekit.app.jobs import storage
from genrekit.app.logs import DATA
from genrekit.app.settings import Settings
from genrekit.errors import SettingsError

__all__ = ["Count", "serve"]

_STATES: Final = (
    *("waiting", "running", "done", "failed", "cancelled", "timed out", "interrupted"),
)
_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LOST: Final = "A worker was lost"


def serve(settings: Settings) -> WSGIServer | None:
    """Answer at the host's port, in threads; None where the host wants none.

    Raises
    ------
    SettingsError
        The port cannot be opened.
    """
    port = settings.metrics_port
    if not port:
        return None
    said = f"GENREKIT_METRICS_PORT is {port}"
    if port == config.get_option("server.port"):
        raise SettingsError(f"{said}, the visitors' port: name another one.")
    registry = prometheus.CollectorRegistry()
    registry.register(_Now())
    prometheus.ProcessCollector(registry=registry)
    logging.getLogger().addHandler(Count(registry))
    try:
        server, _ = prometheus.start_http_server(port, settings.metrics_address, registry)
    except OSError as error:
        raise SettingsError(
            f"{said}, which cannot be opened at {settings.metrics_address} ({error.strerror}): "
            "name a free port, and an address of this machine."
        ) from None
    return server


class Count(logging.Handler):
    """A handler of the log that counts what happens."""

    def __init__(self, registry: prometheus.CollectorRegistry) -> None:
        super().__init__()
        self._verdict = prometheus.Histogram(
            "genrekit_verdict_seconds",
            "From a song to its verdict, unless it was remembered",
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = prometheus.Counter(
            "genrekit_refused",
            "What was refused, such as uploads, and why",
            ["what", "why"],
            registry=registry,
        )
        self._lost = prometheus.Counter(
            "genrekit_workers_lost",
            "Processes that a song has cost: they crashed, or took too long or too much memory",
            registry=registry,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Count an event of the log."""
        data: dict[str, Any] = getattr(record, DATA, {})
        text = str(record.msg)
        if text == "verdict":
            self._verdict.observe(data["duration"])
        elif text.startswith(_LOST):
            self._lost.inc()
        elif text.endswith("refused"):
            error = record.exc_info[0] if record.exc_info else None
            why = data.get("reason", data.get("status", error.__name__ if error else ""))
            self._refused.labels(text.removesuffix("refused").strip() or "page", str(why)).inc()


class _Now(Collector):
    """What is looked up when somebody asks."""

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        jobs = session.jobs()
        sizes = [(job.status, storage.size_of(job)) for job in jobs.all()]
        of_state = Counter(status for status, _ in sizes)
        family = GaugeMetricFamily("genrekit_jobs", "Jobs in the folder", labels=["state"])
        for state in _STATES:
            family.add_metric([state], of_state[state])
        yield family
        for name, about, value in (
            ("genrekit_jobs_bytes", "Disk space that jobs take", sum(size for _, size in sizes)),
            ("genrekit_free_bytes", "Free space on their disk", storage.free_bytes(jobs.root)),
            ("genrekit_sessions", "Open tabs", present()),
        ):
            yield GaugeMetricFamily(name, about, value=value)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: the figures are not looked up before the server runs."""
        yield from ()
