"""The image, the proxy, compose and Kubernetes files: read, not run.

`python -m deploy.replicas` runs the proxy and two replicas; here is what can be told in a moment.
"""

import contextlib
import fnmatch
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from streamlit import config

from deploy.replicas import ROOT, main, make_certificate, missing, render, write_nginx
from genrekit.app.jobs.queue import Jobs
from genrekit.app.settings import Settings

DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
VALUES = {
    "REPLICA_1": "127.0.0.1:8501",
    "REPLICA_2": "127.0.0.1:8502",
    "HTTP_PORT": "127.0.0.1:8080",
    "HTTPS_PORT": "127.0.0.1:8443",
    "TLS_CERTIFICATE": "/tls/certificate.pem",
    "TLS_KEY": "/tls/key.pem",
    "UPLOAD_MEGABYTES": "50",
    "HSTS_SECONDS": "0",
}
PUBLIC = Settings.from_environment({"GENREKIT_MODE": "public"})


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


# --- the image ------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order: name and the rest, on one line."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in whole.splitlines() if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def copied() -> list[str]:
    """Return what the image copies from this folder."""
    return [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]


def ignored(path: str) -> bool:
    """Return whether the build ignores a path: the last rule for it or a parent decides."""
    parts = path.split("/")
    parents = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    verdict = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        rule = line.strip().removeprefix("!")
        if not rule or rule.startswith("#"):
            continue
        anywhere = rule.removeprefix("**/")
        if any(
            fnmatch.fnmatch(parent, rule)
            or (rule != anywhere and fnmatch.fnmatch(Path(parent).name, anywhere))
            for parent in parents
        ):
            verdict = not line.startswith("!")
    return verdict


def test_the_base_image_is_a_pinned_slim_python_that_is_supported():
    bases = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases.pop())


def test_the_image_runs_unprivileged_and_checks_its_health():
    last = dict(stages()[-1])
    uid, gid = last["USER"].split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert ":8501/healthz" in last["HEALTHCHECK"], "it answers there whatever the base path is"
    assert last["VOLUME"] == "/jobs"
    assert "GENREKIT_JOBS_FOLDER=/jobs" in last["ENV"]
    assert "streamlit_app.py" in last["CMD"]
    order = [name for name, _ in stages()[-1]]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in ("RUN", "COPY"))


def test_the_app_may_change_nothing_in_the_image_and_its_jobs_are_private():
    runs = [rest for name, rest in stages()[-1] if name == "RUN"]
    assert any("--owner=genrekit" in run and "--mode=700 /jobs" in run for run in runs)
    assert not any(re.search(r"\b(chown|chmod)\b", rest) for _, rest in stages()[-1])


def test_no_build_tools_reach_the_image():
    last = " ".join(rest for _, rest in stages()[-1])
    assert not re.search(r"\b(pip|apt-get|gcc|make|git|curl)\b", last)
    assert "pip uninstall --yes pip" in DOCKERFILE


def test_everything_that_the_image_copies_exists_and_is_seen_by_the_build():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        wanted = ".streamlit/config.toml" if source == ".streamlit" else source
        assert not ignored(wanted), source


def test_the_image_has_all_that_the_app_runs():
    needed = ["streamlit_app.py", "pages", "genrekit", "models", "examples", ".streamlit"]
    assert set(needed) <= {source.rstrip("/") for source in copied()}


@pytest.mark.parametrize(
    "path",
    ["jobs/abc/audio/song.mp3", ".git/config", "tests/test_mel.py", ".streamlit/secrets.toml",
     "genrekit/__pycache__/mel.cpython-311.pyc", "deploy/.env", "deploy/tls/key.pem"],
)  # fmt: skip
def test_the_build_ignores_what_the_image_must_not_have(path):
    assert ignored(path)


