from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from networks import FACTS, trained

from pgc_data import __version__
from pgc_data.errors import DataError
from pgc_data.inference.facts import read_facts
from pgc_data.training.export import drawn_inputs, export_onnx, onnx_probabilities, torch_probabilities
from pgc_data.training.variants import to_fp16, to_int8

HEADS = ("avg", "avgmax_mlp", "transformer", "mlp_mixer")
SMALL = {"base_channels": 8, "num_blocks": 3}


def exported(name, **values):
    found, options, network = trained(name, **values)
    return network, options, export_onnx(network, found, options, FACTS)


def difference(network, options, graph, rows=16):
    inputs = drawn_inputs(options.inputs, rows)
    return np.abs(onnx_probabilities(graph, inputs) - torch_probabilities(network, "pointing", inputs)).max()


def check_parity(name, **values):
    network, options, graph = exported(name, **values)
    assert difference(network, options, graph) <= 1e-5
    assert not {node.op_type for node in graph.graph.node} & {"BatchNormalization", "Identity", "Dropout"}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["baseline", "inverted_se", "convnext"])
def test_graphs_say_what_torch_says(name, head):
    check_parity(name, head=head, image_size=(32, 48), **SMALL)


@pytest.mark.parametrize("colour", ["y", "lab", "luv"])
def test_graphs_of_other_colours_say_what_torch_says(colour):
    check_parity("baseline", colour=colour, **SMALL)


@pytest.mark.parametrize("name", ["landmark_mlp", "crop_landmark"])
def test_graphs_on_landmarks_say_what_torch_says(name):
    network, options, graph = exported(name)
    assert difference(network, options, graph) <= 1e-5
    assert [value.name for value in graph.graph.input] == [spec.name for spec in options.inputs]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(32, 32), (40, 56)])
@pytest.mark.parametrize("colour", ["rgb", "y", "lab", "luv"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["baseline", "inverted_se", "convnext"])
def test_every_graph_says_what_torch_says(name, head, colour, size):
    check_parity(name, head=head, colour=colour, image_size=size)


@pytest.mark.parametrize(
    ("preset", "published"), [("S", 495_658), ("C", 876_310), ("M", 1_694_076), ("L", 6_372_944)]
)
def test_files_are_as_large_as_the_published_ones(preset, published):
    _, _, graph = exported("inverted_se", preset=preset)
    assert graph.ByteSize() == pytest.approx(published, rel=0.02)


@pytest.fixture(scope="module")
def small():
    return exported("inverted_se", **SMALL)


def test_the_contract_of_a_graph(small):
    _, _, graph = small
    images, prob = graph.graph.input[0], graph.graph.output[0]
    assert (images.name, prob.name) == ("images", "prob_pointing")
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (images, prob)]
    assert shapes == [["batch", 3, 32, 32], ["batch"]]
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    values = {entry.key: entry.value for entry in graph.metadata_props}
    written = json.loads(values["pgc_data"])
    assert written.pop("inputs")[0]["name"] == "images"
    assert written == {
        "kind": "pointing", "arch": "inverted_se", "head": "avgmax_mlp", "image_size": [32, 32],
        "preprocessing": "rgb/255", "pgc_data_version": __version__, **FACTS,
    }  # fmt: skip
    facts = read_facts(values, "a.onnx")
    assert (facts.positive, facts.threshold, facts.crop.margin) == ("pointing", 0.5, 0.2)


@pytest.mark.parametrize("batch", [1, 7, 128])
def test_any_number_of_rows_at_a_time(small, batch):
    network, options, graph = small
    inputs = drawn_inputs(options.inputs, batch)
    found = onnx_probabilities(graph, inputs, batch)
    assert found.shape == (batch,)
    np.testing.assert_allclose(found, torch_probabilities(network, "pointing", inputs), atol=1e-5)


def test_nodes_are_named_after_modules_and_tensors_after_nodes(small):
    _, _, graph = small
    nodes = {node.name: node for node in graph.graph.node}
    assert len(nodes) == len(graph.graph.node)
    assert {"/stem.0/Conv", "/features.0/block/out_act/Mul", "/head/mlp.1/Gemm"} <= nodes.keys()
    assert nodes["/features.0/block/out_act/Mul"].output == ["/features.0/block/out_act/Mul_output_0"]
    assert "stem.0.weight" in {tensor.name for tensor in graph.graph.initializer}


def test_the_same_weights_give_the_same_bytes(small):
    _, _, again = exported("inverted_se", **SMALL)
    assert again.SerializeToString() == small[2].SerializeToString()


@pytest.mark.parametrize("missing", list(FACTS))
def test_a_checkpoint_that_does_not_say_enough_is_refused(missing):
    found, options, network = trained("baseline")
    facts = {key: value for key, value in FACTS.items() if key != missing}
    with pytest.raises(DataError, match=missing):
        export_onnx(network, found, options, facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"positive": "fist"},
        {"threshold": "high"},
        {"crop": torch.ones(1)},
        {"classes": 2},
        {"threshold": np.nan},
    ],
)
def test_facts_that_make_no_sense_are_refused(facts):
    found, options, network = trained("baseline")
    with pytest.raises(DataError, match="makes no sense") as caught:
        export_onnx(network, found, options, {**FACTS, **facts})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["inverted_se", "crop_landmark"])
def test_smaller_variants_keep_the_contract_and_nearly_the_answers(name, capfd):
    network, options, graph = exported(name)
    inputs = drawn_inputs(options.inputs, 64)
    wanted = torch_probabilities(network, "pointing", inputs)
    for variant, tolerance, share in ((to_fp16(graph), 0.01, 0.56), (to_int8(graph, inputs), 0.1, 0.56)):
        assert np.abs(onnx_probabilities(variant, inputs) - wanted).max() < tolerance
        assert variant.ByteSize() < share * graph.ByteSize()
        assert variant.metadata_props == graph.metadata_props
        assert [v.name for v in variant.graph.input] == [spec.name for spec in options.inputs]
        assert {v.type.tensor_type.elem_type for v in variant.graph.input} == {onnx.TensorProto.FLOAT}
    assert "Quantize" not in capfd.readouterr().out
