"""Datasets larger than memory: the same model from a mapped file, within a memory limit."""

import dataclasses
import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from alike import SAME_RUN, apart, assert_alike

from genrekit.audio.decoder import decode_start
from genrekit.cli.main import main
from genrekit.dataset import parquet
from genrekit.dataset.build import build_dataset
from genrekit.dataset.dataset import Dataset, make_card
from genrekit.dataset.formats import export_dataset
from genrekit.dataset.parquet import ParquetRows
from genrekit.dataset.projection import genre_averages, segment_map
from genrekit.dataset.splits import by_track
from genrekit.errors import DatasetError
from genrekit.model.bundle import GenreModel
from genrekit.model.evaluation import evaluate, measure
from genrekit.model.neighbours_fit import fit_neighbours
from genrekit.model.verdicts import Verdict
from genrekit.system import memory
from genrekit.system.memory import free_memory, rows_at_once, scratch_folder
from genrekit.training import loop as training_module
from genrekit.training.loop import train
from genrekit.training.params import TrainParams

QUICK = TrainParams(epochs=2, batch_size=16, learning_rate=1e-3, device="cpu")


@pytest.fixture
def both(make_dataset, tmp_path):
    """One dataset, in memory and mapped."""
    make_dataset(tracks=12, apart=0.3).write(tmp_path / "d.parquet")
    return [Dataset.read(tmp_path / "d.parquet", mapped=mapped) for mapped in (False, True)]


def test_a_mapped_dataset_has_the_same_content(both, tmp_path):
    inside, outside = both
    assert (inside.mapped, outside.mapped) == (False, True)
    np.testing.assert_array_equal(inside.features, outside.features)
    assert inside.sha256 == outside.sha256
    outside.write(tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "d.parquet").read_bytes()


def test_the_mapped_file_is_unnamed_and_read_only(both, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "scratch").mkdir()
    data = Dataset.read(tmp_path / "d.parquet", mapped=True)
    assert not list((tmp_path / "scratch").iterdir())
    with pytest.raises(ValueError, match="read-only"):
        data.features[0, 0, 0] = 1


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"normalise": True, "keep": "best"},
        {"recipe": "robust"},
        {"recipe": "robust", "normalise": True},
    ],
    ids=["course", "normalised", "robust", "both"],
)
def test_the_same_model_from_disk_as_from_memory(both, change, monkeypatch):
    monkeypatch.setattr(training_module, "_OUTLIERS", 20)
    cards, weights = [], []
    for data in both:
        training = train(data, by_track(data), dataclasses.replace(QUICK, **change))
        list(training)
        model = training.model()
        for stats in model.card["history"]:
            stats["seconds"] = 0
        cards.append([model.card, model.temperature, model.threshold])
        weights.append(torch.cat([p.detach().ravel() for p in model.network.parameters()]))
        np.testing.assert_array_equal(model.mean, training.model().mean)
    assert_alike(*cards, rel=1e-2, near=1e-3)
    assert apart(*weights) < SAME_RUN
    rows = by_track(both[0]).valid
    assert_alike(*(measure(model, data, rows, "valid") for data in both))


def test_free_memory_decides_whether_to_map(both, tmp_path, monkeypatch):
    size = both[0].features.nbytes
    for free, mapped in ((4 * size, False), (4 * size - 4, True)):
        monkeypatch.setattr(parquet, "free_memory", lambda free=free: free)
        assert Dataset.read(tmp_path / "d.parquet").mapped is mapped


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no limit to be asked for")
def test_process_limits_bound_free_memory(run_python):
    code = (
        "import resource; from genrekit.system.memory import free_memory; before = free_memory();"
        "resource.setrlimit(resource.RLIMIT_{0}, (1 << 30, 1 << 30)); print(before, free_memory())"
    )
    for kind in ("DATA", "AS"):
        before, after = map(int, run_python("-c", code.format(kind)).stdout.split())
        assert after < 1 << 30
        assert after <= before
    assert 0 < free_memory() < 1 << 50


