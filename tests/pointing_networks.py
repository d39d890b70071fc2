"""Tiny pointing and sequence networks as ONNX files, with any activation, and ways to break them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FACTS = {
    "kind": "pointing", "arch": "baseline", "head": "avg", "classes": ["not_pointing", "pointing"],
    "positive": "pointing", "image_size": [8, 8], "crop": {"rule": "landmark hull", "margin": 0.2, "align": "none",
    "mask": "none"}, "preprocessing": "rgb/255", "threshold": 0.4,
}  # fmt: skip


class _Net:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes, self.constants, self.count = [], {}, 0

    def add(self, kind, *names, name="", **attributes):
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(names), [out], name=name, **attributes))
        return out

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def number(self, value):
        return self.constant(np.float32(value))


def activate(net, x, kind, name):
    """Adds an activation, the last node of which has the name given."""
    if kind == "silu":
        return net.add("Mul", x, net.add("Sigmoid", x), name=name)
    if kind == "silu_swapped":
        return net.add("Mul", net.add("Sigmoid", x), x, name=name)
    if kind == "gelu":
        one_more = net.add("Add", net.add("Erf", net.add("Div", x, net.number(2**0.5))), net.number(1))
        return net.add("Mul", net.add("Mul", x, one_more), net.number(0.5), name=name)
    if kind == "gelu_half_first":
        one_more = net.add("Add", net.add("Erf", net.add("Mul", x, net.number(0.5**0.5))), net.number(1))
        return net.add("Mul", net.add("Mul", x, net.number(0.5)), one_more, name=name)
    if kind == "gelu_tanh":
        cube = net.add("Mul", net.add("Pow", x, net.number(3)), net.number(0.044715))
        inner = net.add("Mul", net.add("Add", x, cube), net.number(0.7978845608))
        one_more = net.add("Add", net.add("Tanh", inner), net.number(1))
        return net.add("Mul", net.add("Mul", x, net.number(0.5)), one_more, name=name)
    if kind == "hardswish":
        return net.add("Mul", x, net.add("HardSigmoid", x, alpha=1 / 6, beta=0.5), name=name)
    if kind == "mish":
        return net.add("Mul", x, net.add("Tanh", net.add("Softplus", x)), name=name)
    if kind == "relu6":
        return net.add("Clip", x, net.number(0), net.number(6), name=name)
    return net.add({"relu": "Relu", "hardswish_op": "HardSwish"}[kind], x, name=name)


def write_pointing(
    path: Path, activation="silu", *, shape=("B", 3, 8, 8), facts=FACTS, gate=False, channels_last=False, logits=False,
    inputs=("images",), out_shape=None, dead=(),
) -> Path:  # fmt: skip
    """Writes a network of two convolutions that says how bright the image is in its upper half.

    Args:
        path: file.
        activation: see `activate`.
        shape: of its input.
        facts: its metadata; None for none.
        gate: whether a squeeze-and-excitation gate follows.
        channels_last: whether the second layer is a matrix product on (B, H, W, C).
        logits: whether the last sigmoid is left out.
        inputs: names.
        out_shape: of its output, if it is to lie about it.
        dead: channels of the second layer whose weights are 0.
    """
    net, rng = _Net(), np.random.default_rng(7)
    first = rng.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32) + np.float32(0.1)
    x = net.add("Conv", inputs[0], net.constant(first), pads=[1, 1, 1, 1], name="stem.conv")
    x = activate(net, x, activation, "stem.act")
    second = rng.normal(0.2, 0.3, (6, 4)).astype(np.float32)
    second[list(dead)] = 0
    if channels_last:
        x = net.add("Transpose", x, perm=[0, 2, 3, 1])
        x = net.add("MatMul", x, net.constant(second.T.copy()), name="block.linear")
        x = activate(net, x, activation, "block.act")
        x = net.add("Transpose", x, perm=[0, 3, 1, 2])
    else:
        x = net.add("Conv", x, net.constant(second[:, :, None, None]), name="block.conv", strides=[2, 2])
        x = activate(net, x, activation, "block.act")
    if gate:
        pooled = net.add("GlobalAveragePool", x)
        weights = net.constant(rng.normal(0, 1, (6, 6, 1, 1)).astype(np.float32))
        x = net.add("Mul", x, net.add("Sigmoid", net.add("Conv", pooled, weights)), name="block.gate")
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    x = net.add("Gemm", x, net.constant(rng.normal(0.3, 0.5, (6, 1)).astype(np.float32)), name="head")
    x = net.add("Squeeze", x, net.constant(np.array([1])))
    net.nodes.append(helper.make_node("Identity" if logits else "Sigmoid", [x], ["prob_pointing"]))
    given = [helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, list(shape))]
    given += [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 63]) for name in inputs[1:]]
    return _save(path, net, given, ("prob_pointing", out_shape or ["B"]), facts)


def write_sequence(path: Path, classes=("none", "swipe"), *, frames=4, dims=147, background="none") -> Path:
    """Writes a network that says `swipe` where the first feature of a window's last frame is positive."""
    net = _Net()
    last = net.add("Gather", "windows", net.constant(np.array(frames - 1)), axis=1)
    weights = np.zeros((dims, len(classes)), np.float32)
    weights[0] = np.linspace(-20, 20, len(classes))
    net.nodes.append(helper.make_node("MatMul", [last, net.constant(weights)], ["logits"]))
    facts = {"kind": "sequence", "classes": list(classes), "background": background,
             "feature_schema": "feature-schema-v1"}  # fmt: skip
    given = [helper.make_tensor_value_info("windows", TensorProto.FLOAT, [1, frames, dims])]
    return _save(path, net, given, ("logits", [1, len(classes)]), facts)


def _save(path, net, given, output, facts):
    graph = helper.make_graph(
        net.nodes, "network", given, [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in net.constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if facts is not None:
        helper.set_model_props(model, {"pgc_data": facts if isinstance(facts, str) else json.dumps(facts)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())
    return path
