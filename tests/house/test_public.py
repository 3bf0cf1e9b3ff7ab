"""The public surface: deliberate, complete and documented."""

import importlib
import inspect
import types
from pathlib import Path

import pytest

import genrekit

PACKAGE = Path(__file__).resolve().parents[2] / "genrekit"

# The names that people use. A name appears or goes here in the same change as in the changelog.
FACE = """
Dataset Degradation FeatureParams GenreClassifier GenreKitError GenreModel MLP TrainParams Verdict
__version__ build_dataset by_artist by_segment by_track degrade evaluate export_dataset export_model
hz_to_mel import_dataset inspect_folder leak_meter load_audio load_model log_mel make_split
mel_filterbank mel_to_hz mfcc neuron plot_confusion plot_mel_filterbank plot_mfcc plot_verdict probe
render split_segments train write_demo_dataset
""".split()
FACES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    for path in PACKAGE.rglob("__init__.pyi")
)
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] != "app" and not path.stem.startswith("_")
)


def test_the_face_of_the_package_is_deliberate():
    assert sorted(genrekit.__all__) == FACE


@pytest.mark.parametrize("name", FACES)
def test_what_a_face_hands_on_is_public_where_it_is_made(name):
    face = importlib.import_module(name)
    for public in set(face.__all__) - {"__version__"}:
        value = getattr(face, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert public in importlib.import_module(value.__module__).__all__


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_is_public_and_documents_it(name):
    module = importlib.import_module(name)
    assert len(module.__doc__) > 40
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__module__ == name, f"{public} is made elsewhere"
            assert own_doc(value), f"{public} has no docstring"


@pytest.mark.parametrize("name", MODULES)
def test_public_methods_are_documented(name):
    module = importlib.import_module(name)
    members = [
        f"{public}.{member}"
        for public in module.__all__
        for member in bare_members(getattr(module, public))
    ]
    assert not members, f"without a docstring: {members}"


def own_doc(value):
    """A docstring that somebody wrote: dataclasses invent one that repeats their signature."""
    doc = inspect.getdoc(value) if inspect.isfunction(value) else value.__dict__.get("__doc__")
    return doc and not doc.startswith(f"{value.__name__}(")


def bare_members(value):
    """Public methods and properties of a class that have no docstring."""
    if not inspect.isclass(value):
        return []
    kinds = (types.FunctionType, property, classmethod, staticmethod)
    return [
        name
        for name, member in vars(value).items()
        if not name.startswith("_") and isinstance(member, kinds) and not inspect.getdoc(member)
    ]


def test_annotations_are_complete_enough_to_be_read():
    for name in MODULES:
        module = importlib.import_module(name)
        for public in module.__all__:
            value = getattr(module, public)
            if inspect.isfunction(value):
                signature = inspect.signature(value)
                assert signature.return_annotation is not inspect.Signature.empty, public
                for parameter in signature.parameters.values():
                    assert parameter.annotation is not inspect.Parameter.empty, public


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()
