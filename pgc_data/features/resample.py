"""From a source's own frame times to the uniform grid that every feature is computed on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pgc_data.features.arrays import Bools, Floats, Ints
from pgc_data.features.schema import SCHEMA
from pgc_data.features.sequence import NO_TRACK, HandSequence

# So that a grid point midway between two rows takes the earlier one whatever the rounding of its time.
ROUNDING_S = 1e-6


@dataclass(frozen=True, eq=False)
class HandGrid:
    """One hand on the uniform grid.

    Attributes:
        landmarks: (M, 21, 3) float64, as in `HandSequence`; NaN where there is no hand.
        times: (M,) float64, seconds: the first timestamp plus k / 30.
        track_ids: (M,) int64, -1 where none.
        source_index: (M,) int64, source row nearest in time (of rows equally near, the earliest).
        width, height: size of the source image, pixels.
    """

    landmarks: Floats
    times: Floats
    track_ids: Ints
    source_index: Ints
    width: int
    height: int


def resample(sequence: HandSequence) -> HandGrid:
    """Puts a sequence on the 30 Hz grid that starts at its first timestamp.

    A grid point within 1 ms of a source row takes that row as it is, a missing hand included: a source of
    constant 30 fps passes through unchanged, one of 60 fps is thinned. Any other point is interpolated
    linearly between the nearest valid rows before and after it, if they are at most 0.2 s apart and of one
    track; else it has no hand. The grid ends at the last timestamp: nothing is extrapolated.

    Args:
        sequence: N source rows; none gives an empty grid.

    Returns:
        M = floor((last - first timestamp) * 30 + tolerance) + 1 grid rows.
    """
    times = grid_times(sequence.timestamps)
    nearest = nearest_rows(sequence.timestamps, times)
    landmarks = sequence.landmarks[nearest]
    tracks = sequence.track_ids[nearest]
    between = between_rows(sequence.timestamps, times, nearest)
    if between.any():
        landmarks[between], tracks[between] = interpolate(
            sequence.timestamps, sequence.landmarks, sequence.valid(), sequence.track_ids, times[between]
        )
    return HandGrid(landmarks, times, tracks, nearest, sequence.width, sequence.height)


def grid_times(timestamps: Floats) -> Floats:
    """The grid's times (M,), seconds, for source rows at `timestamps` (N,), which never decrease."""
    if timestamps.size == 0:
        return np.empty(0)
    span = timestamps[-1] - timestamps[0] + SCHEMA.rules.time_tolerance_s
    steps = np.arange(int(span * SCHEMA.rules.grid_hz) + 1)
    times: Floats = timestamps[0] + steps / SCHEMA.rules.grid_hz
    return times


def nearest_rows(timestamps: Floats, times: Floats) -> Ints:
    """The source row nearest to each grid time (M,): of rows equally near, the earliest."""
    if timestamps.size == 0:
        return np.empty(0, dtype=np.int64)
    after = np.searchsorted(timestamps, times).clip(max=timestamps.size - 1)
    before = (after - 1).clip(min=0)
    to_before, to_after = times - timestamps[before], np.abs(timestamps[after] - times)
    nearest = np.where(to_before <= to_after + ROUNDING_S, before, after)
    return np.searchsorted(timestamps, timestamps[nearest]).astype(np.int64)


def between_rows(timestamps: Floats, times: Floats, nearest: Ints) -> Bools:
    """Grid times (M,) that no source row coincides with: those to be interpolated."""
    between: Bools = np.abs(timestamps[nearest] - times) > SCHEMA.rules.time_tolerance_s
    return between


def interpolate(
    timestamps: Floats, values: Floats, valid: Bools, track_ids: Ints, times: Floats
) -> tuple[Floats, Ints]:
    """Values at times that no source row coincides with, between the valid rows before and after each.

    Args:
        timestamps: (N,) seconds, never decreasing.
        values: (N, ...) of the source rows.
        valid: (N,) rows that may be used.
        track_ids: (N,) two rows of different tracks are not joined.
        times: (B,) seconds.

    Returns:
        (B, ...) values, NaN where the neighbours are missing, of two tracks or more than 0.2 s apart; and their
        tracks (B,), there -1.
    """
    found = np.full((times.size, *values.shape[1:]), np.nan)
    tracks = np.full(times.size, NO_TRACK, dtype=np.int64)
    rows = np.flatnonzero(valid)
    if rows.size < 2:
        return found, tracks
    after = np.searchsorted(timestamps[rows], times)
    inside = (after > 0) & (after < rows.size)
    after = after.clip(1, rows.size - 1)
    left, right = rows[after - 1], rows[after]
    near = timestamps[right] - timestamps[left] <= SCHEMA.rules.interpolate_s + SCHEMA.rules.time_tolerance_s
    joined = inside & near & (track_ids[left] == track_ids[right])
    left, right = left[joined], right[joined]
    start, end = timestamps[left], timestamps[right]
    weight = ((times[joined] - start) / (end - start)).reshape(-1, *[1] * (values.ndim - 1))
    found[joined] = (1.0 - weight) * values[left] + weight * values[right]
    tracks[joined] = track_ids[left]
    return found, tracks