def test_a_control_group_bounds_free_memory(tmp_path, monkeypatch):
    group = tmp_path / "groups" / "pod" / "box"
    group.mkdir(parents=True)
    (group.parent / "memory.max").write_text("max\n")
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("900000\n")
    (group / "memory.stat").write_text("anon 500000\nfile 300000\n")
    (tmp_path / "cgroup").write_text("0::/pod/box\n")
    files = {"/proc/self/cgroup": tmp_path / "cgroup", "/sys/fs/cgroup": tmp_path / "groups"}
    original = memory.Path
    monkeypatch.setattr(memory, "Path", lambda name: original(files.get(str(name), name)))
    assert free_memory() == 400_000


def test_smaller_rows_come_in_larger_batches():
    assert [rows_at_once(shape) for shape in ((130, 13), (130, 128), (1,), (9999, 9999))] == [
        *(1024, 252, 1024, 1),
    ]


def test_the_folder_for_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert scratch_folder() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert str(scratch_folder()) in ("/var/tmp", "/tmp")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is full")
def test_no_room_on_disk(both, tmp_path, monkeypatch):
    full = open("/dev/full", "wb")  # noqa: PTH123, SIM115
    monkeypatch.setattr(parquet.tempfile, "TemporaryFile", lambda **_: full)
    with pytest.raises(DatasetError, match="tmp cannot be written: the disk is full; free some"):
        Dataset.read(tmp_path / "d.parquet", mapped=True)
    assert full.closed


@pytest.fixture(scope="module")
def mapped(small, tmp_path_factory):
    """A mapped dataset of 5 MB, nearly all of it features."""
    params = dataclasses.replace(small, kind="log_mel")
    path = tmp_path_factory.mktemp("mapped") / "d.parquet"
    rng = np.random.default_rng(0)
    with ParquetRows.writing(path, params, ("a", "b")) as writer:
        for track in range(40):
            features = rng.random((40, *params.shape), dtype=np.float32) + track % 2
            names = np.full(40, f"{track:02}")
            writer.add(features, np.full(40, track % 2), names, np.arange(40), names)
        writer.card = make_card(("a", "b"), params, 30.0, (), ())
    return Dataset.read(path, mapped=True)


@pytest.fixture(scope="module")
def judge(mapped):
    training = train(mapped, by_track(mapped), QUICK)
    next(iter(training))
    return training.model()


