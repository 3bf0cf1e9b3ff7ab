"""The everyday model from generated music: every step, interrupted and continued."""

import json
import sys
import zipfile

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from genrekit.audio.synth.rendering import render
from genrekit.model.backbone import EVERYDAY_PARAMS, Backbone
from genrekit.model.bundle import load_model
from models import make_everyday
from models.pretraining import head, songs, windows
from models.pretraining.distil import Distillation, DistilParams
from models.pretraining.windows import Windows, excerpts, prepare, prepared
from models.pretraining.worsen import VERSIONS
from models.robustness import SAMPLE_RATE

GENRES = ("blues", "metal", "reggae")


def random_backbone():
    torch.manual_seed(0)
    return Backbone().eval()


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Nine songs of three genres, 7 s each, the last genre in FLAC."""
    folder = tmp_path_factory.mktemp("music")
    for genre in GENRES:
        (folder / genre).mkdir()
        for number in range(3):
            sound = np.asarray(render(genre, seconds=7, seed=number), np.float32)
            suffix = "flac" if genre == GENRES[-1] else "wav"
            soundfile.write(folder / genre / f"{genre}.0000{number}.{suffix}", sound, SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def work(music, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    list(prepare(music, folder / "music", random_backbone()))
    return folder


def test_windows_are_prepared_once(music, work, tmp_path):
    pieces = prepared(work / "music")
    assert len(pieces) == 9
    assert list(prepare(music, work / "music", random_backbone())) == []
    (work / "music" / f"{pieces[0]}.npz").rename(tmp_path / "kept.npz")
    before = np.load(tmp_path / "kept.npz")
    (line,) = prepare(music, work / "music", random_backbone())
    assert "2 segments" in line
    np.testing.assert_array_equal(
        np.load(work / "music" / f"{pieces[0]}.npz")["log_odds"], before["log_odds"]
    )


def test_only_named_files_are_prepared(music, tmp_path):
    lines = list(prepare(music, tmp_path, random_backbone(), frozenset({"blues.00001"})))
    assert lines == ["1/1 blues/blues.00001.wav: 2 segments"]


def test_what_is_no_music_is_left_out(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "in" / "silence.wav", np.zeros(5 * SAMPLE_RATE), SAMPLE_RATE)
    broken, silent = prepare(tmp_path / "in", tmp_path / "out", random_backbone())
    assert "left out" in broken
    assert "0 segments" in silent


def test_excerpts_are_spread_over_a_long_piece():
    ramp = np.linspace(0.1, 0.9, 300 * SAMPLE_RATE, dtype=np.float32)
    parts = excerpts(ramp)
    assert [len(part) for part in parts] == [30 * SAMPLE_RATE] * 4
    middles = [float(part[len(part) // 2]) for part in parts]
    np.testing.assert_allclose(middles, [0.2, 0.4, 0.6, 0.8], atol=1e-3)
    assert [len(part) for part in excerpts(ramp[: 7 * SAMPLE_RATE])] == [7 * SAMPLE_RATE]
    assert excerpts(ramp[:SAMPLE_RATE]) == []


@pytest.fixture
def training(work, monkeypatch):
    monkeypatch.setattr(windows, "is_held_out", lambda name: name.startswith("blues"))
    return Windows.read(work / "music", held_out=False), Windows.read(work / "music", held_out=True)


def test_windows_are_read_from_disk(training):
    train, held = training
    assert (len(train), len(held)) == (12, 6)
    assert train.embeddings.shape == (12, 200)
    segments = [train.segment(row, 0) for row in range(12)]
    assert segments[0].shape == EVERYDAY_PARAMS.shape
    for row, segment in enumerate(segments):
        np.testing.assert_array_equal(segment, train.spectra[row // 2][0, row % 2])
    assert not np.allclose(segments[3], train.segment(3, len(VERSIONS) - 1))


PARAMS = DistilParams(steps=4, batch=4, clean=1, mixed=1)


def test_a_student_learns_a_batch_by_heart(training, monkeypatch):
    params = DistilParams(steps=60, batch=4, clean=1, mixed=1, learning_rate=2e-3, pull=0)
    run = Distillation(random_backbone(), training[0], None, params)
    batch = run._batch(np.random.default_rng(0))
    monkeypatch.setattr(run, "_batch", lambda rng: batch)
    run.step = 48  # past the small steps of the beginning
    losses = list(run)
    assert losses[-1] < 0.95 * losses[0]


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(training, tmp_path):
    train, _ = training
    whole, first, second = (Distillation(random_backbone(), train, None, PARAMS) for _ in range(3))
    losses = list(whole)
    for _ in range(2):
        next(iter(first))
    first.save_state(tmp_path / "state")
    second.load_state(tmp_path / "state")
    assert list(second) == losses[2:]
    for ours, theirs in zip(whole.student.parameters(), second.student.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_input_s_norm_is_not_trained(training):
    run = Distillation(random_backbone(), training[0], None, PARAMS)
    list(run)
    start = random_backbone()
    assert torch.equal(run.student.norm.weight, start.norm.weight)
    assert not torch.equal(run.student.tags.weight, start.tags.weight)
    assert torch.equal(run.student.dense_norm.running_var, start.dense_norm.running_var)


def step(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["make_everyday", *map(str, words)])
    return make_everyday.main()


def test_all_steps_give_a_bundle(music, work, tmp_path, monkeypatch, capsys):
    """A song of each genre from outside is one of the known songs: the head must know them."""
    monkeypatch.setattr(windows, "is_held_out", lambda name: name.endswith("2.wav"))
    monkeypatch.setattr(make_everyday, "ROBUSTNESS", {"softer": lambda samples: samples / 4})
    monkeypatch.setattr(make_everyday, "not_music", lambda model, speech: {})
    monkeypatch.setattr(songs, "OUTLIERS", 1)
    monkeypatch.setattr(head, "ITERATIONS", 40)
    save_file(random_backbone().state_dict(), work / "teacher.safetensors")
    names = [f"{genre}.0000{number}" for genre in GENRES for number in range(3)]
    tracks = tmp_path / "tracks.csv"
    rows = [
        f"{name},{name},{'test' if name.endswith('2') else 'train'},{1 + i % 3}"
        for i, name in enumerate(names)
    ]
    tracks.write_text("track,artist,fault_filtered,artist_fold\n" + "\n".join(rows))
    artists = [f"{name.split('.')[0]}/{name},{name}" for name in names]
    (music / "tracks.csv").write_text("track,artist\n" + "\n".join(artists))
    ids = np.repeat(["jazz/jazz.00001.au", "jazz/jazz.00002.au"], 4)
    np.savez(tmp_path / "tags.npz", X=np.random.default_rng(0).random((8, 50)), IDS=ids)
    with tracks.open("a") as file:
        file.write("\njazz.00001,x,train,1\njazz.00002,y,test,2\n")

    where = ("--work", work, "--out", tmp_path)
    assert step(monkeypatch, "distil", *where, "--steps", 2) == 0
    assert step(monkeypatch, "distil", *where, "--steps", 2) == 0
    assert step(monkeypatch, "distil", *where, "--steps", 3) == 2
    assert "other settings" in capsys.readouterr().err
    given = ("--songs", music, "--tracks", tracks, "--outside", music)
    stored = ("--stored-tags", tmp_path / "tags.npz", "--test-tags", tmp_path / "tags.npz")
    assert step(monkeypatch, "head", *where, *given, *stored) == 0
    model = load_model(tmp_path / "everyday")
    assert model.card["gtzan_train_by_artist_folds"]["songs"] == 7
    assert model.card["outside_by_artist_folds"]["songs"] == 9
    assert model.card["measured"]["tracks"] == 2
    assert "Universitat Pompeu Fabra" in (tmp_path / "everyday/LICENSE-musicnn.txt").read_text()
    verdict = model.classify(music / "metal" / "metal.00001.wav")
    assert max(verdict.probabilities, key=verdict.probabilities.get) == "metal"
    assert verdict.sounds_like
    student = load_file(work / "student.safetensors")
    assert torch.equal(model.network.backbone.tags.weight, student["tags.weight"])

    assert step(monkeypatch, "measure", *where, "--outside", music) == 0
    card = json.loads((tmp_path / "everyday" / "model.json").read_text())["card"]
    assert card["robustness"] == {"tracks": 3, "top_genre_flips": {"softer": 0}}


def test_a_step_without_the_one_before_it_is_refused(tmp_path, monkeypatch, music, capsys):
    assert step(monkeypatch, "prepare", "--work", tmp_path, "--music", music) == 2
    assert "teacher.safetensors is missing: run the steps before" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        step(monkeypatch, "prepare", "--work", tmp_path)
    assert "prepare needs music" in capsys.readouterr().err


def test_the_teacher_needs_the_published_package(tmp_path, monkeypatch, music, capsys):
    wheel = tmp_path / "musicnn.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("musicnn/__init__.py", "")
    assert step(monkeypatch, "teacher", wheel, "--work", tmp_path, "--music", music) == 2
    assert "is not musicnn 0.1.0" in capsys.readouterr().err
