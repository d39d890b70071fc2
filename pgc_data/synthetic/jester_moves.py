"""Jester's 27 labels as movements of one right hand, from phase 0 (start of a clip) to 1 (its end).

Left, right, clockwise and counterclockwise are the subject's own, as measured in IPN Hand: "Left" goes to the image's
right. Whether Jester's frames are mirrored is unverified, so this is an assumption, and the same one for all of them.
A left-hander's movement is a right-hander's in the mirror.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.gestures import (
    AWAY,
    CURL,
    FIST,
    ONE,
    OPEN,
    PITCH,
    RELAXED,
    ROLL,
    SIZE,
    TURN,
    TWO,
    YAW,
    Manner,
    X,
    Y,
    ease,
    mix,
    shape,
)
from pgc_data.synthetic.poses import POSES

Array = NDArray[np.float64]
Move = Callable[[Array, Manner], Array]

NO_GESTURE = "No gesture"
OTHER = "Doing other things"

_RAISED, _LOWERED = 0.16, 0.84
_MIRROR = {"Left": "Right", "Right": "Left", "Clockwise": "Counterclockwise", "Counterclockwise": "Clockwise"}
_GATHERED = shape([(0.3, 0.4, 0.35)] + [(0.5, 0.5, 0.42)] * 4, (34.0, 4.0, 0.0, -4.0, -8.0), 0.75)
_FOLDED = [(0.82, 1.02, 0.85)] * 3
_NARROW = (4.0, 0.0, -4.0, -8.0)
_PINCH = shape([(0.3, 0.38, 0.36), (0.56, 0.46, 0.4), *_FOLDED], (36.0, *_NARROW), 0.7)
_WIDE = shape([(0.0, 0.05, 0.05), (0.03, 0.05, 0.05), *_FOLDED], (70.0, *_NARROW), 0.1)


def jester_movement(label: str, frames: int, manner: Manner) -> Array:
    """The movement of one clip: the hand comes up from below, does what the label says, and goes down again.

    Args:
        label: one of `JESTER_LABELS`.
        frames: length of the clip.
        manner: how it is performed.

    Returns:
        (frames, 27) poses of a right hand.
    """
    phase = (np.arange(frames) + 0.5) / frames
    within = np.clip((phase - _RAISED) / (_LOWERED - _RAISED), 0.0, 1.0)
    poses = _MOVES[label](within, manner)
    poses[:, Y] += AWAY * (1.0 - ease(phase, 0.02, _RAISED) + ease(phase, _LOWERED, 0.98))
    return poses


def mirrored_label(label: str) -> str:
    """The label of a right hand's movement that a left hand makes, in the mirror, when it does `label`."""
    return " ".join(_MIRROR.get(word, word) for word in label.split(" "))


def _held(pose: Array, phase: Array) -> Array:
    return np.repeat(pose[None], len(phase), axis=0)


def _sweep(pose: Array, x: float, y: float, turn: tuple[float, float, float]) -> Move:
    """The whole hand goes from one side to the other (x right, y down), its wrist turning by `turn` degrees."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = _held(pose, phase)
        place = 2.0 * ease(phase, 0.15, 0.85) - 1.0
        poses[:, X] += manner.reach * x * place
        poses[:, Y] += manner.reach * y * place
        poses[:, TURN] += np.deg2rad(turn) * place[:, None]
        return poses

    return move


def _approach(pose: Array, towards: float) -> Move:
    """The hand comes nearer to the camera and so larger (`towards` 1), or goes away from it (-1)."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = _held(pose, phase)
        place = towards * manner.reach * (2.0 * ease(phase, 0.15, 0.85) - 1.0)
        poses[:, SIZE] += 0.24 * place
        poses[:, PITCH] += 0.1 * place
        poses[:, Y] += 0.15
        return poses

    return move


def _roll_over(forward: float) -> Move:
    """The hand circles, away from the body at the top (`forward` 1) or at the bottom (-1)."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = _held(RELAXED, phase)
        angle = 4.0 * np.pi * phase
        poses[:, Y] -= 0.45 * manner.reach * np.cos(angle)
        poses[:, SIZE] += 0.2 * forward * np.sin(angle)
        poses[:, PITCH] += 0.35 * forward * np.sin(angle - 0.6)
        return poses

    return move


def _turn_round(clockwise: float) -> Move:
    """The spread hand turns at the wrist, seen in the image clockwise (1) or against the clock (-1)."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = mix(OPEN, RELAXED, np.full(len(phase), 0.4))
        place = 2.0 * ease(phase, 0.12, 0.88) - 1.0
        poses[:, ROLL] += np.deg2rad(52.0) * manner.vigour * clockwise * place
        return poses

    return move