@pytest.mark.parametrize(
    "use",
    [
        lambda data, model, folder: segment_map(data),
        lambda data, model, folder: genre_averages(data),
        lambda data, model, folder: evaluate(model, data, "artist"),
        lambda data, model, folder: evaluate(model, data),
        lambda data, model, folder: fit_neighbours(model, data, by_track(data).train),
        lambda data, model, folder: model.embeddings(data.features, by_track(data).train),
        lambda data, model, folder: data.sha256,
        lambda data, model, folder: data.write(folder / "d.parquet"),
        lambda data, model, folder: export_dataset(data, folder / "d.json"),
    ],
    ids="map averages by-artist own neighbours embeddings fingerprint write json".split(),
)
def test_nothing_loads_a_mapped_dataset_whole(mapped, judge, use, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_ROWS_AT_ONCE", 64)
    monkeypatch.setattr(parquet, "_ROWS_PER_GROUP", 64)
    use(mapped, judge, tmp_path)  # loads what there is to load
    tracemalloc.start()
    try:
        use(mapped, judge, tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert mapped.mapped
    assert peak < mapped.features.nbytes / 2


LIMITED = """
import json, resource, sys
import numpy as np, pyarrow.parquet, torch
from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import by_segment, by_track
from genrekit.training.params import TrainParams
from genrekit.training.loop import train

def learn(data, split):
    params = TrainParams(epochs=1, batch_size=256, learning_rate=1e-3, normalise=True, device="cpu")
    training = train(data, split, params)
    list(training)
    return training.model()

tiny = Dataset.read(sys.argv[2])
learn(tiny, by_segment(tiny))  # loads all there is to load
limit = int(sys.argv[3])
if limit:
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    limit += int(status["VmData"].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
data = Dataset.read(sys.argv[1])
model = learn(data, by_track(data))
weights = sum(float(p.double().sum()) for p in model.network.parameters())
print(json.dumps([data.mapped, weights, model.temperature, model.card["measured"]]))
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="a limit on memory that spares files is Linux's"
)
def test_a_dataset_twice_as_large_as_the_memory(small, tmp_path, run_python, monkeypatch):
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")  # the usual one reserves ahead
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")  # what is freed is given back
    params = dataclasses.replace(small, kind="log_mel")
    rng = np.random.default_rng(0)
    for name, tracks in (("tiny", 2), ("large", 340)):
        with ParquetRows.writing(tmp_path / name, params, ("a", "b")) as writer:
            for track in range(tracks):
                features = rng.random((100, *params.shape), dtype=np.float32) + track % 2
                names = np.full(100, f"{track:05}")
                writer.add(features, np.full(100, track % 2), names, np.arange(100), None)
            writer.card = make_card(("a", "b"), params, 30.0, (), ())
    limit = 48 << 20
    assert (tmp_path / "large").stat().st_size > 2 * limit
    results = []
    for bound in (0, limit):
        done = run_python("-c", LIMITED, tmp_path / "large", tmp_path / "tiny", bound)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[1][0] is True
    assert results[0][1:] == results[1][1:]


# -- too little -------------------------------------------------------------------------------

TIGHT = """
import resource, runpy, sys
kind, megabytes = getattr(resource, sys.argv[1]), int(sys.argv[2])
resource.setrlimit(kind, (megabytes * 10**6,) * 2)
sys.argv = ["genrekit", *sys.argv[3:]]
runpy.run_module("genrekit", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other limits")
@pytest.mark.parametrize(
    ("kind", "megabytes", "command"),
    [
        ("RLIMIT_DATA", 60, "classify"),
        ("RLIMIT_DATA", 160, "classify"),
        ("RLIMIT_DATA", 110, "inspect"),
        ("RLIMIT_AS", 450, "classify"),
    ],
)
def test_too_little_memory_is_reported_in_a_sentence(
    kind, megabytes, command, run_python, tmp_path
):
    options = {
        "classify": ["a.wav"],
        "inspect": [tmp_path, "-o", tmp_path / "a.json"],
    }[command]
    done = run_python("-c", TIGHT, kind, megabytes, command, *options)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"genrekit: {memory.NOT_ENOUGH}"
    assert "Traceback" not in done.stderr


REFUSALS = [
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    RuntimeError("can't start new thread"),
]


@pytest.mark.parametrize("error", REFUSALS)
def test_every_kind_of_memory_error_is_recognised(error, monkeypatch, capsys, tmp_path):
    def refuse(*_):
        raise error

    assert memory.lacks_memory(error)
    monkeypatch.setattr("genrekit.dataset.dataset.Dataset.read", refuse)
    assert main(["train", str(tmp_path / "d"), "-o", str(tmp_path), "--progress", "json"]) == 2
    printed = capsys.readouterr()
    assert (
        json.loads(printed.out).items() >= {"type": "error", "message": memory.NOT_ENOUGH}.items()
    )
    assert printed.err == f"genrekit: {memory.NOT_ENOUGH}\n"


def test_other_errors_are_not_memory_errors(monkeypatch, tmp_path):
    for error in (ValueError("a bug"), KeyError("memory"), OSError(28, "No space left")):
        assert not memory.lacks_memory(error)

    def fail(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("genrekit.dataset.dataset.Dataset.read", fail)
    with pytest.raises(ZeroDivisionError):
        main(["train", str(tmp_path / "d"), "-o", str(tmp_path / "m")])


def test_a_song_that_exhausts_memory_fails_alone(demo_bundle, monkeypatch, capsys):
    def judge(self, file, *_):
        if file.name == "long.wav":
            raise MemoryError
        return Verdict("jazz", 0.9, {"jazz": 0.9, "rock": 0.1}, (), "")

    monkeypatch.setattr(GenreModel, "classify", judge)
    assert main(["classify", "long.wav", "a.wav", "--model", str(demo_bundle)]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"long.wav: failed. {memory.NOT_ENOUGH}"
    assert second.startswith("a.wav: jazz 90%")


def test_a_track_that_exhausts_memory_fails_alone(demo_folder, tmp_path, small, monkeypatch):
    def decode(path, *arguments, **options):
        if path.name.endswith("00001.flac"):
            raise MemoryError
        return decode_start(path, *arguments, **options)

    monkeypatch.setattr("genrekit.dataset.build.decode_start", decode)
    steps = list(build_dataset(demo_folder, tmp_path / "d.parquet", small, workers=1))
    failed = [step for step in steps if step.failed]
    assert len(failed) == 3
    assert failed[0].skipped[0].reason == "There is not enough memory to read it."
