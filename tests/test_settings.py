"""What a host decides: every setting has its range, its place in the README, and its refusal."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from genrekit.app.server import Host
from genrekit.app.settings import Settings, table
from genrekit.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = [one for one in fields(Settings) if "low" in one.metadata]


def read(**environment: str) -> Settings:
    return Settings.from_environment({f"GENREKIT_{k}": v for k, v in environment.items()})


def test_the_readme_has_every_setting_as_the_code_has_it():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert table() in readme, f"put this table into the README:\n\n{table()}"


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


def test_without_variables_there_are_the_defaults():
    assert Settings.from_environment({"PATH": "/bin"}) == Settings()


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda one: one.name)
def test_each_number_takes_its_range_and_nothing_else(setting):
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


def test_where_anybody_comes_the_limits_are_tighter():
    local, public = Settings(), read(MODE="public")
    limits = [one.name for one in NUMBERS if one.metadata["public"] is not None]
    assert {"upload_megabytes", "song_minutes", "job_minutes", "job_megabytes"} <= set(limits)
    for name in set(limits) - {"listeners"}:
        assert getattr(public, name) < getattr(local, name), name
    assert read(MODE="public", JOB_MINUTES="25").job_minutes == 25, "what is given counts"


def test_folders_of_the_server_are_not_for_anybody(tmp_path):
    assert read(FOLDERS=str(tmp_path)).folders == (tmp_path.resolve(),)
    with pytest.raises(SettingsError, match="GENREKIT_FOLDERS is set while GENREKIT_MODE is publi"):
        read(MODE="public", FOLDERS=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GENREKIT_MODE", "Public", 'GENREKIT_MODE is "Public": use local or public'),
        ("GENREKIT_UPLOAD_MEGABYTE", "5", "is GENREKIT_UPLOAD_MEGABYTES meant?"),
        ("GENREKIT_COLOUR", "red", "GENREKIT_COLOUR is no setting of GenreKit"),
        ("GENREKIT_FOLDERS", "/nowhere/at/all", "which is no folder"),
        ("GENREKIT_JOBS_FOLDER", "", "name a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name, value, says):
    with pytest.raises(SettingsError, match=re.escape(says)):
        Settings.from_environment({name: value})


def test_what_kubernetes_adds_for_a_service_of_that_name_is_no_misspelt_setting():
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
    host = Host(Settings(jobs_folder=tmp_path / "file" / "jobs"), lambda: None)
    with pytest.raises(SettingsError, match="GENREKIT_JOBS_FOLDER is .*nothing can be written"):
        host.check()


def test_streamlits_own_configuration_is_the_careful_one():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxUploadSize"] == Settings().upload_megabytes
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["enableCORS"] is True
    assert config["server"]["maxMessageSize"] <= 50
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"] == {"showErrorDetails": "none", "toolbarMode": "minimal"}
    assert config["logger"]["hideWelcomeMessage"] is True, "it asks for the address elsewhere"
    assert config["logger"]["enableRich"] is False


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
