"""The robust recipe: its examples, its average, and how an interrupted run continues."""

import dataclasses

import numpy as np
import pytest
import torch
from alike import SAME_RUN, apart, assert_alike

from genrekit.dataset.splits import by_segment, by_track
from genrekit.errors import ModelError, SettingsError
from genrekit.training import loop as training_module
from genrekit.training import recipes
from genrekit.training.loop import Training, train
from genrekit.training.params import NETWORK_DEFAULTS, TrainParams
from genrekit.training.recipes import RobustRecipe
from genrekit.training.rows import adjacent_rows

QUICK = TrainParams("mlp", "robust", epochs=4, batch_size=16, learning_rate=3e-3, device="cpu")


@pytest.fixture(autouse=True)
def few_outliers(monkeypatch):
    monkeypatch.setattr(training_module, "_OUTLIERS", 12)


@pytest.fixture(scope="module")
def data(make_dataset):
    """Genres that differ in timbre at all times, which shifting a segment preserves."""
    plain = make_dataset(tracks=6, apart=0)
    colour = 6 * np.random.default_rng(1).normal(size=(3, 1, plain.params.coefficients))
    features = plain.features + colour[plain.labels].astype(np.float32)
    return dataclasses.replace(plain, features=features)


@pytest.fixture(scope="module")
def split(data):
    return by_track(data, 2)


def weights(training):
    return torch.cat([p.detach().ravel() for p in training._recipe.judge.parameters()])


@pytest.mark.parametrize(("network", "epochs"), [("mlp", 12), ("cnn", 12)])
def test_the_robust_recipe_learns_and_its_model_is_the_average(data, split, network, epochs):
    params = dataclasses.replace(QUICK, network=network, epochs=epochs, learning_rate=1e-2)
    training = train(data, split, params)
    history = list(training)
    assert history[-1].valid_loss < history[0].valid_loss
    assert history[-1].valid_accuracy > 0.6  # 1 as a rule; chance is a third
    model = training.model()
    kept = torch.cat([p.detach().ravel() for p in model.network.parameters()])
    assert (kept == weights(training)).all()
    moving = torch.cat([p.detach().ravel() for p in training._network.parameters()])
    assert not torch.allclose(kept, moving)
    assert model.card["training"]["recipe"] == "robust"


def test_the_seed_decides(data, split):
    def run(seed):
        training = train(data, split, dataclasses.replace(QUICK, seed=seed))
        torch.rand(seed + 5)  # what others draw does not matter
        list(training)
        return weights(training)

    one, same, other = run(1), run(1), run(2)
    assert apart(one, same) < SAME_RUN < apart(one, other) / 10


@pytest.mark.parametrize("params", [QUICK, TrainParams(epochs=4, batch_size=16, keep="best")])
def test_an_interrupted_run_ends_like_one_that_was_not(data, split, tmp_path, params):
    whole = train(data, split, params)
    list(whole)
    first = train(data, split, params)
    for epoch in first:
        first.save_state(tmp_path / "run.state")
        if epoch.epoch == 2:
            break
    second = train(data, split, params)
    second.load_state(tmp_path / "run.state")
    assert [e.epoch for e in second.history] == [1, 2]
    assert [e.epoch for e in second] == [3, 4]
    assert apart(weights(second), weights(whole)) < SAME_RUN
    assert second.kept_epoch == whole.kept_epoch
    for a, b in zip(whole.history, second.history, strict=True):
        assert_alike((a.train_loss, a.valid_loss), (b.train_loss, b.valid_loss), near=1e-3)
    assert second.model().temperature == pytest.approx(whole.model().temperature, rel=1e-2)


def test_a_state_of_another_run_or_a_damaged_one(data, split, tmp_path):
    path = tmp_path / "run.state"
    training = train(data, split, QUICK)
    next(iter(training))
    training.save_state(path)
    for other in (
        train(data, split, dataclasses.replace(QUICK, learning_rate=1e-3)),
        train(data, by_segment(data, 1), QUICK),
    ):
        with pytest.raises(ModelError, match="belongs to a run with other data or settings"):
            other.load_state(path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nonsense"):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"run\.state is damaged: remove it"):
            train(data, split, QUICK).load_state(path)
    with pytest.raises(ModelError, match=r"none\.state"):
        train(data, split, QUICK).load_state(tmp_path / "none.state")


def test_nothing_in_a_state_is_executed(data, split, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"run": Trap()}, tmp_path / "trap.state")
    with pytest.raises(ModelError, match="is damaged"):
        train(data, split, QUICK).load_state(tmp_path / "trap.state")
    assert not (tmp_path / "sprung").exists()


