"""The graph of an ONNX network: its tensors, and which of them are activations, found by structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgc_data.errors import ConfigError, DataError
from pgc_data.inference.resize import Size
from pgc_data.onnx_session import what_is_wrong

if TYPE_CHECKING:
    import onnx

# Operators that are an activation by themselves.
_PLAIN = {
    "Relu": "ReLU", "LeakyRelu": "LeakyReLU", "PRelu": "PReLU", "Elu": "ELU", "Celu": "CELU", "Selu": "SELU",
    "Gelu": "GELU", "Mish": "Mish", "HardSwish": "HardSwish", "Swish": "SiLU", "ThresholdedRelu": "ReLU",
}  # fmt: skip
# Operators that squash x; multiplied with x again they make an activation of several nodes.
_SQUASH = {"Sigmoid": "SiLU", "HardSigmoid": "HardSwish", "Erf": "GELU", "Tanh": "GELU", "Clip": "HardSwish"}
# Operators within such an activation: of x and constants alone.
_ELEMENTWISE = frozenset({
    "Add", "Sub", "Mul", "Div", "Pow", "Softplus", "Cast", "QuantizeLinear", "DequantizeLinear", *_SQUASH,
})  # fmt: skip
_FLOATS = frozenset({1, 10, 11})
_LONGEST_CHAIN = 16
# A node that an exporter named after its operator, such as Mul_1.
_OPERATOR = re.compile(r"[A-Z][A-Za-z]+(_\d+)?")


@dataclass(frozen=True)
class Tensor:
    """A tensor between two nodes.

    Attributes:
        index: place in the order of computation, from 0, among the tensors it was chosen from.
        name: of the tensor.
        node: name of the node that gives it, or the tensor's.
        kind: activation (SiLU, ReLU, GELU, ...), or the operator.
        shape: without the batch; None where a side is not known.
        channels_last: whether the channels are the last axis, as after a matrix product.
        type: ONNX element type.
    """

    index: int
    name: str
    node: str
    kind: str
    shape: tuple[int | None, ...]
    channels_last: bool
    type: int

    @property
    def map_size(self) -> Size | None:
        """Height and width where it is a map of several places; else None."""
        if len(self.shape) != 3:
            return None
        height, width = self.shape[:2] if self.channels_last else self.shape[1:]
        return (height, width) if height and width and height * width > 1 else None

    @property
    def title(self) -> str:
        """The node's name without what exporters put around that of the module."""
        module, _, node = self.node.strip("/").rpartition("/")
        return module if module and _OPERATOR.fullmatch(node) else node or self.name

    @property
    def size_text(self) -> str:
        """Its shape for people, such as 32x16x16."""
        return "x".join("?" if side is None else str(side) for side in self.shape)


@dataclass(frozen=True)
class _Graph:
    """Indices over a model's graph."""

    nodes: tuple[Any, ...]
    made_by: dict[str, int]
    used_by: dict[str, tuple[int, ...]]
    constants: frozenset[str]
    scalars: frozenset[str]


def load_network(path: Path, size: Size) -> onnx.ModelProto:
    """Reads a network with its shapes inferred for images of one size.

    Raises:
        ConfigError: the package onnx is not installed.
        DataError: the file is no ONNX network.
    """
    package = require_onnx()
    # It comes with onnx.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model: onnx.ModelProto = package.load_model(str(path))
        given = model.graph.input[0].type.tensor_type.shape.dim
        for dim, side in zip(given[2:], size, strict=True):
            dim.ClearField("dim_param")
            dim.dim_value = side
        _sort(model.graph)
        inferred: onnx.ModelProto = package.shape_inference.infer_shapes(model)
    except (DecodeError, RuntimeError, ValueError, IndexError) as error:
        raise DataError(what_is_wrong(path, error)) from error
    return inferred


def _sort(graph: Any) -> None:
    """Puts nodes behind those whose outputs they use: tools that add casts leave them at the end."""
    waiting = list(graph.node)
    missing = {name for node in waiting for name in node.output}
    done: list[Any] = []
    while waiting:
        left = []
        for node in waiting:
            if missing.intersection(node.input):
                left.append(node)
            else:
                done.append(node)
                missing.difference_update(node.output)
        if len(left) == len(waiting):
            raise ValueError("its nodes use each other's outputs in a circle")
        waiting = left
    copies = [type(node).FromString(node.SerializeToString()) for node in done]
    del graph.node[:]
    graph.node.extend(copies)


