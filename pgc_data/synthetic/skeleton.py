"""The 21 MediaPipe hand joints in three dimensions, from finger angles and bone lengths.

Axes are the image's: x to the right, y down, z away from the camera, so that a smaller z is nearer, as in MediaPipe's
landmarks. The unit is the palm length (wrist to middle MCP). Unturned, a right hand shows its palm to the camera,
fingers up, thumb on the right; a left hand is its mirror image in x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JOINT_COUNT = 21
TIPS = (4, 8, 12, 16, 20)
PALM = (0, 1, 5, 9, 13, 17)

_ROOTS = np.array(
    [
        [0.25, -0.20, -0.07],
        [0.27, -0.96, -0.02],
        [0.03, -1.00, 0.00],
        [-0.18, -0.94, -0.01],
        [-0.37, -0.83, -0.05],
    ]
)
_LENGTHS = np.array(
    [
        [0.36, 0.33, 0.27],
        [0.41, 0.26, 0.23],
        [0.45, 0.29, 0.24],
        [0.42, 0.27, 0.24],
        [0.32, 0.20, 0.21],
    ]
)
_FULL_FLEXION = np.deg2rad([[35.0, 55.0, 70.0]] + [[88.0, 100.0, 62.0]] * 4)
_FULL_OPPOSITION = np.deg2rad(48.0)
_THUMB_BENDS_TOWARDS = np.array([-1.0, -0.25, -0.45])
_PALM_SIDE = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Proportions:
    """One person's bones, in palm lengths.

    Attributes:
        roots: (5, 3) position of the thumb's CMC joint and of the four knuckles (MCP), relative to the wrist.
        lengths: (5, 3) length of each finger's three bones, from the root outwards.
    """

    roots: Array
    lengths: Array


@dataclass(frozen=True)
class Angles:
    """Finger and wrist angles of n frames.

    Attributes:
        curl: (n, 5, 3) flexion of each joint from the root outwards: 0 straight, 1 fully bent.
        spread: (n, 5) radians in the palm's plane from straight up, positive towards the thumb.
        opposition: (n,) how far the thumb is lifted in front of the palm: 0 in its plane, 1 fully.
        turn: (n, 3) radians: roll (clockwise in the image), pitch (fingers towards the camera), yaw (thumb away).
    """

    curl: Array
    spread: Array
    opposition: Array
    turn: Array


@dataclass(frozen=True)
class Skeleton:
    """Where the bones are in n frames, wrist at the origin, in palm lengths.

    Attributes:
        joints: (n, 21, 3) in MediaPipe's order.
        facing: (n, 5, 3, 3) for every finger's every bone, the unit vector towards its palmar side.
        frame: (n, 3, 3) columns are the palm's own axes: thumb-wards, towards the wrist, towards its back.
    """

    joints: Array
    facing: Array
    frame: Array


def draw_proportions(rng: np.random.Generator) -> Proportions:
    """Draws one person's bones: the average hand, every length varied by a few per cent."""
    roots = _ROOTS * rng.normal(1.0, 0.03, (5, 1)) * np.array([rng.normal(1.0, 0.05), 1.0, 1.0])
    roots[2] /= np.linalg.norm(roots[2])
    lengths = _LENGTHS * rng.normal(1.0, 0.04) * rng.normal(1.0, 0.025, (5, 3))
    return Proportions(roots, lengths)


def pose_skeleton(proportions: Proportions, angles: Angles, *, left: bool = False) -> Skeleton:
    """Places the 21 joints of n frames.

    Args:
        proportions: bones of the person.
        angles: finger and wrist angles of n frames, as of a right hand.
        left: mirrors the posed hand in x, which makes it a left hand.

    Returns:
        The joints and bone orientations; lengths of bones are those of `proportions`, whatever the angles.
    """
    along, facing = _finger_directions(angles)
    n = len(along)
    bones = along * proportions.lengths[None, :, :, None]
    joints = np.zeros((n, JOINT_COUNT, 3))
    roots = np.broadcast_to(proportions.roots, (n, 5, 3))
    chain = np.concatenate([roots[:, :, None], roots[:, :, None] + np.cumsum(bones, axis=2)], axis=2)
    joints[:, 1:] = chain.reshape(n, 20, 3)
    frame = turn_matrices(angles.turn)
    if left:
        frame = np.diag([-1.0, 1.0, 1.0]) @ frame
    return Skeleton(
        np.einsum("nij,nkj->nki", frame, joints), np.einsum("nij,nfbj->nfbi", frame, facing), frame
    )


def turn_matrices(turn: Array) -> Array:
    """Rotation matrices of (n, 3) roll, pitch and yaw in radians: yaw first, then pitch, then roll; (n, 3, 3)."""
    roll, pitch, yaw = (turn[:, i] for i in range(3))
    zero, one = np.zeros_like(roll), np.ones_like(roll)
    about_z = _stack(
        [np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one]
    )
    about_x = _stack(
        [one, zero, zero], [zero, np.cos(pitch), -np.sin(pitch)], [zero, np.sin(pitch), np.cos(pitch)]
    )
    about_y = _stack([np.cos(yaw), zero, -np.sin(yaw)], [zero, one, zero], [np.sin(yaw), zero, np.cos(yaw)])
    return about_z @ about_x @ about_y


def _stack(*rows: list[Array]) -> Array:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _finger_directions(angles: Angles) -> tuple[Array, Array]:
    """Unit vectors along every bone and towards its palmar side, before the wrist turns: two of (n, 5, 3, 3)."""
    flexion = angles.curl * _FULL_FLEXION
    straight, inwards = _unbent(angles, flexion)
    bend = np.cumsum(flexion, axis=2)
    bend[:, 0] -= flexion[:, 0, :1]
    cos, sin = np.cos(bend)[..., None], np.sin(bend)[..., None]
    straight, inwards = straight[:, :, None], inwards[:, :, None]
    return cos * straight + sin * inwards, cos * inwards - sin * straight


def _unbent(angles: Angles, flexion: Array) -> tuple[Array, Array]:
    """Where each finger would point unbent, and the direction it bends to: two of (n, 5, 3)."""
    aside = angles.spread.copy()
    aside[:, 0] -= flexion[:, 0, 0]
    aside[:, 1:] *= 1.0 - 0.5 * np.clip(angles.curl[:, 1:, 0], 0.0, 1.0)
    lift = np.zeros_like(aside)
    lift[:, 0] = angles.opposition * _FULL_OPPOSITION
    straight = np.stack([np.sin(aside) * np.cos(lift), -np.cos(aside) * np.cos(lift), -np.sin(lift)], axis=-1)
    inwards = np.broadcast_to(_PALM_SIDE, straight.shape).copy()
    thumb = straight[:, 0]
    across = _THUMB_BENDS_TOWARDS - (thumb @ _THUMB_BENDS_TOWARDS)[:, None] * thumb
    inwards[:, 0] = across / np.linalg.norm(across, axis=-1, keepdims=True)
    return straight, inwards