def test_pytorch_is_installed_first_from_the_address_that_is_given():
    runs = [rest for name, rest in stages()[0] if name == "RUN"]
    first = next(i for i, run in enumerate(runs) if '--index-url "$TORCH_INDEX_URL"' in run)
    second = next(i for i, run in enumerate(runs) if "install -r" in run)
    assert first < second
    assert re.search(r"^torch==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


# --- the proxy ------------------------------------------------------------------------------


def site() -> str:
    return render(text("nginx.conf"), VALUES)


def locations() -> dict[str, str]:
    """Return what follows each "location", with its directives."""
    found = re.findall(r"^    location (.+?) \{\n(.*?)^    \}", site(), re.DOTALL | re.MULTILINE)
    return dict(found)


def location(uri: str) -> str:
    """Return the directives that nginx uses: of the first regular expression, or the prefix."""
    for rule, directives in locations().items():
        if rule.startswith("~ ") and re.search(rule[2:], uri):
            return directives
    return locations()["/"]


def test_the_template_is_filled_in_completely():
    assert not re.search(r"\$\{", site())
    assert "$request_id" in site(), "nginx's own variables stay"
    with pytest.raises(KeyError):
        render("${NOBODY_KNOWS}", VALUES)


def test_uploads_may_be_as_large_as_the_app_takes_and_nothing_else_may():
    limit = PUBLIC.upload_megabytes
    assert CONFIG["server"]["maxUploadSize"] == Settings().upload_megabytes
    assert f"client_max_body_size {limit:g}m;" in location("/_stcore/upload_file/a/b")
    assert "client_max_body_size 64k;" in site()


def test_a_slow_upload_does_not_occupy_a_replica():
    upload = location("/_stcore/upload_file/a/b")
    assert "proxy_request_buffering on;" in upload
    assert re.search(r"client_body_timeout +\d+s;", upload)


@pytest.mark.parametrize(
    ("uri", "zone"),
    [("/", "pages"), ("/classify", "pages"), ("/_stcore/upload_file/a/b", "uploads"),
     ("/live", "live"), ("/music/live", "live"), ("/_stcore/stream", "tabs"),
     ("/readyz", "pages"), ("/static/js/a.js", "files"), ("/music/media/a.wav", "files")],
)  # fmt: skip
def test_requests_from_one_address_are_limited(uri, zone):
    assert re.search(rf"limit_req zone={zone} burst=\d+ nodelay;", location(uri))
    assert re.search(rf"limit_req_zone +\$binary_remote_addr zone={zone}:\d+m +rate=", site())


def test_the_websocket_is_passed_on_and_may_be_silent_for_long():
    stream = location("/_stcore/stream")
    assert "proxy_set_header Upgrade    $http_upgrade;" in stream
    assert "proxy_read_timeout 1h;" in stream
    assert "limit_conn websockets" in stream


@pytest.mark.parametrize("uri", ["/_stcore/upload_file/a/b", "/live"])
def test_slow_senders_from_one_address_are_limited(uri):
    assert re.search(r"limit_conn sending \d+;", location(uri))
    assert re.search(r"limit_conn_zone +\$binary_remote_addr zone=sending:", site())
    assert "client_header_timeout 10s;" in site()


def test_replicas_believe_only_the_address_that_nginx_sees(compose):
    assert "proxy_set_header X-Forwarded-For   $remote_addr;" in site()
    assert "proxy_add_x_forwarded_for" not in site()
    assert compose["services"]["replica-1"]["environment"]["GENREKIT_TRUSTED_PROXIES"] == 1


def test_https_alone_for_a_year_is_an_option():
    rules = re.search(r'map "(\d+)" \$hsts \{\n +0 +"";\n +default "max-age=(\d+)";', site())
    assert rules[1] == rules[2] == "0", "and without a value nginx sends no header"
    assert "add_header Strict-Transport-Security $hsts always;" in site()
    assert "\nHSTS_SECONDS=0\n" in text("example.env")


def test_readiness_is_that_of_any_replica():
    assert "proxy_next_upstream error timeout http_503;" in location("/readyz")
    assert location("/music/readyz") == location("/readyz")


@pytest.mark.parametrize(
    "uri", ["/_stcore/metrics", "/dataset/_stcore/metrics", "/_stcore/agent/interact",
            "/_stcore/agent/mcp", "/_stcore/script-health-check", "/_stcore/metrics/",
            "/_stcore/bidi-components/other.part/part.js",
            "/healthz", "/readyz/", "/music/healthz", "/metrics", "/music/metrics",
            "/music/_stcore/metrics", "/_stcore/metrics/static/a.js"],
)  # fmt: skip
def test_internal_endpoints_are_not_found(uri):
    assert "return 404;" in location(uri)


@pytest.mark.parametrize(
    "uri", ["/", "/classify", "/_stcore/health", "/dataset/_stcore/host-config",
            "/_stcore/stream", "/_stcore/upload_file/a/b", "/media/a.wav", "/static/js/a.js",
            "/_stcore/bidi-components/genrekit.network_view/network_view.js",
            "/music/", "/music/classify", "/music/_stcore/stream", "/music/media/a.wav",
            "/music/static/js/a.js", "/music/_stcore/upload_file/a/b", "/live", "/music/live",
            "/_stcore/bidi-components/genrekit.live/live_worklet.js"],
)  # fmt: skip
def test_needed_endpoints_reach_a_replica(uri):
    assert "proxy_pass http://$group;" in location(uri)


@pytest.mark.parametrize("uri", ["/static/js/a.js", "/media/a.wav", "/component/a/a.js"])
def test_a_base_path_changes_nothing_else(uri):
    assert location(f"/music{uri}") == location(uri) != location("/")
    assert location(f"/our/music{uri}") == location(uri)


def test_headers_are_set_once_for_all_locations():
    """A location that adds headers of its own inherits none."""
    assert not any("add_header" in directives for directives in locations().values())


def test_tls_is_modern_and_the_version_of_nginx_hidden():
    (protocols,) = re.findall(r"ssl_protocols +(.*?);", site())
    assert set(protocols.split()) == {"TLSv1.2", "TLSv1.3"}
    assert site().count("server_tokens off;") == site().count("\nserver {") == 2
    assert re.search(r"proxy_cookie_flags +_streamlit_xsrf secure;", site())


def test_the_headers_of_the_replicas_are_the_ones_that_browsers_get():
    sent = re.findall(r"^ *add_header (\S+)", site(), re.MULTILINE)
    assert sent == ["Set-Cookie", "Strict-Transport-Security"]
    assert "proxy_hide_header" not in site()


def test_the_access_log_has_no_query_strings():
    log = re.search(r"log_format genrekit.*?;", site(), re.DOTALL)[0]
    assert not re.search(r"\$(request|request_uri|args|query_string|http_referer)\b", log)
    assert "escape=json" in log
    assert re.findall(r"access_log (.*?);", site()) == ["off", "/dev/stdout genrekit"]
    assert re.findall(r"error_log \S+ (.*?);", site()) == ["crit"], "others quote addresses"


def matches(variable: str, value: str) -> str:
    """Look up a value in one of the file's maps of regular expressions."""
    block = re.search(r"^map \S+|\"[^\"]*\" \$" + variable, site(), re.MULTILINE)
    assert block
    rules = re.search(r"\$" + variable + r" \{\n(.*?)^\}", site(), re.DOTALL | re.MULTILINE)[1]
    for line in rules.splitlines():
        source, result = shlex.split(line.strip().rstrip(";"))
        if source.startswith("~") and re.search(source[1:].replace("(?<", "(?P<"), value):
            return result
    return "default"


@pytest.mark.parametrize(
    ("kind", "cookie", "answered", "written"),
    [("stream", "1", "2", True), ("stream", "", "1", True), ("stream", "1", "", False),
     ("page", "", "1", True), ("page", "1", "2", False), ("part", "", "1", False)],
)  # fmt: skip
def test_the_cookie_follows_the_websocket(kind, cookie, answered, written):
    result = matches("replica_cookie", f"{kind}:{cookie}:{answered}")
    assert result.startswith("genrekit_replica=$answered") is written
    assert result.endswith("; Secure; HttpOnly; SameSite=Lax") is written


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("/_stcore/stream", "stream"), ("/a/_stcore/stream", "stream"), ("/_stcore/health", "part"),
     ("/media/x", "part"), ("/static/x", "part"), ("/classify", "default"), ("/", "default"),
     ("/live", "part"), ("/music/live", "part"),
     ("/music/media/x", "part"), ("/our/music/static/x", "part"), ("/music/", "default")],
)  # fmt: skip
def test_kinds_of_addresses(uri, kind):
    assert matches("kind", uri) == kind