def require_onnx() -> Any:
    """The package onnx.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import onnx
        import onnx.shape_inference
    except ImportError as error:
        raise ConfigError("explain needs the package onnx: pip install 'pgc-data[train]'") from error
    return onnx


def activations(model: onnx.ModelProto) -> list[Tensor]:
    """The outputs of activations, in the order of computation.

    SiLU is found as x * sigmoid(x), GELU as x * (1 + erf(x / sqrt 2)) / 2 or with tanh, HardSwish as
    x * hardsigmoid(x), whatever the order of the factors; ReLU and its kin, and activations that are one operator, by
    name. A gate, y * sigmoid(f(y)), is none.
    """
    graph = _indexed(model)
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type in _PLAIN:
            found[node.output[0]] = _PLAIN[node.op_type]
        elif node.op_type in _SQUASH and (whole := _closed(graph, node)) is not None:
            found[whole] = _kind(graph, node)
        elif node.op_type == "Clip":
            found[node.output[0]] = "ReLU6"
    own = (tensor for tensor in _tensors(model, graph, found) if tensor.name in found)
    return [replace(tensor, index=index) for index, tensor in enumerate(own)]


def all_tensors(model: onnx.ModelProto) -> list[Tensor]:
    """Every floating-point tensor that depends on the images, but the network's outputs, in the order of computation.

    An activation has its own kind, any other tensor the operator that gives it.
    """
    kinds = {tensor.name: tensor.kind for tensor in activations(model)}
    return list(_tensors(model, _indexed(model), kinds))


def _indexed(model: onnx.ModelProto) -> _Graph:
    nodes = tuple(model.graph.node)
    made_by = {name: at for at, node in enumerate(nodes) for name in node.output}
    used_by: dict[str, tuple[int, ...]] = {}
    for at, node in enumerate(nodes):
        for name in dict.fromkeys(node.input):
            used_by[name] = (*used_by.get(name, ()), at)
    images = {each.name for each in model.graph.input} - {each.name for each in model.graph.initializer}
    moving = set(images)
    for node in nodes:
        if moving.intersection(node.input):
            moving.update(node.output)
    constants = {name for node in nodes for name in (*node.input, *node.output)} - moving
    single = {each.name for each in model.graph.initializer if prod(each.dims) == 1}
    for node in nodes:
        if node.op_type == "Constant" and all(prod(each.t.dims) == 1 for each in node.attribute):
            single.add(node.output[0])
    return _Graph(nodes, made_by, used_by, frozenset(constants), frozenset(single))


def _closed(graph: _Graph, squash: Any) -> str | None:
    """The tensor where a squashed x meets x again, with constant factors after it; None where it does not."""
    x = _root(graph, squash.input[0])
    name = squash.output[0]
    for _ in range(_LONGEST_CHAIN):
        users = graph.used_by.get(name, ())
        if len(users) != 1:
            return None
        node = graph.nodes[users[0]]
        others = [other for other in node.input if other != name and other not in graph.constants]
        if node.op_type == "Mul" and others and _root(graph, others[0]) == x:
            return _scaled(graph, node.output[0])
        if others or node.op_type not in _ELEMENTWISE:
            return None
        name = node.output[0]
    return None


def _scaled(graph: _Graph, name: str) -> str:
    """Follows a tensor through the factor that ends GELU or HardSwish: a half, or a sixth."""
    users = graph.used_by.get(name, ())
    if len(users) == 1 and (node := graph.nodes[users[0]]).op_type in ("Mul", "Div"):
        others = [other for other in node.input if other != name]
        # The scale of a norm is one a channel.
        if others and others[0] in graph.scalars:
            return str(node.output[0])
    return name


def _root(graph: _Graph, name: str) -> str:
    """The tensor that `name` is made of by elementwise operations with constants; itself where there is no such one."""
    at = graph.made_by.get(name)
    if at is None or graph.nodes[at].op_type not in _ELEMENTWISE:
        return name
    roots = {_root(graph, each) for each in graph.nodes[at].input if each and each not in graph.constants}
    return roots.pop() if len(roots) == 1 else name


def _kind(graph: _Graph, squash: Any) -> str:
    """Name of the activation of several nodes that a squashing node belongs to."""
    before = graph.made_by.get(squash.input[0])
    if squash.op_type == "Tanh" and before is not None and graph.nodes[before].op_type == "Softplus":
        return "Mish"
    return _SQUASH[squash.op_type]


def _tensors(model: onnx.ModelProto, graph: _Graph, kinds: dict[str, str]) -> Iterator[Tensor]:
    known = {each.name: each.type.tensor_type for each in model.graph.value_info}
    outputs = {each.name for each in model.graph.output}
    index = 0
    for node in graph.nodes:
        for name in node.output:
            if not name or name in graph.constants or name in outputs:
                continue
            type_ = known.get(name)
            if type_ is None or type_.elem_type not in _FLOATS:
                continue
            sides = tuple(dim.dim_value or None for dim in type_.shape.dim)
            yield Tensor(
                index, name, node.name or name, kinds.get(name, node.op_type), sides[1:],
                _is_channels_last(graph, name), type_.elem_type,
            )  # fmt: skip
            index += 1


def _is_channels_last(graph: _Graph, name: str) -> bool:
    """Whether the nearest weighted operation before a tensor is a matrix product, whose channels come last."""
    seen = set[str]()
    while (at := graph.made_by.get(name)) is not None and name not in seen:
        seen.add(name)
        node = graph.nodes[at]
        if node.op_type in ("MatMul", "Gemm", "LayerNormalization"):
            return True
        if node.op_type in ("Conv", "ConvTranspose", "BatchNormalization"):
            return False
        if node.op_type == "Transpose":
            return bool(list(node.attribute[0].ints)[-1] == 1)
        name = next((each for each in node.input if each and each not in graph.constants), "")
    return False
