"""The same windows as offline, one source frame at a time: what a live program classifies is what was trained on.

stream = StreamingFeatures(width=640, height=480)
for timestamp_s, landmarks in camera:
    for window in stream.push(timestamp_s, landmarks):
        classify(window.features)

Everything that yields numbers is the batch code, called on a few rows; here is decided only *when* a grid point
can be computed. A point is computed, and the window that ends with it yielded, on the first push after which no
later row could change it. At grid time g that is

- the row at g, from 1 us before it to 1 ms after it: a source on the grid is not delayed;
- the row after that, if the row lies up to 1 ms before g: a nearer one might have followed;
- else (the point is interpolated) the first row at or after g that has a hand; without one, the first row more
  than 0.201 s after the last hand; and the first row at or after g if the last hand was longer ago.

A point waits for those before it. So a visible hand is delayed by less than one frame of its source (at 12 fps by
83 ms), and one that is lost between grid points by 0.201 s and a frame.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from pgc_data.errors import ConfigError, DataError
from pgc_data.features.arrays import Bools, Features, Floats, Ints
from pgc_data.features.frames import FrameFeatures, grid_features
from pgc_data.features.resample import ROUNDING_S, HandGrid, between_rows, interpolate, nearest_rows
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import LONGEST_CLIP_S, NO_TRACK, HandSequence, choose_rows
from pgc_data.features.windows import cut_windows, frames_needed, usable_windows

LIVE_STRIDE = 1
# Grid rows before a row that its features may depend on.
LOOK_BACK = max(
    SCHEMA.rules.hold_frames,
    int((SCHEMA.rules.reacquire_s + SCHEMA.rules.time_tolerance_s) * SCHEMA.rules.grid_hz),
)
# How far apart two rows may be for points between them to have a hand, as `interpolate` adds it up.
_REACH_S = SCHEMA.rules.interpolate_s + SCHEMA.rules.time_tolerance_s
# Grid points computed at once, which bounds memory where a push decides many.
_CHUNK = 64
_NO_HAND = np.full((len(SCHEMA.joint_names), 3), np.nan)
_Table = TypeVar("_Table", HandGrid, FrameFeatures)


@dataclass(frozen=True, eq=False)
class StreamedWindow:
    """One window, as `cut_windows` gives it, and when it came.

    Attributes:
        features: (T, F) float32, always finite; zeros where a frame is not usable. The caller's own.
        usable: (T,) bool.
        start: grid index of its first frame, counted from the clip's first.
        usable_fraction: share of usable frames.
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

    Holds the last 0.2 s of source rows and the grid frames of one window, however long the clip. Not to be shared
    by threads.

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
        ConfigError: a length, stride or share that `cut_windows` refuses.
        DataError: an impossible image size.

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
        length: int = SCHEMA.rules.window_frames,
        stride: int = LIVE_STRIDE,
        min_usable: float = SCHEMA.rules.min_usable,
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
        self._before: HandGrid | None = None
        self._frames: FrameFeatures | None = None
        # Grid index where the next window begins.
        self._start = 0
        self._finished = False

    def push(
        self, timestamp_s: float, landmarks: Any = None, track_id: int = NO_TRACK
    ) -> list[StreamedWindow]:
        """Takes the next source row.

        Args:
            timestamp_s: its time, seconds, not before that of the row before.
            landmarks: (21, 3) as in `HandSequence`; None where the frame shows no hand.
            track_id: which physical hand it is; -1 where unknown.

        Returns:
            The windows that are due now, oldest first; mostly none or one.

        Raises:
            DataError: what `HandSequence` refuses; or a time less than 1 us after the last, where the last stood
                for a grid point already. The row is not taken; the next good one is.
            ConfigError: the clip was finished.
        """
        time = self._time(timestamp_s)
        one = self._sequence([_NO_HAND if landmarks is None else landmarks], [time], [track_id])
        return self._take(time, one, 0)

    def push_hands(
        self, timestamp_s: float, landmarks: Any, scores: Any, track_ids: Any
    ) -> list[StreamedWindow]:
        """Takes the next source row, keeping one of its hands by the rule of `choose_rows`.

        Args:
            timestamp_s: as in `push`.
            landmarks: (H, 21, 3); H may be 0.
            scores: (H,) confidence of each hand.
            track_ids: (H,) track of each hand, -1 where unknown.

        Returns:
            As `push`.

        Raises:
            DataError, ConfigError: as `push`; also arrays of different lengths.
        """
        count = np.size(scores)
        if count == np.size(landmarks) == 0:
            return self.push(timestamp_s)
        time = self._time(timestamp_s)
        if np.shape(scores) != (count,):
            raise DataError(f"scores has shape {np.shape(scores)}, it must be (H,), one for each hand")
        hands = self._sequence(landmarks, [time] * count, track_ids)
        chosen = self._choose(hands, scores)
        return self.push(timestamp_s) if chosen < 0 else self._take(time, hands, chosen)

    def finish(self) -> list[StreamedWindow]:
        """Ends the clip: the windows that waited for a row that will not come. `reset` begins another clip."""
        self._finished = True
        return self._advance()

    def _time(self, timestamp_s: float) -> float:
        if self._finished:
            raise ConfigError("the clip was finished: reset() begins another")
        return self._grid.check_time(timestamp_s)

    def _sequence(self, landmarks: Any, times: list[float], tracks: Any) -> HandSequence:
        return HandSequence(landmarks, np.array(times), tracks, self._width, self._height, self._has_z)

    def _choose(self, hands: HandSequence, scores: Any) -> int:
        """The hand to keep: `choose_rows` on the hand kept last, as a frame before, and these."""
        last = self._grid.hand
        before = 0 if last is None else 1
        rows = choose_rows(
            frame_index=np.repeat([0, 1], [before, len(hands)]),
            landmarks=hands.landmarks
            if last is None
            else np.concatenate([last.landmarks[None], hands.landmarks]),
            score=np.concatenate([np.zeros(before), scores]),
            frames=2,
            width=self._width,
            height=self._height,
            has_z=self._has_z,
        )
        return int(rows[1]) - before if rows[1] >= 0 else -1

    def _take(self, time: float, hands: HandSequence, at: int) -> list[StreamedWindow]:
        valid = bool(hands.valid()[at])
        # A copy: the caller may reuse the array.
        self._grid.add(time, hands.landmarks[at].copy(), int(hands.track_ids[at]), valid)
        return self._advance()

    def _advance(self) -> list[StreamedWindow]:
        windows: list[StreamedWindow] = []
        while True:
            self._skip_gap()
            grid = self._grid.decided(self._finished)
            if grid is None:
                break
            windows += self._cut(self._features(grid))
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
        # So that the rows before the next window's first are there when it is computed.
        needed = start - LOOK_BACK
        if windows and needed > self._grid.next:
            self.dropped += windows
            self._start, self._grid.next = start, needed
            self._before = self._frames = None

    def _features(self, new: HandGrid) -> FrameFeatures:
        """Features of grid rows that follow those of the call before."""
        grid = _joined(self._before, new)
        self._before = _rows(grid, slice(-LOOK_BACK, None))
        return _rows(self._of_grid(grid), slice(-new.times.size, None))

    def _cut(self, new: FrameFeatures) -> list[StreamedWindow]:
        """The windows that end within the new frames."""
        frames = _joined(self._frames, new)
        # The grid index of its first row.
        first = self._grid.next - len(frames)
        frames = _rows(frames, slice(max(0, self._start - first), None))
        self._frames = frames
        if len(frames) < self._length:
            return []
        windows = cut_windows(frames, self._length, self._stride, self._min_usable)
        offset, newest = self._start, self._grid.newest
        self._start += (len(windows) + windows.dropped) * self._stride
        self.dropped += windows.dropped
        return [
            StreamedWindow(
                features=windows.features[at],
                usable=windows.usable[at],
                start=offset + start,
                usable_fraction=float(windows.usable_fraction[at]),
                time_start_s=float(frames.times[start]),
                time_end_s=(end := float(frames.times[start + self._length - 1])),
                delay_s=newest - end,
            )
            for at, start in enumerate(windows.start.tolist())
        ]


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
        next: index of the next grid point to give.
        hand: newest row with a valid hand, however old.
    """

    def __init__(self, width: int, height: int) -> None:
        self.next = 0
        self.hand: _Row | None = None
        self._width, self._height = width, height
        # Those that grid points to come may need, in order; the newest is always there.
        self._rows: list[_Row] = []
        self._first = 0.0
        self._count = 0
        # A grid time that a row less than 1 us before it was given for.
        self._given = -math.inf

    @property
    def newest(self) -> float:
        """Time of the newest row."""
        return self._rows[-1].time

    def check_time(self, value: float) -> float:
        """The time of a row that may follow.

        Raises:
            DataError: it may not.
        """
        try:
            time = float(value)
        except (TypeError, ValueError) as error:
            raise DataError(f"timestamp_s = {value!r}: a time in seconds is needed on every row") from error
        if not math.isfinite(time):
            raise DataError(f"timestamp_s = {time}: a time in seconds is needed on every row")
        if not self._rows:
            return time
        if time < self.newest:
            raise DataError(f"timestamp_s = {time} comes after {self.newest}: push rows in order of time")
        if time - self._first > LONGEST_CLIP_S:
            raise DataError(
                f"timestamp_s = {time} is {time - self._first:.0f} s after the clip's first, more than a day: is "
                "it in milliseconds? (reset() begins another clip)"
            )
        if self.newest < time < self._given:
            raise DataError(
                f"timestamp_s = {time!r} is {time - self.newest:.1g} s after the row before: a source gives one "
                "time to a frame, or times further apart"
            )
        return time

    def add(self, time: float, landmarks: Floats, track: int, valid: bool) -> None:
        """Takes the next row, whose time was checked."""
        if not self._rows:
            self._first = time
        row = _Row(self._count, time, landmarks, track, valid)
        self._count += 1
        # Of rows of one time the first, and the first and last with a hand, can matter: a clock that stands still
        # must not fill the memory. A second is kept, since `nearest_rows` looks at the last two.
        same = self._rows[bisect_left(self._rows, time, key=_time_of) :]
        shown = [each for each in same if each.valid]
        if valid:
            self.hand = row
            if len(shown) > 1:
                self._rows.remove(shown[-1])
        elif len(same) > 1:
            return
        self._rows.append(row)

    def decided(self, ended: bool) -> HandGrid | None:
        """The next grid points, at most a chunk; None where the next is not decided.

        Args:
            ended: no row will follow.
        """
        times = self._times(self.next, min(self._size(), self.next + _CHUNK))
        if times.size == 0:
            return None
        stamps = np.array([row.time for row in self._rows])
        nearest = nearest_rows(stamps, times)
        between = between_rows(stamps, times, nearest)
        ready = times.size if ended else self._ready(times.tolist(), nearest.tolist(), between.tolist())
        if ready == 0:
            return None
        self.next += ready
        return self._resampled(stamps, times[:ready], nearest[:ready], between[:ready])

    def empty(self) -> range:
        """Grid points of which it is certain, without a look at each, that the newest gap leaves them empty."""
        if len(self._rows) < 2:
            return range(0)
        before, after = self._rows[-2].time, self._rows[-1].time
        hz, tolerance = SCHEMA.rules.grid_hz, SCHEMA.rules.time_tolerance_s
        # A point of margin on either side, for rounding.
        found = range(int((before - self._first) * hz) + 2, int((after - self._first) * hz) - 1)
        edges = self._times(found.start, found.start + 1)[0], self._times(found.stop, found.stop + 1)[0]
        apart = edges[0] - before > tolerance and after - edges[1] > tolerance
        return found if after - before > _REACH_S and apart else range(0)

    def forget(self) -> None:
        """Drops the rows that no grid point to come can need: once all decided ones were taken."""
        if not self._rows:
            return
        before = bisect_left(self._rows, self._times(self.next, self.next + 1)[0], key=_time_of) - 1
        if before < 0:
            return
        # With those so near in time that `nearest_rows` takes them for equal.
        first = bisect_left(self._rows, self._rows[before].time - 2 * ROUNDING_S, key=_time_of)
        if self.hand is not None and self.newest - self.hand.time <= _REACH_S:
            first = min(first, self._rows.index(self.hand))
        del self._rows[:first]

    def _times(self, start: int, stop: int) -> Floats:
        """Grid times of the points from `start` to before `stop`, as `grid_times` gives them."""
        times: Floats = self._first + np.arange(start, stop) / SCHEMA.rules.grid_hz
        return times

    def _size(self) -> int:
        """Grid points that there are by now, as `grid_times` counts them."""
        if not self._rows:
            return 0
        span = self.newest - self._first + SCHEMA.rules.time_tolerance_s
        return int(span * SCHEMA.rules.grid_hz) + 1

    def _ready(self, times: list[float], nearest: list[int], between: list[bool]) -> int:
        """How many of the next grid points no later row can change."""
        newest = self.newest
        hand = -math.inf if self.hand is None else self.hand.time
        for at, (time, row, alone) in enumerate(zip(times, nearest, between, strict=True)):
            if time > newest:
                # Nothing that follows is nearer by more than rounding.
                if time - newest > ROUNDING_S or self._rows[row].time < newest:
                    return at
                self._given = time
            elif alone and hand < time and newest - hand <= _REACH_S:
                return at
        return len(times)

    def _resampled(self, stamps: Floats, times: Floats, nearest: Ints, between: Bools) -> HandGrid:
        rows = [self._rows[at] for at in nearest.tolist()]
        landmarks = np.array([row.landmarks for row in rows])
        tracks = np.array([row.track for row in rows], dtype=np.int64)
        if between.any():
            landmarks[between], tracks[between] = interpolate(
                stamps,
                np.array([row.landmarks for row in self._rows]),
                np.array([row.valid for row in self._rows]),
                np.array([row.track for row in self._rows]),
                times[between],
            )
        source = np.array([row.index for row in rows], dtype=np.int64)
        return HandGrid(landmarks, times, tracks, source, self._width, self._height)


def _time_of(row: _Row) -> float:
    return row.time


def _rows(table: _Table, rows: slice) -> _Table:
    """Those rows of each of its arrays."""
    return replace(table, **{name: array[rows] for name, array in _arrays(table)})


def _joined(before: _Table | None, after: _Table) -> _Table:
    if before is None:
        return after
    return replace(
        after, **{name: np.concatenate([getattr(before, name), array]) for name, array in _arrays(after)}
    )


def _arrays(table: HandGrid | FrameFeatures) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(table).items() if isinstance(value, np.ndarray)]