@pytest.mark.parametrize(
    ("uri", "logged"),
    [("/_stcore/upload_file/visit/file", "$endpoint"), ("/media/0123abcd.wav", "/media"),
     ("/music/media/0123abcd.wav", "/media"), ("/classify", "default")],
)  # fmt: skip
def test_the_access_log_has_no_ids_of_visits_or_files(uri, logged):
    assert matches("logged_path", uri) == logged


@pytest.mark.parametrize(
    ("tried", "answered"),
    [("127.0.0.1:8501", "1"), ("127.0.0.1:8501, 127.0.0.1:8502", "2"), ("", "default")],
)
def test_the_last_address_is_the_one_that_answered(tried, answered):
    assert matches("answered", tried) == answered


def test_nginx_accepts_the_configuration(tmp_path):
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed (apt-get install nginx)")
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, which makes the certificate")
    main_file = write_nginx(tmp_path, VALUES | make_certificate(tmp_path))
    tested = subprocess.run(["nginx", "-t", "-c", main_file], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr or "http2" in tested.stderr


# --- compose --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(text("compose.yaml"))


def test_compose_gives_nginx_every_name_and_the_replicas_addresses(compose):
    names = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)\}", text("nginx.conf")))
    services = compose["services"]
    environment = services["nginx"]["environment"]
    assert set(environment) == names
    for number in (1, 2):
        address = services[f"replica-{number}"]["networks"]["inside"]["ipv4_address"]
        assert environment[f"REPLICA_{number}"] == f"{address}:8501"
    for port in (environment["HTTP_PORT"], environment["HTTPS_PORT"]):
        assert any(published.endswith(f":{port}") for published in services["nginx"]["ports"])


