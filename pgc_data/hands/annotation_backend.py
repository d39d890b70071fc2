"""Hands where the dataset's own annotation has them: no network runs, unless for landmarks."""

from __future__ import annotations

import numpy as np

from pgc_data.hands.annotated import unpacked_hands
from pgc_data.hands.box_landmarks import BoxLandmarker
from pgc_data.hands.media import Image
from pgc_data.hands.types import Box, Found, Hand, Landmarks


class AnnotatedHands:
    """Every annotated box of a photograph is one hand, with score 1; whatever the annotation leaves out is not seen.

    Example:
        >>> backend = AnnotatedHands(joints=False)
        >>> backend.expect(np.array([0.25, 0.5, 0.5, 0.25] + [np.nan] * 42, "<f4").tobytes())
        >>> backend.find(np.zeros((40, 80, 3), np.uint8), 0.0).hands[0].box
        (20.0, 20.0, 40.0, 10.0)
    """

    name = "annotation"

    def __init__(self, joints: bool, landmarks: BoxLandmarker | None = None) -> None:
        """Nothing is expected yet.

        Args:
            joints: whether annotated joints become landmarks, with z at 0.
            landmarks: what finds landmarks in the boxes instead.
        """
        self._joints = joints
        self._landmarks = landmarks
        self._packed = b""

    def start(self, tracking: bool) -> None:
        """See `Backend.start`."""
        self._packed = b""
        if self._landmarks is not None:
            self._landmarks.start()

    def expect(self, annotated: bytes) -> None:
        """See `KnowsHands.expect`."""
        self._packed = annotated

    def find(self, image: Image, timestamp_s: float) -> Found:
        """See `Backend.find`."""
        height, width = image.shape[:2]
        boxes, joints = unpacked_hands(self._packed)
        hands = [
            Hand(
                box=_pixels(box, width, height),
                score=1.0,
                landmarks=_with_depth(points) if self._joints else None,
            )
            for box, points in zip(boxes, joints, strict=True)
        ]
        return Found(hands if self._landmarks is None else self._landmarks.fill(image, hands))

    def close(self) -> None:
        """See `Backend.close`."""
        if self._landmarks is not None:
            self._landmarks.close()


def _pixels(box: Landmarks, width: int, height: int) -> Box:
    x, y, across, down = (float(side) for side in box)
    return x * width, y * height, across * width, down * height


def _with_depth(points: Landmarks) -> Landmarks | None:
    """Joints (21, 2) as landmarks (21, 3), flat; None where they are unknown."""
    if np.isnan(points).any():
        return None
    return np.column_stack([points, np.zeros(len(points), np.float32)])
