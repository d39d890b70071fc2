from __future__ import annotations

import numpy as np
import pytest
import torch

from pgc_data.features import HandSequence, frame_features
from pgc_data.features.schema import SCHEMA
from pgc_data.models.landmarks import frame_aspect, landmark_features
from pgc_data.models.pointing import Standardise

COLUMNS = SCHEMA.indices("position", "fingertip_spread", "joint_angles")


def hands(count=20):
    return np.random.default_rng(0).uniform(0.2, 0.8, (count, 21, 3))


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1000, 1000)])
def test_features_are_those_of_the_feature_schema(width, height):
    landmarks = hands()
    clip = HandSequence(landmarks, np.arange(20) / 30, np.zeros(20, int), width, height)
    found, valid = landmark_features(landmarks, height / width)
    assert valid.all()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, frame_features(clip).values[:, COLUMNS], atol=1e-6)


def test_hands_that_are_not_there_give_zeros_and_are_named():
    landmarks = hands(4)
    landmarks[1] = np.nan
    landmarks[2] = 0.5
    found, valid = landmark_features(landmarks, np.array([0.75, 0.75, 0.75, np.nan]))
    assert valid.tolist() == [True, False, False, False]
    assert np.isfinite(found).all()
    assert not found[1:].any()
    assert landmark_features(hands(0), 1.0)[0].shape == (0, 78)


def test_the_shape_of_the_frame_comes_back_from_the_box():
    landmarks = hands(3)
    landmarks[2] = 0.5
    low, extent = landmarks[..., :2].min(1), np.ptp(landmarks[..., :2], axis=1)
    boxes = np.concatenate([low, extent], axis=1) * [640, 480, 640, 480]
    aspect = frame_aspect(landmarks, boxes)
    np.testing.assert_allclose(aspect[:2], 0.75)
    assert np.isnan(aspect[2])


def test_standardising_leaves_constant_features_alone():
    rows = torch.randn(500, 4) * torch.tensor([1.0, 10.0, 0.1, 0.0]) + torch.tensor([0.0, 5.0, -2.0, 3.0])
    standardise = Standardise(4)
    standardise.fit(rows)
    out = standardise(rows)
    torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        out.std(0, correction=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-4, rtol=0
    )
    assert standardise(torch.zeros(1, 4) + 4).abs().max() < 100
    assert "mean" in standardise.state_dict()
