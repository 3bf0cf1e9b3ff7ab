"""What imports what: the light stays light, and dependencies point one way."""

import ast
import functools
import graphlib
import json
import re
import sys
from importlib.metadata import packages_distributions
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
    {"threads"},
    {"mel", "mlp", "files", "pool", "cluster", "memory", "pace", "wire", "confine", "commentary"},
    {"audio", "synth", "tables", "metrics", "outliers", "tones", "worker_process"},
    {"run_settings", "train_params"},
    {"conversion", "features", "intake", "run_examples", "experiments", "stress", "workers"},
    {"dataset", "fingerprint", "trace", "playground", "recordings"},
    {"familiarity"},
    {"preprocess", "neighbours", "exchange", "melfile", "splits", "projection", "resynthesis"},
    {"insight", "maps", "health", "takeaway"},
    {"augment", "checks", "classifier", "dense"},
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


# -- what is installed ------------------------------------------------------------------------

PRODUCT = [
    *PACKAGE.rglob("*.py"),
    *REPOSITORY.glob("pages/**/*.py"),
    REPOSITORY / "streamlit_app.py",
]
TOOLS = [
    path
    for folder in ("benchmarks", "deploy", "examples", "models", "tests")
    for path in REPOSITORY.glob(f"{folder}/**/*.py")
]
# Programs that are run, and what other packages need beside them.
NOT_IMPORTED = {"dask", "mypy", "pytest-timeout", "ruff"}
# Declared for what is to come.
NOT_YET_IMPORTED = {"librosa", "scikit-learn"}


def declared(*names):
    """The packages that these files of requirements name, as package indexes spell them."""
    lines = [line for name in names for line in (REPOSITORY / name).read_text().splitlines()]
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if line[:1] not in "#-")
    return {match[0].lower().replace("_", "-") for match in found if match}


def third_party(files):
    """The modules of others that files import: {name: names of the files that do}."""
    ours = {"genrekit", "benchmarks", "deploy", "examples", "models"}
    ours |= {path.stem for path in TOOLS}
    found = {}
    for path in files:
        for name in {name.split(".")[0] for name in imported(path)}:
            if name not in ours and name not in sys.stdlib_module_names:
                found.setdefault(name, set()).add(path.name)
    return found


installed = functools.cache(packages_distributions)


def packages_of(module):
    return {name.lower().replace("_", "-") for name in installed().get(module, [module])}


@pytest.mark.parametrize(
    ("files", "requirements"),
    [
        (PRODUCT, ("requirements.txt", "requirements-cluster.txt")),
        (TOOLS, ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")),
    ],
    ids=["product", "tools"],
)
def test_each_package_that_is_imported_is_declared(files, requirements):
    lacking = {
        module: importers
        for module, importers in third_party(files).items()
        if not packages_of(module) & declared(*requirements)
    }
    assert not lacking, f"declare them in {requirements[-1]}"


def test_only_the_cluster_needs_its_own_packages():
    own = declared("requirements-cluster.txt")
    importers = [files for name, files in third_party(PRODUCT).items() if packages_of(name) & own]
    assert set().union(*importers) == {"cluster.py", "remote.py"}


def test_each_package_that_is_declared_is_imported():
    used = {one for name in third_party([*PRODUCT, *TOOLS]) for one in packages_of(name)}
    every = declared("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")
    assert every - used - NOT_IMPORTED == set()
    of_the_product = {one for name in third_party(PRODUCT) for one in packages_of(name)}
    assert declared("requirements.txt") - of_the_product <= NOT_YET_IMPORTED


def test_a_package_is_declared_once_and_with_its_version():
    names = ("requirements.txt", "requirements-cluster.txt", "requirements-dev.txt")
    lines = [line for name in names for line in (REPOSITORY / name).read_text().splitlines()]
    packages = [line for line in lines if line[:1] not in "#-"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+", line) for line in packages)
    assert len({line.split("==")[0].lower() for line in packages}) == len(packages)