def test_the_replicas_share_jobs_and_secret_and_only_nginx_is_published(compose):
    services = compose["services"]
    for number in (1, 2):
        replica = services[f"replica-{number}"]
        assert replica["volumes"] == ["jobs:/jobs"]
        assert (
            "${STREAMLIT_SERVER_COOKIE_SECRET:?"
            in (replica["environment"]["STREAMLIT_SERVER_COOKIE_SECRET"])
        )
        assert "ports" not in replica
    assert "jobs" in compose["volumes"]


@pytest.mark.parametrize("name", ["replica-1", "replica-2", "nginx"])
def test_containers_have_the_least_privileges(compose, name):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)


def test_one_number_is_the_largest_upload_everywhere(compose):
    number = compose["services"]["nginx"]["environment"]["UPLOAD_MEGABYTES"]
    assert number.startswith("${GENREKIT_UPLOAD_MEGABYTES:?")
    assert f"\nGENREKIT_UPLOAD_MEGABYTES={PUBLIC.upload_megabytes:g}\n" in text("example.env")


def test_compose_has_no_defaults_of_its_own(compose):
    """Every setting can be written into .env, and what compose.yaml sets would override it."""
    assert re.findall(r"\$\{(\w+):-", text("compose.yaml")) == ["TORCH_INDEX_URL"], "and has none"
    for number in (1, 2):
        replica = compose["services"][f"replica-{number}"]
        assert replica["env_file"] == ".env"
        own = {name for name in replica["environment"] if name.startswith("GENREKIT_")}
        assert own == {"GENREKIT_MODE", "GENREKIT_TRUSTED_PROXIES"}, "facts, not choices"


def test_the_example_has_every_setting_with_its_default():
    lines = re.findall(r"^(?:# )?(GENREKIT_\w+)=(.*)", text("example.env"), re.MULTILINE)
    # By the image, compose.yaml and nginx.conf.
    fixed = {"mode", "jobs_folder", "folders", "trusted_proxies", "framed_by"}
    wanted = {f"GENREKIT_{one.name.upper()}" for one in fields(Settings) if one.name not in fixed}
    assert {name for name, _ in lines} == wanted
    assert Settings.from_environment({"GENREKIT_MODE": "public", **dict(lines)}) == PUBLIC
    asked = re.findall(r"^# STREAMLIT_(\w+?)_(\w+)=", text("example.env"), re.MULTILINE)
    assert asked == [("SERVER", "BASE_URL_PATH")]
    assert config.get_options_for_section("server")["baseUrlPath"] == ""


def test_the_example_names_what_compose_asks_for():
    asked = set(re.findall(r"\$\{(\w+):[?-]", text("compose.yaml")))
    named = set(re.findall(r"^#? ?([A-Z_]+)=", text("example.env"), re.MULTILINE))
    assert {name for name in named if f"\n{name}=" in text("example.env")} <= asked
    assert {"STREAMLIT_SERVER_COOKIE_SECRET", "TORCH_INDEX_URL"} <= named
    assert "STREAMLIT_SERVER_COOKIE_SECRET=\n" in text("example.env"), "no secret is given away"


def test_files_that_compose_mounts_exist_or_are_made(compose):
    for volume in compose["services"]["nginx"]["volumes"]:
        source = volume.split(":")[0]
        assert source == "./tls" or (DEPLOY / source).is_file()
    assert (DEPLOY / compose["services"]["replica-1"]["build"]["context"]).resolve() == ROOT


# --- Kubernetes -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> dict[tuple[str, str], dict]:
    """Return the objects by kind and name."""
    objects = list(yaml.safe_load_all(text("kubernetes.yaml")))
    assert all({"apiVersion", "kind", "metadata"} <= set(one) for one in objects)
    named = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(named) == len(objects)
    return named


