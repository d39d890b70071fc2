"""Which hand of a frame is the hand of the frame before."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pgc_data.hands.types import Box

# A hand thrown sideways crosses most of its own length between two frames at 30 fps, so overlap would lose it.
_MAX_JUMP = 1.0
_MAX_GAP_S = 0.2


def jump(a: Box, b: Box) -> float:
    """Distance between the centres of two boxes x, y, width, height, in units of their longest side."""
    across = a[0] + a[2] / 2 - b[0] - b[2] / 2
    down = a[1] + a[3] / 2 - b[1] - b[3] / 2
    return math.hypot(across, down) / max(a[2], a[3], b[2], b[3], 1e-9)


class Tracks:
    """Numbers the tracks of one clip: a box goes on with the nearest track seen within the last 0.2 s."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Box, float]] = {}
        self._next = 0

    def assign(self, boxes: Sequence[Box], timestamp_s: float) -> list[int]:
        """The track of each box of a frame, in the order of `boxes`; frames come in order of time."""
        self._last = {
            track: (box, seen)
            for track, (box, seen) in self._last.items()
            if timestamp_s - seen <= _MAX_GAP_S + 1e-9
        }
        pairs = sorted(
            (jump(box, old), track, index)
            for index, box in enumerate(boxes)
            for track, (old, _) in self._last.items()
        )
        tracks: dict[int, int] = {}
        for distance, track, index in pairs:
            if distance <= _MAX_JUMP and index not in tracks and track not in tracks.values():
                tracks[index] = track
        for index, box in enumerate(boxes):
            if index not in tracks:
                tracks[index] = self._next
                self._next += 1
            self._last[tracks[index]] = (box, timestamp_s)
        return [tracks[index] for index in range(len(boxes))]
