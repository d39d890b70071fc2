"""The same windows as offline, one source frame at a time: what a live program classifies is what was trained on.

stream = StreamingFeatures(width=640, height=480)
for timestamp_s, landmarks in camera:
    for window in stream.push(timestamp_s, landmarks):
        classify(window.features)

Everything that yields numbers is the batch code, called on a few rows; here is decided only *when* a grid point
can be computed: on the first push after which no later row could change it. The window that ends with it comes
from that push. For a point at time g that is

- a row from 1 us before g to 1 ms after it: a source on the grid is not delayed;
- the row that follows one up to 1 ms before g, since it might have been nearer;
- else (the point is interpolated) the first row at or after g that has a hand; without one, the first row more
  than 0.201 s after the last hand; and the first row at or after g if the last hand was longer ago.

A point waits for those before it. So a visible hand is delayed by less than a frame of its source (83 ms at
12 fps), and one that is lost between grid points by up to 0.201 s and a frame.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from pgc_data.errors import ConfigError, DataError
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.frames import LOOK_BACK, FrameFeatures, grid_features
from pgc_data.features.resample import ROUNDING_S, HandGrid, between_rows, interpolate, nearest_rows
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import LONGEST_CLIP_S, HandSequence, choose_rows
from pgc_data.features.windows import fill_windows, frames_needed, usable_windows

_RULES = SCHEMA.rules
# How far apart two rows may be for points between them to have a hand, as `interpolate` adds it up.
_REACH_S = _RULES.interpolate_s + _RULES.time_tolerance_s
# Grid points computed at once, which bounds memory where a push decides many.
_CHUNK = 64
_NO_HAND = np.full((len(SCHEMA.joint_names), 3), np.nan)
_time_of = attrgetter("time")


@dataclass(frozen=True, eq=False)
class StreamedWindow:
    """One window, as `cut_windows` gives it, and when it came.

    Attributes:
        features, usable, start, usable_fraction: as in `Windows`, of this one: (T, F), (T,), and two numbers.
        time_start_s, time_end_s: grid times of its first and last frame, seconds.
        delay_s: from its last frame to the newest source row when it was yielded, seconds; 0 for a source on the
            grid, negative by what such a row comes early.
    """

    features: Features
    usable: Bools
    start: int
    usable_fraction: float
    time_start_s: float
    time_end_s: float
    delay_s: float


class StreamingFeatures:
    """Windows of one clip whose rows come one by one; to the bit those of `cut_windows` on the whole clip.

    Holds the last 0.2 s of source rows and the grid rows of one window, however long the clip.

    Args:
        width, height: size of the source image, pixels.
        length: grid frames of a window, T.
        stride: grid frames from one window to the next.
        min_usable: share of the frames that must be usable. With 0 a pause yields all its windows at once.
        has_z: whether z was measured.
        of_grid: features of a hand on the grid; row k depends on grid rows k-6 to k alone, and seven rows without
            a hand leave the last not usable.

    Attributes:
        dropped: windows so far that had too few usable frames and were not yielded.

    Raises:
        ConfigError, DataError: a length, stride or share that `cut_windows` refuses; an impossible image size.

    Example:
        >>> stream = StreamingFeatures(640, 480)
        >>> hands = np.random.default_rng(0).random((20, 21, 3))
        >>> [window.start for k, hand in enumerate(hands) for window in stream.push(k / 30, hand)]
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        length: int = _RULES.window_frames,
        stride: int = 1,
        min_usable: float = _RULES.min_usable,
        has_z: bool = True,
        of_grid: Callable[[HandGrid], FrameFeatures] = grid_features,
    ) -> None:
        usable_windows(np.zeros(0, dtype=np.bool_), length, stride, min_usable)
        self._width, self._height, self._has_z = width, height, has_z
        self._length, self._stride, self._min_usable = length, stride, min_usable
        self._of_grid = of_grid
        self._sequence(np.empty((0, *_NO_HAND.shape)), [], [])
        self.reset()

    def reset(self) -> None:
        """Begins another clip: nothing of the last one is remembered, and `dropped` is 0."""
        self.dropped = 0
        self._grid = _GridStream(self._width, self._height)
        # Grid rows that windows to come may need: from LOOK_BACK before the next one's first.
        self._rows: HandGrid | None = None
        # Grid index where the next window begins.
        self._start = 0
        self._finished = False

    def push(self, timestamp_s: float, landmarks: Any = None, track_id: int = -1) -> list[StreamedWindow]:
        """Takes the next source row; returns the windows that are due now, oldest first: mostly none or one.

        Args:
            timestamp_s: its time, seconds, not before that of the row before.
            landmarks: (21, 3) as in `HandSequence`; None where the frame shows no hand.
            track_id: which physical hand it is; -1 where unknown.

        Raises:
            DataError: what `HandSequence` refuses; or a time less than 1 us after the last, where the last stood
                for a grid point already. The row is not taken; the next good one is.
            ConfigError: the clip was finished.
        """
        hands = [_NO_HAND if landmarks is None else landmarks]
        return self._take(self._sequence(hands, [timestamp_s], [track_id]), 0)

    def push_hands(
        self, timestamp_s: float, landmarks: Any, scores: Any, track_ids: Any
    ) -> list[StreamedWindow]:
        """As `push`, of a row with several hands, one of which is kept by the rule of `choose_rows`.

        Args:
            timestamp_s: as in `push`.
            landmarks, scores, track_ids: (H, 21, 3), (H,) and (H,) as in `choose_hand`; H may be 0.

        Raises:
            DataError, ConfigError: as `push`; also arrays of different lengths.
        """
        count = len(landmarks)
        if not count == len(scores) == len(track_ids):
            raise DataError(
                f"{count} landmarks, {len(scores)} scores, {len(track_ids)} track_ids: one a hand each"
            )
        if count == 0:
            return self.push(timestamp_s)
        hands = self._sequence(landmarks, [timestamp_s] * count, track_ids)
        chosen = self._choose(hands, scores)
        return self.push(timestamp_s) if chosen < 0 else self._take(hands, chosen)

    def finish(self) -> list[StreamedWindow]:
        """Ends the clip: the windows that waited for a row that will not come. `reset` begins another clip."""
        self._finished = True
        return self._advance() if self._grid.rows else []

    def _sequence(self, landmarks: Any, times: Any, tracks: Any) -> HandSequence:
        return HandSequence(landmarks, times, tracks, self._width, self._height, self._has_z)

    def _choose(self, hands: HandSequence, scores: Any) -> int:
        """The hand to keep: `choose_rows` on the hand kept last, as a frame before, and these."""
        last = [] if self._grid.hand is None else [self._grid.hand.landmarks]
        all_scores: Any = [*(0.0 for _ in last), *scores]
        rows = choose_rows(
            frame_index=np.repeat([0, 1], [len(last), len(hands)]),
            landmarks=np.array([*last, *hands.landmarks]),
            score=all_scores,
            frames=2,
            width=self._width,
            height=self._height,
            has_z=self._has_z,
        )
        return int(rows[1]) - len(last) if rows[1] >= 0 else -1

    def _take(self, hands: HandSequence, at: int) -> list[StreamedWindow]:
        if self._finished:
            raise ConfigError("the clip was finished: reset() begins another")
        time = float(hands.timestamps[at])
        self._grid.check_time(time)
        # A copy: the caller may reuse the array.
        landmarks, valid = hands.landmarks[at].copy(), bool(hands.valid()[at])
        self._grid.add(time, landmarks, int(hands.track_ids[at]), valid)
        return self._advance()

    def _advance(self) -> list[StreamedWindow]:
        windows: list[StreamedWindow] = []
        self._skip_gap()
        while grid := self._grid.decided(self._finished):
            windows += self._cut(grid)
            self._skip_gap()
        self._grid.forget()
        return windows

    def _skip_gap(self) -> None:
        """Counts the windows within a long gap between two rows as dropped, computing none of its grid points."""
        empty = self._grid.empty()
        # Before, a hand may be held.
        if self._start < empty.start + LOOK_BACK or frames_needed(self._min_usable, self._length) == 0:
            return
        windows = max(0, (empty.stop - self._length - self._start) // self._stride + 1)
        start = self._start + windows * self._stride
        # So that the rows before the next window's first are there when it is computed; `_cut` drops older ones.
        needed = start - LOOK_BACK
        if windows and needed > self._grid.next:
            self.dropped += windows
            self._start, self._grid.next = start, needed

    def _cut(self, new: HandGrid) -> list[StreamedWindow]:
        """The windows that end within the new grid rows, which follow those kept."""
        first = self._grid.next - new.times.size - (0 if self._rows is None else self._rows.times.size)
        self._rows = rows = _joined(self._rows, new, max(0, self._start - LOOK_BACK - first))
        # Of the next window, in the rows kept.
        start = self._start - (self._grid.next - rows.times.size)
        if rows.times.size < start + self._length:
            return []
        frames = self._of_grid(rows)
        kept, dropped = usable_windows(frames.usable[start:], self._length, self._stride, self._min_usable)
        windows = fill_windows(frames, start + kept, self._length)
        ends = rows.times[windows.start + self._length - 1].tolist()
        found = [
            StreamedWindow(
                features=windows.features[at],
                usable=windows.usable[at],
                start=self._start + int(kept[at]),
                usable_fraction=float(windows.usable_fraction[at]),
                time_start_s=float(rows.times[windows.start[at]]),
                time_end_s=end,
                delay_s=self._grid.rows[-1].time - end,
            )
            for at, end in enumerate(ends)
        ]
        self.dropped += dropped
        self._start += (len(windows) + dropped) * self._stride
        return found


@dataclass(frozen=True, eq=False, slots=True)
class _Row:
    """One source row: its number, time, landmarks (21, 3), track, and whether its hand is valid."""

    index: int
    time: float
    landmarks: Floats
    track: int
    valid: bool


class _GridStream:
    """`resample`, row by row: gives each grid point once no later row can change it.

    Attributes:
        rows: those that grid points to come may need, in order; the newest two are always there.
        next: index of the next grid point to give.
        hand: newest row with a valid hand, however old.
    """

    def __init__(self, width: int, height: int) -> None:
        self.rows: list[_Row] = []
        self.next = 0
        self.hand: _Row | None = None
        self._width, self._height = width, height
        self._first = 0.0
        self._count = 0
        # A grid time that a row less than 1 us before it was given for.
        self._given = -math.inf

    def check_time(self, time: float) -> None:
        """Raises DataError if no row of that time may follow."""
        if not self.rows:
            return
        newest = self.rows[-1].time
        if time < newest:
            raise DataError(f"timestamp_s = {time} comes after {newest}: push rows in order of time")
        if time - self._first > LONGEST_CLIP_S:
            raise DataError(
                f"timestamp_s = {time} comes more than a day after {self._first}, the clip's first: is it in "
                "milliseconds? (reset() begins another clip)"
            )
        if newest < time < self._given:
            raise DataError(
                f"timestamp_s = {time} comes {time - newest:.1g} s after the last, less than 1 us"
            )

    def add(self, time: float, landmarks: Floats, track: int, valid: bool) -> None:
        """Takes the next row, whose time was checked."""
        if not self.rows:
            self._first = time
        row = _Row(self._count, time, landmarks, track, valid)
        self._count += 1
        # Of rows of one time the first, and the first and last with a hand, can matter: a clock that stands still
        # must not fill the memory. A second is kept, since `nearest_rows` looks at the last two.
        same = self.rows[bisect_left(self.rows, time, key=_time_of) :]
        shown = [each for each in same if each.valid]
        if valid:
            self.hand = row
            if len(shown) > 1:
                self.rows.remove(shown[-1])
        elif len(same) > 1:
            return
        self.rows.append(row)

    def decided(self, ended: bool) -> HandGrid | None:
        """The next grid points, at most a chunk; None where the next is not decided. `ended`: no row follows."""
        # Counted as `grid_times` does.
        size = int((self.rows[-1].time - self._first + _RULES.time_tolerance_s) * _RULES.grid_hz) + 1
        points = range(self.next, min(size, self.next + _CHUNK))
        if not points:
            return None
        times = np.array([self._time(point) for point in points])
        stamps = np.array([row.time for row in self.rows])
        nearest = nearest_rows(stamps, times)
        between = between_rows(stamps, times, nearest)
        ready = times.size if ended else self._ready(times.tolist(), nearest.tolist(), between.tolist())
        if ready == 0:
            return None
        self.next += ready
        return self._resampled(stamps, times[:ready], nearest[:ready], between[:ready])

    def empty(self) -> range:
        """Grid points of which it is certain, without a look at each, that the newest gap leaves them empty."""
        before, after = self.rows[-2:][0].time, self.rows[-1].time
        if after - before <= _REACH_S:
            return range(0)
        hz, tolerance = _RULES.grid_hz, _RULES.time_tolerance_s
        # A point of margin on either side, for rounding.
        found = range(int((before - self._first) * hz) + 2, int((after - self._first) * hz) - 1)
        apart = self._time(found.start) - before > tolerance and after - self._time(found.stop) > tolerance
        return found if apart else range(0)

    def forget(self) -> None:
        """Drops the rows that no grid point to come can need: once all decided ones were taken."""
        before = max(0, bisect_left(self.rows, self._time(self.next), key=_time_of) - 1)
        # With those so near in time that `nearest_rows` takes them for equal.
        first = bisect_left(self.rows, self.rows[before].time - 2 * ROUNDING_S, key=_time_of)
        if self.hand is not None and self.rows[-1].time - self.hand.time <= _REACH_S:
            first = min(first, self.rows.index(self.hand))
        del self.rows[:first]

    def _time(self, point: int) -> float:
        """Time of a grid point, as `grid_times` gives it."""
        return self._first + point / _RULES.grid_hz

    def _ready(self, times: list[float], nearest: list[int], between: list[bool]) -> int:
        """How many of the next grid points no later row can change."""
        newest = self.rows[-1].time
        hand = -math.inf if self.hand is None else self.hand.time
        for at, (time, row, alone) in enumerate(zip(times, nearest, between, strict=True)):
            if time > newest:
                # Nothing that follows is nearer by more than rounding.
                if time - newest > ROUNDING_S or self.rows[row].time < newest:
                    return at
                self._given = time
            elif alone and hand < time and newest - hand <= _REACH_S:
                return at
        return len(times)

    def _resampled(self, stamps: Floats, times: Floats, nearest: Ints, between: Bools) -> HandGrid:
        rows = [self.rows[at] for at in nearest.tolist()]
        landmarks = np.array([row.landmarks for row in rows])
        tracks = np.array([row.track for row in rows], dtype=np.int64)
        if between.any():
            landmarks[between], tracks[between] = interpolate(
                stamps,
                np.array([row.landmarks for row in self.rows]),
                np.array([row.valid for row in self.rows]),
                np.array([row.track for row in self.rows]),
                times[between],
            )
        source = np.array([row.index for row in rows], dtype=np.int64)
        return HandGrid(landmarks, times, tracks, source, self._width, self._height)


def _joined(before: HandGrid | None, new: HandGrid, drop: int) -> HandGrid:
    """Grid rows and those that follow them, less the first `drop`."""
    if before is None:
        return new
    return HandGrid(
        np.concatenate([before.landmarks, new.landmarks])[drop:],
        np.concatenate([before.times, new.times])[drop:],
        np.concatenate([before.track_ids, new.track_ids])[drop:],
        np.concatenate([before.source_index, new.source_index])[drop:],
        new.width,
        new.height,
    )
