"""What is done to a crop between cutting it and scaling it: turned to the palm, masked by the hull."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.hands.crops import crop_box, cut, landmark_hull
from pgc_data.hands.media import Image
from pgc_data.hands.types import Hand
from pgc_data.inference.facts import CropRule

_WRIST, _MIDDLE_KNUCKLE = 0, 9
# How far the mask reaches past the joints, which lie inside the fingers: a share of the palm's length.
_FLESH = 0.25

Points = NDArray[np.float32]


def hand_crop(image: Image, hand: Hand, rule: CropRule) -> Image | None:
    """The crop of a hand as the network was trained on it.

    Args:
        image: (height, width, 3).
        hand: found in it.
        rule: of the crops.

    Returns:
        (height, width, 3) in the channel order of `image`; None where the hand lies outside the image, or the rule
        needs landmarks and the hand has none.
    """
    height, width = image.shape[:2]
    where = crop_box(hand.box, rule.margin, width, height)
    if where is None or (rule.needs_landmarks and hand.landmarks is None):
        return None
    crop = cut(image, where)
    if hand.landmarks is None or not rule.needs_landmarks:
        return crop
    points = hand.landmarks[:, :2] * np.array([width, height]) - np.array(where[:2])
    return applied(crop, points.astype(np.float32), rule)


def applied(crop: Image, points: Points, rule: CropRule) -> Image | None:
    """A crop masked and turned as the rule says; what was outside it is black.

    Args:
        crop: (height, width, 3).
        points: (21, 2) landmarks in its pixels.
        rule: of the crops; its margin goes around the turned hand.

    Returns:
        (height, width, 3), or None where nothing of the hand is left.
    """
    if rule.mask == "hull":
        crop = _masked(crop, points)
    if rule.align == "palm":
        return _upright(crop, points, rule.margin)
    return crop


def _masked(crop: Image, points: Points) -> Image:
    mask = np.zeros(crop.shape[:2], np.uint8)
    hull = cv2.convexHull(points).round().astype(np.int32)
    palm = float(np.linalg.norm(points[_MIDDLE_KNUCKLE] - points[_WRIST]))
    cv2.fillConvexPoly(mask, hull, 255)
    cv2.polylines(mask, [hull], True, 255, thickness=max(1, round(2 * _FLESH * palm)))
    return np.asarray(cv2.bitwise_and(crop, crop, mask=mask), np.uint8)


def _upright(crop: Image, points: Points, margin: float) -> Image | None:
    """The crop turned about the middle of the hand until the palm points up, and cut anew."""
    across, down = (points[_MIDDLE_KNUCKLE] - points[_WRIST]).tolist()
    degrees = float(np.degrees(np.arctan2(across, -down)))
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    turn = cv2.getRotationMatrix2D(tuple(map(float, centre)), degrees, 1.0)
    turned = points @ turn[:, :2].T + turn[:, 2]
    x, y, wide, high = landmark_hull(turned, 1, 1)
    extra = margin * max(wide, high)
    left, top = np.floor([x - extra, y - extra])
    size = np.ceil([x + wide + extra, y + high + extra]) - (left, top)
    if (size < 1).any():
        return None
    turn[:, 2] -= (left, top)
    found = cv2.warpAffine(crop, turn, tuple(map(int, size)), flags=cv2.INTER_LINEAR)
    return np.asarray(found, np.uint8)