@pytest.fixture
def pod(cluster) -> dict:
    return cluster["Deployment", "genrekit"]["spec"]["template"]["spec"]


def test_the_cluster_has_all_objects_of_known_versions(cluster):
    assert {(kind, one["apiVersion"]) for (kind, _), one in cluster.items()} == {
        ("Secret", "v1"), ("PersistentVolumeClaim", "v1"), ("Deployment", "apps/v1"),
        ("Service", "v1"), ("Ingress", "networking.k8s.io/v1"),
        ("NetworkPolicy", "networking.k8s.io/v1"),
    }  # fmt: skip
    deployment = cluster["Deployment", "genrekit"]["spec"]
    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}, "two pods cannot have one volume"
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert cluster["Service", "genrekit"]["spec"]["selector"].items() <= labels.items()


def test_pods_are_bounded_unprivileged_and_write_to_two_places_only(pod):
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False, "it has nothing to ask the cluster"
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"]["drop"] == ["ALL"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/jobs", "/tmp"}
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    assert all("sizeLimit" in v["emptyDir"] for v in pod["volumes"] if "emptyDir" in v)


def test_the_pod_runs_as_the_user_that_the_image_has_made(pod):
    uid, gid = dict(stages()[-1])["USER"].split(":")
    assert pod["securityContext"]["runAsUser"] == int(uid)
    assert pod["securityContext"]["fsGroup"] == int(gid)


def test_every_probe_asks_for_the_health_on_a_port_that_is_there(pod):
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz"}
    for probe, path in (paths | {"readinessProbe": "/readyz"}).items():
        assert container[probe]["httpGet"]["path"] == path
        assert ports[container[probe]["httpGet"]["port"]] == 8501


