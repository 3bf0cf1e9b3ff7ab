"""Training with the course's recipe, checked against a plain PyTorch loop."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from alike import SAME_RUN, apart, assert_alike
from torch import nn

from genrekit.dataset.dataset import Dataset
from genrekit.dataset.splits import by_segment, by_track
from genrekit.errors import ModelError, SettingsError
from genrekit.model.metrics import choose_threshold, fit_temperature, mean_by_group, softmax
from genrekit.system.files import without_nan
from genrekit.training import loop as module
from genrekit.training import recipes
from genrekit.training.loop import EpochStats, Training, train
from genrekit.training.params import TrainParams

QUICK = TrainParams(epochs=4, batch_size=16, learning_rate=1e-3, device="cpu")


@pytest.fixture(scope="module")
def data(make_dataset):
    return make_dataset(tracks=6, apart=0.3)


@pytest.fixture(scope="module")
def split(data):
    return by_track(data, 2)


def change(**values):
    return dataclasses.replace(QUICK, **values)


def weights(model_or_training):
    network = getattr(model_or_training, "network", None) or model_or_training._network
    return torch.cat([p.detach().ravel() for p in network.parameters()])


# -- the recipe -------------------------------------------------------------------------------


def test_defaults_are_the_courses():
    params = TrainParams()
    assert (params.network, params.epochs, params.batch_size) == ("mlp", 50, 32)
    assert (params.learning_rate, params.keep, params.normalise) == (1e-4, "last", False)


def plain_loop(data, split, params):
    """A course notebook's training loop, with batches in the same order."""
    torch.manual_seed(params.seed)
    frames, coefficients = data.params.shape
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(frames * coefficients, 512),
        nn.ReLU(),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, 64),
        nn.ReLU(),
        nn.Linear(64, len(data.genres)),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=params.learning_rate)
    order = torch.Generator().manual_seed(params.seed)
    x, y = torch.tensor(data.features[split.train]), torch.tensor(data.labels[split.train])
    xv, yv = torch.tensor(data.features[split.valid]), torch.tensor(data.labels[split.valid])
    if params.normalise:
        mean = x.double().mean(dim=(0, 1)).float()
        std = x.double().std(dim=(0, 1), correction=0).float()
        x, xv = (x - mean) / std, (xv - mean) / std
    history = []
    for _ in range(params.epochs):
        losses, hits = 0.0, 0
        indices = torch.randperm(len(y), generator=order)
        for start in range(0, len(y), params.batch_size):
            rows = indices[start : start + params.batch_size]
            output = network(x[rows])
            loss = criterion(output, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses += loss.item() * len(rows)
            hits += (output.argmax(1) == y[rows]).sum().item()
        with torch.no_grad():
            output = network(xv)
            history.append(
                (
                    losses / len(y),
                    hits / len(y),
                    criterion(output, yv).item(),
                    (output.argmax(1) == yv).float().mean().item(),
                )
            )
    return history, torch.cat([p.detach().ravel() for p in network.parameters()])


@pytest.mark.parametrize("normalise", [False, True])
def test_equals_a_plain_loop(data, split, normalise):
    params = change(normalise=normalise, seed=3)
    training = train(data, split, params)
    ours = [(e.train_loss, e.train_accuracy, e.valid_loss, e.valid_accuracy) for e in training]
    theirs, expected = plain_loop(data, split, params)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert apart(weights(training), expected) < SAME_RUN


def test_gradients_by_hand_and_by_autograd_train_the_same(data, split, monkeypatch):
    by_hand = train(data, split, QUICK)
    monkeypatch.setattr(recipes.DenseChain, "fits", lambda _: False)
    by_autograd = train(data, split, QUICK)
    for ours, theirs in zip(by_hand, by_autograd, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, abs=1e-4)
        assert ours.valid_loss == pytest.approx(theirs.valid_loss, abs=1e-4)
    assert by_hand._recipe._chain is not None
    assert by_autograd._recipe._chain is None


def test_training_under_autocast(data, split):
    plain, within = train(data, split, QUICK), train(data, split, QUICK)
    list(plain)
    with torch.autocast("cpu", torch.bfloat16):
        history = list(within)
    assert len(history) == QUICK.epochs
    torch.testing.assert_close(weights(within), weights(plain), atol=1e-4, rtol=0)


def test_the_figures_of_an_epoch(data, split):
    epochs = list(train(data, split, QUICK))
    assert [f.name for f in dataclasses.fields(EpochStats)] == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_accuracy",
        "seconds",
    ]
    assert [e.epoch for e in epochs] == [1, 2, 3, 4]
    for epoch in epochs:
        assert epoch.train_loss > 0
        assert epoch.valid_loss > 0
        assert 0 <= epoch.train_accuracy <= 1
        assert 0 <= epoch.valid_accuracy <= 1
        assert 0 < epoch.seconds < 30
    assert epochs[-1].train_loss < epochs[0].train_loss


