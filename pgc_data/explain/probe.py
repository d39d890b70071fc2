"""One session in which any tensor of a network can be read, and any switched off by a gate of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pgc_data.errors import DataError
from pgc_data.explain.graph import Tensor, require_onnx
from pgc_data.inference.network import Images, PointingNetwork, Probabilities

if TYPE_CHECKING:
    import onnx

_TYPES: Mapping[int, Any] = {1: np.float32, 10: np.float16, 11: np.float64}
_PREFIX = "pgc_data_gate"


class Probe:
    """A network with its tensors laid open.

    Example:
        >>> probe = Probe(network, model, tensors, gates=True)  # doctest: +SKIP
        >>> probe.probabilities(images) - probe.gated(images, 0)  # doctest: +SKIP
        array([0.31], dtype=float32)
    """

    def __init__(
        self, network: PointingNetwork, model: onnx.ModelProto, tensors: Sequence[Tensor], *, gates: bool,
        provider: str = "cpu", threads: int = 1, value: float = 0.0,
    ) -> None:  # fmt: skip
        """Opens a changed copy of a network.

        Args:
            network: the network.
            model: its graph, from `graph.load_network`.
            tensors: to be read, and gated.
            gates: whether they are to be gated.
            provider: see `PointingNetwork`.
            threads: see `PointingNetwork`.
            value: what a tensor holds everywhere when its gate is shut.

        Raises:
            DataError: ONNX Runtime refuses the changed network.
        """
        self._tensors = list(tensors)
        changed = instrumented(model, self._tensors, gates, value)
        self._input = network.need_images_alone()
        self._network = _open(network, changed, provider, threads)
        kinds = [_TYPES[tensor.type] for tensor in self._tensors] if gates else []
        self._gates: dict[str, Any] = {_gate(at): np.ones((), kind) for at, kind in enumerate(kinds)}

    def probabilities(self, images: Images) -> Probabilities:
        """The network's answer, (B,), all gates open."""
        return self._answer(images, self._gates)

    def gated(self, images: Images, which: int) -> Probabilities:
        """The network's answer, (B,), with the gate of tensor number `which` of those given shut."""
        return self._answer(images, {**self._gates, _gate(which): np.zeros_like(self._gates[_gate(which)])})

    def maps(self, images: Images, which: Sequence[int] | None = None) -> Iterator[list[NDArray[Any]]]:
        """The tensors of each image, all or those numbered `which`: without the axis of the batch."""
        names = [self._tensors[at].name for at in (range(len(self._tensors)) if which is None else which)]
        for part in self._parts(images):
            found = self._network.run({self._input: part, **self._gates}, names)
            for name, values in zip(names, found, strict=True):
                if len(values) != len(part):
                    raise DataError(
                        f"tensor {name} is {values.shape} for {len(part)} images: it has no axis of images"
                    )
            for at in range(len(part)):
                yield [values[at] for values in found]

    def _parts(self, images: Images) -> list[Images]:
        step = self._network.batch or len(images)
        return [images[start : start + step] for start in range(0, len(images), step)]

    def _answer(self, images: Images, gates: dict[str, Any]) -> Probabilities:
        runs = [
            self._network.run({self._input: part, **gates}, [self._network.output])
            for part in self._parts(images)
        ]
        return np.concatenate([found.reshape(-1) for (found,) in runs])


def _open(network: PointingNetwork, model: onnx.ModelProto, provider: str, threads: int) -> PointingNetwork:
    return PointingNetwork(
        network.path, provider, threads=threads, size=network.size, model=model.SerializeToString()
    )


def _gate(at: int) -> str:
    return f"{_PREFIX}_{at}"


def instrumented(
    model: onnx.ModelProto, tensors: Sequence[Tensor], gates: bool, value: float
) -> onnx.ModelProto:
    """A copy of a network that gives some of its tensors besides, and with gates can hold each at one value.

    Behind a gated tensor t, everything that used it uses g t + (1 - g) value instead; g is a scalar input. What is
    given besides is t itself.

    Args:
        model: the network.
        tensors: of it.
        gates: whether to add the gates.
        value: see above.
    """
    package = require_onnx()
    changed: onnx.ModelProto = package.ModelProto()
    changed.CopyFrom(model)
    given = {each.name for each in changed.graph.output}
    known = {each.name: each for each in changed.graph.value_info}
    if gates:
        _add_gates(package, changed.graph, tensors, value)
    changed.graph.output.extend([known[tensor.name] for tensor in tensors if tensor.name not in given])
    return changed


def _add_gates(package: Any, graph: Any, tensors: Sequence[Tensor], value: float) -> None:
    places = {tensor.name: at for at, tensor in enumerate(tensors)}
    nodes = []
    for node in graph.node:
        for slot, name in enumerate(node.input):
            if name in places:
                node.input[slot] = f"{_gate(places[name])}_out"
        nodes.append(package.NodeProto.FromString(node.SerializeToString()))
        for name in node.output:
            if name in places:
                nodes += _gate_nodes(package, name, places[name], value)
    del graph.node[:]
    graph.node.extend(nodes)
    for at, tensor in enumerate(tensors):
        graph.input.append(package.helper.make_tensor_value_info(_gate(at), tensor.type, []))
        if value:
            for name, number in (("one", 1.0), ("value", value)):
                constant = np.asarray(number, _TYPES[tensor.type])
                graph.initializer.append(package.numpy_helper.from_array(constant, f"{_gate(at)}_{name}"))


def _gate_nodes(package: Any, name: str, at: int, value: float) -> list[Any]:
    gate, make = _gate(at), package.helper.make_node
    if not value:
        return [make("Mul", [name, gate], [f"{gate}_out"])]
    return [
        make("Mul", [name, gate], [f"{gate}_kept"]),
        make("Sub", [f"{gate}_one", gate], [f"{gate}_shut"]),
        make("Mul", [f"{gate}_value", f"{gate}_shut"], [f"{gate}_filled"]),
        make("Add", [f"{gate}_kept", f"{gate}_filled"], [f"{gate}_out"]),
    ]
