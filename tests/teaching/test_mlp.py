"""The teaching network, against an independent textbook version, PyTorch and finite differences."""

from itertools import pairwise

import numpy as np
import pytest

from genrekit.errors import SettingsError
from genrekit.teaching.mlp import INITIALISERS, MLP, numerical_gradients
from genrekit.teaching.neuron import ACTIVATIONS
from genrekit.teaching.tasks import make_task

SIZES = [(3, (3, 5), 2), (2, (5,), 1), (4, (), 3), (1, (2, 3, 4), 2)]
sigmoid = ACTIVATIONS["sigmoid"]
SMOOTH = ["sigmoid", "tanh", "identity"]


# -- making one -------------------------------------------------------------------------------


def test_defaults_are_the_courses():
    mlp = MLP()
    assert mlp.layer_sizes == (3, 3, 5, 2)
    assert [w.shape for w in mlp.weights] == [(3, 3), (3, 5), (5, 2)]
    assert mlp.biases == []
    assert mlp.activation == mlp.output_activation == "sigmoid"
    assert all(((w >= 0) & (w < 1)).all() for w in mlp.weights)


def test_weights_fill_their_range():
    weights = np.concatenate([w.ravel() for w in MLP(50, [50], 50, seed=1).weights])
    assert weights.min() < 0.01
    assert weights.max() > 0.99
    assert weights.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("init", "spread", "mean"),
    [
        ("uniform", 12**-0.5, 0.5),
        ("symmetric", 3**-0.5, 0),
        ("xavier", (2 / 300) ** 0.5, 0),
        ("he", (2 / 100) ** 0.5, 0),
        ("zeros", 0, 0),
    ],
)
def test_initialisers_have_the_spread_their_papers_give(init, spread, mean):
    weights = INITIALISERS[init](np.random.default_rng(0), 100, 200)
    assert weights.shape == (100, 200)
    assert weights.std() == pytest.approx(spread, rel=0.02)
    assert weights.mean() == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize("init", INITIALISERS)
def test_seeds_reproduce(init):
    one, same, other = (MLP(init=init, seed=seed) for seed in (4, 4, 5))
    generator = MLP(init=init, seed=np.random.default_rng(4))
    for a, b, c, d in zip(one.weights, same.weights, generator.weights, other.weights, strict=True):
        assert (a == b).all()
        assert (a == c).all()
        assert init == "zeros" or (a != d).any()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_inputs": 0}, "layer's size is 0: use a whole number of at least 1"),
        ({"num_hidden": [3, 0]}, "layer's size is 0"),
        ({"num_outputs": -1}, "layer's size is -1"),
        ({"init": "ones"}, 'initialisation "ones": use one of uniform'),
        ({"activation": "gelu"}, 'activation "gelu": use one of sigmoid'),
        ({"output_activation": "softmax"}, 'activation "softmax"'),
    ],
)
def test_impossible_networks_are_refused(arguments, match):
    with pytest.raises(SettingsError, match=match):
        MLP(**arguments)


# -- the arithmetic ---------------------------------------------------------------------------


class Textbook:
    """The course's network, one example at a time, as its formulas stand."""

    def __init__(self, weights):
        self.weights = [w.copy() for w in weights]

    def forward(self, x):
        self.a = [np.array(x, float)]
        for w in self.weights:
            self.a.append(1 / (1 + np.exp(-np.dot(self.a[-1], w))))
        return self.a[-1]

    def backward(self, error):
        self.dw = []
        for i in reversed(range(len(self.weights))):
            delta = error * self.a[i + 1] * (1 - self.a[i + 1])
            self.dw.insert(0, np.outer(self.a[i], delta))
            error = self.weights[i] @ delta
        return error

    def update(self, rate):
        for w, dw in zip(self.weights, self.dw, strict=True):
            w += rate * dw

    def train(self, inputs, targets, epochs, rate):
        for _ in range(epochs):
            errors = []
            for x, t in zip(inputs, targets, strict=True):
                error = t - self.forward(x)
                self.backward(error)
                self.update(rate)
                errors.append(np.mean(error**2))
            yield np.mean(errors)


@pytest.mark.parametrize("sizes", SIZES)
def test_equals_the_textbook_to_the_last_digits(sizes):
    rng = np.random.default_rng(8)
    mlp = MLP(*sizes, seed=2)
    book = Textbook(mlp.weights)
    for _ in range(20):
        x, t = rng.normal(size=sizes[0]), rng.random(sizes[2])
        output = mlp.forward(x)
        assert output.shape == (sizes[2],)
        np.testing.assert_allclose(output, book.forward(x), atol=1e-12, rtol=0)
        at_input = mlp.backward(t - output)
        # The course's dW is minus the gradient.
        np.testing.assert_allclose(-at_input[0], book.backward(t - book.a[-1]), atol=1e-12)
        for ours, theirs in zip(mlp.gradients, book.dw, strict=True):
            np.testing.assert_allclose(-ours, theirs, atol=1e-12, rtol=0)
        for ours, theirs in zip(mlp.activations, book.a, strict=True):
            np.testing.assert_allclose(ours[0], theirs, atol=1e-12, rtol=0)
        mlp.gradient_descent(0.7)
        book.update(0.7)
        for ours, theirs in zip(mlp.weights, book.weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=0)


