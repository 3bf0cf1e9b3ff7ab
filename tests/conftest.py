"""What several test files share: small generated folders, datasets and models."""

import os
import secrets
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from genrekit.features.extraction import FeatureParams

# One thread for each process, read when PyTorch is first imported: the networks here are too
# small for more, and threads that wait for one another take minutes on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Matplotlib draws into memory, whether or not there is a screen.
os.environ["MPLBACKEND"] = "Agg"

REPOSITORY = Path(__file__).resolve().parent.parent
# Coarse features: quick to compute, and with none of their axes alike.
SMALL = FeatureParams(
    sample_rate=8000, segment_seconds=1.0, n_fft=512, hop_length=256, n_mels=24, n_mfcc=7
)


def pytest_xdist_auto_num_workers(config):
    """All tests run in three processes, a few in this one: what is in a browser mostly waits."""
    return 3 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


# What takes longest begins first, so that both processes end at the same time. The third is short:
# it waits in the browser's process until all of its tests are through.
FIRST = (
    *("e2e/", "isolation/test_pool.py", "test_errors.py", "test_server.py"),
    *("test_jobs.py", "test_memory.py", "test_docs.py"),
)


def pytest_collection_modifyitems(items):
    """Bring the files with the longest tests to the front; within a file the order is its own."""

    def place(item):
        return next((i for i, name in enumerate(FIRST) if name in item.nodeid), 99)

    items.sort(key=place)


def pytest_xdist_make_scheduler(config, log):
    """One process for all tests in the browser, beginning with them; the others file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _scope(nodeid.partition("::")[0])

    return Scheduling(config, log)


@cache
def _scope(file):
    """Tests of one scope run in one process: librosa compiles itself for 20 s in each it is in."""
    if file.startswith("tests/e2e/"):
        return "browser"
    uses_librosa = "import librosa" in (REPOSITORY / file).read_text(encoding="utf-8")
    return "librosa" if uses_librosa else file


@pytest.fixture(scope="session", autouse=True)
def packages_searched_once():
    """AppTest reads about every installed package at each run: a tenth of a second."""
    from streamlit.components.v2 import manifest_scanner

    manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


@pytest.fixture(autouse=True)
def drawn_alike():
    """What a test draws from PyTorch's own generator does not depend on the tests before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def small():
    """Feature parameters that are quick to compute: 32 frames of 7 coefficients a second."""
    return SMALL


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory):
    """Three genres of four tracks by two artists each, 3.5 s long: read, never written to."""
    from genrekit.audio.synth.chart import STYLES
    from genrekit.audio.synth.demo import write_demo_dataset

    folder = tmp_path_factory.mktemp("music") / "demo"
    list(
        write_demo_dataset(
            folder, tracks_per_style=4, artists_per_style=2, seconds=3.5, styles=STYLES[:3]
        )
    )
    return folder


@pytest.fixture(scope="session")
def demo_file(demo_folder, tmp_path_factory):
    """The Parquet file of `demo_folder`: 36 segments."""
    from genrekit.dataset.build import build_dataset

    path = tmp_path_factory.mktemp("data") / "demo.parquet"
    list(build_dataset(demo_folder, path, SMALL, workers=1))
    return path


@pytest.fixture(scope="session")
def demo(demo_file):
    from genrekit.dataset.dataset import Dataset

    return Dataset.read(demo_file)


@pytest.fixture(scope="session")
def demo_model(demo):
    """A model trained for a moment on `demo`, split by track."""
    from genrekit.dataset.splits import by_track
    from genrekit.training.loop import train
    from genrekit.training.params import TrainParams

    params = TrainParams(epochs=12, batch_size=8, learning_rate=1e-3, normalise=True, device="cpu")
    training = train(demo, by_track(demo, seed=3), params)
    list(training)
    return training.model()


@pytest.fixture(scope="session")
def demo_bundle(demo_model, tmp_path_factory):
    """`demo_model` in its folder."""
    folder = tmp_path_factory.mktemp("models") / "demo"
    demo_model.save(folder)
    return folder


@pytest.fixture(scope="session")
def make_dataset():
    """A function that invents a dataset: `tracks` per genre, `segments` per track."""
    from genrekit.dataset.dataset import Dataset

    def make(genres=("a", "b", "c"), tracks=10, segments=4, artists=3, apart=3.0, seed=0):
        rng = np.random.default_rng(seed)
        n = len(genres) * tracks * segments
        labels = np.repeat(np.arange(len(genres)), tracks * segments)
        centres = rng.normal(size=(len(genres), *SMALL.shape)) * apart
        names = [f"{g}/{g}.{t:03d}" for g in genres for t in range(tracks)]
        return Dataset(
            features=(centres[labels] + rng.normal(size=(n, *SMALL.shape))).astype(np.float32),
            labels=labels,
            genres=tuple(genres),
            params=SMALL,
            tracks=np.repeat(names, segments),
            segments=np.tile(np.arange(segments), len(names)),
            artists=np.repeat(
                [f"{g} artist {t % artists}" for g in genres for t in range(tracks)], segments
            ),
            track_seconds=30.0,
        )

    return make


@pytest.fixture(scope="session")
def run_python():
    """A function that runs the interpreter on its arguments, in the repository."""

    def run(*arguments, timeout=120, **options):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            **options,
        )

    return run


@pytest.fixture
def warm_jobs(monkeypatch):
    """Jobs are processes all the same, but do not import everything anew: seconds each."""
    from types import SimpleNamespace

    from warm import Warm

    from genrekit.app.jobs import process

    monkeypatch.setattr(
        process, "subprocess", SimpleNamespace(Popen=Warm, DEVNULL=process.subprocess.DEVNULL)
    )


@pytest.fixture
def app(tmp_path, monkeypatch, warm_jobs):
    """A function that opens the app at a page, with jobs of its own."""
    monkeypatch.setenv("GENREKIT_JOBS_FOLDER", str(tmp_path / "jobs"))
    monkeypatch.setenv("GENREKIT_LISTENERS", "0")
    from streamlit.testing.v1 import AppTest

    from genrekit.app import session
    from genrekit.app.settings import settings
    from genrekit.app.visitors import Visitor

    settings.cache_clear()
    session.jobs.clear()
    # There is no websocket, and each AppTest is somebody else.
    monkeypatch.setattr(session, "recognise", lambda *_: Visitor(secrets.token_hex(8), ""))

    def open_at(page: str, **query: str):
        at = AppTest.from_file(str(REPOSITORY / "pages" / "frame.py"), default_timeout=60)
        at.query_params.update(query)
        at.run()
        at.switch_page(page).run()
        assert not at.exception
        return at

    yield open_at
    for job in session.jobs().all():
        session.jobs().cancel(job)
    session.jobs().close()
    session.jobs.clear()
    settings.cache_clear()
