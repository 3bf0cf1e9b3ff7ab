"""Remote files are read and written as local ones are."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from genrekit.cli.main import main
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.folder import find_tracks
from genrekit.errors import DatasetError, SettingsError
from genrekit.system.remote import RemoteFile, local_copy, location

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Separate folders for parts of remote outputs and for temporary files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    yield tmp_path / "cache" / "genrekit"
    assert not list(temporary.iterdir())


@pytest.fixture
def store():
    """A store in memory, empty before and after."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def music(store, demo_folder):
    """The demo music in the store, with a table of artists and files to be left out."""
    for path in demo_folder.rglob("*"):
        if path.is_file():
            store.pipe(f"/music/{path.relative_to(demo_folder).as_posix()}", path.read_bytes())
    genre = sorted(path.name for path in demo_folder.iterdir() if path.is_dir())[0]
    store.pipe(f"/music/{genre}/.hidden.flac", b"x")
    store.pipe("/music/readme.md", b"text")
    return "memory://music"


def test_names_of_locations(tmp_path):
    assert location("a/b.wav") == Path("a/b.wav")
    assert location(tmp_path) == tmp_path
    assert location(f"file://{tmp_path}/It%20is") == tmp_path / "It is"
    assert location("s3://bucket/a b#c") == RemoteFile("s3://bucket/a b#c")
    assert str(location("s3://bucket/music/") / "x.wav") == "s3://bucket/music/x.wav"
    assert location("C:/x") == Path("C:/x")
    assert location(Path("s3://x")) == Path("s3:/x")


def test_a_remote_folder_gives_the_bytes_of_a_local_one(music, store, demo_folder, small, tmp_path):
    local = tmp_path / "local"
    shutil.copytree(demo_folder, local)
    store.rm("/music/readme.md")  # which a remote folder knows by its name alone
    list(build_dataset(local, tmp_path / "local.parquet", small, workers=1))
    steps = list(build_dataset(music, "memory://out/data.parquet", small, workers=1))
    assert len(steps) == 12
    assert store.cat("/out/data.parquet") == (tmp_path / "local.parquet").read_bytes()
    assert Dataset.read("memory://out/data.parquet").artists is not None
    assert store.find("/out") == ["/out/data.parquet"]


def test_each_process_downloads_its_files(demo_folder, small, tmp_path):
    music = f"local://{demo_folder}"  # a store that every process reaches
    for workers in (1, 2):
        list(build_dataset(music, tmp_path / f"{workers}.parquet", small, workers=workers))
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_an_output_inside_the_music_folder(music, store, small):
    output = f"{music}/data.parquet"
    list(build_dataset(music, output, small, workers=1))
    first = store.cat("/music/data.parquet")
    list(build_dataset(music, output, small, workers=1))
    assert store.cat("/music/data.parquet") == first


def test_an_interrupted_run_goes_on(music, store, small, cache):
    output = "memory://out/data.parquet"
    steps = build_dataset(music, output, small, workers=1)
    for _ in range(5):
        next(steps)
    steps.close()
    assert not store.exists("/out/data.parquet")
    track = find_tracks(music)[0][0]
    store.pipe(track.path.url.removeprefix("memory:/"), store.cat(track.path.url))  # newer
    again = list(build_dataset(music, output, small, workers=1))
    assert [step.resumed for step in again] == [False] + [True] * 4 + [False] * 7
    assert not list(cache.iterdir())


def test_a_failed_upload_leaves_the_old_file(music, store, small, monkeypatch, cache):
    output = "memory://out/data.parquet"
    store.pipe("/out/data.parquet", b"old")
    with monkeypatch.context() as patch:
        original = shutil.copyfileobj

        def broken(source, to, length):
            if "data" in str(getattr(to, "path", "")):
                to.write(source.read(1000))
                raise ConnectionError("the line went dead")
            original(source, to, length)

        patch.setattr(shutil, "copyfileobj", broken)
        with pytest.raises(DatasetError, match=r"memory://out/data.parquet cannot be written: the"):
            list(build_dataset(music, output, small, workers=1))
    assert store.cat("/out/data.parquet") == b"old"
    steps = list(build_dataset(music, output, small, workers=1))
    assert all(step.resumed for step in steps)
    assert len(Dataset.read(output)) == 36


