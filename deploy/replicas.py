"""`python -m deploy.replicas`: two replicas behind nginx, a browser, and one replica that dies.

Starts two replicas of the app with one folder for jobs, and nginx with deploy/nginx.conf before
them; then drives Chromium through nginx over TLS, kills the replica that serves it in the middle
of a job, and tells what becomes of the visit and the job. On Linux each replica gets process
numbers of its own where `unshare` allows it, so that it dies as a container does: with its jobs.

Needs nginx, openssl, Chromium and requirements-dev.txt; takes one to three minutes, and gives up
after three (`--seconds` grants a busy machine more). The exit status is 0 when every step
succeeded, and 1 when one did not.
"""

import argparse
import contextlib
import http.client
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NoReturn

__all__ = ["ROOT", "main", "render", "write_nginx"]

ROOT: Final = Path(__file__).resolve().parents[1]
TEMPLATE: Final = ROOT / "deploy" / "nginx.conf"
TRIAL_SECONDS: Final = 165
UPLOAD_MEGABYTES: Final = 100
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
FLAGS: Final = (
    "--headless --no-sandbox --disable-quic --no-first-run "
    # WebGL without a graphics card: whether the page's policy allows it shows with it only.
    "--use-angle=swiftshader --enable-unsafe-swiftshader "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
# The kinds that a visitor's browser asks for below the path of a page first, meaning nothing.
HARMLESS: Final = ("/_stcore/health", "/_stcore/host-config")
COOKIE: Final = "genrekit_replica"


class TrialError(Exception):
    """A step did not succeed; the message says how."""


# --- nginx's configuration, also for tests --------------------------------------------------


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill in the names in capitals, as nginx's image does from its environment.

    Raises
    ------
    KeyError
        The template has a name that `values` has not.
    """
    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)\}", lambda name: values[name[1]], template)


def write_nginx(folder: Path, values: Mapping[str, str]) -> Path:
    """Write deploy/nginx.conf, filled in, and a main file around it that keeps to `folder`."""
    site = render(TEMPLATE.read_text(encoding="utf-8"), values)
    for device, name in (("/dev/stdout", "access.log"), ("/dev/stderr", "error.log")):
        site = site.replace(device, str(folder / name))
    (folder / "site.conf").write_text(site, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    # Root's workers become another user, who may not write to this folder.
    user = "user root;\n" if os.getuid() == 0 else ""
    main_file = folder / "main.conf"
    main_file.write_text(
        f"{user}daemon off;\nworker_processes 2;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\ndefault_type application/octet-stream;\n{temporary}"
        f"include {folder}/site.conf;\n}}\n",
        encoding="utf-8",
    )
    return main_file


def make_certificate(folder: Path) -> dict[str, str]:
    """A self-signed certificate, as values for the template."""
    subprocess.run([ROOT / "deploy" / "certificate.sh", folder], check=True)
    return {
        "TLS_CERTIFICATE": str(folder / "certificate.pem"),
        "TLS_KEY": str(folder / "key.pem"),
    }


# --- what runs ------------------------------------------------------------------------------


def own_process_numbers() -> list[str]:
    """The command before another that gives it process numbers of its own; empty if not allowed."""
    user = [] if os.getuid() == 0 else ["--user", "--map-current-user"]
    command = ["unshare", *user, "--pid", "--mount-proc", "--fork", "--kill-child"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return command if allowed.returncode == 0 else []


class Replica:
    """One server of the app."""

    def __init__(self, number: int, port: int, folder: Path, secret: str, before: list[str]):
        self.number, self.port = number, port
        self._log = folder / f"replica-{number}.log"
        self._before = before
        self._environment = os.environ | {
            "GENREKIT_JOBS_FOLDER": str(folder / "jobs"),
            "STREAMLIT_SERVER_COOKIE_SECRET": secret,
            "GENREKIT_MODE": "public",
            "GENREKIT_UPLOAD_MEGABYTES": str(UPLOAD_MEGABYTES),
            "GENREKIT_TRUSTED_PROXIES": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--server.headless=true", "--server.address=127.0.0.1"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._before, sys.executable, "-m", "streamlit", "run", "streamlit_app.py",
                 *options, f"--server.port={self.port}"],
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    def wait_until_healthy(self) -> None:
        try:
            until(self._healthy, 120, f"replica {self.number} does not answer")
        except TrialError as error:
            log = " ".join(self._log.read_text(errors="replace").split())
            raise TrialError(f"{error}; its log ends: {log[-500:] or '(empty)'}") from None

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _healthy(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise TrialError(f"replica {self.number} has ended")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_stcore/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def running_nginx(main_file: Path, port: int) -> Iterator[None]:
    command = ["nginx", "-c", str(main_file)]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True)
    if tested.returncode:
        raise TrialError(f"nginx refuses the configuration: {tested.stderr.strip()}")
    process = subprocess.Popen(command)
    try:
        until(lambda: _accepts(port), 10, "nginx does not listen")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- small tools ----------------------------------------------------------------------------


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


_ends = float("inf")  # when the whole trial must be over, by time.monotonic


def deadline_in(seconds: float) -> float:
    return min(time.monotonic() + seconds, _ends)


def until(condition: Callable[[], Any], seconds: float, otherwise: str) -> Any:
    """Wait for a true value and return it."""
    deadline = deadline_in(seconds)
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TrialError(otherwise)
        time.sleep(0.1)
    return value


def need(condition: object, otherwise: str) -> None:
    if not condition:
        raise TrialError(otherwise)


@contextlib.contextmanager
def step(what: str) -> Iterator[list[str]]:
    """Print a step when it is over; what is put into the list is printed with it."""
    begun, notes = time.monotonic(), list[str]()
    try:
        yield notes
    except BaseException:
        say(f"FAILED  {what} ({time.monotonic() - begun:.1f} s)")
        raise
    say(
        f"ok      {what} ({time.monotonic() - begun:.1f} s)"
        + "".join(f"\n        {n}" for n in notes)
    )


# --- the proxy alone ------------------------------------------------------------------------


class Client:
    """Requests without a browser, each without cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._trusting = ssl.create_default_context()
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, context=self._trusting
        )

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response

    def announce_upload(self, megabytes: int) -> int:
        """The status of an upload of which only the length is sent."""
        connection = self.connect()
        connection.putrequest("PUT", "/_stcore/upload_file/x/y")
        connection.putheader("Content-Length", str(megabytes * 2**20))
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status