def test_separable_data_is_learned_and_kept_as_a_history(make_dataset):
    data = make_dataset(apart=3)
    training = train(data, by_track(data), QUICK)
    epochs = list(training)
    assert training.history == epochs
    assert epochs[-1].valid_accuracy == 1
    model = training.model()
    assert model.card["history"] == [dataclasses.asdict(e) for e in epochs]
    assert model.card["measured"]["segment_accuracy"] == 1


def test_noise_is_not_learned(make_dataset):
    # Labels that mean nothing: whoever does well here has seen the answers.
    data = make_dataset(genres=tuple("abcd"), tracks=30, apart=0)
    last = list(train(data, by_track(data), QUICK))[-1]
    assert last.train_accuracy > 0.6
    assert last.valid_accuracy < 0.45


# -- seeds, stopping --------------------------------------------------------------------------


def test_the_seed_decides(data, split):
    runs = [train(data, split, change(seed=seed)) for seed in (1, 1, 2)]
    histories = []
    for run in runs:
        torch.rand(3)  # what others draw in between
        histories.append([dataclasses.replace(e, seconds=0) for e in run])
    assert_alike(histories[0], histories[1], near=1e-3)
    one, same, other = map(weights, runs)
    assert apart(one, same) < SAME_RUN < apart(one, other) / 10


def test_stopping_early_gives_a_model(data, split):
    training = train(data, split, QUICK)
    for epoch in training:
        if epoch.epoch == 2:
            break
    model = training.model()
    assert model.card["training"]["epochs_run"] == 2
    assert model.card["training"]["kept_epoch"] == 2
    other = train(data, split, change(epochs=2))
    list(other)
    assert apart(weights(model), weights(other.model())) < SAME_RUN


def test_continuing_after_a_stop_changes_nothing(data, split):
    stopped, straight = train(data, split, QUICK), train(data, split, QUICK)
    for epoch in stopped:
        if epoch.epoch == 2:
            break
    list(stopped)
    list(straight)
    losses = [[e.train_loss for e in run.history] for run in (stopped, straight)]
    assert_alike(*losses, near=1e-3)
    assert apart(weights(stopped), weights(straight)) < SAME_RUN
    assert list(stopped) == []


def test_no_model_before_the_first_epoch(data, split):
    with pytest.raises(ModelError, match="No epoch has been run yet: run at least one"):
        train(data, split, QUICK).model()


def test_a_model_is_a_copy(data, split):
    training = train(data, split, QUICK)
    steps = iter(training)
    next(steps)
    model = training.model()
    before = weights(model).clone()
    next(steps)
    assert (weights(model) == before).all()
    assert (weights(training) != before).any()


# -- which weights are kept -------------------------------------------------------------------


def test_keep_last_and_best(make_dataset):
    data = make_dataset(genres=tuple("abcd"), tracks=10, apart=0.1)  # overfits at once
    split = by_track(data)
    runs = {
        keep: train(data, split, change(epochs=6, keep=keep, learning_rate=3e-3))
        for keep in ("last", "best")
    }
    losses = {keep: [e.valid_loss for e in run] for keep, run in runs.items()}
    assert_alike(losses["last"], losses["best"], near=1e-2)
    best = int(np.argmin(losses["best"])) + 1
    assert best < 6
    kept = {keep: run.model() for keep, run in runs.items()}
    assert kept["last"].card["training"]["kept_epoch"] == 6
    assert kept["best"].card["training"]["kept_epoch"] == best
    shorter = train(data, split, change(epochs=best, learning_rate=3e-3))
    list(shorter)
    best_of_all, last, alone = map(weights, (kept["best"], kept["last"], shorter.model()))
    assert apart(best_of_all, alone) < apart(best_of_all, last) / 10


def test_without_a_validation_part(data):
    split = by_segment(data, 0, (0.7, 0, 0.3))
    training = train(data, split, change(keep="best"))
    epochs = list(training)
    assert all(math.isnan(e.valid_loss) and math.isnan(e.valid_accuracy) for e in epochs)
    model = training.model()
    assert (model.temperature, model.threshold) == (1, 0)
    assert model.card["calibrated_on"] is None
    assert model.card["training"]["kept_epoch"] == 4
    assert model.card["measured"]["part"] == "test"


# -- calibration and the card -----------------------------------------------------------------


def test_calibrated_on_the_validation_part_only(data, split):
    training = train(data, split, change(epochs=8))
    list(training)
    model = training.model()
    logits = model.logits(data.features[split.valid])
    labels = data.labels[split.valid]
    expected = fit_temperature(logits, labels, data.tracks[split.valid])
    assert model.temperature == pytest.approx(expected, rel=1e-2)
    judged = mean_by_group(softmax(logits, model.temperature), labels, data.tracks[split.valid])
    assert model.threshold == pytest.approx(choose_threshold(*judged[:2]), abs=1e-2)
    assert model.card["calibrated_on"] == "valid"


