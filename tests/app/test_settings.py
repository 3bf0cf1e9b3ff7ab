"""The host's settings: each has its range, its row in docs/host.md, and its error messages."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import streamlit
from streamlit import config

from genrekit.app.host import preflight
from genrekit.app.settings import Settings, settings
from genrekit.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
NO_NUMBERS = {
    "mode": ("`local`", "`local`, `public`"),
    "jobs_folder": ("`jobs` in this folder; installed, in one of the user's own", "a folder"),
    "folders": ("none", "folders"),
    "framed_by": ("none", "sites"),
    "cache": ("`shared`", "`shared`, `own`"),
    "metrics_address": ("`127.0.0.1`", "an address"),
}
NUMBERS = [one for one in fields(Settings) if "low" in one.metadata]


def read(**environment: str) -> Settings:
    return Settings.from_environment({f"GENREKIT_{k}": v for k, v in environment.items()})


def table() -> str:
    """Return the table of settings in docs/host.md."""
    rows = ["| variable | default | if public | allowed | meaning |", "|---|---|---|---|---|"]
    for one in fields(Settings):
        about = one.metadata
        public = "" if about["public"] is None else f"{about['public']:.12g}"
        if "low" in about:
            default = f"{one.default:.12g} {about['unit']}".strip()
            allowed = f"{about['low']:.12g} to {about['high']:.12g}"
        else:
            default, allowed = NO_NUMBERS[one.name]
        name = f"GENREKIT_{one.name.upper()}"
        rows.append(f"| `{name}` | {default} | {public} | {allowed} | {about['about']} |")
    return "\n".join(rows)


def test_the_guide_for_hosts_has_the_table_of_settings():
    guide = (ROOT / "docs" / "host.md").read_text(encoding="utf-8")
    assert table() in guide, f"put this table into docs/host.md:\n\n{table()}"


def test_the_table_says_what_the_code_does():
    rows = {}
    for line in table().splitlines()[2:]:
        name, default, public, allowed, meaning = (c.strip() for c in line.strip("|").split("|"))
        rows[name.strip("`")] = (default, public, allowed)
        assert len(meaning) > 10
    assert len(rows) == len(fields(Settings))
    default, public, allowed = rows["GENREKIT_JOB_MINUTES"]
    assert default == f"{Settings().job_minutes:g} minutes"
    assert public == f"{read(MODE='public').job_minutes:g}"
    low, high = allowed.split(" to ")
    assert read(JOB_MINUTES=low).job_minutes == float(low)
    assert read(JOB_MINUTES=high).job_minutes == float(high)


def test_defaults_without_variables():
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda one: one.name)
def test_each_number_accepts_its_range_only(setting):
    name = setting.name.upper()
    low, high = setting.metadata["low"], setting.metadata["high"]
    for text in (str(low), str(high)):
        assert getattr(read(**{name: text}), setting.name) == float(text)
    for text in ("", "x", "nan", "inf", str(low - 1), str(high + 1), "1 2"):
        with pytest.raises(SettingsError, match=f'GENREKIT_{name} is "{text}": use a number from'):
            read(**{name: text})
    public = setting.metadata["public"]
    assert public is None or low <= public <= high
    assert low <= setting.default <= high


def test_whole_numbers_have_no_decimals():
    with pytest.raises(SettingsError, match="without decimals"):
        read(JOBS_AT_ONCE="1.5")


def test_public_limits_are_stricter():
    local, public = Settings(), read(MODE="public")
    limits = [one.name for one in NUMBERS if one.metadata["public"] is not None]
    assert {"upload_megabytes", "song_minutes", "job_minutes", "job_megabytes"} <= set(limits)
    for name in set(limits) - {"listeners"}:
        assert getattr(public, name) < getattr(local, name), name
    assert read(MODE="public", JOB_MINUTES="25").job_minutes == 25, "what is given counts"


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """A function that sets Streamlit's secrets, from the text of one or more files."""
    before = config.get_option("secrets.files")
    names = set(os.environ)

    def give(*texts: str | bytes) -> None:
        files = [tmp_path / f"{number}.toml" for number in range(max(1, len(texts)))]
        for file, text in zip(files, texts, strict=False):
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        config.set_option("secrets.files", [str(file) for file in files])

    monkeypatch.setattr(streamlit, "secrets", type(streamlit.secrets)())
    for name in list(os.environ):
        if name.startswith("GENREKIT_"):
            monkeypatch.delenv(name)
    settings.cache_clear()
    yield give
    settings.cache_clear()
    config.set_option("secrets.files", before)
    for name in set(os.environ) - names:
        del os.environ[name]


def test_secrets_are_settings_too(secrets):
    secrets(
        'GENREKIT_MODE = "public"\nGENREKIT_UPLOAD_MEGABYTES = 7\nGENREKIT_SONG_MINUTES = 2.5\n'
        'password = "x"\non = true\n[database]\nuser = "me"\n'
    )
    found = settings()
    assert (found.mode, found.upload_megabytes, found.song_minutes) == ("public", 7, 2.5)
    assert found.job_minutes == read(MODE="public").job_minutes


def test_the_last_of_several_secrets_files_wins(secrets):
    secrets("GENREKIT_JOBS_AT_ONCE = 2\nGENREKIT_LISTENERS = 3", "GENREKIT_JOBS_AT_ONCE = 4")
    assert (settings().jobs_at_once, settings().listeners) == (4, 3)


def test_the_environment_overrides_the_secrets(secrets, monkeypatch):
    secrets("GENREKIT_UPLOAD_MEGABYTES = 7\nGENREKIT_JOB_MINUTES = 3")
    monkeypatch.setenv("GENREKIT_UPLOAD_MEGABYTES", "8")
    for _ in range(2):  # Streamlit writes secrets into the environment
        assert (settings().upload_megabytes, settings().job_minutes) == (8, 3)
        settings.cache_clear()


