"""Regions: the rotated squares of an image that the networks look at.

The arithmetic is in 32-bit floats and in MediaPipe's order throughout. A hand that is followed feeds on its own last
landmarks, so that a difference in the last digit grows over a clip; without any, results are MediaPipe's to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]

# What the landmarks' box is made of: wrist, thumb without its tip, and two joints of every other finger.
_PALM_POINTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
_WRIST, _INDEX_MCP, _MIDDLE_MCP, _RING_MCP = 0, 5, 9, 13
_UPRIGHT = np.float32(math.pi / 2)
# MediaPipe's graph sets 90 where radians are read, so that the landmark network sees a palm's first region turned by
# 27 degrees.
_PALM_TARGET = np.float32(90)
_HALF = np.float32(0.5)
# Smaller shares of an image may have corners that are one in 32 bits.
_POINT = 1e-6


@dataclass(frozen=True)
class Size:
    """Of an image, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Region:
    """A part of an image, turned about its centre. All are 32-bit floats.

    Attributes:
        x: of its centre, as a fraction of the image's width.
        y: of its centre, as a fraction of the image's height.
        width: as a fraction of the image's width.
        height: as a fraction of the image's height.
        rotation: radians, clockwise as one sees it; 0 is upright.
    """

    x: np.float32
    y: np.float32
    width: np.float32
    height: np.float32
    rotation: np.float32

    @property
    def usable(self) -> bool:
        """Whether there is anything to look at: finite, and more than a point."""
        numbers = (self.x, self.y, self.width, self.height, self.rotation)
        return all(map(math.isfinite, numbers)) and bool(min(self.width, self.height) > _POINT)

    def to_image(self, points: Points) -> Points:
        """(n, 2) fractions of the region -> fractions of the image. The region is a square in pixels."""
        cos, sin = _cos_sin(self.rotation)
        x, y = (points - _HALF).T
        return np.stack(
            [
                (cos * x - sin * y) * self.width + self.x,
                (sin * x + cos * y) * self.height + self.y,
            ],
            axis=1,
        )


def palm_region(corner: Points, extent: Points, wrist: Points, middle: Points, size: Size) -> Region:
    """Where a hand should be, from its palm, all in fractions of the image.

    Args:
        corner: (2,) upper left of the palm.
        extent: (2,) its width and height.
        wrist: (2,) centre of the wrist.
        middle: (2,) root of the middle finger.
        size: of the image.
    """
    rotation = _wrapped(_PALM_TARGET - _heading(wrist * _scale(size), middle * _scale(size)))
    x, y = corner + extent / 2
    region = Region(x, y, extent[0], extent[1], rotation)
    return _grown(region, size, shift=np.float32(-0.5), factor=np.float32(2.6))


def landmark_region(landmarks: Points, size: Size) -> Region:
    """Where a hand should be in the next frame, from its (21, 2) landmarks in fractions of this one."""
    scale = _scale(size)
    knuckles = (landmarks[_INDEX_MCP] + landmarks[_RING_MCP]) / 2
    knuckles = (knuckles + landmarks[_MIDDLE_MCP]) / 2 * scale
    rotation = _wrapped(_UPRIGHT - _heading(landmarks[_WRIST] * scale, knuckles))
    points = landmarks[_PALM_POINTS]
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    x, y = ((points - centre) * scale).T
    cos, sin = _cos_sin(_wrapped(-rotation))
    turned = np.stack([x * cos - y * sin, x * sin + y * cos])
    low, high = turned.min(axis=1), turned.max(axis=1)
    x, y = (high + low) / 2
    cos, sin = _cos_sin(rotation)
    x, y = (np.stack([x * cos - y * sin, x * sin + y * cos]) + scale * centre) / scale
    width, height = (high - low) / scale
    region = Region(x, y, width, height, rotation)
    return _grown(region, size, shift=np.float32(-0.1), factor=np.float32(2))


def overlap(a: Region, b: Region) -> float:
    """Intersection over union of two regions taken as upright, 0 to 1; rotation is left out, as MediaPipe does."""
    width = min(a.x + a.width / 2, b.x + b.width / 2) - max(a.x - a.width / 2, b.x - b.width / 2)
    height = min(a.y + a.height / 2, b.y + b.height / 2) - max(a.y - a.height / 2, b.y - b.height / 2)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / (a.width * a.height + b.width * b.height - shared))


def _grown(region: Region, size: Size, shift: np.float32, factor: np.float32) -> Region:
    """Moves a region by a share of its height along its own y, makes it square by its longer side, and scales it."""
    cos, sin = _cos_sin(region.rotation)
    step = size.height * region.height * shift
    side = max(region.width * size.width, region.height * size.height)
    return Region(
        region.x + -(step * sin) / size.width,
        region.y + step * cos / size.height,
        side / size.width * factor,
        side / size.height * factor,
        region.rotation,
    )


def _scale(size: Size) -> Points:
    return np.array([size.width, size.height], dtype=np.float32)


def _heading(start: Points, end: Points) -> np.float32:
    """Direction from one point to another in radians, counter-clockwise from the right as one sees it."""
    x, y = end - start
    return np.float32(math.atan2(-y, x))


def _wrapped(angle: np.float32) -> np.float32:
    """The same angle within -pi to pi."""
    exact = float(angle)
    return np.float32(exact - 2 * math.pi * math.floor((exact + math.pi) / (2 * math.pi)))


def _cos_sin(angle: np.float32) -> tuple[np.float32, np.float32]:
    """Correctly rounded, which numpy's own 32-bit functions are not."""
    return np.float32(math.cos(angle)), np.float32(math.sin(angle))
