"""From the landmark network's outputs to a hand in the image."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pgc_data.hands.direct.landmarks import LandmarkReader
from pgc_data.hands.direct.region import Region

IMAGE = np.zeros((480, 640, 3), np.uint8)


class Network:
    """Says the same of every picture."""

    def __init__(self, presence=0.9, right=0.8):
        landmarks = np.zeros((21, 3), np.float32)
        landmarks[:, :2] = 112
        landmarks[1] = (112, 0, 22.4)
        world = np.zeros((21, 3), np.float32)
        world[1] = (0, -0.05, 0.02)
        self.outputs = (landmarks.reshape(1, 63), *self.scores(presence, right), world.reshape(1, 63))

    @staticmethod
    def scores(*values):
        return [np.array([[value]], np.float32) for value in values]

    def run(self, picture):
        assert picture.shape == (224, 224, 3)
        return self.outputs


def region(rotation):
    return Region(*map(np.float32, (0.5, 0.5, 200 / 640, 200 / 480, rotation)))


@pytest.mark.parametrize("rotation", [0.0, 0.5, -2.0, math.pi])
def test_landmarks_and_world_landmarks_turn_back_with_the_region(rotation):
    hand = LandmarkReader(Network(), 0.5).read(IMAGE, region(rotation))
    up = np.array([math.sin(rotation), -math.cos(rotation)])
    np.testing.assert_allclose(hand.landmarks[0], [0.5, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(hand.landmarks[1, :2] * [640, 480], [320, 240] + 100 * up, atol=1e-3)
    # A tenth of the region's 200 pixels, over 0.4, on the scale of x.
    assert hand.landmarks[1, 2] * 640 == pytest.approx(50, rel=1e-5)
    np.testing.assert_allclose(hand.world[1], [*(0.05 * up), 0.02], atol=1e-6)
    assert hand.landmarks.shape == hand.world.shape == (21, 3)
    assert hand.landmarks.dtype == hand.world.dtype == np.float32


@pytest.mark.parametrize(("presence", "found"), [(0.0, False), (0.5, False), (0.51, True), (math.nan, False)])
def test_there_is_a_hand_where_presence_is_above_the_threshold(presence, found):
    hand = LandmarkReader(Network(presence), 0.5).read(IMAGE, region(0.0))
    assert (hand is not None) is found


def test_presence_and_handedness_are_kept():
    hand = LandmarkReader(Network(presence=0.75, right=0.25), 0.5).read(IMAGE, region(0.0))
    assert (hand.presence, hand.right) == (0.75, 0.25)
