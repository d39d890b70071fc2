"""What a backend returns, whatever network is behind it."""

from __future__ import annotations

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


class Backend(Protocol):
    """Finds hands. One instance serves one worker process."""

    name: str

    def start(self, tracking: bool) -> None:
        """Forgets what was seen; `tracking` says whether frames of one clip follow, or single images."""

    def find(self, image: Image, timestamp_s: float) -> list[Hand]:
        """The hands in a (height, width, 3) BGR image; timestamps grow within a clip."""

    def close(self) -> None:
        """Frees the networks."""
