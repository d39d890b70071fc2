"""Activations are found by the structure of the graph; layers are chosen by name, kind and number."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from pointing_networks import write_pointing

from pgc_data.errors import ConfigError, DataError
from pgc_data.explain.choose import Choice, chosen
from pgc_data.explain.graph import activations, all_tensors, load_network
from pgc_data.explain.probe import Probe
from pgc_data.inference.network import PointingNetwork

KINDS = {
    "silu": "SiLU", "silu_swapped": "SiLU", "gelu": "GELU", "gelu_half_first": "GELU", "gelu_tanh": "GELU",
    "hardswish": "HardSwish", "hardswish_op": "HardSwish", "mish": "Mish", "relu": "ReLU", "relu6": "ReLU6",
}  # fmt: skip


@pytest.mark.parametrize(("activation", "kind"), KINDS.items())
@pytest.mark.parametrize("gate", [False, True])
def test_every_activation_is_found_and_no_gate(tmp_path, activation, kind, gate):
    path = write_pointing(tmp_path / "m.onnx", activation, gate=gate)
    found = activations(load_network(path, (8, 8)))
    assert [(t.index, t.node, t.kind, t.shape) for t in found] == [
        (0, "stem.act", kind, (4, 8, 8)), (1, "block.act", kind, (6, 4, 4)),
    ]  # fmt: skip
    assert [t.map_size for t in found] == [(8, 8), (4, 4)]


def test_channels_come_last_after_a_matrix_product(tmp_path):
    path = write_pointing(tmp_path / "m.onnx", "gelu", channels_last=True)
    stem, block = activations(load_network(path, (8, 8)))
    assert (stem.channels_last, block.channels_last) == (False, True)
    assert (block.shape, block.map_size, block.size_text) == ((8, 8, 6), (8, 8), "8x8x6")


def test_a_free_size_is_that_of_the_images(tmp_path):
    path = write_pointing(tmp_path / "m.onnx", shape=("B", 3, "H", "W"))
    assert [t.shape for t in activations(load_network(path, (16, 12)))] == [(4, 16, 12), (6, 8, 6)]


def test_all_tensors_leave_out_constants_and_the_answer(tmp_path):
    found = all_tensors(load_network(write_pointing(tmp_path / "m.onnx", gate=True), (8, 8)))
    names = [t.name for t in found]
    assert "prob_pointing" not in names and "images" not in names
    assert {t.kind for t in found} >= {"Conv", "SiLU", "Sigmoid", "Mul", "Gemm"}
    assert [t.index for t in found] == list(range(len(found)))
    assert next(t for t in found if t.node == "block.gate").kind == "Mul"


@pytest.mark.parametrize(
    ("node", "title"),
    [("/features.0/block/out_act/Mul_1", "features.0/block/out_act"), ("stem.act", "stem.act"), ("/a/conv", "conv"),
     ("/Relu", "Relu")],
)  # fmt: skip
def test_titles_leave_out_what_exporters_add(tmp_path, node, title):
    (tensor, *_) = activations(load_network(write_pointing(tmp_path / "m.onnx"), (8, 8)))
    assert type(tensor)(0, "t", node, "ReLU", (1, 2, 2), False, 1).title == title


@pytest.mark.parametrize(
    ("choice", "nodes"),
    [
        (Choice(), ["stem.act", "block.act"]),
        (Choice(layers=("1",)), ["block.act"]),
        (Choice(layers=("stem.act", "1")), ["stem.act", "block.act"]),
        (Choice(contains=("BLOCK",)), ["block.act"]),
        (Choice(regex="^stem"), ["stem.act"]),
        (Choice(kinds=("silu",)), ["stem.act", "block.act"]),
        (Choice(limit=1), ["stem.act"]),
    ],
)
def test_layers_are_chosen(tmp_path, choice, nodes):
    found = activations(load_network(write_pointing(tmp_path / "m.onnx"), (8, 8)))
    assert [t.node for t in chosen(found, choice, "m")] == nodes


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(layers=("7",)), "no layer 7: there are 0 to 1"),
        (Choice(layers=("stem.akt",)), "did you mean 'stem.act'"),
        (Choice(kinds=("ReLU",)), "unknown op type 'ReLU'"),
        (Choice(contains=("head",)), "none of 2 layers of m is meant"),
    ],
)
def test_layers_that_are_not_there(tmp_path, choice, message):
    found = activations(load_network(write_pointing(tmp_path / "m.onnx"), (8, 8)))
    with pytest.raises(ConfigError, match=message):
        chosen(found, choice, "m")


def test_a_network_without_activations():
    with pytest.raises(DataError, match="pass --all"):
        chosen([], Choice(), "m")


def test_nodes_may_stand_in_any_order(tmp_path):
    path = write_pointing(tmp_path / "m.onnx", "gelu")
    expected = [tensor.node for tensor in activations(load_network(path, (8, 8)))]
    model = onnx.load(path)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    path.write_bytes(model.SerializeToString())
    assert [tensor.node for tensor in activations(load_network(path, (8, 8)))] == expected


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_activations_of_smaller_forms_are_found(tmp_path, kind):
    path = write_pointing(tmp_path / "m.onnx", gate=True)
    if kind == "float16":
        model = onnx.load(path)
        small = convert_float_to_float16(model, keep_io_types=True)
        path.write_bytes(small.SerializeToString())
    else:
        quantize_static(path, path, _Calibration())
    found = activations(load_network(path, (8, 8)))
    assert [(t.node, t.kind) for t in found] == [("stem.act", "SiLU"), ("block.act", "SiLU")]
    network = PointingNetwork(path)
    probe = Probe(network, load_network(path, (8, 8)), found, gates=True)
    images = np.random.default_rng(0).random((3, 3, 8, 8), np.float32)
    np.testing.assert_allclose(probe.probabilities(images), network.probabilities(images), atol=2e-3)
    assert (probe.gated(images, 0) != probe.probabilities(images)).any()


class _Calibration(CalibrationDataReader):
    """A few images for the ranges of int8."""

    def __init__(self) -> None:
        self._left = [np.random.default_rng(n).random((1, 3, 8, 8), np.float32) for n in range(4)]

    def get_next(self):
        return {"images": self._left.pop()} if self._left else None