def check_proxy(client: Client, http_port: int) -> None:
    with step("nginx adds its headers, compresses, and hides what is nobody's business"):
        page = client.get("/")
        need(page.status == 200, f"the first page has status {page.status}")
        policy = page.headers["Content-Security-Policy"] or ""
        need("frame-ancestors 'self'" in policy, "there is no Content-Security-Policy")
        need(page.headers["X-Content-Type-Options"] == "nosniff", "nosniff is missing")
        style = re.search(r"static/css/[\w.-]+css", _body(client, "/"))
        need(style, "the page names no style sheet")
        packed = client.get("/" + style[0], **{"Accept-Encoding": "gzip"})  # type: ignore[index]
        need(packed.headers["Content-Encoding"] == "gzip", "style sheets are not compressed")
        for path in ("/_stcore/metrics", "/dataset/_stcore/metrics", "/_stcore/agent/openapi.json"):
            status = client.get(path).status
            need(status == 404, f"{path} has status {status}")
        plain = http.client.HTTPConnection("127.0.0.1", http_port, timeout=10)
        plain.request("GET", "/dataset")
        need(plain.getresponse().status == 301, "HTTP does not lead to HTTPS")
        plain.close()
    with step(f"an upload over {UPLOAD_MEGABYTES} MB is refused before it is sent"):
        status = client.announce_upload(UPLOAD_MEGABYTES + 1)
        need(status == 413, f"its status is {status}")


