"""The notebook runs from top to bottom, shows what it promises, and is kept without outputs."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = nbformat.read(ROOT / "examples" / "course.ipynb", as_version=4)


def test_it_is_kept_without_outputs():
    cells = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_it_runs_and_shows_its_values_as_pictures(tmp_path, monkeypatch):
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    resources = {"metadata": {"path": str(tmp_path)}}
    done = NotebookClient(NOTEBOOK, timeout=60, resources=resources).execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", ())]
    kinds = [set(output.get("data", ())) for output in shown]
    assert sum("image/png" in kind for kind in kinds) == 7
    pages = [output.data["text/html"] for output in shown if "text/html" in output.get("data", ())]
    assert sum("Dataset: 96 segments" in page for page in pages) == 1
    assert sum("Verdict: disco" in page for page in pages) == 1
    assert not any(output.get("name") == "stderr" for output in shown), shown