def _change(first: Array, last: Array) -> Move:
    """One hand shape becomes another."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = mix(first, last, ease(phase, 0.2, 0.75))
        poses[:, ROLL] += 0.06 * np.sin(3.0 * phase + manner.waver[0])
        return poses

    return move


def _show(pose: Array, nearer: float) -> Move:
    """A hand shape is made, pushed a little towards the camera, and held."""

    def move(phase: Array, manner: Manner) -> Array:
        poses = mix(FIST if nearer == 0.0 else RELAXED, pose, ease(phase, 0.0, 0.2))
        poses[:, SIZE] += nearer * ease(phase, 0.1, 0.4)
        poses[:, Y] += 0.05 * np.sin(5.0 * phase + manner.waver[0])
        return poses

    return move


def _shake(phase: Array, manner: Manner) -> Array:
    """The flat hand shakes from side to side, as if it said no."""
    poses = _held(POSES["stop"], phase)
    swing = np.sin(2.0 * np.pi * 3.0 * phase)
    poses[:, X] += 0.3 * manner.reach * swing
    poses[:, ROLL] += 0.24 * manner.vigour * swing
    return poses


def _drum(phase: Array, manner: Manner) -> Array:
    """The fingers beat on a table that is not there, one after the other."""
    poses = _held(RELAXED, phase)
    poses[:, PITCH] += 0.5
    curl = poses[:, CURL].reshape(-1, 5, 3)
    for finger in range(1, 5):
        beat = np.sin(2.0 * np.pi * (4.0 * phase + 0.2 * finger))
        curl[:, finger] += 0.3 * manner.vigour * np.maximum(beat, 0.0)[:, None] * np.array([1.0, 0.8, 0.4])
    poses[:, CURL] = curl.reshape(-1, 15)
    return poses


def _other(phase: Array, manner: Manner) -> Array:
    """Not a gesture of the list: an index finger draws a circle, a hand goes to the head, or it just wanders."""
    if manner.kind < 0.35:
        poses = _held(ONE, phase)
        poses[:, X] += 0.6 * manner.reach * np.sin(2.0 * np.pi * phase + manner.waver[0])
        poses[:, Y] += 0.5 * manner.reach * np.cos(2.0 * np.pi * phase + manner.waver[0])
    elif manner.kind < 0.65:
        poses = _held(RELAXED, phase)
        poses[:, Y] -= 0.7 * ease(phase, 0.0, 0.4)
        poses[:, X] += 0.5 * ease(phase, 0.0, 0.4) + 0.12 * np.sin(14.0 * phase)
    else:
        poses = mix(RELAXED, OPEN, 0.5 + 0.5 * np.sin(5.0 * phase + manner.waver[1]))
        poses[:, X] += 0.5 * manner.reach * np.sin(4.5 * phase + manner.waver[2])
        poses[:, YAW] += 0.3 * np.sin(4.0 * phase + manner.waver[3])
    return poses


def _away(phase: Array, manner: Manner) -> Array:
    """The person does nothing: the hand stays below the picture."""
    poses = _held(RELAXED, phase)
    poses[:, Y] += 2.0 * AWAY
    return poses


_SIDEWAYS = (26.0, 0.0, 16.0)
_MOVES: dict[str, Move] = {
    "Swiping Left": _sweep(POSES["stop"], 1.35, 0.0, _SIDEWAYS),
    "Swiping Right": _sweep(POSES["stop"], -1.35, 0.0, (-26.0, 0.0, -16.0)),
    "Swiping Down": _sweep(POSES["stop"], 0.0, 0.6, (0.0, 16.0, 0.0)),
    "Swiping Up": _sweep(POSES["stop"], 0.0, -0.6, (0.0, -16.0, 0.0)),
    "Pushing Hand Away": _approach(OPEN, 1.0),
    "Pulling Hand In": _approach(POSES["stop_inverted"], -1.0),
    "Sliding Two Fingers Left": _sweep(TWO, 1.0, 0.0, (14.0, 0.0, 8.0)),
    "Sliding Two Fingers Right": _sweep(TWO, -1.0, 0.0, (-14.0, 0.0, -8.0)),
    "Sliding Two Fingers Down": _sweep(TWO, 0.0, 0.5, (0.0, 10.0, 0.0)),
    "Sliding Two Fingers Up": _sweep(TWO, 0.0, -0.5, (0.0, -10.0, 0.0)),
    "Pushing Two Fingers Away": _approach(TWO, 1.0),
    "Pulling Two Fingers In": _approach(POSES["two_up_inverted"], -1.0),
    "Rolling Hand Forward": _roll_over(1.0),
    "Rolling Hand Backward": _roll_over(-1.0),
    "Turning Hand Clockwise": _turn_round(-1.0),
    "Turning Hand Counterclockwise": _turn_round(1.0),
    "Zooming In With Full Hand": _change(_GATHERED, OPEN),
    "Zooming Out With Full Hand": _change(OPEN, _GATHERED),
    "Zooming In With Two Fingers": _change(_PINCH, _WIDE),
    "Zooming Out With Two Fingers": _change(_WIDE, _PINCH),
    "Thumb Up": _show(POSES["like"], 0.0),
    "Thumb Down": _show(POSES["dislike"], 0.0),
    "Shaking Hand": _shake,
    "Stop Sign": _show(POSES["stop"], 0.2),
    "Drumming Fingers": _drum,
    NO_GESTURE: _away,
    OTHER: _other,
}
JESTER_LABELS = tuple(_MOVES)
