"""What a model says of itself, and the crops that it asks for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import drawn_hand
from pointing_networks import FACTS

from pgc_data.errors import DataError
from pgc_data.hands.crops import crop_box, cut
from pgc_data.inference.crop_rule import applied, hand_crop
from pgc_data.inference.facts import CropRule, ModelFacts, read_facts
from pgc_data.inference.resize import resized
from pgc_data.loaders.images import decode_image

HERE = Path("model.onnx")


def read(facts):
    return read_facts({"pgc_data": facts if isinstance(facts, str) else json.dumps(facts)}, HERE)


def test_a_file_without_metadata_is_taken_for_one_of_pgc():
    assert read_facts({"producer": "x"}, HERE) == ModelFacts()
    assert (ModelFacts().threshold, ModelFacts().crop.margin, ModelFacts().negative) == (
        0.5,
        0.0,
        "not_pointing",
    )


def test_metadata_are_read():
    found = read({**FACTS, "crop": {"margin": 0.2, "align": "palm", "mask": "hull"}})
    assert found.stated and found.threshold == 0.4
    assert found.crop == CropRule(0.2, "palm", "hull")
    assert read({**FACTS, "classes": ["a", "pointing", "b"]}).negative == "not_pointing"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ({"kind": "pointing"}, "classes"),
        ({**FACTS, "kind": "static"}, "static"),
        ({**FACTS, "positive": "fist"}, "fist"),
        ({**FACTS, "crop": {"align": "wrist"}}, "wrist"),
        ({**FACTS, "threshold": "high"}, "high"),
    ],
)
def test_metadata_of_another_form_are_refused(facts, message):
    with pytest.raises(DataError, match=message):
        read(facts)


def test_a_crop_without_turning_is_the_one_of_extraction():
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    hand = drawn_hand()
    where = crop_box(hand.box, 0.2, 64, 48)
    np.testing.assert_array_equal(hand_crop(image, hand, CropRule(0.2)), cut(image, where))
    assert hand_crop(image, replace(hand, box=(100.0, 0.0, 5.0, 5.0)), CropRule()) is None
    assert hand_crop(image, replace(hand, landmarks=None), CropRule(align="palm")) is None


def test_a_crop_is_turned_until_the_palm_points_up():
    # A bright bar from the wrist to the knuckle of the middle finger, lying on its side.
    crop = np.zeros((60, 100, 3), np.uint8)
    cv2.line(crop, (20, 30), (80, 30), (255, 255, 255), 5)
    points = np.full((21, 2), (50, 30), np.float32) + np.random.default_rng(0).normal(0, 3, (21, 2)).astype(
        "f4"
    )
    points[0], points[9] = (20, 30), (80, 30)
    found = applied(crop, points, CropRule(0.1, align="palm"))
    rows, columns = np.nonzero(found[..., 0] > 128)
    assert np.ptp(rows) > 50 > 10 > np.ptp(columns)
    assert found.shape[0] > found.shape[1]


def test_a_mask_blackens_what_lies_outside_the_hand():
    crop = np.full((100, 100, 3), 200, np.uint8)
    angles = np.linspace(0, 2 * np.pi, 21, endpoint=False)
    points = np.stack([50 + 20 * np.cos(angles), 50 + 20 * np.sin(angles)], axis=1).astype(np.float32)
    found = applied(crop, points, CropRule(mask="hull"))
    assert found[50, 50].tolist() == [200] * 3
    assert not found[[2, 2, 97, 97], [2, 97, 2, 97]].any()
    assert found.shape == crop.shape


@pytest.mark.parametrize("shape", [(40, 30), (8, 8), (5, 90), (8, 9)])
def test_images_are_scaled_as_loaders_do(shape):
    image = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    _, data = cv2.imencode(".png", image[..., ::-1])
    np.testing.assert_array_equal(resized(image, (8, 8)), decode_image(data.ravel(), (8, 8)))
