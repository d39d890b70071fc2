"""Which curves show a landmark window: chosen from the joints and units of its blocks, never from their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgc_data.audits.window_blocks import HAND_JOINTS, Floats, Window, WindowBlock

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIPS = tuple(range(4, HAND_JOINTS, 4))

FINGER_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7")
"""Okabe and Ito's: told apart with every common kind of colour blindness."""
FINGER_MARKERS = ("^", "o", "s", "D", "v")
"""Told apart in grey."""
_AXIS_STYLES = (("#222222", "-"), ("#0072B2", "--"), ("#E69F00", ":"))
_AXIS_ARROWS = {"x": "x →", "y": "y ↓"}
_MOST_RANKS = 3
# A hand that rests jitters by hundredths of its size: that should look like rest.
_LEAST_SPAN = 0.25


@dataclass(frozen=True, eq=False)
class Series:
    """One curve: its label, (N,) values with NaN where there is none, and its look."""

    label: str
    values: Floats
    colour: str
    style: str = "-"
    marker: str = "."


@dataclass(frozen=True, eq=False)
class Curves:
    """A panel of curves over time, or over the joints of a single frame.

    Attributes:
        title: of the panel.
        unit: of the values.
        series: the curves.
        low, high: fixed ends of the value axis, or None.
        span: the least that the value axis spans.
        downward: whether larger values are drawn further down, as image y is.
        by_joint: whether the N values are of N elements of one frame, and not of N frames.
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    low: float | None = None
    high: float | None = None
    span: float = 0.0
    downward: bool = False
    by_joint: bool = False


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A panel of features (size, T) by time, numbered from `start`."""

    title: str
    unit: str
    values: Floats
    start: int


@dataclass(frozen=True, eq=False)
class Track:
    """A panel with the path of a joint through the plane: (T, 2) x, y, seen over at least `span`."""

    title: str
    units: tuple[str, str]
    points: Floats
    span: float


Panel = Curves | HeatMap | Track


def panels(window: Window) -> list[Panel]:
    """The panels of a window, in the order of its blocks; the path of the wrist comes last."""
    if window.usable.size == 1:
        return [_of_elements(window, block) for block in window.blocks]
    found = [panel for block in window.blocks for panel in _of_block(window, block)]
    return [*found, *_track(window)]


def _of_block(window: Window, block: WindowBlock) -> Iterator[Panel]:
    if block.is_hand and block.is_rate:
        speed = np.linalg.norm(window.points(block)[:, TIPS], axis=2)
        yield Curves(f"{block.name}: speed of the fingertips", block.unit, _by_finger(speed), low=0.0)
    elif block.is_hand:
        yield from _fingertips(window, block)
    elif len(block.joints) == 1 and block.axes >= 2:
        yield _of_axes(window, block)
    elif ranks := _ranks(window, block):
        for elements in ranks:
            yield _of_rank(window, block, elements)
    else:
        yield HeatMap(block.name, block.unit, window.values(block).T, block.start)


def _fingertips(window: Window, block: WindowBlock) -> Iterator[Curves]:
    tips = window.points(block)[:, TIPS]
    for axis, name in enumerate(window.axes[:2]):
        yield Curves(
            f"{block.name}: fingertips, {_AXIS_ARROWS.get(name, name)}", block.unit_of(name),
            _by_finger(tips[:, :, axis]), downward=name == "y",
        )  # fmt: skip


def _by_finger(values: Floats) -> tuple[Series, ...]:
    """Curves of (T, 5) values, one a finger."""
    return tuple(
        Series(name, values[:, i], FINGER_COLOURS[i], marker=FINGER_MARKERS[i])
        for i, name in enumerate(FINGERS)
    )


def _of_axes(window: Window, block: WindowBlock) -> Curves:
    """x, y, ... of a single joint, without the axes that the schema calls dead."""
    values = window.values(block)
    alive = [
        axis for axis in range(min(block.axes, len(window.axes))) if block.start + axis not in block.dead
    ]
    series = tuple(_axis_series(window, axis, values[:, axis]) for axis in alive)
    span = 0.0 if block.is_rate else _least_span(window, block)
    return Curves(block.name, block.unit, series, span=span)


