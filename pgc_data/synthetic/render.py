"""Draws a posed hand with its forearm and sleeve into a picture of a room, as a camera would see it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pgc_data.synthetic.backdrop import paint_backdrop
from pgc_data.synthetic.flesh import SKIN, HandView, flesh_of
from pgc_data.synthetic.raster import EMPTY, Canvas
from pgc_data.synthetic.subjects import Subject

Image = NDArray[np.float32]
Frame = NDArray[np.uint8]
Array = NDArray[np.float64]

_PALM_LINES = (
    ((0.30, -0.72), (0.20, -0.66), (0.06, -0.50), (0.02, -0.30), (0.06, -0.12)),
    ((0.28, -0.72), (0.10, -0.66), (-0.10, -0.52), (-0.28, -0.40)),
    ((0.16, -0.88), (0.02, -0.80), (-0.16, -0.72), (-0.42, -0.66)),
)
_PALM_LINE_HEIGHT = 0.15
_MARGIN = 4
_SUPERSAMPLED_BELOW = 70.0
_NOISE_ROOM = 48


class Camera:
    """Takes the pictures of one video: paints the room once, then a hand into it for every frame."""

    def __init__(self, subject: Subject, size: tuple[int, int], rng: np.random.Generator) -> None:
        """Paints the backdrop of `size` (width, height) and draws the pool of camera noise from `rng`."""
        self._subject = subject
        self._size = size
        self._rng = rng
        self._room = paint_backdrop(subject, size)
        width, height = size
        pool = rng.standard_normal((height + _NOISE_ROOM, width + _NOISE_ROOM, 3), dtype=np.float32)
        self._noise = pool * np.float32(subject.noise)
        self._gain = np.array(subject.cast[::-1], np.float32) * np.float32(subject.gain)

    def take(self, *views: HandView | None) -> Frame:
        """One picture, (height, width, 3) blue, green, red, of any number of hands; None stands for no hand."""
        picture = self._room.copy()
        for view in views:
            if view is not None:
                paint_arm(picture, view, self._subject)
        width, height = self._size
        x, y = (int(v) for v in self._rng.integers(_NOISE_ROOM, size=2))
        picture *= self._gain
        picture += self._noise[y : y + height, x : x + width]
        return np.asarray(cv2.convertScaleAbs(np.maximum(picture, 0.0, out=picture)), np.uint8)


def paint_arm(picture: Image, view: HandView, subject: Subject) -> None:
    """Draws the arm in a patch of its own around its joints and lays it over the picture."""
    height, width = picture.shape[:2]
    capsules = flesh_of(view, subject)
    ends = np.array([end for c in (*capsules.palm, *capsules.rest) for end in (c.start[:2], c.end[:2])])
    reach = 0.6 * view.palm + _MARGIN
    left, top = np.maximum(np.floor(ends.min(axis=0) - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(ends.max(axis=0) + reach), (width, height)).astype(int)
    if left >= right or top >= bottom:
        return
    times = 2 if view.palm < _SUPERSAMPLED_BELOW else 1
    canvas = Canvas((right - left) * times, (bottom - top) * times)
    placed = capsules.placed(float(left), float(top), times)
    canvas.draw_blended(placed.palm, 0.045 * view.palm * times)
    for capsule in placed.rest:
        canvas.draw(capsule)
    _crease_palm(canvas, view, (left, top), times)
    colour, cover = _shade(canvas, view.palm * times, times, subject)
    if times > 1:
        patch = (int(right - left), int(bottom - top))
        colour = np.asarray(cv2.resize(colour, patch, interpolation=cv2.INTER_AREA), np.float32)
        cover = np.asarray(cv2.resize(cover, patch, interpolation=cv2.INTER_AREA), np.float32)
    region = picture[top:bottom, left:right]
    region *= (1.0 - cover)[:, :, None]
    region += colour


def _crease_palm(canvas: Canvas, view: HandView, corner: tuple[int, int], times: int) -> None:
    """Draws the three lines of the palm where it is seen from its front and nothing lies over it."""
    if view.frame[2, 2] < 0.3:
        return
    lines = np.zeros_like(canvas.crease)
    height, width = lines.shape
    axes = view.frame * view.palm
    for line in _PALM_LINES:
        points = np.array([view.joints[0] + axes @ np.array([x, y, -_PALM_LINE_HEIGHT]) for x, y in line])
        flat = ((points[:, :2] - corner + 0.5) * times - 0.5).astype(np.float32)
        for start, end, z in zip(flat[:-1], flat[1:], points[:-1, 2], strict=True):
            x, y = (int(v) for v in (start + end) / 2)
            if 0 <= x < width and 0 <= y < height and canvas.depth[y, x] < (-z + 0.09 * view.palm) * times:
                cv2.line(lines, [int(v) for v in start], [int(v) for v in end], 0.26, times, cv2.LINE_AA)
    np.maximum(canvas.crease, lines, out=canvas.crease)


def _shade(canvas: Canvas, palm: float, times: int, subject: Subject) -> tuple[Image, Image]:
    """Colours of the patch, (h, w, 3), black where nothing is, and its coverage, (h, w), 0 or 1."""
    solid = canvas.depth > EMPTY / 2
    cover = solid.astype(np.float32)
    x, y = canvas.normal_x[solid], canvas.normal_y[solid]
    front = np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))
    right, down, forward = (np.float32(v) for v in subject.light)
    facing = x * right + y * down + front * forward
    contrast = np.float32(subject.contrast)
    light = (1.0 - contrast) * (0.72 + 0.28 * front) + contrast * 1.15 * np.clip(
        0.25 + 0.75 * facing, 0.0, 1.0
    )
    light *= _occlusion(canvas.depth, cover, palm, times)[solid] * (1.0 - canvas.crease[solid])
    nail, skin = canvas.nail[solid], canvas.material[solid] == SKIN
    gloss = np.float32(26.0) * np.square(np.square(np.maximum(facing, 0.0))) ** 3 * (0.5 + nail) * skin
    pigment = _pigment(canvas.palmar[solid], nail, skin, subject)
    # Light that has passed through flesh is redder: shadows lose less red than blue.
    for channel, (straight, squared) in enumerate(((0.92, 0.08), (1.0, 0.0), (1.12, -0.12))):
        pigment[:, channel] *= light * (np.float32(straight) + np.float32(squared) * light)
        pigment[:, channel] += gloss
    colour = np.zeros((*cover.shape, 3), np.float32)
    colour[solid] = pigment
    return colour, cover


def _pigment(palmar: Image, nail: Image, skin: NDArray[np.bool_], subject: Subject) -> Image:
    """The colour of skin, nail and sleeve at n pixels; (n, 3) blue, green, red."""
    back = np.array(subject.skin[::-1], np.float32)
    # Palms hold little pigment: the darker the hand, the more its palm differs from its back.
    pale = np.array([150.0, 172.0, 218.0], np.float32)
    share = np.float32(0.12 + 0.4 * (1.0 - float(back.mean()) / 220.0))
    colour: Image = back + palmar[:, None] * ((pale - back) * share)
    colour[nail > 0] = back * np.float32(0.7) + np.array([60.0, 58.0, 74.0], np.float32)
    colour[~skin] = np.array(subject.sleeve[::-1], np.float32)
    return colour


def _occlusion(depth: Image, cover: Image, palm: float, times: int) -> Image:
    """Darkens what lies just behind something nearer, by comparing the depth with its blurred self; (h, w)."""
    height, width = depth.shape
    coarse = (width // times, height // times)
    heights = cv2.resize(depth * cover, coarse, interpolation=cv2.INTER_AREA)
    share = cv2.resize(cover, coarse, interpolation=cv2.INTER_AREA)
    light = np.ones_like(depth)
    for breadth, strength in ((0.05, 2.6), (0.16, 1.1)):
        sigma = breadth * palm / times
        around = cv2.GaussianBlur(heights, (0, 0), sigma) / np.maximum(
            cv2.GaussianBlur(share, (0, 0), sigma), 1e-3
        )
        above = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR) - depth
        light *= 1.0 - np.clip(above * np.float32(strength / palm), 0.0, 0.45)
    return light
