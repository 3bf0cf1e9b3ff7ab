"""No code of the project leans on what a library keeps to itself: an upgrade may change it."""

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmarks", "deploy", "examples", "genrekit", "models", "pages", "tests")
FILES = sorted(
    [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    + list(REPOSITORY.glob("*.py"))
)
OURS = {*FOLDERS, *(path.stem for path in FILES)}

# Names with an underscore that their library documents. Whoever adds another one needs a test
# that says in words what an upgrade broke, and a reason here.
DOCUMENTED = {
    "os._exit": "ends a process at once, without clean-up",
    "_thread": "a module of Python's; its interrupt_main() needs no system call",
    "_asdict": "of named tuples, whose fields might have the name without it",
    "_replace": "of named tuples, likewise",
}
# Copies of other packages, for the use of the package that they are in.
COPIED = {"externals", "extern", "_vendor", "vendor", "vendored"}


def private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def bound(tree):
    """Private names that a file gives to something: functions, variables, attributes, arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


def foreign_names(tree):
    """What a file calls the modules of others, and what it imports from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in OURS:
                    yield alias.asname or alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] not in OURS:
            yield from (alias.asname or alias.name for alias in node.names)


def imports(tree):
    """Full names of all that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def root(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def attributes(tree):
    """Each attribute that is looked up, as (whose, its name): also by getattr and monkeypatch."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.value, node.attr
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else root(node.func)
            name = node.args[1]
            by_name = called in ("getattr", "setattr", "hasattr", "delattr", "object")
            if by_name and isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.args[0], name.value


def foreign_private_names(source, own=frozenset()):
    """Private names of others in a file's text; `own` are the project's private names."""
    tree = ast.parse(source)
    others = set(foreign_names(tree))
    found = set()
    for name in imports(tree):
        first, *rest = name.split(".")
        inside = any(private(part) or part in COPIED for part in rest)
        known = {first} & {"__future__", *DOCUMENTED}
        if first not in OURS and (inside or private(first)) and not known:
            found.add(name)
    for node in ast.walk(tree):  # monkeypatch.setattr("library.module._name", ...)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            first, *rest = node.value.split(".")
            known = first in sys.modules or first in others
            if known and first not in OURS and all(part.isidentifier() for part in rest):
                found |= {node.value for part in rest if private(part)}
    for whose, name in attributes(tree):
        mine = root(whose) in ("self", "cls") and isinstance(whose, ast.Name)
        if private(name) and not mine and (root(whose) in others or name not in own):
            full = f"{ast.unparse(whose)}.{name}"
            if not {full, name} & set(DOCUMENTED):
                found.add(full)
    return found


def test_no_private_name_of_a_library():
    sources = {path: path.read_text(encoding="utf-8") for path in FILES}
    own = {name for text in sources.values() for name in bound(ast.parse(text)) if private(name)}
    del sources[Path(__file__).resolve()]  # for the examples below
    found = {
        path.relative_to(REPOSITORY).as_posix(): foreign_private_names(text, own)
        for path, text in sources.items()
    }
    assert not {file: names for file, names in found.items() if names}, "use what is public"


@pytest.mark.parametrize(
    "line",
    [
        "import joblib._dask",
        "from joblib._dask import DaskDistributedBackend",
        "from joblib.externals import loky",
        "from joblib.externals.loky import ProcessPoolExecutor",
        "from torch import _C",
        "import torch; torch.cpu._is_avx512_bf16_supported()",
        "import torch; torch.ops.mkldnn._linear_pointwise(1)",
        'import torch; getattr(torch.ops.mkldnn, "_linear_pointwise", None)',
        "from torch import cpu as one; one._own()",
        "def f(manager): manager._session_mgr.expire()",
        'def test(monkeypatch): monkeypatch.setattr("json._default_decoder", None)',
        'def test(monkeypatch, x): monkeypatch.setattr(x, "_hidden", None)',
    ],
)
def test_it_would_be_found(line):
    assert foreign_private_names(line, own={"_own"})


@pytest.mark.parametrize(
    "line",
    [
        "from __future__ import annotations",
        "import os; os._exit(1)",
        "def f(pair): return pair._replace(a=1)._asdict()",
        "from genrekit.cli.main import _parser",
        "from genrekit import pool; pool._own()",
        "class A:\n    def f(self): return self._own.__class__",
        "import torch; torch.__version__",
        "'genrekit.isolation.pool._RETRY_SECONDS'",
    ],
)
def test_what_is_ours_or_documented_is_not(line):
    assert foreign_private_names(line, own={"_own"}) == set()
