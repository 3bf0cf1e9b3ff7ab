"""Our networks as graphs of ONNX operators, written out layer by layer.

PyTorch's exporters follow one pass through a network, and ours take segments a few at a time and
arrange filters for speed. What they compute is simpler than how, so it is written out here.

In shapes, `n` is segments, `t` frames and `b` mel bands.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from genrekit.errors import ModelError
from genrekit.model.backbone import COMPRESSION, FAINTEST, LEVEL, Backbone, Everyday
from genrekit.model.networks import CourseMLP, GenreCNN

__all__ = ["Graph", "logits_of"]

# Of 2022: what we need has been there since, and many runtimes have it.
OPSET: Final = 17


class Graph:
    """A graph under construction; values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output, and return the output's name."""
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: ArrayLike | Tensor, dtype: Any = np.float32) -> str:
        """Add an array, float32 unless told otherwise, and return its name."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def whole_numbers(self, *values: int) -> str:
        """Add whole numbers, such as a shape, and return the name of their array."""
        return self.constant(values, np.int64)

    def model(self, shape: tuple[int, int], result: str, outcomes: int) -> onnx.ModelProto:
        """Return the model that maps "features", (n, t, b), to "probabilities", (n, outcomes)."""
        self._nodes.append(helper.make_node("Identity", [result], ["probabilities"]))
        values = (("features", shape), ("probabilities", (outcomes,)))
        given, returned = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["segments", *sizes])
            for name, sizes in values
        )
        graph = helper.make_graph(
            self._nodes, "genrekit", [given], [returned], initializer=self._constants
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def logits_of(graph: Graph, network: nn.Module, x: str) -> str:
    """Add a network in evaluation; return its logits, (n, genres), from normalised features.

    Raise ModelError for a network that has no such graph.
    """
    for kind, write in _NETWORKS.items():
        if isinstance(network, kind):
            return write(graph, network, x)
    raise ModelError(
        "Only the neural networks can be exported to ONNX (mlp, cnn and everyday): train one of "
        "them, or save this model as it is."
    )


# -- layers -----------------------------------------------------------------------------------


def _linear(graph: Graph, layer: nn.Linear, x: str) -> str:
    weight, bias = graph.constant(layer.weight), graph.constant(layer.bias)
    return graph.add("Gemm", x, weight, bias, transB=1)


def _norm(graph: Graph, layer: nn.BatchNorm1d | nn.BatchNorm2d, x: str) -> str:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    values = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    return graph.add("BatchNormalization", x, *map(graph.constant, values), epsilon=layer.eps)


def _relu(graph: Graph, x: str) -> str:
    return graph.add("Relu", x)


def _mlp(graph: Graph, network: CourseMLP, x: str) -> str:
    x = graph.add("Flatten", x, axis=1)
    for layer in network:
        if isinstance(layer, nn.Linear):
            x = _linear(graph, layer, x)
        elif isinstance(layer, nn.ReLU):
            x = _relu(graph, x)
    return x


# -- the convolutional network ----------------------------------------------------------------


def _cnn(graph: Graph, network: GenreCNN, x: str) -> str:
    mean = graph.add("ReduceMean", x, axes=[1, 2], keepdims=1)
    x = graph.add("Div", graph.add("Sub", x, mean), graph.constant(network.UNIT_DB))
    x = graph.add("Unsqueeze", graph.add("Transpose", x, perm=[0, 2, 1]), graph.whole_numbers(1))
    logits = [
        graph.add("LogSoftmax", _member(graph, member, x), axis=1) for member in network.members
    ]
    return graph.add("Mean", *logits)


def _member(graph: Graph, member: Any, x: str) -> str:
    x = _relu(graph, _convolution(graph, member.stem, x))
    for block in member.blocks:
        y = _convolution(graph, block.second, _relu(graph, _convolution(graph, block.first, x)))
        pool, convolution = block.shortcut
        size = list(pool.kernel_size)
        short = graph.add("AveragePool", x, kernel_shape=size, strides=size, ceil_mode=1)
        x = _relu(graph, graph.add("Add", y, _convolution(graph, convolution, short)))
    x = graph.add("ReduceMean", x, axes=[2], keepdims=0)
    pooled = [graph.add(f"Reduce{how}", x, axes=[2], keepdims=0) for how in ("Mean", "Max")]
    return _linear(graph, member.head, graph.add("Concat", *pooled, axis=1))


def _convolution(graph: Graph, layers: Any, x: str) -> str:
    convolution, norm = layers
    pads = [*convolution.padding, *convolution.padding]
    weight = graph.constant(convolution.weight)
    x = graph.add("Conv", x, weight, strides=list(convolution.stride), pads=pads)
    return _norm(graph, norm, x)


# -- everyday ---------------------------------------------------------------------------------


def _everyday(graph: Graph, network: Everyday, x: str) -> str:
    backbone = network.backbone
    x = graph.add("Unsqueeze", _compressed(graph, x), graph.whole_numbers(1))
    x = graph.add("Transpose", _norm(graph, backbone.norm, x), perm=[0, 1, 3, 2])  # (n, 1, b, t)
    fired = graph.add("Concat", *(_front(graph, part, x) for part in backbone.front), axis=1)
    first = _over_time(graph, backbone.time[0], fired)
    second = graph.add("Add", _over_time(graph, backbone.time[1], first), first)
    third = graph.add("Add", _over_time(graph, backbone.time[2], second), second)
    return _linear(graph, network.head, _embedding(graph, backbone, (fired, first, second, third)))


def _compressed(graph: Graph, decibels: str) -> str:
    """As `genrekit.model.backbone.compressed`."""
    power = graph.add("Exp", graph.add("Mul", decibels, graph.constant(math.log(10) / 10)))
    mean = graph.add("ReduceMean", power, axes=[1, 2], keepdims=1)
    mean = graph.add("Max", mean, graph.constant(FAINTEST))
    power = graph.add("Mul", power, graph.add("Div", graph.constant(LEVEL), mean))
    louder = graph.add("Mul", power, graph.constant(COMPRESSION))
    log = graph.add("Log", graph.add("Add", louder, graph.constant(1)))
    return graph.add("Mul", log, graph.constant(1 / math.log(10)))


def _front(graph: Graph, part: Any, x: str) -> str:
    """Filters of the front end at every pitch or in every band, and the strongest of each.

    They are normalised before the maximum, as published; `backbone` does so afterwards.
    """
    filters = part.filter
    (frames,) = filters.kernel_size
    # A filter of several bands moves over pitches; one of a single band, over bands and time.
    weight = filters.weight if filters.in_channels == 1 else filters.weight[:, None]
    weight = weight.reshape(filters.out_channels, 1, filters.in_channels, frames)
    before, after = (frames - 1) // 2, frames // 2
    x = graph.add(
        "Conv", x, graph.constant(weight), graph.constant(filters.bias), pads=[0, before, 0, after]
    )
    return graph.add("ReduceMax", _norm(graph, part.norm, _relu(graph, x)), axes=[2], keepdims=0)


def _over_time(graph: Graph, layers: Any, x: str) -> str:
    convolution, _, norm = layers
    pads = [*convolution.padding, *convolution.padding]
    weight, bias = graph.constant(convolution.weight), graph.constant(convolution.bias)
    return _norm(graph, norm, _relu(graph, graph.add("Conv", x, weight, bias, pads=pads)))


def _embedding(graph: Graph, backbone: Backbone, parts: tuple[str, ...]) -> str:
    channels = graph.add("Concat", *parts, axis=1)
    pooled = [graph.add(f"Reduce{how}", channels, axes=[2], keepdims=1) for how in ("Max", "Mean")]
    x = graph.add("Flatten", graph.add("Concat", *pooled, axis=2), axis=1)
    x = _linear(graph, backbone.dense, _norm(graph, backbone.pooled_norm, x))
    return _norm(graph, backbone.dense_norm, _relu(graph, x))


_NETWORKS: Final[dict[type[nn.Module], Callable[[Graph, Any, str], str]]] = {
    CourseMLP: _mlp,
    GenreCNN: _cnn,
    Everyday: _everyday,
}
