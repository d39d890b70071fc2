"""Following hands: when to look for palms, which regions to read, which readings are the same hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pgc_data.hands.direct.landmarks import Reading
from pgc_data.hands.direct.region import Points, Region, Size, landmark_region, overlap
from pgc_data.hands.media import Image

Detect = Callable[[Image], list[Region]]
Read = Callable[[Image, Region], Reading | None]

_WRIST, _INDEX_MCP, _LITTLE_MCP = 0, 5, 17
_SAME_DISTANCE = 0.2
_SAME_POINTS = 10
_SAME_HULL = 0.2


class Tracker:
    """Palms are looked for only while fewer hands are followed than wanted.

    A hand is followed by reading, in each frame, the region that its landmarks of the frame before point to. It is
    lost when the landmark network no longer sees a hand there.
    """

    def __init__(self, detect: Detect, read: Read, hands: int, same_hand: float) -> None:
        """Starts without any hand.

        Args:
            detect: image -> regions of palms, best first.
            read: image and region -> the hand in it, if any.
            hands: hands to look for.
            same_hand: a detected region that overlaps another by more than this is the same hand, 0 to 1.
        """
        self._detect = detect
        self._read = read
        self._hands = hands
        self._same_hand = same_hand
        self._tracking = False
        self._regions: list[Region] = []

    def start(self, tracking: bool) -> None:
        """Forgets every hand; `tracking` says whether frames of one clip follow, or single images."""
        self._tracking = tracking
        self._regions = []

    def step(self, image: Image) -> list[Reading]:
        """The hands in a (height, width, 3) BGR image: those followed first, then new ones, best first."""
        size = Size(image.shape[1], image.shape[0])
        regions = self._regions
        if len(regions) < self._hands:
            regions = self._with_new(regions, self._detect(image)[: self._hands])
        readings = [self._read(image, region) for region in regions[: self._hands]]
        hands = distinct([reading for reading in readings if reading is not None], size)
        if self._tracking:
            regions = [landmark_region(hand.landmarks[:, :2], size) for hand in hands]
            self._regions = [region for region in regions if region.usable]
        return hands

    def _with_new(self, followed: list[Region], detected: list[Region]) -> list[Region]:
        if not self._tracking:
            return detected
        regions = list(followed)
        for region in detected:
            if all(overlap(region, other) <= self._same_hand for other in regions):
                regions.append(region)
        return regions


def distinct(readings: list[Reading], size: Size) -> list[Reading]:
    """Leaves out every hand that is one before it, read twice."""
    if len(readings) < 2:
        return readings
    scale = np.array([size.width, size.height], dtype=np.float32)
    kept: list[Reading] = []
    points: list[Points] = []
    for reading in readings:
        pixels = reading.landmarks[:, :2] * scale
        if not any(_same(pixels, other) for other in points):
            kept.append(reading)
            points.append(pixels)
    return kept


def _same(a: Points, b: Points) -> bool:
    """Whether (21, 2) landmarks of two hands lie on each other: at least ten of them, and their hulls."""
    near = _SAME_DISTANCE * max(_palm_size(a), _palm_size(b))
    matching = int((np.linalg.norm(a - b, axis=1) < near).sum())
    return matching >= _SAME_POINTS and _hull_overlap(a, b) > _SAME_HULL


def _palm_size(points: Points) -> float:
    """The longest side of the triangle of wrist, index root and little finger root, pixels."""
    corners = points[[_WRIST, _INDEX_MCP, _LITTLE_MCP]]
    return float(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max())


def _hull_overlap(a: Points, b: Points) -> float:
    """Intersection over union of the upright boxes around two sets of points."""
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    if (high <= low).any():
        return 0.0
    shared = float((high - low).prod())
    return shared / (float(np.ptp(a, axis=0).prod()) + float(np.ptp(b, axis=0).prod()) - shared)