def test_the_chain_by_urls(store, demo_file, demo_bundle, tmp_path, capsys):
    store.pipe("/d/demo.parquet", demo_file.read_bytes())
    assert main(["export", "memory://d/demo.parquet", "-o", "memory://d/demo.npz"]) == 0
    assert main(["import", "memory://d/demo.npz", "-o", "memory://d/again.parquet"]) == 0
    assert store.cat("/d/again.parquet") == store.cat("/d/demo.parquet")
    assert main(["evaluate", str(demo_bundle), "memory://d/demo.parquet", "--json"]) == 0
    elsewhere = capsys.readouterr().out.partition("{")[2]
    assert main(["evaluate", str(demo_bundle), str(demo_file), "--json"]) == 0
    assert capsys.readouterr().out.partition("{")[2] == elsewhere
    model = tmp_path / "model"
    assert main(["train", "memory://d/demo.parquet", "-o", str(model), "--epochs", "1"]) == 0
    assert (model / "model.json").is_file()


def test_a_file_is_downloaded_whole_and_removed(store):
    content = bytes(range(256)) * 40_000
    store.pipe("/x/big.bin", content)
    with local_copy(location("memory://x/big.bin")) as local:
        assert local.name == "big.bin"
        assert hashlib.sha256(local.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert not local.exists()


# -- what cannot work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("memory://none", "memory://none is no folder with files: check the address"),
        ("nonsense://x/y", "nonsense://x/y cannot be read: Protocol not known: nonsense"),
    ],
)
def test_missing_folders(store, small, tmp_path, url, match):
    with pytest.raises(DatasetError, match=match):
        build_dataset(url, tmp_path / "d.parquet", small)


def test_missing_files(store, tmp_path, capsys):
    with pytest.raises(DatasetError, match=r"memory://x.parquet cannot be read: there is no such"):
        Dataset.read("memory://x.parquet")
    for command in ("export memory://x -o y.npz", "import memory://x.npz -o y.parquet"):
        assert main(command.split()) == 2
        assert "cannot be read: there is no such file" in capsys.readouterr().err


def test_a_failing_store_ends_the_run_and_leaves_no_track_out(
    music, store, small, tmp_path, monkeypatch
):
    calls = []
    original = RemoteFile.fetch

    def failing(self, local):
        calls.append(self)
        if len(calls) == 4:
            monkeypatch.setattr(type(store), "open", broken_open)
        original(self, local)

    opened = type(store).open

    def broken_open(self, *arguments, **options):
        raise ConnectionError("the line went dead")

    monkeypatch.setattr(RemoteFile, "fetch", failing)
    output = tmp_path / "data.parquet"
    with pytest.raises(DatasetError, match=r"flac cannot be read: the line went dead. Check the"):
        list(build_dataset(music, output, small, workers=1))
    monkeypatch.setattr(type(store), "open", opened)
    assert sum(step.resumed for step in build_dataset(music, output, small, workers=1)) >= 2
    assert len(Dataset.read(output)) == 36


def test_a_track_that_disappears_is_left_out_and_named(music, store, small, tmp_path):
    steps = build_dataset(music, tmp_path / "data.parquet", small, workers=1)
    track = find_tracks(music)[0][3]
    store.rm(track.path.url)
    failed = [step for step in steps if step.failed]
    assert [step.track for step in failed] == [track.id]


def test_without_fsspec(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    for folder, output in (("s3://b/m", tmp_path / "d.parquet"), (tmp_path, "s3://b/d.parquet")):
        with pytest.raises(SettingsError, match="is a URL, and fsspec, .* is not installed: pip"):
            build_dataset(folder, output, small)
    assert main(["train", "s3://b/d.parquet", "-o", str(tmp_path / "m")]) == 2
    assert "pip install -r requirements-cluster.txt" in capsys.readouterr().err


def test_a_local_path_does_not_load_fsspec(run_python, demo_file, tmp_path):
    done = run_python(
        "-c",
        "import sys; from genrekit.cli.main import main; "
        f"main(['export', {str(demo_file)!r}, '-o', {str(tmp_path / 'x.npz')!r}]); "
        "assert not {'fsspec', 'dask', 'distributed'} & set(sys.modules)",
    )
    assert done.returncode == 0, done.stderr
