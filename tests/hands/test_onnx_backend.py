"""The onnx backend on a small detector whose boxes depend on the pixels, their order and their scale."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_detectors import write_constant, write_detector

from pgc_data.errors import ConfigError, DataError
from pgc_data.hands import detector_network
from pgc_data.hands.detector_network import DetectorNetwork, find_detector
from pgc_data.hands.onnx_backend import OnnxDetector
from pgc_data.hands.types import Batched

BLUE, GREEN, RED = (255, 0, 0), (0, 200, 0), (0, 0, 255)


def picture(width=80, height=48, **patches):
    """Grey with patches of colour: name -> (x, y, width, height), named blue, green or red."""
    image = np.full((height, width, 3), 90, np.uint8)
    for name, (x, y, w, h) in patches.items():
        image[y : y + h, x : x + w] = {"blue": BLUE, "green": GREEN, "red": RED}[name]
    return image


def backend(path, classes=(26,), hands=2, confidence=0.5):
    return OnnxDetector(path, "cpu", classes, hands, confidence)


@pytest.fixture
def detector(tmp_path):
    return write_detector(tmp_path / "detector.onnx")


def boxes(found):
    return [tuple(round(side, 2) for side in hand.box) for hand in found.hands]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("shape", [("B", 3, "H", "W"), (1, 3, "H", "W"), (None, 3, 48, None)])
def test_a_box_is_where_the_colour_is_in_pixels_of_the_image(tmp_path, shape, dtype):
    finder = backend(write_detector(tmp_path / "d.onnx", shape, dtype))
    finder.start(tracking=False)
    found = finder.find(picture(blue=(30, 10, 20, 12)), 0.0)
    assert boxes(found) == [(30.0, 10.0, 20.0, 12.0)]
    (hand,) = found.hands
    assert (hand.score, hand.landmarks, hand.handedness, found.body) == (1.0, None, None, None)


def test_a_fixed_input_sees_the_whole_image_stretched(tmp_path):
    finder = backend(write_detector(tmp_path / "d.onnx", ("B", 3, 64, 160)))
    found = finder.find(picture(width=640, height=128, blue=(320, 32, 160, 64)), 0.0)
    assert boxes(found) == [(320.0, 32.0, 160.0, 64.0)]


def test_a_detector_whose_output_has_no_axis_of_images_takes_one_at_a_time(tmp_path):
    finder = backend(write_detector(tmp_path / "d.onnx", flat=True))
    assert finder.batch == 1
    assert boxes(finder.find(picture(blue=(30, 10, 20, 12)), 0.0)) == [(30.0, 10.0, 20.0, 12.0)]


@pytest.mark.parametrize(
    ("classes", "hands", "confidence", "expected"),
    [
        ((26,), 2, 0.5, [(0, 0, 9, 9)]),
        ((27,), 2, 0.5, [(20, 20, 8, 8)]),
        ((26, 27), 2, 0.5, [(0, 0, 9, 9), (20, 20, 8, 8)]),
        ((0, 26, 27), 2, 0.5, [(0, 0, 9, 9), (50, 30, 7, 7)]),
        ((0, 26, 27), 9, 0.5, [(0, 0, 9, 9), (50, 30, 7, 7), (20, 20, 8, 8)]),
        ((0, 26, 27), 9, 0.9, [(0, 0, 9, 9), (50, 30, 7, 7)]),
        ((19,), 9, 0.0, []),
    ],
)
def test_the_surest_boxes_of_the_classes_that_are_hands(detector, classes, hands, confidence, expected):
    image = picture(blue=(0, 0, 9, 9), green=(20, 20, 8, 8), red=(50, 30, 7, 7))
    assert boxes(backend(detector, classes, hands, confidence).find(image, 0.0)) == expected


def test_nothing_is_found_where_nothing_is(detector):
    assert backend(detector, (0, 26, 27)).find(picture(), 0.0).hands == []


patch = st.tuples(
    st.integers(0, 40), st.integers(0, 30), st.integers(1, 30), st.integers(1, 16), st.sampled_from([48, 64])
)


@settings(max_examples=25, deadline=None)
@given(st.lists(patch, min_size=1, max_size=20))
def test_a_batch_finds_what_each_image_shows_by_itself(tmp_path_factory, patches):
    path = tmp_path_factory.getbasetemp() / "batched.onnx"
    if not path.exists():
        write_detector(path)
    finder = backend(path)
    images = [picture(height=height, blue=(x, y, w, h)) for x, y, w, h, height in patches]
    found = finder.find_many(images)
    assert [boxes(each) for each in found] == [[(x, y, w, h)] for x, y, w, h, _ in patches]
    assert found == [finder.find(image, 0.0) for image in images]


def test_images_of_one_size_go_through_together(detector, monkeypatch):
    network = DetectorNetwork(detector, "cpu")
    sizes = []
    answer = network._answer
    monkeypatch.setattr(network, "_answer", lambda batch: sizes.append(batch.shape) or answer(batch))
    network.run([picture(), picture(64, 64), *[picture()] * 8])
    assert sizes == [(8, 3, 48, 80), (1, 3, 48, 80), (1, 3, 64, 64)]
    assert isinstance(backend(detector), Batched)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        ({"columns": 5}, r"gives an output of shape \['B', 3, 5\]"),
        ({"columns": 7}, r"gives an output of shape \['B', 3, 7\]"),
        ({"dtype": "float16"}, r"takes tensor\(float16\)"),
        ({"out_dtype": "float16"}, r"gives tensor\(float16\)"),
        ({"inputs": 2}, r"has 2 inputs \(images, more1\)"),
        ({"shape": (4, 3, "H", "W")}, "takes batches of 4 alone; export it with a batch of 1"),
    ],
)
def test_a_network_with_another_contract_is_refused(tmp_path, broken, what):
    path = write_detector(tmp_path / "other.onnx", **broken)
    with pytest.raises(DataError, match=rf"the detector other.onnx {what}.*: class, x1, y1, x2, y2"):
        find_detector(path, "cpu")


def test_images_with_their_channels_last_are_another_contract(tmp_path):
    path = write_constant(tmp_path / "d.onnx", (1, 64, 64, 3), np.zeros((1, 2, 6)))
    with pytest.raises(DataError, match=r"takes an input of shape \[1, 64, 64, 3\]"):
        find_detector(path, "cpu")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "is an HTML page, not an ONNX file: download it again"),
        (b"  <html>", "is an HTML page"),
        (b"", "is no network that ONNX Runtime can use"),
        (b"\x80\x04\x95pickle", "is no network that ONNX Runtime can use"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is no network that ONNX Runtime can use"),
    ],
)
def test_a_file_that_is_no_network_is_refused(tmp_path, content, message):
    path = tmp_path / "detector.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        find_detector(path, "cpu")


def test_a_detector_that_is_not_there_is_a_wrong_call(tmp_path):
    with pytest.raises(ConfigError, match=r"no detector .*nowhere.onnx: check --detector"):
        find_detector(tmp_path / "nowhere.onnx", "cpu")


@pytest.mark.parametrize(
    ("broken", "row"),
    [({"scale": True}, r"\[26.0, 30.0, 10.0, 50.0, 22.0, 1.0\]"), ({"logits": True}, "51.0")],
)
def test_boxes_in_pixels_and_scores_that_are_none_are_refused_with_the_row(tmp_path, broken, row):
    finder = backend(write_detector(tmp_path / "d.onnx", **broken))
    with pytest.raises(
        DataError, match=rf"the detector d.onnx gave the row .*{row}.*as fractions of the image"
    ):
        finder.find(picture(blue=(30, 10, 20, 12)), 0.0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ((26, -0.1, 0.5, 1.1, 1.0, 0.9), [(-8.0, 24.0, 96.0, 24.0)]),
        ((26, 0.5, 0.5, 0.5, 1.0, 0.9), []),
        ((26, 0.5, 0.8, 0.6, 0.7, 0.9), []),
        ((26, np.nan, 0.5, 0.6, 0.7, 0.1), []),
        ((26, 0.5, 0.5, 0.6, 0.7, np.nan), []),
    ],
)
def test_boxes_may_reach_past_the_image_but_need_an_area(tmp_path, row, expected):
    path = write_constant(tmp_path / "d.onnx", (1, 3, 64, 64), [[row]])
    assert boxes(backend(path).find(picture(), 0.0)) == expected


def test_a_box_that_is_not_a_number_is_refused(tmp_path):
    path = write_constant(tmp_path / "d.onnx", (1, 3, 64, 64), [[(26, np.nan, 0.5, 0.6, 0.7, 0.9)]])
    with pytest.raises(DataError, match=r"gave the row \[26.0, nan"):
        backend(path).find(picture(), 0.0)


def test_a_network_that_answers_for_other_images_than_it_was_given_is_refused(tmp_path):
    path = write_constant(tmp_path / "d.onnx", ("B", 3, 64, 64), np.zeros((2, 1, 6)))
    with pytest.raises(DataError, match=r"gave \(2, 1, 6\) for a batch of 3"):
        backend(path).find_many([picture()] * 3)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_onnx_runtime_lacks_is_refused_with_those_it_has(detector, provider, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        ConfigError, match=rf"provider={provider} is not in this ONNX Runtime .*, which has cpu: "
    ):
        find_detector(detector, provider)


def test_falling_back_to_the_processor_is_not_accepted_silently(detector, monkeypatch):
    """As where ONNX Runtime was built with CUDA, but the machine has none."""

    class Session(onnxruntime.InferenceSession):
        def __init__(self, path, options, providers):
            super().__init__(path, options, providers=[p for p in providers if p.startswith("CPU")])

    monkeypatch.setattr(detector_network.onnxruntime, "InferenceSession", Session)
    with pytest.raises(
        DataError, match=r"cuda cannot be used on this machine .*fell back to CPU.*--provider cpu"
    ):
        DetectorNetwork(detector, "cuda")