# -- rows -------------------------------------------------------------------------------------


def recipe(log_mel=False, outliers=0, n=24, **change):
    x = torch.arange(n, dtype=torch.float32)[:, None, None].expand(n, 6, 5).contiguous()
    y = torch.arange(n) % 3
    before = np.maximum(np.arange(n) - 1, 0)
    after = np.minimum(np.arange(n) + 1, n - 1)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 3))
    strange = torch.full((outliers, 6, 5), -999.0)
    return RobustRecipe(
        network,
        x,
        y,
        1e-2,
        adjacent=(before, after),
        log_mel=log_mel,
        outliers=strange,
        genres=3,
        steps=10,
    )


def test_pieces_are_taken_from_a_segment_and_the_ones_beside_it():
    rows = torch.arange(24)
    for _ in range(10):
        piece = recipe()._varied(rows)
        assert piece.shape == (24, 6, 5)
        assert ((piece - rows[:, None, None]).abs() <= 1).all()
        assert (piece[0] >= 0).all()  # before the first there is nothing: it is mirrored


def test_mixed_targets_are_soft_and_sum_to_one():
    own = recipe()
    target = torch.nn.functional.one_hot(torch.arange(24) % 3, 3).float()
    x, mixed = own._mixed(own._x, target)
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(24))
    assert mixed.min() >= own.SMOOTHING / 3 - 1e-6
    assert (mixed.argmax(dim=1) == target.argmax(dim=1)).all()
    assert not torch.equal(x, own._x)


def test_outliers_have_no_genre():
    own = recipe(outliers=2, n=48)
    x, target = own._with_outliers(own._x.clone(), own._y.clone())
    strange = (x == -999).all(dim=(1, 2))
    assert strange.sum() == 3  # one in sixteen
    torch.testing.assert_close(target[strange], torch.full((3, 3), 1 / 3))
    assert (target[~strange].max(dim=1).values == 1).all()


def test_the_average_follows_the_weights_and_forgets_the_first_ones():
    own = recipe()
    seen = []
    for step in range(1, 400):
        with torch.no_grad():
            own._network[1].weight.fill_(float(step))
        own._average(step)
        seen.append(own.judge[1].weight[0, 0].item())
    lag = np.arange(1, 400) - seen
    assert (lag >= 0).all()
    assert lag[9] < 3
    assert 20 < lag[398] < 60


def test_adjacent_rows_in_a_track(data):
    rows = np.array([5, 4, 7, 0, 3, 2])  # track 0 has rows 0 to 3, track 1 has 4 to 7
    before, after = adjacent_rows(data, rows)
    assert rows[before].tolist() == [4, 4, 7, 0, 2, 2]
    assert rows[after].tolist() == [5, 5, 7, 0, 3, 3]
    alone = dataclasses.replace(data, tracks=None, artists=None)
    assert (adjacent_rows(alone, rows)[0] == np.arange(6)).all()


# -- settings ---------------------------------------------------------------------------------


def test_each_network_has_a_recipe_of_its_own():
    assert NETWORK_DEFAULTS["mlp"] == TrainParams()
    assert NETWORK_DEFAULTS["cnn"].network == "cnn"
    assert NETWORK_DEFAULTS["cnn"].recipe == "robust"
    assert NETWORK_DEFAULTS["everyday"].recipe == "head"


def test_an_unknown_recipe_is_refused():
    with pytest.raises(SettingsError, match='recipe is "secret": use course or robust'):
        TrainParams(recipe="secret")


def test_log_mel_datasets_are_augmented(data, split, monkeypatch):
    params = dataclasses.replace(data.params, kind="log_mel", ref="max")
    rng = np.random.default_rng(0)
    features = rng.uniform(-80, 0, (len(data), *params.shape)).astype(np.float32)
    mel = dataclasses.replace(data, features=features, params=params)
    used = []
    for name in ("shift", "equalise", "add_noise"):
        original = getattr(recipes, name)
        monkeypatch.setattr(
            f"genrekit.training.recipes.{name}",
            lambda *a, _o=original, _n=name: used.append(_n) or _o(*a),
        )
    training = Training(mel, split, dataclasses.replace(QUICK, network="cnn", epochs=1))
    list(training)
    assert {"shift", "equalise", "add_noise"} <= set(used)
