"""One session reads and switches off any tensor; heat maps and effects are what they say."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from pointing_networks import write_pointing

from pgc_data.explain.ablation import ablate
from pgc_data.explain.graph import activations, all_tensors, load_network
from pgc_data.explain.heatmaps import HeatMap, heat_maps, on_one_scale, reduced, strongest
from pgc_data.explain.probe import Probe
from pgc_data.inference.network import PointingNetwork

IMAGES = np.random.default_rng(3).random((5, 3, 8, 8)).astype(np.float32)


def probe_of(path, gates=True, everything=False, **options):
    network = PointingNetwork(path)
    model = load_network(path, network.size)
    tensors = all_tensors(model) if everything else activations(model)
    return network, tensors, Probe(network, model, tensors, gates=gates, **options)


@pytest.mark.parametrize("activation", ["silu", "relu", "gelu"])
@pytest.mark.parametrize("batch", ["B", 1])
def test_open_gates_change_nothing(tmp_path, activation, batch):
    path = write_pointing(
        tmp_path / "m.onnx", activation, shape=(batch, 3, 8, 8), out_shape=[batch], gate=True
    )
    network, _, probe = probe_of(path, everything=True, value=0.5)
    np.testing.assert_allclose(probe.probabilities(IMAGES), network.probabilities(IMAGES), atol=1e-6)


def replaced(path, tensor, value):
    """The answer of a network rebuilt with a tensor that holds one value everywhere."""
    model = onnx.load(path)
    held = model.graph.node.add(op_type="ConstantOfShape", input=["the_shape"], output=["held"])
    held.attribute.append(
        onnx.helper.make_attribute("value", numpy_helper.from_array(np.array([value], np.float32)))
    )
    shape = model.graph.node.add(op_type="Shape", input=[tensor], output=["the_shape"])
    for node in list(model.graph.node)[:-2]:
        for slot, name in enumerate(node.input):
            if name == tensor:
                node.input[slot] = "held"
    nodes = [*list(model.graph.node)[:-2], shape, held]
    made = next(at for at, node in enumerate(nodes) if tensor in node.output)
    order = [*nodes[: made + 1], shape, held, *nodes[made + 1 : -2]]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in order]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"images": IMAGES})[0]


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_shut_gate_holds_its_tensor_at_a_value(tmp_path, value):
    path = write_pointing(tmp_path / "m.onnx", gate=True)
    _, tensors, probe = probe_of(path, value=value)
    for at, tensor in enumerate(tensors):
        expected = replaced(path, tensor.name, value)
        np.testing.assert_allclose(probe.gated(IMAGES, at), expected, atol=1e-6)


@pytest.mark.parametrize("gates", [False, True])
def test_maps_are_the_tensors_themselves(tmp_path, gates):
    path = write_pointing(tmp_path / "m.onnx", "relu")
    _, tensors, probe = probe_of(path, gates=gates)
    model = onnx.load(path)
    model.graph.output.extend(onnx.ValueInfoProto(name=t.name) for t in tensors)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(
        [t.name for t in tensors], {"images": IMAGES}
    )
    for image, maps in enumerate(probe.maps(IMAGES)):
        for layer, values in enumerate(maps):
            np.testing.assert_allclose(values, expected[layer][image], atol=1e-6)
    (only,) = next(probe.maps(IMAGES[:1], [1]))
    assert only.shape == (6, 4, 4)


def test_effects_do_not_depend_on_the_batch_and_are_ranked(tmp_path):
    _, tensors, probe = probe_of(write_pointing(tmp_path / "m.onnx"))
    done = []
    baseline, effects = ablate(probe, tensors, IMAGES, 2, done.append)
    again = ablate(probe, tensors, IMAGES, 100, done.append)[1]
    assert sum(done) == 2 * len(IMAGES) * (len(tensors) + 1)
    np.testing.assert_allclose(baseline, probe.probabilities(IMAGES), atol=1e-6)
    for effect, other in zip(effects, again, strict=True):
        np.testing.assert_allclose(effect.deltas, other.deltas, atol=1e-6)
        facts = effect.facts()
        assert facts["min"] <= facts["mean"] <= facts["max"]
        assert facts["mean_abs"] == pytest.approx(np.abs(effect.deltas).mean())
        assert facts["std"] == pytest.approx(effect.deltas.std(), abs=1e-6)
    weights = [effect.weight for effect in effects]
    assert weights == sorted(weights, reverse=True) and weights[0] > 0


def test_a_dead_layer_has_no_effect(tmp_path):
    path = write_pointing(tmp_path / "m.onnx", "relu", dead=range(6))
    _, tensors, probe = probe_of(path)
    _, effects = ablate(probe, tensors, IMAGES, 8, lambda count: None)
    assert [effect.weight for effect in effects] == [0.0, 0.0]


@pytest.mark.parametrize(("how", "value"), [("mean", 2.0), ("max", 3.0), ("sum", 4.0)])
def test_channels_are_reduced_along_their_axis(how, value):
    values = np.array([1.0, 3.0])[:, None, None] * np.ones((2, 4, 5))
    assert (reduced(values, False, how) == value).all()
    last = reduced(values.transpose(1, 2, 0), True, how)
    assert last.shape == (4, 5) and (last == value).all()


def maps_of(tmp_path, *layers):
    tensors = activations(load_network(write_pointing(tmp_path / "m.onnx"), (8, 8)))
    return heat_maps(tensors, layers, "mean")


def test_heat_maps_span_their_own_range_or_that_of_all_images(tmp_path):
    ramp = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    one, two = maps_of(tmp_path, ramp, ramp), maps_of(tmp_path, 2 * ramp, ramp * 0)
    assert (one[0].shares.min(), one[0].shares.max()) == (0, 1)
    assert (two[1].shares == 0).all()
    (first, _), (second, _) = on_one_scale([one, two])
    assert (first.shares.max(), second.shares.max()) == (0.5, 1)
    facts = one[0].facts()
    assert (facts["peak_x"], facts["peak_y"], facts["max"]) == (0.875, 0.875, 15)


@pytest.mark.parametrize(("order", "expected"), [("intensity", [1, 0]), ("order", [0, 1])])
def test_the_strongest_layers(tmp_path, order, expected):
    maps = maps_of(tmp_path, np.ones((1, 4, 4)), 2 * np.ones((1, 4, 4)))
    assert [each.tensor.index for each in strongest(maps, 2, order)] == expected
    assert [each.tensor.index for each in strongest(maps, 1, order)] == [1]
    assert isinstance(maps[0], HeatMap)
