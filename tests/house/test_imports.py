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

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "genrekit"
HEAVY = (
    *("torch", "streamlit", "librosa", "numba", "scipy", "sklearn", "pyarrow", "soundfile"),
    *("dask", "distributed", "fsspec", "onnx", "matplotlib"),
)

# The rooms of the house, floor by floor: a room imports only from floors above it in this list.
FLOORS = [
    {"ground"},
    {"system", "mel"},
    {"audio", "isolation", "teaching"},
    {"features", "music"},
    {"dataset"},
    {"model"},
    {"training", "verdict"},
    {"cli", "plots"},
    {"app"},
]
GROUND = {"errors", "wording", "ranges"}  # one room, though without a folder
# The same within the app, which is a house of its own.
APP_FLOORS = [
    {"settings", "logs", "once", "settled", "fair", "rates", "visitors"},
    {"jobs"},
    {"session"},
    {"song_workers"},
    {"kit"},
    {"mel", "neuron", "playground", "build", "classify"},
    {"home"},
    {"host"},
]
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


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
        (
            "import genrekit.mel.scale, genrekit.teaching.mlp, genrekit.model.metrics",
            (),
        ),
        (
            "import genrekit.audio.decoder, genrekit.audio.synth.demo,"
            " genrekit.features.extraction",
            (),
        ),
        ("import genrekit.audio.degradation", ()),
        ("import genrekit.isolation.pool, genrekit.isolation.process", ()),
        (
            "import genrekit.dataset.dataset, genrekit.dataset.build, genrekit.dataset.formats",
            (),
        ),
        ("import genrekit.cli.main", ()),
        (
            "import numpy as np; from genrekit.features.extraction import *; p = FeatureParams();"
            "mfcc(split_segments(np.ones(70000, np.float32), p), p)",
            ("scipy",),
        ),
        (
            "import io, wave; from genrekit.audio.decoder import load_audio; f = io.BytesIO();"
            "w = wave.open(f, 'wb'); w.setparams((1, 2, 8000, 0, 'NONE', ''));"
            "w.writeframes(bytes(8000)); w.close(); load_audio(f)",
            ("soundfile",),
        ),
        ("import genrekit.training.params, genrekit.model.bundle, genrekit.model.evaluation", ()),
        (
            "import genrekit.verdict.occlusion, genrekit.verdict.analysis",
            (),
        ),
        ("import genrekit.training.loop", ("torch",)),
    ],
)
def test_nothing_heavy_before_it_is_needed(run_python, code, allowed):
    loaded = loaded_after(run_python, code)
    assert not {name for name in HEAVY if name in loaded} - set(allowed)


def test_import_genrekit_loads_next_to_nothing(run_python):
    loaded = loaded_after(run_python, "import genrekit")
    assert "numpy" not in loaded


def test_the_server_never_loads_pytorch(run_python):
    app = {name: path for name, path in MODULES.items() if name.startswith("genrekit.app")}
    names = set(app)
    for file in [*REPOSITORY.glob("pages/**/*.py"), *app.values()]:
        names |= modules_imported(file)  # inside of functions as well
    names -= {"genrekit.app.jobs.run", "genrekit.cli.main"}  # the process of a job
    assert {"genrekit.verdict.analysis", "genrekit.app.song_workers"} <= names
    loaded = loaded_after(run_python, f"import {', '.join(sorted(names))}")
    assert "streamlit" in loaded
    assert not loaded & {"torch", "scipy", "librosa", "sklearn"}


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
    for name, path in MODULES.items():
        if not name.startswith("genrekit.app"):
            assert not any(other.startswith("genrekit.app") for other in imported(path)), name


def test_only_the_music_room_knows_librosa():
    files = [
        *(file for file in PACKAGE.rglob("*.py") if file.parent.name != "music"),
        *REPOSITORY.glob("pages/**/*.py"),
        REPOSITORY / "streamlit_app.py",
    ]
    for path in files:
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & {"librosa", "numba"}, path.name


