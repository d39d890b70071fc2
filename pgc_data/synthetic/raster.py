"""A small depth buffer that solids made of capsules are drawn into, each within its own bounding box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

EMPTY = np.float32(-1e6)


@dataclass(frozen=True)
class Capsule:
    """A bone's flesh: the hull of two spheres.

    Attributes:
        start, end: x, y and nearness of the spheres' centres, in the canvas's pixels.
        radii: of the two spheres, in pixels.
        facing: unit vector to the palmar side in the same axes; zeros where there is none.
        material: index of the colour that the canvas notes down.
        crease: strength of the skin crease at `start`, 0 for none.
        nail: True draws a nail near `end`, on the side away from `facing`.
    """

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radii: tuple[float, float]
    facing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    material: int = 0
    crease: float = 0.0
    nail: bool = False


class Canvas:
    """The surface seen at every pixel of a patch.

    Attributes:
        depth: nearness of the surface in pixels, `EMPTY` where there is none.
        normal_x, normal_y: its normal; the third component is what is left of length 1.
        palmar: 1 on the palm side, 0 on the back of the hand.
        crease: darkness of skin creases, 0 to 1.
        nail: 1 on a nail.
        material: index of its colour.
    """

    def __init__(self, width: int, height: int) -> None:
        """Makes an empty patch of `width` by `height` pixels."""
        self.depth: Image = np.full((height, width), EMPTY, np.float32)
        self.normal_x: Image = np.zeros((height, width), np.float32)
        self.normal_y: Image = np.zeros((height, width), np.float32)
        self.palmar: Image = np.zeros((height, width), np.float32)
        self.crease: Image = np.zeros((height, width), np.float32)
        self.nail: Image = np.zeros((height, width), np.float32)
        self.material: NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def draw(self, capsule: Capsule) -> None:
        """Draws one capsule where it is nearer than what is there."""
        box = self._box([capsule])
        if box is None:
            return
        surface = _surface(capsule, box)
        if surface is None:
            return
        inside, nearness, along, x, y = surface
        rows, columns = box
        shown = inside & (nearness > self.depth[rows, columns])
        side = _palmar_side(capsule, x, y)
        np.copyto(self.depth[rows, columns], nearness, where=shown)
        np.copyto(self.normal_x[rows, columns], x, where=shown)
        np.copyto(self.normal_y[rows, columns], y, where=shown)
        np.copyto(self.palmar[rows, columns], np.clip(0.5 + 1.2 * side, 0.0, 1.0), where=shown)
        np.copyto(self.crease[rows, columns], _creases(capsule, along, side), where=shown)
        np.copyto(self.nail[rows, columns], _nail(capsule, along, side), where=shown)
        self.material[rows, columns][shown] = capsule.material

    def draw_blended(self, capsules: Sequence[Capsule], blend: float) -> None:
        """Draws capsules as one body whose seams are rounded over about `blend` pixels of depth."""
        box = self._box(capsules)
        if box is None:
            return
        rows, columns = box
        shape = self.depth[rows, columns].shape
        highest = max(max(c.start[2] + c.radii[0], c.end[2] + c.radii[1]) for c in capsules)
        total, colour = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for capsule in capsules:
            self._add_blended(capsule, box, np.float32(highest), np.float32(blend), total, colour)
        shown = total > 0
        body = np.where(shown, np.log(np.maximum(total, 1e-30)) * np.float32(blend) + highest, EMPTY)
        shown &= body > self.depth[rows, columns]
        x, y = _slope_normals(body.astype(np.float32), total > 0)
        np.copyto(self.depth[rows, columns], body, where=shown, casting="same_kind")
        np.copyto(self.normal_x[rows, columns], x, where=shown)
        np.copyto(self.normal_y[rows, columns], y, where=shown)
        np.copyto(self.palmar[rows, columns], colour / np.maximum(total, 1e-30), where=shown)
        for plane in (self.crease, self.nail, self.material):
            plane[rows, columns][shown] = 0

    def _add_blended(
        self,
        capsule: Capsule,
        box: tuple[slice, slice],
        highest: np.float32,
        blend: np.float32,
        total: Image,
        colour: Image,
    ) -> None:
        own = self._box([capsule])
        surface = _surface(capsule, own) if own is not None else None
        if own is None or surface is None:
            return
        inside, nearness, _, x, y = surface
        side = _palmar_side(capsule, x, y)
        weight = np.where(inside, np.exp(np.maximum((nearness - highest) / blend, -60.0)), np.float32(0.0))
        place = tuple(slice(o.start - b.start, o.stop - b.start) for o, b in zip(own, box, strict=True))
        total[place] += weight
        colour[place] += weight * np.clip(0.5 + 1.2 * side, 0.0, 1.0)

    def _box(self, capsules: Sequence[Capsule]) -> tuple[slice, slice] | None:
        height, width = self.depth.shape
        ends = [(e, r) for c in capsules for e, r in ((c.start, c.radii[0]), (c.end, c.radii[1]))]
        left = max(int(min(e[0] - r for e, r in ends)), 0)
        right = min(int(max(e[0] + r for e, r in ends)) + 2, width)
        top = max(int(min(e[1] - r for e, r in ends)), 0)
        bottom = min(int(max(e[1] + r for e, r in ends)) + 2, height)
        # A slope needs two pixels each way.
        return None if right - left < 2 or bottom - top < 2 else (slice(top, bottom), slice(left, right))


def _surface(
    capsule: Capsule, box: tuple[slice, slice]
) -> tuple[NDArray[np.bool_], Image, Image, Image, Image] | None:
    """Inside or not, nearness, position along the bone (0 to 1) and normal x, y at a box's pixels."""
    rows, columns = box
    (x0, y0, z0), (x1, y1, z1) = capsule.start, capsule.end
    dx, dy = x1 - x0, y1 - y0
    squared = max(dx * dx + dy * dy, 1e-6)
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x0)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y0)
    along = np.clip(x * np.float32(dx / squared) + y * np.float32(dy / squared), 0.0, 1.0)
    radius = np.float32(capsule.radii[0]) + along * np.float32(capsule.radii[1] - capsule.radii[0])
    away_x = (x - along * np.float32(dx)) / radius
    away_y = (y - along * np.float32(dy)) / radius
    rise = 1.0 - away_x * away_x - away_y * away_y
    inside = rise > 0.0
    if not inside.any():
        return None
    nearness = np.float32(z0) + along * np.float32(z1 - z0) + radius * np.sqrt(np.maximum(rise, 0.0))
    return inside, nearness, along, away_x, away_y