def _body(client: Client, path: str) -> str:
    connection = client.connect()
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def check_draw(client: Client) -> None:
    with step("newcomers are spread over both replicas") as notes:
        drawn = Counter(
            found[1]
            for _ in range(24)
            if (found := re.search(COOKIE + r"=(\d)", client.get("/").headers["Set-Cookie"] or ""))
        )
        need(set(drawn) == {"1", "2"}, f"24 newcomers were spread so: {dict(drawn)}")
        notes.append(f"of 24: {drawn['1']} to replica 1, {drawn['2']} to replica 2")


def check_limits(client: Client) -> None:
    def flood(_: int) -> Counter[int]:
        connection, statuses = client.connect(), Counter[int]()
        for _ in range(50):
            connection.request("GET", "/train")
            response = connection.getresponse()
            response.read()
            statuses[response.status] += 1
        connection.close()
        return statuses

    with step("a flood from one address is slowed down") as notes:
        with ThreadPoolExecutor(10) as threads:
            statuses = sum(threads.map(flood, range(10)), Counter[int]())
        need(set(statuses) == {200, 429}, f"500 pages got {dict(statuses)}")
        notes.append(f"of 500 pages at once: {statuses[200]} served, {statuses[429]} refused (429)")


def check_logs(folder: Path, secrets_seen: list[str]) -> None:
    with step("the logs are JSON and hold no file names, job ids or query strings") as notes:
        lines = (folder / "access.log").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        uploads = [entry for entry in entries if entry["method"] == "PUT"]
        need(uploads, "no upload was logged")
        everything = "\n".join(lines) + (folder / "error.log").read_text(encoding="utf-8")
        for text in (*secrets_seen, "?"):
            need(text not in everything, f'the logs hold "{text}"')
        good = sum(200 <= entry["status"] < 300 for entry in uploads)
        notes.append(f"{len(entries)} lines, {good} uploads that arrived")


# --- the browser ----------------------------------------------------------------------------


class Visitor:
    """A browser tab, and what went wrong in it."""

    def __init__(self, page: Any, base: str) -> None:
        self.page, self.base = page, base
        self.problems: list[str] = []
        self.closed_websockets = 0
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("websocket", lambda one: one.on("close", self._count))

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)
        self.page.get_by_role("heading", level=1).first.wait_for(timeout=60_000)
        self.page.wait_for_selector("[data-test-script-state=notRunning]", timeout=60_000)

    def replica(self) -> int:
        """The number in the cookie."""
        cookies = {cookie["name"]: cookie["value"] for cookie in self.page.context.cookies()}
        return int(cookies.get(COOKIE, "0"))

    def sees(self, *texts: str) -> str | None:
        """The first of these patterns that stands on the page."""
        seen = self.page.locator("[data-testid=stMain]").inner_text()
        return next((text for text in texts if re.search(text, seen)), None)

    def wait_to_see(self, *texts: str, seconds: float = 60) -> str:
        """Wait for one of these patterns; the browser's events are dealt with meanwhile."""
        deadline = deadline_in(seconds)
        while not (found := self.sees(*texts)):
            if time.monotonic() > deadline:
                said = " ".join(self.page.locator("[data-testid=stMain]").inner_text().split())
                raise TrialError(f"the page never says any of {texts}; it says: {said[:600]}")
            self.page.wait_for_timeout(200)
        return found

    def upload(self, name: str, content: bytes) -> int:
        """Put a file into the first place for files; the status of the upload."""
        place = self.page.locator("input[type=file]").first
        place.wait_for(state="attached", timeout=30_000)
        file = {"name": name, "mimeType": "audio/ogg", "buffer": content}
        with self.page.expect_response(
            lambda response: "/_stcore/upload_file/" in response.url, timeout=30_000
        ) as sent:
            place.set_input_files([file])
        return int(sent.value.status)

    def _count(self, _: Any) -> None:
        self.closed_websockets += 1

    def _note(self, message: Any) -> None:
        address = message.location.get("url", "")
        if message.type == "error" and not address.endswith(HARMLESS):
            self.problems.append(f"{message.text} {address}")


