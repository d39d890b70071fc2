"""A hand as it is performed in front of a camera: poses become joints at their place in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.flesh import HandView
from pgc_data.synthetic.gestures import PITCH, POSE, ROLL, SIZE, YAW, X, Y, angles_of
from pgc_data.synthetic.skeleton import PALM, TIPS, Skeleton, pose_skeleton
from pgc_data.synthetic.subjects import Subject

Array = NDArray[np.float64]

_EDGE = 0.12
_SEEN_TIPS = 4


@dataclass(frozen=True)
class Performance:
    """One hand in n frames.

    Attributes:
        skeleton: the turned hand in palm lengths, wrist at the origin.
        joints: (n, 21, 3) x and y in pixels of the picture, z in pixels relative to the wrist, smaller nearer.
        palm: (n,) palm length in pixels.
        visible: (n,) whether palm and most fingertips are inside the picture.
    """

    skeleton: Skeleton
    joints: Array
    palm: Array
    visible: NDArray[np.bool_]

    def view(self, number: int, height: int, *, other: bool = False) -> HandView | None:
        """The hand in frame `number` (from 0); None where it is far below a picture of that height.

        Args:
            number: frame.
            height: of the picture in pixels.
            other: whether this is the person's other hand, see `HandView`.
        """
        palm = float(self.palm[number])
        if self.joints[number, :, 1].min() > height + palm:
            return None
        facing, frame = self.skeleton.facing[number], self.skeleton.frame[number]
        return HandView(self.joints[number], facing, frame, palm, other)


def perform(subject: Subject, poses: Array, size: tuple[int, int]) -> Performance:
    """Lets the subject's gesturing hand go through (n, 27) poses in a picture of `size` (width, height) pixels."""
    skeleton = pose_skeleton(subject.proportions, angles_of(poses), left=subject.left)
    palm = poses[:, SIZE] * subject.palm_height * size[1]
    joints = _place(skeleton, poses, palm, subject, size)
    return Performance(skeleton, joints, palm, _visible(joints, size))


def tremor(frames: int, rng: np.random.Generator) -> Array:
    """The slow unrest of a hand held up: small sines on the wrist's turn, the place and the size; (frames, 27)."""
    time = np.arange(frames)[:, None]
    unrest = np.zeros((frames, POSE))
    for column, amplitude in ((ROLL, 0.05), (PITCH, 0.05), (YAW, 0.06), (X, 0.06), (Y, 0.06), (SIZE, 0.03)):
        periods, phases = rng.uniform(25.0, 90.0, 2), rng.uniform(0.0, 2.0 * np.pi, 2)
        unrest[:, column] = amplitude * np.sin(2.0 * np.pi * time / periods + phases).mean(axis=1)
    return unrest


def smooth(poses: Array) -> Array:
    """Rounds off corners in time with a five-frame bell."""
    kernel = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    padded = np.pad(poses, ((2, 2), (0, 0)), mode="edge")
    smoothed: Array = np.sum([weight * padded[i : i + len(poses)] for i, weight in enumerate(kernel)], axis=0)
    return smoothed


def _place(skeleton: Skeleton, poses: Array, palm: Array, subject: Subject, size: tuple[int, int]) -> Array:
    """Joints in pixels: the palm's middle goes to its place, and is pushed back where fingers would leave the sides."""
    width, height = size
    joints = skeleton.joints * palm[:, None, None]
    middle = joints[:, PALM, :2].mean(axis=1)
    across = -1.0 if subject.left else 1.0
    place = np.stack(
        [
            subject.home[0] * width + across * poses[:, X] * palm,
            subject.home[1] * height + poses[:, Y] * palm,
        ],
        axis=-1,
    )
    joints[:, :, :2] += (place - middle)[:, None]
    edge = _EDGE * palm
    low, high = joints[:, :, :2].min(axis=1), joints[:, :, :2].max(axis=1)
    joints[:, :, 0] += _push_back(low[:, 0] - edge, high[:, 0] + edge, width)[:, None]
    joints[:, :, 1] += np.maximum(edge - low[:, 1], 0.0)[:, None]
    return joints


def _push_back(low: Array, high: Array, extent: int) -> Array:
    """How far spans (low, high) must move to lie between 0 and `extent`."""
    return np.maximum(-low, 0.0) - np.maximum(high - extent, 0.0)


def _visible(joints: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether all palm joints and at least four fingertips lie inside the picture; (n,)."""
    within = (joints[:, :, :2] >= 0) & (joints[:, :, :2] < np.array(size))
    inside: NDArray[np.bool_] = np.all(within, axis=2)
    seen: NDArray[np.bool_] = inside[:, PALM].all(axis=1) & (inside[:, TIPS].sum(axis=1) >= _SEEN_TIPS)
    return seen
