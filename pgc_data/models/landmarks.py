"""The landmarks of single images as a model's input: the same in training and live, without torch."""

from __future__ import annotations

import numpy as np

from pgc_data.features import blocks
from pgc_data.features.arrays import Bools, Features, Floats
from pgc_data.models.options import LANDMARK_FEATURES


def landmark_features(landmarks: Floats, aspect: Floats | float) -> tuple[Features, Bools]:
    """Shape of hands: position, fingertip_spread and joint_angles of feature-schema-v1, in that order.

    Args:
        landmarks: (N, 21, 3) MediaPipe's image coordinates, x and y as fractions of the image; NaN where there is no
            hand.
        aspect: height of the whole image over its width, one or (N,).

    Returns:
        (N, 78) float32, and (N,) which hands are valid; the features of the others are 0.
    """
    square = np.array(landmarks, dtype=np.float64)
    square[..., 1] *= np.broadcast_to(aspect, len(square))[:, None]
    valid = blocks.valid_frames(square, 1, 1)
    points = square[valid]
    scale = blocks.palm_scale(points)
    parts = (
        blocks.position(points, scale),
        blocks.fingertip_spread(points, scale),
        blocks.joint_angles(points),
    )
    features = np.zeros((len(square), LANDMARK_FEATURES), dtype=np.float32)
    features[valid] = np.concatenate(parts, axis=1)
    return features, valid


def frame_aspect(landmarks: Floats, boxes: Floats) -> Floats:
    """Height over width of the frames that rows of the crops table come from, which the table does not hold.

    Exact where the box is the hull of the landmarks (backend mediapipe); elsewhere as good as the box is tight.

    Args:
        landmarks: (N, 21, 3) fractions of the frame.
        boxes: (N, 4) x, y, width, height in pixels.

    Returns:
        (N,); NaN where the hand has no extent.
    """
    hull = np.ptp(landmarks[..., :2], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        width, height = (boxes[:, 2:] / hull).T
        aspect: Floats = np.where((hull > 0).all(axis=1), height / width, np.nan)
    return aspect