def test_training_equals_the_textbook():
    x, t = make_task("sum", 60, seed=1)
    mlp = MLP(2, [5], 1, seed=3)
    book = Textbook(mlp.weights)
    ours = [report.mse for report in mlp.train(x, t, epochs=5, learning_rate=0.3)]
    np.testing.assert_allclose(ours, list(book.train(x, t, 5, 0.3)), atol=1e-12)
    for a, b in zip(mlp.weights, book.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def torch_gradients(mlp, x, t):
    """dL/dW and dL/db for L = 1/2 sum((t - o)^2) / batch, by autograd in float64."""
    import torch

    functions = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "identity": lambda h: h,
    }
    weights = [torch.tensor(w, requires_grad=True) for w in mlp.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in mlp.biases]
    a = torch.tensor(x)
    for i, w in enumerate(weights):
        h = a @ w + (biases[i] if biases else 0)
        last = i == len(weights) - 1
        a = functions[mlp.output_activation if last else mlp.activation](h)
    loss = 0.5 * ((torch.tensor(t) - a) ** 2).sum() / len(x)
    loss.backward()
    assert mlp.loss(x, t) == pytest.approx(float(loss.detach()), rel=1e-12)
    return [w.grad.numpy() for w in weights], [b.grad.numpy() for b in biases], a.detach().numpy()


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", [*SMOOTH, "relu"])
@pytest.mark.parametrize("sizes", SIZES)
def test_equals_autograd_and_finite_differences(sizes, activation, bias, batch):
    rng = np.random.default_rng(5)
    mlp = MLP(*sizes, activation=activation, bias=bias, init="symmetric", seed=6)
    for b in mlp.biases:
        b[:] = rng.normal(size=b.shape)
    x, t = rng.normal(size=(batch, sizes[0])), rng.normal(size=(batch, sizes[2]))
    weights, biases, output = torch_gradients(mlp, x, t)
    ours = mlp.forward(x)
    mlp.backward(t - ours)
    kept = [[d.copy() for d in mlp.gradients], [d.copy() for d in mlp.bias_gradients]]
    np.testing.assert_allclose(ours, output, atol=1e-12)
    for a, b in zip(kept[0], weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    if bias:
        for a, b in zip(kept[1], biases, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    numerical = numerical_gradients(mlp, x, t)
    for a, b in zip(kept[0], numerical[0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
    assert len(numerical[1]) == (len(weights) if bias else 0)
    for a, b in zip(kept[1], numerical[1], strict=False):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_an_output_layer_of_another_kind():
    mlp = MLP(2, [4], 1, activation="tanh", output_activation="identity", init="xavier", seed=1)
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 1)) * 4
    weights, _, output = torch_gradients(mlp, x, t)
    np.testing.assert_allclose(mlp.forward(x), output, atol=1e-12)
    mlp.backward(t - mlp.forward(x))
    for a, b in zip(mlp.gradients, weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_steps_have_no_slope_and_so_never_learn():
    mlp = MLP(2, [3], 1, activation="step", init="symmetric", seed=1)
    x, t = np.random.default_rng(0).normal(size=(6, 2)), np.ones((6, 1))
    mlp.backward(t - mlp.forward(x))
    for gradients in (mlp.gradients, numerical_gradients(mlp, x, t)[0]):
        assert all((d == 0).all() for d in gradients)


def test_finite_differences_leave_the_network_as_it_was():
    mlp = MLP(2, [4], 1, bias=True, seed=1)
    before = [p.copy() for p in mlp.weights + mlp.biases]
    numerical_gradients(mlp, [[0.1, 0.2], [0.3, 0.4]], [[0.3], [0.7]])
    for a, b in zip(before, mlp.weights + mlp.biases, strict=True):
        assert (a == b).all()


def test_finite_differences_take_one_target_for_each_of_one_output():
    mlp = MLP(2, [4], 1, seed=1)
    x, t = make_task("sum", 9)
    flat, square = (numerical_gradients(mlp, x, target)[0] for target in (t[:, 0], t))
    for a, b in zip(flat, square, strict=True):
        assert (a == b).all()


def test_a_batch_is_the_mean_of_its_examples():
    mlp = MLP(2, [4], 3, bias=True, init="symmetric", seed=1)
    rng = np.random.default_rng(3)
    x, t = rng.random((6, 2)), rng.random((6, 3))
    singles = []
    for xi, ti in zip(x, t, strict=True):
        mlp.backward(ti - mlp.forward(xi))
        singles.append([d.copy() for d in mlp.gradients + mlp.bias_gradients])
    mlp.backward(t - mlp.forward(x))
    for i, batch in enumerate(mlp.gradients + mlp.bias_gradients):
        np.testing.assert_allclose(batch, np.mean([s[i] for s in singles], axis=0), atol=1e-14)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_step_is_one_iteration_of_train_with_everything_kept(bias, batch):
    x, t = make_task("sum", batch, seed=2)
    stepped, trained = (MLP(2, [5, 3], 1, bias=bias, seed=7) for _ in range(2))
    before = [w.copy() for w in stepped.weights]
    (report,) = trained.train(x, t, epochs=1, learning_rate=0.4, batch_size=batch)
    step = stepped.step(x if batch > 1 else x[0], t if batch > 1 else t[0], learning_rate=0.4)
    for a, b in zip(
        stepped.weights + stepped.biases, trained.weights + trained.biases, strict=True
    ):
        assert (a == b).all()
    assert 2 * step.loss == pytest.approx(report.mse, abs=1e-15)

    assert (step.target == t).all()
    assert (step.activations[0] == x).all()
    for i, w in enumerate(before):
        assert (step.weights_before[i] == w).all()
        assert (step.weights_after[i] == stepped.weights[i]).all()
        np.testing.assert_allclose(step.net_inputs[i], step.activations[i] @ w, atol=1e-15)
        np.testing.assert_allclose(step.activations[i + 1], sigmoid(step.net_inputs[i]))
        np.testing.assert_allclose(w - 0.4 * step.gradients[i], step.weights_after[i])
        np.testing.assert_allclose(
            step.gradients[i], step.activations[i].T @ step.deltas[i] / batch, atol=1e-15
        )
    assert (step.output == step.activations[-1]).all()
    np.testing.assert_allclose(step.error, t - step.output)
    np.testing.assert_allclose(step.loss, np.sum(step.error**2) / 2 / batch)
    assert len(step.bias_gradients) == len(step.biases_before) == (3 if bias else 0)
    for b0, db, b1 in zip(step.biases_before, step.bias_gradients, step.biases_after, strict=True):
        np.testing.assert_allclose(b0 - 0.4 * db, b1)


def test_what_a_step_kept_never_changes():
    x, t = make_task("sum", 2)
    mlp = MLP(2, [3], 1)
    first = mlp.step(x[0], t[0])
    kept = [a.copy() for a in (*first.activations, *first.gradients, *first.weights_after)]
    mlp.step(x[1], t[1])
    for a, b in zip(
        kept, (*first.activations, *first.gradients, *first.weights_after), strict=True
    ):
        assert (a == b).all()


def test_outputs_are_copies():
    mlp = MLP()
    first = mlp.forward([1, 2, 3])
    kept = first.copy()
    mlp.forward([3, 2, 1])
    assert (first == kept).all()


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_training_in_batches(batch_size):
    x, t = make_task("sum", 30, seed=5)
    ours, by_hand = (MLP(2, [4], 1, seed=1) for _ in range(2))
    reports = list(ours.train(x, t, epochs=2, learning_rate=0.5, batch_size=batch_size))
    assert [report.epoch for report in reports] == [0, 1]
    for report in reports:
        squares = 0.0
        for start in range(0, 30, batch_size):
            rows = slice(start, start + batch_size)
            error = t[rows] - by_hand.forward(x[rows])
            squares += (error**2).sum()
            by_hand.backward(error)
            by_hand.gradient_descent(0.5)
        assert report.mse == pytest.approx(squares / 30, abs=1e-14)
    for a, b in zip(ours.weights, by_hand.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)


def test_shuffling_is_the_generators_and_the_order_is_kept_without_one():
    x, t = make_task("sum", 40)
    runs = []
    for shuffle in (None, np.random.default_rng(1), np.random.default_rng(1)):
        mlp = MLP(2, [3], 1)
        list(mlp.train(x, t, epochs=2, shuffle=shuffle))
        runs.append(mlp.weights[0])
    assert (runs[1] == runs[2]).all()
    assert (runs[0] != runs[1]).any()
    order = np.random.default_rng(1).permutation(40)
    by_hand = MLP(2, [3], 1)
    list(by_hand.train(x[order], t[order], epochs=1))
    shuffled = MLP(2, [3], 1)
    list(shuffled.train(x, t, epochs=1, shuffle=np.random.default_rng(1)))
    assert (by_hand.weights[0] == shuffled.weights[0]).all()


def test_training_stops_when_nobody_reads_on():
    x, t = make_task("sum", 50)
    mlp, reference = MLP(2, [3], 1), MLP(2, [3], 1)
    run = mlp.train(x, t, epochs=50)
    assert (mlp.weights[0] == reference.weights[0]).all()  # nothing before the first report
    next(run)
    next(run)
    run.close()
    list(reference.train(x, t, epochs=2))
    assert (mlp.weights[0] == reference.weights[0]).all()
    assert list(mlp.train(x, t, epochs=0)) == []


# -- the sum task -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_sum_task_learns_as_the_course_shows(seed):
    x, t = make_task("sum", 1000, seed=seed)
    assert x.shape == (1000, 2)
    assert t.shape == (1000, 1)
    assert x.min() >= 0
    assert x.max() < 0.5
    np.testing.assert_allclose(t[:, 0], x[:, 0] + x[:, 1])
    mlp = MLP(2, [5], 1, seed=seed)
    errors = [report.mse for report in mlp.train(x, t, epochs=50, learning_rate=0.1)]
    # What a run shows depends on its random numbers: at the steepest part most of all.
    course = {
        0: (0.04, 0.06),
        1: (0.036, 0.048),
        10: (0.02, 0.04),
        19: (0.0073 / 2, 0.0073 * 3.5),
        24: (0.0043 / 2, 0.0043 * 3.5),
        49: (0.0003, 0.0008),
    }
    for epoch, (low, high) in course.items():
        assert low < errors[epoch] < high, epoch
    assert all(later < earlier for earlier, later in pairwise(errors))
    assert mlp.forward([0.3, 0.1])[0] == pytest.approx(0.40, abs=0.01)
    # A sigmoid cannot answer 1.8, and says so by far.
    assert mlp.forward([0.9, 0.9])[0] < 1


def test_mean_squared_error_does_not_learn():
    x, t = make_task("sum", 20)
    mlp = MLP(2, [5], 1)
    before = mlp.weights[0].copy()
    expected = np.mean((t - mlp.forward(x)) ** 2)
    assert mlp.mean_squared_error(x, t) == pytest.approx(expected)
    assert mlp.mean_squared_error(x, t[:, 0]) == pytest.approx(expected)
    assert (before == mlp.weights[0]).all()


# -- what does not fit ------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["input", "target"])
@pytest.mark.parametrize("move", ["train", "step", "mean_squared_error", "numerical_gradients"])
def test_numbers_that_are_none_are_refused(move, where, bad):
    mlp = MLP(2, [3], 1)
    x, t = make_task("sum", 4)
    (x if where == "input" else t)[2] = bad
    before = mlp.weights[0].copy()
    moves = {name: getattr(mlp, name) for name in ("train", "step", "mean_squared_error")}
    moves["numerical_gradients"] = lambda x, t: numerical_gradients(mlp, x, t)
    with pytest.raises(SettingsError, match="not finite: remove them"):
        moves[move](x, t)
    assert (mlp.weights[0] == before).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_forward_refuses_them_too(bad):
    mlp = MLP()
    with pytest.raises(SettingsError, match="not finite"):
        mlp.forward([1, bad, 3])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0}, "learning_rate is 0: use a number above 0"),
    ],
)
def test_training_that_cannot_work_is_refused_at_once(options, match):
    with pytest.raises(SettingsError, match=match):
        MLP(2, [3], 1).train(*make_task("sum", 3), **options)


