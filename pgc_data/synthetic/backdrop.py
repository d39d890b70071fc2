"""Rooms and the person sitting in them: the part of a picture that stands still for a whole video."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.subjects import Colour, Subject

Image = NDArray[np.float32]
Painter = Callable[[Image, np.random.Generator], None]

_WALLS = np.array(
    [[176, 182, 178], [120, 142, 150], [196, 186, 164], [150, 158, 176], [164, 176, 150], [206, 204, 198]]
)
_HAIR = np.array([[28, 24, 22], [58, 40, 28], [96, 70, 44], [140, 134, 128]])


def paint_backdrop(subject: Subject, size: tuple[int, int]) -> Image:
    """Paints the room and the sitting person, without the gesturing arm.

    Args:
        subject: whose room, shirt, skin and light it is.
        size: width and height in pixels.

    Returns:
        (height, width, 3) blue, green, red, 0 to 255, slightly out of focus, before camera noise.
    """
    width, height = size
    rng = np.random.default_rng(subject.scene_seed)
    wall = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.85, 1.05)
    picture: Image = np.empty((height, width, 3), np.float32)
    picture[:] = wall[::-1]
    _ROOMS[subject.backdrop](picture, rng)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), width / 260.0), np.float32)
    _paint_person(picture, subject, rng)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), width / 400.0), np.float32)
    return picture * _falloff(subject, width, height)[:, :, None]


def _falloff(subject: Subject, width: int, height: int) -> Image:
    """Brighter towards the lamp, darker in the corners; (height, width)."""
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    lit = 0.92 + 0.18 * (x * subject.light[0] + y * subject.light[1])
    falloff: Image = np.asarray(lit - 0.07 * (x * x + y * y), np.float32)
    return falloff


def _colour(rng: np.random.Generator, low: float = 40.0, high: float = 190.0) -> Colour:
    grey = rng.uniform(low, high)
    blue, green, red = (float(v) for v in np.clip(grey + rng.normal(0.0, 17.0, 3), 10.0, 235.0))
    return blue, green, red


def _rectangle(picture: Image, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    """Fills a rectangle given in shares of width and height."""
    height, width = picture.shape[:2]
    first = (round(left * width), round(top * height))
    cv2.rectangle(picture, first, (round(right * width), round(bottom * height)), colour, -1)


def _wall(picture: Image, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    coarse = rng.normal(0.0, 1.0, (6, 8, 1)).astype(np.float32) * 4.0
    picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, None]
    if rng.random() < 0.6:
        edge = rng.uniform(0.08, 0.2)
        picture[: round(edge * height)] = (picture[0, 0] + 235.0) / 2.0


def _blinds(picture: Image, rng: np.random.Generator) -> None:
    width = picture.shape[1]
    period = width * rng.uniform(0.035, 0.06)
    slats = 10.0 * np.sin(np.arange(width) * 2.0 * np.pi / period) + 5.0 * np.sin(np.arange(width) / 37.0)
    picture += slats.astype(np.float32)[None, :, None]
    _rectangle(picture, 0.0, rng.uniform(0.74, 0.82), 1.0, 1.0, _colour(rng, 110.0, 170.0))


def _shelves(picture: Image, rng: np.random.Generator) -> None:
    left, right = sorted(rng.choice([0.0, 0.08, 0.55, 0.95, 1.0], 2, replace=False))
    boards = np.linspace(0.06, 0.9, 4)
    wood = _colour(rng, 70.0, 120.0)
    for top, bottom in pairwise(boards):
        _rectangle(picture, left, top, right, bottom, _colour(rng, 50.0, 80.0))
        x = left
        while x < right:
            thick = rng.uniform(0.012, 0.035)
            rise = rng.uniform(0.45, 0.95) * (bottom - top)
            _rectangle(picture, x, bottom - rise, min(x + thick, right), bottom, _colour(rng))
            x += thick + 0.004
        _rectangle(picture, left, bottom - 0.012, right, bottom + 0.008, wood)


def _window(picture: Image, rng: np.random.Generator) -> None:
    left = rng.uniform(0.02, 0.6)
    right, bottom = left + rng.uniform(0.25, 0.38), rng.uniform(0.5, 0.62)
    _rectangle(picture, left - 0.015, 0.04, right + 0.015, bottom + 0.02, _colour(rng, 190.0, 220.0))
    _rectangle(picture, left, 0.06, right, bottom, (238.0, 228.0, 214.0))
    _rectangle(picture, left, bottom - 0.16, right, bottom, (120.0, 150.0, 118.0))
    middle = (left + right) / 2
    _rectangle(picture, middle - 0.006, 0.06, middle + 0.006, bottom, (214.0, 216.0, 218.0))
    curtain = _colour(rng, 90.0, 190.0)
    _rectangle(picture, left - 0.09, 0.0, left - 0.01, bottom + 0.3, curtain)
    _rectangle(picture, right + 0.01, 0.0, right + 0.09, bottom + 0.3, curtain)


def _pictures(picture: Image, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(4, 8))):
        left, top = rng.uniform(0.0, 0.88), rng.uniform(0.0, 0.5)
        right, bottom = left + rng.uniform(0.06, 0.16), top + rng.uniform(0.1, 0.24)
        _rectangle(picture, left, top, right, bottom, _colour(rng, 40.0, 90.0))
        _rectangle(
            picture, left + 0.01, top + 0.014, right - 0.01, bottom - 0.014, _colour(rng, 110.0, 210.0)
        )
    _rectangle(picture, 0.0, rng.uniform(0.8, 0.88), 1.0, 1.0, _colour(rng, 60.0, 130.0))


def _panels(picture: Image, rng: np.random.Generator) -> None:
    width = picture.shape[1]
    edges = np.linspace(0.0, 1.0, int(rng.integers(4, 7)))
    for left, right in pairwise(edges):
        shade = float(rng.uniform(-9.0, 9.0))
        picture[:, round(left * width) : round(right * width)] += np.float32(shade)
        _rectangle(picture, right - 0.004, 0.0, right + 0.002, 1.0, _colour(rng, 70.0, 110.0))


_ROOMS: dict[str, Painter] = {
    "wall": _wall,
    "blinds": _blinds,
    "shelves": _shelves,
    "window": _window,
    "pictures": _pictures,
    "panels": _panels,
}


def _paint_person(picture: Image, subject: Subject, rng: np.random.Generator) -> None:
    """A head and shoulders, the gesturing arm left out, softly shaded from the lamp's side."""
    height, width = picture.shape[:2]
    middle = width * (0.5 + (-0.1 if subject.left else 0.1) + rng.uniform(-0.03, 0.03))
    head = height * rng.uniform(0.1, 0.12)
    eyes = height * rng.uniform(0.24, 0.3)
    shirt = np.array(subject.sleeve[::-1])
    skin = np.array(subject.skin[::-1]) * 0.92
    hair = _HAIR[rng.integers(len(_HAIR))][::-1] * rng.uniform(0.8, 1.1)
    fall = (0.5, 1.12, 1.75) if subject.sex == "W" else (-0.3, 0.94, 1.1)
    balls: list[tuple[tuple[float, float], tuple[float, float], NDArray[np.float64], float]] = [
        ((middle, eyes + fall[0] * head), (fall[1] * head, fall[2] * head), hair, 2.4),
        ((middle, eyes + 1.3 * head), (0.46 * head, 0.9 * head), skin * 0.8, 2.0),
        ((middle, eyes + 4.1 * head), (1.55 * head, 2.35 * head), shirt, 2.0),
        ((middle, eyes + 6.4 * head), (2.35 * head, 4.1 * head), shirt, 3.2),
        ((middle, eyes + 1.85 * head), (0.55 * head, 0.38 * head), skin * 0.86, 2.0),
        ((middle, eyes + 0.1 * head), (0.78 * head, 1.12 * head), skin, 2.2),
        ((middle, eyes - 0.8 * head), (0.8 * head, 0.42 * head), hair, 2.0),
    ]
    for centre, radii, colour, squareness in balls:
        _paint_ball(picture, centre, radii, colour, subject, squareness)
    _paint_face(picture, (middle, eyes), head, skin, subject)


