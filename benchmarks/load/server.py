"""A server for a benchmark, with its use of memory and processor."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from benchmarks.speed.compare import ROOT

START_SECONDS = 120.0
STOP_SECONDS = 20.0


class Server:
    """The app on a free port of this machine; made by `running`."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.url = url
        self._process = process
        self._log = log

    def wait_until_ready(self) -> None:
        """Wait until everything has been imported and a first verdict was computed."""
        _wait_for(f"{self.url}/readyz")

    def memory(self) -> float:
        """Return the memory of its processes in MB; shared memory is counted once."""
        total = 0
        for pid in _family(self._process.pid):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue  # it has just ended
            total += sum(int(line.split()[1]) for line in text.splitlines() if "Pss:" in line[:4])
        return total / 1024

    def processor_seconds(self) -> float:
        """Return the processor time of its own process in s."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def errors(self) -> list[str]:
        """Return the lines of its log that report an error, or are not ours."""
        return [line for line in self._log.read_text().splitlines() if _is_error(line)]


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Server]:
    """Run a server with its jobs and its log in `folder`, from the moment it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", *options],
            cwd=ROOT,
            env=os.environ | {"GENREKIT_JOBS_FOLDER": str(folder / "jobs")} | environment,
            stdout=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/_stcore/health")
        yield Server(url, process, log)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _wait_for(address: str) -> None:
    until = perf_counter() + START_SECONDS
    while perf_counter() < until:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"{address} does not answer.")


def _family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def _is_error(line: str) -> bool:
    try:
        return bool(json.loads(line)["level"] == "error")
    except (ValueError, KeyError, TypeError):
        return True
