"""The score of one video: which gestures in which order, for how long, and the hand's place in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.gestures import (
    LABELS,
    PITCH,
    POSE,
    ROLL,
    SIZE,
    YAW,
    X,
    Y,
    angles_of,
    arriving,
    draw_manner,
    ease,
    leaving,
    mirrored,
    mix,
    movement,
)
from pgc_data.synthetic.skeleton import PALM, TIPS, Skeleton, pose_skeleton
from pgc_data.synthetic.subjects import Subject

Array = NDArray[np.float64]

_LENGTHS = {"D0X": (20, 30), "B0A": (40, 60), "B0B": (40, 60)}
_GESTURE_LENGTH = (26, 38)
_SHORTEST, _LONGEST = 16, 60
_REST_BETWEEN = 0.15
_HANDOVER = 8
_EDGE = 0.12
_SEEN_TIPS = 4


@dataclass(frozen=True)
class Segment:
    """One labelled stretch of a video; `start` and `end` count from 1, both included."""

    label: str
    start: int
    end: int

    @property
    def frames(self) -> int:
        """Its length."""
        return self.end - self.start + 1


@dataclass(frozen=True)
class Score:
    """Everything that happens in one video of n frames.

    Attributes:
        segments: gapless, from frame 1 to n.
        skeleton: the turned hand in palm lengths, wrist at the origin.
        joints: (n, 21, 3) x and y in pixels of the picture, z in pixels relative to the wrist, smaller nearer.
        palm: (n,) palm length in pixels.
        visible: (n,) whether palm and most fingertips are inside the picture.
    """

    segments: tuple[Segment, ...]
    skeleton: Skeleton
    joints: Array
    palm: Array
    visible: NDArray[np.bool_]


def compose(subject: Subject, repeats: int, size: tuple[int, int], rng: np.random.Generator) -> Score:
    """Draws a video's order of gestures and moves the subject's hand through it.

    Args:
        subject: who performs.
        repeats: how often each of the 14 labels occurs at least.
        size: width and height of the picture in pixels.
        rng: of this video alone.
    """
    segments = _draw_segments(subject, repeats, rng)
    poses = _track(subject, segments, rng)
    skeleton = pose_skeleton(subject.proportions, angles_of(poses), left=subject.left)
    palm = poses[:, SIZE] * subject.palm_height * size[1]
    joints = _place(skeleton, poses, palm, subject, size)
    return Score(segments, skeleton, joints, palm, _visible(joints, size))


def _draw_segments(subject: Subject, repeats: int, rng: np.random.Generator) -> tuple[Segment, ...]:
    """Every video starts and ends with D0X; the rest is shuffled, with more of it now and then between."""
    order = [str(label) for label in rng.permutation([*LABELS[1:]] * repeats)]
    gaps = len(order) - 1
    rests = max(repeats - 2, int(rng.binomial(gaps, _REST_BETWEEN)))
    rested = set(rng.choice(gaps, rests, replace=False).tolist())
    labels = ["D0X"]
    for gap, label in enumerate(order):
        labels += [label, "D0X"] if gap in rested else [label]
    labels.append("D0X")
    segments, start = [], 1
    for label in labels:
        low, high = _LENGTHS.get(label, _GESTURE_LENGTH)
        frames = int(np.clip(round(subject.tempo * rng.integers(low, high + 1)), _SHORTEST, _LONGEST))
        segments.append(Segment(label, start, start + frames - 1))
        start += frames
    return tuple(segments)


def _track(subject: Subject, segments: tuple[Segment, ...], rng: np.random.Generator) -> Array:
    """The poses (n, 27) of a whole video: each movement grows out of where the last one ended."""
    parts: list[Array] = []
    for number, segment in enumerate(segments):
        manner = draw_manner(rng, subject.reach)
        label = mirrored(segment.label) if subject.left else segment.label
        if number == 0:
            part = arriving(segment.frames, manner)
        elif number == len(segments) - 1:
            part = leaving(segment.frames, manner)
        else:
            part = movement(label, segment.frames, manner)
        if parts:
            share = ease(np.arange(1.0, segment.frames + 1.0), 0.0, _HANDOVER + 1.0)
            part = mix(parts[-1][-1], part, share)
        parts.append(part)
    return _smooth(np.concatenate(parts) + _tremor(sum(map(len, parts)), rng))


def _tremor(frames: int, rng: np.random.Generator) -> Array:
    """The slow unrest of a hand held up: small sines on the wrist's turn, the place and the size; (frames, 27)."""
    time = np.arange(frames)[:, None]
    unrest = np.zeros((frames, POSE))
    for column, amplitude in ((ROLL, 0.05), (PITCH, 0.05), (YAW, 0.06), (X, 0.06), (Y, 0.06), (SIZE, 0.03)):
        periods, phases = rng.uniform(25.0, 90.0, 2), rng.uniform(0.0, 2.0 * np.pi, 2)
        unrest[:, column] = amplitude * np.sin(2.0 * np.pi * time / periods + phases).mean(axis=1)
    return unrest


def _smooth(poses: Array) -> Array:
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
