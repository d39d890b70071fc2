"""The landmark network: a region of an image -> the hand in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pgc_data.hands.direct.cut import Cutter
from pgc_data.hands.direct.region import Region
from pgc_data.hands.direct.runtime import Network
from pgc_data.hands.media import Image
from pgc_data.hands.types import Landmarks

INPUT_SIDE = 224
_LANDMARKS = 21
# The network's z is 0.4 of the scale of its x.
_Z_SCALE = np.float32(0.4)


@dataclass(frozen=True)
class Reading:
    """What the landmark network says of one region.

    Attributes:
        landmarks: (21, 3) x and y as fractions of the image, z on x's scale.
        world: (21, 3) metres, origin near the middle of the hand.
        presence: probability that the region shows a hand.
        right: probability that it is a right one.
    """

    landmarks: Landmarks
    world: Landmarks
    presence: float
    right: float


class LandmarkReader:
    """Reads hands out of regions."""

    def __init__(self, network: Network, presence: float) -> None:
        """Keeps the network.

        Args:
            network: (224, 224, 3) -> (1, 63) landmarks, (1, 1) presence, (1, 1) handedness, (1, 63) world landmarks.
            presence: a hand must be more probable than this, 0 to 1.
        """
        self._network = network
        self._presence = presence
        self._cutter = Cutter(INPUT_SIDE)

    def read(self, image: Image, region: Region) -> Reading | None:
        """The hand in a region of a (height, width, 3) BGR image; None if there is none."""
        landmarks, presence, right, world = self._network.run(self._cutter.region(image, region))
        if not presence[0, 0] > self._presence:
            return None
        return Reading(
            landmarks=_placed(landmarks.reshape(_LANDMARKS, 3) / np.float32(INPUT_SIDE), region),
            world=_turned(world.reshape(_LANDMARKS, 3), region),
            presence=float(presence[0, 0]),
            right=float(right[0, 0]),
        )


def _placed(landmarks: Landmarks, region: Region) -> Landmarks:
    """Landmarks in fractions of the image instead of the region."""
    z = landmarks[:, 2] / _Z_SCALE * region.width
    return np.column_stack([region.to_image(landmarks[:, :2]), z])


def _turned(world: Landmarks, region: Region) -> Landmarks:
    """World landmarks as they lie in the image instead of the region: turned about z, neither moved nor scaled."""
    cos, sin = np.float32(math.cos(region.rotation)), np.float32(math.sin(region.rotation))
    x, y, z = world.T
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)