def test_normalisation_is_fitted_on_training_rows_only(data, split):
    strange = data.features.copy()
    strange[split.valid] += 1000
    training = train(dataclasses.replace(data, features=strange), split, change(normalise=True))
    next(iter(training))
    model = training.model()
    rows = data.features[split.train].astype(np.float64)
    np.testing.assert_allclose(model.mean, rows.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(model.std, rows.std(axis=(0, 1)), rtol=1e-5)
    assert model.mean.shape == (7,)


def test_features_are_not_normalised_by_default(data, split):
    training = train(data, split, change(epochs=1))
    list(training)
    model = training.model()
    assert (model.mean == 0).all()
    assert (model.std == 1).all()


def test_a_coefficient_that_never_changes(data, split):
    features = data.features.copy()
    features[..., 3] = -100
    training = train(
        dataclasses.replace(data, features=features), split, change(normalise=True, epochs=1)
    )
    assert all(math.isfinite(e.train_loss) for e in training)
    assert training.model().std[3] == 1


def test_the_card(data, split):
    training = train(data, split, change(seed=4))
    list(training)
    model = training.model()
    card = json.loads(json.dumps(without_nan(model.card), allow_nan=False))
    assert card["data"] == {
        "fingerprint": data.sha256,
        "segments": {"a": 24, "b": 24, "c": 24},
        "tracks": 18,
    }
    assert card["split"]["kind"] == "track"
    assert card["split"]["seed"] == 2
    assert card["split"]["shares_tracks"] is False
    assert card["split"]["held_out"] == split.held_out_sha256
    assert card["split"]["segments"] == {
        "train": len(split.train),
        "valid": len(split.valid),
        "test": 0,
    }
    assert "device" not in card["training"]
    assert card["training"]["seed"] == 4
    assert card["training"]["learning_rate"] == 1e-3
    assert card["parameters"] == sum(p.numel() for p in model.network.parameters())
    assert card["measured"]["part"] == "valid"
    assert card["measured"]["segments"] == len(split.valid)
    # Measured with the weights that are kept, calibrated.
    probabilities = model.probabilities(data.features[split.valid])
    hits = probabilities.argmax(axis=1) == data.labels[split.valid]
    assert card["measured"]["segment_accuracy"] == pytest.approx(hits.mean())


def test_a_dataset_without_tracks(data):
    bare = Dataset(data.features, data.labels, data.genres, data.params)
    training = train(bare, by_segment(bare), change(epochs=1))
    list(training)
    card = training.model().card
    assert card["data"]["tracks"] is None
    assert card["measured"]["tracks"] is None
    assert card["split"]["shares_tracks"] is None


# -- what cannot work -------------------------------------------------------------------------


def test_an_overflowing_loss(data, split, monkeypatch):
    training = train(data, split, change(learning_rate=0.5))
    steps = iter(training)
    next(steps)
    step = training._recipe.step

    def overflowing(rows):
        loss, logits, genres = step(rows)
        return loss * float("inf"), logits, genres

    monkeypatch.setattr(training._recipe, "step", overflowing)
    with pytest.raises(ModelError, match=r"in epoch 2, at a .* rate of 0.5: .* such as 0.0001"):
        next(steps)
    assert len(training.history) == 1
    with pytest.raises(ModelError, match="No epoch has been run"):
        training.model()


def test_weights_that_broke_in_the_last_step_of_an_epoch(data, split, monkeypatch):
    # The running loss is still a number; what has been learned is none.
    training = train(data, split, change(epochs=1, batch_size=65_536))
    optimizer = training._recipe._optimizer
    step = optimizer.step

    def breaking():
        step()
        with torch.no_grad():
            next(iter(training._network.parameters()))[0, 0] = float("nan")

    monkeypatch.setattr(optimizer, "step", breaking)
    with pytest.raises(ModelError, match="overflowed in epoch 1"):
        list(training)
    with pytest.raises(ModelError, match="No epoch has been run"):
        training.model()


@pytest.mark.parametrize(
    ("change_", "match"),
    [
        ({"epochs": 0}, "epochs is 0: use a whole number from 1 to 10000"),
        ({"epochs": 2.5}, "epochs is 2.5: use a whole number"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"learning_rate": 0}, "learning_rate is 0: use a number above 0, up to 10"),
        ({"learning_rate": -1e-4}, "learning_rate is -0.0001"),
        ({"learning_rate": float("nan")}, "learning_rate is not a number"),
        ({"learning_rate": float("inf")}, "learning_rate is infinite"),
        ({"keep": "first"}, 'keep is "first": use last or best'),
    ],
)
def test_parameters_out_of_range(change_, match):
    with pytest.raises(SettingsError, match=match):
        TrainParams(**change_)


def test_an_unknown_network(data, split):
    with pytest.raises(SettingsError, match='network "resnet": use one of mlp'):
        train(data, split, change(network="resnet"))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_unavailable_devices(data, split, device):
    with pytest.raises(SettingsError, match=f'no device "{device}" here: use auto, cpu, or cuda'):
        train(data, split, change(device=device))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu(data, split):
    with pytest.raises(SettingsError, match='no device "cuda" here'):
        train(data, split, change(device="cuda"))
    assert module._device("auto") == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_trains_the_same(data, split):
    cpu, gpu = (Training(data, split, change(device=d)) for d in ("cpu", "cuda"))
    for a, b in zip(cpu, gpu, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, abs=1e-2)
    assert next(gpu.model().network.parameters()).device.type == "cpu"
