"""The hand, or the body, of a landmark window frame by frame, as a strip of cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from pgc_data.audits.window_blocks import HAND_JOINTS, Floats, Window, WindowBlock
from pgc_data.audits.window_panels import FINGER_COLOURS, FINGER_MARKERS, TIPS

MOST_CELLS = 48
"""The most frames drawn; of a longer window every second, third, ... is."""

INK, FAINT, GRID = "#222222", "#6b6b6b", "#e6e6e6"
MASK = 0.075
"""Height of the mark below each cell, inches."""
_SEEN, _HELD, _GONE = "#222222", "#9a9a9a", "#ffffff"
STATES = {_SEEN: "hand seen", _HELD: "held", _GONE: "no hand"}
"""What a frame shows, by the colour of its mark."""

_PALM = (*((0, root) for root in range(1, HAND_JOINTS, 4)), (5, 9), (9, 13), (13, 17))
# MediaPipe's pose down to the hips: arms and trunk; legs are seldom in the picture.
_POSE_JOINTS, _POSE_SHOWN = 33, 25
_POSE = ((11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (9, 10))
# Inches.
_CELLS_IN_ROW, _WIDEST, _LEAST_HIGH, _BELOW, _APART, _PADDING = 16, 2.9, 0.8, 0.28, 0.04, 0.06


def mask(x: float, y: float, width: float, state: str) -> Rectangle:
    """The mark that says whether a hand is seen, held or missing; in inches."""
    edge = _HELD if state == _GONE else state
    return Rectangle((x, y), width, MASK, facecolor=state, edgecolor=edge, linewidth=0.6)


class Strip:
    """The hand, or the body, frame by frame: cells in rows, their state and time below each."""

    def __init__(self, window: Window, width: float) -> None:
        """Lays the cells out on `width` inches."""
        self._window, self._width = window, width
        shapes = [block for block in window.blocks if block.is_points and not block.is_rate]
        # Blocks in other units would not lie where they belong.
        shapes = [block for block in shapes if block.plane == shapes[0].plane]
        points = [(block, _visible(window.points(block))) for block in shapes]
        self._points = [(block, values) for block, values in points if np.isfinite(values).any()]
        frames = window.usable.size
        self.step = -(-frames // MOST_CELLS)
        self._frames = range(0, frames, self.step)
        rows = -(-len(self._frames) // _CELLS_IN_ROW)
        self._in_row = -(-len(self._frames) // rows)
        self._wide = min(width / self._in_row, _WIDEST)
        low, high = self._extent()
        # No taller than the tallest figure needs when the widest fills the cell.
        tall = self._wide * float(high[1] - low[1]) / max(float(high[0] - low[0]), 1e-9)
        self._high = min(max(tall, _LEAST_HIGH), max(1.9 * self._wide, 1.0), 1.2 * _WIDEST) if shapes else 0.0
        self.height = rows * (self._high + _BELOW)

    def _extent(self) -> tuple[Floats, Floats]:
        """The least and the largest x, y of all that is drawn."""
        if not self._points:
            return np.zeros(2, dtype=np.float32), np.ones(2, dtype=np.float32)
        flat = np.concatenate([points.reshape(-1, 2) for _, points in self._points])
        return np.nanmin(flat, axis=0), np.nanmax(flat, axis=0)

    def draw(self, ax: Axes) -> None:
        """Draws into axes of `height` inches, all in inches."""
        ax.set(xlim=(0, self._width), ylim=(self.height, 0))
        ax.axis("off")
        for cell, frame in enumerate(self._frames):
            row, column = divmod(cell, self._in_row)
            self._cell(ax, frame, column * self._wide, row * (self._high + _BELOW))

    def _cell(self, ax: Axes, frame: int, x: float, y: float) -> None:
        window = self._window
        wide, high = self._wide - _APART, self._high
        state = _GONE if not window.usable[frame] else _HELD if window.held[frame] else _SEEN
        if high:
            gone = state == _GONE
            ax.add_patch(
                Rectangle((x, y), wide, high, facecolor="#f4f4f4" if state == _HELD else "white", linewidth=0.6,
                          edgecolor="#c4c4c4" if gone else GRID, hatch="////" if gone else None)
            )  # fmt: skip
            self._figures(ax, frame, x, y)
        if state == _HELD and high:
            ax.text(x + 0.04, y + 0.11, "held", fontsize=6, color=INK)
        ax.add_patch(mask(x, y + high + 0.03, wide, state))
        if window.times is not None:
            unit = " ms" if frame == 0 else ""
            text = f"{window.times[frame]:.0f}{unit}"
            ax.text(x + wide / 2, y + high + 0.2, text, fontsize=6.5, color=FAINT, ha="center")

    def _figures(self, ax: Axes, frame: int, x: float, y: float) -> None:
        """The joints of one frame, scaled alike in all cells."""
        low, high = self._extent()
        room = np.array([self._wide - _APART, self._high]) - 2 * _PADDING
        scale = float(np.min(room / np.maximum(high - low, 1e-9)))
        offset = np.array([x, y]) + _PADDING + (room - scale * (high - low)) / 2
        large = self._wide > 1.2
        for block, points in self._points:
            if np.isfinite(points[frame]).all():
                placed = offset + scale * (points[frame] - low)
                _figure(ax, block, placed, 2.2 if large else 1.15)


def _visible(points: Floats) -> Floats:
    """x and y of the joints that are drawn: of a pose those above the hips."""
    shown = _POSE_SHOWN if points.shape[1] == _POSE_JOINTS else points.shape[1]
    return points[:, :shown, :2]


def _figure(ax: Axes, block: WindowBlock, points: Floats, width: float) -> None:
    if not block.is_hand:
        bones = _POSE if len(block.joints) == _POSE_JOINTS else ()
        ax.add_collection(_bones(points, bones, FAINT, 0.7 * width))
        ax.scatter(points[:, 0], points[:, 1], s=0.6 * width, color=FAINT, linewidths=0)
        return
    ax.add_collection(_bones(points, _PALM, FAINT, 0.8 * width))
    for tip, colour, marker in zip(TIPS, FINGER_COLOURS, FINGER_MARKERS, strict=True):
        ax.add_collection(_bones(points, tuple(pairwise(range(tip - 3, tip + 1))), colour, width))
        x, y = points[tip]
        ax.scatter(x, y, s=6 * width, color=colour, marker=marker, linewidths=0, zorder=3)
    ax.scatter(points[0, 0], points[0, 1], s=9 * width, color=INK, marker="p", linewidths=0, zorder=3)


def _bones(points: Floats, bones: Sequence[tuple[int, int]], colour: str, width: float) -> LineCollection:
    return LineCollection(
        [points[list(bone)] for bone in bones], colors=colour, linewidths=width, capstyle="round"
    )
