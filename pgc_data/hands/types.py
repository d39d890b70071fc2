"""What a backend returns, whatever network is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pgc_data.hands.media import Image

Landmarks = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Hand:
    """One hand found in one image.

    Attributes:
        box: x, y, width, height in pixels; may reach past the image.
        score: confidence that it is a hand, 0 to 1.
        landmarks: (21, 3), x and y as fractions of the image, z on x's scale; None without landmarks.
        world_landmarks: (21, 3) in metres; None without landmarks.
        handedness: the anatomical hand, Left or Right; None where unknown.
        handedness_score: 0 to 1; None where unknown.
    """

    box: Box
    score: float
    landmarks: Landmarks | None = None
    world_landmarks: Landmarks | None = None
    handedness: str | None = None
    handedness_score: float | None = None


@dataclass(frozen=True)
class Body:
    """One person in one image, as MediaPipe Holistic sees them; None for a part that is not found.

    x and y are fractions of the image, z on x's scale.

    Attributes:
        pose: (33, 4), x, y, z and visibility, 0 to 1.
        face: (468, 3), the face mesh without irises.
        left_hand, right_hand: (21, 3), the person's own left and right.
    """

    pose: Landmarks | None = None
    face: Landmarks | None = None
    left_hand: Landmarks | None = None
    right_hand: Landmarks | None = None


@dataclass(frozen=True)
class Found:
    """What a backend finds in one image.

    Attributes:
        hands: in the backend's order.
        body: None where nothing of one is found, and from backends that look for hands alone.
    """

    hands: Sequence[Hand] = ()
    body: Body | None = None


class Backend(Protocol):
    """Finds hands, and a body where it can. One instance serves one worker process."""

    name: str

    def start(self, tracking: bool) -> None:
        """Forgets what was seen; `tracking` says whether frames of one clip follow, or single images."""

    def find(self, image: Image, timestamp_s: float) -> Found:
        """What a (height, width, 3) BGR image shows; timestamps grow within a clip."""

    def close(self) -> None:
        """Frees the networks."""