def song(seed: int) -> bytes:
    """Seven seconds of jazz in an Ogg file."""
    import soundfile

    from genrekit.audio.synth.rendering import render as compose

    file = io.BytesIO()
    soundfile.write(file, compose("jazz", seed=seed, seconds=7), 22050, format="OGG")
    return file.getvalue()


def hear_verdict(visitor: Visitor, name: str, seed: int) -> None:
    """Upload a song on the classify page and wait for a probability."""
    probability = r"\b\d{1,3} ?%"
    visitor.open("/classify")
    need(not visitor.sees(probability), "a verdict stands there before the song")
    status = visitor.upload(name, song(seed))
    need(200 <= status < 300, f"the upload has status {status}")
    visitor.wait_to_see(probability)
    need(visitor.sees(re.escape(name)), f"the page does not name {name}")


def try_out(visitor: Visitor, replicas: Mapping[int, Replica], contained: bool) -> list[str]:
    """The visit, from the first page to the death of its replica and beyond.

    Returns
    -------
    list of str
        What no log may hold.
    """
    with step("a browser opens the app over TLS") as notes:
        visitor.open("/")
        first = until(visitor.replica, 10, "no cookie names the replica")
        notes.append(f"its visit is with replica {first}")
    with step("it uploads a song and gets a verdict"):
        hear_verdict(visitor, "first-song.ogg", 1)
        need(not visitor.problems, f"the browser complains: {visitor.problems}")
        need(visitor.replica() == first, "the visit moved without a reason")
    with step("it starts a demo dataset job, which makes progress"):
        visitor.open("/dataset")
        visitor.page.get_by_role("button", name=re.compile("demo dataset")).first.click()
        visitor.wait_to_see(r"\d+ of \d+ tracks")
        job = re.search(r"[?&]dataset=([\w-]+)", visitor.page.url)
        need(job, "the address does not name the job")
    second = 3 - first
    with step(f"replica {first} is killed, and the browser finds replica {second}") as notes:
        closed = visitor.closed_websockets
        replicas[first].kill()
        _wait_for_move(visitor, closed, second)
    with step("the job's result is there") as notes:
        notes.append(_finish_job(visitor, contained))
    with step("the page's policy lets Plotly draw the map of segments with WebGL") as notes:
        notes.extend(_draw_map(visitor))
    with step(f"replica {second} takes uploads of the visit that moved to it"):
        hear_verdict(visitor, "second-song.ogg", 2)
        need(visitor.replica() == second, "the visit moved again")
    with step(f"replica {first} is back, and the visit stays with replica {second}"):
        replicas[first].start()
        replicas[first].wait_until_healthy()
        # Longer than nginx's fail_timeout: from now on it would ask the first replica again.
        visitor.page.wait_for_timeout(6000)
        status = visitor.upload("third-song.ogg", song(3))
        need(200 <= status < 300, f"an upload beside the old websocket has status {status}")
        need(visitor.replica() == second, "the visit moved back")
    return ["song.ogg", job[1] if job else ""]


def _wait_for_move(visitor: Visitor, closed: int, second: int) -> None:
    deadline = deadline_in(30)
    while visitor.replica() != second:
        visitor.page.wait_for_timeout(200)
        need(time.monotonic() < deadline, "the browser never reached the other replica")
    need(visitor.closed_websockets > closed, "the killed replica did not hold the websocket")


def _draw_map(visitor: Visitor) -> list[str]:
    """Plotly tells a forbidden WebGL from a missing one as little as it can."""
    visitor.problems.clear()
    if not visitor.page.evaluate("!!document.createElement('canvas').getContext('webgl')"):
        return ["not looked at: this browser has no WebGL"]
    visitor.page.wait_for_selector("[data-test-script-state=notRunning]", timeout=60_000)
    visitor.page.get_by_text("Map of all segments").first.click()
    visitor.page.locator(".js-plotly-plot canvas").first.wait_for(state="attached", timeout=90_000)
    visitor.page.wait_for_timeout(2000)
    need(visitor.page.get_by_text("WebGL is not supported").count() == 0, "it does not")
    # Not every complaint: a sound of the view that was left may be gone when it is asked for.
    refused = [problem for problem in visitor.problems if "Security Policy" in problem]
    need(not refused, f"the browser complains: {refused}")
    return []


