"""The formulas of feature-schema-v1, one function a block, on many frames at once.

Pure: no rule about gaps, tracks or windows lives here. Symbols are those of the schema file: L image
landmarks, P aspect-corrected points, s palm length, p = (P - P[wrist]) / s.

Frames are independent to the last bit: every operation is done number by number, none sums along frames, so a frame
gives the same features whatever frames are computed with it. Arrays of any memory order are taken; those of
`frames_last` are the fast ones.
"""

from __future__ import annotations

import numpy as np

from pgc_data.features.arrays import Bools, Floats
from pgc_data.features.schema import SCHEMA

# Frames worked on at once: enough that numpy's cost a call is small, few enough to stay in a core's cache.
CHUNK_FRAMES = 512

_AXES = np.arange(3)[:, None]
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
    valid = np.empty(len(landmarks), dtype=np.bool_)
    first, last = SCHEMA.scale_joints
    for start in range(0, valid.size, CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        hands = landmarks[part]
        # A comparison with NaN is false, so this one test covers NaN and infinity too.
        inside = np.logical_and.reduce(np.abs(hands) <= SCHEMA.rules.coordinate_limit, axis=(1, 2))
        # Whatever comes of hands that are not inside, they stay out.
        with np.errstate(all="ignore"):
            palm = _length(aspect_correct(hands[:, last] - hands[:, first], width, height))
        np.logical_and(inside, palm >= SCHEMA.rules.scale_eps, out=valid[part])
    return valid


def frames_last(landmarks: Floats) -> Floats:
    """A copy of landmarks (N, 21, 3) with each coordinate's frames next to each other in memory."""
    planes = np.array(landmarks.reshape(len(landmarks), _POSITION_DIMS).T, order="C")
    return planes.T.reshape(landmarks.shape)


def aspect_correct(landmarks: Floats, width: int, height: int) -> Floats:
    """P = (x, y*H/W, z), in image widths: without it distances and angles depend on the frame's shape.

    Args:
        landmarks: (..., 3) normalised image coordinates.
        width, height: size of the source image, pixels.
    """
    points: Floats = np.array(landmarks, dtype=np.float64, order="K")
    points[..., 1] *= height / width
    return points


def palm_scale(points: Floats) -> Floats:
    """s: distance from the wrist to the middle finger's MCP joint, (N,) image widths, of P (N, 21, 3)."""
    wrist, middle = SCHEMA.scale_joints
    return _length(points[:, middle] - points[:, wrist])


def position(points: Floats, scale: Floats) -> Floats:
    """p, joint-major x, y, z: (N, 63) palms, of P (N, 21, 3) and s (N,). The wrist's three are exactly 0."""
    centred = points - points[:, SCHEMA.wrist_joint, None, :]
    centred *= (1.0 / scale)[:, None, None]
    return centred.reshape(len(points), _POSITION_DIMS)


def fingertip_spread(points: Floats, scale: Floats) -> Floats:
    """Distances between neighbouring fingertips, around: (N, 5) palms, of P (N, 21, 3) and s (N,)."""
    planes = points.T
    ends, starts = (planes[_AXES, _PAIRS[:, end]] for end in range(2))
    spread = _length((ends - starts).T)
    spread /= scale[:, None]
    return spread


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
    planes = points.T
    u, vertex, v = (planes[_AXES, _TRIPLES[:, corner]] for corner in range(3))
    u -= vertex
    v -= vertex
    across = _length(_cross(u, v).T).T
    u *= v
    angles: Floats = np.arctan2(across, u[0] + u[1] + u[2])
    return angles.T


def wrist_vel_raw(current: Floats, previous: Floats, elapsed: Floats) -> Floats:
    """Change of the wrist's L since the previous valid frame: (N, 3) image widths and heights a second.

    Args:
        current, previous: (N, 3) raw image coordinates, neither aspect-corrected nor divided by s.
        elapsed: (N,) seconds between the two; 0 or less gives velocity 0.
    """
    return _rate(current, previous, elapsed)


def _rate(current: Floats, previous: Floats, elapsed: Floats) -> Floats:
    moving = elapsed > 0
    change = current - previous
    change *= np.divide(1.0, elapsed, out=np.zeros(elapsed.shape), where=moving)[:, None]
    # A number times 0 may be -0.
    change[~moving] = 0.0
    return change


def _cross(u: Floats, v: Floats) -> Floats:
    """Cross products of vectors (3, ...), axis first."""
    cross = np.empty_like(u)
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(u[y], v[z], out=cross[x])
        cross[x] -= u[z] * v[y]
    return cross


def _length(vectors: Floats) -> Floats:
    squares = vectors * vectors
    total = squares[..., 0] + squares[..., 1]
    total += squares[..., 2]
    lengths: Floats = np.sqrt(total, out=total)
    return lengths
