"""The palm detector: image -> where hands should be, best first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.hands.direct.anchors import INPUT_SIDE, palm_anchors
from pgc_data.hands.direct.cut import Cutter
from pgc_data.hands.direct.region import Points, Region, Size, palm_region
from pgc_data.hands.direct.runtime import Network
from pgc_data.hands.media import Image

_WRIST, _MIDDLE_MCP = 0, 2
_KEYPOINTS = 7
_SAME_PALM = 0.3
_SCORE_LIMIT = 100


@dataclass(frozen=True)
class Palms:
    """n palms.

    Attributes:
        scores: (n,) 0 to 1.
        boxes: (n, 2, 2) x, y of the upper left corner, then width and height.
        keypoints: (n, 7, 2) x, y; the first is the wrist, the third the root of the middle finger.
    """

    scores: Points
    boxes: Points
    keypoints: Points


class PalmDetector:
    """Finds palms in whole images."""

    def __init__(self, network: Network, confidence: float) -> None:
        """Keeps the network.

        Args:
            network: (192, 192, 3) -> (1, 2016, 18) boxes and keypoints, (1, 2016, 1) logits.
            confidence: least score of a palm, 0 to 1.
        """
        self._network = network
        self._confidence = confidence
        self._anchors = palm_anchors()
        self._cutter = Cutter(INPUT_SIDE)

    def find(self, image: Image) -> list[Region]:
        """Where hands should be in a (height, width, 3) BGR image, by the palms in it, best first."""
        regressors, logits = self._network.run(self._cutter.whole(image))
        palms = merge(decode(regressors[0], logits[0, :, 0], self._anchors, self._confidence))
        return regions(palms, Size(image.shape[1], image.shape[0]))


def regions(palms: Palms, size: Size) -> list[Region]:
    """Where hands should be, from palms in fractions of the palm detector's input."""
    low = _without_letterbox(palms.boxes[:, 0], size)
    high = _without_letterbox(palms.boxes.sum(axis=1), size)
    keypoints = _without_letterbox(palms.keypoints, size)
    found = (
        palm_region(corner, extent, points[_WRIST], points[_MIDDLE_MCP], size)
        for corner, extent, points in zip(low, high - low, keypoints, strict=True)
    )
    return [region for region in found if region.usable]


def _without_letterbox(points: Points, size: Size) -> Points:
    """(..., 2) fractions of the square around an image -> fractions of the image."""
    side = np.float32(max(size.width, size.height))
    extent = np.array([size.width, size.height], dtype=np.float32)
    share = np.float32(1) / extent
    outside: Points = points * (side * share) + (extent / 2 - side / 2) * share
    return outside


def decode(regressors: Points, logits: Points, anchors: Points, confidence: float) -> Palms:
    """The outputs whose score is at least `confidence`, as fractions of the network's input.

    Args:
        regressors: (n, 18) centre, size and keypoints in pixels of the input, relative to the anchor.
        logits: (n,)
        anchors: (n, 2), see `palm_anchors`.
        confidence: 0 to 1.
    """
    scores = _sigmoid(np.clip(logits, -_SCORE_LIMIT, _SCORE_LIMIT))
    kept = np.flatnonzero(scores >= confidence)
    pairs = regressors[kept].reshape(-1, 2 + _KEYPOINTS, 2) / np.float32(INPUT_SIDE)
    centres, half = pairs[:, 0] + anchors[kept], pairs[:, 1] / 2
    low = centres - half
    return Palms(
        scores=scores[kept],
        boxes=np.stack([low, centres + half - low], axis=1),
        keypoints=pairs[:, 2:] + anchors[kept, None],
    )


def _sigmoid(logits: Points) -> Points:
    # Numpy's 32-bit exponential is not correctly rounded.
    exponentials = np.exp(-logits.astype(np.float64)).astype(np.float32)
    scores: Points = np.float32(1) / (np.float32(1) + exponentials)
    return scores


def merge(palms: Palms) -> Palms:
    """Weighted non-maximum suppression: each palm is the mean, by score, of all that overlap its best one.

    Returns:
        The merged palms, best first, each with the score of its best one.
    """
    order = np.argsort(-palms.scores, kind="stable")
    merged = []
    while len(order):
        same = _overlaps(palms.boxes[order[0]], palms.boxes[order]) > _SAME_PALM
        # A box without area overlaps nothing, not even itself.
        same[0] = True
        merged.append(_mean(palms, order[same]))
        order = order[~same]
    return Palms(
        scores=np.array([palm.scores for palm in merged], dtype=np.float32),
        boxes=np.array([palm.boxes for palm in merged], dtype=np.float32).reshape(-1, 2, 2),
        keypoints=np.array([palm.keypoints for palm in merged], dtype=np.float32).reshape(-1, _KEYPOINTS, 2),
    )


def _mean(palms: Palms, group: NDArray[np.intp]) -> Palms:
    """One palm out of several, the best first; summed in this order, since sums of floats depend on it."""
    scores = palms.scores[group]
    lows, extents = palms.boxes[group, 0], palms.boxes[group, 1]

    def mean(values: Points) -> Points:
        weighted = values * scores.reshape(-1, *[1] * (values.ndim - 1))
        average: Points = weighted.cumsum(axis=0)[-1] / scores.cumsum()[-1]
        return average

    low = mean(lows)
    return Palms(scores[0], np.stack([low, mean(lows + extents) - low]), mean(palms.keypoints[group]))


def _overlaps(one: Points, others: Points) -> Points:
    """(n,) intersection over union of a (2, 2) box with (n, 2, 2) boxes; 0 where there is no area."""
    low = np.maximum(one[0], others[:, 0])
    high = np.minimum(one.sum(axis=0), others.sum(axis=1))
    shared: Points = np.maximum(high - low, 0).prod(axis=1)
    union = one[1].prod() + others[:, 1].prod(axis=1) - shared
    overlaps: Points = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps
