"""Which files are pointing networks, and what they answer."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from pointing_networks import write_pointing, write_sequence

from pgc_data.errors import ConfigError, DataError
from pgc_data.inference.network import PointingNetwork

SIZE = 8


def crops(count):
    return [np.random.default_rng(n).integers(0, 255, (10 + n, 12, 3)).astype(np.uint8) for n in range(count)]


def test_images_are_rgb_from_0_to_1(tmp_path):
    network = PointingNetwork(write_pointing(tmp_path / "m.onnx"))
    crop = np.zeros((SIZE, SIZE, 3), np.uint8)
    crop[..., 0] = 255
    images = network.images([crop])
    assert (images.shape, images.dtype) == ((1, 3, SIZE, SIZE), np.float32)
    assert (images[0, 0].min(), images[0, 1:].max()) == (1.0, 0.0)


@pytest.mark.parametrize("batch", ["B", 1])
def test_answers_are_those_of_the_network_one_by_one(tmp_path, batch):
    path = write_pointing(tmp_path / "m.onnx", shape=(batch, 3, SIZE, SIZE), out_shape=[batch])
    network = PointingNetwork(path)
    images = network.images(crops(5))
    session = onnxruntime.InferenceSession(str(path))
    expected = [session.run(None, {"images": image[None]})[0][0] for image in images]
    np.testing.assert_allclose(network.probabilities(images), expected, atol=1e-6)
    assert network.probabilities(images[:0]).shape == (0,)


def test_a_free_size_is_pgcs_or_the_one_given(tmp_path):
    path = write_pointing(tmp_path / "m.onnx", shape=("B", 3, "H", "W"), facts=None)
    assert PointingNetwork(path).size == (32, 32)
    network = PointingNetwork(path, size=(16, 24))
    assert network.images(crops(1)).shape == (1, 3, 16, 24)
    assert not network.facts.stated


def test_a_fixed_size_is_not_changed(tmp_path):
    with pytest.raises(ConfigError, match=r"image-size=16x16, but m\.onnx takes 8x8"):
        PointingNetwork(write_pointing(tmp_path / "m.onnx"), size=(16, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (4, 3, 8, 8), "out_shape": [4]}, "takes batches of 4 alone"),
        ({"inputs": ("images", "more")}, "has an input 'more'"),
        ({"facts": "not JSON"}, "metadata 'pgc_data'"),
    ],
)
def test_other_networks_are_refused(tmp_path, options, message):
    path = write_pointing(tmp_path / "m.onnx", **options)
    with pytest.raises(DataError, match=message):
        PointingNetwork(path)


def test_a_network_of_grey_images_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["images"], ["prob_pointing"], axes=[1, 2, 3], keepdims=0)], "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["B", 1, 8, 8])],
        [helper.make_tensor_value_info("prob_pointing", TensorProto.FLOAT, ["B"])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(DataError, match="has an input 'images'"):
        PointingNetwork(tmp_path / "m.onnx")


def test_logits_are_no_probabilities(tmp_path):
    network = PointingNetwork(write_pointing(tmp_path / "m.onnx", logits=True))
    with pytest.raises(DataError, match="which are no probabilities"):
        network.probabilities(np.full((1, 3, SIZE, SIZE), 50, np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "is an HTML page"),
        (b"", "is empty"),
        (b"\x00\x01\x02", "is no network that ONNX Runtime can use"),
    ],
)
def test_files_that_are_no_networks(tmp_path, content, message):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        PointingNetwork(path)


def test_calls_that_are_wrong(tmp_path):
    with pytest.raises(ConfigError, match="no model"):
        PointingNetwork(tmp_path / "none.onnx")
    with pytest.raises(ConfigError, match="provider=tensorrt is not in this ONNX Runtime"):
        PointingNetwork(write_pointing(tmp_path / "m.onnx"), "tensorrt")
    with pytest.raises(DataError, match="is a sequence model"):
        PointingNetwork(write_sequence(tmp_path / "s.onnx"))


def test_a_network_of_landmarks_wants_more_than_images(tmp_path):
    network = PointingNetwork(write_pointing(tmp_path / "m.onnx", inputs=("images", "landmarks")))
    assert network.landmark_dims == 63
    with pytest.raises(DataError, match="takes landmarks"):
        network.probabilities(network.images(crops(1)))