def _axis_series(window: Window, axis: int, values: Floats) -> Series:
    name = window.axes[axis]
    return Series(_AXIS_ARROWS.get(name, name), values, *_AXIS_STYLES[axis % len(_AXIS_STYLES)])


def _ranks(window: Window, block: WindowBlock) -> list[list[int]]:
    """The elements of a block of pairs or triples, so that each list has at most one a finger; else none.

    A pair belongs to its first finger, a triple to the one of its vertex.
    """
    if block.axes != 1 or any(len(joints) not in (2, 3) for joints in block.joints):
        return []
    ranks: list[list[int]] = []
    seen: dict[str, int] = {}
    for element, joints in enumerate(block.joints):
        finger = _finger(window, joints[len(joints) // 2 if len(joints) == 3 else 0])
        if finger not in FINGERS:
            return []
        rank = seen[finger] = seen.get(finger, -1) + 1
        if rank == len(ranks):
            ranks.append([])
        ranks[rank].append(element)
    return ranks if len(ranks) <= _MOST_RANKS else []


def _of_rank(window: Window, block: WindowBlock, elements: list[int]) -> Curves:
    series, levels = [], []
    for element in elements:
        joints = block.joints[element]
        vertex = joints[1] if len(joints) == 3 else joints[0]
        finger = _finger(window, vertex)
        label = finger if len(joints) == 3 else f"{finger}–{_finger(window, joints[1])}"
        look = FINGERS.index(finger)
        values = window.values(block)[:, element]
        series.append(Series(label, values, FINGER_COLOURS[look], marker=FINGER_MARKERS[look]))
        levels.append(window.joint_names[vertex].partition("_")[2].upper())
    where = f" at {' / '.join(dict.fromkeys(levels))}" if len(block.joints[0]) == 3 else ""
    high = float(np.pi) if block.unit == "rad" else None
    return Curves(f"{block.name}{where}", block.unit, tuple(series), low=0.0, high=high)


def _finger(window: Window, joint: int) -> str:
    names = window.joint_names
    return names[joint].partition("_")[0] if 0 <= joint < len(names) else ""


def _of_elements(window: Window, block: WindowBlock) -> Curves:
    """The numbers of a single frame, joint by joint."""
    shape = (-1, block.axes or 1)
    values = window.values(block).reshape(shape)
    if block.axes >= 2:
        count = min(block.axes, len(window.axes))
        series = tuple(_axis_series(window, axis, values[:, axis]) for axis in range(count))
    else:
        series = (Series("", values[:, 0], _AXIS_STYLES[0][0]),)
    return Curves(block.name, block.unit_of(window.axes[0]), series, by_joint=True)


def _track(window: Window) -> Iterator[Track]:
    """The path of the block that places a single joint; else that of the first hand's wrist, if it moves."""
    placed = [block for block in window.blocks if block.axes >= 2 and not block.is_rate]
    for block in (block for block in placed if len(block.joints) == 1):
        points = window.values(block)[:, :2]
        if np.isfinite(points).all(axis=1).any():
            yield Track(f"{block.name} as a path", block.plane, points, _least_span(window, block))
            return
    for block in (block for block in placed if block.is_hand):
        points = window.points(block)[:, 0, :2]
        if np.nanmax(np.abs(points), initial=0.0) > 0:
            yield Track(f"{block.name}: path of the wrist", block.plane, points, _least_span(window, block))
            return


def _least_span(window: Window, block: WindowBlock) -> float:
    """A part of the hand's size, where a hand is given in the unit of `block`; else 0."""
    for hand in window.blocks:
        if hand.is_hand and hand.plane == block.plane:
            points = window.points(hand)[:, :, :2]
            points = points[np.isfinite(points).all(axis=(1, 2))]
            if len(points):
                return _LEAST_SPAN * float(np.median(np.ptp(points, axis=1).max(axis=1)))
    return 0.0
