"""The files that people and sites look for at the top of a repository."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import genrekit

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_is_everywhere():
    newest = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text("CHANGELOG.md"), re.MULTILINE)[0]
    assert newest == genrekit.__version__
    assert yaml.safe_load(text("CITATION.cff"))["version"] == genrekit.__version__
    assert f"genrekit:{genrekit.__version__} " in text("deploy/kubernetes.yaml")
    assert "version" in tomllib.loads(text("pyproject.toml"))["project"]["dynamic"]


def test_the_changelog_has_only_the_headings_of_keep_a_changelog():
    lines = text("CHANGELOG.md").splitlines()
    versions = [line for line in lines if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\S+\]( - \d{4}-\d\d-\d\d)?", line) for line in versions)
    kinds = {line.removeprefix("### ") for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_readme_begins_with_what_a_space_needs():
    front = yaml.safe_load(text("README.md").split("---\n")[1])
    assert (front["title"], front["sdk"]) == ("GenreKit", "docker")
    assert f"EXPOSE {front['app_port']}\n" in text("Dockerfile")


def test_no_file_names_a_package_index():
    """Which one to ask is a matter of the machine, and of those who know it."""
    folders = (
        ROOT,
        *(ROOT / name for name in (".github", ".devcontainer", ".ci", "deploy", "docs")),
    )
    files = {f for folder in folders for f in folder.glob("*" if folder == ROOT else "**/*")}
    suffixes = {"", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".conf", ".env", ".py", ".sh"}
    for file in files:
        if file.is_file() and file.suffix in suffixes and file.name != ".git":
            found = re.search(
                r"index-url[ =]+\"?https?:|download\.pytorch|pypi\.", text(file), re.I
            )
            assert not found, f"{file.name}: {found}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_for_issues_asks_for_something(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert len(set(ids)) == len(ids) >= 1
    assert all(
        field["attributes"].get("label") or field["type"] == "markdown" for field in form["body"]
    )


def test_the_checks_run_on_three_systems():
    jobs = yaml.safe_load(text(".github/workflows/checks.yml"))["jobs"]
    assert {"run": ".ci/run"} in jobs["linux"]["steps"]
    assert jobs["elsewhere"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]


def test_the_dev_container_has_the_apps_port():
    assert json.loads(text(".devcontainer/devcontainer.json"))["forwardPorts"] == [8501]
