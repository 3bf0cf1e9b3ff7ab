"""Gradients of a chain of dense layers, computed by hand.

Most of a training step is matrix products, whose layout decides how fast processors compute them.
Here examples are columns, a large weight's gradient is computed in groups of rows, which threads
share evenly, and gradients overwrite the last ones. The figures are in benchmarks/README.md.
"""

from typing import Final, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

__all__ = ["DenseChain"]

_GROUP: Final = 64  # rows


class DenseChain:
    """The mean cross-entropy of a network that `fits`, and its gradients.

    The parameters stay the network's own. `differentiate` replaces their gradients, so they need
    not be cleared. It computes in float32, even under autocast.
    """

    def __init__(self, network: nn.Sequential) -> None:
        layers = [layer for layer in network if isinstance(layer, nn.Linear)]
        self._layers = [(layer.weight.detach(), layer.bias.detach()) for layer in layers]
        self._gradients = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in self._layers]
        for layer, (weight, bias) in zip(layers, self._gradients, strict=True):
            layer.weight.grad, layer.bias.grad = weight, bias
        self._answers = torch.eye(len(bias), device=bias.device)

    @staticmethod
    def fits(network: nn.Module) -> TypeGuard[nn.Sequential]:
        """Return whether a network is `Flatten` and linear layers with a ReLU between each two.

        Every layer must have a bias, be in float32, and be trainable.
        """
        if not isinstance(network, nn.Sequential):
            return False
        if type(network).forward is not nn.Sequential.forward:
            return False
        kinds = [nn.Flatten, *(nn.Linear, nn.ReLU) * (len(network) // 2 - 1), nn.Linear]
        return [type(layer) for layer in network] == kinds and all(
            parameter is not None and parameter.requires_grad and parameter.dtype == torch.float32
            for layer in network
            if isinstance(layer, nn.Linear)
            for parameter in (layer.weight, layer.bias)
        )

    def differentiate(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Replace the gradients of all parameters; return the mean loss and the logits.

        Parameters
        ----------
        x : Tensor, float32, shape (n, frames, coefficients)
        target : Tensor, int64, shape (n,), 0 to genres - 1

        Returns
        -------
        loss : Tensor, shape (), in nats
        logits : Tensor, shape (n, genres)
        """
        inputs: list[Tensor] = []
        values = x.flatten(1).T
        for weight, bias in self._layers:
            if inputs:
                values.relu_()
            inputs.append(values)
            # Autocast leaves a product in float32 when it is given an output.
            out = values.new_empty(len(weight), len(x))
            values = torch.addmm(bias[:, None], weight, values, out=out)
        log_probabilities = values.T.log_softmax(dim=1)
        errors = log_probabilities.exp().sub_(self._answers.index_select(0, target))
        self._backward(inputs, errors.div_(len(x)).T.contiguous())
        return nll_loss(log_probabilities, target), values.T

    def _backward(self, inputs: list[Tensor], gradient: Tensor) -> None:
        """Propagate the gradient with respect to the logits back through the layers."""
        layers = list(zip(self._layers, self._gradients, inputs, strict=True))
        for (weight, _), (weight_gradient, bias_gradient), values in reversed(layers):
            torch.sum(gradient, 1, out=bias_gradient)
            _multiply_in_groups(gradient, values.T, weight_gradient)
            if values is not inputs[0]:
                # The derivative of a ReLU is the sign of its output.
                out = torch.empty_like(values)
                gradient = torch.mm(weight.T, gradient, out=out).mul_(values.sign())


def _multiply_in_groups(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Write ``a @ b`` into `out`, whose rows are in groups where they divide evenly."""
    groups = 1 if len(a) % _GROUP else len(a) // _GROUP
    torch.bmm(
        a.view(groups, -1, a.shape[1]),
        b.expand(groups, -1, -1),
        out=out.view(groups, -1, b.shape[1]),
    )
