"""Gradients by hand, checked against autograd's."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from genrekit.model.networks import NETWORKS, build_network
from genrekit.training.dense import DenseChain


def dense(*sizes):
    """Dense layers of these sizes, with ReLUs in between."""
    layers = [nn.Flatten()]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for i in range(len(sizes) - 1):
            layers += [nn.ReLU()] * (i > 0) + [nn.Linear(sizes[i], sizes[i + 1])]
    return nn.Sequential(*layers)


def examples(count=30):
    x = torch.randn(count, 4, 3, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(count) % 3


def clear_examples(network, count, shape):
    """Examples that keep every unit so far from 0 that rounding does not switch it."""
    x = torch.randn(count + 100, *shape, generator=torch.Generator().manual_seed(count))
    nearest, values = torch.full((len(x),), torch.inf), x
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.ReLU):
                nearest = nearest.minimum(values.abs().amin(1))
            values = layer(values)
    chosen = x[nearest > 1e-5][:count]
    assert len(chosen) == count
    return chosen


NETWORKS_THAT_FIT = {
    "the course's": lambda: build_network("mlp", (130, 13), 10, seed=0),
    "narrow": lambda: dense(12, 5, 64, 3),
    "no hidden layer": lambda: dense(12, 2),
}


@pytest.mark.parametrize("count", [1, 32, 300])
@pytest.mark.parametrize("name", NETWORKS_THAT_FIT)
def test_loss_logits_and_gradients_are_those_of_autograd(name, count):
    network = NETWORKS_THAT_FIT[name]()
    shape = (130, 13) if name == "the course's" else (4, 3)
    x = clear_examples(network, count, shape)
    assert DenseChain.fits(network)
    logits = network(x)
    target = torch.arange(count) % logits.shape[1]
    loss = cross_entropy(logits, target)
    gradients = torch.autograd.grad(loss, network.parameters())
    expected = [loss.detach(), logits.detach(), *gradients]

    chain = DenseChain(network)
    for _ in range(2):  # the second time replaces the first
        loss, logits = chain.differentiate(x, target)
    ours = [loss, logits, *(p.grad for p in network.parameters())]
    assert not logits.requires_grad
    for mine, theirs in zip(ours, expected, strict=True):
        assert mine.shape == theirs.shape
        atol = 1e-5 * float(theirs.abs().max())
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=atol)


def test_gradients_stay_in_place_and_follow_the_parameters():
    network, twin = dense(12, 8, 3), dense(12, 8, 3)
    chain = DenseChain(network)
    places = [p.grad.data_ptr() for p in network.parameters()]
    optimizers = [torch.optim.SGD(one.parameters(), 0.1) for one in (network, twin)]
    x, target = examples()
    for _ in range(3):
        loss, _ = chain.differentiate(x, target)
        expected = cross_entropy(twin(x), target)
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-3, atol=0)
        optimizers[1].zero_grad()
        expected.backward()
        for optimizer in optimizers:
            optimizer.step()
    assert [p.grad.data_ptr() for p in network.parameters()] == places


def test_parameters_that_are_loaded_are_used():
    network = dense(12, 8, 3)
    chain = DenseChain(network)
    network.load_state_dict({key: 2 * value for key, value in network.state_dict().items()})
    x, target = examples()
    torch.testing.assert_close(chain.differentiate(x, target)[1], network(x).detach())


def test_gradients_are_float32_under_autocast():
    chain = DenseChain(dense(12, 8, 3))
    plain = chain.differentiate(*examples())
    with torch.autocast("cpu", torch.bfloat16):
        within = chain.differentiate(*examples())
    assert within[1].dtype == torch.float32
    torch.testing.assert_close(within, plain)


def test_a_loss_whose_probability_underflows():
    network = dense(12, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network[1].bias[0] = 1000.0
    loss, _ = DenseChain(network).differentiate(torch.ones(4, 4, 3), torch.ones(4).long())
    assert float(loss) == 1000
    torch.testing.assert_close(network[1].bias.grad, torch.tensor([1.0, -1.0]))


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


def frozen():
    network = dense(12, 8, 3)
    network[1].bias.requires_grad_(False)
    return network


@pytest.mark.parametrize(
    "network",
    [
        NETWORKS["cnn"]((20, 24), 3),
        nn.Linear(12, 3),
        nn.Sequential(),
        nn.Sequential(nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Linear(8, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.ReLU()),
        nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)),
        Doubled(nn.Flatten(), nn.Linear(12, 3)),
        dense(12, 8, 3).double(),
        frozen(),
    ],
)
def test_other_networks_do_not_fit(network):
    assert not DenseChain.fits(network)
