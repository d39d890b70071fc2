"""Landmarks from MediaPipe for hands whose boxes are known: it looks at an enlarged crop around each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pgc_data.hands.crops import PixelBox, crop_box, cut
from pgc_data.hands.media import Image
from pgc_data.hands.mediapipe_backend import MediaPipeHands
from pgc_data.hands.types import Box, Hand

# The palm detector wants a hand with room around it: on frames of IPN it found 53 % of the hands in crops with a
# margin of 0.1, 92 % with 1.
_MARGIN = 1.0
# The crop may show another hand too: the one that is wanted overlaps the box, or is none.
_MOST_HANDS = 2
_MIN_OVERLAP = 0.2


class BoxLandmarker:
    """Runs HandLandmarker on single images, so that nothing of one hand is seen in another."""

    def __init__(self, model: Path, confidence: float) -> None:
        """Reads the model.

        Args:
            model: hand landmarker bundle (`.task`).
            confidence: least confidence for detection and presence, 0 to 1.
        """
        self._finder = MediaPipeHands(model, _MOST_HANDS, confidence)

    def start(self) -> None:
        """Makes the landmarker where there is none yet."""
        self._finder.start(tracking=False)

    def fill(self, image: Image, hands: Sequence[Hand]) -> list[Hand]:
        """The same hands with landmarks, world landmarks and handedness where they can be found; see `Hand`.

        Args:
            image: (height, width, 3) BGR.
            hands: with boxes in its pixels.
        """
        return [self._filled(image, hand) for hand in hands]

    def close(self) -> None:
        """Frees the networks."""
        self._finder.close()

    def _filled(self, image: Image, hand: Hand) -> Hand:
        height, width = image.shape[:2]
        where = crop_box(hand.box, _MARGIN, width, height)
        if where is None:
            return hand
        seen = [
            _placed(each, where, width, height) for each in self._finder.find(cut(image, where), 0.0).hands
        ]
        best = max(seen, key=lambda each: overlap(each.box, hand.box), default=None)
        if best is None or overlap(best.box, hand.box) < _MIN_OVERLAP:
            return hand
        return replace(best, box=hand.box, score=hand.score)


def _placed(hand: Hand, where: PixelBox, width: int, height: int) -> Hand:
    """A hand that was found in the part `where` of an image, in the whole image's coordinates."""
    x, y, part_width, part_height = where
    box = (hand.box[0] + x, hand.box[1] + y, hand.box[2], hand.box[3])
    if hand.landmarks is None:
        return replace(hand, box=box)
    # z is on x's scale.
    scale = np.array([part_width / width, part_height / height, part_width / width])
    landmarks = hand.landmarks * scale + np.array([x / width, y / height, 0.0])
    return replace(hand, box=box, landmarks=landmarks.astype(np.float32))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes x, y, width, height, 0 to 1."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