def test_shapes_that_do_not_fit():
    mlp = MLP(2, [3], 2)
    with pytest.raises(SettingsError, match=r"Inputs of shape \(3,\).*give shape \(examples, 2\)"):
        mlp.forward([1, 2, 3])
    with pytest.raises(SettingsError, match="Inputs of shape"):
        mlp.forward(np.empty((0, 2)))
    with pytest.raises(SettingsError, match="Inputs of shape"):
        mlp.forward(np.zeros((2, 2, 2)))
    mlp.forward([1, 2])
    with pytest.raises(SettingsError, match="Errors of shape"):
        mlp.backward([1, 2, 3])
    with pytest.raises(SettingsError, match="2 errors do not fit the last forward pass of 1"):
        mlp.backward([[1, 2], [1, 2]])
    with pytest.raises(SettingsError, match="3 inputs and 2 targets"):
        mlp.train(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(SettingsError, match="Targets of shape"):
        mlp.step([1, 2], [1, 2, 3])


def test_a_diverging_network_warns_nobody_and_says_so_in_its_error():
    x, t = make_task("sum", 50)
    mlp = MLP(2, [5], 1, activation="identity", init="uniform", seed=0)
    reports = list(mlp.train(x, t, epochs=30, learning_rate=50))
    assert not np.isfinite(reports[-1].mse)
