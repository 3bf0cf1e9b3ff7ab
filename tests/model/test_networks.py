"""The networks."""

import numpy as np
import pytest
import torch
from torch import nn

from genrekit.errors import SettingsError
from genrekit.model.backbone import EVERYDAY_PARAMS
from genrekit.model.networks import CourseMLP, GenreCNN, build_network, count_parameters


def test_the_courses_network_has_its_parameters():
    network = build_network("mlp", (130, 13), 10)
    assert count_parameters(network) == 1_014_218
    layers = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert layers == [(1690, 512), (512, 256), (256, 64), (64, 10)]
    kinds = (nn.Flatten, *(nn.Linear, nn.ReLU) * 3, nn.Linear)
    assert all(isinstance(m, kind) for m, kind in zip(network, kinds, strict=True))


SHAPES = [(130, 13), (32, 7), (1, 128)]
EACH_IN_ITS_SHAPES = [
    *((name, shape) for name in ("mlp", "cnn") for shape in SHAPES),
    ("everyday", EVERYDAY_PARAMS.shape),
]


@pytest.mark.parametrize(("name", "shape"), EACH_IN_ITS_SHAPES)
@pytest.mark.parametrize("genres", [2, 10])
def test_logits_for_every_shape(name, shape, genres):
    network = build_network(name, shape, genres, seed=0).eval()
    x = torch.randn(5, *shape)
    logits = network(x)
    assert logits.shape == (5, genres + (name == "everyday"))  # and "no music"
    assert logits.isfinite().all()
    assert logits.requires_grad
    # One at a time is the same as together.
    torch.testing.assert_close(network(x[2:3]), logits[2:3], rtol=1e-4, atol=1e-5)


def test_the_formula_of_the_network():
    network = build_network("mlp", (4, 3), 2, seed=1)
    x = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
    a = x.reshape(6, 12)
    linears = [m for m in network if isinstance(m, nn.Linear)]
    for i, linear in enumerate(linears):
        a = a @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        if i < 3:
            a = np.maximum(a, 0)
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), a, atol=1e-5)


@pytest.mark.parametrize(("name", "shape"), EACH_IN_ITS_SHAPES)
def test_the_seed_alone_determines_the_weights(name, shape):
    torch.manual_seed(99)
    one = build_network(name, shape, 3, seed=7)
    torch.rand(10)
    same = build_network(name, shape, 3, seed=7)
    other = build_network(name, shape, 3, seed=8)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert (a == b).all()
    assert any((a != b).any() for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_seed_leaves_the_global_random_state():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_network("mlp", (5, 4), 3, seed=7)
    assert (torch.rand(3) == expected).all()


def test_frozen_parameters_are_not_counted():
    network = CourseMLP((5, 4), 3)
    every = count_parameters(network)
    for parameter in network[1].parameters():
        parameter.requires_grad_(False)
    assert count_parameters(network) == every - 20 * 512 - 512


def test_unknown_network():
    with pytest.raises(SettingsError, match='network "resnet": use one of mlp'):
        build_network("resnet", (5, 4), 3)


def test_everyday_takes_its_own_features_alone():
    with pytest.raises(SettingsError, match=r"features of its own: .* --preset everyday"):
        build_network("everyday", (130, 13), 3)


# -- the convolutional network ----------------------------------------------------------------


def test_the_cnn_ignores_the_level():
    network = build_network("cnn", (38, 128), 10, seed=0).eval()
    x = 10 * torch.randn(3, 38, 128) - 40
    torch.testing.assert_close(network(x + 12), network(x), rtol=1e-4, atol=1e-4)


def test_the_cnn_returns_the_mean_of_its_members_log_probabilities():
    network = GenreCNN((20, 24), 4, members=3).eval()
    x = torch.randn(5, 20, 24)
    picture = network._centred(x)
    each = [member(picture).log_softmax(1) for member in network.members]
    torch.testing.assert_close(network(x), sum(each) / 3)
    assert not torch.allclose(each[0], each[1])


def test_the_cnns_members_learn_from_different_rows():
    network = GenreCNN((20, 24), 4, members=2, dropout=0).train()
    logits = network(torch.randn(6, 20, 24))
    assert logits.shape == (6, 4)
    logits[:3].sum().backward()
    touched = [any(p.grad is not None for p in m.parameters()) for m in network.members]
    assert touched == [True, True]  # batch statistics are a member's own, gradients too:
    assert all(p.grad is None or not p.grad.any() for p in network.members[1].parameters())


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_cnn_trains_on_a_short_last_batch(rows):
    network = GenreCNN((38, 24), 3, members=2).train()
    assert network(torch.randn(rows, 38, 24)).shape == (rows, 3)
