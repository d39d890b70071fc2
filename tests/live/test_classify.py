"""The models in the loop see what training saw."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import onnxruntime
import pytest
from factories import drawn_hand
from pointing_networks import FACTS, write_pointing, write_sequence

from pgc_data.errors import DataError
from pgc_data.features import HandSequence, cut_windows, frame_features
from pgc_data.hands.crops import crop_box, cut
from pgc_data.live.classify import make_classifier
from pgc_data.live.types import SCENE, LiveFrame
from pgc_data.models.landmarks import landmark_features

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)


def frame(number=1, hands=(), tracks=None, fps=30):
    return LiveFrame(
        number, (number - 1) / fps, IMAGE, hands, range(len(hands)) if tracks is None else tracks
    )


@pytest.mark.parametrize(("given", "margin"), [(None, 0.2), (0.5, 0.5)])
def test_a_hand_is_judged_by_its_rgb_crop(tmp_path, given, margin):
    path = write_pointing(tmp_path / "m.onnx")
    classifier, facts = make_classifier(path, "cpu", margin=given)
    (verdict,) = classifier.see(frame(hands=[drawn_hand()], tracks=[7]))
    crop = cut(IMAGE, crop_box(drawn_hand().box, margin, 64, 48))[..., ::-1]
    pixels = cv2.resize(crop, (8, 8), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)[None] / np.float32(255)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"images": pixels})[0][0]
    assert verdict.track == 7
    assert verdict.probabilities[0] == pytest.approx(expected, abs=1e-5)
    assert (classifier.classes, classifier.threshold, facts.stated) == (("pointing",), 0.4, True)


def test_hands_that_cannot_be_judged_are_left_out(tmp_path):
    facts = {**FACTS, "crop": {"margin": 0.2, "align": "palm"}}
    classifier, _ = make_classifier(write_pointing(tmp_path / "m.onnx", facts=facts), "cpu")
    hands = [
        replace(drawn_hand(), landmarks=None),
        drawn_hand(),
        replace(drawn_hand(), box=(99.0, 0.0, 5.0, 5.0)),
    ]
    assert [verdict.track for verdict in classifier.see(frame(hands=hands))] == [1]
    assert classifier.see(frame()) == []


def write_landmark_network(path, dims):
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["landmarks"], ["m"], axes=[1], keepdims=0),
         helper.make_node("Sigmoid", ["m"], ["prob_pointing"])],
        "g", [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["B", dims])],
        [helper.make_tensor_value_info("prob_pointing", TensorProto.FLOAT, ["B"])],
    )  # fmt: skip
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_hand_is_judged_by_its_landmarks(tmp_path):
    classifier, _ = make_classifier(write_landmark_network(tmp_path / "m.onnx", 78), "cpu")
    (verdict,) = classifier.see(frame(hands=[drawn_hand()]))
    features, _ = landmark_features(drawn_hand().landmarks[None], 48 / 64)
    assert verdict.probabilities[0] == pytest.approx(1 / (1 + np.exp(-features.mean())), abs=1e-6)
    assert classifier.see(frame(hands=[replace(drawn_hand(), landmarks=None)])) == []


def test_landmarks_of_another_length_are_refused(tmp_path):
    classifier, _ = make_classifier(write_landmark_network(tmp_path / "m.onnx", 63), "cpu")
    with pytest.raises(DataError, match="takes 63 landmark features"):
        classifier.see(frame(hands=[drawn_hand()]))


def test_sequences_are_judged_by_the_windows_of_training(tmp_path):
    path = write_sequence(tmp_path / "s.onnx", ("none", "swipe", "tap"))
    classifier, _ = make_classifier(path, "cpu")
    assert classifier.classes == ("swipe", "tap")
    count = 12
    hands = [drawn_hand(number / 30) for number in range(count)]
    said = [classifier.see(frame(number + 1, [hand])) for number, hand in enumerate(hands)]
    landmarks = np.stack([hand.landmarks for hand in hands])
    sequence = HandSequence(landmarks, np.arange(count) / 30, np.zeros(count, int), 64, 48)
    windows = cut_windows(frame_features(sequence), length=4, stride=1)
    session = onnxruntime.InferenceSession(str(path))
    logits = [session.run(None, {"windows": each[None]})[0][0] for each in windows.features]
    expected = [np.exp(each) / np.exp(each).sum() for each in logits]
    assert said[:3] == [[], [], []]
    for (verdict,), shares in zip(said[3:], expected, strict=True):
        assert verdict.track == SCENE
        np.testing.assert_allclose(verdict.probabilities, shares[1:], atol=1e-6)


def test_what_was_said_of_a_window_holds_for_a_moment(tmp_path):
    classifier, _ = make_classifier(write_sequence(tmp_path / "s.onnx"), "cpu")
    for number in range(1, 9):
        last = classifier.see(frame(number, [drawn_hand(number / 30)]))
    said = [bool(classifier.see(frame(number))) for number in range(9, 40)]
    assert last and said[0] and not said[-1]
    assert said == sorted(said, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"dims": 63}, r"takes windows \(B, T, 147\)"), ({"classes": ("a", "b"), "background": None}, None)],
)
def test_sequence_models_of_other_windows(tmp_path, options, message):
    path = write_sequence(tmp_path / "s.onnx", **options)
    if message is None:
        assert make_classifier(path, "cpu")[0].classes == ("a", "b")
        return
    with pytest.raises(DataError, match=message):
        make_classifier(path, "cpu")
