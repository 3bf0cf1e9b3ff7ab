"""What imports what: the light stays light, and dependencies point one way."""

import ast
import graphlib
import json
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "genrekit"
REPOSITORY = PACKAGE.parent
HEAVY = (
    *("torch", "streamlit", "librosa", "numba", "scipy", "sklearn", "pyarrow", "soundfile"),
    *("dask", "distributed", "fsspec"),
)

# The picture in the order of its arrows; a module may import what stands above it.
LAYERS = [
    {"errors", "wording"},
    {"remote", "ranges"},
    {"mel", "mlp", "files", "pool", "cluster", "memory", "pace", "wire", "confine"},
    {"audio", "synth", "tables", "metrics", "outliers", "tones", "worker_process"},
    {"run_settings", "train_params"},
    {"conversion", "features", "intake", "run_examples", "experiments", "stress", "workers"},
    {"dataset", "fingerprint", "trace", "playground", "recordings"},
    {"familiarity"},
    {"preprocess", "neighbours", "exchange", "melfile", "splits", "projection", "resynthesis"},
    {"insight", "maps", "health", "takeaway"},
    {"augment", "checks", "classifier"},
    {"inspection", "recipes"},
    {"model"},
    {"evaluation", "evidence"},
    {"training", "hearing"},
    {"leak"},
    {"cli"},
    {"__main__"},
]
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}


def imported(path):
    """Absolute names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def loaded_after(run_python, code):
    done = run_python("-c", f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import genrekit", ()),
        ("import genrekit.errors, genrekit.mel, genrekit.mlp, genrekit.metrics", ()),
        ("import genrekit.audio, genrekit.features, genrekit.synth, genrekit.tables", ()),
        ("import genrekit.stress", ()),
        ("import genrekit.workers, genrekit.worker_process", ()),
        ("import genrekit.dataset, genrekit.splits, genrekit.preprocess, genrekit.exchange", ()),
        ("import genrekit.cli", ()),
        (
            "import numpy as np; from genrekit.features import *; p = FeatureParams();"
            "mfcc(split_segments(np.ones(70000, np.float32), p), p)",
            ("scipy",),
        ),
        (
            "import io, wave; from genrekit.audio import load_audio; f = io.BytesIO();"
            "w = wave.open(f, 'wb'); w.setparams((1, 2, 8000, 0, 'NONE', ''));"
            "w.writeframes(bytes(8000)); w.close(); load_audio(f)",
            ("soundfile",),
        ),
        ("import genrekit.train_params, genrekit.model, genrekit.evaluation", ()),
        ("import genrekit.evidence, genrekit.neighbours, genrekit.hearing", ()),
        ("import genrekit.training", ("torch",)),
    ],
)
def test_nothing_heavy_before_it_is_needed(run_python, code, allowed):
    loaded = loaded_after(run_python, code)
    assert not {name for name in HEAVY if name in loaded} - set(allowed)


def test_import_genrekit_loads_next_to_nothing(run_python):
    loaded = loaded_after(run_python, "import genrekit")
    assert "numpy" not in loaded


def test_the_server_never_loads_pytorch(run_python):
    files = [*REPOSITORY.glob("pages/**/*.py"), *(PACKAGE / "app").glob("*.py")]
    names = {f"genrekit.app.{file.stem}" for file in files if file.parent.name == "app"}
    for file in files:  # inside of functions as well
        names |= {name for name in imported(file) if (PACKAGE / _file_of(name)).is_file()}
    names -= {"genrekit.app.run_job", "genrekit.cli"}  # the process of a job
    assert {"genrekit.hearing", "genrekit.train_params", "genrekit.app.ears"} <= names
    loaded = loaded_after(run_python, f"import {', '.join(sorted(names))}")
    assert "streamlit" in loaded
    assert not loaded & {"torch", "scipy", "librosa", "sklearn"}


def _file_of(module):
    return "/".join(module.split(".")[1:]) + ".py"


def test_only_pages_and_the_app_know_streamlit():
    guilty = [
        path.relative_to(REPOSITORY).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "app" not in path.relative_to(PACKAGE).parts[:1]
        and any(name.split(".")[0] == "streamlit" for name in imported(path))
    ]
    assert guilty == []
    # The rule would be empty if nobody imported it.
    assert "streamlit" in imported(REPOSITORY / "streamlit_app.py")


def test_the_package_outside_of_the_app_does_not_know_the_app():
    for path in PACKAGE.glob("*.py"):
        assert not any(name.startswith("genrekit.app") for name in imported(path)), path.name


def test_nobody_but_tests_and_benchmarks_knows_librosa():
    files = [
        *PACKAGE.rglob("*.py"),
        *REPOSITORY.glob("pages/**/*.py"),
        REPOSITORY / "streamlit_app.py",
    ]
    for path in files:
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"librosa", "numba"}, path.name


@pytest.mark.parametrize("module", sorted(LEVEL))
def test_dependencies_point_one_way(module):
    ours = {
        name.split(".")[1]
        for name in imported(PACKAGE / f"{module}.py")
        if name.startswith("genrekit.") and name.split(".")[1] in LEVEL
    }
    backwards = {name for name in ours if LEVEL[name] >= LEVEL[module] and name != module}
    assert not backwards, f"{module} imports {sorted(backwards)}"


def test_no_import_goes_in_a_circle():
    graph = {
        path.stem: {
            name.split(".")[1]
            for name in imported(path)
            if name.startswith("genrekit.") and (PACKAGE / f"{name.split('.')[1]}.py").is_file()
        }
        for path in PACKAGE.glob("*.py")
    }
    assert "errors" in graph["audio"]
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_no_module_reaches_into_another_ones_private_parts():
    for path in PACKAGE.glob("*.py"):
        private = {
            name
            for name in imported(path)
            if name.startswith("genrekit.")
            and name.split(".")[-1].startswith("_")
            and not name.split(".")[-1].startswith("__")
        }
        assert not private, f"{path.name} imports {sorted(private)}"


def test_mel_and_mlp_need_numpy_only():
    for module in ("mel", "mlp", "metrics"):
        roots = {name.split(".")[0] for name in imported(PACKAGE / f"{module}.py")}
        assert roots - set(sys.stdlib_module_names) <= {"numpy", "genrekit"}
