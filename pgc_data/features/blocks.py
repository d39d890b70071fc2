"""The formulas of feature-schema-v1, one function a block, on whole sequences.

Pure: no rule about gaps, tracks or windows lives here. Symbols are those of the schema file: L image
landmarks, P aspect-corrected points, s palm length, p = (P - P[wrist]) / s.
"""

from __future__ import annotations

import numpy as np

from pgc_data.features.arrays import Bools, Floats
from pgc_data.features.schema import SCHEMA

_PAIRS = np.array(SCHEMA.block("fingertip_spread").joints)
_POSITION_DIMS = SCHEMA.block("position").size
_TRIPLES = np.array(SCHEMA.block("joint_angles").joints)


def valid_frames(landmarks: Floats, width: int, height: int) -> Bools:
    """Frames that features can be computed from.

    A frame is valid if all its coordinates are finite and within `coordinate_limit` of the image, and its
    palm is no shorter than `scale_eps` image widths.

    Args:
        landmarks: (N, 21, 3) image coordinates, NaN where there is no hand.
        width, height: size of the source image, pixels.

    Returns:
        (N,) bool.
    """
    # A comparison with NaN is false, so this one test covers NaN and infinity too.
    inside = np.abs(landmarks) <= SCHEMA.rules.coordinate_limit
    valid: Bools = np.logical_and.reduce(inside, axis=(1, 2))
    rows = np.flatnonzero(valid)
    palm = landmarks[rows][:, SCHEMA.scale_joints, :]
    valid[rows] = _length(aspect_correct(palm[:, 1] - palm[:, 0], width, height)) >= SCHEMA.rules.scale_eps
    return valid


def aspect_correct(landmarks: Floats, width: int, height: int) -> Floats:
    """P = (x, y*H/W, z), in image widths: without it distances and angles depend on the frame's shape.

    Args:
        landmarks: (..., 3) normalised image coordinates.
        width, height: size of the source image, pixels.
    """
    points: Floats = landmarks * np.array([1.0, height / width, 1.0])
    return points


def palm_scale(points: Floats) -> Floats:
    """s: distance from the wrist to the middle finger's MCP joint, (N,) image widths, of P (N, 21, 3)."""
    wrist, middle = SCHEMA.scale_joints
    return _length(points[:, middle] - points[:, wrist])


def position(points: Floats, scale: Floats) -> Floats:
    """p, joint-major x, y, z: (N, 63) palms, of P (N, 21, 3) and s (N,). The wrist's three are exactly 0."""
    centred = points - points[:, SCHEMA.wrist_joint, None, :]
    centred /= scale[:, None, None]
    return centred.reshape(len(points), _POSITION_DIMS)


def fingertip_spread(points: Floats, scale: Floats) -> Floats:
    """Distances between neighbouring fingertips, around: (N, 5) palms, of P (N, 21, 3) and s (N,)."""
    return _length(points[:, _PAIRS[:, 0]] - points[:, _PAIRS[:, 1]]) / scale[:, None]


def wrist_trajectory(wrist: Floats, scale: Floats, origin: Floats) -> Floats:
    """How far the wrist has moved from a window's origin: (..., 3) palms.

    Args:
        wrist: (..., 3) the wrist's P.
        scale: (...) s of the same frames, not 0.
        origin: (..., 3) the wrist's P at the window's oldest usable frame.
    """
    moved = wrist - origin
    moved /= scale[..., None]
    return moved


def velocity(current: Floats, previous: Floats, elapsed: Floats) -> Floats:
    """Change of p since the previous valid frame: (N, 63) palms/s.

    Args:
        current, previous: (N, 63) `position` of each frame and of the valid frame before it.
        elapsed: (N,) seconds between the two; 0 or less gives velocity 0.
    """
    return _rate(current, previous, elapsed)


def joint_angles(points: Floats) -> Floats:
    """Interior angle at each joint of the schema's triples: (N, 10) radians, 0 to pi, of P (N, 21, 3).

    pi is a straight finger. Where two of the three joints coincide the angle is 0.
    """
    # Axis and joint first: each line below then runs over contiguous frames.
    planes = np.ascontiguousarray(points.transpose(2, 1, 0))
    a, b, c = (planes[:, _TRIPLES[:, corner]] for corner in range(3))
    ux, uy, uz = a - b
    vx, vy, vz = c - b
    across = np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2 + (ux * vy - uy * vx) ** 2)
    angles: Floats = np.arctan2(across, ux * vx + uy * vy + uz * vz)
    return angles.T


def wrist_vel_raw(current: Floats, previous: Floats, elapsed: Floats) -> Floats:
    """Change of the wrist's L since the previous valid frame: (N, 3) image widths and heights a second.

    Args:
        current, previous: (N, 3) raw image coordinates, neither aspect-corrected nor divided by s.
        elapsed: (N,) seconds between the two; 0 or less gives velocity 0.
    """
    return _rate(current, previous, elapsed)


def _rate(current: Floats, previous: Floats, elapsed: Floats) -> Floats:
    per_second = np.divide(1.0, elapsed, out=np.zeros_like(elapsed), where=elapsed > 0)
    change = current - previous
    change *= per_second[:, None]
    return change


def _length(vectors: Floats) -> Floats:
    lengths: Floats = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return lengths