def _finish_job(visitor: Visitor, contained: bool) -> str:
    """Wait for the result as long as the trial may last, resuming the job if it died."""
    found = visitor.wait_to_see("What you have now", "Interrupted", seconds=3600)
    if found == "What you have now":
        if contained:
            return "the other replica had started the job: it went on"
        return "replicas share their process numbers here: the job outlived its server and went on"
    visitor.page.get_by_role("button", name="Resume").click()
    visitor.wait_to_see("What you have now", seconds=3600)
    return "the job died with its replica, was shown as interrupted, and was resumed on the other"


# --- all of it ------------------------------------------------------------------------------


def missing() -> list[str]:
    """What the trial needs and this machine has not."""
    absent = [f"{name} (apt-get install {name})" for name in ("nginx", "openssl")
              if not shutil.which(name)]  # fmt: skip
    if not any(map(shutil.which, BROWSERS)):
        absent.append("Chromium (apt-get install chromium)")
    try:
        import playwright  # noqa: F401
    except ImportError:
        absent.append("Playwright (pip install -r requirements-dev.txt)")
    return absent


def trial(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    http_port, https_port, *ports = free_ports(4)
    before = own_process_numbers()
    secret = secrets.token_hex(32)
    replicas = {n: Replica(n, port, folder, secret, before) for n, port in enumerate(ports, 1)}
    values = make_certificate(folder) | {
        "REPLICA_1": f"127.0.0.1:{ports[0]}",
        "REPLICA_2": f"127.0.0.1:{ports[1]}",
        "HTTP_PORT": f"127.0.0.1:{http_port}",
        "HTTPS_PORT": f"127.0.0.1:{https_port}",
        "UPLOAD_MEGABYTES": str(UPLOAD_MEGABYTES),
        "HSTS_SECONDS": "0",
    }
    with contextlib.ExitStack() as stack:
        with step("two replicas and nginx start") as notes:
            for replica in replicas.values():
                stack.callback(replica.kill)
                replica.start()
            for replica in replicas.values():
                replica.wait_until_healthy()
            stack.enter_context(running_nginx(write_nginx(folder, values), https_port))
            if not before:
                notes.append("without process numbers of their own: unshare is not allowed here")
        client = Client(https_port)
        check_proxy(client, http_port)
        playwright = stack.enter_context(sync_playwright())
        chromium = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        stack.callback(browser.close)
        page = browser.new_context(ignore_https_errors=True).new_page()
        seen = try_out(Visitor(page, f"https://127.0.0.1:{https_port}"), replicas, bool(before))
        check_draw(client)
        check_limits(client)
    check_logs(folder, seen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when a step failed or something is missing."""
    global _ends
    parser = argparse.ArgumentParser(prog="python -m deploy.replicas", description=__doc__)
    parser.add_argument("--seconds", type=int, default=TRIAL_SECONDS, help="in all (%(default)s)")
    seconds = parser.parse_args(arguments).seconds
    absent = missing()
    if absent:
        say("This needs " + ", ".join(absent) + ".")
        return 1

    def too_long(number: int, frame: Any) -> NoReturn:
        raise TrialError(f"it took longer than {seconds} s in all")

    _ends = time.monotonic() + seconds
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds + 10)  # for what waits without asking deadline_in
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="genrekit-", ignore_cleanup_errors=True) as folder:
        try:
            trial(Path(folder))
        except TrialError as error:
            say(f"        {error}")
            return 1
        except Exception as error:
            say(f"        {type(error).__name__}: {str(error).strip().splitlines()[0]}")
            return 1
        finally:
            signal.alarm(0)
    say(f"Every step succeeded, in {time.monotonic() - begun:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
