"""IPN Hand's 14 gestures as movements: what a right hand does at each moment, from 0 (start) to 1 (end).

A moment is one row of numbers (`POSE`): finger curls, spreads, the thumb's opposition, the wrist's turn, the palm's
place relative to where the person usually holds it (palm lengths, right and down in the image), and its size relative
to the person's average. A left-hander's movement is a right-hander's in the mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.skeleton import Angles

Array = NDArray[np.float64]

LABELS = ("D0X", "B0A", "B0B", "G01", "G02", "G03", "G04", "G05", "G06", "G07", "G08", "G09", "G10", "G11")

POSE = 27
CURL, SPREAD, OPPOSITION = slice(0, 15), slice(15, 20), 20
TURN, ROLL, PITCH, YAW = slice(21, 24), 21, 22, 23
X, Y = 24, 25
SIZE = 26
AWAY = 5.0

_FOLDED = (0.82, 1.02, 0.85)
_STRAIGHT = (0.03, 0.05, 0.05)
_THUMB_OVER = (0.55, 0.6, 0.6)


def shape(curls: Sequence[Sequence[float]], spread: Sequence[float], opposition: float) -> Array:
    """A pose at the usual place, turned as people hold their hands towards a camera."""
    pose = np.zeros(POSE)
    pose[CURL] = np.ravel(curls)
    pose[SPREAD] = np.deg2rad(spread)
    pose[OPPOSITION] = opposition
    pose[TURN] = np.deg2rad([4.0, 6.0, 4.0])
    pose[SIZE] = 1.0
    return pose


_NARROW = (25.0, 3.0, 0.0, -4.0, -8.0)
OPEN = shape([(0.0, 0.1, 0.1)] + [_STRAIGHT] * 4, (42.0, 10.0, 1.0, -9.0, -21.0), 0.1)
FIST = shape([_THUMB_OVER] + [_FOLDED] * 4, _NARROW, 0.8)
ONE = shape([_THUMB_OVER, _STRAIGHT] + [_FOLDED] * 3, _NARROW, 0.8)
TWO = shape([_THUMB_OVER, _STRAIGHT, _STRAIGHT, _FOLDED, _FOLDED], (25.0, 6.0, -3.0, -4.0, -8.0), 0.8)
RELAXED = shape([(0.1, 0.3, 0.3)] + [(0.3, 0.34, 0.3)] * 4, (32.0, 5.0, 0.0, -6.0, -12.0), 0.35)
APART = shape(
    [(0.0, 0.05, 0.05), _STRAIGHT, _STRAIGHT, _FOLDED, _FOLDED], (62.0, 5.0, -1.0, -4.0, -8.0), 0.15
)
PINCHED = shape(
    [(0.3, 0.35, 0.35), (0.5, 0.48, 0.4), (0.52, 0.48, 0.4), _FOLDED, _FOLDED],
    (34.0, 4.0, 0.0, -4.0, -8.0),
    0.75,
)


@dataclass(frozen=True)
class Manner:
    """How one repeat is performed.

    Attributes:
        reach: size of movements relative to the average.
        vigour: depth of clicks and openings relative to the average.
        waver: (4,) phases in radians of the slow wandering.
        kind: 0 to 1, picks among the variants of a non-gesture.
    """

    reach: float
    vigour: float
    waver: Array
    kind: float


def draw_manner(rng: np.random.Generator, reach: float) -> Manner:
    """Draws the small differences of one repeat by a person of the given reach."""
    return Manner(
        reach * float(rng.uniform(0.9, 1.1)),
        float(rng.uniform(0.88, 1.08)),
        rng.uniform(0.0, 2.0 * np.pi, 4),
        float(rng.random()),
    )


def movement(label: str, frames: int, manner: Manner) -> Array:
    """The movement of one segment.

    Args:
        label: one of `LABELS`.
        frames: its length.
        manner: how it is performed.

    Returns:
        (frames, 27) poses of a right hand, laid out as in the module's constants.
    """
    phase = (np.arange(frames) + 0.5) / frames
    return _MOVEMENTS[label](phase, manner)


def angles_of(poses: Array) -> Angles:
    """The finger and wrist angles of (n, 27) poses."""
    curl = poses[:, CURL].reshape(-1, 5, 3)
    return Angles(curl, poses[:, SPREAD], poses[:, OPPOSITION], poses[:, TURN])


def ease(value: Array, start: float, end: float) -> Array:
    """0 before `start`, 1 after `end`, smooth between."""
    share = np.clip((value - start) / (end - start), 0.0, 1.0)
    eased: Array = share * share * (3.0 - 2.0 * share)
    return eased


def mix(first: Array, second: Array, share: Array) -> Array:
    """Poses (n, 27) that go from one pose to another as `share` (n,) goes from 0 to 1."""
    mixed: Array = first + (second - first) * share[:, None]
    return mixed


def mirrored(label: str) -> str:
    """The gesture that a right hand makes when a left hand makes `label`, seen in the mirror."""
    return {"G05": "G06", "G06": "G05"}.get(label, label)


def _bump(phase: Array, start: float, end: float) -> Array:
    """Rises from 0 at `start` to 1 half-way and falls back to 0 at `end`."""
    share = np.clip((phase - start) / (end - start), 0.0, 1.0)
    bump: Array = np.sin(np.pi * share) ** 2
    return bump


def _held(pose: Array, phase: Array) -> Array:
    return np.repeat(pose[None], len(phase), axis=0)


def _point(shape: Array) -> Callable[[Array, Manner], Array]:
    """Pointing: the hand wanders slowly, as if it led a cursor."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = _held(shape, phase)
        first, second, third, fourth = manner.waver
        poses[:, X] += manner.reach * 0.5 * (np.sin(5.2 * phase + first) + 0.3 * np.sin(9.0 * phase + second))
        poses[:, Y] += manner.reach * 0.4 * (np.sin(4.4 * phase + third) + 0.3 * np.sin(8.0 * phase + first))
        poses[:, PITCH] += 0.16 * (1.0 + np.sin(3.6 * phase + fourth))
        poses[:, YAW] += 0.14 * np.sin(4.1 * phase + second)
        poses[:, ROLL] += 0.1 * np.sin(3.3 * phase + third)
        return poses

    return move