def _palmar_side(capsule: Capsule, x: Image, y: Image) -> Image:
    """How far the surface with normal x, y looks to the palmar side: 1 fully, -1 to the back."""
    right, down, forward = (np.float32(v) for v in capsule.facing)
    side: Image = x * right + y * down + np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0)) * forward
    return side


def _creases(capsule: Capsule, along: Image, side: Image) -> Image:
    if not capsule.crease:
        return np.zeros_like(along)
    length = float(np.hypot(capsule.end[0] - capsule.start[0], capsule.end[1] - capsule.start[1]))
    apart = along * np.float32(length / (0.22 * capsule.radii[0]))
    line: Image = np.float32(capsule.crease) * np.exp(-apart * apart) * (np.abs(side) > 0.35)
    return line


def _nail(capsule: Capsule, along: Image, side: Image) -> Image:
    if not capsule.nail:
        return np.zeros_like(along)
    return ((along > 0.45) & (side < -0.72)).astype(np.float32)


def _slope_normals(body: Image, inside: NDArray[np.bool_]) -> tuple[Image, Image]:
    """Normals of a height field; slopes across its outline count as steep ones."""
    floor = body[inside].min() if inside.any() else np.float32(0.0)
    heights = np.where(inside, body, floor - 2)
    slope_y, slope_x = np.gradient(heights)
    length = np.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
    return (-slope_x / length).astype(np.float32), (-slope_y / length).astype(np.float32)