def _paint_face(
    picture: Image,
    centre: tuple[float, float],
    head: float,
    skin: NDArray[np.float64],
    subject: Subject,
) -> None:
    """Eyes, brows, nose and mouth around the point between the eyes."""
    middle, eyes = centre
    for side in (-1.0, 1.0):
        eye = (middle + side * 0.32 * head, eyes + 0.02 * head)
        _paint_ball(picture, eye, (0.15 * head, 0.08 * head), skin * 0.4, subject)
        brow = (middle + side * 0.33 * head, eyes - 0.2 * head)
        _paint_ball(picture, brow, (0.22 * head, 0.055 * head), skin * 0.55, subject)
    _paint_ball(picture, (middle, eyes + 0.62 * head), (0.26 * head, 0.075 * head), skin * 0.66, subject)
    _paint_ball(picture, (middle, eyes + 0.32 * head), (0.13 * head, 0.1 * head), skin * 0.86, subject)


def _paint_ball(
    picture: Image,
    centre: tuple[float, float],
    radii: tuple[float, float],
    colour: NDArray[np.float64],
    subject: Subject,
    squareness: float = 2.0,
) -> None:
    """A soft-edged ellipse (the more `squareness` above 2, the boxier) shaded as a ball that the lamp shines on."""
    height, width = picture.shape[:2]
    columns, rows = (
        slice(max(int(c - r), 0), max(min(int(c + r) + 2, extent), 0))
        for c, r, extent in zip(centre, radii, (width, height), strict=True)
    )
    x = ((np.arange(width, dtype=np.float32)[columns] - centre[0]) / radii[0])[None, :]
    y = ((np.arange(height, dtype=np.float32)[rows] - centre[1]) / radii[1])[:, None]
    distance = np.abs(x) ** np.float32(squareness) + np.abs(y) ** np.float32(squareness)
    cover = np.clip((1.0 - distance) * 0.5 * min(radii), 0.0, 1.0)[:, :, None]
    lit = 0.86 + 0.26 * (x * subject.light[0] + y * subject.light[1])
    lit = lit + 0.12 * np.sqrt(np.clip(1.0 - distance, 0.0, 1.0))
    region = picture[rows, columns]
    region *= 1.0 - cover
    region += cover * lit[:, :, None] * colour.astype(np.float32)
