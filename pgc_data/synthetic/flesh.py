"""A posed hand's flesh: the capsules along its bones, palm, forearm and sleeve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.raster import Capsule
from pgc_data.synthetic.subjects import Subject

Array = NDArray[np.float64]

SKIN, SLEEVE = 0, 1

# Flesh around each finger's joints from the root to the tip, in palm lengths.
_RADII = np.array(
    [
        [0.150, 0.130, 0.120, 0.092],
        [0.128, 0.112, 0.101, 0.080],
        [0.130, 0.114, 0.103, 0.082],
        [0.125, 0.109, 0.098, 0.078],
        [0.110, 0.096, 0.087, 0.070],
    ]
)
_FOREARM = 4.5
_WRIST = 0.6


@dataclass(frozen=True)
class HandView:
    """A hand as it lies in one picture.

    Attributes:
        joints: (21, 3) x, y in pixels and z in pixels relative to the wrist, smaller nearer.
        facing: (5, 3, 3) for each finger's bones the unit vector to the palmar side; x, y, z as above.
        frame: (3, 3) the palm's axes, as `skeleton.Skeleton` has them.
        palm: palm length in pixels.
        other: whether this is the hand that the subject does not usually gesture with.
    """

    joints: Array
    facing: Array
    frame: Array
    palm: float
    other: bool = False


@dataclass(frozen=True)
class Flesh:
    """Capsules to draw: `palm` as one blended body, `rest` one by one on top; x, y in pixels, then nearness."""

    palm: tuple[Capsule, ...]
    rest: tuple[Capsule, ...]

    def placed(self, left: float, top: float, times: int) -> Flesh:
        """The same in the pixels of a patch whose corner is at (left, top), `times` as fine."""

        def move(c: Capsule) -> Capsule:
            start, end = (
                ((e[0] - left + 0.5) * times - 0.5, (e[1] - top + 0.5) * times - 0.5, e[2] * times)
                for e in (c.start, c.end)
            )
            radii = (c.radii[0] * times, c.radii[1] * times)
            return Capsule(start, end, radii, c.facing, c.material, c.crease, c.nail)

        return Flesh(tuple(map(move, self.palm)), tuple(map(move, self.rest)))


def flesh_of(view: HandView, subject: Subject) -> Flesh:
    """All capsules of hand, forearm and sleeve, in picture pixels, nearness instead of depth."""
    near = view.joints * np.array([1.0, 1.0, -1.0])
    radii = _RADII * view.palm * subject.girth
    elbow = _elbow(view, subject)
    palm = _palm_capsules(near, radii, view, elbow)
    bare = min(subject.sleeve_start + 0.1, _FOREARM)
    forearm = _forearm(near[0], elbow, view, subject.girth, 0.5 * _WRIST, max(bare, _WRIST))
    sleeve = _sleeve(near[0], elbow, view, subject)
    return Flesh(tuple(palm), (*_finger_capsules(near, radii, view), forearm, *sleeve))


def _capsule(start: Array, end: Array, radii: tuple[float, float], facing: Array, **more: float) -> Capsule:
    toward = (float(facing[0]), float(facing[1]), -float(facing[2]))
    first, last = ((float(p[0]), float(p[1]), float(p[2])) for p in (start, end))
    thick = (float(radii[0]), float(radii[1]))
    return Capsule(first, last, thick, toward, crease=more.get("crease", 0.0), nail=bool(more.get("nail", 0)))


def _palm_capsules(near: Array, radii: Array, view: HandView, elbow: Array) -> list[Capsule]:
    """The palm's body, thumb and little finger balls, finger webs and the bare forearm."""
    unit, facing = view.palm, -view.frame[:, 2]
    axes = (view.frame * np.array([[1.0], [1.0], [-1.0]])) * unit

    def at(x: float, y: float, z: float) -> Array:
        place: Array = near[0] + axes @ np.array([x, y, z])
        return place

    girth = radii[0, 0] / (_RADII[0, 0] * unit)
    thick = 0.15 * unit * girth
    out = [_forearm(near[0], elbow, view, girth, 0.0, _WRIST)]
    out += [
        _capsule(at(s * 0.11, 0.02, 0), near[k], (thick, radii[f, 0] * 1.12), facing)
        for f, k, s in ((1, 5, 1.0), (2, 9, 0.4), (3, 13, -0.4), (4, 17, -1.0))
    ]
    out += [
        _capsule(near[a], near[b], (radii[0, 0] * 0.85,) * 2, facing) for a, b in ((5, 9), (9, 13), (13, 17))
    ]
    out += [
        _capsule(near[k], near[k] + 0.3 * (near[k + 1] - near[k]), (radii[f, 0] * 1.08,) * 2, facing)
        for f, k in ((1, 5), (2, 9), (3, 13), (4, 17))
    ]
    out.append(_capsule(at(0.12, -0.12, -0.02), near[1], (thick * 1.1, radii[0, 0] * 1.1), facing))
    out.append(_capsule(near[1], near[2], (radii[0, 0] * 1.15, radii[0, 1]), facing))
    out.append(_capsule(near[1] * 0.5 + near[2] * 0.5, at(0.2, -0.6, 0), (radii[0, 1] * 0.9,) * 2, facing))
    out.append(_capsule(at(-0.2, -0.2, -0.03), at(-0.3, -0.55, -0.02), (thick * 1.12, thick), facing))
    return out


