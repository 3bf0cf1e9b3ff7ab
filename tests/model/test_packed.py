"""Models that come back as zip files: what is taken, what is refused, and what is kept of it."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from genrekit.errors import DatasetError, GenreKitError, ModelError
from genrekit.model.bundle import load_model
from genrekit.model.packed import pack_model, unpack_model


def test_a_model_comes_back_as_it_was(demo_bundle, demo_model, demo, tmp_path):
    (tmp_path / "my.zip").write_bytes(pack_model(demo_bundle))
    unpack_model(tmp_path / "my.zip", tmp_path / "model")
    back = load_model(tmp_path / "model")
    assert (back.logits(demo.features) == demo_model.logits(demo.features)).all()
    assert back.card["measured"] == load_model(demo_bundle).card["measured"]
    assert back.neighbours is not None
    worth = back.card["split"]["worth"]
    assert worth.startswith("Fair: no track stands on both sides of the split.")
    assert worth.endswith("nobody has checked them here.")
    (tmp_path / "again.zip").write_bytes(pack_model(tmp_path / "model"))
    assert unpack_model(tmp_path / "again.zip", tmp_path / "two").card["split"]["worth"] == worth


def test_only_what_was_read_is_kept(demo_bundle, tmp_path):
    extra = {"my-model/run.py": b"raise SystemExit", "my-model/pickle.pt": b"\x80\x04."}
    path = zipped(tmp_path, demo_bundle, extra)
    unpack_model(path, tmp_path / "model")
    names = {"model.json", "weights.safetensors", "neighbours.safetensors"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == names
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    assert "note" not in about["card"]


def zipped(tmp_path: Path, bundle: Path, extra: dict[str, bytes], **card: object) -> Path:
    """A zip file of a bundle with entries of its card replaced."""
    buffer = io.BytesIO(pack_model(bundle))
    with zipfile.ZipFile(buffer) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    about = json.loads(files["my-model/model.json"])
    about["card"] |= {"note": "not ours"} | card
    files["my-model/model.json"] = json.dumps(about).encode()
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in (files | extra).items():
            packed.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        {"measured": None},
        {"measured": {}},
        {"about": ["a"]},
        {"about": "a" * 3000},
        {"split": {"worth": 3}},
        {"training": {"network": "cnn", "recipe": "course"}},
        {"parameters": -1},
        {"parameters": True},
        {"history": [0] * 20_000},
    ],
)
def test_a_card_that_pages_cannot_show_is_refused(demo_bundle, tmp_path, change):
    path = zipped(tmp_path, demo_bundle, {}, **change)
    with pytest.raises(ModelError, match="card is damaged, or not by GenreKit"):
        unpack_model(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("track_accuracy", 1.5),
        ("genres", ["a", "b", "<a href=x>c</a>"]),
        ("confusion", [[1, 2], [3, 4]]),
        ("confusion", [[1, 2, "3"]] * 3),
        ("precision", [0.5, 2, 0]),
        ("track_interval", [0.1]),
        ("reliability", {"songs": 1, "words": {"![x](http://a)": [1, 2]}, "held": 1}),
    ],
)
def test_figures_that_cannot_be_are_refused(demo_bundle, tmp_path, name, value):
    measured = load_model(demo_bundle).card["measured"]
    path = zipped(tmp_path, demo_bundle, {}, measured=measured | {name: value})
    with pytest.raises(ModelError, match="card is damaged, or not by GenreKit"):
        unpack_model(path, tmp_path / "model")


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"no zip", DatasetError, "not a zip file"),
        (packed({"a.txt": b"x"}), ModelError, "holds no model, or more than one"),
        (packed({"a/model.json": b"{}", "b/model.json": b"{}"}), ModelError, "more than one"),
        (packed({"../model.json": b"{}"}), DatasetError, "leads out of its folder"),
        (packed({"m/model.json": bytes(300_000_000)}), DatasetError, "unpacks to over 100 times"),
        (packed({f"m/{i}": b"x" for i in range(30)}), DatasetError, "too many files, over 20"),
        (packed({"m/model.json": b"{}", "m/weights.safetensors": b""}), ModelError, "damaged"),
        (packed({"m/model.json": b"{}"}), GenreKitError, "weights.safetensors"),
    ],
)
def test_hostile_and_damaged_files_are_refused(tmp_path, content, error, says):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(error, match=says):
        unpack_model(tmp_path / "x.zip", tmp_path / "model")
    assert not (tmp_path / "model").exists()