@pytest.mark.parametrize("texts", [(), ("",), ("# nothing\n[section]\n",)])
def test_defaults_without_settings_among_the_secrets(secrets, texts):
    secrets(*texts)
    assert settings() == Settings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("GENREKIT_UPLOAD_MEGABYTES = 0", 'GENREKIT_UPLOAD_MEGABYTES is "0": use a number from'),
        ("GENREKIT_JOBS_AT_ONCE = 1.5", "without decimals"),
        ("GENREKIT_UPLOAD_MEGABYTE = 5", "is GENREKIT_UPLOAD_MEGABYTES meant?"),
        ("GENREKIT_LISTENERS = true", "GENREKIT_LISTENERS is neither text nor a number"),
        ('GENREKIT_FOLDERS = ["/tmp"]', "GENREKIT_FOLDERS is neither text nor a number"),
        ('GENREKIT_MODE = "public"\nGENREKIT_FOLDERS = "/tmp"', "take one of the two away"),
        ("[a.b]\nGENREKIT_LISTENERS = 1", 'GENREKIT_LISTENERS is in the section "b"'),
        ('GENREKIT_MODE = public\npassword = "hush"', "The secrets cannot be read: Error parsing"),
        (b"GENREKIT_MODE = '\xff'", "The secrets cannot be read: they are not UTF-8"),
    ],
)
def test_unusable_secrets_are_refused_by_name(secrets, text, says):
    secrets(text)
    with pytest.raises(SettingsError, match=re.escape(says)) as refused:
        settings()
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_folders_of_the_server_are_not_public(tmp_path):
    assert read(FOLDERS=str(tmp_path)).folders == (tmp_path.resolve(),)
    with pytest.raises(SettingsError, match="GENREKIT_FOLDERS is set while GENREKIT_MODE is publi"):
        read(MODE="public", FOLDERS=str(tmp_path))


def test_a_folder_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "music").mkdir()
    assert read(JOBS_FOLDER="~/jobs").jobs_folder == tmp_path.resolve() / "jobs"
    assert read(FOLDERS="~/music").folders == (tmp_path.resolve() / "music",)
    assert read(JOBS_FOLDER="~nobody-of-this-name").jobs_folder.is_absolute()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GENREKIT_MODE", "Public", 'GENREKIT_MODE is "Public": use local or public'),
        ("GENREKIT_CACHE", "none", 'GENREKIT_CACHE is "none": use shared or own'),
        ("GENREKIT_METRICS_ADDRESS", "here", 'is "here": use an address of this machine'),
        ("GENREKIT_UPLOAD_MEGABYTE", "5", "is GENREKIT_UPLOAD_MEGABYTES meant?"),
        ("GENREKIT_COLOUR", "red", "GENREKIT_COLOUR is no setting of GenreKit"),
        ("GENREKIT_FOLDERS", "/nowhere/at/all", "which is no folder"),
        ("GENREKIT_JOBS_FOLDER", "", "name a folder"),
    ],
)
def test_unusable_settings_are_refused_by_name(name, value, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        Settings.from_environment({name: value})


def test_kubernetes_variables_are_not_misspelt_settings():
    added = {
        "GENREKIT_SERVICE_HOST": "10.0.0.1",
        "GENREKIT_SERVICE_PORT": "80",
        "GENREKIT_SERVICE_PORT_HTTP": "80",
        "GENREKIT_PORT": "tcp://10.0.0.1:80",
        "GENREKIT_PORT_80_TCP": "tcp://10.0.0.1:80",
        "GENREKIT_PORT_80_TCP_ADDR": "10.0.0.1",
        "GENREKIT_NOWHERE_SERVICE_HOST": "10.0.0.2",
        "GENREKIT_NOWHERE_PORT_80_TCP_PROTO": "tcp",
    }
    assert Settings.from_environment(added) == Settings()


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    unwritable = Settings(jobs_folder=tmp_path / "file" / "jobs")
    with pytest.raises(SettingsError, match="GENREKIT_JOBS_FOLDER is .*nothing can be written"):
        preflight.check(unwritable)


def test_streamlits_configuration_is_strict():
    configured = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert configured["server"]["maxUploadSize"] == Settings().upload_megabytes
    assert configured["server"]["enableXsrfProtection"] is True
    assert configured["server"]["enableCORS"] is True
    assert configured["server"]["maxMessageSize"] <= 50
    assert configured["browser"]["gatherUsageStats"] is False
    assert configured["client"] == {"showErrorDetails": "none", "toolbarMode": "minimal"}
    assert configured["logger"]["hideWelcomeMessage"] is True, "it asks for the address elsewhere"
    assert configured["logger"]["enableRich"] is False


@pytest.mark.parametrize(
    ("name", "value", "more", "says"),
    [
        ("GENREKIT_JOB_MINUTES", "soon", {}, 'GENREKIT_JOB_MINUTES is "soon": use a number from'),
        ("GENREKIT_UPLOAD_MEGABYTES", "300", {"STREAMLIT_SERVER_MAX_UPLOAD_SIZE": "200"},
         "GENREKIT_UPLOAD_MEGABYTES is 300 MB, and Streamlit was told to take 200 MB only"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_use_its_settings_does_not_start(name, value, more, says, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "streamlit_app.py",
         "--server.headless", "true", "--server.port", "0"],
        cwd=ROOT,
        env=os.environ | {name: value, "GENREKIT_JOBS_FOLDER": str(tmp_path / "jobs")} | more,
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert says in lines[0]
    assert "Traceback" not in done.stdout + done.stderr