def _finger_capsules(near: Array, radii: Array, view: HandView) -> list[Capsule]:
    """Three capsules a finger; the thumb's first bone belongs to the palm."""
    out = []
    for finger, knuckle in enumerate((1, 5, 9, 13, 17)):
        for bone in range(1 if finger == 0 else 0, 3):
            joint = knuckle + bone
            thick = (radii[finger, bone], radii[finger, bone + 1])
            crease, nail = 0.2 if bone else 0.1, bone == 2
            toward = view.facing[finger, bone]
            out.append(_capsule(near[joint], near[joint + 1], thick, toward, crease=crease, nail=nail))
    return out


def _elbow(view: HandView, subject: Subject) -> Array:
    """Where the forearm ends: partly in line with the hand, partly towards the person's side; x, y, nearness."""
    side = 1.0 if subject.left != view.other else -1.0
    straight = view.frame[:, 1] * np.array([1.0, 1.0, -1.0])
    away = 0.6 * straight / np.linalg.norm(straight) + np.array([side * 0.12, 1.0, -0.3])
    wrist = view.joints[0] * np.array([1.0, 1.0, -1.0])
    elbow: Array = wrist + _FOREARM * view.palm * away / np.linalg.norm(away)
    return elbow


def _forearm(wrist: Array, elbow: Array, view: HandView, girth: float, start: float, end: float) -> Capsule:
    """The stretch of forearm between two distances from the wrist, in palm lengths."""
    first, last = (wrist + share / _FOREARM * (elbow - wrist) for share in (start, end))
    near, far = ((0.2 + 0.22 * share / _FOREARM) * view.palm * girth for share in (start, end))
    # The end that lies within the next stretch is thinner, so that its round cap stays inside it.
    return _capsule(first, last, (near, far * (0.85 if end == _WRIST else 1.0)), -view.frame[:, 2])


def _sleeve(wrist: Array, elbow: Array, view: HandView, subject: Subject) -> list[Capsule]:
    share = subject.sleeve_start / _FOREARM
    if share >= 0.9:
        return []
    hem = wrist + share * (elbow - wrist)
    thick = view.palm * subject.girth
    first, last = ((float(p[0]), float(p[1]), float(p[2])) for p in (hem, elbow))
    return [Capsule(first, last, ((0.25 + 0.22 * share) * thick, 0.5 * thick), material=SLEEVE)]