def test_all_pods_have_one_secret_and_one_jobs_volume(cluster, pod):
    (container,) = pod["containers"]
    environment = {one["name"]: one for one in container["env"]}
    reference = environment["STREAMLIT_SERVER_COOKIE_SECRET"]["valueFrom"]["secretKeyRef"]
    assert reference["key"] in cluster["Secret", reference["name"]]["stringData"]
    claim = next(v for v in pod["volumes"] if v["name"] == "jobs")["persistentVolumeClaim"]
    volume = cluster["PersistentVolumeClaim", claim["claimName"]]
    assert volume["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_pods_are_spoken_to_by_the_ingress_alone_and_speak_to_nobody(cluster, pod):
    policy = cluster["NetworkPolicy", "genrekit"]["spec"]
    labels = cluster["Deployment", "genrekit"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    assert rule["from"], "an empty list would let everybody in"
    assert rule["ports"] == [{"port": pod["containers"][0]["ports"][0]["name"]}]


def test_the_certificate_is_made_by_the_line_that_the_file_begins_with(cluster):
    (tls,) = cluster["Ingress", "genrekit"]["spec"]["tls"]
    assert f"create secret tls {tls['secretName']} " in text("kubernetes.yaml")


def test_the_ingress_keeps_a_visitor_with_a_pod_by_a_cookie(cluster):
    ingress = cluster["Ingress", "genrekit"]
    notes = ingress["metadata"]["annotations"]
    assert notes["nginx.ingress.kubernetes.io/affinity"] == "cookie"
    assert notes["nginx.ingress.kubernetes.io/session-cookie-change-on-failure"] == "true"
    size = notes["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m")
    assert PUBLIC.upload_megabytes <= int(size) <= 1.1 * PUBLIC.upload_megabytes
    traefik = cluster["Service", "genrekit"]["metadata"]["annotations"]
    assert traefik["traefik.ingress.kubernetes.io/service.sticky.cookie"] == "true"
    assert all(isinstance(v, str) for v in (*notes.values(), *traefik.values()))
    assert int(notes["nginx.ingress.kubernetes.io/limit-rps"]) > 0
    assert int(notes["nginx.ingress.kubernetes.io/limit-connections"]) > 0
    (rule,) = ingress["spec"]["rules"]
    leads = {p["path"]: p["backend"]["service"]["name"] for p in rule["http"]["paths"]}
    assert leads == {
        "/_stcore/metrics": "genrekit-nowhere", "/_stcore/agent": "genrekit-nowhere",
        "/metrics": "genrekit-nowhere", "/": "genrekit",
    }  # fmt: skip
    assert "selector" not in cluster["Service", "genrekit-nowhere"]["spec"]
    for path in rule["http"]["paths"]:
        service = path["backend"]["service"]
        ports = cluster["Service", service["name"]]["spec"]["ports"]
        wanted = service["port"]
        assert any(wanted.items() <= {"number": p["port"], **p}.items() for p in ports)
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]


# --- one machine ----------------------------------------------------------------------------


@pytest.fixture
def unit() -> dict[str, list[str]]:
    """Return the lines of the service by their names."""
    found: dict[str, list[str]] = {}
    for line in text("genrekit.service").replace("\\\n", " ").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_service_starts_with_the_machine_and_again_after_a_crash(unit):
    assert unit["WantedBy"] == ["multi-user.target"]
    assert unit["Restart"] == ["always"]
    assert "--server.address 127.0.0.1" in unit["ExecStart"][0], "only the proxy faces the internet"


def test_the_service_may_write_only_to_its_own_folders(unit):
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["DynamicUser"] == unit["NoNewPrivileges"] == unit["PrivateTmp"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert {"MemoryMax", "TasksMax"} <= set(unit)
    assert "GENREKIT_JOBS_FOLDER=/var/lib/genrekit/jobs" in " ".join(unit["Environment"])
    assert unit["StateDirectory"] == ["genrekit"]


def test_systemd_accepts_the_service(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    here = text("genrekit.service").replace("/opt/genrekit/.venv/bin/streamlit", sys.executable)
    (tmp_path / "genrekit.service").write_text(here)
    command = ["systemd-analyze", "verify", "--man=no", tmp_path / "genrekit.service"]
    tested = subprocess.run(command, capture_output=True, text=True)
    assert "genrekit.service" not in tested.stderr, tested.stderr


def test_caddy_accepts_its_file():
    if not shutil.which("caddy"):
        pytest.skip("caddy is not installed (apt-get install caddy)")
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
    tested = subprocess.run(command, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr


def test_caddy_hides_what_hosts_look_at_and_takes_uploads_of_the_size():
    said = text("Caddyfile")
    assert {"/metrics", "*/_stcore/metrics*", "/healthz"} <= set(said.split())
    assert "reverse_proxy 127.0.0.1:8501" in said
    size = int(re.search(r"max_size (\d+)MB", said)[1])
    assert PUBLIC.upload_megabytes <= size <= 1.2 * PUBLIC.upload_megabytes


def test_every_file_that_faces_the_internet_is_in_public_mode(compose, pod, unit):
    given = {
        "Dockerfile": dict(stages()[-1])["ENV"].split(),
        "compose.yaml": [
            f"{name}={value}"
            for name, value in compose["services"]["replica-2"]["environment"].items()
        ],
        "kubernetes.yaml": [f"{e['name']}={e.get('value')}" for e in pod["containers"][0]["env"]],
        "genrekit.service": " ".join(unit["Environment"]).split(),
    }
    for name, variables in given.items():
        ours = [one for one in variables if one.startswith("GENREKIT_")]
        assert "GENREKIT_MODE=public" in ours, name
        assert Settings.from_environment(dict(one.split("=") for one in ours)).mode == "public"


# --- the trial, and jobs among containers ---------------------------------------------------


@pytest.mark.tools
def test_the_trial_names_missing_programs(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert any("nginx" in one for one in missing())
    assert main([]) == 1
    said = capsys.readouterr().out
    assert "apt-get install nginx" in said
    assert "Chromium" in said


@pytest.fixture
def elsewhere(tmp_path) -> Iterator[tuple]:
    """A running job in another container, where its process id is another one's."""
    jobs = Jobs(Settings(jobs_folder=tmp_path / "jobs"))
    slow = ["demo-data", "audio", "--tracks", "500", "--seconds", "10", "--progress", "json"]
    job = jobs.add(jobs.new_folder(), "dataset", "Test", [slow], "me")
    wait(lambda: any(event["type"] == "track" for event in job.events()))
    process = int((job.folder / "started").read_text())
    (job.folder / "where").write_text("another container")
    yield jobs, job
    jobs.close()
    if (job.folder / "where").read_text() == "another container":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


def wait(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_a_job_in_another_container_is_cancelled_by_its_own_process(elsewhere, monkeypatch):
    jobs, job = elsewhere
    process = int((job.folder / "started").read_text())
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("that number is somebody else's"))
    jobs.cancel(job)
    assert job.status == "cancelled"
    wait(lambda: not alive(process), 10)
    jobs.resume(job)
    wait(lambda: job.status == "running")
    assert (job.folder / "where").read_text().startswith(socket.gethostname())
    monkeypatch.undo()
    jobs.cancel(job)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