def _click(
    shape: Array, fingers: int, windows: Sequence[tuple[float, float]]
) -> Callable[[Array, Manner], Array]:
    """Clicking: the pointing fingers dip forwards and come back, once for each window of phases."""
    dipped = shape.copy()
    for finger in range(1, fingers + 1):
        dipped[3 * finger : 3 * finger + 3] = (0.52, 0.4, 0.25)
    dipped[PITCH] += 0.22
    dipped[Y] += 0.14

    def move(phase: Array, manner: Manner) -> Array:
        depth = np.sum([_bump(phase, *window) for window in windows], axis=0)
        return mix(shape, dipped, manner.vigour * depth)

    return move


def _throw(
    x: float, y: float, before: Sequence[float], after: Sequence[float]
) -> Callable[[Array, Manner], Array]:
    """Throwing: the hand draws back, flicks open and fast to one side (x right, y down), and lingers there."""
    start, stop = RELAXED.copy(), OPEN.copy()
    start[TURN], stop[TURN] = np.deg2rad(before), np.deg2rad(after)

    def move(phase: Array, manner: Manner) -> Array:
        swept = ease(phase, 0.26, 0.56)
        poses = mix(start, stop, swept)
        place = -1.0 + 2.0 * swept - 0.25 * ease(phase, 0.72, 1.0)
        poses[:, X] += manner.reach * x * place
        poses[:, Y] += manner.reach * y * place
        return poses

    return move


def _open_twice(phase: Array, manner: Manner) -> Array:
    opened = np.maximum(ease(phase, 0.12, 0.28) * (1.0 - ease(phase, 0.38, 0.54)), ease(phase, 0.58, 0.74))
    return mix(FIST, OPEN, np.minimum(manner.vigour * opened, 1.0))


def _zoom(first: Array, last: Array) -> Callable[[Array, Manner], Array]:
    """Zooming: thumb and two fingers move apart, or together."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = mix(first, last, ease(phase, 0.22, 0.78))
        poses[:, ROLL] += 0.06 * np.sin(3.0 * phase + manner.waver[0])
        return poses

    return move


def _idle(phase: Array, manner: Manner) -> Array:
    """Not a gesture: the hand sinks and rests, drifts about, or leaves the picture and comes back."""
    poses = _held(RELAXED, phase)
    poses[:, Y] += 0.35 + 0.15 * np.sin(4.0 * phase + manner.waver[0])
    poses[:, X] += 0.3 * manner.reach * np.sin(4.5 * phase + manner.waver[1])
    poses[:, ROLL] += 0.16 * np.sin(3.5 * phase + manner.waver[2])
    if manner.kind < 0.35:
        poses[:, Y] += 0.45 * _bump(phase, 0.0, 1.0)
    elif manner.kind < 0.6:
        poses[:, Y] += AWAY * ease(phase, 0.03, 0.45) * (1.0 - ease(phase, 0.55, 0.97))
    return poses


def arriving(frames: int, manner: Manner) -> Array:
    """The first segment of a video: no hand at first, then it comes up from below; (frames, 27)."""
    phase = (np.arange(frames) + 0.5) / frames
    poses = _idle(phase, Manner(manner.reach, manner.vigour, manner.waver, 1.0))
    poses[:, Y] += AWAY * (1.0 - ease(phase, 0.42, 0.92))
    return poses


def leaving(frames: int, manner: Manner) -> Array:
    """The last segment of a video: the hand goes down and out of the picture; (frames, 27)."""
    phase = (np.arange(frames) + 0.5) / frames
    poses = _idle(phase, Manner(manner.reach, manner.vigour, manner.waver, 1.0))
    poses[:, Y] += AWAY * ease(phase, 0.1, 0.58)
    return poses


_ONCE = ((0.3, 0.75),)
_TWICE = ((0.16, 0.5), (0.52, 0.86))
_MOVEMENTS: dict[str, Callable[[Array, Manner], Array]] = {
    "D0X": _idle,
    "B0A": _point(ONE),
    "B0B": _point(TWO),
    "G01": _click(ONE, 1, _ONCE),
    "G02": _click(TWO, 2, _ONCE),
    "G03": _throw(0.1, -0.85, (4.0, 34.0, 4.0), (6.0, -8.0, 4.0)),
    "G04": _throw(0.0, 0.85, (4.0, -6.0, 4.0), (8.0, 40.0, 6.0)),
    "G05": _throw(1.3, 0.05, (-16.0, 8.0, -18.0), (42.0, 8.0, 16.0)),
    "G06": _throw(-1.2, 0.05, (26.0, 8.0, 18.0), (-30.0, 8.0, -16.0)),
    "G07": _open_twice,
    "G08": _click(ONE, 1, _TWICE),
    "G09": _click(TWO, 2, _TWICE),
    "G10": _zoom(PINCHED, APART),
    "G11": _zoom(APART, PINCHED),
}
