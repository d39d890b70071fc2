"""box42 and graph21: the hand of one image in the plane, relative to its box, as a vector and as a graph."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np

from pgc_data.errors import DataError
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.schema import SCHEMA
from pgc_data.resources import schema_file

_JOINTS = len(SCHEMA.joint_names)
# A box that is less than a pixel long says nothing of the hand in it.
_MIN_SIDE = 1.0


def box_features(landmarks: Floats, boxes: Floats, sizes: Floats) -> tuple[Features, Bools]:
    """The joints of N hands relative to their boxes, in units of the box's longer side; the box's centre is 0.5.

    One unit for both axes keeps the hand's proportions, and nothing is clamped: the common variant that scales
    each axis by itself and clamps to 0-1 bends hands and loses fingertips.

    Args:
        landmarks: (N, 21, 3) normalised image coordinates; z is not used.
        boxes: (N, 4) x, y, width, height, pixels.
        sizes: (N, 2) width and height of each image, pixels.

    Returns:
        (N, 42) float32, joint-major x, y, always finite; and (N,) whether they mean anything: 0 where a number is
        not finite or too large, or the box is shorter than a pixel.

    Raises:
        DataError: shapes that do not belong together.
    """
    _check(landmarks, boxes, sizes)
    corner, extent = boxes[:, :2], boxes[:, 2:]
    plane = landmarks[:, :, :2]
    side = np.maximum(extent[:, 0], extent[:, 1])
    # A comparison with NaN is false: this covers what is not finite too.
    inside = (np.abs(plane) <= SCHEMA.rules.coordinate_limit).all(axis=(1, 2))
    placed = (np.abs(boxes) <= SCHEMA.rules.coordinate_limit * sizes.max(axis=1, initial=1)[:, None]).all(
        axis=1
    )
    usable: Bools = inside & placed & (side >= _MIN_SIDE)
    points = plane[usable] * sizes[usable][:, None, :]
    centre = corner[usable] + extent[usable] / 2
    features = np.zeros((len(landmarks), _JOINTS * 2), dtype=np.float32)
    relative = 0.5 + (points - centre[:, None, :]) / side[usable][:, None, None]
    features[usable] = relative.reshape(-1, _JOINTS * 2)
    return features, usable


def mirrored(features: Features, left: Bools) -> Features:
    """`features` (N, 42) with the hands where `left` (N,) is true mirrored, x -> 1 - x: all look like right ones."""
    result = features.copy()
    result[left, 0::2] = 1.0 - features[left, 0::2]
    return result


def graph_nodes(features: Features) -> Features:
    """box42 features (..., 42) as the nodes of graph21: (..., 21, 2)."""
    return features.reshape(*features.shape[:-1], _JOINTS, 2)


@cache
def graph() -> dict[str, Any]:
    """The document `schemas/graph21.json`."""
    document: dict[str, Any] = json.loads(schema_file("graph21.json").read_text(encoding="utf-8"))
    return document


def edge_index() -> Ints:
    """The 46 directed edges of graph21: (2, 46), from and to, each link followed by its reverse.

    >>> edge_index()[:, :2].tolist()
    [[0, 1], [1, 0]]
    """
    links = np.array(graph()["links"], dtype=np.int64)
    return np.stack([links, links[:, ::-1]], axis=1).reshape(-1, 2).T


def adjacency() -> Features:
    """Normalised adjacency of graph21 with loops, D^-1/2 (A + I) D^-1/2: (21, 21) float32, symmetric."""
    linked = np.eye(_JOINTS)
    linked[tuple(edge_index())] = 1.0
    degree = linked.sum(axis=1)
    normalised: Features = (linked / np.sqrt(degree[:, None] * degree[None, :])).astype(np.float32)
    return normalised


def _check(landmarks: Floats, boxes: Floats, sizes: Floats) -> None:
    n = len(landmarks)
    for name, values, shape in (
        ("landmarks", landmarks, (n, _JOINTS, 3)), ("boxes", boxes, (n, 4)), ("sizes", sizes, (n, 2)),
    ):  # fmt: skip
        if values.shape != shape:
            raise DataError(f"{name} has shape {values.shape}, it must be {shape}")
