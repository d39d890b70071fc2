"""Static hand shapes of a right hand, named as HaGRID and LeapGestRecog name them.

Each is one row of `gestures.POSE` numbers. HaGRID's "inverted" classes show the back of the same hand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.gestures import FIST, ONE, OPEN, RELAXED, TURN, shape

Array = NDArray[np.float64]

_UP = (0.02, 0.04, 0.04)
_DOWN = (0.86, 1.03, 0.88)
_THUMB_OUT = (0.0, 0.03, 0.03)
_THUMB_OVER = (0.62, 0.62, 0.6)
_THUMB_ACROSS = (0.95, 0.7, 0.55)
_TOGETHER = (22.0, 0.0, 0.0, 0.0, 0.0)
_FANNED = (42.0, 12.0, 2.0, -9.0, -21.0)
_APART = (26.0, 18.0, -12.0, -6.0, -8.0)


def _turned(pose: Array, roll: float, pitch: float = 6.0, yaw: float = 4.0) -> Array:
    """The same hand shape with the wrist turned to these degrees."""
    turned = pose.copy()
    turned[TURN] = np.deg2rad([roll, pitch, yaw])
    return turned


def _fingers(thumb: Sequence[float], up: Sequence[int], spread: Sequence[float], opposition: float) -> Array:
    """A hand with the given thumb and the fingers numbered in `up` (1 index to 4 little) straight."""
    return shape([thumb, *(_UP if finger in up else _DOWN for finger in range(1, 5))], spread, opposition)


def backwards(pose: Array) -> Array:
    """The same hand shape seen from its back."""
    return _turned(pose, -4.0, 4.0, 172.0)


_L = _fingers(_THUMB_OUT, (1,), (72.0, 4.0, 0.0, -4.0, -8.0), 0.0)
_PEACE = _fingers(_THUMB_OVER, (1, 2), _APART, 0.85)
_STOP = _fingers((0.1, 0.1, 0.1), (1, 2, 3, 4), _TOGETHER, 0.1)
_TWO_UP = _fingers(_THUMB_OVER, (1, 2), (25.0, -1.0, 1.5, -4.0, -8.0), 0.85)
_THUMB = _fingers(_THUMB_OUT, (), (62.0, 3.0, 0.0, -4.0, -8.0), 0.0)
_OK = shape([(0.34, 0.42, 0.36), (0.6, 0.42, 0.36), _UP, _UP, _UP], (36.0, 6.0, 1.0, -10.0, -22.0), 0.72)
_CLAW = shape([(0.1, 0.45, 0.5), *[(0.3, 0.52, 0.5)] * 4], (48.0, 13.0, 2.0, -10.0, -23.0), 0.45)
_ARCH = shape([(0.0, 0.25, 0.3), *[(0.34, 0.34, 0.3)] * 4], (38.0, 1.0, 0.0, -1.0, -3.0), 1.0)
_GRIP = shape([(0.25, 0.3, 0.35), *[(0.66, 0.36, 0.3)] * 4], (34.0, 1.0, 0.0, -1.0, -2.0), 1.0)
_POINTING = _turned(ONE, 6.0, 44.0, -24.0)

POSES: dict[str, Array] = {
    "call": _turned(_fingers(_THUMB_OUT, (4,), (66.0, 3.0, 0.0, -6.0, -28.0), 0.0), -14.0),
    "dislike": _turned(_THUMB, 96.0, 8.0, 0.0),
    "fist": FIST,
    "four": _fingers(_THUMB_ACROSS, (1, 2, 3, 4), _FANNED, 0.95),
    "grabbing": _turned(_CLAW, 4.0, 24.0, 4.0),
    "grip": _turned(_GRIP, -6.0, 4.0, 58.0),
    "like": _turned(_THUMB, -66.0, 8.0, 0.0),
    "little_finger": _fingers(_THUMB_OVER, (4,), (25.0, 3.0, 0.0, -4.0, -16.0), 0.85),
    "middle_finger": _fingers(_THUMB_OVER, (2,), (25.0, 3.0, 0.0, -4.0, -8.0), 0.85),
    "mute": _turned(ONE, 2.0, 2.0, -6.0),
    "no_gesture": RELAXED,
    "ok": _turned(_OK, 4.0, 4.0, 12.0),
    "one": _fingers(_THUMB_OVER, (1,), (25.0, 3.0, 0.0, -4.0, -8.0), 0.85),
    "palm": OPEN,
    "peace": _PEACE,
    "peace_inverted": backwards(_PEACE),
    "point": _POINTING,
    "rock": _fingers(_THUMB_ACROSS, (1, 4), (25.0, 8.0, 0.0, -4.0, -20.0), 0.95),
    "stop": _STOP,
    "stop_inverted": backwards(_STOP),
    "three": _fingers(_THUMB_ACROSS, (1, 2, 3), (25.0, 14.0, 0.0, -14.0, -8.0), 0.95),
    "three2": _fingers(_THUMB_OUT, (1, 2), (66.0, 12.0, -8.0, -5.0, -8.0), 0.0),
    "three3": _fingers(_THUMB_OVER, (2, 3, 4), (25.0, 3.0, 6.0, -8.0, -22.0), 0.7),
    "three_gun": _turned(_fingers(_THUMB_OUT, (1, 2), (80.0, 0.0, 1.5, -5.0, -8.0), 0.0), -72.0, 8.0, 0.0),
    "thumb_index": _L,
    "thumb_index2": _turned(_L, 10.0),
    "two_up": _TWO_UP,
    "two_up_inverted": backwards(_TWO_UP),
    "xsign": _turned(_STOP, 38.0, 6.0, -8.0),
}

TWO_HANDED = ("thumb_index2", "xsign")

LEAP_POSES: dict[str, Array] = {
    "01_palm": OPEN,
    "02_l": _L,
    "03_fist": FIST,
    "04_fist_moved": _turned(FIST, 24.0, 10.0, -14.0),
    "05_thumb": _turned(_THUMB, -40.0, 8.0, 0.0),
    "06_index": ONE,
    "07_ok": _OK,
    "08_palm_moved": _turned(OPEN, -22.0, 12.0, 18.0),
    "09_c": _turned(_ARCH, -4.0, 4.0, 40.0),
    "10_down": _turned(_STOP, 2.0, 52.0, 4.0),
}