def modules_imported(path):
    """Our own modules that a file imports: names taken from a module count as the module."""
    ours = (name for name in imported(path) if name.startswith("genrekit."))
    return {name if name in MODULES else name.rpartition(".")[0] for name in ours} & set(MODULES)


def room_of(module, depth):
    """The room that a module stands in, of the package or, at depth 2, of the app."""
    room = module.split(".")[depth]
    return "ground" if room in GROUND else room


@pytest.mark.parametrize(
    ("floors", "within"),
    [(FLOORS, "genrekit."), (APP_FLOORS, "genrekit.app.")],
    ids=["core", "app"],
)
def test_a_room_imports_only_from_floors_below_it(floors, within):
    level = {room: number for number, rooms in enumerate(floors) for room in rooms}
    depth = within.count(".")
    graph = {
        (room_of(module, depth), room_of(other, depth)): f"{module} imports {other}"
        for module, path in MODULES.items()
        for other in modules_imported(path)
        if module.startswith(within) and other.startswith(within) and module != "genrekit.__main__"
    }
    assert {room for pair in graph for room in pair} == set(level), "each room has its floor"
    upwards = [why for (a, b), why in graph.items() if a != b and level[b] >= level[a]]
    assert not upwards


def test_no_import_goes_in_a_circle():
    graph = {name: modules_imported(path) for name, path in MODULES.items()}
    assert "genrekit.errors" in graph["genrekit.audio.decoder"]
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_nobody_imports_private_names_of_another_module():
    for module, path in MODULES.items():
        private = {
            name
            for name in imported(path)
            if name.startswith("genrekit.")
            and name.split(".")[-1].startswith("_")
            and not name.split(".")[-1].startswith("__")
        }
        assert not private, f"{module} imports {sorted(private)}"


def test_mel_and_mlp_need_numpy_only():
    for module in ("mel/scale", "teaching/mlp", "model/metrics"):
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
NOT_IMPORTED = {
    *("build", "codespell", "cyclonedx-bom", "dask", "ipykernel", "mypy", "pytest-timeout"),
    *("ruff", "setuptools"),
}
# Declared for what is to come.
NOT_YET_IMPORTED = {"scikit-learn"}
EXTRAS = ("requirements-cluster.txt", "requirements-onnx.txt", "requirements-plots.txt")


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
        (PRODUCT, ("requirements.txt", *EXTRAS)),
        (TOOLS, ("requirements.txt", *EXTRAS, "requirements-dev.txt")),
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


@pytest.mark.parametrize(
    ("extra", "files"),
    [
        ("requirements-cluster.txt", {"cluster.py", "remote.py"}),
        ("requirements-onnx.txt", {"onnx_export.py", "onnx_layers.py"}),
        ("requirements-plots.txt", {"figures.py"}),
    ],
)
def test_only_those_who_ask_need_the_packages_of_an_extra(extra, files):
    own = declared(extra)
    importers = [files for name, files in third_party(PRODUCT).items() if packages_of(name) & own]
    assert set().union(*importers) == files


def test_each_package_that_is_declared_is_imported():
    used = {one for name in third_party([*PRODUCT, *TOOLS]) for one in packages_of(name)}
    every = declared("requirements.txt", *EXTRAS, "requirements-dev.txt")
    assert every - used - NOT_IMPORTED == set()
    of_the_product = {one for name in third_party(PRODUCT) for one in packages_of(name)}
    assert declared("requirements.txt") - of_the_product <= NOT_YET_IMPORTED


def test_a_package_is_declared_once_and_with_its_version():
    names = ("requirements.txt", *EXTRAS, "requirements-dev.txt")
    lines = [line for name in names for line in (REPOSITORY / name).read_text().splitlines()]
    packages = [line for line in lines if line[:1] not in "#-"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+", line) for line in packages)
    assert len({line.split("==")[0].lower() for line in packages}) == len(packages)
