"""What is drawn over a frame: boxes, joints, probabilities, states, and how fast it goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import cv2
import numpy as np

from pgc_data.hands.media import Image
from pgc_data.hands.types import Hand
from pgc_data.live.types import SCENE, LiveFrame, Verdict
from pgc_data.resources import schema_file

Colour = tuple[int, int, int]

# BGR; Okabe and Ito's sky blue and orange, told apart with every common kind of colour blindness.
_IDLE: Colour = (233, 180, 86)
_ACTIVE: Colour = (0, 159, 230)
_WHITE: Colour = (255, 255, 255)
_DARK: Colour = (30, 26, 24)
_TRACK: Colour = (110, 104, 100)
_BOLD = 650
_MOST_BARS = 6


@dataclass(frozen=True)
class Overlay:
    """What is said of one frame.

    Attributes:
        frame: with its hands.
        verdicts: of its hands, or of the scene.
        active: track -> the class that is active.
        classes: names, in the order of probabilities.
        enter: probability from which a class can begin.
        rate: frames a second.
        mirror: whether the picture is shown as in a mirror.
    """

    frame: LiveFrame
    verdicts: Sequence[Verdict]
    active: dict[int, str]
    classes: tuple[str, ...]
    enter: float
    rate: float
    mirror: bool = False


def draw(overlay: Overlay) -> Image:
    """The frame with all of it, (height, width, 3) BGR; the frame itself stays as it is."""
    frame = overlay.frame
    image = frame.image[:, ::-1].copy() if overlay.mirror else frame.image.copy()
    unit = max(min(image.shape[:2]) / 480, 0.5)
    said = {verdict.track: verdict for verdict in overlay.verdicts}
    for hand, track in zip(frame.hands, frame.tracks, strict=True):
        shown = _mirrored(hand, image.shape[1]) if overlay.mirror else hand
        _hand(image, shown, said.get(track), overlay.active.get(track), overlay, unit)
    if SCENE in said or SCENE in overlay.active:
        _scene(image, said.get(SCENE), overlay, unit)
    _status(image, overlay, unit)
    return image


def _hand(
    image: Image, hand: Hand, verdict: Verdict | None, active: str | None, overlay: Overlay, unit: float
) -> None:
    colour = _IDLE if active is None else _ACTIVE
    if hand.landmarks is not None:
        _joints(image, hand, colour, unit)
    x, y, wide, high = (round(side) for side in hand.box)
    pad = round(6 * unit)
    left, top, right, bottom = x - pad, y - pad, x + wide + pad, y + high + pad
    cv2.rectangle(image, (left, top), (right, bottom), colour, max(round((2 if active is None else 4) * unit), 1),
                  cv2.LINE_AA)  # fmt: skip
    if verdict is None:
        return
    probability = verdict.probabilities[0]
    text, size = f"{active or overlay.classes[0]}  {probability:.2f}", 17 * unit
    bar = max(round(8 * unit), 5)
    high_of_label = round(size * 1.5)
    width = max(right - left, round(_width(text, size, _BOLD)) + 2 * pad)
    left = min(max(left, 0), max(image.shape[1] - width, 0))
    # Above the box, or inside it where the frame ends.
    y0 = max(top - high_of_label - bar, 0)
    _filled(image, (left, y0), (left + width, y0 + high_of_label), colour if active else _DARK, 0.85)
    _text(image, text, (left + pad, y0 + round(size * 1.12)), size, _DARK if active else _WHITE, _BOLD)
    _bar(image, (left, y0 + high_of_label, width, bar), probability, overlay.enter, colour)


def _joints(image: Image, hand: Hand, colour: Colour, unit: float) -> None:
    assert hand.landmarks is not None
    height, width = image.shape[:2]
    points = [tuple(map(round, point)) for point in (hand.landmarks[:, :2] * (width, height)).tolist()]
    thick = max(round(2 * unit), 1)
    # A dark line below a light one is seen on any ground.
    for line, wide in ((_DARK, thick + 2), (_WHITE, thick)):
        for start, end in _links():
            cv2.line(image, points[start], points[end], line, wide, cv2.LINE_AA)
    for point in points:
        cv2.circle(image, point, max(round(3.2 * unit), 2), colour, -1, cv2.LINE_AA)


@cache
def _links() -> tuple[tuple[int, int], ...]:
    document = json.loads(schema_file("graph21.json").read_text(encoding="utf-8"))
    return tuple((start, end) for start, end in document["links"])


def _scene(image: Image, verdict: Verdict | None, overlay: Overlay, unit: float) -> None:
    """The likeliest classes as bars, in the lower left corner."""
    probabilities = (0.0,) * len(overlay.classes) if verdict is None else verdict.probabilities
    likeliest = sorted(range(len(probabilities)), key=lambda number: -probabilities[number])[:_MOST_BARS]
    # In the model's order, so that they do not jump about.
    order = sorted(likeliest)
    size, pad = 15 * unit, round(8 * unit)
    row = round(size * 1.7)
    names = round(max(_width(overlay.classes[number], size, 400) for number in order))
    wide = round(110 * unit)
    top = image.shape[0] - len(order) * row - 2 * pad
    _filled(image, (0, top), (names + wide + 4 * pad, image.shape[0]), _DARK, 0.7)
    for place, number in enumerate(order):
        y = top + pad + place * row
        is_active = overlay.active.get(SCENE) == overlay.classes[number]
        colour = _ACTIVE if is_active else _WHITE
        _text(image, overlay.classes[number], (pad, y + round(size * 1.2)), size, colour,
              _BOLD if is_active else 400)  # fmt: skip
        _bar(image, (names + 2 * pad, y + round(size * 0.55), wide, max(round(8 * unit), 3)), probabilities[number],
             overlay.enter, _ACTIVE if is_active else _IDLE)  # fmt: skip


def _status(image: Image, overlay: Overlay, unit: float) -> None:
    """Speed and time in the upper left corner; in the upper right one what is active."""
    size, pad = 14 * unit, round(8 * unit)
    text = f"{overlay.rate:.0f} frames/s   {overlay.frame.time:.1f} s"
    high = round(size * 1.9)
    _filled(image, (0, 0), (round(_width(text, size, 400)) + 2 * pad, high), _DARK, 0.7)
    _text(image, text, (pad, round(size * 1.35)), size, _WHITE, 400)
    names = sorted(set(overlay.active.values()))
    if names:
        size = 20 * unit
        text = "  ".join(names)
        width = round(_width(text, size, _BOLD)) + 2 * pad
        left = image.shape[1] - width
        _filled(image, (left, 0), (image.shape[1], round(size * 1.7)), _ACTIVE, 0.95)
        _text(image, text, (left + pad, round(size * 1.25)), size, _DARK, _BOLD)


def _bar(image: Image, place: tuple[int, int, int, int], share: float, tick: float, colour: Colour) -> None:
    """A share of 1 as a bar, with a tick at what it must reach."""
    x, y, wide, high = place
    # The rim keeps it apart from a label of its colour.
    _filled(image, (x, y), (x + wide, y + high), _DARK, 1.0)
    x, y, wide, high = x + 1, y + 1, wide - 2, high - 2
    _filled(image, (x, y), (x + wide, y + high), _TRACK, 1.0)
    _filled(image, (x, y), (x + round(wide * share), y + high), colour, 1.0)
    at = x + round(wide * tick)
    _filled(image, (at, y), (at + max(high // 4, 1), y + high), _WHITE, 1.0)


def _filled(image: Image, start: tuple[int, int], end: tuple[int, int], colour: Colour, alpha: float) -> None:
    """Fills a rectangle, as far as it lies in the image."""
    (x0, y0), (x1, y1) = start, end
    part = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if part.size:
        part[:] = (part * (1 - alpha) + np.array(colour) * alpha).astype(np.uint8)


@cache
def _font() -> Any:
    return cv2.FontFace("sans")


def _text(image: Image, text: str, place: tuple[int, int], size: float, colour: Colour, weight: int) -> None:
    cv2.putText(image, text, place, colour, _font(), round(size), weight)


@lru_cache(maxsize=256)
def _width(text: str, size: float, weight: int) -> float:
    """Pixels across."""
    corner = cv2.getTextSize((4096, 256), text, (0, 128), _font(), round(size), weight)
    return float(corner[2])


def _mirrored(hand: Hand, width: int) -> Hand:
    x, y, wide, high = hand.box
    points = None if hand.landmarks is None else hand.landmarks * (-1, 1, 1) + (1, 0, 0)
    return Hand((width - x - wide, y, wide, high), hand.score, points)
